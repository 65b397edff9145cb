"""Tests of `alignet.loss`.

Generated from nbs/05_loss.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import pytest
import math
import warnings
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from fastai.callback.core import Callback
from alignet.core import *
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from unittest import mock
import numpy as np
import matplotlib.pyplot as plt
from fastcore.test import test_eq, test_close, test_fail
from scipy.special import rel_entr, softmax
from scipy.spatial.distance import jensenshannon
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.optimizer import SGD, Adam, OptimWrapper
from fastai.callback.training import GradientAccumulation
from fastai.callback.schedule import *
from functools import partial
from torch.utils.data import TensorDataset
from alignet.loss import *
from alignet.loss import _Gather, _processes, _ranks, _value_grad

NOTEBOOK = 'nbs/05_loss.ipynb'     # a test runs in the folder of its notebook


def test_losses_on_given_triplets():
    "Losses on given triplets"
    # cell 14, in part
    s = torch.tensor([[2., 1., 0.], [0., 0., 0.]])
    p = torch.tensor([[.6, .3, .1], [1., 0., 0.]])

    # cell 16
    test_close(kl_loss(s, p, reduction='none')[1], math.log(3), eps=1e-6)
    sims = torch.randn(300, 3, dtype=torch.float64) * 4
    probs = torch.randn(300, 3, dtype=torch.float64).mul(2).softmax(-1)
    probs[:3] = torch.eye(3, dtype=torch.float64)
    probs[3] = torch.tensor([.5, .5, 0.])
    oracle = rel_entr(probs.numpy(), softmax(sims.numpy() / 1.7, 1)).sum(1)
    test_close(kl_loss(sims, probs, tau=1.7, reduction='none'), oracle, eps=1e-12)
    test_close(kl_loss(sims, probs, 1.7), oracle.mean(), eps=1e-12)
    test_close(kl_loss(sims, probs, 1.7, 'sum'), oracle.sum(), eps=1e-10)
    test_fail(lambda: kl_loss(sims, probs[:5]), contains='(t, 3)')
    test_fail(lambda: kl_loss(sims, probs, tau=0), contains='above zero')
    test_fail(lambda: kl_loss(sims, probs, reduction='max'), contains='choose mean')

    # cell 21
    oracle = jensenshannon(probs.numpy(), softmax(sims.numpy() / 1.7, 1), axis=1)**2
    test_close(jsd_loss(sims, probs, tau=1.7, reduction='none'), oracle, eps=1e-12)
    q = sims.softmax(-1)
    # symmetric
    test_close(jsd_loss(q.log(), probs), jsd_loss(probs.clamp_min(1e-300).log(), q), eps=1e-9)
    sure = torch.tensor([[40., 0., 0.]])
    other = torch.tensor([[0., 1., 0.]])
    # the bound
    test_close(jsd_loss(sure, other), math.log(2), eps=1e-6)
    assert (jsd_loss(sims * 100, probs, reduction='none') <= math.log(2) + 1e-12).all() and (
        jsd_loss(sims, probs, reduction='none') >= 0
    ).all()

    # cell 26
    lq = np.log(softmax(sims.numpy() / 1.7, 1))
    best = probs.numpy().argmax(1)
    # row 3 is the tie
    clear = np.arange(300) != 3
    test_close(
        contrastive_loss(sims, probs, 1.7, 'none').numpy()[clear], -lq[np.arange(300), best][clear],
        eps=1e-12,
    )
    test_close(contrastive_loss(sims, probs, 1.7, 'none')[3], -lq[3, :2].mean(), eps=1e-12)

    # cell 30
    test_close(margin_loss(torch.tensor([[2., 1.5, 0.]]), torch.tensor([[.6, .3, .1]])), .25)
    def by_hand(s, b): return np.mean([max(0, 1 - s[b] + s[c]) for c in range(3) if c != b])
    test_close(
        margin_loss(sims, probs, reduction='none').numpy()[clear],
        [by_hand(r, b) for r, b in zip(sims.numpy()[clear], best[clear])], eps=1e-12,
    )

    # cell 36
    wild = torch.tensor([[1e4, 0., -1e4], [-1e4, 1e4, 0.], [0., 0., 0.], [300., 299., -300.]])
    certain = torch.tensor([[0., 0., 1.], [1., 0., 0.], [0., 1., 0.], [.5, .5, 0.]])
    for kind in TRIPLET_LOSSES:
        x = sims[:20].clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: triplet_loss(x, probs[:20], kind, 1.3, 'none'), x)
        for half in (torch.float16, torch.bfloat16):
            h = sims.to(half)
            test_eq(triplet_loss(h, probs.float(), kind), triplet_loss(h.float(), probs.float(), kind))
            test_eq(triplet_loss(h, probs.float(), kind).dtype, torch.float32)
        x = wild.clone().requires_grad_()
        l = triplet_loss(x, certain, kind)
        l.backward()
        assert l.isfinite() and x.grad.isfinite().all(), kind
    test_fail(lambda: triplet_loss(s, p, 'mse'), contains='jsd, kl, contrastive')

    # cell 38, in part
    target = torch.tensor([[.6, .3, .1]])
    lead = torch.linspace(-9, 9, 181)
    base = target.log()
    x = base.repeat(181, 1)
    x[:, 0] += lead
    x.requires_grad_()

    # cell 39
    at = lambda kind: triplet_loss(x.detach(), target.expand(181, 3), kind, reduction='none')
    # 90: the student equals the teacher
    assert at('jsd').argmin() == at('kl').argmin() == 90 and at('contrastive').argmin() == 180


def test_the_students_similarities():
    "The student's similarities"
    # cell 44
    Z = torch.randn(6, 4) + 2
    test_close(scaled_cosine(Z, math.log(10.)), 10 * pair_sims(Z, 'cosine'), eps=1e-5)
    test_close(scaled_cosine(Z, centre=True), pair_sims(Z, 'centred'), eps=1e-5)
    test_close(dots(Z, tau=100), pair_sims(Z, 'dot') / 100, eps=1e-5)
    with torch.autocast('cpu', torch.bfloat16):
        assert (Z @ Z.T).dtype == torch.bfloat16 and dots(Z).dtype == torch.float32
        test_close(dots(Z.bfloat16()), pair_sims(Z.bfloat16().float(), 'dot'), eps=1e-4)

    # cell 48
    head = CosineHead(10.)
    test_close(dots(head(Z)), scaled_cosine(Z, math.log(10.)), eps=1e-5)
    centred = CosineHead(10., centre=4)
    out = centred(Z)
    test_close(dots(out), scaled_cosine(Z, math.log(10.), centre=True), eps=1e-5)
    test_close(centred.mean, Z.mean(0) * .1, eps=1e-6)
    dots(head(Z)).sum().backward()
    assert head.log_scale.grad.abs() > 0
    assert 'log_scale' in head.state_dict()


def test_all_triplets_of_a_batch():
    "All triplets of a batch"
    # cell 16, in part
    sims = torch.randn(300, 3, dtype=torch.float64) * 4
    probs = torch.randn(300, 3, dtype=torch.float64).mul(2).softmax(-1)
    probs[:3] = torch.eye(3, dtype=torch.float64)
    probs[3] = torch.tensor([.5, .5, 0.])

    # cell 56
    for B in (3, 4, 9, 24):
        test_eq(all_triplets(B).tolist(), [list(c) for c in combinations(range(B), 3)])
    test_eq([n_triplets(b) for b in (2, 3, 48, 512)], [0, 1, 17296, 22238720])
    test_eq(
        torch.cat([torch.stack(_ranks(24, lo, min(lo + 700, 2024)), 1) for lo in range(0, 2024, 700)]),
        all_triplets(24),
    )

    # cell 59
    z = (sims[4:].T / 1.7).clone().requires_grad_()
    for kind in TRIPLET_LOSSES:
        v, g = _value_grad(z.detach(), probs[4:].T.log(), kind)
        want = triplet_loss(z.T, probs[4:], kind, reduction='none')
        test_close(v, want.detach(), eps=1e-12)
        test_close(g, torch.autograd.grad(want.sum(), z)[0], eps=1e-12)

    # cell 77, in part
    def similarity(B, d=5, scale=1., dtype=torch.float64):
        Z = torch.randn(B, d, dtype=dtype) * scale
        return Z @ Z.T
    def enumerated(S, St, kind='jsd', tau=1., tau_teacher=1., reduction='mean'):
        i, j, k = np.array(list(combinations(range(len(S)), 3))).T
        pick = lambda M: torch.stack([M[i, j], M[i, k], M[j, k]], 1)
        return triplet_loss(pick(S), (pick(St) / tau_teacher).softmax(-1), kind, tau, reduction)

    # cell 78
    for kind in TRIPLET_LOSSES:
        for B in (3, 7, 12):
            S, St = similarity(B).requires_grad_(), similarity(B)
            a, b = batch_triplet_loss(S, St, kind, tau=2.0, tau_teacher=0.7), enumerated(
                S, St, kind, 2.0, 0.7
            )
            test_close(a.item(), b.item(), eps=1e-12)
            test_close(*[torch.autograd.grad(l * 3, S)[0] for l in (a, b)], eps=1e-12)
            test_close(
                batch_triplet_loss(S, St, kind, tau=2.0, tau_teacher=0.7, chunk=11).item(), b.item(),
                eps=1e-12,
            )
    assert torch.autograd.gradcheck(lambda S: batch_triplet_loss(S, St, 'jsd', chunk=50), S)
    test_fail(lambda: batch_triplet_loss(S, St[:5, :5]), contains='one size')
    test_fail(lambda: batch_triplet_loss(S[:2, :2], St[:2, :2]), contains='no triplet')

    # cell 80
    S, St = similarity(40, dtype=torch.float32).requires_grad_(), similarity(40, dtype=torch.float32)
    whole, parts = batch_triplet_loss(S, St, chunk=10**9), batch_triplet_loss(S, St, chunk=777)
    test_close(whole.item(), parts.item(), eps=1e-6)
    test_close(*[torch.autograd.grad(l, S)[0] for l in (whole, parts)], eps=1e-6)
    h = S.detach().bfloat16().requires_grad_()
    l = batch_triplet_loss(h, St)
    l.backward()
    test_eq((l.dtype, h.grad.dtype), (torch.float32, torch.bfloat16))
    test_close(l.item(), batch_triplet_loss(h.detach().float(), St).item(), eps=1e-7)
    with torch.no_grad(): assert not batch_triplet_loss(S, St).requires_grad
    extreme = batch_triplet_loss((S.detach() * 1e4).requires_grad_(), St * 1e4)
    assert extreme.isfinite()

    # cell 82
    fused_here = bool(shutil.which(os.environ.get('CXX', 'g++')) or shutil.which('clang++'))
    if fused_here:
        S, St = similarity(40, dtype=torch.float32).requires_grad_(), similarity(
            40, dtype=torch.float32
        )
        plain, fused = batch_triplet_loss(S, St, tau=2.0, tau_teacher=0.7), batch_triplet_loss(
            S, St, tau=2.0, tau_teacher=0.7, fused=True, chunk=3000
        )
        test_close(plain.item(), fused.item(), eps=1e-6)
        test_close(*[torch.autograd.grad(l, S)[0] for l in (plain, fused)], eps=1e-7)
        print(f'plain {plain.item():.6f}, fused {fused.item():.6f}')
    else: print('skipped: torch.compile needs a C++ compiler')
    test_fail(
        lambda: batch_triplet_loss(
            similarity(5), similarity(5), weights=lambda t, p: p[:, 0], fused=True
        ),
        contains='cannot take',
    )

    # cell 85
    no_compiler = """import torch
