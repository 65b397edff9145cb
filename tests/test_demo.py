"""Tests of `alignet.demo`.

Generated from nbs/09_demo.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import contextlib
from pathlib import Path
import numpy as np
import torch
from alignet.core import *
import io
import os
import tempfile
import timm
from fastcore.test import test_eq, test_close, test_fail
import shutil
from alignet.demo import *

NOTEBOOK = 'nbs/09_demo.ipynb'     # a test runs in the folder of its notebook


def test_settings():
    "Settings"
    # cell 11
    test_eq(demo_settings('things', seeds=1).seeds, 1)
    test_fail(lambda: demo_settings('mars'), contains='choose one of')
    test_fail(lambda: demo_settings('things', sed=1), contains='seeds')
    test_fail(lambda: demo_settings('things', seeds=0), contains='seeds=0 must be at least 1')


def test_stations_that_are_passed_only_once():
    "Stations that are passed only once"
    # cell 23, in part
    with tempfile.TemporaryDirectory() as d:
        (Path(d)/'h.txt').write_text('animal dog\ndog beagle\nanimal cat\n')
        found = kinds_of(
            Path(d) / 'h.txt', dict(dog='Dog', animal='Animal'), ['beagle', 'cat', 'dog', 'stone']
        )

    # cell 24
    test_eq(found, dict(beagle=['Dog'], cat=['Animal'], dog=['Dog']))
    test_fail(lambda: kinds_of('nowhere.txt', {}, []), contains='nowhere.txt')

    # cell 31, in part
    r = rng(0)
    A, B = r.normal(size=(60, 5)).astype(np.float32), 3 * r.normal(size=(60, 9)).astype(np.float32)
    M = match_entropy(A, B)
    trips = np.stack([rng(9, i).choice(60, 3, replace=False) for i in range(4000)])
    ent = lambda Z: float(
        (-(p := choice_probs(triplet_sims(Z, trips))) * np.log(p + 1e-12)).sum(1).mean()
    )

    # cell 32
    assert abs(ent(M) - ent(B)) < .03 < abs(ent(A) - ent(B))
    # only the scale has changed
    test_close(pair_sims(M, 'cosine'), pair_sims(A, 'cosine'), eps=1e-4)


def test_a_short_walk():
    "A short walk"
    # cell 49, in part
    short = dict(objects=200, seeds=1, epochs=2, steps=6, n_labels=500, shots=2)
    tmp = tempfile.TemporaryDirectory()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        r = run_demo(tmp.name, 'offline', **short)

    # cell 50, in part
    made = sorted(p.name for p in Path(tmp.name).iterdir())

    # cell 51
    test_eq(made, ['held-out.txt', 'model', 'report.html', 'results.json', 'work'])
    assert {'base', 'control', 'aligned', 'teacher'} == set(r['table'].index) and r['table'][
        'odd-one-out'
    ].between(CHANCE, 1).all()
    assert (
        '<b>simulated</b>' in r['report'].read_text()
        or '<strong>simulated</strong>' in r['report'].read_text()
    )
    # what a user does
    model = timm.create_model(f'local-dir:{tmp.name}/model', pretrained=True, num_classes=0)
    test_eq(model(torch.zeros(1, 3, 128, 128)).shape, (1, 1280))


def test_the_parts_share_nothing():
    "The parts share nothing"
    # cell 49, in part
    short = dict(objects=200, seeds=1, epochs=2, steps=6, n_labels=500, shots=2)
    tmp = tempfile.TemporaryDirectory()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        r = run_demo(tmp.name, 'offline', **short)

    # cell 55
    w = r['demo'].world
    for seed in range(3):
        s = w.splits(seed)
        assert (
            not set(s.test) & set(s.teacher)
            and not set(s.test) & set(s.dev)
            and not set(s.dev) & set(s.teacher)
        )
        shown = set(w.items.set_index('file').object[s.pool])
        assert not shown & set(s.test + s.dev) and s.dev == w.splits(0).dev
    len(s.teacher), len(s.dev), len(s.test), len(s.pool)

    # cell 57
    test_eq((r['demo'].out/'held-out.txt').read_text().split('\n')[:-1], list(w.splits(0).test))


def test_walking_on():
    "Walking on"
    # cell 49, in part
    short = dict(objects=200, seeds=1, epochs=2, steps=6, n_labels=500, shots=2)
    tmp = tempfile.TemporaryDirectory()

    # cell 60, in part
    def walk_again():
        "Walk, walk again, then once more without the aligned model; are the results the same?"
        with tempfile.TemporaryDirectory() as d, contextlib.redirect_stdout(io.StringIO()):
            results, demo = Path(d)/'results.json', run_demo(d, 'offline', **short)['demo']
            before = results.read_text()
            run_demo(d, 'offline', **short)
            same = results.read_text() == before
            for name in ('aligned', 'aligned-features'): shutil.rmtree(demo.folder(0)/name)
            run_demo(d, 'offline', **short)
            return same, results.read_text() == before

    again = walk_again()

    # cell 61
    test_eq(again, (True, True))

    # cell 63
    with tempfile.NamedTemporaryFile() as f:
        test_fail(lambda: run_demo(f.name, 'offline'), contains='choose another path')
    test_fail(lambda: run_demo(tmp.name, 'atlantis'), contains='choose one of offline, things')
    env = os.environ.pop('ALIGNET_DATA', None)
    with tempfile.TemporaryDirectory() as d:
        write_json(Path(d)/'results.json', dict(settings=dict(world='offline')))
        test_fail(lambda: run_demo(d, 'things'), contains="holds the results of the world 'offline'")
    test_fail(lambda: run_demo(f'{tmp.name}/people', 'things'), contains='ALIGNET_DATA')
    if env: os.environ['ALIGNET_DATA'] = env
    tmp.cleanup()
