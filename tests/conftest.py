"""What every test runs under: no window, two threads, fixed seeds, and the folder of its notebook."""
import os, random, shutil, sys
from pathlib import Path

import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'.ci'))
import checks, common
sys.path.remove(str(ROOT/'.ci'))
torch.set_num_threads(min(2, torch.get_num_threads()))


# Without these, Chromium asks its maker's hosts for updates at every start, sandboxes where it may not, and draws on a GPU
CHROMIUM = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage']


@pytest.fixture(scope='session')
def browser():
    "Headless Chromium, the system's own (or the one that ALIGNET_CHROMIUM names), driven by Playwright"
    path = os.environ.get('ALIGNET_CHROMIUM') or next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'))), None)
    if not path: pytest.skip('needs Chromium: apt install chromium, or set ALIGNET_CHROMIUM to the path of one')
    playwright = pytest.importorskip('playwright.sync_api', reason='needs Playwright: pip install playwright')
    with playwright.sync_playwright() as p:
        b = p.chromium.launch(executable_path=path, headless=True, args=CHROMIUM)
        yield b
        b.close()


@pytest.fixture(scope='session')
def prepared(tmp_path_factory):
    "The pages as nbdev prepares them for the website, a notebook each, with the files around them"
    folder = tmp_path_factory.mktemp('pages')/'_proc'
    with common.project_copy(ROOT) as copy:
        res = checks.prepare(copy)
        assert not res.returncode, res.stdout[-3000:]
        shutil.copytree(copy/'_proc', folder)
    return folder


@pytest.fixture(autouse=True)
def surroundings(request, monkeypatch):
    "Seeds, folder and figures of one test"
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    notebook = getattr(request.module, 'NOTEBOOK', None)
    if notebook: monkeypatch.chdir(ROOT/Path(notebook).parent)
    yield
    plt.close('all')


def pytest_collection_modifyitems(items):
    "Tests that need a GPU are skipped where there is none"
    for mark, count in ('cuda', 1), ('multicuda', 2):
        if torch.cuda.device_count() < count:
            for o in items:
                if o.get_closest_marker(mark): o.add_marker(pytest.mark.skip(reason=f'needs {count} GPU' + 's' * (count > 1)))


def pytest_pycollect_makeitem(collector, name, obj):
    "Only what a test file defines itself is a test: not `test_eq` and its like, which it imports"
    if name.startswith('test') and getattr(obj, '__module__', None) != collector.obj.__name__ and callable(obj): return []
