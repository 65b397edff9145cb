"""Tests of `alignet.all`.

Generated from nbs/11_all.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
from alignet.core import *
from alignet.data import *
from alignet.worlds.things import *
from alignet.worlds.ceiling import *
from alignet.features import *
from alignet.worlds.archives import *
from alignet.teacher import *
from alignet.extras.vice import *
from alignet.labels import *
from alignet.extras.released import *
from alignet.scale.shards import *
from alignet.loss import *
from alignet.training import *
from alignet.scale.recipes import *
from alignet.scale.distributed import *
from alignet.evaluation import *
from alignet.eval.rsa import *
from alignet.eval.levels import *
from alignet.eval.hierarchy import *
from alignet.eval.shift import *
from alignet.eval.catalog import *
from alignet.extras.ask import *
from alignet.export import *
from alignet.demo import *
import functools
import importlib
import inspect
import re
from alignet import _modidx
import alignet.all
import alignet.cli
from alignet.all import *

NOTEBOOK = 'nbs/11_all.ipynb'     # a test runs in the folder of its notebook


def test_how_this_page_is_made():
    "How this page is made"
    # cell 8
    seen, clashes = {}, []
    for m in re.findall(r'from \.(\w+) import \*', inspect.getsource(alignet.all)):
        mod = importlib.import_module(f'alignet.{m}')
        for n in mod.__all__:
            if n in seen and seen[n][1] is not getattr(mod, n): clashes.append((n, seen[n][0], m))
            seen[n] = m, getattr(mod, n)

    # cell 9
    def first_line(obj): return (inspect.getdoc(obj) or '').split('\n')[0].replace('|', '\\|')

    def entries(mod):
        for name in _modidx.d['syms'][mod.__name__]:
            own = name.removeprefix(mod.__name__ + '.').split('.')
            if own[0] not in mod.__all__ or any(o.startswith('_') for o in own): continue
            obj = functools.reduce(lambda o, k: getattr(o, k, None), own, mod)
            if (
                obj is not None
                and first_line(obj)
                and not re.match('(before|after)_|get_idxs$|extra_repr$', own[-1])
            ):
                yield '.'.join(own), first_line(obj)

    # cell 10
    chapters = [
        *(importlib.import_module(f'alignet.{m}') for m in dict.fromkeys(m for m, _ in seen.values())),
        alignet.cli,
    ]
    found = {
        mod: sorted(entries(mod), key=lambda o: (mod.__all__.index(o[0].split('.')[0]), '.' in o[0]))
        for mod in chapters
    }

    # cell 15
    listed = {name for rows in found.values() for name, _ in rows}
    functions = {n for n, (_, obj) in seen.items() if inspect.isfunction(obj) or inspect.isclass(obj)}
    assert functions <= listed, functions - listed
    assert all(len(text) > 8 for rows in found.values() for _, text in rows)
    assert {'ImageSet.subset', 'Teacher.fit', 'AlignLoss.forward', 'OddOneOut.static'} <= listed

    # cell 18
    assert not clashes and len(seen) > 100

    # cell 19, in part
    names = {}
    exec('from alignet.all import *', names)

    # cell 20
    assert set(seen) <= set(names)
