"""Tests of `alignet.eval.hierarchy`.

Generated from nbs/eval/hierarchy.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import pytest
import json
import os
from pathlib import Path
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.cluster import hierarchy as sch
from scipy.spatial.distance import squareform, pdist
from alignet.core import *
import itertools
import tempfile
import torch
from IPython.display import display
from PIL import Image
from fastcore.test import test_eq, test_close, test_fail
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from alignet.data import offline_world, things_world
from alignet.features import extract_features
from alignet.teacher import Teacher
from alignet.eval.hierarchy import *
from alignet.eval.hierarchy import _cluster_interval, _relation_means, _unit_counts, _unit_of, _wnid

NOTEBOOK = 'nbs/eval/hierarchy.ipynb'     # a test runs in the folder of its notebook


def test_a_class_hierarchy_in_files():
    "A class hierarchy in files"
    # cell 19
    EDGES = 'root living\nroot made\nliving mammal\nliving fish\nmammal dog\nmammal cat\ndog beagle\ndog pug\nfish carp\ncarp goldfish\nfish goldfish\nfish eel\nmade cup\nmade chair\nchair stool\nchair throne\nmade yeti\n'
    def write_tree(
        folder, edges=EDGES,
        classes=('beagle', 'pug', 'cat', 'goldfish', 'eel', 'cup', 'stool', 'throne'),
    ):
        nodes = sorted({n for l in edges.splitlines() for n in l.split()})
        folder = Path(folder)
        (folder/'class_hierarchy.txt').write_text(edges)
        (folder/'node_names.txt').write_text(''.join(f'{n}\tthe {n}, {n}\n' for n in nodes))
        (folder / 'dataset_class_info.json').write_text(
            json.dumps([[i, c, f'the {c}'] for i, c in enumerate(classes)])
        )
        return folder
    with tempfile.TemporaryDirectory() as d: tree = ClassTree.load(write_tree(d))
    print(tree)
    test_eq(tree.root, 'root')
    test_eq([tree.at_level(l) for l in range(2)], [['root'], ['living', 'made']])
    # root, living, fish, carp, goldfish
    test_eq(tree.level['goldfish'], 4)
    # the yeti is no class of the data, and gone
    test_eq(tree.at_level(2), ['chair', 'cup', 'fish', 'mammal'])
    test_eq(tree.at_level(2, under='living'), ['fish', 'mammal'])
    test_eq(tree.below('mammal'), ['beagle', 'cat', 'pug'])
    test_eq(
        [tree.above('beagle', 1), tree.above('beagle', 2), tree.above('cup', 5)],
        ['living', 'mammal', 'cup'],
    )
    test_eq(tree.call('mammal'), 'the mammal')

    # cell 20
    with tempfile.TemporaryDirectory() as d:
        test_fail(lambda: ClassTree.load(d), contains='class_hierarchy.txt')
        write_tree(d)
        (Path(d)/'dataset_class_info.json').write_text('{"a": 1}')
        test_fail(lambda: ClassTree.load(d), contains='[number, ID, name]')
        test_fail(lambda: ClassTree.load(d, classes=['n1']), contains='none of the 1 classes')
    test_fail(
        lambda: ClassTree({'b': ['a'], 'd': ['c']}, ['b', 'd']), contains='2 nodes have no parent'
    )
    test_fail(lambda: ClassTree({'a': ['r', 'b'], 'b': ['a']}, ['a'], root='r'), contains='circles')
    test_fail(lambda: tree.above('beagel', 2), contains='beagle')

    # cell 22
    data_root = os.environ.get('ALIGNET_DATA')
    if data_root:
        imagenet = ClassTree.load(Path(data_root)/'imagenet'/'hierarchy'/'modified')
        print(imagenet)
        test_eq([len(imagenet.at_level(l)) for l in range(9)], [1, 2, 10, 29, 128, 466, 591, 98, 3])
        test_eq((len(imagenet.classes), len(imagenet.missing)), (890, 110))
        print('level 2:', *sorted(imagenet.call(n) for n in imagenet.at_level(2)), sep='\n  ')
    else: print('skipped: set ALIGNET_DATA to the data folder')


def test_a_taxonomy_of_things():
    "A taxonomy of things"
    # cell 19, in part
    EDGES = 'root living\nroot made\nliving mammal\nliving fish\nmammal dog\nmammal cat\ndog beagle\ndog pug\nfish carp\ncarp goldfish\nfish goldfish\nfish eel\nmade cup\nmade chair\nchair stool\nchair throne\nmade yeti\n'
    def write_tree(
        folder, edges=EDGES,
        classes=('beagle', 'pug', 'cat', 'goldfish', 'eel', 'cup', 'stool', 'throne'),
    ):
        nodes = sorted({n for l in edges.splitlines() for n in l.split()})
        folder = Path(folder)
        (folder/'class_hierarchy.txt').write_text(edges)
        (folder/'node_names.txt').write_text(''.join(f'{n}\tthe {n}, {n}\n' for n in nodes))
        (folder / 'dataset_class_info.json').write_text(
            json.dumps([[i, c, f'the {c}'] for i, c in enumerate(classes)])
        )
        return folder
    with tempfile.TemporaryDirectory() as d: tree = ClassTree.load(write_tree(d))

    # cell 20, in part
    with tempfile.TemporaryDirectory() as d:
        test_fail(lambda: ClassTree.load(d), contains='class_hierarchy.txt')
        write_tree(d)
        (Path(d)/'dataset_class_info.json').write_text('{"a": 1}')
        test_fail(lambda: ClassTree.load(d), contains='[number, ID, name]')
        test_fail(lambda: ClassTree.load(d, classes=['n1']), contains='none of the 1 classes')

    # cell 34
    table = pd.DataFrame(
        dict(
            file=['a.png', 'b.png', 'c.png', 'd.png', 'e.png'], kind=['dog', 'dog', 'cat', 'cup', ''],
            realm=['animal', 'animal', 'animal', 'tool', 'tool'],
        )
    )
    tax = Taxonomy.from_table(table, ['kind', 'realm'])
    print(tax)
    test_eq(
        (tax.files, list(tax.basic), list(tax.superordinate)),
        (
            ['a.png', 'b.png', 'c.png', 'd.png'], ['dog', 'dog', 'cat', 'cup'],
            ['animal', 'animal', 'animal', 'tool'],
        ),
    )
    by_class = Taxonomy.from_classes(
        tree, [f'{i}.jpg' for i in range(5)], ['beagle', 'pug', 'cat', 'yeti', 'cup'], levels=(3, 1)
    )
    test_eq(
        by_class.levels.to_numpy().tolist(),
        [
            ['the dog', 'the living'], ['the dog', 'the living'], ['the cat', 'the living'],
            ['the cup', 'the made'],
        ],
    )
    test_eq(by_class.subset([0, 3]).files, ['0.jpg', '4.jpg'])
    test_eq([_wnid('n01440764/x_1.JPEG'), _wnid('n01440764_tench.JPEG')], ['n01440764'] * 2)

    # cell 35
    test_fail(lambda: Taxonomy.from_table(table, ['kind', 'kingdom']), contains='kingdom')
    test_fail(
        lambda: Taxonomy(
            ['a', 'b'], pd.DataFrame(dict(kind=['bat', 'bat'], realm=['animal', 'sport']))
        ),
        contains="'bat'",
    )
    test_fail(lambda: Taxonomy(['a'], pd.DataFrame(dict(kind=['bat']))), contains='two levels')
    test_fail(lambda: Taxonomy.from_classes(tree, ['a'], ['n1']), contains='no picture')
    test_fail(lambda: load_hierarchy(root='nowhere'), contains='class_hierarchy.txt')
    test_fail(
        lambda: Taxonomy(['a', 'a'], pd.DataFrame(dict(b=['x', 'y'], s=['z', 'z']))),
        contains='occurs twice',
    )
    with tempfile.TemporaryDirectory() as d:
        write_tree(d)
        test_fail(lambda: load_hierarchy(d, hierarchy='.'), contains='image-net.org')
        for c in ('beagle', 'cup', 'unknown'): Image.new('RGB', (8, 8)).save(Path(d)/f'{c}_x.png')
        t = load_hierarchy(d, levels=(3, 1), samples='.', hierarchy='.')
        test_eq((t.files, list(t.basic)), (['beagle_x.png', 'cup_x.png'], ['the dog', 'the cup']))


def test_a_small_world_with_a_known_answer():
    "A small world with a known answer"
    # cell 37
    supers = np.repeat(['animals', 'clothes', 'tools', 'vehicles'], 18)
    basics = np.repeat(
        [
            'bird', 'dog', 'fish', 'coat', 'hat', 'shoe', 'drill', 'hammer', 'saw', 'boat', 'bus',
            'plane',
        ],
        6,
    )
    small = Taxonomy(
        [f'{b}{i % 6}' for i, b in enumerate(basics)],
        pd.DataFrame(dict(basic=basics, superordinate=supers)),
    )
    def small_world(seed=0, up=1.3):
        r = rng(seed)
        top, mid, own = (
            np.repeat(r.normal(size=(4, 40)), 18, 0), np.repeat(r.normal(size=(12, 40)), 6, 0),
            r.normal(size=(72, 40)),
        )
        return (.3*top + mid + .9*own).astype(np.float32), (up*top + mid + .9*own).astype(np.float32)
    before, after = small_world()
    stretched = before * 3
    print(small)
    test_eq(before.shape, (72, 40))


def test_how_two_things_are_related():
    "How two things are related"
    # cell 37, in part
    supers = np.repeat(['animals', 'clothes', 'tools', 'vehicles'], 18)
    basics = np.repeat(
        [
            'bird', 'dog', 'fish', 'coat', 'hat', 'shoe', 'drill', 'hammer', 'saw', 'boat', 'bus',
            'plane',
        ],
        6,
    )
    small = Taxonomy(
        [f'{b}{i % 6}' for i, b in enumerate(basics)],
        pd.DataFrame(dict(basic=basics, superordinate=supers)),
    )

    # cell 40
    R = relations(small)
    u = np.triu_indices(72, 1)
    # counted by hand
    test_eq([int((R[u] == k).sum()) for k in range(3)], [12 * 15, 4 * 3 * 36, 6 * 18 * 18])
    test_eq((R == R.T).all(), True)


def test_distances_that_compare_across_models():
    "Distances that compare across models"
    # cell 37, in part
    def small_world(seed=0, up=1.3):
        r = rng(seed)
        top, mid, own = (
            np.repeat(r.normal(size=(4, 40)), 18, 0), np.repeat(r.normal(size=(12, 40)), 6, 0),
            r.normal(size=(72, 40)),
        )
        return (.3*top + mid + .9*own).astype(np.float32), (up*top + mid + .9*own).astype(np.float32)
    before, after = small_world()
    stretched = before * 3

    # cell 40, in part
    u = np.triu_indices(72, 1)

    # cell 43
    D = relative_distances(before)
    test_close(D[u].mean(), 1., eps=1e-5)
    # against scipy
    test_close(D[u], pdist(before, 'cosine') / pdist(before, 'cosine').mean(), eps=1e-4)
    test_close(relative_distances(stretched, 'dot')[u], relative_distances(before, 'dot')[u], eps=1e-4)
    ranks = relative_distances(before, scale='rank')
    test_close(ranks[u].mean(), .5, eps=1e-5)
    test_eq(np.argsort(ranks[u])[-5:], np.argsort(D[u])[-5:])
    test_fail(lambda: relative_distances(np.ones((4, 3))), contains='the same')
    test_fail(lambda: relative_distances(before, scale='log'), contains="'log'")


def test_change_of_distance():
    "Change of distance"
    # cell 37, in part
    supers = np.repeat(['animals', 'clothes', 'tools', 'vehicles'], 18)
    basics = np.repeat(
        [
            'bird', 'dog', 'fish', 'coat', 'hat', 'shoe', 'drill', 'hammer', 'saw', 'boat', 'bus',
            'plane',
        ],
        6,
    )
    small = Taxonomy(
        [f'{b}{i % 6}' for i, b in enumerate(basics)],
        pd.DataFrame(dict(basic=basics, superordinate=supers)),
    )
    def small_world(seed=0, up=1.3):
        r = rng(seed)
        top, mid, own = (
            np.repeat(r.normal(size=(4, 40)), 18, 0), np.repeat(r.normal(size=(12, 40)), 6, 0),
            r.normal(size=(72, 40)),
        )
        return (.3*top + mid + .9*own).astype(np.float32), (up*top + mid + .9*own).astype(np.float32)
    before, after = small_world()
    stretched = before * 3

    # cell 40, in part
    R = relations(small)
    u = np.triu_indices(72, 1)

    # cell 54
    change = hierarchy_change(before, after, small)
    display(change.round(3))
    D0, D1 = relative_distances(before), relative_distances(after)
    # by hand
    test_close(change.before, [D0[u][R[u] == k].mean() for k in range(3)], eps=1e-5)
    test_close(change.after, [D1[u][R[u] == k].mean() for k in range(3)], eps=1e-5)
    # as promised above
    plain = hierarchy_change(before, after, small, average='pair')
    test_close((plain.change * plain.pairs).sum() / plain.pairs.sum(), 0, eps=1e-6)
    test_eq(change.categories.tolist(), [12, 4, 6])
    uneven = small.subset(np.r_[:30, 36:72])
    v = hierarchy_change(before[uneven_rows := np.r_[:30, 36:72]], after[uneven_rows], uneven)
    # each category the same
    r, d = relations(uneven), relative_distances(before[uneven_rows])
    test_close(
        v.before[0],
        np.mean(
            [
                d[np.ix_(uneven.basic == c, uneven.basic == c)][
                    np.triu_indices((uneven.basic == c).sum(), 1)
                ].mean()
                for c in set(uneven.basic)
            ]
        ),
        eps=1e-5,
    )
    # superordinates were put in, and found; four units are too few to be sure
    by_thing = hierarchy_change(before, after, small, unit='thing')
    assert change.change[1] < 0 < change.change[2] and by_thing.high[1] < 0 and by_thing.low[2] > 0
    test_close(hierarchy_change(before, stretched, small, 'dot').change, np.zeros(3), eps=1e-5)
    # rows by name
    test_close(
        hierarchy_change(
            dict(zip(small.names, before)), (small.names[::-1], after[::-1]), small
        ).change,
        change.change,
        eps=1e-6,
    )

    # cell 56
    counts = _unit_counts(4, 5, 3)
    units = _unit_of(small, 'superordinate')
    fast = _relation_means(D0, R, np.ones(R.shape), units, counts)
    for row, c in zip(fast, counts):
        copies = [(i, k) for i in range(72) for k in range(int(c[units[i]]))]
        pairs = [
            (i, j)
            for (i, k), (j, l) in itertools.combinations(copies, 2)
            if i != j and (units[i] != units[j] or k == l)
        ]
        d, r = np.array([D0[p] for p in pairs], np.float64), np.array([R[p] for p in pairs])
        slow = [d[r == k].mean() if (r == k).any() else np.nan for k in range(3)]
        np.testing.assert_allclose(row, slow, rtol=1e-5)

    # cell 58
    runs = [hierarchy_change(*small_world(s), small, n_boot=300, seed=s).iloc[1] for s in range(60)]
    truth = np.mean([r.change for r in runs])
    cover = np.mean([r.low <= truth <= r.high for r in runs])
    print(f'share of intervals that hold the mean change: {cover:.2f} with 4 superordinates')
    assert .85 < cover <= 1
    test_fail(lambda: hierarchy_change(before, after[:-1], small), contains='71')
    test_fail(lambda: hierarchy_change(before, after, small, unit='class'), contains='superordinate')
    lone = small.subset(small.superordinate == small.superordinate[0])
    test_fail(
        lambda: hierarchy_change(before[: len(lone)], after[: len(lone)], lone),
        contains='one superordinate',
    )

    # cell 60
    ax = plot_hierarchy(
        dict(aligned=change, rescaled=hierarchy_change(before, stretched, small, 'dot'))
    )
    plt.show()
    test_eq(len(ax.get_yticks()), 3)


def test_nearer_to_its_own_kind():
    "Nearer to its own kind"
    # cell 37, in part
    supers = np.repeat(['animals', 'clothes', 'tools', 'vehicles'], 18)
    basics = np.repeat(
        [
            'bird', 'dog', 'fish', 'coat', 'hat', 'shoe', 'drill', 'hammer', 'saw', 'boat', 'bus',
            'plane',
        ],
        6,
    )
    small = Taxonomy(
        [f'{b}{i % 6}' for i, b in enumerate(basics)],
        pd.DataFrame(dict(basic=basics, superordinate=supers)),
    )
    def small_world(seed=0, up=1.3):
        r = rng(seed)
        top, mid, own = (
            np.repeat(r.normal(size=(4, 40)), 18, 0), np.repeat(r.normal(size=(12, 40)), 6, 0),
            r.normal(size=(72, 40)),
        )
        return (.3*top + mid + .9*own).astype(np.float32), (up*top + mid + .9*own).astype(np.float32)
    before, after = small_world()

    # cell 40, in part
    R = relations(small)

    # cell 54, in part
    D0, D1 = relative_distances(before), relative_distances(after)

    # cell 63
    own = kinship(D0, R, 1)
    # against scikit-learn
    test_close(
        own[:5], [roc_auc_score(R[i][R[i] > 0] == 1, -D0[i][R[i] > 0]) for i in range(5)], eps=1e-6
    )
    # chance
    test_close(kinship(rng(5).random((72, 72)), R, 0).mean(), .5, eps=.05)
    print(
        f'relatives of the same superordinate nearer than strangers: {own.mean():.2f} before, {kinship(D1, R, 1).mean():.2f} after'
    )
    assert kinship(D1, R, 1).mean() > own.mean() + .1
    alone = Taxonomy(['a', 'b', 'c'], pd.DataFrame(dict(b=['x', 'y', 'z'], s=['p', 'p', 'q'])))
    test_eq(np.isnan(kinship(D0[:3, :3], relations(alone), 0)), [True] * 3)


def test_trees():
    "Trees"
    # cell 37, in part
    supers = np.repeat(['animals', 'clothes', 'tools', 'vehicles'], 18)
    basics = np.repeat(
        [
            'bird', 'dog', 'fish', 'coat', 'hat', 'shoe', 'drill', 'hammer', 'saw', 'boat', 'bus',
            'plane',
        ],
        6,
    )
    small = Taxonomy(
        [f'{b}{i % 6}' for i, b in enumerate(basics)],
        pd.DataFrame(dict(basic=basics, superordinate=supers)),
    )
    def small_world(seed=0, up=1.3):
        r = rng(seed)
        top, mid, own = (
            np.repeat(r.normal(size=(4, 40)), 18, 0), np.repeat(r.normal(size=(12, 40)), 6, 0),
            r.normal(size=(72, 40)),
        )
        return (.3*top + mid + .9*own).astype(np.float32), (up*top + mid + .9*own).astype(np.float32)
    before, after = small_world()

    # cell 54, in part
    D0, D1 = relative_distances(before), relative_distances(after)

    # cell 71
    Z = grow_tree(squareform([1., 2, 4, 2, 4, 4]))
    test_eq(dendrogram_purity(Z, ['x', 'x', 'y', 'y']), .75)
    def slow_purity(Z, y):
        leaves = [{i} for i in range(len(y))]
        for a, b in Z[:, :2].astype(int): leaves.append(leaves[a] | leaves[b])
        purity = lambda i, j: np.mean(
            [y[k] == y[i] for k in next(s for s in leaves if i in s and j in s)]
        )
        return np.mean(
            [purity(i, j) for i, j in itertools.combinations(range(len(y)), 2) if y[i] == y[j]]
        )
    Z0, Z1 = grow_tree(D0), grow_tree(D1)
    y = rng(1).integers(3, size=72)
    test_close(dendrogram_purity(Z0, y), slow_purity(Z0, y), eps=1e-8)
    ideal = grow_tree(taxonomy_distances(small) + 0.)
    test_eq((dendrogram_purity(ideal, basics), dendrogram_purity(ideal, supers)), (1., 1.))
    test_close(cophenetic_agreement(ideal, taxonomy_distances(small)), 1.)
    # SciPy's own correlation, with itself
    test_close(
        cophenetic_agreement(Z0, D0), sch.cophenet(Z0, squareform(D0, checks=False))[0], eps=1e-5
    )
    print(
        f'purity of superordinates: {dendrogram_purity(Z0, supers):.2f} before, {dendrogram_purity(Z1, supers):.2f} after, {purity_by_chance(Z0, supers):.2f} by chance'
    )
    assert dendrogram_purity(Z1, supers) > dendrogram_purity(Z0, supers) > purity_by_chance(Z0, supers)
    test_fail(lambda: dendrogram_purity(Z, list('wxyz')), contains='no two things')
    test_fail(lambda: dendrogram_purity(Z, list('xx')), contains='2 labels')

    # cell 75
    fig = plot_trees(dict(before=before, after=after), small)
    plt.show()
    names, M = category_means(before, basics)
    test_eq(names, sorted(set(basics)))
    test_close(M[0], prep_features(before, 'cosine')[basics == names[0]].mean(0), eps=1e-6)


def test_all_of_it_for_one_model():
    "All of it for one model"
    # cell 37, in part
    supers = np.repeat(['animals', 'clothes', 'tools', 'vehicles'], 18)
    basics = np.repeat(
        [
            'bird', 'dog', 'fish', 'coat', 'hat', 'shoe', 'drill', 'hammer', 'saw', 'boat', 'bus',
            'plane',
        ],
        6,
    )
    small = Taxonomy(
        [f'{b}{i % 6}' for i, b in enumerate(basics)],
        pd.DataFrame(dict(basic=basics, superordinate=supers)),
    )
    def small_world(seed=0, up=1.3):
        r = rng(seed)
        top, mid, own = (
            np.repeat(r.normal(size=(4, 40)), 18, 0), np.repeat(r.normal(size=(12, 40)), 6, 0),
            r.normal(size=(72, 40)),
        )
        return (.3*top + mid + .9*own).astype(np.float32), (up*top + mid + .9*own).astype(np.float32)
    before, after = small_world()

    # cell 40, in part
    R = relations(small)

    # cell 54, in part
    change = hierarchy_change(before, after, small)
    D0, D1 = relative_distances(before), relative_distances(after)

    # cell 63, in part
    own = kinship(D0, R, 1)

    # cell 80
    score = score_hierarchy(before, small)
    display(score['table'].round(3))
    t0, t1 = (score_hierarchy(X, small)['table'].set_index('measure') for X in (before, after))
    test_close(t0.value['distance, same superordinate'], change.before[1])
    test_close(t0.value['nearer to its superordinate'], own.mean())
    assert (t0.low.dropna() <= t0.value[t0.low.notna()] + 1e-9).all() and t1.value[
        'tree, purity of superordinate'
    ] > t0.value['tree, purity of superordinate']
    test_eq([len(v) for v in score['items'].values()], [72, 72])
    test_eq([list(v) for v in score['items_rows'].values()], [list(range(72))] * 2)
    nothing = score_hierarchy(rng(9).normal(size=(72, 40)).astype(np.float32), small)[
        'table'
    ].set_index('measure')
    # features without knowledge
    test_close(nothing.value['nearer to its superordinate'], .5, eps=.05)
    test_close(
        nothing.value['tree, purity of superordinate'], nothing.chance['tree, purity of superordinate'],
        eps=0.12,
    )


def test_on_pictograms():
    "On pictograms"
    # cell 82
    torch.set_num_threads(1)
    world = offline_world()
    split = world.splits(0)
    by = world.items.drop_duplicates('object').set_index('object').group
    pool = [
        o for o in world.objects if by[o] in ('Animals & Nature', 'Food & Drink', 'Travel & Places')
    ]
    scored = [o for o in pool if o in set(split.test)]
    fitted = [o for o in pool if o in set(split.teacher)]
    picked = world.images.subset(world.photos(scored + fitted))
    with tempfile.TemporaryDirectory() as d:
        store = extract_features('tf_efficientnet_lite0', picked, path=Path(d)/'store', size=64)
        feats = dict(zip(store.names, store.get(store.names)))
    pictograms = Taxonomy.from_world(world, scored)
    print(pictograms)
    test_eq(set(scored) & set(fitted), set())

    # cell 83
    F, base = world.object_features(feats, objects=fitted), np.stack(
        [feats[f] for f in pictograms.files]
    )
    aligned = Teacher.fit(F, world.judgements.restrict(fitted)).transform(base)
    told = (
        make_pipeline(StandardScaler(), RidgeClassifier(alpha=1e3))
        .fit(F, by[fitted])
        .decision_function(base)
    )
    moved = {
        n: hierarchy_change(base, X, pictograms, unit='basic')
        for n, X in dict(aligned=aligned, told=told).items()
    }
    display(pd.concat(moved).round(3))
    assert moved['told'].high[1] < 0 and abs(moved['aligned'].change[1]) < abs(moved['told'].change[1])

    # cell 85
    fig = plot_trees(dict(base=base, told=told), pictograms)
    plt.show()
    score = {
        n: score_hierarchy(X, pictograms, unit='basic')['table'].set_index('measure')
        for n, X in dict(base=base, aligned=aligned, told=told).items()
    }
    assert (
        score['told'].value['nearer to its superordinate']
        > score['base'].value['nearer to its superordinate']
    )
    pd.DataFrame({n: t.value for n, t in score.items()}).assign(chance=score['base'].chance).round(3)


@pytest.mark.slow
def test_on_photos_of_imagenet_classes_slow():
    "On photos of ImageNet classes"
    # cell 22, in part
    data_root = os.environ.get('ALIGNET_DATA')

    # cell 87
    if data_root:
        photos = load_hierarchy(data_root)
        things = things_world(data_root)
        seen = things.splits(0).teacher
        stores = [
            extract_features('tf_efficientnet_lite0', i)
            for i in (photos.images, things.images.subset(things.photos(seen)))
        ]
        T, E = (
            stores[1].get(things.photos(seen)),
            things.embedding[[things.objects.index(o) for o in seen]],
        )
        mixed = rng(0, 5).permutation(len(T))
        teachers = dict(
            base=Teacher.identity(T), aligned=Teacher.fit(T, target=E),
            shuffled=Teacher.fit(T, target=E[mixed]),
        )
        shown = things.items.set_index('file')
        shows = lambda f: {shown.object[f], *(things.kinds or {}).get(f, ())}
        real = photos.subset([not shows('imagenet/samples/' + f) & set(seen) for f in photos.files])
        raw_features = stores[0].get(real.files)
        real_models = {n: t.transform(raw_features) for n, t in teachers.items()}
        print(f'{real}; teacher: {len(T)} objects')
        real_moved = {
            n: hierarchy_change(real_models['base'], real_models[n], real)
            for n in ('aligned', 'shuffled')
        }
        display(pd.concat(real_moved).round(3))
    else: print('skipped: set ALIGNET_DATA to the data folder')

    # cell 88
    if data_root:
        plot_hierarchy(real_moved)
        plt.show()
        real_scores = {
            n: score_hierarchy(x, real) for n, x in dict(raw=raw_features, **real_models).items()
        }
        real_tables = {n: s['table'].set_index('measure') for n, s in real_scores.items()}
        display(
            pd.DataFrame({n: t.value for n, t in real_tables.items()})
            .assign(chance=real_tables['base'].chance)
            .round(3)
        )
        m = 'nearer to its superordinate'
        first = real_scores['base']
        own_kind = real.superordinate[first['items_rows'][m]]
        for n in ('aligned', 'shuffled'):
            gain = real_scores[n]['items'][m] - first['items'][m]
            print(
                f"{n}: gain in '{m}' {gain.mean():+.3f}, superordinates resampled: [{_cluster_interval(gain, own_kind, 2000, 0)[0]:+.3f}, {_cluster_interval(gain, own_kind, 2000, 0)[1]:+.3f}]"
            )
        assert real_moved['aligned'].change[1] < 0 and real_tables['aligned'].value[
            'nearer to its superordinate'
        ] > max(real_tables[n].value['nearer to its superordinate'] for n in ('base', 'shuffled'))
    else: print('skipped: set ALIGNET_DATA to the data folder')
