"""What every test runs under, and how a notebook becomes tests (see tests/notebooks.py)."""
import matplotlib
import pytest
import torch

from notebooks import Notebook

matplotlib.use('Agg')                               # no window
torch.set_num_threads(min(2, torch.get_num_threads()))


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
