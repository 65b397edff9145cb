"""Tests of `alignet.core`.

Generated from nbs/00_core.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import contextlib
import errno
import json
import os
import platform
import shutil
import warnings
from pathlib import Path
import numpy as np
import torch
import subprocess
import sys
import tempfile
from unittest import mock
from fastcore.test import test_eq, test_close, test_fail
from fastprogress import fastprogress
from IPython.display import HTML
from scipy.spatial.distance import cdist
from scipy.special import softmax
from alignet.core import *
from alignet.core import _pair_values, _quiet_imports, _where

NOTEBOOK = 'nbs/00_core.ipynb'     # a test runs in the folder of its notebook


def test_errors_that_help():
    "Errors that help"
    # cell 12
    test_eq(
        nearest_names('vit_bsae_patch16', ['vit_base_patch16_224', 'resnet18'])[0],
        'vit_base_patch16_224',
    )
    test_eq(nearest_names('zzz', ['resnet18']), [])

    # cell 16
    try: require('a_module_that_is_not_there', 'some-package')
    except AlignetError as e: message = str(e)
    print(message)
    assert 'pip install some-package' in message
    assert require('json') is json

    # cell 19, in part
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        old = lambda: warnings.warn('`torch.jit.script` is deprecated. Please switch', FutureWarning)
        with _quiet_imports():
            warnings.filterwarnings('ignore', message='its own')
            old()
            warnings.warn('another', FutureWarning)
        warnings.warn('its own rule')
        old()

    # cell 20
    test_eq([str(o.message)[:18] for o in told], ['another', '`torch.jit.script`'])


def test_files_that_are_whole_or_absent():
    "Files that are whole or absent"
    # cell 31, in part
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'notes'/'a.txt'
        with atomic_path(f) as tmp: tmp.write_text('first')
        try:
            with atomic_path(f) as tmp:
                tmp.write_text('half of the sec')
                raise KeyboardInterrupt
        except KeyboardInterrupt: pass
        kept, left = f.read_text(), os.listdir(f.parent)

    # cell 33, in part
    gone = subprocess.Popen([sys.executable, '-c', ''])
    gone.wait()
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'a.txt'
        host = _where()
        beside = {
            n: f.with_name(f'.a.txt.{n}.tmp.txt')
            for n in (f'{host}-{gone.pid}', f'{host}-{os.getppid()}', 'elsewhere-1')
        }
        for o in beside.values(): o.write_text('half')
        with atomic_path(f) as tmp: tmp.write_text('whole')
        there = [o.exists() for o in beside.values()]

    # cell 34
    test_eq(there, [False, True, True])
    test_eq((kept, left), ('first', ['a.txt']))
    with tempfile.NamedTemporaryFile() as f:      # a file where a folder should be
        def _write():
            with atomic_path(Path(f.name)/'a.txt') as tmp: tmp.write_text('x')
        test_fail(_write, contains='choose another path')
    if Path('/dev/full').exists():                # a device that is always full
        def _full():
            with tempfile.TemporaryDirectory() as d, atomic_path(Path(d)/'a.txt'):
                with open('/dev/full', 'w') as o: o.write('x')
        test_fail(_full, contains='the disk is full')

    # cell 36
    def _make(path, text):
        with atomic_path(path) as tmp:
            tmp.mkdir()
            (tmp/'a.txt').write_text(text)
    def _fails_at(n, real=os.replace):
        "An `os.replace` whose call number n has no permission"
        calls = iter(range(1, 99))
        def replace(a, b):
            if next(calls) == n: raise OSError(errno.EACCES, 'Permission denied', str(a))
            real(a, b)
        return mock.patch('os.replace', replace)
    with tempfile.TemporaryDirectory() as d:
        for text in ('one', 'two'): _make(Path(d)/'model', text)
        test_eq(((Path(d)/'model'/'a.txt').read_text(), os.listdir(d)), ('two', ['model']))
        for step in (1, 2):
            with _fails_at(step):
                test_fail(lambda: _make(Path(d)/'model', 'three'), contains="model': no permission")
            test_eq(((Path(d)/'model'/'a.txt').read_text(), os.listdir(d)), ('two', ['model']))

    # cell 38
    with tempfile.TemporaryDirectory() as d:
        try:
            with atomic_path(Path(d)/'copy.txt') as tmp: shutil.copy(Path(d)/'not_there.txt', tmp)
        except FileNotFoundError as e: missing = Path(e.filename).name
        def _nowhere():
            with atomic_path(Path(d)/'copy.txt') as tmp: (tmp/'deeper.txt').write_text('x')           # there is no such folder
        test_fail(_nowhere, contains="cannot write")
        left = os.listdir(d)
    test_eq((missing, left), ('not_there.txt', []))

    # cell 43
    with tempfile.TemporaryDirectory() as d:
        write_json(Path(d)/'a.json', dict(n=np.int64(3), acc=np.float32(.5), rows=np.arange(2)))
        back = read_json(Path(d)/'a.json')
        (Path(d)/'bad.json').write_text('{"n": ')
        test_fail(lambda: read_json(Path(d)/'bad.json'), contains='bad.json')
        test_fail(lambda: read_json(Path(d)/'none.json'), contains='does not exist')
    back

    # cell 44
    test_eq(back, dict(n=3, acc=.5, rows=[0, 1]))


def test_progress_and_chance():
    "Progress and chance"
    # cell 47
    test_eq(list(progress(range(3), desc='counting')), [0, 1, 2])
    test_eq(sum(progress((i for i in range(4)), total=4)), 6)

    # cell 49
    def _shown(loop):
        "What was shown first and last of the bar in a loop"
        with mock.patch.multiple(
            fastprogress, IN_NOTEBOOK=True, progress_bar=fastprogress.NBProgressBar
        ), mock.patch('IPython.display.display') as display:
            with contextlib.suppress(ZeroDivisionError): loop()
            return [c.args[0] for c in display.return_value.update.call_args_list]
    def _body():
        for i in progress(range(3)): 1/(2 - i)
    def _items():
        for i in progress((1/(2 - i) for i in range(3)), total=3): pass
    def _leave():
        for i in progress(range(3)):
            if i == 1: break
    for loop in (_body, _items, _leave, lambda: list(progress(range(3)))):
        shown = _shown(loop)
        assert '33.33%' in str(shown) and isinstance(shown[-1], HTML) and not shown[-1].data

    # cell 54
    test_eq(rng(1, 2).integers(100, size=5), rng(1, 2).integers(100, size=5))
    assert (rng(1, 2).random(50) != rng(1, 3).random(50)).all()
    set_seed(3)
    a = torch.rand(2)
    set_seed(3)
    test_eq(a, torch.rand(2))
    for seed in (-1, 1.5, None, '3'):
        test_fail(lambda: rng(2, seed), contains='zero or a positive integer')
        test_fail(lambda: set_seed(seed), contains='zero or a positive integer')


def test_memory_that_is_kept():
    "Memory that is kept"
    # cell 58, in part
    def cleared(first, **env):
        code = f'import resource, numpy as np; from alignet.core import keep_memory; done = {first}; pages = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt; np.ones(1 << 23); at = pages()\nfor _ in range(9): np.ones(1 << 23)\nprint(done, pages() - at)'
        own = {
            k: v for k, v in os.environ.items() if not k.startswith('MALLOC_') and k != 'GLIBC_TUNABLES'
        }
        done, n = subprocess.run(
            [sys.executable, '-c', code], env=own | env, capture_output=True, text=True, check=True
        ).stdout.split()
        return done == 'True', int(n)
    GLIBC = platform.libc_ver()[0] == 'glibc'
    kept, plain, left = (
        cleared('keep_memory()'), cleared('False'),
        cleared('keep_memory()', MALLOC_TRIM_THRESHOLD_='131072'),
    )

    # cell 59
    # whoever has set one of glibc's variables keeps it
    assert kept[0] == GLIBC and not plain[0] and not left[0]
    if GLIBC: assert kept[1] < plain[1] / 10 and plain[1] > 100


def test_triplets():
    "Triplets"
    # cell 64
    for bad, why in [
        ([[0, 1, 4]], 'outside the set of 4'), ([[0, 1, -1]], 'negative'),
        ([[2, 1, 2]], 'repeat an object'), ([[0, 1]], 'shape'), ([[0.0, 1.0, 2.0]], 'integers'),
    ]:
        test_fail(lambda: check_triplets(bad, n=4), contains=why)
    test_eq(check_triplets([]).shape, (0, 3))

    # cell 68
    for bad, why in [
        ([[0.5, 0.5]], 'shape'), ([[1, 0, 0], [0.5, 0.5, 0.5]], '1 of 2 rows do not sum to one'),
        ([[2, -1, 0]], 'negative'), ([[np.nan, 0.5, 0.5]], 'NaN'),
    ]:
        test_fail(lambda: check_probs(bad), contains=why)
    test_fail(lambda: check_probs([[1, 0, 0]], t=2), contains='(2, 3)')
    test_eq(check_probs(torch.tensor([[.5, .25, .25]] * 2).bfloat16(), 2).dtype, np.float64)
    test_eq(check_triplets(torch.tensor([[0, 1, 2]]), n=3), np.array([[0, 1, 2]]))


def test_similarities():
    "Similarities"
    # cell 73, in part
    a = np.deg2rad([0, 12, 60, 72, 30, 42])
    pts = (
        np.stack([np.cos(a), np.sin(a)], 1).astype(np.float32)
        * np.array([1, 1, 1, 1, 3, 3], np.float32)[:, None]
    )

    # cell 74
    # the cosine of the angle between
    test_close(pair_sims(pts, 'cosine'), np.cos(a[:, None] - a[None]), eps=1e-6)
    test_close(
        pair_sims(pts, 'centred'), 1 - cdist(pts - pts.mean(0), pts - pts.mean(0), 'cosine'), eps=1e-5
    )
    test_fail(lambda: pair_sims(pts, 'euclid'), contains='choose one of')
    test_fail(lambda: pair_sims(np.array([[0., np.nan]])), contains='NaN')
    for dtype in (torch.float16, torch.bfloat16):
        test_eq(pair_sims(torch.tensor(pts).to(dtype)), pair_sims(torch.tensor(pts).to(dtype).float()))

    # cell 80
    X = rng(0).normal(size=(40, 8))
    T = np.stack([rng(1, i).choice(40, 3, replace=False) for i in range(200)])
    slow = np.array([[X[i] @ X[j], X[i] @ X[k], X[j] @ X[k]] for i, j, k in T])
    few = T[:20]
    for t, limit in [(T, 8192), (T, 16), (np.tile(T, (20, 1)), 16), (few, 8)]:
        test_close(
            triplet_sims(X, t, limit=limit),
            np.array([[X[i] @ X[j], X[i] @ X[k], X[j] @ X[k]] for i, j, k in t]), eps=1e-5,
        )
    test_close(_pair_values(X.astype(np.float32), T[:, 0], T[:, 1], limit=4), slow[:, 0], eps=1e-5)


def test_choice_probabilities():
    "Choice probabilities"
    # cell 85
    s = rng(2).normal(size=(50, 3)) * 30
    test_close(choice_probs(s, tau=2.), softmax(s / 2, axis=1), eps=1e-5)
    test_close(choice_probs(torch.tensor(s, dtype=torch.float16)).sum(1), torch.ones(50), eps=1e-5)
    test_eq(choice_probs(torch.tensor(s, dtype=torch.bfloat16)).dtype, torch.float32)
    # no overflow
    test_close(choice_probs(np.array([[1e4, 0, -1e4]])), np.array([[1, 0, 0]]), eps=1e-6)
    test_fail(lambda: choice_probs(s, tau=0), contains='above zero')
    hole = s.copy()
    hole[7, 1] = np.nan
    for o in (hole, torch.tensor(hole), torch.tensor(hole).half()):
        test_fail(lambda: choice_probs(o), contains='sims: 1 of 50 rows hold NaN; the first is row 7')


def test_accuracy_with_honest_ties():
    "Accuracy, with honest ties"
    # cell 73, in part
    a = np.deg2rad([0, 12, 60, 72, 30, 42])
    pts = (
        np.stack([np.cos(a), np.sin(a)], 1).astype(np.float32)
        * np.array([1, 1, 1, 1, 3, 3], np.float32)[:, None]
    )

    # cell 80, in part
    X = rng(0).normal(size=(40, 8))
    T = np.stack([rng(1, i).choice(40, 3, replace=False) for i in range(200)])

    # cell 93
    test_close(ooo_accuracy(pts, [[0, 1, 2], [2, 3, 0], [0, 2, 1]]), 2/3)
    # constant features know nothing
    test_eq(ooo_accuracy(np.ones((4, 3)), [[0, 1, 2], [1, 2, 3]]), 0.)
    test_eq(ooo_accuracy(np.zeros((4, 3)), [[0, 1, 2], [1, 2, 3]]), 0.)
    noise = rng(5).normal(size=(60, 20))
    many = np.stack([rng(6, i).choice(60, 3, replace=False) for i in range(3000)])
    # random features are at chance
    assert abs(ooo_accuracy(noise, many) - CHANCE) < .04
    sl = triplet_sims(X, T)
    test_eq(is_correct(sl), np.array([r[0] > r[1] and r[0] > r[2] for r in sl]))
    test_fail(lambda: ooo_accuracy(noise, []), contains='no triplets')
    # half precision: as float32 on the same numbers
    for dtype in (torch.float16, torch.bfloat16):
        h = torch.tensor(noise).to(dtype)
        test_eq(ooo_accuracy(h, torch.tensor(many)), ooo_accuracy(h.float().numpy(), many))
        test_eq(
            is_correct(torch.tensor(sl).to(dtype)),
            is_correct(torch.tensor(sl).to(dtype).float().numpy()),
        )


def test_a_row_with_the_odd_one_last():
    "A row with the odd one last"
    # cell 80, in part
    X = rng(0).normal(size=(40, 8))
    T = np.stack([rng(1, i).choice(40, 3, replace=False) for i in range(200)])

    # cell 96, in part
    tl, sl = odd_last(T, triplet_sims(X, T))

    # cell 97
    # the similarities still belong to their triplets
    test_close(triplet_sims(X, tl), sl, eps=1e-5)
    assert (sl[:, 0] >= sl[:, 1:].max(1)).all() and (np.sort(tl) == np.sort(T)).all()
    hole = sl.copy()
    hole[7, 1] = np.nan
    test_fail(lambda: odd_last(T, hole), contains='sims: 1 of 200 rows hold NaN; the first is row 7')
