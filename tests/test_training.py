"""Tests of `alignet.training`.

Generated from nbs/06_training.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import math
from pathlib import Path
import numpy as np
import torch
from fastai.learner import Learner
from fastai.callback.core import Callback
from alignet.core import *
from alignet.data import ImageSet
from alignet.features import create_backbone
from alignet.labels import PseudoLabels
from alignet.loss import AlignLoss, all_triplets
import tempfile
import timm
from fastai.callback.schedule import *
from fastai.callback.training import GradientAccumulation
from fastcore.test import test_eq, test_close, test_fail
from PIL import Image, ImageDraw
from alignet.training import *

NOTEBOOK = 'nbs/06_training.ipynb'     # a test runs in the folder of its notebook


def test_a_student():
    "A student"
    # cell 17, in part
    set_seed(0)
    tiny = create_backbone('test_efficientnet', pretrained=False)
    student = Student(tiny, scale=8.).eval()
    x = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        z = student(x)
        pairs = student(x[None, :3])

    # cell 18
    with torch.no_grad(): f = tiny.eval()(x)
    test_close(z @ z.T, 8 * torch.tensor(pair_sims(f, 'cosine')), eps=1e-4)
    test_close(pairs[0], z[:3], eps=1e-4)
    with torch.no_grad():
        h = Student(tiny, head=16, sims='dot', scale=.01).eval()
        u = h(x)
        w = h.head(tiny(x))
    test_close(u @ u.T, w @ w.T / 100, eps=1e-4)
    test_fail(lambda: Student(tiny, sims='euclid'), contains='choose')
    test_eq(
        {n for n, p in student.named_parameters() if not p.requires_grad},
        {f'backbone.model.classifier.{o}' for o in ('weight', 'bias')},
    )

    # cell 19
    for name, k in (
        ('test_efficientnet', 2), ('test_resnet', 1),
        ('test_mobilenetv3' if 'test_mobilenetv3' in timm.list_models() else 'test_efficientnet', 1),
    ):
        with torch.no_grad():
            cut = Student(create_backbone(name, pretrained=False), freeze=k).eval()
            # the two halves are the whole
            test_close(cut(cut.early(x)), cut(x), eps=1e-4)
        frozen = [p for m in split_stages(cut.backbone.model, k)[0] for p in m.parameters()]
        assert frozen and not any(p.requires_grad for p in frozen)
    test_fail(
        lambda: Student(create_backbone('test_vit', pretrained=False), freeze=1), contains='freeze=0'
    )
    test_fail(lambda: Student(tiny, freeze=99), contains='give a number')


def test_the_loss_seen_from_the_learner():
    "The loss, seen from the learner"
    # cell 17, in part
    set_seed(0)
    tiny = create_backbone('test_efficientnet', pretrained=False)
    student = Student(tiny, scale=8.).eval()
    x = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        z = student(x)
        pairs = student(x[None, :3])

    # cell 22, in part
    teach = torch.randn(4, 5)

    # cell 23
    trip = all_triplets(4)
    tsims = torch.tensor(triplet_sims(teach, trip.numpy()))
    # the two modes agree
    test_close(AlignLoss()(z, teach), AlignLoss()(z[trip], tsims), eps=1e-5)
    test_close(teacher_agreement(z, teach), teacher_agreement(z[trip], tsims))
    test_eq(teacher_agreement(teach, teach).item(), 1.)
    # ties agree with nobody
    test_eq(teacher_agreement(torch.ones(4, 2), teach).item(), 0.)
    test_eq(teacher_agreement(torch.ones(4, 3, 2), tsims).item(), 0.)


def test_pictures_decoded_once():
    "Pictures, decoded once"
    # cell 29, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)
    cache = PictureCache(toys, toys.names, 32)

    # cell 30
    # the same pixels as the backbone's own transform
    x = create_backbone('test_efficientnet', pretrained=False)
    own = x.transform(size=48)(toys[5]) * torch.tensor(x.data_config['std']).view(
        3, 1, 1
    ) + torch.tensor(x.data_config['mean']).view(3, 1, 1)
    test_close(
        PictureCache(toys, toys.names[5:6], 48, crop_pct=x.data_config['crop_pct'])[0] / 255, own,
        eps=1e-5,
    )
    lazy = PictureCache(toys, toys.names, 32, max_gb=0)
    assert lazy.store is None and all((lazy[i] == cache[i]).all() for i in (0, 7, 47))
    test_eq((cache[0].shape, cache[0].dtype), ((3, 32, 32), torch.uint8))
    test_fail(lambda: PictureCache(toys, ['nowhere.png'], 32), contains='nowhere.png')
    cut = Student(create_backbone('test_efficientnet', pretrained=False), freeze=2)
    kept = StageCache(cut, cache, batch=20)
    m, sd = (torch.tensor(cut.backbone.data_config[o]).view(3, 1, 1) for o in ('mean', 'std'))
    with torch.no_grad():
        test_close(
            cut(kept.store[:6].float()),
            cut((torch.stack([cache[i] for i in range(6)]) / 255 - m) / sd), eps=2e-2,
        )
    test_eq((len(kept), kept[0].dtype), (48, torch.float16))


def test_batches_that_depend_on_seed_epoch_and_number_alone():
    "Batches that depend on seed, epoch and number alone"
    # cell 29, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)
    cache = PictureCache(toys, toys.names, 32)

    # cell 37, in part
    x = torch.stack([cache[i] for i in range(6)]).float() / 255

    # cell 38
    # the whole picture: only the mirror is left
    whole = crop_and_flip(x, rng(0), min_area=1.)
    mirrored = [bool(torch.allclose(o, i.flip(-1), atol=1e-4)) for o, i in zip(whole, x)]
    assert all(m or torch.allclose(o, i, atol=1e-4) for m, o, i in zip(mirrored, whole, x))
    ds = [(cache[i], torch.tensor(toy_teacher[i])) for i in range(48)]
    a, b = (AlignDL(ds, 12, seed=3, augment=crop_and_flip) for _ in range(2))
    for (xa, ya), (xb, yb) in zip(a, b): assert (xa == xb).all() and (ya == yb).all()
    b.epoch = 1
    assert not (a.one_batch()[0] == b.one_batch()[0]).all()
    # six pictures of one kind, 42 of the other
    half = AlignDL(ds, 12, groups=np.arange(48) < 6, steps=9)
    test_eq(len(half), 9)
    idxs = np.array(half.get_idxs()).reshape(9, 12)
    # half of each batch all the same
    test_eq((idxs < 6).sum(1), np.full(9, 6))
    assert len(np.unique(idxs < 6, axis=0)) > 5                               # ... at no fixed places
    assert all(len(set(r)) == 12 for r in idxs[:, :]), 'a picture twice in a batch'

    # cell 40
    ids = np.repeat([0, 1, 2, 3, 4], [4, 8, 12, 16, 3])
    items = [(cache[0], 0)] * len(ids)
    grouped = AlignDL(items, 8, clusters=ids, per_cluster=4, seed=1)
    seen = np.zeros(43, int)
    table = np.zeros((5, 5))
    for grouped.epoch in range(400):
        for batch in np.array(grouped.get_idxs()).reshape(-1, 8):
            seen += np.bincount(batch, minlength=43)
            g = ids[batch]
            assert (np.sort(np.unique(g, return_counts=True)[1]) % 4 == 0).all()
            i, j, k = all_triplets(8).T.numpy()
            for a, b, c in ((i, j, k), (i, k, j), (j, k, i)):
                border = (g[a] == g[b]) & (g[c] != g[a])
                np.add.at(table, (g[a][border], g[c][border]), 1)
    sizes = np.array([4, 8, 12, 16, 0])
    want = np.outer(sizes, sizes) * (1 - np.eye(5))
    (table / table.sum()).round(3)[:4, :4], (want / want.sum()).round(3)[:4, :4]

    # cell 41
    test_eq((grouped.left_out, len(grouped)), (3, 5))
    assert not seen[40:].any() and seen[:40].std() == 0
    assert np.abs(table / table.sum() - want / want.sum()).max() < .015
    for kw, why in (
        (dict(per_cluster=3), 'divide the batch size'),
        (dict(per_cluster=4, clusters=None), 'needs the cluster'),
        (dict(per_cluster=8, clusters=np.arange(43)), 'no cluster has'),
        (dict(groups=ids), 'give one of them'),
    ):
        test_fail(
            lambda: AlignDL(items, 8, **{**dict(clusters=ids, per_cluster=4), **kw}), contains=why
        )

    # cell 43
    for kw in (
        dict(), dict(groups=np.arange(48) < 6, steps=9),
        dict(clusters=np.arange(48) % 6, per_cluster=3),
    ):
        one = AlignDL(ds, 12, seed=3, **kw)
        two = [AlignDL(ds, 6, seed=3, **kw).share(r, 2) for r in range(2)]
        test_eq([len(o) for o in two], [len(one)] * 2)
        test_eq(
            np.concatenate([np.reshape(o.get_idxs(), (-1, 6)) for o in two], 1),
            np.reshape(one.get_idxs(), (-1, 12)),
        )
    test_fail(lambda: AlignDL(ds, 12).share(0, 5), contains='do not fill')
    valid = AlignDL(ds, 10, train=False)
    # validation: the same for all
    test_eq(
        ([len(x) for x, _ in valid.share(1, 2)], [len(x) for x, _ in valid.share(0, 1)]),
        ([20, 20, 8], [10] * 4 + [8]),
    )
    # a pass is a pass, in any number of processes
    kept = AlignDL(ds, 6, seed=3)
    whole_pass = len(kept)
    test_eq((whole_pass, len(kept.share(0, 2)), len(kept.share(0, 1))), (8, 4, 8))
    nowhere = AlignDL(
        ds, 12, clusters=np.where(np.arange(48) < 12, -1, np.arange(48) % 6), per_cluster=3
    )
    assert min(nowhere.get_idxs()) >= 12 and nowhere.left_out == 12


def test_the_learner():
    "The learner"
    # cell 29, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)

    # cell 63, in part
    def toy_learner(seed=0, cbs=None, **kw):
        set_seed(seed)
        # a cluster is one shape in one colour
        labels = PseudoLabels(toys.names, toy_trips, toy_sims, toy_teacher, clusters=np.arange(48) % 6)
        # from scratch: batch-norm has nothing to keep
        return align_learner(
            labels,
            create_backbone('test_efficientnet', pretrained=False),
            toys,
            size=32,
            bs=16,
            valid_pct=0.25,
            decay_to_init=0.0,
            **{**dict(freeze_bn=False, seed=seed, cbs=cbs, device='cpu'), **kw}
        )

    toy_trips = all_triplets(48).numpy()
    toy_trips, toy_sims = odd_last(toy_trips, triplet_sims(toy_teacher, toy_trips))
    learn = toy_learner()
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(25, 2e-2)
    curve = [float(l) for l in learn.recorder.losses]
    after = [round(o, 3) for o in learn.validate()]

    # cell 65
    assert curve[-1] < curve[0] / 2 and after[1] > CHANCE
    assert isinstance(learn, Learner) and learn.opt.hypers[0]['wd'] == 0.

    # cell 68, in part
    sampled = toy_learner(triplets='sampled')

    # cell 69
    frozen = toy_learner(freeze=2)
    with frozen.no_bar(), frozen.no_logging(): frozen.fit(1, 1e-3)
    assert frozen.dls.one_batch()[0].shape[1] != 3
    test_fail(lambda: toy_learner(freeze=2, augment=crop_and_flip), contains='augment=None')
    # other weights
    assert (
        toy_learner(freeze=2).dls.train.dataset.pictures
        is not toy_learner(seed=1, freeze=2).dls.train.dataset.pictures
    )
    assert (
        toy_learner(freeze=2).dls.train.dataset.pictures
        is toy_learner(freeze=2, triplets='sampled').dls.train.dataset.pictures
    )
    test_fail(lambda: frozen.dls.show_batch(), contains='freeze=0')
    xb, yb = sampled.dls.one_batch()
    # 16 images a batch: five triplets
    test_eq((xb.shape, yb.shape), ((5, 3, 3, 32, 32), (5, 3)))
    assert (yb[:, 0] >= yb[:, 1:].amax(1)).all()                              # the odd one is the last
    with sampled.no_bar(), sampled.no_logging(): sampled.fit(1, 1e-3)
    assert math.isfinite(sampled.recorder.losses[-1])

    # cell 71
    border = toy_learner(weights='cluster_border', per_cluster=2)
    with border.no_bar(), border.no_logging(): border.fit(1, 1e-3)
    xb, yb, cb = border.dls.one_batch()
    test_eq((len(cb), border.dls.train.per_cluster, border.n_epoch), (16, 2, 1))
    assert math.isfinite(border.recorder.losses[-1]) and (cb.bincount() % 2 == 0).all()
    for kw in (
        dict(triplets='sampled', per_cluster=2), dict(triplets='sampled', weights='within_class'),
    ):
        test_fail(lambda: toy_learner(**kw), contains='for triplets=')
    test_fail(lambda: toy_learner(weights='border'), contains='choose one of')

    # cell 73, in part
    def moved(**kw):
        "Which tensors a pass over the pool with a learning rate of zero changes"
        l = toy_learner(**kw)
        before = {k: v.clone() for k, v in l.model.state_dict().items()}
        with l.no_bar(), l.no_logging(): l.fit(1, 0.)
        return [k for k, v in l.model.state_dict().items() if not torch.equal(v, before[k])]

    kept, drifted = moved(freeze_bn=True), moved(freeze_bn=False)

    # cell 74
    test_eq(kept, [])
    test_eq(moved(freeze_bn=True, freeze=2), [])
    assert drifted and all('running' in k or 'num_batches' in k for k in drifted)
    trained = toy_learner(freeze_bn=True)
    before = {k: v.clone() for k, v in trained.model.state_dict().items()}
    with trained.no_bar(), trained.no_logging(): trained.fit(1, 1e-2)
    changed = {k for k, v in trained.model.state_dict().items() if not torch.equal(v, before[k])}
    # trained, with fixed statistics
    assert any('bn1.weight' in k for k in changed) and not any('running' in k for k in changed)

    # cell 76, in part
    # where the finder keeps the weights meanwhile
    probe = toy_learner()
    probe.path = Path(tmp.name)
    with probe.no_bar(): found = probe.lr_find(num_it=30, show_plot=True)

    # cell 77
    assert 1e-6 < found.valley < 1


def test_kill_it_start_it_again():
    "Kill it, start it again"
    # cell 29, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)

    # cell 63, in part
    def toy_learner(seed=0, cbs=None, **kw):
        set_seed(seed)
        # a cluster is one shape in one colour
        labels = PseudoLabels(toys.names, toy_trips, toy_sims, toy_teacher, clusters=np.arange(48) % 6)
        # from scratch: batch-norm has nothing to keep
        return align_learner(
            labels,
            create_backbone('test_efficientnet', pretrained=False),
            toys,
            size=32,
            bs=16,
            valid_pct=0.25,
            decay_to_init=0.0,
            **{**dict(freeze_bn=False, seed=seed, cbs=cbs, device='cpu'), **kw}
        )

    toy_trips = all_triplets(48).numpy()
    toy_trips, toy_sims = odd_last(toy_trips, triplet_sims(toy_teacher, toy_trips))

    # cell 79
    class StopAt(Callback):
        "Stand-in for a power cut"
        def __init__(self, n): self.n = n
        def before_batch(self):
            if self.training and self.learn.train_iter == self.n: raise KeyboardInterrupt

    def train_toys(cbs):
        l = toy_learner(seed=4, cbs=cbs)
        with l.no_bar(), l.no_logging(): l.fit_one_cycle(4, 3e-3)
        return l

    with tempfile.TemporaryDirectory() as d:
        whole = train_toys(None)
        try: train_toys([Checkpoint(Path(d)/'c.pth', every=3, run_id='toy'), StopAt(5)])
        except KeyboardInterrupt: pass
        resumed = train_toys([Checkpoint(Path(d)/'c.pth', every=3, run_id='toy')])
        # goes on, and saves the last step
        again = train_toys([Checkpoint(Path(d)/'c.pth', every=1, run_id='toy')])
        # nothing left to do
        ended = train_toys([Checkpoint(Path(d)/'c.pth', every=1, run_id='toy')])
        test_fail(
            lambda: train_toys([Checkpoint(Path(d) / 'c.pth', run_id='other')]),
            contains='belongs to another run',
        )
        (Path(d)/'c.pth').write_text('not a checkpoint')
        test_fail(lambda: train_toys([Checkpoint(Path(d)/'c.pth', run_id='toy')]), contains='delete it')
    len(whole.recorder.losses), float(whole.recorder.losses[-1]), float(resumed.recorder.losses[-1])

    # cell 81, in part
    class Counter(Callback):
        "Counts steps"
        order, n = 30, 0
        def after_step(self): self.n += 1
        def state_dict(self): return dict(n=self.n)
        def load_state_dict(self, s): self.n = s['n']

    def two_at_a_time(cbs):
        l = toy_learner(seed=4, cbs=[GradientAccumulation(32), Counter(), *cbs])
        with l.no_bar(), l.no_logging(): l.fit_one_cycle(4, 3e-3)
        return l

    with tempfile.TemporaryDirectory() as d:
        whole2 = two_at_a_time([])
        try: two_at_a_time([Checkpoint(Path(d)/'c.pth', every=3), StopAt(5)])
        except KeyboardInterrupt: pass
        kept_at = torch.load(Path(d)/'c.pth', weights_only=True)['step']
        resumed2 = two_at_a_time([Checkpoint(Path(d)/'c.pth', every=3)])

    # cell 83
    for every, n in ((2, 5), (1, 4), (4, 4), (1, 2)):
        with tempfile.TemporaryDirectory() as d:
            try: train_toys([Checkpoint(Path(d)/'c.pth', every=every), StopAt(n)])
            except KeyboardInterrupt: pass
            on = train_toys([Checkpoint(Path(d)/'c.pth', every=every)])
            state = torch.load(Path(d)/'c.pth', weights_only=True)
        test_eq([list(v) for v in on.recorder.values], [list(v) for v in whole.recorder.values])
        test_eq(state['callbacks'], {})

    # cell 85
    class Reads(Callback):
        "Which batches reach the model"
        def before_fit(self): self.seen = []
        def before_batch(self): self.seen += [self.train_iter] if self.training else []

    with tempfile.TemporaryDirectory() as d:
        try: train_toys([Checkpoint(Path(d)/'c.pth', every=1), StopAt(5), Reads()])
        except KeyboardInterrupt: pass
        on = train_toys([Checkpoint(Path(d)/'c.pth', every=1), StopAt(99), Reads()])
        left = on.dls.train.skip
        l = toy_learner(seed=4, cbs=[Checkpoint(Path(d)/'c.pth'), StopAt(99), Reads()])
        # another rate
        with l.no_bar(), l.no_logging():
            test_fail(lambda: l.fit_one_cycle(4, 1e-3), contains='belongs to another run')
    on.reads.seen, left

    # cell 86
    test_eq((on.reads.seen, left), ([5, 6, 7], 0))
    test_eq([float(o) for o in on.recorder.losses], [float(o) for o in whole.recorder.losses])
    with tempfile.TemporaryDirectory() as d:
        try: train_toys([Checkpoint(Path(d)/'c.pth', every=1, run_id='same'), StopAt(5)])
        except KeyboardInterrupt: pass
        test_fail(
            lambda: train_toys([Checkpoint(Path(d) / 'c.pth', run_id='same'), StopAt(99), Counter()]),
            contains='written without counter',
        )

    # cell 87
    test_eq((kept_at, whole2.counter.n, resumed2.counter.n), (4, 4, 4))
    for p, q in zip(whole2.model.state_dict().values(), resumed2.model.state_dict().values()):
        assert (p == q).all()

    # cell 88
    for other in (resumed, again, ended):
        for (k, p), q in zip(whole.model.state_dict().items(), other.model.state_dict().values()):
            assert (p == q).all(), k
        test_eq([float(l) for l in whole.recorder.losses], [float(l) for l in other.recorder.losses])
        test_close(
            [list(v) for v in whole.recorder.values], [list(v) for v in other.recorder.values], eps=1e-6
        )


def test_errors():
    "Errors"
    # cell 29, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)

    # cell 63, in part
    def toy_learner(seed=0, cbs=None, **kw):
        set_seed(seed)
        # a cluster is one shape in one colour
        labels = PseudoLabels(toys.names, toy_trips, toy_sims, toy_teacher, clusters=np.arange(48) % 6)
        # from scratch: batch-norm has nothing to keep
        return align_learner(
            labels,
            create_backbone('test_efficientnet', pretrained=False),
            toys,
            size=32,
            bs=16,
            valid_pct=0.25,
            decay_to_init=0.0,
            **{**dict(freeze_bn=False, seed=seed, cbs=cbs, device='cpu'), **kw}
        )

    toy_trips = all_triplets(48).numpy()
    toy_trips, toy_sims = odd_last(toy_trips, triplet_sims(toy_teacher, toy_trips))

    # cell 79, in part
    class StopAt(Callback):
        "Stand-in for a power cut"
        def __init__(self, n): self.n = n
        def before_batch(self):
            if self.training and self.learn.train_iter == self.n: raise KeyboardInterrupt

    def train_toys(cbs):
        l = toy_learner(seed=4, cbs=cbs)
        with l.no_bar(), l.no_logging(): l.fit_one_cycle(4, 3e-3)
        return l

    with tempfile.TemporaryDirectory() as d:
        whole = train_toys(None)
        try: train_toys([Checkpoint(Path(d)/'c.pth', every=3, run_id='toy'), StopAt(5)])
        except KeyboardInterrupt: pass
        resumed = train_toys([Checkpoint(Path(d)/'c.pth', every=3, run_id='toy')])
        # goes on, and saves the last step
        again = train_toys([Checkpoint(Path(d)/'c.pth', every=1, run_id='toy')])
        # nothing left to do
        ended = train_toys([Checkpoint(Path(d)/'c.pth', every=1, run_id='toy')])
        test_fail(
            lambda: train_toys([Checkpoint(Path(d) / 'c.pth', run_id='other')]),
            contains='belongs to another run',
        )
        (Path(d)/'c.pth').write_text('not a checkpoint')
        test_fail(lambda: train_toys([Checkpoint(Path(d)/'c.pth', run_id='toy')]), contains='delete it')

    # cell 81, in part
    class Counter(Callback):
        "Counts steps"
        order, n = 30, 0
        def after_step(self): self.n += 1
        def state_dict(self): return dict(n=self.n)
        def load_state_dict(self, s): self.n = s['n']

    def two_at_a_time(cbs):
        l = toy_learner(seed=4, cbs=[GradientAccumulation(32), Counter(), *cbs])
        with l.no_bar(), l.no_logging(): l.fit_one_cycle(4, 3e-3)
        return l

    with tempfile.TemporaryDirectory() as d:
        whole2 = two_at_a_time([])
        try: two_at_a_time([Checkpoint(Path(d)/'c.pth', every=3), StopAt(5)])
        except KeyboardInterrupt: pass
        kept_at = torch.load(Path(d)/'c.pth', weights_only=True)['step']
        resumed2 = two_at_a_time([Checkpoint(Path(d)/'c.pth', every=3)])

    # cell 83
    for every, n in ((2, 5), (1, 4), (4, 4), (1, 2)):
        with tempfile.TemporaryDirectory() as d:
            try: train_toys([Checkpoint(Path(d)/'c.pth', every=every), StopAt(n)])
            except KeyboardInterrupt: pass
            on = train_toys([Checkpoint(Path(d)/'c.pth', every=every)])
            state = torch.load(Path(d)/'c.pth', weights_only=True)
        test_eq([list(v) for v in on.recorder.values], [list(v) for v in whole.recorder.values])
        test_eq(state['callbacks'], {})

    # cell 85, in part
    class Reads(Callback):
        "Which batches reach the model"
        def before_fit(self): self.seen = []
        def before_batch(self): self.seen += [self.train_iter] if self.training else []

    with tempfile.TemporaryDirectory() as d:
        try: train_toys([Checkpoint(Path(d)/'c.pth', every=1), StopAt(5), Reads()])
        except KeyboardInterrupt: pass
        on = train_toys([Checkpoint(Path(d)/'c.pth', every=1), StopAt(99), Reads()])
        left = on.dls.train.skip
        l = toy_learner(seed=4, cbs=[Checkpoint(Path(d)/'c.pth'), StopAt(99), Reads()])
        # another rate
        with l.no_bar(), l.no_logging():
            test_fail(lambda: l.fit_one_cycle(4, 1e-3), contains='belongs to another run')

    # cell 86, in part
    with tempfile.TemporaryDirectory() as d:
        try: train_toys([Checkpoint(Path(d)/'c.pth', every=1, run_id='same'), StopAt(5)])
        except KeyboardInterrupt: pass
        test_fail(
            lambda: train_toys([Checkpoint(Path(d) / 'c.pth', run_id='same'), StopAt(99), Counter()]),
            contains='written without counter',
        )

    # cell 90
    labels = PseudoLabels(toys.names, toy_trips, toy_sims, toy_teacher)
    test_fail(lambda: align_learner(labels, 'test_efficientnet'), contains='images')
    test_fail(lambda: align_dls(labels, toys, bs=2), contains='at least the three')
    test_fail(lambda: align_dls(labels, toys, bs=64), contains='do not fill one batch')
    test_fail(lambda: align_dls(labels, toys, triplets='all'), contains="choose 'batch' or 'sampled'")
    test_fail(
        lambda: align_dls(PseudoLabels(toys.names, toy_trips, toy_sims, None), toys),
        contains='embedding',
    )
    test_fail(lambda: align_learner(labels, 'test_eficientnet', toys), contains='test_efficientnet')