from alignet.loss import batch_triplet_loss
try: batch_triplet_loss(torch.eye(5), torch.eye(5), fused=True)
except Exception as e: print(type(e).__name__, e)"""
    with tempfile.TemporaryDirectory() as d:
        env = {
            **os.environ, 'CXX': '/nowhere/c++', 'TORCHINDUCTOR_CACHE_DIR': d,
            'TORCHINDUCTOR_FORCE_DISABLE_CACHES': '1',
        }
        said = subprocess.run(
            [sys.executable, '-c', no_compiler], env=env, capture_output=True, text=True, cwd=d
        ).stdout
    print(said)
    assert 'AlignetError' in said and 'fused=False' in said

    # cell 87
    B = 20
    S, St = similarity(B, scale=.8), similarity(B, scale=.8)
    ids = torch.arange(B) % 4
    T = all_triplets(B)
    pick = lambda M: torch.stack([M[T[:, 0], T[:, 1]], M[T[:, 0], T[:, 2]], M[T[:, 1], T[:, 2]]], 1)
    P, per = pick(St).softmax(-1), enumerated(S, St, reduction='none')
    kinds = torch.tensor([len({*ids[t].tolist()}) for t in T])                # 2 clusters: a border
    chances = dict(
        all=torch.ones(len(T)), cluster_border=(kinds == 2), class_border=(kinds == 2),
        between_class=(kinds == 3), within_class=(kinds == 1),
        margin=P.sort(-1).values[:, 2] - P.sort(-1).values[:, 1],
    )
    test_eq(set(chances), set(TRIPLET_WEIGHTS))
    for name, w in chances.items():
        drawn = per[
            torch.multinomial(
                w.double(), 40000, replacement=True, generator=torch.Generator().manual_seed(1)
            )
        ]
        dense = batch_triplet_loss(S, St, weights=name, clusters=ids, chunk=100)
        test_close(dense.item(), ((per * w).sum() / w.sum()).item(), eps=1e-9)
        assert (dense - drawn.mean()).abs() < 4 * drawn.std() / 200, name
        print(f'{name:15s} dense {dense:.4f}   sampled {drawn.mean():.4f}')

    # cell 89
    S.requires_grad_()
    w = torch.rand(len(T), dtype=torch.float64)
    want = torch.autograd.grad((enumerated(S, St, reduction='none') * w).sum() / w.sum(), S)[0]
    test_close(
        torch.autograd.grad(batch_triplet_loss(S, St, weights=w, chunk=333), S)[0], want, eps=1e-12
    )
    # four images belong nowhere: no triplet with them has a kind
    some = torch.where(torch.arange(B) < 4, -1, ids)
    for k in ('cluster_border', 'between_class', 'within_class'):
        test_close(
            batch_triplet_loss(S, St, weights=k, clusters=some).item(),
            batch_triplet_loss(S[4:, 4:], St[4:, 4:], weights=k, clusters=ids[4:]).item(), eps=1e-12,
        )
    # only triplets with image 0
    first = lambda triplets, probs: (triplets == 0).any(1)
    test_close(
        batch_triplet_loss(S, St, weights=first).item(), per[(T == 0).any(1)].mean().item(), eps=1e-12
    )
    none = batch_triplet_loss(S, St, weights='within_class', clusters=torch.arange(B))
    none.backward()
    assert none == 0 and (S.grad == 0).all()
    for kw, why in [
        (dict(weights='cluster_border'), 'needs `clusters`'), (dict(weights='border'), 'choose one of'),
        (dict(weights=w[:9]), 'one for each row'), (dict(weights=w - 1), 'zero or more'),
        (dict(weights='within_class', clusters=torch.arange(3)), 'one for each image'),
    ]:
        test_fail(lambda: batch_triplet_loss(S, St, **kw), contains=why)

    # cell 91, in part
    def cost(B, n=5):
        S, St = similarity(B, dtype=torch.float32).requires_grad_(), similarity(B, dtype=torch.float32)
        ts = []
        for _ in range(n):
            t = time.process_time()
            batch_triplet_loss(S, St).backward()
            ts.append(time.process_time() - t)
        return min(ts) * 1e3

    # cell 92
    # milliseconds; a tenth of a step, were everything else idle
    assert cost(48) < 100

    # cell 94, in part
    r = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=r)
    mix, W = draw(12, 64) / 12**.5, (draw(64, 32) / 8).requires_grad_()
    def photos(B):
        "(B, B) similarities of student and teacher on B new images"
        z = draw(B, 12)
        return scaled_cosine((z @ mix + draw(B, 64)) @ W, math.log(10.)), z @ z.T / 3
    def once(B):
        "The loss with each of B new images in one triplet"
        i, j, k = torch.arange(B).view(3, -1)
        s, t = (torch.stack([M[i, j], M[i, k], M[j, k]], 1) for M in photos(B))
        return jsd_loss(s, choice_probs(t))
    def every(B): return batch_triplet_loss(*photos(B))
    grad, cosine = (
        lambda loss: torch.autograd.grad(loss, W)[0].ravel(),
        lambda a, b: F.cosine_similarity(a, b, 0).item(),
    )
    halves = [sum(grad(every(96)) for _ in range(50)) for _ in range(2)]
    truth = sum(halves)

    # cell 96, in part
    sizes = {every: [12, 24, 48, 96], once: [12, 24, 48, 96, 192, 384, 768, 1536]}
    curves = {
        f: np.array([[cosine(grad(f(B)), truth) for _ in range(20)] for B in Bs])
        for f, Bs in sizes.items()
    }

    # cell 98
    all48, once48, once768 = curves[every][2].mean(), curves[once][2].mean(), curves[once][6].mean()
    print(
        f'48 images: all triplets {all48:.2f}, each image once {once48:.2f}; 768 images, each once: {once768:.2f}, 1,536: {curves[once][7].mean():.2f}'
    )
    assert (
        cosine(*halves) > 0.95
        and all48 > once768 > once48
        and all48 > 2 * once48
        and (np.diff(curves[every].mean(1)) > 0).all()
    )

    # cell 101, in part
    S, St = similarity(30), similarity(30)

    # cell 102
    X1, X2 = rng(1).normal(size=(15, 4)).astype(np.float32), rng(2).normal(size=(15, 4)).astype(
        np.float32
    )
    T = all_triplets(15).numpy()
    tl, _ = odd_last(T, triplet_sims(X2, T))
    test_close(
        batch_agreement(dots(torch.tensor(X1)), dots(torch.tensor(X2)), chunk=50).item(),
        ooo_accuracy(X1, tl, 'dot'), eps=1e-6,
    )
    test_eq(batch_agreement(torch.ones(30, 30), St).item(), 0.)


@pytest.mark.slow
def test_all_triplets_of_a_batch_slow():
    "All triplets of a batch"
    # cell 77, in part
    def similarity(B, d=5, scale=1., dtype=torch.float64):
        Z = torch.randn(B, d, dtype=dtype) * scale
        return Z @ Z.T

    # cell 82, in part
    fused_here = bool(shutil.which(os.environ.get('CXX', 'g++')) or shutil.which('clang++'))

    # cell 83
    if fused_here:
        S, St = similarity(12).requires_grad_(), similarity(12)
        ids = torch.arange(12) % 3 - (torch.arange(12) == 11).long() * 9
        w = torch.rand(220)
        for kind, weights in [
            *((k, 'all') for k in TRIPLET_LOSSES), *(('jsd', o) for o in (*TRIPLET_WEIGHTS[1:], w)),
        ]:
            plain, fused = (
                batch_triplet_loss(S, St, kind, 2.0, 0.7, weights, ids, chunk=90, fused=f)
                for f in (False, True)
            )
            test_close(plain.item(), fused.item(), eps=1e-12)
            test_close(*[torch.autograd.grad(l, S)[0] for l in (plain, fused)], eps=1e-12)


def test_several_processes_one_batch():
    "Several processes, one batch"
    # cell 77, in part
    def similarity(B, d=5, scale=1., dtype=torch.float64):
        Z = torch.randn(B, d, dtype=dtype) * scale
        return Z @ Z.T

    # cell 107
    S, St = similarity(30).requires_grad_(), similarity(30)
    whole = batch_triplet_loss(S, St)
    g = torch.autograd.grad(whole, S)[0]
    added = []
    # instead of adding, keep what would be added
    with mock.patch.object(dist, 'all_reduce', added.append):
        parts = [
            torch.autograd.grad(batch_triplet_loss(S, St, share=(r, 4)), S)[0] * added[-1][1]
            for r in range(4)
        ]
    total, mass = torch.stack(added).sum(0)
    test_close((total / mass).item(), whole.item(), eps=1e-12)
    test_eq(mass.item(), n_triplets(30))
    test_close(sum(parts) / mass / 4, g, eps=1e-12)

    # cell 108
    with tempfile.TemporaryDirectory() as d:
        dist.init_process_group('gloo', init_method=f'file://{d}/meet', rank=0, world_size=1)
        z = torch.randn(5, 3, requires_grad=True)
        both = _Gather.apply(z)
        (both**2).sum().backward()
        test_eq(_processes(), (0, 1))
        dist.destroy_process_group()
    test_eq(both.detach(), z.detach())
    test_close(z.grad, 2 * z.detach())
    test_eq(_processes(), (0, 1))


def test_as_a_fastai_loss_function():
    "As a fastai loss function"
    # cell 113, in part
    Z, teacher = torch.randn(10, 8), torch.randn(10, 3)

    # cell 114
    T = all_triplets(10)
    target = torch.tensor(triplet_sims(teacher.numpy(), T.numpy()))
    for kw in (dict(), dict(sims='cosine', scale=5.), dict(kind='kl', tau=3., tau_teacher=2.)):
        batch, given, flat = (
            AlignLoss(**kw)(Z, teacher), AlignLoss(**kw)(Z[T], target),
            AlignLoss(**kw)(Z[T].reshape(-1, 8), target),
        )
        # the modes agree
        test_close(batch.item(), given.item(), eps=1e-5)
        test_close(given.item(), flat.item(), eps=1e-7)
    head = CosineHead(5.)
    test_close(
        AlignLoss()(head(Z), teacher).item(), AlignLoss(sims='cosine', scale=5.0)(Z, teacher).item(),
        eps=1e-5,
    )
    with torch.autocast('cpu', torch.bfloat16):
        test_close(AlignLoss()(Z, teacher).item(), AlignLoss()(Z.clone(), teacher).item(), eps=1e-7)
    for z, t in [(Z, teacher[:9]), (Z[:9], teacher[:3, :2]), (Z[T][:4], target[:5])]:
        test_fail(lambda: AlignLoss()(z, t), contains='do not fit')
    test_fail(lambda: AlignLoss('mse'), contains='choose one of')
    test_fail(lambda: AlignLoss(weights='border'), contains='choose one of')
    test_fail(lambda: AlignLoss(sims='l2'), contains='choose dot or cosine')


def test_the_pull_towards_the_pretrained_weights():
    "The pull towards the pretrained weights"
    # cell 120
    def regression(seed=0, dead=False):
        "Model and data; with `dead` no gradient reaches the parameters (it is zero)"
        set_seed(seed)
        model = nn.Sequential(nn.Linear(4, 3, bias=False), nn.BatchNorm1d(3), nn.Linear(3, 1))
        x = torch.randn(40, 4)
        data = TensorDataset(x, x.sum(1, keepdim=True))
        loss = (lambda p, y: (p * 0).sum()) if dead else (lambda p, y: F.mse_loss(p, y))
        return model, DataLoaders(DataLoader(data, bs=4), DataLoader(data, bs=40)), loss
    def learner(cbs, opt=SGD, dead=False, wd=0., **kw):
        model, dls, loss = regression(dead=dead)
        return Learner(dls, model, loss_func=loss, opt_func=opt, cbs=cbs, wd=wd, **kw)
    def quiet(learn, n, lr):
        with learn.no_bar(), learn.no_logging(): learn.fit(n, lr)
    params = lambda m: {n: p.detach().clone() for n, p in m.named_parameters()}

    # cell 122
    optimisers = dict(
        SGD=SGD, Adam=Adam, torch_AdamW=partial(OptimWrapper, opt=torch.optim.AdamW),
        torch_SGD=partial(OptimWrapper, opt=torch.optim.SGD, momentum=0.9),
    )
    for name, opt in optimisers.items():
        learn = learner(DecayToInit(.5), opt, dead=True)
        start = params(learn.model)
        with torch.no_grad(): [p.add_(1.) for p in learn.model.parameters()]
        quiet(learn, 10, .02)                                                 # 10 epochs of 10 batches
        off = {n: (p - start[n]) for n, p in params(learn.model).items()}
        for v in off.values(): test_close(v, torch.full_like(v, (1 - .02 * .5)**100), eps=1e-5)
    off['2.weight'][0, 0].item(), (1 - .02 * .5)**100

    # cell 124
    learn = learner(DecayToInit(2.))
    model, dls, loss = regression()
    p0 = params(model)
    quiet(learn, 3, .05)
    for _ in range(3):
        for x, y in dls.train:
            loss(model(x), y).backward()
            with torch.no_grad():
                for n, p in model.named_parameters():
                    p -= .05 * (p.grad + 2. * (p - p0[n]))
                    p.grad = None
    for n, p in model.named_parameters(): test_close(p, params(learn.model)[n], eps=1e-5)

    # cell 125
    zero = {n: torch.zeros_like(p) for n, p in regression()[0].named_parameters()}
    ours = learner(DecayToInit(.3, reference=zero), partial(OptimWrapper, opt=torch.optim.AdamW))
    theirs = learner(None, partial(OptimWrapper, opt=torch.optim.AdamW), wd=.3)
    quiet(ours, 3, .01)
    quiet(theirs, 3, .01)
    for n, p in params(ours.model).items(): test_close(p, params(theirs.model)[n], eps=1e-6)

    # cell 127
    split = lambda m: [list(m[0].parameters()), list(m[1].parameters()) + list(m[2].parameters())]
    learn = learner(DecayToInit(1., skip='2.bias'), dead=True, splitter=split, train_bn=False)
    start = params(learn.model)
    with torch.no_grad(): [p.add_(1.) for p in learn.model.parameters()]
    # 10 steps, .01 for the first group and .1 for the last
    stats = learn.model[1].running_mean.clone()
    quiet(learn, 1, slice(.01, .1))
    off = {n: (p - start[n]).mean().item() for n, p in params(learn.model).items()}
    test_close(off['0.weight'], .99**10, eps=1e-5)
    test_close(off['2.weight'], .9**10, eps=1e-5)
    test_close(off['2.bias'], 1., eps=1e-6)
    # batch norm's statistics go on by themselves
    assert (learn.model[1].running_mean != stats).all()
    learn.freeze()
    before = params(learn.model)
    quiet(learn, 1, .1)
    assert (params(learn.model)['0.weight'] == before['0.weight']).all() and (
        params(learn.model)['2.weight'] != before['2.weight']
    ).all()

    # cell 128
    learn = learner([DecayToInit(1.), GradientAccumulation(8)], dead=True)
    start = params(learn.model)
    with torch.no_grad(): [p.add_(1.) for p in learn.model.parameters()]
    # 10 batches of 4, a step after every 8 items: 5 steps
    quiet(learn, 1, .1)
    test_close((params(learn.model)['2.weight'] - start['2.weight']).mean().item(), .9**5, eps=1e-5)

    # cell 129
    with tempfile.TemporaryDirectory() as d:
        straight = learner(DecayToInit(2.), Adam, path=d)
        quiet(straight, 2, .05)
        quiet(straight, 2, .05)
        half = learner(DecayToInit(2.), Adam, path=d)
        quiet(half, 2, .05)
        half.save('half')
        # a new process: pretrained model, callback, then load
        again = learner(DecayToInit(2.), Adam, path=d)
        again.create_opt()
        again.load('half')
        quiet(again, 2, .05)
    for n, p in params(straight.model).items(): test_eq(p, params(again.model)[n])

    # cell 130
    cb = straight.decay_to_init
    # no copy of the weights travels with an exported learner
    assert cb.init and not {'init', 'pulled', '_learn'} & set(cb.__getstate__())
    def warned(text, strength=1., run=lambda learn: quiet(learn, 1, .01), **kw):
        with tempfile.TemporaryDirectory() as d, warnings.catch_warnings(record=True) as w:
            warnings.simplefilter('always')
            learn = learner(DecayToInit(strength), path=d, **kw)
            run(learn)
        return any(text in str(o.message) for o in w)
    # fastai's Adam decays by .01 unless told otherwise
    assert warned('wd=0', opt=Adam, wd=None) and not warned('wd=0', opt=Adam)
    assert warned('overshoot', 200.) and not warned('overshoot')
    def find(learn):                                                                    # the search goes through absurd rates, which is its job
        with learn.no_bar(), learn.no_logging(): learn.lr_find(show_plot=False, num_it=30)
    assert not warned('overshoot', run=find)
    test_fail(lambda: DecayToInit(-1.), contains='zero or more')
    test_fail(
        lambda: quiet(learner(DecayToInit(reference={'other': torch.ones(2)})), 1, 0.01),
        contains='none of the',
    )
    test_fail(
        lambda: quiet(learner(DecayToInit(reference={'0.weight': torch.ones(2)})), 1, 0.01),
        contains="'0.weight'",
    )

    # cell 132, in part
    class Point(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([-2., 1.5]))
        def forward(self, x): return self.w.expand(len(x), 2)
    A, goal = torch.tensor([[.3, .15], [.15, 1.]]), torch.tensor([2., -.5])
    bowl = lambda w, *_: ((w - goal) @ A * (w - goal)).sum(-1).mean() / 2
    class PathSeen(Callback):
        def before_fit(self): self.seen = [self.model.w.detach().clone()]
        def after_step(self): self.seen.append(self.model.w.detach().clone())
    fig, ax = plt.subplots(figsize=(5.6, 3.2), dpi=80, layout='constrained')
    ends, w0 = {}, Point().w.detach()
    for lam, c in zip((0., .1, .5, 2.), ('#000000', '#0072B2', '#D55E00', '#009E73')):
        data = TensorDataset(torch.zeros(300, 1), torch.zeros(300, 1))
        learn = Learner(
            DataLoaders(DataLoader(data, bs=1), DataLoader(data, bs=300)), Point(), loss_func=bowl,
            opt_func=SGD, wd=0.0, cbs=[DecayToInit(lam), PathSeen()],
        )
        quiet(learn, 1, .1)
        p = torch.stack(learn.path_seen.seen)
        ends[lam] = p[-1]
        ax.plot(*p.T, '-', color=c, lw=1.6, label=f'strength {lam:g}')
        ax.plot(*p[-1], 'o', color=c, ms=5)

    # cell 133
    for lam, end in ends.items():
        balance = torch.linalg.solve(A + lam * torch.eye(2), A @ goal + lam * w0)
        test_close(end, balance, eps=.01)
