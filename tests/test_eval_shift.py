"""Tests of `alignet.eval.shift`.

Generated from nbs/eval/shift.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import pytest
import dataclasses
import os
from pathlib import Path
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from timm.data import ImageNetInfo
from alignet.core import *
from alignet.data import ImageSet, things_world
from alignet.eval.hierarchy import ClassTree
import tempfile
import zlib
import torch
from IPython.display import display
from PIL import Image
from fastcore.test import test_eq, test_close, test_fail
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from alignet.features import create_backbone, extract_features
from alignet.teacher import Teacher
from alignet.eval.shift import *
from alignet.eval.shift import _two_level

NOTEBOOK = 'nbs/eval/shift.ipynb'     # a test runs in the folder of its notebook


def test_source_and_target():
    "Source and target"
    # cell 11
    dogs = [['t1', 't2', 't3'], ['h1', 'h2'], ['p1']]
    test_eq(split_subclasses(dogs, 4, 'bad'), (['t1', 't2'], ['h1', 'h2']))
    test_eq(split_subclasses(dogs, 4, 'good'), (['t1', 'h1'], ['t2', 't3']))
    test_eq(split_subclasses(dogs, 6, 'bad'), (['t1', 't2', 't3'], ['h1', 'h2', 'p1']))
    # a spare fills the gap
    test_eq(
        split_subclasses([['a1', 'a2', 'a3', 'a4'], ['b1']], 4, 'bad'), (['a1', 'a2'], ['b1', 'a3'])
    )
    source, target = split_subclasses(dogs, 4)
    test_eq(
        source + target,
        list(np.random.RandomState(2).choice(['h1', 'h2', 'p1', 't1', 't2', 't3'], 4, replace=False)),
    )
    test_eq(split_subclasses(dogs, 4, random=3) != (source, target), True)
    for n, split in ((3, 'rand'), (8, 'bad'), (4, 'worse')):
        test_fail(
            lambda: split_subclasses(dogs, n, split),
            contains='n=' if split != 'worse' else 'rand, good, bad',
        )
    r, sets = rng(4), []
    # random trees: the sides are disjoint, and half each
    for _ in range(200):
        g = [[f'{i}-{j}' for j in range(k)] for i, k in enumerate(r.integers(1, 6, r.integers(2, 5)))]
        n = int(r.integers(1, sum(map(len, g)) // 2 + 1)) * 2
        for split in SPLITS:
            try: a, b = split_subclasses(g, n, split)
            except AlignetError:
                assert split == 'good'
                continue
            assert (
                len(a) == len(b) == n / 2
                and not set(a) & set(b)
                and set(a + b) <= {c for x in g for c in x}
            )

    # cell 22
    EDGES = [
        ('all', 'living'), ('all', 'made'), ('living', 'dog'), ('living', 'cat'), ('made', 'chair'),
        ('made', 'cup'), ('dog', 'pet dog'), ('pet dog', 'terrier'), ('pet dog', 'hound'),
        ('terrier', 't1'), ('terrier', 't2'), ('terrier', 't3'), ('hound', 'h1'), ('hound', 'h2'),
        ('cat', 'c1'), ('cat', 'c2'), ('cat', 'c3'), ('cat', 'c4'), ('chair', 's1'), ('chair', 's2'),
        ('cup', 'u1'), ('cup', 'u2'), ('cup', 'u3'), ('cup', 'u4'), ('cup', 'u5'),
    ]
    up = {}
    for a, b in EDGES: up.setdefault(b, []).append(a)
    toy = ClassTree(up, [b for _, b in EDGES if b[-1].isdigit()])
    task = superclass_task(toy, level=2, n=4, split='bad')
    print(task)
    display(task.table.head(4))
    # chairs are too few
    test_eq(task.source, dict(cat=['c1', 'c3'], cup=['u1', 'u3'], dog=['t1', 't2']))
    test_eq(task.target, dict(cat=['c2', 'c4'], cup=['u2', 'u4'], dog=['h1', 'h2']))
    test_eq(list(superclass_task(toy, 2, 4, under='living').source), ['cat', 'dog'])
    # one stream through the superclasses, by ID
    RS = np.random.RandomState(7)
    test_eq(
        [v for v in superclass_task(toy, 2, 4, seed=7).source.values()],
        [list(RS.choice(toy.below(k), 4, replace=False))[:2] for k in ('cat', 'cup', 'dog')],
    )
    test_eq(
        list(superclass_task(toy, 2, 2, only=['c1', 'c2', 's1', 's2', 'u1']).source), ['cat', 'chair']
    )

    # cell 23
    with tempfile.TemporaryDirectory() as d:
        task.save(f'{d}/t.csv')
        again = ShiftTask.load(f'{d}/t.csv')
        test_eq((again.source, again.target, again.name), (task.source, task.target, 't'))
        write_json(
            f'{d}/o.json', [['n1', 'n2'], [[[0, 1], [4, 5]], [[2], [6]]], {0: 'a, first', 1: 'b'}]
        )
        o = ShiftTask.load(f'{d}/o.json', classes=list('ABCDEFG'))
        test_eq((o.source, o.target), (dict(a=['A', 'B'], b=['E', 'F']), dict(a=['C'], b=['G'])))
        write_json(f'{d}/bad.json', dict(a=1))
        test_fail(lambda: ShiftTask.load(f'{d}/bad.json'), contains='make_living17')
        test_fail(lambda: ShiftTask.load(f'{d}/no.csv'), contains='does not exist')
    test_fail(lambda: superclass_task(toy, 2, 40), contains='no node on level 2')
    test_fail(lambda: superclass_task(toy, 2, 4, seed=-1), contains='seed')
    test_fail(
        lambda: ShiftTask('x', dict(a=['1'], b=['2']), dict(a=['1'], b=['3'])),
        contains="'1' occurs twice",
    )
    test_fail(lambda: superclass_task(toy, 2, 5), contains='even number')


def test_the_four_breeds_tasks():
    "The four BREEDS tasks"
    # cell 27
    data_root = os.environ.get('ALIGNET_DATA')
    # two source, two target: printed by the authors
    LIVING_17 = {
        'salamander': (27, 29, 26, 28), 'turtle': (37, 34, 33, 35), 'lizard': (41, 44, 47, 38),
        'snake': (60, 57, 65, 61), 'spider': (76, 72, 74, 77), 'grouse': (81, 83, 82, 80),
        'parrot': (88, 90, 87, 89), 'crab': (118, 120, 119, 121), 'dog': (163, 154, 257, 157),
        'wolf': (272, 271, 270, 269), 'fox': (280, 279, 277, 278), 'domestic cat': (282, 285, 283, 284),
        'bear': (297, 295, 296, 294), 'beetle': (305, 306, 302, 303), 'butterfly': (325, 321, 324, 322),
        'ape': (368, 365, 366, 367), 'monkey': (377, 380, 381, 379),
    }
    if data_root:
        hierarchy = Path(data_root)/'imagenet'/'hierarchy'/'modified'
        tasks = {name: breeds_task(name, hierarchy) for name in BREEDS}
        print(*tasks.values(), sep='\n')
        test_eq(
            [(len(t), len(t.table) // len(t)) for t in tasks.values()],
            [(13, 20), (30, 8), (17, 4), (26, 4)],
        )
        of = ImageNetInfo('imagenet-1k').label_names()
        t = tasks['living-17']
        test_eq({k: tuple(of.index(c) for c in t.source[k] + t.target[k]) for k in t.source}, LIVING_17)
        display(
            pd.Series({name: ', '.join(t.source) for name, t in tasks.items()})
            .to_frame('superclasses')
            .style.set_properties(**{'text-align': 'left', 'white-space': 'normal'})
        )
    else: print('skipped: set ALIGNET_DATA to the data folder')

    # cell 29
    if data_root:
        tree = ClassTree.load(hierarchy)
        def shared(task):
            level = max(tree.level[k] for k in task.ids.values()) + 1
            near = [{tree.above(c, level) for c in task.source[k]} for k in task.source]
            return np.mean(
                [
                    tree.above(c, level) in near[i]
                    for i, k in enumerate(task.target)
                    for c in task.target[k]
                ]
            )
        share = pd.DataFrame(
            {
                s: {n: shared(breeds_task(n, hierarchy, s)) for n in ('entity-13', 'entity-30')}
                for s in SPLITS
            }
        )
        display(share.round(2))
        assert (share['bad'] <= share['rand']).all() and (share['rand'] < share['good']).all()
    test_fail(lambda: breeds_task('entity-14', '.'), contains='living-17')


def test_any_labelled_folder():
    "Any labelled folder"
    # cell 35
    with tempfile.TemporaryDirectory() as d:
        pairs = [
            ('animal', 'bird'), ('bird', 'wading_bird'), ('wading_bird', 'ibis1'), ('animal', 'bass1'),
            ('thing', 'bass2'), ('bird', 'n_robin'), ('everything', 'animal'), ('everything', 'thing'),
        ]
        (Path(d)/'class_hierarchy.txt').write_text(''.join(f'{a} {b}\n' for a, b in pairs))
        (Path(d) / 'node_names.txt').write_text(
            'ibis1\tibis, holy bird\nbass1\tbass\nbass2\tbass, bass guitar\nn_robin\trobin, redbreast\nbird\tbird\nthing\tthing\n'
        )
        small = ClassTree(
            dict(bird=['everything'], n_robin=['bird'], thing=['everything'], n_cup=['thing']),
            ['n_robin', 'n_cup'], dict(n_robin='robin, redbreast', n_cup='cup'),
        )
        links = link_categories(
            ['Redbreast', 'ibis', 'bass', 'unicorn', 'my_bass'], small, d, ids={'my_bass': 'bass2'}
        )
    display(links)
    test_eq(links.id.tolist(), ['n_robin', 'ibis1', None, None, 'bass2'])
    test_eq(links.node.tolist(), ['n_robin', 'bird', None, None, 'thing'])
    test_eq(links.how.tolist()[:3], ['class', 'WordNet', '2 nodes of WordNet have this name'])

    # cell 39
    t = table_task(
        dict(
            tern='bird', wren='bird', dove='bird', kiwi='bird', cup='thing', mug='thing', jar='thing',
            box='thing', axe='tool',
        ),
        seed=1,
    )
    print(t)
    test_eq(sorted(t.source['bird'] + t.target['bird']), ['dove', 'kiwi', 'tern', 'wren'])
    test_eq(list(t.source), ['bird', 'thing'])
    linked = pd.DataFrame(
        dict(
            category=['robin', 'ibis', 'ibis head', 'cup', 'bass'],
            id=['n_robin', 'ibis1', 'ibis1', 'n_cup', 'bass2'],
            node=['n_robin', 'bird', 'bird', 'n_cup', 'thing'],
        )
    )
    # the two ibises are one
    f = folder_task(linked, small, level=1, n=2)
    test_eq(
        {k: sorted(f.source[k] + f.target[k]) for k in f.source},
        dict(bird=['ibis1', 'n_robin'], thing=['bass2', 'n_cup']),
    )
    test_fail(lambda: table_task(dict(a='x', b='y')), contains='0 superclasses')
    test_fail(lambda: folder_task(links[2:4], small), contains='no category')


def test_the_protocol():
    "The protocol"
    # cell 50
    # no photo is ever read here
    nowhere = tempfile.TemporaryDirectory()
    def synthetic(up=1., K=4, n=6, each=12, seed=0, d=24):
        r = rng(seed)
        table = {f's{k}-{i}': f's{k}' for k in range(K) for i in range(n)}
        task = table_task(table, n, name='synthetic')
        top, sub = r.normal(size=(K, d)), r.normal(size=(K * n, d))
        y = np.repeat(np.arange(K * n), each)
        X = (up * top[y // n] + sub[y] + .7 * r.normal(size=(len(y), d))).astype(np.float32)
        names = [f'{list(table)[c]}/{i % each}.jpg' for i, c in enumerate(y)]
        return folder_data(
            task, ImageSet(nowhere.name, names), [Path(f).parent.name for f in names]
        ), dict(zip(names, X))
    data, X = synthetic()
    print(data)
    score = score_shift(X, data, Cs=(1.,))
    display(score['table'].round(3))
    it = data.items
    A = np.stack([X[f] for f in it.file])
    plain = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)).fit(
        A[it.part == 'fit'], it.superclass[it.part == 'fit']
    )
    for p in ('source', 'target'):
        right = plain.predict(A[it.part == p]) == it.superclass[it.part == p]
        test_eq(score['items'][f'{p} accuracy'].astype(bool), right.to_numpy())
        test_close(
            score['table'].value[['source', 'target'].index(p)],
            right.groupby(it.subclass[it.part == p]).mean().mean(),
        )
    v = score['table'].set_index('measure')
    test_close(
        v.value['drop, source - target'], v.value['source accuracy'] - v.value['target accuracy']
    )
    assert v.low['target accuracy'] < v.value['target accuracy'] < v.high['target accuracy']
    test_eq(it.groupby('part').subclass.nunique().to_dict(), dict(fit=12, source=12, target=12))
    test_eq(set(it.subclass[it.part == 'fit']) & set(it.subclass[it.part == 'target']), set())

    # cell 51
    none = pd.DataFrame(
        [
            score_shift(X, data, n_boot=20, Cs=(1.0,))['table'].set_index('measure').value
            for data, X in (synthetic(up=0.0, seed=k) for k in range(8))
        ]
    ).mean()
    print(
        f"no superclass directions, mean of 8 worlds: source {none['source accuracy']:.2f}, target {none['target accuracy']:.2f}, chance 0.25"
    )
    assert none['source accuracy'] > .8
    test_close(none['target accuracy'], .25, eps=.06)
    hits = rng(3).random(400) < .6
    groups = np.repeat(np.arange(20), 20)
    draws = _two_level(hits, groups, 4000, 0)
    sd = np.sqrt(
        pd.Series(hits).groupby(groups).mean().var(ddof=0) / 20
        + np.mean([g.var(ddof=0) / 20 for _, g in pd.Series(hits * 1.0).groupby(groups)]) / 20
    )
    # the formula of two stages of sampling
    test_close(draws[1:].std(), sd, eps=.003)
    test_fail(
        lambda: score_shift({k: v for k, v in X.items() if k != data.files[3]}, data),
        contains='missing',
    )
    test_fail(
        lambda: folder_data(data.task, data.images.subset(data.files[:5]), ['s0-0'] * 5),
        contains='have no photo',
    )

    # cell 53
    with tempfile.TemporaryDirectory() as d:
        mini = ShiftTask('mini', dict(dog=['n01'], cat=['n03']), dict(dog=['n02'], cat=['n04']))
        for part, n in (('train', 3), ('val', 2)):
            for c in ('n01', 'n02', 'n03', 'n04'):
                (Path(d)/part/c).mkdir(parents=True)
                for i in range(n): (Path(d)/part/c/f'{c}_{i}.JPEG').write_bytes(b'')
        it = load_breeds(mini, d).items
        test_eq(
            it.groupby(['part', 'subclass']).size().to_dict(),
            {
                ('fit', 'n01'): 3, ('fit', 'n03'): 3, ('source', 'n01'): 2, ('source', 'n03'): 2,
                ('target', 'n02'): 2, ('target', 'n04'): 2,
            },
        )
        test_eq(len(load_breeds(mini, d, per_class=1).items), 2 + 8)
        test_eq(it.file[0], 'train/n01/n01_0.JPEG')
        test_fail(
            lambda: load_breeds(
                ShiftTask('x', dict(dog=['n01'], cat=['n03']), dict(dog=['n09'], cat=['n04'])), d
            ),
            contains='image-net.org',
        )

    # cell 57
    weak, X_weak = synthetic(up=.6)
    strong, X_strong = synthetic(up=1.4)
    make = lambda s: folder_data(
        table_task({c: c[:2] for c in it_classes}, 6, s), weak.images,
        [Path(f).parent.name for f in weak.images.names], seed=s,
    )
    it_classes = sorted(set(weak.items.subclass))
    runs, summary = shift_over_splits(
        dict(base=X_weak, aligned=X_strong), make, seeds=range(5), Cs=(1.0,)
    )
    plot_shift(runs)
    plt.show()
    display(summary.round(3))
    s = summary.set_index(['model', 'measure'])
    assert s.gain_low['aligned', 'target accuracy'] > 0 and s.gain['base', 'target accuracy'] == 0
    test_close(
        s['mean']['aligned', 'target accuracy'],
        runs[(runs.model == 'aligned') & (runs.measure == 'target accuracy')].value.mean(),
    )


def test_shifted_imagenets():
    "Shifted ImageNets"
    # cell 74
    def write_images(root, files, size=8):
        for i, f in enumerate(files):
            p = Path(root)/f
            p.parent.mkdir(parents=True, exist_ok=True)
            Image.new(
                'RGB', (size, size), (zlib.crc32(p.parent.name.encode()) % 256, i % 256, 40)
            ).save(p)
    classes = imagenet_classes()
    # golden retriever
    test_eq((len(classes), classes == sorted(classes), classes.index('n02099601')), (1000, True, 207))
    with tempfile.TemporaryDirectory() as d:
        write_images(
            f'{d}/a/imagenet-a',
            [
                'n01498041/0.000116_digital clock _ digital clock_0.865662.jpg',
                'n01498041/0.01_x_0.9.jpg', 'n01531178/0.1_y_0.3.jpg',
            ],
        )
        (Path(d)/'a'/'imagenet-a'/'README.txt').write_text('x')
        a = load_shift('imagenet-a', f'{d}/a')
        print(a)
        # 6 and 11: the first two of the published list
        test_eq(
            (a.classes, a.outputs, a.y.tolist()), (['n01498041', 'n01531178'], [[6], [11]], [0, 0, 1])
        )
        test_eq(np.flatnonzero(a.mask).tolist(), [6, 11])
        assert '2 of the 200' in a.notes and a.images[0].size == (8, 8)
        write_images(f'{d}/sketch', ['n15075141/sketch_3.JPEG', 'n01440764/sketch_0.JPEG'])
        s = load_shift('imagenet-sketch', f'{d}/sketch')
        test_eq(
            (s.outputs, s.files), ([[0], [999]], ['n01440764/sketch_0.JPEG', 'n15075141/sketch_3.JPEG'])
        )
        write_images(f'{d}/r', ['n01443537/art_0.jpg'])
        test_eq(load_shift('imagenet-r', f'{d}/r').outputs, [[1]])
        write_images(f'{d}/no', ['n99999999/x.jpg'])
        test_fail(lambda: load_shift('imagenet-r', f'{d}/no'), contains='n99999999')
        test_fail(lambda: load_shift('imagenet-r', f'{d}/missing'), contains='imagenet-r.tar')
        test_fail(
            lambda: load_shift('imagenet-a', f'{d}/a/imagenet-a/n01498041'),
            contains='no folders of classes',
        )
    test_fail(lambda: load_shift('imagenet-c', '.'), contains='objectnet')

    # cell 76
    with tempfile.TemporaryDirectory() as d:
        write_images(
            f'{d}/imagenetv2-matched-frequency-format-val',
            [f'{c}/{c:04d}.jpeg' for c in (0, 1, 2, 10, 100, 999)],
        )
        v2 = load_shift('imagenet-v2', d)
        print(v2)
        test_eq(v2.outputs, [[0], [1], [2], [10], [100], [999]])
        test_eq([Path(f).parent.name for f in v2.files], ['0', '1', '2', '10', '100', '999'])
        test_eq(v2.classes[4], 'n01860187')
        test_eq(sorted(['0', '1', '2', '10', '100', '999']).index('100'), 3)
        write_images(f'{d}/w', ['n01860187/a.jpeg'])
        test_eq(load_shift('imagenet-v2', f'{d}/w').outputs, [[100]])

    # cell 77
    with tempfile.TemporaryDirectory() as d:
        o = Path(d)/'objectnet-1.0'
        write_images(
            o / 'images',
            ['chair/1.png', 'chair/2.png', 'banana/3.png', 't-shirt/4.png', 'blanket/5.png'], size=12,
        )
        write_json(
            o / 'mappings' / 'folder_to_objectnet_label.json',
            {'chair': 'Chair', 'banana': 'Banana', 't-shirt': 'T-shirt', 'blanket': 'Blanket'},
        )
        write_json(
            o / 'mappings' / 'objectnet_to_imagenet_1k.json',
            {
                'Chair': 'barber chair; folding chair; rocking chair, rocker', 'Banana': 'banana',
                'T-shirt': 'jersey, T-shirt, tee shirt',
            },
        )
        on = load_shift('objectnet', d)
        print(on)
        # the blanket has no class
        test_eq(
            (on.classes, on.outputs, on.y.tolist()),
            (['Banana', 'Chair', 'T-shirt'], [[954], [423, 559, 765], [610]], [0, 1, 1, 2]),
        )
        test_eq([i.size for i in (on.images[0], on.images.subset(on.files[1:3])[1])], [(8, 8)] * 2)
        test_eq(int(on.mask.sum()), 5)
        assert on.images.digest() != ImageSet(on.images.root, on.files).digest()
        write_json(o/'mappings'/'objectnet_to_imagenet_1k.json', {'Chair': 'armchair'})
        test_fail(lambda: load_shift('objectnet', d), contains="'armchair'")
        write_images(o/'images', ['bottle_opener/6.png'])
        test_fail(
            lambda: load_shift('objectnet', d), contains="folder 'bottle_opener' is not in mappings/"
        )
        test_fail(
            lambda: load_shift('objectnet', f'{d}/objectnet-1.0/images'), contains='objectnet.dev'
        )


def test_scoring_a_head():
    "Scoring a head"
    # cell 74, in part
    def write_images(root, files, size=8):
        for i, f in enumerate(files):
            p = Path(root)/f
            p.parent.mkdir(parents=True, exist_ok=True)
            Image.new(
                'RGB', (size, size), (zlib.crc32(p.parent.name.encode()) % 256, i % 256, 40)
            ).save(p)
    with tempfile.TemporaryDirectory() as d:
        write_images(
            f'{d}/a/imagenet-a',
            [
                'n01498041/0.000116_digital clock _ digital clock_0.865662.jpg',
                'n01498041/0.01_x_0.9.jpg', 'n01531178/0.1_y_0.3.jpg',
            ],
        )
        (Path(d)/'a'/'imagenet-a'/'README.txt').write_text('x')
        a = load_shift('imagenet-a', f'{d}/a')
        print(a)
        # 6 and 11: the first two of the published list
        test_eq(
            (a.classes, a.outputs, a.y.tolist()), (['n01498041', 'n01531178'], [[6], [11]], [0, 0, 1])
        )
        test_eq(np.flatnonzero(a.mask).tolist(), [6, 11])
        assert '2 of the 200' in a.notes and a.images[0].size == (8, 8)
        write_images(f'{d}/sketch', ['n15075141/sketch_3.JPEG', 'n01440764/sketch_0.JPEG'])
        s = load_shift('imagenet-sketch', f'{d}/sketch')
        test_eq(
            (s.outputs, s.files), ([[0], [999]], ['n01440764/sketch_0.JPEG', 'n15075141/sketch_3.JPEG'])
        )
        write_images(f'{d}/r', ['n01443537/art_0.jpg'])
        test_eq(load_shift('imagenet-r', f'{d}/r').outputs, [[1]])
        write_images(f'{d}/no', ['n99999999/x.jpg'])
        test_fail(lambda: load_shift('imagenet-r', f'{d}/no'), contains='n99999999')
        test_fail(lambda: load_shift('imagenet-r', f'{d}/missing'), contains='imagenet-r.tar')
        test_fail(
            lambda: load_shift('imagenet-a', f'{d}/a/imagenet-a/n01498041'),
            contains='no folders of classes',
        )

    # cell 76
    with tempfile.TemporaryDirectory() as d:
        write_images(
            f'{d}/imagenetv2-matched-frequency-format-val',
            [f'{c}/{c:04d}.jpeg' for c in (0, 1, 2, 10, 100, 999)],
        )
        v2 = load_shift('imagenet-v2', d)
        print(v2)
        test_eq(v2.outputs, [[0], [1], [2], [10], [100], [999]])
        test_eq([Path(f).parent.name for f in v2.files], ['0', '1', '2', '10', '100', '999'])
        test_eq(v2.classes[4], 'n01860187')
        test_eq(sorted(['0', '1', '2', '10', '100', '999']).index('100'), 3)
        write_images(f'{d}/w', ['n01860187/a.jpeg'])
        test_eq(load_shift('imagenet-v2', f'{d}/w').outputs, [[100]])

    # cell 77
    with tempfile.TemporaryDirectory() as d:
        o = Path(d)/'objectnet-1.0'
        write_images(
            o / 'images',
            ['chair/1.png', 'chair/2.png', 'banana/3.png', 't-shirt/4.png', 'blanket/5.png'], size=12,
        )
        write_json(
            o / 'mappings' / 'folder_to_objectnet_label.json',
            {'chair': 'Chair', 'banana': 'Banana', 't-shirt': 'T-shirt', 'blanket': 'Blanket'},
        )
        write_json(
            o / 'mappings' / 'objectnet_to_imagenet_1k.json',
            {
                'Chair': 'barber chair; folding chair; rocking chair, rocker', 'Banana': 'banana',
                'T-shirt': 'jersey, T-shirt, tee shirt',
            },
        )
        on = load_shift('objectnet', d)
        print(on)
        # the blanket has no class
        test_eq(
            (on.classes, on.outputs, on.y.tolist()),
            (['Banana', 'Chair', 'T-shirt'], [[954], [423, 559, 765], [610]], [0, 1, 1, 2]),
        )
        test_eq([i.size for i in (on.images[0], on.images.subset(on.files[1:3])[1])], [(8, 8)] * 2)
        test_eq(int(on.mask.sum()), 5)
        assert on.images.digest() != ImageSet(on.images.root, on.files).digest()
        write_json(o/'mappings'/'objectnet_to_imagenet_1k.json', {'Chair': 'armchair'})
        test_fail(lambda: load_shift('objectnet', d), contains="'armchair'")
        write_images(o/'images', ['bottle_opener/6.png'])
        test_fail(
            lambda: load_shift('objectnet', d), contains="folder 'bottle_opener' is not in mappings/"
        )
        test_fail(
            lambda: load_shift('objectnet', f'{d}/objectnet-1.0/images'), contains='objectnet.dev'
        )

    # cell 82
    classes = imagenet_classes()
    r = rng(11)
    y = np.repeat([6, 11, 207], 30)
    with tempfile.TemporaryDirectory() as d:
        fake = ShiftedImages(
            'imagenet-a', ImageSet(d, [f'{classes[c]}/{i}.jpg' for i, c in enumerate(y)]),
            [classes[c] for c in (6, 11, 207)], np.repeat(np.arange(3), 30), [[6], [11], [207]],
        )
    L = r.normal(size=(90, 1000)).astype(np.float32)
    L[np.arange(90), y] += 2.5
    score = score_head((fake.files, L), fake)
    display(score['table'].round(3))
    # by hand; 30 pictures each, so the means agree
    test_close(score['table'].value[0], np.mean(L[:, [6, 11, 207]].argmax(1) == fake.y))
    test_close(score['table'].value[1], np.mean(L.argmax(1) == y))
    # by name, not by position
    order = r.permutation(90)
    test_eq(
        score_head(([fake.files[i] for i in order], L[order]), fake)['items']['accuracy'],
        score['items']['accuracy'],
    )
    several = dataclasses.replace(
        fake, classes=['x', 'y'], y=np.repeat([0, 1], [60, 30]), outputs=[[6, 11], [207]]
    )
    test_close(
        score_head((fake.files, L), several)['items']['accuracy'].mean(),
        np.mean((np.maximum(L[:, 6], L[:, 11]) < L[:, 207]) == several.y),
    )
    W, b, F = r.normal(size=(1000, 16)), r.normal(size=1000), r.normal(size=(90, 16)).astype(np.float32)
    test_close(
        head_logits((fake.files, F), fake.files, torch.tensor(W), torch.tensor(b))[1],
        torch.nn.functional.linear(
            torch.tensor(F), torch.tensor(W).float(), torch.tensor(b).float()
        ).numpy(),
        eps=1e-3,
    )
    test_fail(lambda: score_head((fake.files, L[:, :200]), fake), contains='200 columns')
    test_fail(lambda: head_logits((fake.files, F), fake.files, W[:, :8]), contains='16 columns')
    test_fail(
        lambda: dataclasses.replace(fake, outputs=[[6], [6], [207]]), contains='two of its classes'
    )
    with tempfile.TemporaryDirectory() as d:
        for k in (6, 11): (Path(d)/'imagenet-a'/classes[k]).mkdir(parents=True)
        write_images(Path(d)/'imagenet-a', [f'{classes[6]}/1.jpg'])
        test_fail(
            lambda: load_shift('imagenet-a', f'{d}/imagenet-a'),
            contains=f"class folder '{classes[11]}'",
        )
    single = dataclasses.replace(fake, classes=['all'], y=np.zeros(90, int), outputs=[[6, 11, 207]])
    test_fail(lambda: score_head((fake.files, L), single), contains='one class only')

    # cell 85
    centre = {c: r.normal(size=16) * 2 for c in (classes[6], classes[11], classes[207], classes[500])}
    def photos(n, noise):
        y = np.repeat(list(centre), n)
        return np.stack([centre[c] + noise * r.normal(size=16) for c in y]).astype(np.float32), y
    train, held = photos(20, 1.), photos(10, 1.)
    shifted = {
        f: (centre[Path(f).parent.name] + 2.5 * r.normal(size=16)).astype(np.float32)
        for f in fake.files
    }
    s = score_shift_probe(train, shifted, fake, held, Cs=(1.,))
    display(s['table'].round(3))
    keep = train[1] != classes[500]
    plain = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)).fit(
        train[0][keep], train[1][keep]
    )
    # against plain scikit-learn
    test_eq(
        s['items']['probe accuracy'].astype(bool),
        plain.predict(np.stack([shifted[f] for f in fake.files]))
        == [Path(f).parent.name for f in fake.files],
    )
    t = s['table'].set_index('measure').value
    test_close(t['drop'], t['probe accuracy without shift'] - t['probe accuracy among 3 classes'])
    assert t['drop'] > 0
    # the drop is of the classes that are in both
    two = np.isin(held[1], [classes[6], classes[11]])
    part = score_shift_probe(train, shifted, fake, (held[0][two], held[1][two]), Cs=(1.,))
    test_close(
        part['table'].set_index('measure').value['drop'],
        part['items']['probe accuracy without shift'].mean()
        - part['items']['probe accuracy'][fake.y < 2].mean(),
    )
    test_fail(
        lambda: score_shift_probe((train[0][:, :-1], train[1]), shifted, fake), contains='one model'
    )
    test_fail(
        lambda: score_shift_probe(train, shifted, fake, (held[0][:0], held[1][:0])),
        contains='no photo of the',
    )
    test_fail(
        lambda: score_shift_probe((train[0][:40], train[1][:40]), shifted, fake),
        contains='lacks photos of 1',
    )
    test_fail(lambda: score_shift_probe(train, shifted, single), contains='one class only')
    unwell = train[0].copy()
    unwell[3, 0] = np.nan
    test_fail(lambda: score_shift_probe((unwell, train[1]), shifted, fake), contains='NaN')

    # cell 88
    with tempfile.TemporaryDirectory() as d:
        write_images(
            f'{d}/train',
            [f'{c}/{c}_{i}.JPEG' for c in (classes[6], classes[11], classes[207]) for i in range(5)],
        )
        some, of = imagenet_photos(d, per_class=2)
        every = imagenet_photos(d, per_class=None)[1]
        test_eq(pd.Series(of).value_counts().to_dict(), {classes[c]: 2 for c in (6, 11, 207)})
        test_eq((len(every), some[0].size), (15, (8, 8)))
        # the first two of five are the two
        test_eq(
            [f for f in every if every[f] == classes[11]][:2], [f for f in of if of[f] == classes[11]]
        )
        assert all(f.split('/')[1] == c for f, c in of.items())
        (Path(d)/'train'/'terrier').mkdir()
        test_fail(lambda: imagenet_photos(d), contains="'terrier'")
        test_fail(lambda: imagenet_photos(d, 'val'), contains='image-net.org')
        (Path(d)/'none'/'train'/classes[3]).mkdir(parents=True)
        test_fail(lambda: imagenet_photos(f'{d}/none'), contains='hold no photos')
        test_fail(lambda: imagenet_photos(d, per_class=0), contains='at least 1')


def test_on_real_photos():
    "On real photos"
    # cell 27
    data_root = os.environ.get('ALIGNET_DATA')
    # two source, two target: printed by the authors
    LIVING_17 = {
        'salamander': (27, 29, 26, 28), 'turtle': (37, 34, 33, 35), 'lizard': (41, 44, 47, 38),
        'snake': (60, 57, 65, 61), 'spider': (76, 72, 74, 77), 'grouse': (81, 83, 82, 80),
        'parrot': (88, 90, 87, 89), 'crab': (118, 120, 119, 121), 'dog': (163, 154, 257, 157),
        'wolf': (272, 271, 270, 269), 'fox': (280, 279, 277, 278), 'domestic cat': (282, 285, 283, 284),
        'bear': (297, 295, 296, 294), 'beetle': (305, 306, 302, 303), 'butterfly': (325, 321, 324, 322),
        'ape': (368, 365, 366, 367), 'monkey': (377, 380, 381, 379),
    }
    if data_root:
        hierarchy = Path(data_root)/'imagenet'/'hierarchy'/'modified'
        tasks = {name: breeds_task(name, hierarchy) for name in BREEDS}
        print(*tasks.values(), sep='\n')
        test_eq(
            [(len(t), len(t.table) // len(t)) for t in tasks.values()],
            [(13, 20), (30, 8), (17, 4), (26, 4)],
        )
        of = ImageNetInfo('imagenet-1k').label_names()
        t = tasks['living-17']
        test_eq({k: tuple(of.index(c) for c in t.source[k] + t.target[k]) for k in t.source}, LIVING_17)
        display(
            pd.Series({name: ', '.join(t.source) for name, t in tasks.items()})
            .to_frame('superclasses')
            .style.set_properties(**{'text-align': 'left', 'white-space': 'normal'})
        )
    else: print('skipped: set ALIGNET_DATA to the data folder')

    # cell 29, in part
    if data_root:
        tree = ClassTree.load(hierarchy)
        def shared(task):
            level = max(tree.level[k] for k in task.ids.values()) + 1
            near = [{tree.above(c, level) for c in task.source[k]} for k in task.source]
            return np.mean(
                [
                    tree.above(c, level) in near[i]
                    for i, k in enumerate(task.target)
                    for c in task.target[k]
                ]
            )
        share = pd.DataFrame(
            {
                s: {n: shared(breeds_task(n, hierarchy, s)) for n in ('entity-13', 'entity-30')}
                for s in SPLITS
            }
        )
        display(share.round(2))
        assert (share['bad'] <= share['rand']).all() and (share['rand'] < share['good']).all()

    # cell 92
    if data_root:
        root = Path(data_root)
        concepts = pd.read_csv(root / 'things' / 'things_concepts.tsv', sep='\t').set_index('uniqueID')[
            'WordNet ID'
        ]
        things = things_world(root)
        shown = (
            things.items[things.items['style'] == 'caltech101']
            .drop_duplicates('subgroup')
            .set_index('subgroup')
            .object
        )
        links = link_categories(
            shown.index, tree, root / 'imagenet' / 'hierarchy' / 'wordnet',
            {c: concepts.get(o) for c, o in shown.items() if o},
        )
        caltech = folder_task(links, tree, name='caltech-101')
        print(
            caltech, '\nhow categories were linked:',
            links.how.where(links.id.notna(), 'not linked').value_counts().to_dict(),
        )
        display(
            caltech.table.assign(
                category=[', '.join(links.category[links.id == i]) for i in caltech.table.subclass]
            ).pivot_table(index='superclass', columns='side', values='category', aggfunc='; '.join)
        )
        test_eq(len(caltech.table) % (4 * len(caltech)), 0)
        assert (
            links.id[links.category == 'bass'].isna().all()
            and links.id[links.category == 'flamingo'].item()
            == links.id[links.category == 'flamingo_head'].item()
        )
    else: print('skipped: set ALIGNET_DATA to the data folder')


@pytest.mark.slow
def test_on_real_photos_slow():
    "On real photos"
    # cell 27
    data_root = os.environ.get('ALIGNET_DATA')
    # two source, two target: printed by the authors
    LIVING_17 = {
        'salamander': (27, 29, 26, 28), 'turtle': (37, 34, 33, 35), 'lizard': (41, 44, 47, 38),
        'snake': (60, 57, 65, 61), 'spider': (76, 72, 74, 77), 'grouse': (81, 83, 82, 80),
        'parrot': (88, 90, 87, 89), 'crab': (118, 120, 119, 121), 'dog': (163, 154, 257, 157),
        'wolf': (272, 271, 270, 269), 'fox': (280, 279, 277, 278), 'domestic cat': (282, 285, 283, 284),
        'bear': (297, 295, 296, 294), 'beetle': (305, 306, 302, 303), 'butterfly': (325, 321, 324, 322),
        'ape': (368, 365, 366, 367), 'monkey': (377, 380, 381, 379),
    }
    if data_root:
        hierarchy = Path(data_root)/'imagenet'/'hierarchy'/'modified'
        tasks = {name: breeds_task(name, hierarchy) for name in BREEDS}
        print(*tasks.values(), sep='\n')
        test_eq(
            [(len(t), len(t.table) // len(t)) for t in tasks.values()],
            [(13, 20), (30, 8), (17, 4), (26, 4)],
        )
        of = ImageNetInfo('imagenet-1k').label_names()
        t = tasks['living-17']
        test_eq({k: tuple(of.index(c) for c in t.source[k] + t.target[k]) for k in t.source}, LIVING_17)
        display(
            pd.Series({name: ', '.join(t.source) for name, t in tasks.items()})
            .to_frame('superclasses')
            .style.set_properties(**{'text-align': 'left', 'white-space': 'normal'})
        )
    else: print('skipped: set ALIGNET_DATA to the data folder')

    # cell 29, in part
    if data_root:
        tree = ClassTree.load(hierarchy)
        def shared(task):
            level = max(tree.level[k] for k in task.ids.values()) + 1
            near = [{tree.above(c, level) for c in task.source[k]} for k in task.source]
            return np.mean(
                [
                    tree.above(c, level) in near[i]
                    for i, k in enumerate(task.target)
                    for c in task.target[k]
                ]
            )
        share = pd.DataFrame(
            {
                s: {n: shared(breeds_task(n, hierarchy, s)) for n in ('entity-13', 'entity-30')}
                for s in SPLITS
            }
        )
        display(share.round(2))
        assert (share['bad'] <= share['rand']).all() and (share['rand'] < share['good']).all()

    # cell 35, in part
    with tempfile.TemporaryDirectory() as d:
        pairs = [
            ('animal', 'bird'), ('bird', 'wading_bird'), ('wading_bird', 'ibis1'), ('animal', 'bass1'),
            ('thing', 'bass2'), ('bird', 'n_robin'), ('everything', 'animal'), ('everything', 'thing'),
        ]
        (Path(d)/'class_hierarchy.txt').write_text(''.join(f'{a} {b}\n' for a, b in pairs))
        (Path(d) / 'node_names.txt').write_text(
            'ibis1\tibis, holy bird\nbass1\tbass\nbass2\tbass, bass guitar\nn_robin\trobin, redbreast\nbird\tbird\nthing\tthing\n'
        )
        small = ClassTree(
            dict(bird=['everything'], n_robin=['bird'], thing=['everything'], n_cup=['thing']),
            ['n_robin', 'n_cup'], dict(n_robin='robin, redbreast', n_cup='cup'),
        )
        links = link_categories(
            ['Redbreast', 'ibis', 'bass', 'unicorn', 'my_bass'], small, d, ids={'my_bass': 'bass2'}
        )

    # cell 90
    torch.set_num_threads(1)
    if data_root:
        backbone = create_backbone('tf_efficientnet_lite0')
        images = ImageSet.from_folder(Path(data_root)/'imagenet'/'samples')
        store = extract_features(backbone, images)
        own_head = backbone.model.get_classifier()
        wnids = [f.split('_')[0] for f in images.names]
        number = {c: i for i, c in enumerate(imagenet_classes())}
        by_layout = {}
        for name, folder in (
            ('imagenet-v2', lambda c: str(number[c])), ('imagenet-sketch', lambda c: c),
        ):
            with tempfile.TemporaryDirectory() as d:
                for f, c in zip(images.names, wnids):
                    p = Path(d)/'set'/folder(c)/f
                    p.parent.mkdir(parents=True)
                    p.symlink_to(images.path(f).resolve())
                real_set = load_shift(name, d)
                logits = head_logits(
                    (real_set.files, store.get([Path(f).name for f in real_set.files])), real_set.files,
                    own_head.weight, own_head.bias,
                )
                by_layout[name] = score_head(logits, real_set)['table']
        display(pd.concat(by_layout).round(3))
        a, b = (t.value[0] for t in by_layout.values())
        test_eq(a, b)
        assert a > .5
    else: print('skipped: set ALIGNET_DATA to the data folder')

    # cell 92
    if data_root:
        root = Path(data_root)
        concepts = pd.read_csv(root / 'things' / 'things_concepts.tsv', sep='\t').set_index('uniqueID')[
            'WordNet ID'
        ]
        things = things_world(root)
        shown = (
            things.items[things.items['style'] == 'caltech101']
            .drop_duplicates('subgroup')
            .set_index('subgroup')
            .object
        )
        links = link_categories(
            shown.index, tree, root / 'imagenet' / 'hierarchy' / 'wordnet',
            {c: concepts.get(o) for c, o in shown.items() if o},
        )
        caltech = folder_task(links, tree, name='caltech-101')
        print(
            caltech, '\nhow categories were linked:',
            links.how.where(links.id.notna(), 'not linked').value_counts().to_dict(),
        )
        display(
            caltech.table.assign(
                category=[', '.join(links.category[links.id == i]) for i in caltech.table.subclass]
            ).pivot_table(index='superclass', columns='side', values='category', aggfunc='; '.join)
        )
        test_eq(len(caltech.table) % (4 * len(caltech)), 0)
        assert (
            links.id[links.category == 'bass'].isna().all()
            and links.id[links.category == 'flamingo'].item()
            == links.id[links.category == 'flamingo_head'].item()
        )
    else: print('skipped: set ALIGNET_DATA to the data folder')

    # cell 94
    if data_root:
        photos = ImageSet.from_folder(root/'caltech101')
        of = dict(zip(links.category, links.id))
        sub = [str(of[Path(f).parent.name]) for f in photos.names]
        free = [o for o in things.splits(0).teacher if o not in set(shown)]
        pictures = things.images.subset(things.photos(free))
        T = extract_features('tf_efficientnet_lite0', pictures).get(pictures.names)
        E = things.embedding[[things.objects.index(o) for o in free]]
        stored = extract_features('tf_efficientnet_lite0', photos)
        base = stored.get(photos.names)
        mixed = rng(0, 5).permutation(len(T))
        real_models = {
            n: (photos.names, x)
            for n, x in dict(
                base=base, aligned=Teacher.fit(T, target=E).transform(base),
                shuffled=Teacher.fit(T, target=E[mixed]).transform(base),
            ).items()
        }
        caltech_at = lambda s: folder_data(
            folder_task(links, tree, seed=s, name='caltech-101'), photos, sub, seed=s
        )
        real_runs, real_summary = shift_over_splits(
            real_models, caltech_at, seeds=range(10), Cs=(1e-3, 1e-2, 0.1)
        )
        print(caltech_at(0))
        display(real_summary.round(3))
    else: print('skipped: set ALIGNET_DATA to the data folder')

    # cell 95
    if data_root:
        plot_shift(real_runs)
        plt.show()
        one = score_shift(real_models['base'], caltech_at(0), Cs=(1e-3, 1e-2, .1))['table']
        display(one.round(3))
        level = real_summary.set_index(['model', 'measure'])['mean']
        assert level['base', 'source accuracy'] > level['base', 'target accuracy'] > 1 / len(caltech)
    else: print('skipped: set ALIGNET_DATA to the data folder')
