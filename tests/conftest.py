"""What the tests in this folder share: a browser, the pages of the website, fixed seeds."""
import os
import random
import shutil
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import common

# Without these, Chromium asks for updates, sandboxes where it may not, and draws on a GPU
CHROMIUM = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
            '--disable-background-networking', '--disable-component-update',
            '--disable-dev-shm-usage']
NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']


def find_chromium():
    "The path of Chromium: the one that ALIGNET_CHROMIUM names, or the system's own"
    found = [os.environ.get('ALIGNET_CHROMIUM'), *map(shutil.which, NAMES)]
    return next(filter(None, found), None)


@pytest.fixture(scope='session')
def browser():
    "Headless Chromium, driven by Playwright"
    path = find_chromium()
    if not path:
        pytest.skip('needs Chromium: apt install chromium, or set ALIGNET_CHROMIUM to its path')
    reason = 'needs Playwright: pip install playwright'
    playwright = pytest.importorskip('playwright.sync_api', reason=reason)
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, headless=True, args=CHROMIUM)
        yield browser
        browser.close()


PREPARE = '''
import warnings
import nbdev.quarto
warnings.simplefilter('ignore')
nbdev.quarto._ensure_quarto = lambda: None          # it would download Quarto
nbdev.quarto.nbdev_proc_nbs.__wrapped__(n_workers=0, force=True)
'''


@pytest.fixture(scope='session')
def prepared(tmp_path_factory):
    "The pages as nbdev prepares them for the website, with the files around them"
    folder = tmp_path_factory.mktemp('pages')/'_proc'
    with common.project_copy() as copy:
        result = common.run_in(copy, sys.executable, '-c', PREPARE)
        remedy = 'nbdev runs each cell that has an import: keep imports alone in their cells'
        assert not result.returncode, f'{result.stdout[-3000:]}\n{remedy}'
        shutil.copytree(copy/'_proc', folder)
    return folder


@pytest.fixture(autouse=True)
def surroundings():
    "Fixed seeds before a test, no figures after it"
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    yield
    plt.close('all')


def pytest_pycollect_makeitem(collector, name, obj):
    "Only what a file defines itself is a test, not `test_eq` and its like, which it imports"
    if not name.startswith('test') or not callable(obj):
        return None
    own = getattr(obj, '__module__', None) == collector.obj.__name__
    return None if own else []
