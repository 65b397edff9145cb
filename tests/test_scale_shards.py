"""Tests of `alignet.scale.shards`.

Generated from nbs/scale/shards.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import os
import warnings
from pathlib import Path
import numpy as np
import torch
from alignet.core import *
from alignet.features import FeatureStore, Backbone
from alignet.labels import TripletSampler, control_teacher, cluster_features, label_triplets, pseudo_label
import importlib.util
import pickle
import tempfile
from fastcore.test import test_eq, test_close, test_fail
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from torch import nn
from alignet.data import ImageSet
from alignet.extras.released import official_triplets
from alignet.teacher import Teacher
from alignet.training import align_dls, align_learner
from alignet.scale.shards import *

NOTEBOOK = 'nbs/scale/shards.ipynb'     # a test runs in the folder of its notebook


def test_the_teachers_features_on_disk():
    "The teacher's features, on disk"
    # cell 8, in part
    def nested(d=24, kinds=6, subkinds=5, images=12, seed=0):
        "(n, d) features and (n,) subkind of each"
        r = rng(seed)
        n = kinds * subkinds
        sub = np.repeat(r.normal(size=(kinds, d)) * 1.2, subkinds, 0) + r.normal(size=(n, d)) * .8
        return (np.repeat(sub, images, 0) + r.normal(size=(n * images, d)) * 0.25).astype(
            np.float32
        ), np.repeat(np.arange(n), images)
    torch.set_num_threads(1)
    X, subkinds = nested()
    names = [f'im{i:03d}.png' for i in range(len(X))]
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name)
    made_by = dict(arch='net', weights='0123456789abcdef', data_config=dict(input_size=[3, 64, 64]))
    store = FeatureStore.write(root/'features', names, X, model='net', **made_by)
    teacher = Teacher(
        rng(1).normal(size=(24, 10)) * 0.3, mean=X.mean(), std=X.std(),
        meta=dict(features=store.identity()),
    )

    # cell 14, in part
    Z = transform_store(teacher, store, root/'teacher', chunk=100)

    # cell 16
    test_eq(Z.X, teacher.transform(store.get()).astype(np.float16))
    test_eq((Z.names, Z.X.dtype), (names, np.float16))
    test_eq(
        (Z.meta['teacher'], Z.meta['features'], Z.meta['transform']),
        (teacher.digest(), store.identity(), 'aligned'),
    )
    control = transform_store(None, store, root/'control')
    test_close(np.corrcoef(control.get().ravel(), X.ravel())[0, 1], 1, eps=1e-4)
    test_eq(control.meta['transform'], 'untransformed')
    test_eq(
        pseudo_label(teacher, store, n=0, control=True, clusters=30).embedding.astype(np.float16),
        transform_store(teacher, store, root / 'control2', control=True).X,
    )
    again = transform_store(control_teacher(store.get(), teacher), store, root/'control3')
    test_eq(again.meta['transform'], 'untransformed')
    test_eq(again.X, FeatureStore(root/'control2').X)
    test_fail(lambda: transform_store(teacher, Z, root/'twice'), contains='fitted on features of')
    other = Teacher(teacher.weights * 2, None, teacher.mean, teacher.std)
    test_fail(lambda: transform_store(other, store, root/'teacher'), contains='another teacher')
    test_fail(
        lambda: transform_store(Teacher(teacher.weights * 1e6), store, root / 'big'),
        contains='beyond float16',
    )
    hole = X.copy()
    hole[150, 3] = np.nan
    test_fail(
        lambda: transform_store(None, (names, hole), root / 'hole'),
        contains="'im150.png' (row 150 of 360) hold NaN",
    )

    # cell 18
    asked = TripletSampler(subkinds, seed=0, block_size=20_000).block(0)
    exact_rows = teacher.transform(store.get())
    change = np.abs(
        choice_probs(triplet_sims(exact_rows, asked)) - choice_probs(triplet_sims(Z.get(), asked))
    ).max(1)
    print(f'largest change of a probability {change.max():.4f}, mean {change.mean():.6f}')
    assert change.max() < .01

    # cell 20
    class Mortal(Teacher):
        def transform(self, X):
            if not self.lives: raise KeyboardInterrupt
            self.lives -= 1
            return super().transform(X)
    mortal = Mortal(teacher.weights, None, teacher.mean, teacher.std)
    mortal.lives = 3
    try:
        _ = transform_store(mortal, store, root/'resumed', chunk=50)
        raise AssertionError
    except KeyboardInterrupt: pass
    test_fail(lambda: FeatureStore(root/'resumed'), contains='not finished')
    test_fail(lambda: transform_store(other, store, root/'resumed', chunk=50), contains='unfinished')
    # the first piece again, for the width; then five of eight are missing
    mortal.lives = 6
    resumed = transform_store(mortal, store, root/'resumed', chunk=50)
    test_eq(mortal.lives, 0)
    test_eq(resumed.X, Z.X)
    test_eq(resumed.path.with_name('resumed.part').exists(), False)


def test_clusters_of_what_does_not_fit():
    "Clusters of what does not fit"
    # cell 8, in part
    def nested(d=24, kinds=6, subkinds=5, images=12, seed=0):
        "(n, d) features and (n,) subkind of each"
        r = rng(seed)
        n = kinds * subkinds
        sub = np.repeat(r.normal(size=(kinds, d)) * 1.2, subkinds, 0) + r.normal(size=(n, d)) * .8
        return (np.repeat(sub, images, 0) + r.normal(size=(n * images, d)) * 0.25).astype(
            np.float32
        ), np.repeat(np.arange(n), images)
    torch.set_num_threads(1)
    X, subkinds = nested()
    names = [f'im{i:03d}.png' for i in range(len(X))]
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name)
    made_by = dict(arch='net', weights='0123456789abcdef', data_config=dict(input_size=[3, 64, 64]))
    store = FeatureStore.write(root/'features', names, X, model='net', **made_by)
    teacher = Teacher(
        rng(1).normal(size=(24, 10)) * 0.3, mean=X.mean(), std=X.std(),
        meta=dict(features=store.identity()),
    )

    # cell 14, in part
    Z = transform_store(teacher, store, root/'teacher', chunk=100)

    # cell 16, in part
    hole = X.copy()
    hole[150, 3] = np.nan

    # cell 20, in part
    class Mortal(Teacher):
        def transform(self, X):
            if not self.lives: raise KeyboardInterrupt
            self.lives -= 1
            return super().transform(X)
    mortal = Mortal(teacher.weights, None, teacher.mean, teacher.std)
    mortal.lives = 3
    try:
        _ = transform_store(mortal, store, root/'resumed', chunk=50)
        raise AssertionError
    except KeyboardInterrupt: pass
    # the first piece again, for the width; then five of eight are missing
    mortal.lives = 6

    # cell 34
    has_faiss = importlib.util.find_spec('faiss') is not None
    engines = ['sklearn'] + ['faiss'] * has_faiss
    if not has_faiss: print('skipped: faiss is not installed')
    far = np.repeat(np.eye(6, 16, dtype=np.float16) * 20, 60, 0) + rng(2).normal(size=(360, 16)).astype(
        np.float16
    ) * np.float16(0.3)
    exact = KMeans(6, n_init=5, random_state=0).fit_predict(far.astype(np.float32))
    for e in engines:
        c = cluster_store(far, 6, seed=3, engine=e)
        test_eq((c.shape, c.dtype), ((360,), np.int32))
        test_eq(adjusted_rand_score(c, exact), 1.)
        test_eq(c, cluster_store(far, 6, seed=3, engine=e))
        test_eq(c, cluster_store(far, 6, seed=3, engine=e, chunk=7))
        found = adjusted_rand_score(cluster_store(Z, 30, engine=e, threads=1), subkinds)
        print(
            e, round(found, 3), 'in memory',
            round(adjusted_rand_score(cluster_features(Z.get(), 30), subkinds), 3),
        )
        assert found > .7

    # cell 36
    class Counting:
        "An array that counts the rows it was asked for and fails when it has given `limit`"
        def __init__(self, X, limit):
            self.X, self.limit, self.given, self.shape, self.dtype, self.ndim = (
                X, limit, 0, X.shape, X.dtype, 2,
            )
        def __len__(self): return len(self.X)
        def __getitem__(self, i):
            out = self.X[i]
            self.given += len(out)
            if self.given > self.limit: raise KeyboardInterrupt
            return out
    plain = cluster_store(Z, 30, seed=5, threads=1)
    # fingerprint, sample, four pieces
    try:
        _ = cluster_store(
            (names, Counting(Z.X, 360 + 360 + 200)), 30, seed=5, path=root / 'c5', chunk=50, threads=1
        )
        raise AssertionError
    except KeyboardInterrupt: test_eq((root/'c5.part'/'assigned').stat().st_size, 4 * 50 * 8)
    rest = Counting(Z.X, 10**9)
    test_eq(cluster_store((names, rest), 30, seed=5, path=root/'c5', chunk=50, threads=1), plain)
    test_eq(rest.given, 360 + 160)
    test_eq(
        sorted(p.name for p in (root / 'c5').iterdir()), ['centroids.npy', 'clusters.npy', 'meta.json']
    )
    # finished: read, not made
    test_eq(cluster_store(Z, 30, seed=5, path=root/'c5'), plain)
    test_fail(lambda: cluster_store(Z, 30, seed=6, path=root/'c5'), contains='another seed (5, not 6)')
    for bad, why in (
        (dict(k=400), 'number of images'), (dict(engine='gpu'), 'not known'),
        (dict(engine='sklearn', gpu=True), 'faiss'),
    ):
        test_fail(lambda: cluster_store(Z, **{**dict(k=30), **bad}), contains=why)
    test_fail(
        lambda: cluster_store((names, hole), 30), contains="'im150.png' (row 150 of 360) hold NaN"
    )
    test_fail(lambda: cluster_store(X.astype(float), 3), contains='float64')


def test_how_large_are_the_clusters_and_who_gets_to_speak():
    "How large are the clusters, and who gets to speak?"
    # cell 8, in part
    def nested(d=24, kinds=6, subkinds=5, images=12, seed=0):
        "(n, d) features and (n,) subkind of each"
        r = rng(seed)
        n = kinds * subkinds
        sub = np.repeat(r.normal(size=(kinds, d)) * 1.2, subkinds, 0) + r.normal(size=(n, d)) * .8
        return (np.repeat(sub, images, 0) + r.normal(size=(n * images, d)) * 0.25).astype(
            np.float32
        ), np.repeat(np.arange(n), images)
    torch.set_num_threads(1)
    X, subkinds = nested()
    names = [f'im{i:03d}.png' for i in range(len(X))]
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name)
    made_by = dict(arch='net', weights='0123456789abcdef', data_config=dict(input_size=[3, 64, 64]))
    store = FeatureStore.write(root/'features', names, X, model='net', **made_by)
    teacher = Teacher(
        rng(1).normal(size=(24, 10)) * 0.3, mean=X.mean(), std=X.std(),
        meta=dict(features=store.identity()),
    )

    # cell 14, in part
    Z = transform_store(teacher, store, root/'teacher', chunk=100)

    # cell 34, in part
    has_faiss = importlib.util.find_spec('faiss') is not None
    engines = ['sklearn'] + ['faiss'] * has_faiss

    # cell 38
    uneven = np.concatenate(
        [np.flatnonzero(subkinds == g)[rng(g).integers(0, 12, 4 + g)] for g in range(30)]
    )
    E = (Z.get()[uneven] + rng(5).normal(size=(len(uneven), 10)) * .05).astype(np.float16)
    groups = {e: cluster_store(E, 30, engine=e, threads=1) for e in engines}
    size = np.bincount(groups[engines[-1]], minlength=30)
    pairs = {
        by: np.bincount(
            groups[engines[-1]][
                TripletSampler(groups[engines[-1]], seed=0, by=by, block_size=60_000).block(0)[:, 0]
            ],
            minlength=30,
        )
        / 60_000
        for by in ('image', 'cluster')
    }

    # cell 40
    able = size > 1
    test_close(pairs['image'][able], size[able] / size[able].sum(), eps=.005)
    test_close(pairs['cluster'][able], np.full(able.sum(), 1 / able.sum()), eps=.005)


def test_soft_labels_in_the_order_of_the_cache():
    "Soft labels, in the order of the cache"
    # cell 8, in part
    def nested(d=24, kinds=6, subkinds=5, images=12, seed=0):
        "(n, d) features and (n,) subkind of each"
        r = rng(seed)
        n = kinds * subkinds
        sub = np.repeat(r.normal(size=(kinds, d)) * 1.2, subkinds, 0) + r.normal(size=(n, d)) * .8
        return (np.repeat(sub, images, 0) + r.normal(size=(n * images, d)) * 0.25).astype(
            np.float32
        ), np.repeat(np.arange(n), images)
    torch.set_num_threads(1)
    X, subkinds = nested()
    names = [f'im{i:03d}.png' for i in range(len(X))]
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name)
    made_by = dict(arch='net', weights='0123456789abcdef', data_config=dict(input_size=[3, 64, 64]))
    store = FeatureStore.write(root/'features', names, X, model='net', **made_by)
    teacher = Teacher(
        rng(1).normal(size=(24, 10)) * 0.3, mean=X.mean(), std=X.std(),
        meta=dict(features=store.identity()),
    )

    # cell 14, in part
    Z = transform_store(teacher, store, root/'teacher', chunk=100)

    # cell 32, in part
    with tempfile.TemporaryDirectory() as d:
        clusters = cluster_store(Z, k=30, path=Path(d)/'clusters')
        about = read_json(Path(d)/'clusters'/'meta.json')

    # cell 43, in part
    drawn = TripletSampler(clusters, seed=2, block_size=3000).block(0)
    sims = block_sims(Z.X, drawn)

    # cell 45
    want = label_triplets(Z.get(), drawn, limit=0)
    test_eq(odd_last(drawn, sims)[1], want[1])
    test_eq(odd_last(drawn, sims)[0], want[0])
    for d in (1, 7, 10, 131, 1152, 9001):
        A = rng(d).normal(size=(40, d)).astype(np.float16)
        t = TripletSampler(np.arange(40) % 4, block_size=500).block(1)
        base = block_sims(A, t, threads=1)
        test_close(
            base, triplet_sims(A.astype(np.float64).astype(np.float32), t), eps=2e-3 * np.sqrt(d) / 10
        )
        for threads, chunk, order in (
            (2, None, None), (1, 1, None), (3, 17, rng(0).permutation(500)),
            (2, 500, np.argsort(t[:, 0])),
        ):
            assert (block_sims(A, t, order, threads, chunk) == base).all(), (d, threads, chunk)
    test_eq(block_sims(A.astype(np.float32), t), base)
    before = torch.get_num_threads()
    test_fail(lambda: block_sims(A, t + 40))
    test_eq(torch.get_num_threads(), before)


def test_the_reader():
    "The reader"
    # cell 8, in part
    def nested(d=24, kinds=6, subkinds=5, images=12, seed=0):
        "(n, d) features and (n,) subkind of each"
        r = rng(seed)
        n = kinds * subkinds
        sub = np.repeat(r.normal(size=(kinds, d)) * 1.2, subkinds, 0) + r.normal(size=(n, d)) * .8
        return (np.repeat(sub, images, 0) + r.normal(size=(n * images, d)) * 0.25).astype(
            np.float32
        ), np.repeat(np.arange(n), images)
    torch.set_num_threads(1)
    X, subkinds = nested()
    names = [f'im{i:03d}.png' for i in range(len(X))]
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name)
    made_by = dict(arch='net', weights='0123456789abcdef', data_config=dict(input_size=[3, 64, 64]))
    store = FeatureStore.write(root/'features', names, X, model='net', **made_by)
    teacher = Teacher(
        rng(1).normal(size=(24, 10)) * 0.3, mean=X.mean(), std=X.std(),
        meta=dict(features=store.identity()),
    )

    # cell 14, in part
    Z = transform_store(teacher, store, root/'teacher', chunk=100)

    # cell 16, in part
    control = transform_store(None, store, root/'control')

    # cell 20, in part
    class Mortal(Teacher):
        def transform(self, X):
            if not self.lives: raise KeyboardInterrupt
            self.lives -= 1
            return super().transform(X)
    mortal = Mortal(teacher.weights, None, teacher.mean, teacher.std)
    mortal.lives = 3
    try:
        _ = transform_store(mortal, store, root/'resumed', chunk=50)
        raise AssertionError
    except KeyboardInterrupt: pass
    # the first piece again, for the width; then five of eight are missing
    mortal.lives = 6

    # cell 32, in part
    with tempfile.TemporaryDirectory() as d:
        clusters = cluster_store(Z, k=30, path=Path(d)/'clusters')
        about = read_json(Path(d)/'clusters'/'meta.json')

    # cell 88, in part
    labels = label_store(Z, clusters, 10_000, root/'labels', seed=1, block_size=3000)

    # cell 91
    t, s = label_triplets(Z.get(), TripletSampler(clusters, seed=1, block_size=3000)(10_000), limit=0)
    test_eq(labels.triplets[:], t)
    test_eq(labels.sims[:], s)
    test_eq(len(labels), 10_000)
    test_eq(labels.clusters, np.unique(clusters, return_inverse=True)[1])
    for i in (
        0, -1, 2999, 3000, slice(2990, 3010), slice(None, None, -7), slice(5, 5), [5, 9999, 3000, -1],
        np.array([[1, 2], [6000, 3]]), t[:, 0] > 100, [], np.array([], int),
    ):
        test_eq(labels[i][0], t[i if np.size(i) or isinstance(i, slice) else np.array([], int)])
        test_eq(labels.sims[i], s[i if np.size(i) or isinstance(i, slice) else np.array([], int)])
    test_eq(
        (labels.triplets[5:9, 1].tolist(), labels.triplets[7, 2], labels.triplets.shape),
        (t[5:9, 1].tolist(), t[7, 2], t.shape),
    )
    # as training asks
    inside = rng(0).integers(0, 2, 360)
    test_eq(inside[labels.triplets].sum(1), inside[t].sum(1))
    test_eq(np.concatenate([a for a, _ in labels.blocks()]), t)
    test_eq(np.asarray(labels.sims), s)
    test_eq([len(a) for a, _ in labels.blocks()], [3000, 3000, 3000, 1000])
    shares = [labels.shard(r, 3) for r in range(3)]
    test_eq([len(o) for o in shares], [3333, 3333, 3334])
    test_eq(np.concatenate([o.sims[:] for o in shares]), s)
    test_eq(np.concatenate([b for o in shares for _, b in o.blocks()]), s)
    test_eq(shares[1][-1][0], t[6665])
    test_eq(shares[2].shard(1, 2).sims[:], s[8333:])
    test_eq(label_store(Z, clusters, 4000, root/'fewer', seed=1, block_size=3000).sims[:], s[:4000])
    for bad, why in (
        (10_000, 'row 10000 of'), ([10_000], 'rows 10000 to'), ([0.5], 'integers'),
        (np.ones(5, bool), 'do not fit'),
    ):
        test_fail(lambda: labels[bad], contains=why)
    # as a worker process gets it
    test_fail(lambda: labels.shard(3, 3), contains='0 to 2')
    test_eq(pickle.loads(pickle.dumps(shares[1])).sims[:], s[3333:6666])

    # cell 93
    memory = labels.to_labels()
    test_eq((memory.names, memory.triplets.tolist()), (names, t.tolist()))
    test_eq(memory.meta['teacher'], teacher.digest())
    test_eq(labels.verify() is labels, True)
    test_eq(LabelShards(root/'labels', store=Z).to_labels(50).embedding, Z.get())
    test_fail(lambda: LabelShards(root/'labels', store=control), contains='does not hold the features')
    released = official_triplets(
        labels.to_official(root / 'uncertainty_distillation' / 'train_cluster_border', n=500)
    )
    test_eq(released.filenames.tolist(), memory.filenames[:500].tolist())
    test_eq(released.sims, s[:500])
    test_fail(lambda: labels.to_official(root/'o', max_gb=1e-6), contains='GB')
    for kind in ('within_class', 'random', 'between_class'):
        sampler = TripletSampler(clusters, kind, 4, classes=subkinds, by='cluster', block_size=700)
        test_eq(
            label_store(Z, sampler, 1500, root / kind).triplets[:],
            label_triplets(Z.get(), sampler(1500), limit=0)[0],
        )
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter('always')
        _ = label_store(control, clusters, 50, root/'c', block_size=50)
        test_eq(len(w), 0)
        _ = LabelShards(root/'c')
        assert 'UNTRANSFORMED' in str(w[-1].message)

    # cell 95
    if importlib.util.find_spec('pyarrow') is None: print('skipped: pyarrow is not installed')
    else:
        table = label_store(
            Z, clusters, 10_000, root / 'parquet', seed=1, block_size=3000, format='parquet'
        )
        test_eq(table.sims[:], s)
        test_eq(table[[7, 9999]][0], t[[7, 9999]])
        table.verify()
        print(
            sorted(p.name for p in (root / 'parquet').iterdir())[2:4],
            f"{table.files[0]['bytes']/table.files[0]['rows']:.1f} bytes a row",
        )
        test_fail(
            lambda: label_store(
                Z, clusters, 10_000, labels.path, seed=1, block_size=3000, format='parquet'
            ),
            contains='another format',
        )
        spoilt = table.path/'labels-00001.parquet'
        spoilt.write_bytes(b'x' * table.files[1]['bytes'])
        test_fail(
            lambda: LabelShards(table.path).sims[3000], contains="labels-00001.parquet' cannot be read"
        )


def test_interrupted_divided_damaged():
    "Interrupted, divided, damaged"
    # cell 8, in part
    def nested(d=24, kinds=6, subkinds=5, images=12, seed=0):
        "(n, d) features and (n,) subkind of each"
        r = rng(seed)
        n = kinds * subkinds
        sub = np.repeat(r.normal(size=(kinds, d)) * 1.2, subkinds, 0) + r.normal(size=(n, d)) * .8
        return (np.repeat(sub, images, 0) + r.normal(size=(n * images, d)) * 0.25).astype(
            np.float32
        ), np.repeat(np.arange(n), images)
    torch.set_num_threads(1)
    X, subkinds = nested()
    names = [f'im{i:03d}.png' for i in range(len(X))]
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name)
    made_by = dict(arch='net', weights='0123456789abcdef', data_config=dict(input_size=[3, 64, 64]))
    store = FeatureStore.write(root/'features', names, X, model='net', **made_by)
    teacher = Teacher(
        rng(1).normal(size=(24, 10)) * 0.3, mean=X.mean(), std=X.std(),
        meta=dict(features=store.identity()),
    )

    # cell 14, in part
    Z = transform_store(teacher, store, root/'teacher', chunk=100)

    # cell 16, in part
    control = transform_store(None, store, root/'control')

    # cell 20, in part
    class Mortal(Teacher):
        def transform(self, X):
            if not self.lives: raise KeyboardInterrupt
            self.lives -= 1
            return super().transform(X)
    mortal = Mortal(teacher.weights, None, teacher.mean, teacher.std)
    mortal.lives = 3
    try:
        _ = transform_store(mortal, store, root/'resumed', chunk=50)
        raise AssertionError
    except KeyboardInterrupt: pass
    # the first piece again, for the width; then five of eight are missing
    mortal.lives = 6

    # cell 32, in part
    with tempfile.TemporaryDirectory() as d:
        clusters = cluster_store(Z, k=30, path=Path(d)/'clusters')
        about = read_json(Path(d)/'clusters'/'meta.json')

    # cell 93, in part
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter('always')
        _ = label_store(control, clusters, 50, root/'c', block_size=50)
        test_eq(len(w), 0)
        _ = LabelShards(root/'c')
        assert 'UNTRANSFORMED' in str(w[-1].message)

    # cell 97
    def content(folder): return {p.name: p.read_bytes() for p in Path(folder).iterdir()}
    args, kw = (Z, clusters, 10_000), dict(seed=1, block_size=3000)
    whole = label_store(*args, root/'whole', **kw)
    want = content(whole.path)
    got = [
        label_store(*args, root / 'divided', blocks=b, threads=th, **kw)
        for b, th in ((range(1, 4, 2), 1), ([2], 3), ([0], 2))
    ]
    test_eq([o is None for o in got], [True, True, False])
    assert content(root/'divided') == want
    test_fail(lambda: LabelShards(root/'none'), contains='no manifest')
    test_fail(lambda: label_store(*args, root/'divided', blocks=[4], **kw), contains='blocks 0 to 3')

    # cell 99
    rename, stopped = os.replace, 0
    for when in range(2 * 12):
        place, uses = root/f'stopped{when}', []
        def failing(a, b, uses=uses, when=when):
            uses.append(a)
            if len(uses) != when // 2 + 1: return rename(a, b)
            if when % 2: rename(a, b)
            raise KeyboardInterrupt
        os.replace = failing
        try: _ = label_store(*args, place, **kw)
        except KeyboardInterrupt: stopped += 1
        finally: os.replace = rename
        _ = label_store(*args, place, **kw)
        assert content(place) == want, when
    # three small files, four notes, four shards, the final manifest
    test_eq(stopped, 24)

    # cell 101
    divided = root/'divided'
    victim, other = (divided/f'labels-0000{i}.npy' for i in (2, 1))
    def flip(p):
        b = bytearray(p.read_bytes())
        b[5000] ^= 1
        p.write_bytes(b)
    for damage, why in (
        (lambda p: p.unlink(), 'is missing; call'),
        (lambda p: p.write_bytes(p.read_bytes()[:-100]), 'bytes long, not'), (flip, None),
    ):
        kept = other.stat().st_mtime_ns
        damage(victim)
        if why:
            test_fail(lambda: LabelShards(divided), contains='labels-00002.npy')
            test_fail(lambda: LabelShards(divided), contains=why)
        # the quick look does not see it
        else:
            test_fail(lambda: LabelShards(divided).verify(), contains='damaged: labels-00002.npy')
            test_eq(len(label_store(*args, divided, check='size', **kw)), 10_000)
        _ = label_store(*args, divided, **kw)
        assert content(divided) == want
        test_eq(other.stat().st_mtime_ns, kept)
    list_of_names = divided/'names.json'
    list_of_names.write_text('[]\n')
    test_fail(lambda: LabelShards(divided), contains='names.json')
    _ = label_store(*args, divided, **kw)
    assert content(divided) == want

    # cell 103
    for change, why in (
        (dict(seed=2), 'another seed (1, not 2)'), (dict(block_size=2000), 'another block_size'),
        (dict(sampling='random'), 'another sampling'), (dict(teacher='x'), 'another teacher'),
    ):
        test_fail(lambda: label_store(*args, whole.path, **{**kw, **change}), contains=why)
    test_fail(
        lambda: label_store(Z, clusters, 9000, whole.path, **kw), contains='another n (10000, not 9000)'
    )
    test_fail(
        lambda: label_store(Z, np.roll(clusters, 1), 10_000, whole.path, **kw),
        contains='another groups',
    )
    test_fail(
        lambda: label_store(
            (names[::-1], Z.X), clusters, 10_000, whole.path, teacher=teacher.digest(), **kw
        ),
        contains='another names',
    )
    test_fail(
        lambda: label_store(control, clusters, 10_000, whole.path, **kw), contains='another teacher'
    )
    test_fail(lambda: label_store(*args, root/'features', **kw), contains='holds no labels but')
    assert content(whole.path) == want
    mixed = root/'mixed'
    _ = label_store(*args, mixed, blocks=[0, 1], seed=9, block_size=3000)
    (mixed/'manifest.json').unlink()
    # the manifest was taken away: shards of another run are not taken for ours
    _ = label_store(*args, mixed, **kw)
    assert content(mixed) == want
    for bad, why in ((dict(format='csv'), 'npy or parquet'), (dict(check='no'), 'checksum or size')):
        test_fail(lambda: label_store(*args, root/'x', **bad), contains=why)
    test_fail(lambda: label_store(Z.X, clusters, 10, root/'x'), contains='named images')
    test_fail(lambda: label_store(Z, clusters[:5], 10, root/'x'), contains='do not fit')
    test_fail(lambda: label_store(Z, clusters, 0, root/'x'), contains='at least one')
    test_fail(
        lambda: label_store(
            (names, np.where(np.arange(360)[:, None] == 150, np.float16('nan'), Z.X)), clusters, 10_000,
            root / 'nan',
        ),
        contains="'im150.png' (row 150 of 360) hold NaN",
    )

    # cell 105
    sync = os.fsync
    room = [6]
    def full(fd):
        room[0] -= 1
        if room[0] < 0: raise OSError(28, 'No space left on device')
        sync(fd)
    os.fsync = full
    try: test_fail(lambda: label_store(*args, root/'full', **kw), contains='the disk is full')
    finally: os.fsync = sync
    assert (root/'full'/'labels-00000.npy').is_file() and not list((root/'full').glob('*.part'))
    _ = label_store(*args, root/'full', **kw)
    assert content(root/'full') == want
    a_file = root/'file'
    a_file.write_text('')
    test_fail(lambda: label_store(*args, a_file/'labels', **kw), contains='not a folder')


def test_training_on_shards():
    "Training on shards"
    # cell 107
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        files = [f'{i:02d}.png' for i in range(60)]
        for i, f in enumerate(files):
            Image.fromarray(
                np.clip(rng(i).normal(i % 6 * 40, 12, (16, 16, 3)), 0, 255).astype(np.uint8)
            ).save(d / f)
        E = FeatureStore.write(
            d / 'E', files, np.eye(6)[np.arange(60) % 6] * 3 + rng(0).normal(size=(60, 6)) * 0.2
        )
        small = label_store(E, np.arange(60) % 6, 3000, d/'labels', block_size=1000)
        net = lambda: Backbone(
            nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(12, 16)), 'net',
            dict(input_size=(3, 16, 16), mean=(0.5,) * 3, std=(0.5,) * 3), 16,
        )
        def fit(labels, triplets):
            set_seed(0)
            learn = align_learner(
                labels, net(), ImageSet(d, files), triplets=triplets, size=16, bs=24, device='cpu',
                steps=10, seed=1,
            )
            with learn.no_bar(), learn.no_logging(): learn.fit(1, 3e-3)
            return (
                float(learn.recorder.losses[-1]), learn.model.backbone.model[2].weight.detach().numpy(),
            )
        runs = {
            k: fit(o, kind)
            for k, o, kind in (
                ('shards', small, 'sampled'), ('in memory', small.to_labels(), 'sampled'),
                ('a share', small.shard(1, 2), 'sampled'),
                ('batch', LabelShards(d / 'labels', store=E), 'batch'),
            )
        }
        test_fail(lambda: align_dls(small, ImageSet(d, files), size=16, bs=24), contains='embedding')
    {k: round(v[0], 4) for k, v in runs.items()}

    # cell 108
    test_eq(runs['shards'][1], runs['in memory'][1])
    assert (
        all(np.isfinite(o[0]) for o in runs.values())
        and (runs['a share'][1] != runs['shards'][1]).any()
    )
