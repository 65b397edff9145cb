"""What every test runs under, and how a notebook becomes tests (see tests/notebooks.py).

`pytest -n 2` runs notebooks in two processes, each notebook in one of them.
"""
import os

import matplotlib
import pytest
import torch

from notebooks import Notebook

pytest_plugins = ['pytester']                       # it tries pytest itself on a small project
PROCESSES = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 1))

matplotlib.use('Agg')                               # no window
torch.set_num_threads(max(1, min(2, torch.get_num_threads())//PROCESSES))


def pytest_collect_file(file_path, parent):
    "Collect each notebook, but none whose name begins with `_`"
    if file_path.suffix == '.ipynb' and not file_path.name.startswith('_'):
        return Notebook.from_parent(parent, path=file_path)


def pytest_collection_modifyitems(items):
    "Skip tests that need more GPUs than there are"
    for mark, count in [('cuda', 1), ('multicuda', 2)]:
        skip = pytest.mark.skip(reason=f'needs {count} GPU or more')
        for item in items:
            if item.get_closest_marker(mark) and torch.cuda.device_count() < count:
                item.add_marker(skip)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    "Share out whole files, in their order; tests of the website stay together, as its pages do"
    from xdist.scheduler import LoadFileScheduling

    class WholeFiles(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return 'the website' if file.startswith('tests/test_site') else file

    config.option.loadscopereorder = False
    return WholeFiles(config, log)
