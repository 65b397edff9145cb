"""Tests of `alignet.labels`.

Generated from nbs/04_labels.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import json
import warnings
from pathlib import Path
import numpy as np
from alignet.core import *
from alignet.teacher import Teacher
import tempfile
import time
from fastcore.test import test_eq, test_close, test_fail
from scipy.stats import chisquare, entropy
from sklearn.metrics import adjusted_rand_score
from alignet.features import FeatureStore
from alignet.labels import *
from alignet.labels import _decided, _random_sims

NOTEBOOK = 'nbs/04_labels.ipynb'     # a test runs in the folder of its notebook


def test_clusters():
    "Clusters"
    # cell 8, in part
    def nested(d=16, kinds=6, subkinds=5, images=12, seed=0):
        "(n, d) features, (n,) kind and (n,) subkind of each"
        r = rng(seed)
        n = kinds * subkinds
        sub = np.repeat(r.normal(size=(kinds, d)) * 1.2, subkinds, 0) + r.normal(size=(n, d)) * .6
        X = np.repeat(sub, images, 0) + r.normal(size=(n * images, d)) * .25
        return (
            X.astype(np.float32), np.repeat(np.arange(kinds), subkinds * images),
            np.repeat(np.arange(n), images),
        )
    Z, kinds, subkinds = nested()

    # cell 11, in part
    clusters = cluster_features(Z, k=30)

    # cell 13
    assert adjusted_rand_score(clusters, subkinds) > .8
    far = np.repeat(np.eye(6, 16) * 20, 60, 0) + Z * .1
    for limit in (2e9, 0):
        test_eq(adjusted_rand_score(cluster_features(far, 6, seed=3, exact_below=limit), kinds), 1.)
    test_eq(clusters, cluster_features(Z, k=30))
    test_fail(lambda: cluster_features(Z, k=400), contains='number of images')
    test_fail(lambda: cluster_features(np.full((9, 2), np.nan), k=2), contains='NaN')


def test_five_ways_to_draw_three_images():
    "Five ways to draw three images"
    # cell 23
    ragged = np.repeat([-1, 0, 1, 2, 3, 4], [3, 1, 2, 3, 10, 40])
    labels = rng(4).permutation(ragged)
    want = dict(cluster_border=2, class_border=2, between_class=3, within_class=1)
    for kind in SAMPLINGS:
        for by in ('image', 'cluster'):
            t = sample_triplets(labels, 20000, kind, seed=7, by=by)
            check_triplets(t, len(labels))
            g = labels[t]
            assert (g >= 0).all()
            if kind != 'random': assert (np.array([len(set(r)) for r in g]) == want[kind]).all(), kind
            if 'border' in kind: assert (g[:, 0] == g[:, 1]).all()
            # the shorter list is a beginning
            test_eq(t[:500], TripletSampler(labels, kind, 7, by=by)(500))
    s = TripletSampler(labels, 'within_class', 7, block_size=1000)
    # any block by itself
    test_eq(s(3000)[2000:], TripletSampler(labels, 'within_class', 7, block_size=1000).block(2))
    assert (s.block(0) != s.block(1)).any() and (
        s.block(0) != TripletSampler(labels, 'within_class', 8, block_size=1000).block(0)
    ).any()
    test_eq((s.left_out, TripletSampler(labels, 'cluster_border').left_out), (6, 4))

    # cell 25
    def chances(labels, kind, by):
        "Probability of each unordered triplet, from the definition in words"
        n, P = len(labels), {}
        G = np.zeros(n, int) if kind == 'random' else labels
        need = dict(cluster_border=2, class_border=2, between_class=1, within_class=3, random=1)[kind]
        def uniform(options, groups=by == 'cluster' and kind != 'random'):
            if not groups: return {i: 1/len(options) for i in options}
            gs = set(G[options].tolist())
            return {i: 1/len(gs)/(G[options] == G[i]).sum() for i in options}
        alone = lambda options: uniform(options, False)
        for i, pi in uniform([i for i in range(n) if (G == G[i]).sum() >= need]).items():
            same, other = [j for j in range(n) if G[j] == G[i] and j != i], [
                j for j in range(n) if G[j] != G[i]
            ]
            for j, pj in (uniform(other) if kind == 'between_class' else alone(same)).items():
                third = (
                    alone([k for k in same if k != j])
                    if kind in ('random', 'within_class')
                    else uniform([k for k in other if G[k] != G[j]])
                )
                for k, pk in third.items():
                    key = tuple(sorted((i, j, k)))
                    P[key] = P.get(key, 0) + pi*pj*pk
        return P
    tiny = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 3])
    for kind in SAMPLINGS:
        for by in ('image', 'cluster'):
            P = chances(tiny, kind, by)
            t = np.sort(sample_triplets(tiny, 200_000, kind, seed=11, by=by), 1)
            keys, counts = np.unique(t, axis=0, return_counts=True)
            found = {tuple(k): c for k, c in zip(keys.tolist(), counts)}
            assert set(found) == set(P)
            assert chisquare([found[k] for k in P], [P[k] * 200_000 for k in P]).pvalue > 1e-4, (
                kind, by,
            )

    # cell 27
    for kind, ids, why in [
        ('cluster_border', np.zeros(9, int), 'there is one'),
        ('cluster_border', np.arange(9), 'fewer clusters'),
        ('within_class', [0, 0, 1, 1], 'largest of 2 classes has 2'),
        ('between_class', [0, 0, 1, 1], 'three classes'), ('random', [0, 1], 'three images'),
        ('random', [-1, -1, -1, -1], 'three images'), ('border', [0, 1], 'choose one of'),
        ('random', [0.5, 1.0, 2.0], 'integer'),
    ]:
        test_fail(lambda: sample_triplets(np.array(ids), 5, kind), contains=why)
    test_fail(lambda: TripletSampler(tiny, classes=tiny[:3]), contains='do not fit')
    test_eq(sample_triplets(tiny, 0).shape, (0, 3))

    # cell 28
    many = rng(0).integers(0, 500, 100_000)
    cpu = {}
    for kind in SAMPLINGS:
        t = time.process_time()
        sample_triplets(many, 1_000_000, kind)
        cpu[kind] = round(time.process_time() - t, 2)
    print('seconds of one core for a million triplets:', cpu)
    assert max(cpu.values()) < 2


def test_soft_labels():
    "Soft labels"
    # cell 8, in part
    def nested(d=16, kinds=6, subkinds=5, images=12, seed=0):
        "(n, d) features, (n,) kind and (n,) subkind of each"
        r = rng(seed)
        n = kinds * subkinds
        sub = np.repeat(r.normal(size=(kinds, d)) * 1.2, subkinds, 0) + r.normal(size=(n, d)) * .6
        X = np.repeat(sub, images, 0) + r.normal(size=(n * images, d)) * .25
        return (
            X.astype(np.float32), np.repeat(np.arange(kinds), subkinds * images),
            np.repeat(np.arange(n), images),
        )
    Z, kinds, subkinds = nested()

    # cell 11, in part
    clusters = cluster_features(Z, k=30)

    # cell 35, in part
    drawn = sample_triplets(clusters, 20_000, 'cluster_border', seed=0)

    # cell 36
    for kw in (dict(), dict(limit=0), dict(S=Z @ Z.T)):
        t, s = label_triplets(Z, drawn[:3000], **kw)
        # similarities belong to the turned rows
        test_close(s, triplet_sims(Z, t), eps=1e-4)
        # the last is the odd one
        assert (s[:, 0] >= s[:, 1:].max(1)).all()
        # of the images that were drawn
        test_eq(np.sort(t, 1), np.sort(drawn[:3000], 1))
    test_fail(lambda: label_triplets(Z[:5], drawn), contains='outside the set')
    test_fail(lambda: label_triplets(Z * np.nan, drawn), contains='NaN')

    # cell 38, in part
    entropies = {
        k: entropy(
            choice_probs(
                label_triplets(Z, sample_triplets(clusters, 20_000, k, classes=kinds))[1], tau=4
            ),
            axis=1,
        )
        for k in SAMPLINGS
    }

    # cell 39
    mean = {k: float(h.mean()) for k, h in entropies.items()}
    assert (
        max(mean['cluster_border'], mean['class_border'])
        < mean['random']
        < mean['between_class']
        < mean['within_class']
    )
    mean


def test_a_file_that_knows_where_it_came_from():
    "A file that knows where it came from"
    # cell 8, in part
    def nested(d=16, kinds=6, subkinds=5, images=12, seed=0):
        "(n, d) features, (n,) kind and (n,) subkind of each"
        r = rng(seed)
        n = kinds * subkinds
        sub = np.repeat(r.normal(size=(kinds, d)) * 1.2, subkinds, 0) + r.normal(size=(n, d)) * .6
        X = np.repeat(sub, images, 0) + r.normal(size=(n * images, d)) * .25
        return (
            X.astype(np.float32), np.repeat(np.arange(kinds), subkinds * images),
            np.repeat(np.arange(n), images),
        )
    Z, kinds, subkinds = nested()

    # cell 11, in part
    clusters = cluster_features(Z, k=30)

    # cell 35, in part
    drawn = sample_triplets(clusters, 20_000, 'cluster_border', seed=0)

    # cell 46, in part
    labels = PseudoLabels(
        [f'im{i:03d}.png' for i in range(len(Z))], *label_triplets(Z, drawn), Z,
        dict(sampling='cluster_border', transform='aligned', seed=0), clusters,
    )

    # cell 47
    names = labels.names
    test_eq(labels.filenames[0].tolist(), [names[i] for i in labels.triplets[0]])
    test_close(labels.probs(4.).sum(1), np.ones(len(labels)), eps=1e-5)
    some = labels.restrict(names[100:0:-1])
    test_eq(some.names[0], names[100])
    test_close(some.sims[:50], triplet_sims(some.embedding, some.triplets[:50]), eps=1e-4)
    test_eq(len(some), (((labels.triplets > 0) & (labels.triplets <= 100)).all(1)).sum())
    for args, why in [
        ((names, labels.triplets, labels.sims[:5]), 'do not fit'),
        ((names, labels.triplets, labels.sims[:, ::-1]), 'not the odd one'),
        ((names[:9], labels.triplets, labels.sims), 'outside the set'),
        ((names, labels.triplets, labels.sims * np.nan), 'NaN'),
        ((names[:5] * 2, None, None), 'occur twice'),
        ((names, None, None, Z[:5]), 'embedding has 5 rows'),
    ]:
        test_fail(lambda: PseudoLabels(*args), contains=why)
    test_fail(lambda: labels.restrict(['im001.png', 'nobody.png']), contains="'nobody.png'")

    # cell 52
    with tempfile.TemporaryDirectory() as d:
        path = labels.save(Path(d)/'labels')
        back = PseudoLabels.load(path)
        full = labels.save(Path(d)/'official.npz', official=True)
        sizes = {p.name: f'{p.stat().st_size/1e6:.1f} MB' for p in (path, full)}
        with np.load(full) as z: keys = {k: (z[k].shape, z[k].dtype.str) for k in z.files}
    test_eq((back.names, back.meta), (labels.names, labels.meta))
    for k in ('triplets', 'sims', 'embedding', 'clusters'):
        test_eq(getattr(back, k), getattr(labels, k))
    sizes, keys

    # cell 54
    with tempfile.TemporaryDirectory() as d:
        for folder, kind in (('untransformed', 'U'), ('uncertainty_distillation', 'S')):
            f = Path(d)/folder/'train_cluster_border_500.npz'
            f.parent.mkdir()
            files = np.array(names)[drawn]
            np.savez(
                f, filenames=files if kind == 'U' else np.char.encode(files),
                similarities=triplet_sims(Z, drawn), indices=rng(0).permutation(len(Z))[drawn],
            )
            with warnings.catch_warnings(record=True) as w:
                warnings.simplefilter('always')
                released = PseudoLabels.load(f)
            test_eq(any('UNTRANSFORMED' in str(o.message) for o in w), folder == 'untransformed')
            test_eq(released.filenames.tolist(), labels.filenames.tolist())
            test_close(released.sims, labels.sims, eps=1e-4)
            with warnings.catch_warnings():
                warnings.simplefilter('error')
                PseudoLabels.load(f, control=True)
    released.meta

    # cell 55
    test_close(
        released.meta['already_odd_last'], (label_triplets(Z, drawn)[0] == drawn).all(1).mean(),
        eps=1e-3,
    )
    test_eq((released.transform, released.meta['sampling']), ('aligned', 'cluster_border_500'))
    with tempfile.TemporaryDirectory() as d:
        whole = Path(labels.save(Path(d)/'a.npz')).read_bytes()
        bad = Path(d)/'bad.npz'
        def load(content):
            bad.write_bytes(content)
            return PseudoLabels.load(bad)
        test_fail(lambda: load(whole[:len(whole)//2]), contains='bad.npz')
        test_fail(lambda: load(b'hello'), contains='damaged')
        flipped = bytearray(whole)
        flipped[len(whole)//2] ^= 255
        test_fail(lambda: load(bytes(flipped)), contains='bad.npz')
        def other(**kw):
            np.savez(bad, **kw)
            return PseudoLabels.load(bad)
        test_fail(lambda: other(x=np.ones(3)), contains='no filenames')
        test_fail(
            lambda: other(filenames=np.array([['a', 'b', 'c']]), similarities=np.ones((2, 3))),
            contains='bad.npz',
        )
        test_fail(
            lambda: other(filenames=np.array([['a', None, 1]], object), similarities=np.ones((1, 3))),
            contains='plain arrays',
        )
        test_fail(
            lambda: other(
                names=np.array(['a', 'b', 'c']), indices=np.array([[0, 1, 3]]),
                similarities=np.ones((1, 3)),
            ),
            contains='outside the set',
        )
        test_fail(lambda: PseudoLabels.load(Path(d)/'none.npz'), contains='does not exist')


def test_from_teacher_to_labels_in_one_call():
    "From teacher to labels in one call"
    # cell 8, in part
    def nested(d=16, kinds=6, subkinds=5, images=12, seed=0):
        "(n, d) features, (n,) kind and (n,) subkind of each"
        r = rng(seed)
        n = kinds * subkinds
        sub = np.repeat(r.normal(size=(kinds, d)) * 1.2, subkinds, 0) + r.normal(size=(n, d)) * .6
        X = np.repeat(sub, images, 0) + r.normal(size=(n * images, d)) * .25
        return (
            X.astype(np.float32), np.repeat(np.arange(kinds), subkinds * images),
            np.repeat(np.arange(n), images),
        )
    Z, kinds, subkinds = nested()

    # cell 11, in part
    clusters = cluster_features(Z, k=30)

    # cell 35, in part
    drawn = sample_triplets(clusters, 20_000, 'cluster_border', seed=0)

    # cell 46, in part
    labels = PseudoLabels(
        [f'im{i:03d}.png' for i in range(len(Z))], *label_triplets(Z, drawn), Z,
        dict(sampling='cluster_border', transform='aligned', seed=0), clusters,
    )

    # cell 47, in part
    names = labels.names

    # cell 54, in part
    with tempfile.TemporaryDirectory() as d:
        for folder, kind in (('untransformed', 'U'), ('uncertainty_distillation', 'S')):
            f = Path(d)/folder/'train_cluster_border_500.npz'
            f.parent.mkdir()
            files = np.array(names)[drawn]
            np.savez(
                f, filenames=files if kind == 'U' else np.char.encode(files),
                similarities=triplet_sims(Z, drawn), indices=rng(0).permutation(len(Z))[drawn],
            )
            with warnings.catch_warnings(record=True) as w:
                warnings.simplefilter('always')
                released = PseudoLabels.load(f)
            test_eq(any('UNTRANSFORMED' in str(o.message) for o in w), folder == 'untransformed')
            test_eq(released.filenames.tolist(), labels.filenames.tolist())
            test_close(released.sims, labels.sims, eps=1e-4)
            with warnings.catch_warnings():
                warnings.simplefilter('error')
                PseudoLabels.load(f, control=True)

    # cell 60, in part
    map_ = Teacher(rng(8).normal(size=(16, 8)) * .3, mean=Z.mean(), std=Z.std())
    controls = {
        aim: control_teacher(Z, t).transform(Z)
        for aim, t in ((_decided(_random_sims(map_.transform(Z))), map_), (CEILING, None))
    }

    # cell 61
    for aim, C in controls.items():
        # other triplets, by hand
        r = rng(9)
        X = [C[[r.choice(len(C), 3, replace=False) for _ in range(3000)]][:, c] for c in range(3)]
        p = choice_probs(np.stack([(X[0]*X[1]).sum(1), (X[0]*X[2]).sum(1), (X[1]*X[2]).sum(1)], 1))
        assert abs(p.max(1).mean() - aim) < .02
        # a shift and a scale, nothing else
        test_close(np.corrcoef(C.ravel(), Z.ravel())[0, 1], 1, eps=1e-5)

    # cell 67, in part
    with tempfile.TemporaryDirectory() as d:
        store = FeatureStore.write(Path(d)/'store', names, Z, model='nested')
        made = pseudo_label(map_, store, n=100_000, clusters=30, seed=1)
        control = pseudo_label(map_, store, n=1000, clusters=30, control=True)
        part = pseudo_label(map_, store, n=1000, clusters=5, names=names[::-3])

    # cell 68
    zt = map_.transform(Z.astype(np.float16))
    test_close(made.embedding, zt, eps=1e-5)
    test_close(made.sims[-500:], triplet_sims(zt, made.triplets[-500:]), eps=1e-3)
    test_eq(made.clusters, cluster_features(made.embedding, 30, 1))
    test_eq(np.sort(made.triplets, 1), np.sort(sample_triplets(made.clusters, 100_000, seed=1), 1))
    test_eq(
        (made.transform, made.meta['teacher'], made.meta['features']['model']),
        ('aligned', map_.digest(), 'nested'),
    )
    test_eq(part.names, names[::-3])
    test_close(part.embedding, zt[::-3], eps=1e-5)
    test_eq((control.transform, control.embedding.shape), ('untransformed', Z.shape))
    test_close(np.corrcoef(control.embedding.ravel(), Z.ravel())[0, 1], 1, eps=1e-4)
    test_eq(pseudo_label(None, (names, Z), n=0, clusters=30).triplets.shape, (0, 3))
    again = pseudo_label(map_, (names, Z.astype(np.float16)), n=70_000, clusters=made.clusters, seed=1)
    # fewer are the beginning of more
    test_eq(again.triplets, made.triplets[:70_000])
    test_eq(again.sims, made.sims[:70_000])
    with tempfile.TemporaryDirectory() as d:
        with warnings.catch_warnings(record=True) as w:
            warnings.simplefilter('always')
            PseudoLabels.load(control.save(Path(d)/'c'))
        assert 'UNTRANSFORMED' in str(w[-1].message)
    test_fail(
        lambda: pseudo_label(map_, (names, Z), names=['im001.png', 'im01.png']), contains='there is'
    )
    test_fail(lambda: pseudo_label(map_, (names[:2], Z[:2])), contains='at least three')
    test_fail(lambda: pseudo_label(map_, (names, Z), clusters=np.arange(4)), contains='do not fit')
    test_fail(lambda: pseudo_label(map_, (names, Z[:, :5])), contains='5 columns')

    # cell 70
    with tempfile.TemporaryDirectory() as d:
        made_by = dict(arch='net', weights='0123456789abcdef', data_config=dict(input_size=[3, 64, 64]))
        right, wrong = (
            FeatureStore.write(Path(d) / n, names, Z, model=n, **{**made_by, 'weights': w})
            for n, w in (('same', made_by['weights']), ('other', 'fedcba9876543210'))
        )
        taught = Teacher(
            map_.weights, None, map_.mean, map_.std,
            dict(features=json.loads(json.dumps({**right.identity(), 'model': 'net'}))),
        )
        test_eq(
            pseudo_label(taught, right, n=50, clusters=30).sims,
            pseudo_label(map_, right, n=50, clusters=30).sims,
        )
        for kw in (dict(), dict(control=True)):
            test_fail(
                lambda: pseudo_label(taught, wrong, n=50, **kw),
                contains="features of 'net' (weights 0123456789abcdef)",
            )
            test_fail(
                lambda: pseudo_label(taught, wrong, n=50, **kw),
                contains="those of 'other' (weights fedcba9876543210)",
            )
        # published features, known by name only
        named = Teacher(map_.weights, None, map_.mean, map_.std, dict(features=dict(model='net')))
        test_fail(lambda: pseudo_label(named, right, n=50), contains='they differ in model')
        # nothing known, nothing to compare
        pseudo_label(map_, wrong, n=50), pseudo_label(taught, (names, Z), n=50)
    hole = Z.copy()
    hole[150, 3] = np.nan
    test_fail(
        lambda: pseudo_label(map_, (names, hole), chunk=60),
        contains="'im150.png' (row 150 of 360) hold NaN",
    )
    test_fail(
        lambda: pseudo_label(map_, (names, hole), names=names[140:160], chunk=4),
        contains="'im150.png' (row 150 of 360) hold NaN",
    )
    test_eq(
        len(pseudo_label(map_, (names, hole), names=[o for o in names if o != 'im150.png'], n=50)), 50
    )
