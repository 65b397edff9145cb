"""Tests of `alignet.extras.released`.

Generated from nbs/extras/released.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import warnings
from pathlib import Path
import numpy as np
import torch
from alignet.core import *
from alignet.labels import PseudoLabels, sample_triplets, label_triplets
import json
import tempfile
import time
import matplotlib.pyplot as plt
from fastcore.test import test_eq, test_close, test_fail
from PIL import Image
from scipy.spatial.distance import cdist
from alignet.data import ImageSet
from alignet.features import FeatureStore, create_backbone
from alignet.loss import jsd_loss, contrastive_loss
from alignet.training import align_learner
from alignet.extras.released import *
from alignet.extras.released import _Head, _class_check, _entropy, _jsd, _pairs, _repeats, _torch_sims

NOTEBOOK = 'nbs/extras/released.ipynb'     # a test runs in the folder of its notebook


def test_a_synthetic_release():
    "A synthetic release"
    # cell 8, in part
    def synthetic(seed=0, kinds=6, each=10, dims=6, width=24):
        "Two draws of (n, dims) known embedding and (n, width) features of a pretrained network"
        r = rng(seed)
        centres = r.normal(size=(kinds, dims)) * 1.5
        turn = np.linalg.qr(r.normal(size=(width, width)))[0]
        for _ in range(2):
            Z = np.repeat(centres, each, 0) + r.normal(size=(kinds * each, dims)) * .8
            yield Z.astype(np.float32), (
                np.c_[Z * 0.5, r.normal(size=(len(Z), width - dims)) * 1.2] @ turn
            ).astype(np.float32)
    (Z, X), (Z_exam, X_exam) = synthetic()
    classes = np.repeat(np.arange(6), 10)

    # cell 10
    drawn = sample_triplets(classes, 4000, 'class_border', seed=1)
    exam = label_triplets(Z_exam, sample_triplets(classes, 4000, 'class_border', seed=2))[0]
    before = ooo_accuracy(X_exam, exam, 'dot')
    assert CHANCE + .05 < before < .5 and ooo_accuracy(Z_exam, exam, 'dot') == 1
    before


def test_what_the_path_says():
    "What the path says"
    # cell 16
    test_eq(
        official_path('release_1.1/uncertainty_distillation/train_cluster_border_500.npz'),
        dict(transform='aligned', split='train', sampling='cluster_border_500'),
    )
    test_eq(
        official_path('untransformed/val_within_class.npz'),
        dict(transform='untransformed', split='val', sampling='within_class'),
    )
    test_eq(
        official_path('down/alignet_valid.npz'),
        dict(transform='unknown', split='val', sampling='unknown'),
    )
    test_eq(
        official_path('down/data (1).npz'),
        dict(transform='unknown', split='unknown', sampling='unknown'),
    )


def test_which_order_do_the_rows_have():
    "Which order do the rows have?"
    # cell 8, in part
    def synthetic(seed=0, kinds=6, each=10, dims=6, width=24):
        "Two draws of (n, dims) known embedding and (n, width) features of a pretrained network"
        r = rng(seed)
        centres = r.normal(size=(kinds, dims)) * 1.5
        turn = np.linalg.qr(r.normal(size=(width, width)))[0]
        for _ in range(2):
            Z = np.repeat(centres, each, 0) + r.normal(size=(kinds * each, dims)) * .8
            yield Z.astype(np.float32), (
                np.c_[Z * 0.5, r.normal(size=(len(Z), width - dims)) * 1.2] @ turn
            ).astype(np.float32)
    (Z, X), (Z_exam, X_exam) = synthetic()
    classes = np.repeat(np.arange(6), 10)

    # cell 10, in part
    drawn = sample_triplets(classes, 4000, 'class_border', seed=1)

    # cell 23, in part
    asked = np.array([[3, 2, 1], [2, 3, 1], [1, 2, 3], [2, 2, 1.]])

    # cell 24
    test_eq(odd_places(asked), dict(last=.25, middle=.25, first=.25, tied=.25, s12_smallest=.75))
    test_eq(odd_places(label_triplets(Z, drawn)[1])['last'], 1.)
    test_close(
        odd_places(triplet_sims(Z, drawn))['last'],
        (label_triplets(Z, drawn)[0] == drawn).all(1).mean(), eps=1e-6,
    )


def test_the_reader():
    "The reader"
    # cell 8, in part
    def synthetic(seed=0, kinds=6, each=10, dims=6, width=24):
        "Two draws of (n, dims) known embedding and (n, width) features of a pretrained network"
        r = rng(seed)
        centres = r.normal(size=(kinds, dims)) * 1.5
        turn = np.linalg.qr(r.normal(size=(width, width)))[0]
        for _ in range(2):
            Z = np.repeat(centres, each, 0) + r.normal(size=(kinds * each, dims)) * .8
            yield Z.astype(np.float32), (
                np.c_[Z * 0.5, r.normal(size=(len(Z), width - dims)) * 1.2] @ turn
            ).astype(np.float32)
    (Z, X), (Z_exam, X_exam) = synthetic()
    classes = np.repeat(np.arange(6), 10)
    names = [f'n9900000{c}_{i}.JPEG' for i, c in enumerate(classes)]

    # cell 10, in part
    drawn = sample_triplets(classes, 4000, 'class_border', seed=1)

    # cell 12, in part
    listing = [names[i] for i in rng(3).permutation(60)]
    at = {o: i for i, o in enumerate(listing)}
    def release(
        folder,
        sims=None,
        triplets=None,
        transform='uncertainty_distillation',
        stem='train_class_border',
        **replace
    ):
        "Write a synthetic file in the released layout, rows with the odd one last unless given; return its path"
        t, s = label_triplets(Z, drawn)
        t, s = t if triplets is None else triplets, s if sims is None else sims
        arrays = dict(
            filenames=np.array(names)[t], similarities=s,
            indices=np.vectorize(at.get, otypes=[int])(np.array(names)[t]),
        )
        path = Path(folder)/transform/f'{stem}.npz'
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **{k: v for k, v in {**arrays, **replace}.items() if v is not None})
        return path

    # cell 40
    with tempfile.TemporaryDirectory() as d:
        path = release(d, triplet_sims(Z, drawn), drawn)
        for n in names:
            (Path(d)/'train'/n.split('_')[0]).mkdir(parents=True, exist_ok=True)
            (Path(d)/'train'/n.split('_')[0]/n).touch()
        labels = official_triplets(path, root=Path(d)/'train', listing=listing, block=1500)
        flat = Path(d)/'flat'
        flat.mkdir()
        [(flat/n.replace('.JPEG', '.jpg')).touch() for n in names[5:]]
        with warnings.catch_warnings(record=True) as w:
            warnings.simplefilter('always')
            part = official_triplets(path, root=flat, missing='drop')
        print(str(w[0].message).replace(d, '...'))
        test_fail(
            lambda: official_triplets(path, root=flat),
            contains='the first are n99000000_0.JPEG, n99000000_1.JPEG',
        )
        test_fail(lambda: official_triplets(path, root=d), contains='often `.../train`')
        test_fail(lambda: official_triplets(path, root=d + '/no'), contains='does not exist')
    labels, labels.names[:2], labels.meta

    # cell 41
    want_t, want_s = label_triplets(Z, drawn)
    test_eq([o.split('/')[1] for o in labels.names], sorted(names))
    test_eq(np.char.rpartition(labels.filenames, '/')[..., 2], np.array(names)[want_t])
    test_close(labels.sims, want_s, eps=1e-5)
    test_eq(
        (labels.embedding, labels.transform, json.loads(json.dumps(labels.meta))),
        (None, 'aligned', labels.meta),
    )
    test_close(labels.meta['order']['last'], (want_t == drawn).all(1).mean(), eps=1e-6)
    inside = (want_t >= 5).all(1)
    test_eq(
        (len(part), part.meta['missing'], part.meta['dropped'], part.meta['other_ending']),
        (inside.sum(), 5, (~inside).sum(), 55),
    )
    test_close(part.sims, want_s[inside], eps=1e-5)

    # cell 43
    with tempfile.TemporaryDirectory() as d:
        def heard(*a, **kw):
            with warnings.catch_warnings(record=True) as w:
                warnings.simplefilter('always')
                o = official_triplets(*a, **kw)
            return o, ' '.join(str(v.message) for v in w)
        control, text = heard(release(d, transform='untransformed'))
        assert 'UNTRANSFORMED' in text and control.transform == 'untransformed'
        test_eq(heard(release(d, transform='untransformed'), control=True)[1], '')
        moved, text = heard(release(d, transform='downloads'))
        assert "transform='aligned'" in text and moved.transform == 'unknown'
        o, text = heard(release(d, transform='downloads'), transform='aligned')
        test_eq((o.transform, text), ('aligned', ''))
        good = release(d)
        whole = good.read_bytes()
        few, text = heard(good, rows=10)
        test_eq((len(few), few.meta['rows_in_file'], text), (10, 4000, ''))
        np.save(Path(d)/'list.npy', np.array(listing))
        test_eq(
            heard(good, listing=Path(d) / 'list.npy')[0].meta['indices'],
            'agree with filenames in every row read',
        )
        test_eq(
            heard(
                release(
                    d, filenames=np.array(names, 'S')[want_t], similarities=want_s.astype(np.float16)
                )
            )[0].names,
            sorted(names),
        )
        (Path(d)/'twice').mkdir()
        back = PseudoLabels.load(labels.save(Path(d)/'twice/a'))
        test_eq((back.meta, back.sims), (labels.meta, labels.sims))
        for kw, why in [
            (dict(listing=sorted(names)), "position"),
            (dict(listing=listing[:9]), 'listing of something else'),
            (dict(listing=d + '/none.txt'), 'does not exist'),
            (dict(transform='untransformed'), 'says otherwise'), (dict(transform='soft'), 'choose'),
            (dict(missing='skip'), 'choose'), (dict(rows=0), 'at least 1'),
            (dict(images=d), 'say root='), (dict(images=1, root=2), 'not both'),
            (dict(images=ImageSet(d, ['x/n1.png'])), '60 of 60'),
        ]:
            test_fail(lambda: official_triplets(release(d), **kw), contains=why)
        for kw, why in [
            (dict(filenames=None), "no array 'filenames'"),
            (dict(similarities=want_s[:9]), 'differ in length'),
            (dict(similarities=want_s[:, :2]), '(n, 3)'),
            (dict(similarities=want_s.astype(int)), 'floating-point'),
            (dict(filenames=want_t), 'strings'),
            (dict(filenames=np.array(names)[want_t].astype(object)), 'pickled'),
            (dict(similarities=np.asfortranarray(want_s)), 'by columns'),
            (dict(similarities=want_s * np.nan), 'row 0 holds'),
            (dict(triplets=np.zeros_like(want_t)), 'repeat an object'),
            (dict(triplets=want_t[:0], sims=want_s[:0], indices=want_t[:0]), 'no triplets'),
        ]:
            test_fail(lambda: official_triplets(release(d, **kw)), contains=why)
        def damaged(content):
            good.write_bytes(content)
            return official_triplets(good)
        flipped = bytearray(whole)
        flipped[len(whole)//3] ^= 255
        for content in (whole[:len(whole)//2], b'hello', bytes(flipped)):
            test_fail(lambda: damaged(content), contains='get it again')
        test_fail(lambda: official_triplets(d + '/none.npz'), contains='does not exist')

    # cell 45
    with tempfile.TemporaryDirectory() as d:
        r = rng(0)
        many = np.array([f'n{i % 1000:08d}_{i}.JPEG' for i in range(20_000)])[
            r.integers(0, 6000, (150_000, 1)) + [0, 6001, 12_002]
        ]
        big = Path(d)/'uncertainty_distillation/train_between_class.npz'
        big.parent.mkdir()
        np.savez_compressed(
            big, filenames=many, similarities=r.normal(size=many.shape).astype(np.float32)
        )
        t = time.process_time()
        read = official_triplets(big)
        cpu = time.process_time() - t
    test_eq(len(read), len(many))
    print(f'{len(many) / cpu / 1e6:.2f} million rows a second of one core')

    # cell 47
    with tempfile.TemporaryDirectory() as d:
        for n, c in zip(names, classes):
            Image.new('RGB', (32, 32), (40 * int(c), 90, 200)).save(Path(d)/n)
        labels = official_triplets(release(d), root=d)
        learn = align_learner(
            labels, create_backbone('test_resnet', pretrained=False), ImageSet(d, labels.names),
            triplets='sampled', size=32, bs=12, steps=2, valid_pct=0.3, device='cpu',
        )
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4)
    assert np.isfinite(float(learn.recorder.losses[-1])) and len(learn.recorder.losses) == 2


def test_a_check_before_the_long_training():
    "A check before the long training"
    # cell 8, in part
    def synthetic(seed=0, kinds=6, each=10, dims=6, width=24):
        "Two draws of (n, dims) known embedding and (n, width) features of a pretrained network"
        r = rng(seed)
        centres = r.normal(size=(kinds, dims)) * 1.5
        turn = np.linalg.qr(r.normal(size=(width, width)))[0]
        for _ in range(2):
            Z = np.repeat(centres, each, 0) + r.normal(size=(kinds * each, dims)) * .8
            yield Z.astype(np.float32), (
                np.c_[Z * 0.5, r.normal(size=(len(Z), width - dims)) * 1.2] @ turn
            ).astype(np.float32)
    (Z, X), (Z_exam, X_exam) = synthetic()
    classes = np.repeat(np.arange(6), 10)
    names = [f'n9900000{c}_{i}.JPEG' for i, c in enumerate(classes)]

    # cell 10, in part
    drawn = sample_triplets(classes, 4000, 'class_border', seed=1)

    # cell 12, in part
    listing = [names[i] for i in rng(3).permutation(60)]
    at = {o: i for i, o in enumerate(listing)}
    def release(
        folder,
        sims=None,
        triplets=None,
        transform='uncertainty_distillation',
        stem='train_class_border',
        **replace
    ):
        "Write a synthetic file in the released layout, rows with the odd one last unless given; return its path"
        t, s = label_triplets(Z, drawn)
        t, s = t if triplets is None else triplets, s if sims is None else sims
        arrays = dict(
            filenames=np.array(names)[t], similarities=s,
            indices=np.vectorize(at.get, otypes=[int])(np.array(names)[t]),
        )
        path = Path(folder)/transform/f'{stem}.npz'
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **{k: v for k, v in {**arrays, **replace}.items() if v is not None})
        return path

    # cell 41, in part
    want_t, want_s = label_triplets(Z, drawn)

    # cell 47, in part
    with tempfile.TemporaryDirectory() as d:
        for n, c in zip(names, classes):
            Image.new('RGB', (32, 32), (40 * int(c), 90, 200)).save(Path(d)/n)
        labels = official_triplets(release(d), root=d)
        learn = align_learner(
            labels, create_backbone('test_resnet', pretrained=False), ImageSet(d, labels.names),
            triplets='sampled', size=32, bs=12, steps=2, valid_pct=0.3, device='cpu',
        )
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4)

    # cell 51, in part
    wrong = want_s[:, ::-1].copy()

    # cell 52
    test_eq(_pairs(want_t, want_s)[1], 1.)
    assert _pairs(want_t, wrong)[1] < .4
    # turning the rows afterwards mends nothing
    test_close(_pairs(*odd_last(want_t, wrong))[1], _pairs(want_t, wrong)[1], eps=1e-6)
    test_eq(_pairs(np.array([[0, 1, 2], [3, 4, 5]]), want_s[:2])[0], 0)
    test_eq(_repeats(np.array([[0, 1, 2], [1, 0, 2], [0, 2, 1], [0, 1, 3]])), (.5, 1))
    test_eq(_repeats(want_t)[1], 0)

    # cell 55
    test_eq(_class_check(names, want_t, 'class_border')[0], 1.)
    test_eq(_class_check(names, want_t, 'within_class')[0], 0.)
    test_eq(_class_check(['a', 'b', 'c'], want_t[:1] * 0, 'x')[0], None)
    test_close(
        _class_check(names, want_t, 'cluster_border_500')[1][1],
        (classes[want_t[:, 0]] == classes[want_t[:, 1]]).mean(), eps=1e-6,
    )
    _class_check(names, want_t, 'class_border'), _class_check(
        names, odd_last(want_t, wrong)[0], 'class_border'
    )

    # cell 60
    s, p = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 3, torch.tensor(
        choice_probs(want_s[:50])
    )
    test_close(_jsd(s, p, 2.).item(), jsd_loss(s, p, 2.).item(), eps=1e-6)
    big, few = torch.randn(600, 4, generator=torch.Generator().manual_seed(1)), torch.tensor(
        [[0, 500, 599], [7, 3, 2]]
    )
    test_close(_torch_sims(big, few), triplet_sims(big, few), eps=1e-4)
    test_close(_torch_sims(big[:20], few[1:]), triplet_sims(big, few[1:]), eps=1e-4)

    # cell 70
    with tempfile.TemporaryDirectory() as d: labels = official_triplets(release(d))
    # so the features are in their order
    assert labels.names == names
    good = check_official(labels, X)
    good

    # cell 71
    assert (good.verdict == 'ok').all()
    with tempfile.TemporaryDirectory() as d:
        test_eq(
            check_official(
                labels, FeatureStore.write(Path(d) / 's', names, X, model='synthetic')
            ).verdict.tolist(),
            good.verdict.tolist(),
        )
    bare = check_official((want_t, want_s))
    test_eq(set(bare.verdict), {'ok', 'unknown'})
    test_eq(len(bare), 8)
    test_fail(lambda: check_official(labels, X[:9]), contains='9 rows for 60')
    test_fail(lambda: check_official((want_t, want_s), X[:9]), contains='point to photo')
    test_fail(lambda: check_official((want_t, want_s[:9])), contains='same shape')
    test_fail(lambda: check_official(want_t), contains='tuple')
    test_fail(lambda: check_official((want_t, want_s * np.nan)), contains='NaN')
    test_fail(lambda: check_official((want_t[:0], want_s[:0])), contains='no triplets')
    test_fail(lambda: check_official(labels, tau=0), contains='above zero')


def test_a_check_of_the_scorer():
    "A check of the scorer"
    # cell 75
    assert (check_scorer(lambda X, t: ooo_accuracy(X, t, 'cosine')).verdict == 'ok').all() and (
        check_scorer(lambda X, t: ooo_accuracy(X, t, 'dot')).verdict == 'ok'
    ).all()
    test_eq(check_scorer(lambda X, t: 1.).verdict.tolist(), ['ok', 'LOOK', 'LOOK', 'LOOK'])


def test_why_a_port_can_land_at_chance():
    "Why a port can land at chance"
    # cell 8, in part
    def synthetic(seed=0, kinds=6, each=10, dims=6, width=24):
        "Two draws of (n, dims) known embedding and (n, width) features of a pretrained network"
        r = rng(seed)
        centres = r.normal(size=(kinds, dims)) * 1.5
        turn = np.linalg.qr(r.normal(size=(width, width)))[0]
        for _ in range(2):
            Z = np.repeat(centres, each, 0) + r.normal(size=(kinds * each, dims)) * .8
            yield Z.astype(np.float32), (
                np.c_[Z * 0.5, r.normal(size=(len(Z), width - dims)) * 1.2] @ turn
            ).astype(np.float32)
    (Z, X), (Z_exam, X_exam) = synthetic()
    classes = np.repeat(np.arange(6), 10)
    names = [f'n9900000{c}_{i}.JPEG' for i, c in enumerate(classes)]

    # cell 10, in part
    drawn = sample_triplets(classes, 4000, 'class_border', seed=1)
    exam = label_triplets(Z_exam, sample_triplets(classes, 4000, 'class_border', seed=2))[0]
    before = ooo_accuracy(X_exam, exam, 'dot')

    # cell 12, in part
    listing = [names[i] for i in rng(3).permutation(60)]
    at = {o: i for i, o in enumerate(listing)}
    def release(
        folder,
        sims=None,
        triplets=None,
        transform='uncertainty_distillation',
        stem='train_class_border',
        **replace
    ):
        "Write a synthetic file in the released layout, rows with the odd one last unless given; return its path"
        t, s = label_triplets(Z, drawn)
        t, s = t if triplets is None else triplets, s if sims is None else sims
        arrays = dict(
            filenames=np.array(names)[t], similarities=s,
            indices=np.vectorize(at.get, otypes=[int])(np.array(names)[t]),
        )
        path = Path(folder)/transform/f'{stem}.npz'
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **{k: v for k, v in {**arrays, **replace}.items() if v is not None})
        return path

    # cell 41, in part
    want_t, want_s = label_triplets(Z, drawn)

    # cell 47, in part
    with tempfile.TemporaryDirectory() as d:
        for n, c in zip(names, classes):
            Image.new('RGB', (32, 32), (40 * int(c), 90, 200)).save(Path(d)/n)
        labels = official_triplets(release(d), root=d)
        learn = align_learner(
            labels, create_backbone('test_resnet', pretrained=False), ImageSet(d, labels.names),
            triplets='sampled', size=32, bs=12, steps=2, valid_pct=0.3, device='cpu',
        )
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4)

    # cell 77, in part
    def first_pair(s, p, tau):
        return contrastive_loss(s, torch.tensor([[1., 0, 0]]).expand(len(s), 3), tau)
    def train(t=want_t, s=want_s, head={}, turned=True, **kw):
        "Agreement with the labels it was given on the photos it saw, and accuracy on the exam"
        student = _Head(X.shape[1], **head)
        losses = student.fit(X, t, choice_probs(s), steps=100, **kw)
        seen = is_correct(student.sims(X, odd_last(t, s)[0] if turned else t)).mean()
        return student, dict(
            seen=seen, exam=is_correct(student.sims(X_exam, exam)).mean(), losses=losses
        )
    # `indices`, looked up in the sorted names
    mixed = np.vectorize(at.get)(np.array(names)[want_t])
    # a teacher that saw no people: the features themselves
    own_t, own_s = label_triplets(X, drawn)
    runs = {
        'all right': train(),
        'all right, contrastive': train(loss=first_pair),
        'index order': train(mixed),
        'triple [s12, s02, s01]': train(s=want_s[:, ::-1]),
        'triple [s02, s12, s01]': train(s=want_s[:, [1, 2, 0]]),
        'odd one first, contrastive': train(want_t[:, [2, 0, 1]], loss=first_pair, turned=False),
        'odd one anywhere, contrastive': train(
            rng(0).permuted(want_t, axis=1), loss=first_pair, turned=False
        ),
        'odd one first, soft loss': train(want_t[:, [2, 0, 1]], want_s[:, [1, 2, 0]]),
        'distances': train(s=-want_s),
        'untransformed': train(own_t, own_s),
        'tau 100, unit length, SGD': train(head=dict(normalise=True), opt=torch.optim.SGD),
        'tau 100, unit length, Adam': train(head=dict(normalise=True)),
        'tau 0.1': train(tau=0.1),
    }

    # cell 80
    exam_of, seen_of = ({k: float(o[w]) for k, (_, o) in runs.items()} for w in ('exam', 'seen'))
    right = ['all right', 'all right, contrastive', 'odd one first, soft loss']
    assert min(exam_of[k] for k in right) > before + .2
    for k in (
        'index order', 'triple [s12, s02, s01]', 'triple [s02, s12, s01]', 'odd one first, contrastive',
        'distances', 'untransformed',
    ):
        assert exam_of[k] < before + .03, k
    assert exam_of['odd one anywhere, contrastive'] < exam_of['all right'] - .2
    # learned, and the wrong thing
    assert seen_of['index order'] > .6 and seen_of['untransformed'] > .9

    # cell 82, in part
    unit = {
        k: runs[k][1]['losses']
        for k in ('all right', 'tau 100, unit length, SGD', 'tau 100, unit length, Adam')
    }

    # cell 83
    assert unit['all right'][-1] < .3 * unit['all right'][0]
    for k in unit: assert k == 'all right' or unit[k][-1] > .9 * unit[k][0]
    assert (
        abs(exam_of['tau 100, unit length, SGD'] - before) < 0.05
        and exam_of['tau 0.1'] < exam_of['all right'] - 0.15
    )

    # cell 84, in part
    taus = np.geomspace(1e-3, 1e5, 41)
    fig, ax = plt.subplots(figsize=(5.8, 2.7), dpi=80, layout='constrained')
    curves = {}
    for normalise, c, ls in ((False, '#0072B2', '-'), (True, '#D55E00', '--')):
        sims = _Head(X.shape[1], normalise=normalise).sims(X, want_t)
        curves[normalise] = [_entropy(choice_probs(sims, tau)) for tau in taus]
        ax.plot(
            taus, curves[normalise], color=c, ls=ls, label='unit length' if normalise else 'as they are'
        )

    # cell 85
    at100 = {k: float(np.interp(np.log(100), np.log(taus), v)) for k, v in curves.items()}
    assert at100[True] > .999 * np.log(3) and .1 < at100[False] < .9
    at100


def test_slips_in_the_exam():
    "Slips in the exam"
    # cell 8, in part
    def synthetic(seed=0, kinds=6, each=10, dims=6, width=24):
        "Two draws of (n, dims) known embedding and (n, width) features of a pretrained network"
        r = rng(seed)
        centres = r.normal(size=(kinds, dims)) * 1.5
        turn = np.linalg.qr(r.normal(size=(width, width)))[0]
        for _ in range(2):
            Z = np.repeat(centres, each, 0) + r.normal(size=(kinds * each, dims)) * .8
            yield Z.astype(np.float32), (
                np.c_[Z * 0.5, r.normal(size=(len(Z), width - dims)) * 1.2] @ turn
            ).astype(np.float32)
    (Z, X), (Z_exam, X_exam) = synthetic()
    classes = np.repeat(np.arange(6), 10)
    names = [f'n9900000{c}_{i}.JPEG' for i, c in enumerate(classes)]

    # cell 10, in part
    drawn = sample_triplets(classes, 4000, 'class_border', seed=1)
    exam = label_triplets(Z_exam, sample_triplets(classes, 4000, 'class_border', seed=2))[0]

    # cell 12, in part
    listing = [names[i] for i in rng(3).permutation(60)]
    at = {o: i for i, o in enumerate(listing)}
    def release(
        folder,
        sims=None,
        triplets=None,
        transform='uncertainty_distillation',
        stem='train_class_border',
        **replace
    ):
        "Write a synthetic file in the released layout, rows with the odd one last unless given; return its path"
        t, s = label_triplets(Z, drawn)
        t, s = t if triplets is None else triplets, s if sims is None else sims
        arrays = dict(
            filenames=np.array(names)[t], similarities=s,
            indices=np.vectorize(at.get, otypes=[int])(np.array(names)[t]),
        )
        path = Path(folder)/transform/f'{stem}.npz'
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **{k: v for k, v in {**arrays, **replace}.items() if v is not None})
        return path

    # cell 41, in part
    want_t, want_s = label_triplets(Z, drawn)

    # cell 47, in part
    with tempfile.TemporaryDirectory() as d:
        for n, c in zip(names, classes):
            Image.new('RGB', (32, 32), (40 * int(c), 90, 200)).save(Path(d)/n)
        labels = official_triplets(release(d), root=d)
        learn = align_learner(
            labels, create_backbone('test_resnet', pretrained=False), ImageSet(d, labels.names),
            triplets='sampled', size=32, bs=12, steps=2, valid_pct=0.3, device='cpu',
        )
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4)

    # cell 77, in part
    def first_pair(s, p, tau):
        return contrastive_loss(s, torch.tensor([[1., 0, 0]]).expand(len(s), 3), tau)
    def train(t=want_t, s=want_s, head={}, turned=True, **kw):
        "Agreement with the labels it was given on the photos it saw, and accuracy on the exam"
        student = _Head(X.shape[1], **head)
        losses = student.fit(X, t, choice_probs(s), steps=100, **kw)
        seen = is_correct(student.sims(X, odd_last(t, s)[0] if turned else t)).mean()
        return student, dict(
            seen=seen, exam=is_correct(student.sims(X_exam, exam)).mean(), losses=losses
        )
    # `indices`, looked up in the sorted names
    mixed = np.vectorize(at.get)(np.array(names)[want_t])
    # a teacher that saw no people: the features themselves
    own_t, own_s = label_triplets(X, drawn)
    runs = {
        'all right': train(),
        'all right, contrastive': train(loss=first_pair),
        'index order': train(mixed),
        'triple [s12, s02, s01]': train(s=want_s[:, ::-1]),
        'triple [s02, s12, s01]': train(s=want_s[:, [1, 2, 0]]),
        'odd one first, contrastive': train(want_t[:, [2, 0, 1]], loss=first_pair, turned=False),
        'odd one anywhere, contrastive': train(
            rng(0).permuted(want_t, axis=1), loss=first_pair, turned=False
        ),
        'odd one first, soft loss': train(want_t[:, [2, 0, 1]], want_s[:, [1, 2, 0]]),
        'distances': train(s=-want_s),
        'untransformed': train(own_t, own_s),
        'tau 100, unit length, SGD': train(head=dict(normalise=True), opt=torch.optim.SGD),
        'tau 100, unit length, Adam': train(head=dict(normalise=True)),
        'tau 0.1': train(tau=0.1),
    }

    # cell 80, in part
    exam_of, seen_of = ({k: float(o[w]) for k, (_, o) in runs.items()} for w in ('exam', 'seen'))

    # cell 87, in part
    Y = runs['all right'][0](X_exam).detach().numpy()
    def three(X, t): return triplet_sims(X, t, 'dot')
    def distances(X, t):
        D = cdist(X, X)
        return np.stack([D[t[:, 0], t[:, 1]], D[t[:, 0], t[:, 2]], D[t[:, 1], t[:, 2]]], 1)
    scorers = {
        'right place': lambda X, t: is_correct(three(X, t)).mean(),
        'odd one expected first': lambda X, t: (
            three(X, t).argmax(1) == 2
        ).mean(),  # pair 12: object 0 is odd. Reading "pair 2" as "object 2" is the same
        'argmin for argmax': lambda X, t: (three(X, t).argmin(1) == 0).mean(),
        'distance for similarity': lambda X, t: (distances(X, t).argmax(1) == 0).mean(),
        'ties counted as right': lambda X, t: (three(X, t).argmax(1) == 0).mean(),
    }
    marks = {k: (float(f(Y, exam)), check_scorer(f)) for k, f in scorers.items()}

    # cell 89
    test_close(marks['right place'][0], exam_of['all right'], eps=1e-6)
    for k, (m, c) in marks.items():
        assert (c.verdict == 'ok').all() == (k == 'right place'), k
        assert m < CHANCE or k in ('right place', 'ties counted as right'), k
    test_eq(float(scorers['ties counted as right'](np.ones((60, 2)), exam)), 1.)
    test_eq(float(scorers['right place'](np.ones((60, 2)), exam)), 0.)


def test_what_catches_what():
    "What catches what"
    # cell 8, in part
    def synthetic(seed=0, kinds=6, each=10, dims=6, width=24):
        "Two draws of (n, dims) known embedding and (n, width) features of a pretrained network"
        r = rng(seed)
        centres = r.normal(size=(kinds, dims)) * 1.5
        turn = np.linalg.qr(r.normal(size=(width, width)))[0]
        for _ in range(2):
            Z = np.repeat(centres, each, 0) + r.normal(size=(kinds * each, dims)) * .8
            yield Z.astype(np.float32), (
                np.c_[Z * 0.5, r.normal(size=(len(Z), width - dims)) * 1.2] @ turn
            ).astype(np.float32)
    (Z, X), (Z_exam, X_exam) = synthetic()
    classes = np.repeat(np.arange(6), 10)
    names = [f'n9900000{c}_{i}.JPEG' for i, c in enumerate(classes)]

    # cell 10, in part
    drawn = sample_triplets(classes, 4000, 'class_border', seed=1)

    # cell 12, in part
    listing = [names[i] for i in rng(3).permutation(60)]
    at = {o: i for i, o in enumerate(listing)}
    def release(
        folder,
        sims=None,
        triplets=None,
        transform='uncertainty_distillation',
        stem='train_class_border',
        **replace
    ):
        "Write a synthetic file in the released layout, rows with the odd one last unless given; return its path"
        t, s = label_triplets(Z, drawn)
        t, s = t if triplets is None else triplets, s if sims is None else sims
        arrays = dict(
            filenames=np.array(names)[t], similarities=s,
            indices=np.vectorize(at.get, otypes=[int])(np.array(names)[t]),
        )
        path = Path(folder)/transform/f'{stem}.npz'
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **{k: v for k, v in {**arrays, **replace}.items() if v is not None})
        return path

    # cell 41, in part
    want_t, want_s = label_triplets(Z, drawn)

    # cell 47, in part
    with tempfile.TemporaryDirectory() as d:
        for n, c in zip(names, classes):
            Image.new('RGB', (32, 32), (40 * int(c), 90, 200)).save(Path(d)/n)
        labels = official_triplets(release(d), root=d)
        learn = align_learner(
            labels, create_backbone('test_resnet', pretrained=False), ImageSet(d, labels.names),
            triplets='sampled', size=32, bs=12, steps=2, valid_pct=0.3, device='cpu',
        )
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4)

    # cell 77, in part
    # `indices`, looked up in the sorted names
    mixed = np.vectorize(at.get)(np.array(names)[want_t])
    # a teacher that saw no people: the features themselves
    own_t, own_s = label_triplets(X, drawn)

    # cell 84, in part
    taus = np.geomspace(1e-3, 1e5, 41)
    fig, ax = plt.subplots(figsize=(5.8, 2.7), dpi=80, layout='constrained')
    curves = {}
    for normalise, c, ls in ((False, '#0072B2', '-'), (True, '#D55E00', '--')):
        sims = _Head(X.shape[1], normalise=normalise).sims(X, want_t)
        curves[normalise] = [_entropy(choice_probs(sims, tau)) for tau in taus]
        ax.plot(
            taus, curves[normalise], color=c, ls=ls, label='unit length' if normalise else 'as they are'
        )

    # cell 91, in part
    as_seen = {
        'all right': (want_t, want_s, {}), 'index order': (mixed, want_s, {}),
        'triple [s12, s02, s01]': (want_t, want_s[:, ::-1], {}),
        'triple [s02, s12, s01]': (want_t, want_s[:, [1, 2, 0]], {}),
        'odd one first': (want_t[:, [2, 0, 1]], want_s[:, [1, 2, 0]], {}),
        'odd one anywhere': (drawn, triplet_sims(Z, drawn), {}), 'distances': (want_t, -want_s, {}),
        'tau 100, unit length': (want_t, want_s, dict(normalise=True)),
        'tau 0.1': (want_t, want_s, dict(tau=0.1)),
    }
    caught = {k: check_official((t, s, names), X, **kw) for k, (t, s, kw) in as_seen.items()}
    with tempfile.TemporaryDirectory() as d:
        caught['untransformed'] = check_official(
            official_triplets(release(d, own_s, own_t, transform='untransformed'), control=True)
        )
    look = {k: set(c.check[c.verdict == 'LOOK']) for k, c in caught.items()}

    # cell 93
    want = {
        'all right': set(), 'index order': {'agreement before training', 'unseen photos follow'},
        'triple [s12, s02, s01]': {'one similarity a pair', 'agreement before training'},
        'triple [s02, s12, s01]': {'one similarity a pair', 'agreement before training'},
        'odd one first': {'odd one last'}, 'odd one anywhere': {'odd one last'},
        'distances': {'agreement before training'},
        'tau 100, unit length': {'entropy of the student', 'loss falls'},
        'tau 0.1': {'entropy of the student'}, 'untransformed': {'teacher'},
    }
    for k, lines in want.items(): assert lines <= look[k] and bool(lines) == bool(look[k]), (k, look[k])
