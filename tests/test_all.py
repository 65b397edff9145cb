"""Tests of `alignet.all`.

Generated from nbs/11_all.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
from alignet.core import *
from alignet.data import *
from alignet.things import *
from alignet.ceiling import *
from alignet.features import *
from alignet.sources import *
from alignet.teacher import *
from alignet.vice import *
from alignet.pseudo_labels import *
from alignet.official import *
from alignet.shards import *
from alignet.loss import *
from alignet.training import *
from alignet.recipes import *
from alignet.distributed import *
from alignet.evaluation import *
from alignet.human_rdms import *
from alignet.levels import *
from alignet.hierarchy import *
from alignet.shift import *
from alignet.suites import *
from alignet.widgets import *
from alignet.hub import *
from alignet.demo import *
import importlib
from alignet.all import *

NOTEBOOK = 'nbs/11_all.ipynb'     # a test runs in the folder of its notebook


def test_the_names():
    "The names"
    # cell 8, in part
    names = {}; exec('from alignet.all import *', names)

    # cell 9
    assert all(n in names for n in ('offline_world', 'extract_features', 'Teacher', 'pseudo_label', 'align_learner', 'export_timm', 'run_demo', 'ooo_accuracy'))

    # cell 12, in part
    seen, clashes = {}, []
    for m in ('core', 'data', 'things', 'ceiling', 'features', 'sources', 'teacher', 'vice', 'pseudo_labels', 'official', 'shards', 'loss', 'training', 'recipes', 'distributed',
              'evaluation', 'human_rdms', 'levels', 'hierarchy', 'shift', 'suites', 'widgets', 'hub', 'demo'):
        mod = importlib.import_module(f'alignet.{m}')
        for n in mod.__all__:
            if n in seen and seen[n][1] is not getattr(mod, n): clashes.append((n, seen[n][0], m))
            seen[n] = m, getattr(mod, n)

    # cell 13
    assert not clashes and len(seen) > 100
