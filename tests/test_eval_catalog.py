"""Tests of `alignet.eval.catalog`.

Generated from nbs/eval/catalog.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import dataclasses
import json
import os
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from torch import nn
from alignet import __version__
from alignet.core import *
from alignet.data import ImageSet, offline_world, things_world, Judgements
from alignet.features import Backbone, extract_features, create_backbone
from alignet.evaluation import ece, fit_probe, _draw_shots, _with_truth
from alignet.eval.rsa import compare_rsa, HumanRDM
from alignet.eval.hierarchy import Taxonomy, hierarchy_change
from alignet.eval.levels import score_levels, compare_levels, simulated_levels
from alignet.eval.shift import imagenet_classes, imagenet_photos, load_shift, score_shift_probe, ShiftedImages
import shutil
import sys
import tempfile
from unittest import mock
from scipy import stats
from fastcore.test import test_eq, test_close, test_fail
from IPython.display import display
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torchvision.datasets import ImageFolder
from sklearn.metrics import brier_score_loss
from alignet.eval.catalog import *
from alignet.eval.catalog import _NOT_HELD, _as_model, _item, _name_models, _ratio_ci, _row, _style_split

NOTEBOOK = 'nbs/eval/catalog.ipynb'     # a test runs in the folder of its notebook


def test_a_task_one_data_set_one_measure():
    "A task: one data set, one measure"
    # cell 13, in part
    r = rng(0)
    groups = np.repeat(np.arange(20), 15)
    values = r.normal(size=20)[groups] + .1 * r.normal(size=300)

    # cell 15
    low, high = cluster_ci(values, groups)
    means = values.reshape(20, 15).mean(1)
    test_close((high - low) / (2 * stats.t.ppf(.975, 19)), means.std(ddof=1) / np.sqrt(20), eps=.03)
    # every item its own group
    low1, high1 = cluster_ci(values, np.arange(300), n_boot=4000)
    test_close((high1 - low1) / (2 * 1.96), values.std() / np.sqrt(300), eps=.005)
    assert np.isnan(cluster_ci(values, np.zeros(300))).all()
    test_fail(lambda: cluster_ci(values, groups[:5]), contains='one group for each value')


def test_odd_one_out_and_how_sure():
    "Odd one out, and how sure"
    # cell 22, in part
    world = offline_world(size=64, n_objects=120, n_triplets=1500)
    held = _with_truth(world)
    photos = world.photos(held.names)
    kind = world.items.set_index('file').loc[photos]
    E = np.concatenate(
        [pd.get_dummies(kind[c]).to_numpy(np.float32) for c in ('group', 'subgroup')], 1
    ) + 0.01 * rng(2).normal(size=(len(photos), 1))
    fake = {
        'truth': dict(zip(photos, E)),
        'noise': dict(zip(photos, rng(1).normal(size=E.shape).astype(np.float32))),
    }
    group = world.items.set_index('file').group[photos].tolist()
    odd, sure = odd_one_out_tasks(
        held, world.images, photos, 'toy', ceiling=float(held.probs.max(1).mean()), groups=group,
        min_trials=20,
    )
    rows, items, _ = odd.run(fake)

    # cell 23
    got = pd.DataFrame(rows).set_index(['model', 'measure']).value
    X = np.stack([fake['noise'][f] for f in photos])
    test_close(got['noise', 'accuracy, dot'], ooo_accuracy(X, held.triplets, 'dot'))
    assert got['truth', 'accuracy, dot'] > .5 > got['noise', 'accuracy, dot'] > .25
    assert got['truth', 'accuracy, people decided'] > got['truth', 'accuracy, people undecided']
    rows, items, _ = sure.run(fake)
    rows = pd.DataFrame(rows).set_index(['model', 'measure']).value
    assert (
        rows['truth', 'Brier score'] < rows['noise', 'Brier score'] < 0.7
        and items[0]['better'] == 'low'
    )
    test_close(rows['noise', 'Brier score'], items[0]['values']['noise'].mean())
    test_fail(
        lambda: odd_one_out_tasks(held, world.images, photos[:5]),
        contains='one picture for each object',
    )

    # cell 25
    bare = Judgements(held.triplets, held.names)
    t = bare.triplets
    D = E @ E.T
    cues = np.exp(np.stack([D[t[:, 0], t[:, 1]], D[t[:, 0], t[:, 2]], D[t[:, 1], t[:, 2]]], 1))
    by_hand = (cues / cues.sum(1, keepdims=True)).max(1)
    sure, whence = certainty_of(bare, E)
    test_close(sure, by_hand, eps=1e-5)
    assert 'no independent measurement' in whence
    task = odd_one_out_tasks(bare, world.images, photos, 'toy', min_trials=20, embedding=E)[0]
    rows = pd.DataFrame(task.run(fake, n_boot=50)[0]).set_index(['model', 'measure'])
    last = by_hand > np.quantile(by_hand, 2/3)
    right = is_correct(triplet_sims(np.stack([fake['noise'][f] for f in photos]), t, 'cosine'))
    test_close(rows.value['noise', 'accuracy, people decided'], right[last].mean())
    test_eq(rows.n['noise', 'accuracy, people decided'], last.sum())
    assert (
        'was fitted to people' in task.notes
        and 'people' not in odd_one_out_tasks(bare, world.images, photos, 'toy')[0].notes
    )
    asked = Judgements(
        [[0, 1, 2]] * 4 + [[2, 1, 0]] + [[3, 4, 5]] * 2 + [[1, 3, 5], [5, 3, 1], [3, 1, 5]], held.names
    )
    np.testing.assert_allclose(certainty_of(asked)[0], [.8] * 5 + [np.nan] * 2 + [2/3] * 3)
    test_eq(certainty_of(asked[:3][[0]])[0], None)
    test_eq(certainty_of(held), (held.probs.max(1), ''))
    test_fail(lambda: certainty_of(bare, E[:5]), contains='one row for each')


def test_few_shot_probes():
    "Few-shot probes"
    # cell 22, in part
    world = offline_world(size=64, n_objects=120, n_triplets=1500)

    # cell 31, in part
    colour = world.items[world.items['style'] == 'colour']
    colour = colour[colour.group.map(colour.group.value_counts()) > 5]
    probe = few_shot_task(world.images, dict(zip(colour.file, colour.group)), ks=(3,), draws=1)
    r = rng(5)
    shown = {
        m: {
            f: (np.eye(30)[hash_ % 30] * s + r.normal(size=30)).astype(np.float32)
            for f, hash_ in zip(colour.file, pd.factorize(colour.group)[0])
        }
        for m, s in (('clear', 4.0), ('faint', 1.0))
    }
    rows = pd.DataFrame(probe.run(shown)[0])

    # cell 32
    files, y = probe.files, np.array([dict(zip(colour.file, colour.group))[f] for f in probe.files])
    X = np.stack([shown['faint'][f] for f in files])
    train = _draw_shots(y, np.arange(len(y)), 3, rng(0, 63, 0))
    test = np.setdiff1d(np.arange(len(y)), train)
    C = fit_probe(X[train], y[train])[-1].C
    direct = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000)).fit(
        X[train], y[train]
    )
    value = rows.set_index(['model', 'measure']).value
    test_close(value['faint', '3-shot accuracy'], direct.score(X[test], y[test]))
    onehot = (y[test][:, None] == direct.classes_) * 1.
    test_close(
        value['faint', '3-shot Brier score'],
        ((direct.predict_proba(X[test]) - onehot) ** 2).sum(1).mean(), eps=1e-6,
    )
    assert value['clear', '3-shot accuracy'] > value['faint', '3-shot accuracy']
    test_fail(lambda: few_shot_task(world.images, {}), contains='no picture has a label')
    pairs = dict(zip(colour.file, colour.group))
    test_fail(
        lambda: few_shot_task(world.images, dict.fromkeys(pairs, 'all')),
        contains='at least two classes',
    )
    test_fail(lambda: few_shot_task(world.images, pairs, ks=(99,)), contains='too few in')
    test_eq(shot_settings(dict(ks=[10, 1])), dict(ks=(1, 10), draws=3, max_test=5000))
    test_eq(shot_settings(dict(ks=3, draws=2))['ks'], (3,))
    for bad, say in (
        (dict(k=5), "'k'"), (dict(ks=()), 'ks must be'), (dict(ks=(5, 5)), 'ks must be'),
        (dict(ks=(0,)), 'ks must be'), (dict(ks='5'), 'ks must be'), (dict(draws=0), 'draws must be'),
        (dict(max_test=2.5), 'max_test must be'), (5, 'must be a dictionary'),
    ):
        test_fail(lambda: shot_settings(bad), contains=say)

    # cell 34
    try: from torchmetrics.functional.classification import multiclass_calibration_error
    except ImportError: multiclass_calibration_error = None

    # cell 35
    r = rng(8)
    P = r.dirichlet(np.ones(7) * .5, 4000).astype(np.float32)
    truth = np.array([r.choice(7, p=p / p.sum()) for p in P.astype(np.float64)])
    claim, hit = P.max(1), P.argmax(1) == truth
    if multiclass_calibration_error:
        for bins in (5, 10, 15):
            test_close(
                ece(claim, hit, bins),
                float(
                    multiclass_calibration_error(
                        torch.tensor(P), torch.tensor(truth), 7, n_bins=bins, norm='l1'
                    )
                ),
                eps=1e-5,
            )
    else:
        print(
            'calibration error not compared: torchmetrics is not installed (pip install torchmetrics)'
        )
    test_close(
        ((P - np.eye(7)[truth]) ** 2).sum(1).mean(),
        brier_score_loss(truth, P / P.sum(1, keepdims=True), labels=range(7), scale_by_half=False),
        eps=1e-5,
    )


def test_shift_hierarchy_similarity_judgements():
    "Shift, hierarchy, similarity judgements"
    # cell 22, in part
    world = offline_world(size=64, n_objects=120, n_triplets=1500)
    held = _with_truth(world)
    photos = world.photos(held.names)
    kind = world.items.set_index('file').loc[photos]
    E = np.concatenate(
        [pd.get_dummies(kind[c]).to_numpy(np.float32) for c in ('group', 'subgroup')], 1
    ) + 0.01 * rng(2).normal(size=(len(photos), 1))
    fake = {
        'truth': dict(zip(photos, E)),
        'noise': dict(zip(photos, rng(1).normal(size=E.shape).astype(np.float32))),
    }

    # cell 45, in part
    some = photos[:24]
    S = np.stack(
        [pair_sims(E[:24] + 0.5 * rng(i, 3).normal(size=E[:24].shape), 'cosine') for i in range(6)]
    )
    human = HumanRDM.from_matrix(
        S, some, 'similarity', symmetrise=True, simulated=True, images=world.images.subset(some)
    )
    two = {m: (photos, np.stack([fake[m][f] for f in photos])) for m in ('noise', 'truth')}
    made = pd.DataFrame(
        {
            i['measure']: i['pair']('noise', 'truth')
            for i in rsa_task(human, 'toy').run(two, n_boot=400)[1]
        }
    ).T
    direct = compare_rsa(two['noise'], two['truth'], human, n_boot=400)

    # cell 46
    for m in direct.index:
        test_close(
            made.loc[m, ['gain', 'low', 'high']].astype(float).to_numpy(),
            direct.loc[m, ['gain', 'low', 'high']].astype(float).to_numpy(), eps=1e-9,
        )
    levels, X, _ = simulated_levels(people=20, per_kind=30)
    levels.images = world.images
    pairs = {'mind': (levels.files, X), 'noise': (levels.files, rng(4).normal(size=X.shape))}
    rows, items, _ = levels_task(levels).run(pairs, n_boot=200)
    assert 'people' in rows[0] and not np.isnan(rows[0]['people'])
    t = compare_levels(
        *(score_levels(pairs[m], levels, n_boot=200) for m in ('noise', 'mind')), n_boot=200
    )
    it = next(i for i in items if i['measure'] == 'answers: coarse')
    test_close(
        (it['values']['mind'] - it['values']['noise']).mean(), float(t.loc['answers: coarse', 'gain']),
        eps=1e-6,
    )
    six = ShiftedImages(
        'imagenet-a', world.images.subset(photos[:6]), ['c0', 'c1'], np.array([0, 0, 0, 1, 1, 1]),
        [[0], [1]],
    )
    W = rng(6).normal(size=(1000, E.shape[1])).astype(np.float32)
    rows, items, _ = head_task(six).run({'truth': fake['truth']}, heads={'truth': (W, None)})
    L = np.stack([fake['truth'][f] for f in photos[:6]]) @ W.T
    test_close(rows[0]['value'], np.mean([(L[:3, 0] > L[:3, 1]).mean(), (L[3:, 1] > L[3:, 0]).mean()]))
    test_eq((items, head_task(six).run({'truth': fake['truth']}, heads={})[0]), ([], []))
    low, high = _ratio_ci(np.full(400, .4), np.linspace(.5, .8, 400))
    test_close(
        [low, high],
        [
            0.4 / np.quantile(np.linspace(0.5, 0.8, 400), 0.975),
            0.4 / np.quantile(np.linspace(0.5, 0.8, 400), 0.025),
        ],
        eps=1e-3,
    )
    assert np.isnan(_ratio_ci(np.full(400, .4), np.linspace(-.1, .8, 400))).all()
    test_fail(
        lambda: head_task(
            dataclasses.replace(six, classes=['c0'], y=np.zeros(6, int), outputs=[[0, 1]])
        ),
        contains='one class only',
    )

    # cell 48
    wnids = imagenet_classes()
    r = rng(14)
    centres = {c: 2 * r.normal(size=8) for c in (wnids[6], wnids[11], wnids[207])}
    with tempfile.TemporaryDirectory() as d:
        sets = {
            k: ImageSet(d, [f'{k}/{c}/{i}.jpg' for c in centres for i in range(n)])
            for k, n in (('train', 12), ('val', 6), ('set', 9))
        }
    near = lambda f, noise: (centres[Path(f).parent.name] + noise * r.normal(size=8)).astype(np.float32)
    told = {k: {f: Path(f).parent.name for f in v.names} for k, v in sets.items()}
    points = {
        m: {f: near(f, far * (3 if k == 'set' else 1)) for k, v in sets.items() for f in v.names}
        for m, far in (('sharp', 0.6), ('dull', 1.5))
    }
    moved = ShiftedImages(
        'imagenet-a', sets['set'], list(centres), np.repeat(range(3), 9), [[6], [11], [207]]
    )
    task = probe_task(moved, (sets['train'], told['train']), (sets['val'], told['val']), most=30)
    rows, items, _ = task.run(points, n_boot=100, others={'train': points, 'held_out': points})
    got = pd.DataFrame(rows).set_index(['model', 'measure']).value
    fit = task.others['train'][1]
    direct = score_shift_probe(
        (np.stack([points['dull'][f] for f in fit]), [told['train'][f] for f in fit]), points['dull'],
        moved, n_boot=100, Cs=(1e-3, 1e-2, 0.1),
    )['table']
    test_close(got['dull', 'probe accuracy among 3 classes'], direct.value[0])
    test_eq((len(fit), len(items[0]['values']['dull'])), (30, 3))
    test_close(items[0]['values']['dull'].mean(), direct.value[0])
    assert (
        got['sharp', 'probe accuracy among 3 classes']
        > got['dull', 'probe accuracy among 3 classes']
        > 1 / 3
        and got['dull', 'drop'] > 0
    )
    test_fail(
        lambda: probe_task(
            moved, (sets['train'], {f: c for f, c in told['train'].items() if c != wnids[11]})
        ),
        contains=f"1 of 3 classes to fit on, such as ['{wnids[11]}']",
    )


def test_finding_data():
    "Finding data"
    # cell 22, in part
    world = offline_world(size=64, n_objects=120, n_triplets=1500)
    held = _with_truth(world)

    # cell 48, in part
    wnids = imagenet_classes()

    # cell 70, in part
    tasks, left = tasks_of(world)

    # cell 72
    assert {t.suite for t in tasks} >= {
        'odd_one_out', 'calibration', 'few_shot', 'hierarchy', 'shift',
    } and set(left.suite) >= {'rsa', 'levels'}
    assert all('simulated' in t.notes.lower() for t in tasks)
    split = _style_split(
        world, world.items[world.items.object.isin(held.names) & (world.items.group != '')], 0
    ).items
    seen = {
        p: set(world.items.set_index('file').object[split.file[split.part == p]])
        for p in ('fit', 'source', 'target')
    }
    # other objects than it learnt from, the same in both styles
    assert seen['source'] == seen['target'] and not seen['fit'] & seen['target']
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        few, _ = tasks_of(d, 'few_shot')
        test_eq((few[0].suite, len(few[0].files)), ('few_shot', 14))
        test_fail(lambda: tasks_of([d, few[0]]), contains='rename a folder')
        test_fail(lambda: tasks_of(Path(d)/'nowhere'), contains='is no folder')
    test_fail(lambda: tasks_of(world, 'odd'), contains='choose among odd_one_out')

    # cell 74
    def fill(root, per):
        for c, n in per.items():
            for k in range(n):
                (Path(root)/c).mkdir(parents=True, exist_ok=True)
                world.images[k].resize((16, 16)).save(Path(root)/c/f'{k}.png')
    def why(root, suite): return tasks_of(root, suite)[1].set_index('data')['why it was left out']
    with tempfile.TemporaryDirectory() as d:
        fill(f'{d}/loose', {'.': 3})
        fill(f'{d}/one', dict(cat=8))
        fill(f'{d}/few', dict(cat=8, dog=3, cow=5))
        fill(f'{d}/good', dict(cat=8, dog=7, cow=5))
        for o, say in (
            ('loose', 'no folders of them'), ('one', '1 class with more than 5'),
            ('few', "such as 'cow'"),
        ):
            assert say in why(f'{d}/{o}', 'few_shot')[o], why(f'{d}/{o}', 'few_shot')[o]
        good = tasks_of(f'{d}/good', few_shot=dict(draws=1))[0][0]
        assert (
            len(good.files) == 15
            and '1 classes with at most 5 pictures left out' in good.notes
            and len(good.whole) == 20
        )
        test_eq(len(tasks_of(f'{d}/good', few_shot=dict(ks=4))[0][0].files), 20)
        fill(f'{d}/parts', {'train/cat': 7, 'train/dog': 7, 'test/cat': 7})
        test_fail(lambda: folder_tasks(f'{d}/parts'), contains="class folder 'cat' more than once")
        test_eq(len(folder_tasks(f'{d}/parts/train')[0].files), 14)
        fill(f'{d}/set/imagenet-a', dict(n99999999=2))
        fill(f'{d}/set/imagenet-r', {wnids[1]: 2})
        fill(f'{d}/set/imagenet/train', dict(dog=1))
        fill(f'{d}/set/imagenet-sketch', {wnids[1]: 1, wnids[2]: 1})
        shown_why = why(f'{d}/set', 'shift')
    assert (
        'n99999999' in shown_why['imagenet-a']
        and 'one class only' in shown_why['imagenet-r']
        and "'dog'" in shown_why['imagenet-sketch, probe']
        and 'imagenet-sketch' not in shown_why
        and 'class_hierarchy.txt' in shown_why['BREEDS living-17']
    )

    # cell 76
    some = sorted(held.names)[::2]
    rest = sorted(set(held.names) - set(some))
    of = world.items.set_index('file').object
    kept, every = tasks_of(world, objects=some)[0], tasks_of(world, objects=some, restrict=False)[0]
    assert {o for t in kept for o in of[t.files]} <= set(some) and all(
        _NOT_HELD not in t.notes for t in kept
    )
    freed = [t for t in every if t.suite in ('few_shot', 'hierarchy', 'shift')]
    assert (
        freed
        and all(_NOT_HELD in t.notes for t in freed)
        and set(rest) & {o for t in freed for o in of[t.files]}
    )
    test_eq(next(t for t in every if t.suite == 'odd_one_out').judgements.names, some)
    with tempfile.TemporaryDirectory() as d:
        fill(d, {rest[0]: 7, some[0]: 7, 'unheard_of': 7})
        both = [world, d]
        test_eq(
            [
                set(tasks_of(both, 'few_shot', **kw)[0][-1].groups.values())
                for kw in (dict(objects=some), dict(objects=some, restrict=False), {})
            ],
            [{some[0], 'unheard_of'}] + [{rest[0], some[0], 'unheard_of'}] * 2,
        )
        assert '7 of 21 pictures left out' in tasks_of(both, 'few_shot', objects=some)[0][-1].notes
        test_fail(lambda: tasks_of(d, objects=some), contains='no world among these data')
    test_fail(lambda: tasks_of(world, objects='apple'), contains='one string')
    test_fail(
        lambda: tasks_of(world, 'few_shot', objects=[*some, some[0] + 'x']),
        contains=f"'{some[0]}x' is no judged object",
    )

    # cell 78
    if os.environ.get('ALIGNET_DATA'):
        real = things_world()
        half = sorted(real.objects)[::2]
        out = set(real.objects) - set(half)
        got = {t.name: t for t in tasks_of(os.environ['ALIGNET_DATA'], objects=half)[0]}
        table = real.items.set_index('file').object
        for name, folder in (
            ('caltech101', 'caltech101'), ('caltech101, subclasses', 'caltech101'),
            ('ImageNet samples', 'imagenet/samples'),
        ):
            t = got[name]
            assert (
                t.files
                and not out & set(table[[f'{folder}/{f}' for f in t.files]])
                and len(t.files) < len(t.whole)
                and 'left out' in t.notes
            )
        odd = next(t for t in tasks_of(os.environ['ALIGNET_DATA'], 'odd_one_out', objects=half)[0])
        assert 'published VICE embedding' in odd.notes and odd.judgements.probs is None
        display(
            pd.Series(
                {n: f'{len(t.files):,} of {len(t.whole):,} pictures' for n, t in got.items() if t.whole}
            ).to_frame('left')
        )
    else: print('skipped: set ALIGNET_DATA to the data folder')

    # cell 80
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        wrapped = DatasetPictures(ImageFolder(d))
        task = few_shot_task(wrapped, wrapped.labels, 'torchvision', ks=(2,), draws=1)
        F = extract_features(
            create_backbone('test_efficientnet', pretrained=False), wrapped, size=32,
            path=Path(d) / 'store',
        )
        rows = task.run({'tiny': F})[0]
    part = wrapped.subset(wrapped.names[9:11])
    test_eq(
        (len(wrapped), set(wrapped.labels.values()), list(part.labels.values()), part.names),
        (14, {'a', 'b'}, ['b', 'b'], wrapped.names[9:11]),
    )
    test_eq(rows[0]['n'], 10)
    test_fail(lambda: DatasetPictures([(1, 2)]), contains='without a transform')
    # two datasets of one class
    one, other = (DatasetPictures([(world.images[i + k], 0) for i in range(9)]) for k in (0, 9))
    assert not set(one.names) & set(other.names)


def test_any_model():
    "Any model"
    # cell 89, in part
    net = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    mine = Backbone(
        net,
        'mine',
        data_config=dict(
            input_size=(3, 32, 32), mean=(0.5,) * 3, std=(0.5,) * 3, interpolation='bicubic',
            crop_pct=1.0,
        ),
    )

    # cell 90
    test_eq(mine.num_features, 48)
    class Pair(nn.Module):
        def forward(self, x):
            y = x.mean((2, 3))
            return y, y
    class Unwell(nn.Module):
        def forward(self, x): return x.mean((2, 3)) * float('nan')
    class Map(nn.Module):
        def forward(self, x): return x
    for broken, say in ((Pair(), 'Pair returns a tuple'), (Map(), 'not (images, features)')):
        test_fail(lambda: _name_models({'mine': broken}), contains=say)
        test_fail(lambda: _name_models({'mine': broken}), contains="model 'mine'")
    unwell = {'a.png': np.ones(3), 'b.png': np.array([1, np.nan, 1])}
    test_fail(lambda: _name_models({'mine': unwell}), contains="'b.png' hold NaN")
    test_fail(
        lambda: _name_models({'mine': (['a', 'b'], np.ones((3, 2)))}),
        contains='2 file names for 3 rows',
    )
    test_fail(
        lambda: _name_models({'mine': {'a.png': np.ones(3), 'b.png': np.ones(2)}}),
        contains='one length',
    )
    test_fail(lambda: _name_models([mine, mine]), contains='same name')
    test_fail(lambda: _as_model('mine.pth'), contains='a file of weights')
    test_fail(lambda: _as_model('./nowhere'), contains='no model in')
    test_fail(lambda: _name_models({'a.png': np.zeros(3)}), contains='name the model')
    test_eq(len(_name_models((['a', 'b'], np.zeros((2, 3))))), 1)
    test_fail(lambda: _name_models({}), contains='no models')
    test_fail(lambda: _name_models('vit_smal_patch16_224'), contains='vit_small_patch16_224')

    # cell 92
    try: import transformers
    except ImportError: transformers = None

    # cell 93
    if transformers:
        config = transformers.ViTConfig(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            image_size=32, patch_size=8,
        )
        vit = transformers.ViTModel(config).eval()
        tower = hf_backbone(
            vit,
            dict(
                size=dict(height=32, width=32), image_mean=[0.5] * 3, image_std=[0.25] * 3, resample=3
            ),
        )
        x = torch.rand(2, 3, 32, 32)
        with torch.no_grad(): test_close(tower(x), vit(pixel_values=x).pooler_output)
        test_eq(
            (
                tower.num_features, tower.input_size, tower.normalize[1],
                tower.data_config['interpolation'],
            ),
            (32, 32, (0.25,) * 3, 'bicubic'),
        )
    else: print('skipped: transformers is not installed (pip install transformers)')


def test_one_call():
    "One call"
    # cell 22, in part
    world = offline_world(size=64, n_objects=120, n_triplets=1500)
    held = _with_truth(world)
    photos = world.photos(held.names)

    # cell 31, in part
    colour = world.items[world.items['style'] == 'colour']
    colour = colour[colour.group.map(colour.group.value_counts()) > 5]

    # cell 48, in part
    wnids = imagenet_classes()

    # cell 70, in part
    tasks, left = tasks_of(world)

    # cell 72, in part
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        few, _ = tasks_of(d, 'few_shot')
        test_eq((few[0].suite, len(few[0].files)), ('few_shot', 14))
        test_fail(lambda: tasks_of([d, few[0]]), contains='rename a folder')
        test_fail(lambda: tasks_of(Path(d)/'nowhere'), contains='is no folder')

    # cell 74, in part
    def fill(root, per):
        for c, n in per.items():
            for k in range(n):
                (Path(root)/c).mkdir(parents=True, exist_ok=True)
                world.images[k].resize((16, 16)).save(Path(root)/c/f'{k}.png')
    def why(root, suite): return tasks_of(root, suite)[1].set_index('data')['why it was left out']
    with tempfile.TemporaryDirectory() as d:
        fill(f'{d}/loose', {'.': 3})
        fill(f'{d}/one', dict(cat=8))
        fill(f'{d}/few', dict(cat=8, dog=3, cow=5))
        fill(f'{d}/good', dict(cat=8, dog=7, cow=5))
        for o, say in (
            ('loose', 'no folders of them'), ('one', '1 class with more than 5'),
            ('few', "such as 'cow'"),
        ):
            assert say in why(f'{d}/{o}', 'few_shot')[o], why(f'{d}/{o}', 'few_shot')[o]
        good = tasks_of(f'{d}/good', few_shot=dict(draws=1))[0][0]
        assert (
            len(good.files) == 15
            and '1 classes with at most 5 pictures left out' in good.notes
            and len(good.whole) == 20
        )
        test_eq(len(tasks_of(f'{d}/good', few_shot=dict(ks=4))[0][0].files), 20)
        fill(f'{d}/parts', {'train/cat': 7, 'train/dog': 7, 'test/cat': 7})
        test_fail(lambda: folder_tasks(f'{d}/parts'), contains="class folder 'cat' more than once")
        test_eq(len(folder_tasks(f'{d}/parts/train')[0].files), 14)
        fill(f'{d}/set/imagenet-a', dict(n99999999=2))
        fill(f'{d}/set/imagenet-r', {wnids[1]: 2})
        fill(f'{d}/set/imagenet/train', dict(dog=1))
        fill(f'{d}/set/imagenet-sketch', {wnids[1]: 1, wnids[2]: 1})
        shown_why = why(f'{d}/set', 'shift')

    # cell 76, in part
    some = sorted(held.names)[::2]
    rest = sorted(set(held.names) - set(some))
    with tempfile.TemporaryDirectory() as d:
        fill(d, {rest[0]: 7, some[0]: 7, 'unheard_of': 7})
        both = [world, d]
        test_eq(
            [
                set(tasks_of(both, 'few_shot', **kw)[0][-1].groups.values())
                for kw in (dict(objects=some), dict(objects=some, restrict=False), {})
            ],
            [{some[0], 'unheard_of'}] + [{rest[0], some[0], 'unheard_of'}] * 2,
        )
        assert '7 of 21 pictures left out' in tasks_of(both, 'few_shot', objects=some)[0][-1].notes
        test_fail(lambda: tasks_of(d, objects=some), contains='no world among these data')

    # cell 80, in part
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        wrapped = DatasetPictures(ImageFolder(d))
        task = few_shot_task(wrapped, wrapped.labels, 'torchvision', ks=(2,), draws=1)
        F = extract_features(
            create_backbone('test_efficientnet', pretrained=False), wrapped, size=32,
            path=Path(d) / 'store',
        )
        rows = task.run({'tiny': F})[0]

    # cell 89, in part
    net = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    mine = Backbone(
        net,
        'mine',
        data_config=dict(
            input_size=(3, 32, 32), mean=(0.5,) * 3, std=(0.5,) * 3, interpolation='bicubic',
            crop_pct=1.0,
        ),
    )

    # cell 90, in part
    class Pair(nn.Module):
        def forward(self, x):
            y = x.mean((2, 3))
            return y, y
    class Unwell(nn.Module):
        def forward(self, x): return x.mean((2, 3)) * float('nan')

    # cell 115, in part
    set_seed(0)
    tiny = create_backbone('test_efficientnet', pretrained=False)
    report = evaluate({'tiny': tiny, 'mine': mine}, data=world, size=32, n_boot=300)

    # cell 117
    wide = report.wide()
    c = report.compare('tiny', 'mine')
    test_eq(report.models, ['tiny', 'mine'])
    assert (
        set(wide.suite) == {t.suite for t in tasks}
        and (c.low <= c.gain).all()
        and (c.gain <= c.high).all()
    )
    value = wide.set_index(['suite', 'measure']).mine['odd_one_out', 'accuracy, cosine']
    # the direct way
    F = extract_features(mine, world.images.subset(photos), size=32).get(photos)
    test_close(value, ooo_accuracy(F, held.triplets, 'cosine'))
    back = report.compare('mine', 'tiny')
    test_close(back.gain, -c.gain, eps=1e-9)
    assert (c.verdict == 'better').sum() == (back.verdict == 'worse').sum()
    test_fail(lambda: report.compare('tiny', 'other'), contains='it has tiny, mine')
    test_fail(lambda: report.compare(level=95), contains='between 0 and 1')
    assert 'NaN' not in report.to_json()
    test_fail(lambda: evaluate(mine, 'rsa', data=world), contains='there is no data for rsa')
    moved = (
        hierarchy_change(
            *(extract_features(m, world.images, size=32) for m in (tiny, mine)),
            Taxonomy.from_world(world),
            n_boot=50
        )
        .set_index('relation')
        .change
    )
    # the comparison is that of the chapter
    test_close(
        c[c.measure == 'distance, same superordinate'].gain.item(), moved['same superordinate'],
        eps=1e-6,
    )
    # features of some pictures only: the rest is left out, and said
    part = evaluate({'mine': (photos, F)}, data=world, n_boot=50)
    assert {'odd_one_out', 'calibration'} <= set(part.table.suite) and 'shift' in set(
        part.left_out.suite
    )
    only = evaluate([mine, tiny], 'pictures', data=world, size=32)
    assert len(only.figures) >= 3 and only.models[0] == 'mine'
    read = []
    class Counting(ImageSet):
        def __getitem__(self, i):
            read.append(i)
            return super().__getitem__(i)
    counted = [
        few_shot_task(
            Counting(world.images.root, colour.file.tolist()), dict(zip(colour.file, colour.group)),
            f'few {k}', ks=(k,), draws=1,
        )
        for k in (1, 2)
    ]
    with tempfile.TemporaryDirectory() as d:
        evaluate(mine, 'few_shot', data=counted, size=32, path=d)
        evaluate(mine, 'few_shot', data=counted[0], size=32, path=d)
    # each picture once, for two tasks and two calls
    test_eq(len(read), len(counted[0].files))
    # and for another choice of objects
    with tempfile.TemporaryDirectory() as d:
        read.clear()
        first, second = (
            dataclasses.replace(counted[0], files=counted[0].files[i::2], whole=counted[0].files)
            for i in (0, 1)
        )
        quick = lambda m, **kw: ([_row(n, 'x', 0) for n in m], [], [])
        for t in (first, second):
            evaluate(mine, 'few_shot', data=dataclasses.replace(t, run=quick), size=32, path=d)
    test_eq(len(read), len(counted[0].files))

    # cell 119
    def early(**kw):
        read.clear()
        evaluate(mine, data=counted[0], size=32, **kw)
    for kw, say in (
        (dict(suites=[]), 'suites is empty'), (dict(suites=['all', 'odd']), "no suite 'odd'"),
        (dict(n_boot=0), 'at least 1 resample'),
        (dict(few_shot=dict(max_test=1)), 'at least 2 pictures'),
        (dict(maps='mds'), "'pca', 'tsne', 'umap', or False"), (dict(maps=True), 'maps=True'),
        (dict(few_shot=dict(k=1)), "with 'k'"), (dict(few_shot=dict(ks=(1, 1))), 'ks must be'),
        (dict(objects=['apple']), 'no world among'),
    ):
        test_fail(lambda: early(**kw), contains=say)
        test_eq(read, [])
    # as if it were not installed
    with mock.patch.dict(sys.modules, umap=None):
        test_fail(lambda: early(suites='pictures', maps='umap'), contains='pip install umap-learn')
        test_eq(read, [])
    shots = evaluate(mine, 'few_shot', world, size=32, few_shot=dict(ks=(1, 3), draws=2), n_boot=50)
    test_eq(list(dict.fromkeys(m.split('-')[0] for m in shots.table.measure)), ['1', '3'])
    assert any('number of training pictures' in f[1] for f in shots.figures)
    plain = dict(
        data_config=dict(
            input_size=(3, 32, 32), mean=(0.5,) * 3, std=(0.5,) * 3, interpolation='bicubic',
            crop_pct=1.0,
        ),
        num_features=3,
    )
    for broken, say in ((Pair(), 'Pair returns a tuple'), (Unwell(), 'NaN')):
        for look in (say, "model 'ill'"):
            test_fail(
                lambda: evaluate(
                    {'mine': mine, 'ill': Backbone(broken, 'ill', **plain)}, 'few_shot', counted[0]
                ),
                contains=look,
            )
    with tempfile.TemporaryDirectory() as d:
        (Path(d)/'cat').mkdir()
        world.images[0].save(Path(d)/'cat'/'0.png')
        test_fail(lambda: evaluate(mine, 'few_shot', d), contains='a probe needs two')
        (Path(d)/'dog').mkdir()
        test_fail(lambda: evaluate(mine, 'few_shot', d), contains="without a picture, such as 'dog'")
    no_maps = evaluate([mine, tiny], 'pictures', data=world, size=32, maps=False)
    test_eq(len(no_maps.figures), len(only.figures) - 1)

    # cell 120
    drawn = evaluate({'tiny': tiny, 'mine': mine}, 'pictures', data=world, size=32, maps='tsne')
    fig, alt, caption = next(f for f in drawn.figures if 'maps' in f[1])
    assert caption.startswith('t-SNE')
    fig.set_dpi(72)
    display(fig)

    # cell 122, in part
    def paint(root, classes, n, dark=1., r=rng(21)):
        for k, c in ((wnids.index(c) if c in wnids else 0, c) for c in classes):
            for i in range(n):
                (Path(root)/c).mkdir(parents=True, exist_ok=True)
                Image.fromarray(
                    (
                        np.clip(np.eye(3)[k % 3] * 160 + 40 + r.normal(size=(24, 24, 3)) * 30, 0, 255)
                        * dark
                    ).astype(np.uint8)
                ).save(Path(root) / c / f'{c}_{i}.png')
    three = [wnids[i] for i in (6, 11, 208)]
    with tempfile.TemporaryDirectory() as d:
        paint(f'{d}/data/imagenet-a', three, 4, .6)
        paint(f'{d}/data/imagenet-r/imagenet-r', three[1:], 4, .7)
        paint(f'{d}/data/imagenet/train', [*three, wnids[500]], 8)
        paint(f'{d}/data/imagenet/val', three, 4)
        shifted = evaluate(
            {'tiny': tiny, 'mine': mine}, 'shift', f'{d}/data', size=32, n_boot=100, path=f'{d}/kept'
        )
        stores = [
            json.loads(f.read_text())['names'] for f in Path(f'{d}/kept').glob('mine*/names.json')
        ]
        photos_read = []
        class Seen(ImageSet):
            def __getitem__(self, i):
                photos_read.append(self.names[i])
                return super().__getitem__(i)
            def subset(self, names): return Seen(self.root, names)
        train, of = imagenet_photos(f'{d}/data/imagenet')
        train = Seen(train.root, train.names)
        two_sets = [
            probe_task(load_shift(n, f'{d}/data/{n}'), (train, of))
            for n in ('imagenet-a', 'imagenet-r')
        ]
        for _ in range(2): evaluate(mine, 'shift', two_sets, size=32, n_boot=50, path=f'{d}/again')
        # pictures of val in one flat folder
        shutil.rmtree(f'{d}/data/imagenet/val')
        paint(f'{d}/data/imagenet', ['val'], 2)
        flat = next(t for t in tasks_of(f'{d}/data', 'shift')[0] if t.name == 'imagenet-a, probe')
        (Path(d)/'data'/'imagenet'/'train'/three[0]).rename(f'{d}/away')
        lacking = tasks_of(f'{d}/data', 'shift')[1].set_index('data')['why it was left out']

    # cell 123
    got = shifted.table.set_index(['data', 'model', 'measure']).value.sort_index()
    assert {
        ('imagenet-a', 'tiny', 'accuracy among 3 classes'),
        ('imagenet-a, probe', 'tiny', 'probe accuracy among 3 classes'),
    } <= set(got.index) and 'mine' not in shifted.table[
        shifted.table.data == 'imagenet-a'
    ].model.tolist()
    assert got['imagenet-a, probe', 'mine', 'probe accuracy among 3 classes'] == got[
        'imagenet-r, probe', 'mine', 'probe accuracy among 2 classes'
    ] == 1 and {'probe accuracy without shift', 'drop'} <= set(got['imagenet-a, probe', 'mine'].index)
    c = shifted.compare()
    test_eq(set(c.data), {'imagenet-a, probe', 'imagenet-r, probe'})
    assert not (shifted.left_out.data == 'imagenet-a').any() and any(
        'linear probe on 24 ImageNet training photos' in n for n in shifted.notes
    )
    # once for two sets and two calls, and only classes that are asked about
    test_eq(len(photos_read), len(set(photos_read)))
    assert not any(wnids[500] in f for f in photos_read) and len(photos_read) == 24
    test_eq(list(flat.others), ['train'])
    test_eq(sum(any('train/' in f for f in s) for s in stores), 1)
    assert three[0] in lacking['imagenet-a, probe'] and not {'imagenet-a', 'imagenet-r, probe'} & set(
        lacking.index
    )

    # cell 125, in part
    def pair(gain, seed, G=40):
        r = rng(seed)
        g = np.repeat(np.arange(G), 5)
        x = r.normal(size=5 * G)
        return dict(
            suite='s',
            data='d',
            **_item(
                'm', dict(a=x, b=x + gain + r.normal(size=G)[g] * 0.2 + r.normal(size=5 * G) * 0.1),
                groups=g, unit='group',
            )
        )
    dummy = pd.DataFrame([dict(suite='s', data='d', **_row(n, 'm', 0)) for n in 'ab'])
    known = Evaluation(dummy, [pair(.3, 0), pair(0, 1)]).compare()
    told = {
        G: np.mean(
            [
                (
                    Evaluation(dummy, [pair(0, 100 + i, G)], n_boot=400).compare().verdict
                    != 'cannot tell'
                ).item()
                for i in range(400)
            ]
        )
        for G in (2, 3, 5, 10, 40)
    }

    # cell 126
    assert (
        known.low[0] < 0.3 < known.high[0]
        and known.verdict[0] == 'better'
        and all(0.01 < v < 0.1 for v in told.values())
    )
    test_eq(Evaluation(dummy, [pair(.3, 0, 1)]).compare().verdict.item(), 'cannot tell')
    with tempfile.TemporaryDirectory() as d:
        report.to_html(Path(d)/'r.html')
        report.to_json(Path(d)/'r.json')
        page, numbers = (Path(d)/'r.html').read_text(), read_json(Path(d)/'r.json')
    assert (
        'Left out' in page
        and 'SIMULATED' in page.upper()
        and page.count('<img') == page.count('alt="') >= 3
        and len(numbers['rows']) == len(report.table)
    )
    assert (
        numbers['about']['alignet'] == __version__
        and numbers['about']['date'][:2] == '20'
        and set(numbers['about']['data']) == set(report.table.data)
        and 'How it was made' in page
    )
