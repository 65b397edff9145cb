"""Tests of `alignet.extras.vice`.

Generated from nbs/extras/vice.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import pytest
import math
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from alignet.core import *
from alignet.data import Judgements, offline_world, things_choices, things_matrix
import os
import tempfile
import time
import matplotlib.pyplot as plt
from fastcore.test import test_eq, test_close, test_fail
from scipy import stats
from scipy.optimize import linear_sum_assignment
from scipy.special import log_softmax, softmax
from alignet.teacher import Teacher, cross_validate, triplets_from_embedding
from alignet.extras.vice import *
from alignet.extras.vice import _State, _choice_nll, _loss_and_grads, _prior_pull, _schedule, _settled, _sims

NOTEBOOK = 'nbs/extras/vice.ipynb'     # a test runs in the folder of its notebook


def test_the_likelihood_a_choice_is_a_noisy_draw():
    "The likelihood: a choice is a noisy draw"
    # cell 12, in part
    r = rng(0)
    Z0, T0 = torch.tensor(r.gamma(1.0, 1.0, (9, 4))), torch.tensor(
        np.stack([r.permutation(9)[:3] for _ in range(40)]).T
    )
    loss, G = _choice_nll(Z0, T0, chunk=7)
    S = (Z0 @ Z0.T).numpy()
    i, j, k = T0.numpy()
    by_scipy = -log_softmax(np.stack([S[i, j], S[i, k], S[j, k]], 1), 1)[:, 0].mean()

    # cell 13
    test_close(loss.item(), by_scipy, 1e-12)
    Zg = Z0.clone().requires_grad_()
    Sg = Zg @ Zg.T
    (-torch.log_softmax(torch.stack([Sg[i, j], Sg[i, k], Sg[j, k]], 1), 1)[:, 0].mean()).backward()
    test_close(G, Zg.grad, 1e-12)
    # and by finite differences, without any autograd
    for row in (0, 5):
        e = torch.zeros_like(Z0)
        e[row, 1] = 1e-6
        test_close(
            G[row, 1].item(), ((_choice_nll(Z0 + e, T0)[0] - _choice_nll(Z0 - e, T0)[0]) / 2e-6).item(),
            1e-7,
        )

    # cell 16, in part
    asked, p = np.tile([[4, 7, 2]], (20_000, 1)), np.tile([[.6, .3, .1]], (20_000, 1))
    answers = draw_choices(asked, p)
    share = {int(o): float((answers[:, 2] == o).mean()) for o in (2, 7, 4)}

    # cell 17
    # more than three standard errors
    test_close(list(share.values()), [.6, .3, .1], .012)
    test_eq(np.unique(np.sort(answers), axis=0), [[2, 4, 7]])
    test_fail(lambda: draw_choices(asked[:2], p), contains='probs must have the shape (2, 3)')
    test_fail(lambda: draw_choices(asked, -p), contains='must be probabilities')


def test_the_prior_what_a_weight_is_before_any_data():
    "The prior: what a weight is before any data"
    # cell 22, in part
    x = torch.linspace(-2.5, 2.5, 501, dtype=torch.float64)

    # cell 23
    for name, dist in (('gaussian', stats.norm), ('laplace', stats.laplace)):
        test_close(
            log_prior(x, name, 0.3, 1.2, 0.7),
            np.log(0.7 * dist.pdf(x, scale=0.3) + 0.3 * dist.pdf(x, scale=1.2)), 1e-12,
        )
        xg = x[x != 0].clone().requires_grad_()
        (-log_prior(xg, name, .3, 1.2, .7).sum()).backward()
        test_close(_prior_pull(xg.detach(), name, .3, 1.2, .7), xg.grad, 1e-10)
    # where the densities themselves are zero in float32
    far = torch.tensor([-60., 60.])
    assert (
        torch.isfinite(log_prior(far)).all()
        and torch.isfinite(_prior_pull(far, 'gaussian', 0.25, 1.0, 0.6)).all()
    )


def test_the_posterior_what_a_weight_may_be_after_the_data():
    "The posterior: what a weight may be after the data"
    # cell 12, in part
    r = rng(0)
    Z0, T0 = torch.tensor(r.gamma(1.0, 1.0, (9, 4))), torch.tensor(
        np.stack([r.permutation(9)[:3] for _ in range(40)]).T
    )

    # cell 28
    mu, ls = torch.tensor(r.normal(0.3, 0.5, (9, 4)), requires_grad=True), torch.tensor(
        r.normal(-1, 0.3, (9, 4)), requires_grad=True
    )
    eps, i, j, k = torch.tensor(r.normal(size=(9, 4))), *T0
    for prior in (('gaussian', .25, 1., .6), ('laplace', .2, .8, .5)):
        x = mu + ls.exp()*eps
        z = x.relu()
        Sz = z @ z.T
        ce = -torch.log_softmax(torch.stack([Sz[i, j], Sz[i, k], Sz[j, k]]), 0)[0].mean()
        full = ce + (log_posterior(x, mu, ls.exp()) - log_prior(x, *prior)).sum()/500
        want = torch.autograd.grad(full, (mu, ls))
        got = _loss_and_grads(mu.detach(), ls.detach(), eps, T0, 500, prior)
        print(
            prior[0],
            f'loss {full:.4f}, of it cross-entropy {got[0]:.4f}; largest difference of gradients {max((a - b).abs().max() for a, b in zip(got[1:], want)):.1e}',
        )
        test_close(got[0].item(), ce.item(), 1e-12)
        test_close(got[1], want[0], 1e-12)
        test_close(got[2], want[1], 1e-12)

    # cell 29
    test_close(
        log_posterior(x, mu, ls.exp()).detach(),
        stats.norm(mu.detach(), ls.exp().detach()).logpdf(x.detach()), 1e-12,
    )


def test_which_dimensions_stay():
    "Which dimensions stay"
    # cell 12, in part
    r = rng(0)

    # cell 33
    m0, s0 = r.normal(.2, .5, (60, 5)), r.uniform(.05, .5, (60, 5))
    got = significant_weights(m0, s0, .05)
    for d in range(5):
        pv = stats.norm.cdf(0, m0[:, d], s0[:, d])
        rank = np.flatnonzero(np.sort(pv) <= .05*np.arange(1, 61)/60)
        test_eq(got[:, d], pv <= (np.sort(pv)[rank[-1]] if len(rank) else -1))
    uncorrected = (stats.norm.cdf(0, m0, s0) <= .05).sum(0)
    print('weights above zero:', got.sum(0), 'without the correction:', uncorrected)

    # cell 34
    assert (got.sum(0) <= uncorrected).all() and (got.sum(0) < uncorrected).any()
    null = significant_weights(np.zeros((1854, 50)) + .0*s0[0, 0], np.full((1854, 50), .3))
    # P = 1/2 everywhere: nothing to discover
    assert not null.any()


def test_the_fitted_object():
    "The fitted object"
    # cell 38, in part
    # 8, 5 and 14 objects
    m1 = np.full((20, 3), -.5, np.float32)
    m1[:8, 0] = 1
    m1[4:18, 2] = 2
    m1[:5, 1] = 1
    small = VICE(m1, np.full((20, 3), .1))

    # cell 39
    # five objects are not more than five; the heavier one first
    test_eq(small.kept, [2, 0])
    test_eq(small.embedding.shape, (20, 2))
    test_eq(small.embedding.sum(0), [28, 8])
    test_eq(VICE(m1, np.full((20, 3), .1), k=4).kept, [2, 0, 1])
    test_fail(lambda: VICE(m1, m1*0), contains='sigma holds 60 values')
    test_fail(lambda: VICE(m1*np.nan, m1), contains='mu holds 60')
    test_fail(lambda: VICE(m1, m1[:2]), contains='shape of mu')
    test_fail(lambda: VICE(m1, abs(m1), names=['a']), contains='one name an object')


def test_soft_labels():
    "Soft labels"
    # cell 38, in part
    # 8, 5 and 14 objects
    m1 = np.full((20, 3), -.5, np.float32)
    m1[:8, 0] = 1
    m1[4:18, 2] = 2
    m1[:5, 1] = 1

    # cell 45, in part
    wide = VICE(m1, np.full((20, 3), .4))
    ask = np.array([[0, 1, 10], [0, 10, 1], [4, 5, 12], [18, 19, 3]])
    labels, plug_in = wide.soft_labels(ask, samples=200), choice_probs(
        triplet_sims(wide.embedding, ask)
    )

    # cell 46
    g, by_hand = torch.Generator().manual_seed(0), 0
    for _ in range(200):
        z = np.maximum(
            wide.mu[:, wide.kept]
            + wide.sigma[:, wide.kept] * torch.empty(20, len(wide.kept)).normal_(generator=g).numpy(),
            0,
        ).astype(float)
        by_hand += softmax([[z[i] @ z[j], z[i] @ z[k], z[j] @ z[k]] for i, j, k in ask], 1)/200
    test_close(labels, by_hand, 1e-5)
    test_close(labels.sum(1), 1, 1e-5)
    # whatever it is asked together with
    test_eq(labels[2:], wide.soft_labels(ask[2:], samples=200))
    # another order of the objects, the same answer
    test_close(labels[0], labels[1][[1, 0, 2]], 1e-6)
    many = np.array([(i, j, k) for i in range(20) for j in range(i) for k in range(j)])
    test_close(wide.soft_labels(many, samples=9, block=300), wide.soft_labels(many, samples=9), 1e-6)
    # gathered rows
    test_close(
        _sims(torch.tensor(wide.embedding), torch.tensor(many[:5].T)),
        triplet_sims(wide.embedding, many[:5]).T, 1e-5,
    )
    # one product
    test_close(
        _sims(torch.tensor(wide.embedding), torch.tensor(many.T)), triplet_sims(wide.embedding, many).T,
        1e-5,
    )
    # less extreme
    assert stats.entropy(labels, axis=1).mean() > stats.entropy(plug_in, axis=1).mean()
    test_fail(lambda: wide.soft_labels(ask, samples=0), contains='samples must be a whole number')
    test_fail(lambda: wide.soft_labels([[0, 1, 20]]), contains='point outside the set of 20')
    test_fail(lambda: VICE(m1*0, abs(m1)).soft_labels(ask), contains='no dimension is kept')


def test_fitting():
    "Fitting"
    # cell 54, in part
    def course(dims, losses):
        return [dict(dims=d, valid_loss=l, cooling=False) for d, l in zip(dims, losses)]
    flat, falling = [.9]*12, list(1 - .01*np.arange(12))
    s4 = dict(window=4, max_epochs=100, cool=3)

    # cell 55
    assert (
        _settled(course([7] * 12, flat), 4)
        and not _settled(course(range(12), flat), 4)
        and not _settled(course([7] * 12, falling), 4)
    )
    # at the start nothing is kept, and that is no result
    assert not _settled(course([0]*12, flat), 4)
    assert _settled(course([7]*12, [None]*12), 4) and not _settled(course([7]*4, flat), 4)
    h, sizes = course([7]*12, flat), []
    while (size := _schedule(h, s4)) is not None:
        sizes.append(size)
        h = h + [dict(dims=7, valid_loss=.9, cooling=True)]
    # three cooling epochs, then the end
    test_close(sizes, [(1 + np.cos(np.pi*o/4))/2 for o in (1, 2, 3)], 1e-12)
    test_eq(_schedule(course([7]*12, falling), s4), 1.)
    test_eq(_schedule([], s4), 1.)

    # cell 63, in part
    def sparse_world(n=60, d=5, trials=20_000, seed=0):
        "A sparse, positive embedding, and answers drawn from its choice probabilities"
        r = rng(seed, 3)
        E = np.where(r.random((n, d)) < .3, r.uniform(.7, 1.6, (n, d)), 0).astype(np.float32)
        return E, draw_choices(*triplets_from_embedding(E, trials, seed=seed), seed)

    E5, T5 = sparse_world()
    quick = dict(n=60, dims=20, batch=256, lr=.05, window=6, cool=8)
    vice = VICE.fit(T5, **quick)
    match = np.corrcoef(E5.T, vice.embedding.T)[:5, 5:]
    true, found = linear_sum_assignment(-match)

    # cell 64
    assert abs(len(vice.kept) - 5) <= 1 and (match[true, found] > .9).all()
    # another world, prior and seed
    E4, T4 = sparse_world(d=3, seed=2)
    other = VICE.fit(T4, **quick, prior='laplace', spike=.15, seed=1)
    match = np.corrcoef(E4.T, other.embedding.T)[:3, 3:]
    true, found = linear_sum_assignment(-match)
    assert abs(len(other.kept) - 3) <= 1 and (match[true, found] > .9).all()
    p_true, p_vice = choice_probs(triplet_sims(E5, T5)), vice.soft_labels(T5)
    kl = lambda p, q: stats.entropy(p, q, axis=1).mean()                       # SciPy's KL divergence
    print(
        f'mean KL from the true probabilities: {kl(p_true, p_vice):.4f} for VICE, {kl(p_true, np.full_like(p_true, 1/3)):.4f} for even choices'
    )
    assert kl(p_true, p_vice) < .1*kl(p_true, np.full_like(p_true, 1/3))
    # answers without any meaning
    even = VICE.fit(draw_choices(T5, np.full((len(T5), 3), 1/3)), **quick, max_epochs=12)
    assert not len(even.kept)                                                  # ... leave no dimension


def test_interrupted_and_resumed():
    "Interrupted and resumed"
    # cell 63, in part
    def sparse_world(n=60, d=5, trials=20_000, seed=0):
        "A sparse, positive embedding, and answers drawn from its choice probabilities"
        r = rng(seed, 3)
        E = np.where(r.random((n, d)) < .3, r.uniform(.7, 1.6, (n, d)), 0).astype(np.float32)
        return E, draw_choices(*triplets_from_embedding(E, trials, seed=seed), seed)

    E5, T5 = sparse_world()
    quick = dict(n=60, dims=20, batch=256, lr=.05, window=6, cool=8)
    vice = VICE.fit(T5, **quick)

    # cell 69
    def power_cut(row):
        if row['epoch'] == 8: raise KeyboardInterrupt('the light goes out')

    with tempfile.TemporaryDirectory() as tmp:
        path, epochs = Path(tmp)/'fit.npz', []
        try: VICE.fit(T5, **quick, path=path, every=4, callback=power_cut)
        except KeyboardInterrupt as e: print('stopped:', e)
        kept_file = path.read_bytes()
        resumed = VICE.fit(
            T5, **quick, path=path, every=4, callback=lambda row: epochs.append(row['epoch'])
        )
        # a finished fit is just read
        again = VICE.fit(T5, **quick, path=path, callback=lambda row: epochs.append('never'))
        print(
            f'continued with epoch {epochs[0]}, ended with epoch {epochs[-1]}; files left: {[f.name for f in path.parent.iterdir()]}'
        )
        messages = []
        for change in (dict(lr=.04), dict(prior='laplace'), dict(seed=1)):
            try: VICE.fit(T5, **{**quick, **change}, path=path)
            except AlignetError as e: messages.append(str(e).replace(str(path), path.name))
        print(messages[0])
        for triplets in (T5[1:], T5[:, [1, 2, 0]]):
            test_fail(lambda: VICE.fit(triplets, **quick, path=path), contains='trials=')
        path.write_bytes(kept_file[:1000])
        test_fail(lambda: VICE.fit(T5, **quick, path=path), contains='fit.npz')
        np.savez(path, mu=np.ones(3))
        test_fail(lambda: VICE.fit(T5, **quick, path=path), contains='lacks log_sigma')
        test_fail(
            lambda: VICE.fit(T5, **quick, path=Path(tmp) / 'fit.pt'),
            contains="path must be a file that ends in .npz",
        )

    # cell 70
    test_eq(epochs[0], 8)
    test_eq('never' in epochs, False)
    test_eq(len(messages), 3)
    for o in (resumed, again):
        assert (
            (o.mu == vice.mu).all()
            and (o.sigma == vice.sigma).all()
            and o.history.equals(vice.history)
            and o.meta == vice.meta
        )
    assert all(
        'belongs to another fit' in m and c in m
        for m, c in zip(messages, ('lr=', "prior='gaussian' there, 'laplace' here", 'seed='))
    )


def test_saving_and_loading():
    "Saving and loading"
    # cell 38, in part
    # 8, 5 and 14 objects
    m1 = np.full((20, 3), -.5, np.float32)
    m1[:8, 0] = 1
    m1[4:18, 2] = 2
    m1[:5, 1] = 1
    small = VICE(m1, np.full((20, 3), .1))

    # cell 63, in part
    def sparse_world(n=60, d=5, trials=20_000, seed=0):
        "A sparse, positive embedding, and answers drawn from its choice probabilities"
        r = rng(seed, 3)
        E = np.where(r.random((n, d)) < .3, r.uniform(.7, 1.6, (n, d)), 0).astype(np.float32)
        return E, draw_choices(*triplets_from_embedding(E, trials, seed=seed), seed)

    E5, T5 = sparse_world()
    quick = dict(n=60, dims=20, batch=256, lr=.05, window=6, cool=8)
    vice = VICE.fit(T5, **quick)

    # cell 69
    def power_cut(row):
        if row['epoch'] == 8: raise KeyboardInterrupt('the light goes out')

    with tempfile.TemporaryDirectory() as tmp:
        path, epochs = Path(tmp)/'fit.npz', []
        try: VICE.fit(T5, **quick, path=path, every=4, callback=power_cut)
        except KeyboardInterrupt as e: print('stopped:', e)
        kept_file = path.read_bytes()
        resumed = VICE.fit(
            T5, **quick, path=path, every=4, callback=lambda row: epochs.append(row['epoch'])
        )
        # a finished fit is just read
        again = VICE.fit(T5, **quick, path=path, callback=lambda row: epochs.append('never'))
        print(
            f'continued with epoch {epochs[0]}, ended with epoch {epochs[-1]}; files left: {[f.name for f in path.parent.iterdir()]}'
        )
        messages = []
        for change in (dict(lr=.04), dict(prior='laplace'), dict(seed=1)):
            try: VICE.fit(T5, **{**quick, **change}, path=path)
            except AlignetError as e: messages.append(str(e).replace(str(path), path.name))
        print(messages[0])
        for triplets in (T5[1:], T5[:, [1, 2, 0]]):
            test_fail(lambda: VICE.fit(triplets, **quick, path=path), contains='trials=')
        path.write_bytes(kept_file[:1000])
        test_fail(lambda: VICE.fit(T5, **quick, path=path), contains='fit.npz')
        np.savez(path, mu=np.ones(3))
        test_fail(lambda: VICE.fit(T5, **quick, path=path), contains='lacks log_sigma')
        test_fail(
            lambda: VICE.fit(T5, **quick, path=Path(tmp) / 'fit.pt'),
            contains="path must be a file that ends in .npz",
        )

    # cell 74
    with tempfile.TemporaryDirectory() as tmp:
        file = vice.save(f'{tmp}/vice.npz')
        back, size = VICE.load(file), file.stat().st_size
        with np.load(file, allow_pickle=False) as z:
            print({o: z[o].shape for o in z.files}, f'{size/1e3:.0f} kB')
        named = VICE(small.mu, small.sigma, names=list('abcdefghijklmnopqrst'))
        named.save(f'{tmp}/named.npz')
        test_eq(VICE.load(f'{tmp}/named.npz').names, named.names)
        test_eq(VICE.load(f'{tmp}/named.npz').history, None)
        test_fail(lambda: VICE.load(f'{tmp}/none.npz'), contains='does not exist')
        np.savez(
            f'{tmp}/bad.npz', mu=m1 * np.nan, sigma=abs(m1),
            about='{"k": 5, "alpha": 0.05, "meta": {}, "history": []}',
        )
        test_fail(lambda: VICE.load(f'{tmp}/bad.npz'), contains='bad.npz')
        test_fail(lambda: vice.save(f'{tmp}/vice.pkl'), contains='.npz')

    # cell 75
    assert (
        (back.mu == vice.mu).all()
        and (back.sigma == vice.sigma).all()
        and back.history.equals(vice.history)
    )
    test_eq(back.meta, vice.meta)
    test_eq(back.soft_labels(T5[:9]), vice.soft_labels(T5[:9]))


def test_looking_at_a_dimension():
    "Looking at a dimension"
    # cell 38, in part
    # 8, 5 and 14 objects
    m1 = np.full((20, 3), -.5, np.float32)
    m1[:8, 0] = 1
    m1[4:18, 2] = 2
    m1[:5, 1] = 1
    small = VICE(m1, np.full((20, 3), .1))

    # cell 63, in part
    def sparse_world(n=60, d=5, trials=20_000, seed=0):
        "A sparse, positive embedding, and answers drawn from its choice probabilities"
        r = rng(seed, 3)
        E = np.where(r.random((n, d)) < .3, r.uniform(.7, 1.6, (n, d)), 0).astype(np.float32)
        return E, draw_choices(*triplets_from_embedding(E, trials, seed=seed), seed)

    E5, T5 = sparse_world()
    quick = dict(n=60, dims=20, batch=256, lr=.05, window=6, cool=8)
    vice = VICE.fit(T5, **quick)

    # cell 74
    with tempfile.TemporaryDirectory() as tmp:
        file = vice.save(f'{tmp}/vice.npz')
        back, size = VICE.load(file), file.stat().st_size
        with np.load(file, allow_pickle=False) as z:
            print({o: z[o].shape for o in z.files}, f'{size/1e3:.0f} kB')
        named = VICE(small.mu, small.sigma, names=list('abcdefghijklmnopqrst'))
        named.save(f'{tmp}/named.npz')
        test_eq(VICE.load(f'{tmp}/named.npz').names, named.names)
        test_eq(VICE.load(f'{tmp}/named.npz').history, None)
        test_fail(lambda: VICE.load(f'{tmp}/none.npz'), contains='does not exist')
        np.savez(
            f'{tmp}/bad.npz', mu=m1 * np.nan, sigma=abs(m1),
            about='{"k": 5, "alpha": 0.05, "meta": {}, "history": []}',
        )
        test_fail(lambda: VICE.load(f'{tmp}/bad.npz'), contains='bad.npz')
        test_fail(lambda: vice.save(f'{tmp}/vice.pkl'), contains='.npz')

    # cell 80, in part
    world = offline_world(n_objects=200, n_triplets=12_000, seed=1)
    answers = np.concatenate(
        [draw_choices(world.judgements.triplets, world.truth, seed) for seed in range(4)]
    )
    pictos = VICE.fit(
        Judgements(answers, world.objects, simulated=True), dims=30, lr=0.05, window=6, cool=10
    )
    groups = world.items[world.items.scored].set_index('object').group[world.objects].to_numpy()

    # cell 82
    same = [
        (groups[o] == pd.Series(groups[o]).mode()[0]).mean()
        for o in (pictos.top_objects(d, 8) for d in range(4))
    ]
    alone = max(np.mean(groups == g) for g in set(groups))
    print(
        f'share of the commonest group among the top eight: {np.mean(same):.2f}; among all objects: {alone:.2f}'
    )
    assert np.mean(same) > alone + .1
    axes = small.show_dimension(1, top=3)
    test_eq([l.get_text() for l in axes[0, 0].get_yticklabels()], ['0', '1', '2'])
    plt.close()
    test_eq(small.top_objects(0, 3), [4, 5, 6])
    test_eq(pictos.meta['batch'], pictos.meta['trials']//80)
    test_fail(lambda: small.show_dimension(2), contains='dimension 2 is not there')
    test_fail(lambda: small.show_dimension(0, world.images), contains='files must name one picture')


def test_what_the_teacher_needs():
    "What the teacher needs"
    # cell 63, in part
    def sparse_world(n=60, d=5, trials=20_000, seed=0):
        "A sparse, positive embedding, and answers drawn from its choice probabilities"
        r = rng(seed, 3)
        E = np.where(r.random((n, d)) < .3, r.uniform(.7, 1.6, (n, d)), 0).astype(np.float32)
        return E, draw_choices(*triplets_from_embedding(E, trials, seed=seed), seed)

    E5, T5 = sparse_world()
    quick = dict(n=60, dims=20, batch=256, lr=.05, window=6, cool=8)
    vice = VICE.fit(T5, **quick)

    # cell 64, in part
    kl = lambda p, q: stats.entropy(p, q, axis=1).mean()                       # SciPy's KL divergence

    # cell 69
    def power_cut(row):
        if row['epoch'] == 8: raise KeyboardInterrupt('the light goes out')

    with tempfile.TemporaryDirectory() as tmp:
        path, epochs = Path(tmp)/'fit.npz', []
        try: VICE.fit(T5, **quick, path=path, every=4, callback=power_cut)
        except KeyboardInterrupt as e: print('stopped:', e)
        kept_file = path.read_bytes()
        resumed = VICE.fit(
            T5, **quick, path=path, every=4, callback=lambda row: epochs.append(row['epoch'])
        )
        # a finished fit is just read
        again = VICE.fit(T5, **quick, path=path, callback=lambda row: epochs.append('never'))
        print(
            f'continued with epoch {epochs[0]}, ended with epoch {epochs[-1]}; files left: {[f.name for f in path.parent.iterdir()]}'
        )
        messages = []
        for change in (dict(lr=.04), dict(prior='laplace'), dict(seed=1)):
            try: VICE.fit(T5, **{**quick, **change}, path=path)
            except AlignetError as e: messages.append(str(e).replace(str(path), path.name))
        print(messages[0])
        for triplets in (T5[1:], T5[:, [1, 2, 0]]):
            test_fail(lambda: VICE.fit(triplets, **quick, path=path), contains='trials=')
        path.write_bytes(kept_file[:1000])
        test_fail(lambda: VICE.fit(T5, **quick, path=path), contains='fit.npz')
        np.savez(path, mu=np.ones(3))
        test_fail(lambda: VICE.fit(T5, **quick, path=path), contains='lacks log_sigma')
        test_fail(
            lambda: VICE.fit(T5, **quick, path=Path(tmp) / 'fit.pt'),
            contains="path must be a file that ends in .npz",
        )

    # cell 80, in part
    world = offline_world(n_objects=200, n_triplets=12_000, seed=1)
    answers = np.concatenate(
        [draw_choices(world.judgements.triplets, world.truth, seed) for seed in range(4)]
    )
    pictos = VICE.fit(
        Judgements(answers, world.objects, simulated=True), dims=30, lr=0.05, window=6, cool=10
    )

    # cell 85, in part
    E = pictos.to_target()
    asked = world.judgements.triplets
    averaged, truth = pictos.soft_labels(asked), world.truth
    table = pd.DataFrame(
        {
            'KL from the averaged probabilities': [
                kl(averaged, choice_probs(triplet_sims(o, asked))) for o in (pictos.embedding, E)
            ],
            'KL from the true ones': [
                kl(truth, choice_probs(triplet_sims(o, asked))) for o in (pictos.embedding, E)
            ],
        },
        index=['point estimate', 'to_target'],
    )

    # cell 86
    assert table.iloc[1, 0] < table.iloc[0, 0]
    # the same but for a factor
    test_close(np.corrcoef(E.ravel(), pictos.embedding.ravel())[0, 1], 1, 1e-5)
    # joined by name
    back = world.objects[::-1]
    test_eq(pictos.to_target(back), E[::-1])
    test_fail(lambda: pictos.to_target(['no such thing']), contains="'no such thing'")
    test_fail(lambda: vice.to_target(['a']), contains='no names to join by')
    # features that hide the five properties
    X = np.c_[E5, rng(8).normal(size=(60, 20))].astype(np.float32) @ rng(9).normal(
        size=(25, 25)
    ).astype(np.float32)
    by_target, by_labels = Teacher.fit(X, target=vice.to_target(), lam=0.01, steps=150), Teacher.fit(
        X, T5, vice.soft_labels(T5), lam=0.01, steps=30
    )
    gain = [
        ooo_accuracy(o.transform(X), T5, 'dot') - ooo_accuracy(X, T5, 'cosine')
        for o in (by_target, by_labels)
    ]
    print('teachers fitted to VICE gain', np.round(gain, 3), 'accuracy on the answers')
    assert min(gain) > .05


def test_bad_input():
    "Bad input"
    # cell 63, in part
    def sparse_world(n=60, d=5, trials=20_000, seed=0):
        "A sparse, positive embedding, and answers drawn from its choice probabilities"
        r = rng(seed, 3)
        E = np.where(r.random((n, d)) < .3, r.uniform(.7, 1.6, (n, d)), 0).astype(np.float32)
        return E, draw_choices(*triplets_from_embedding(E, trials, seed=seed), seed)

    E5, T5 = sparse_world()
    quick = dict(n=60, dims=20, batch=256, lr=.05, window=6, cool=8)

    # cell 69
    def power_cut(row):
        if row['epoch'] == 8: raise KeyboardInterrupt('the light goes out')

    with tempfile.TemporaryDirectory() as tmp:
        path, epochs = Path(tmp)/'fit.npz', []
        try: VICE.fit(T5, **quick, path=path, every=4, callback=power_cut)
        except KeyboardInterrupt as e: print('stopped:', e)
        kept_file = path.read_bytes()
        resumed = VICE.fit(
            T5, **quick, path=path, every=4, callback=lambda row: epochs.append(row['epoch'])
        )
        # a finished fit is just read
        again = VICE.fit(T5, **quick, path=path, callback=lambda row: epochs.append('never'))
        print(
            f'continued with epoch {epochs[0]}, ended with epoch {epochs[-1]}; files left: {[f.name for f in path.parent.iterdir()]}'
        )
        messages = []
        for change in (dict(lr=.04), dict(prior='laplace'), dict(seed=1)):
            try: VICE.fit(T5, **{**quick, **change}, path=path)
            except AlignetError as e: messages.append(str(e).replace(str(path), path.name))
        print(messages[0])
        for triplets in (T5[1:], T5[:, [1, 2, 0]]):
            test_fail(lambda: VICE.fit(triplets, **quick, path=path), contains='trials=')
        path.write_bytes(kept_file[:1000])
        test_fail(lambda: VICE.fit(T5, **quick, path=path), contains='fit.npz')
        np.savez(path, mu=np.ones(3))
        test_fail(lambda: VICE.fit(T5, **quick, path=path), contains='lacks log_sigma')
        test_fail(
            lambda: VICE.fit(T5, **quick, path=Path(tmp) / 'fit.pt'),
            contains="path must be a file that ends in .npz",
        )

    # cell 88
    few, nan = T5[:300], np.where(np.eye(300, 3) > 0, np.nan, T5[:300])
    for call, message in (
        (lambda: VICE.fit(nan), 'triplets must be integers'),
        (lambda: VICE.fit(few, n=20), 'triplets'),
        (lambda: VICE.fit(few - 5), 'negative index'),
        (lambda: VICE.fit([[1, 1, 2]]), 'repeat an object'),
        (lambda: VICE.fit(few[:0]), 'there are none to learn from'),
        (lambda: VICE.fit(few, n=2), 'n must be a whole number of at least 3'),
        (lambda: VICE.fit(few, prior='cauchy'), "prior must be one of 'gaussian', 'laplace'"),
        (lambda: VICE.fit(few, spike=-0.25), 'spike must be a number above zero'),
        (lambda: VICE.fit(few, spike=2.0), 'must be narrower than slab'),
        (lambda: VICE.fit(few, pi=1.0), 'pi must be a number between zero and one'),
        (lambda: VICE.fit(few, lr=float('nan')), 'lr must be a number'),
        (lambda: VICE.fit(few, dims=2.5), 'dims must be a whole number'),
        (lambda: VICE.fit(few, batch=0), 'batch must be'),
        (lambda: VICE.fit(few, alpha=0), 'alpha must be'),
        (lambda: VICE.fit(few, seed=-1), 'seed must be'),
        (lambda: VICE.fit(few, valid=1.5), 'valid=1.5 must be a share'),
        (lambda: VICE.fit(few, valid=few + 50), 'valid'),
        (lambda: VICE.fit(Judgements(few, range(60)), n=70), 'leave n out'),
        (
            lambda: VICE.fit(Judgements(few, range(60), probs=np.full((300, 3), 1 / 3))),
            'learns from single answers',
        ),
    ):
        try: call()
        except AlignetError as e: assert message in str(e), (message, str(e))
        else: raise AssertionError(f'no error that says: {message}')
    try: VICE.fit(few, spike=-.25)
    except AlignetError as e: print(e)


@pytest.mark.slow
def test_how_fast_slow():
    "How fast"
    # cell 90
    def by_product(Z, trials):
        "The same as `_choice_nll` from one product over the objects"
        (i, j, k), n, t = trials, len(Z), trials.shape[1]
        pairs = torch.cat([i*n + j, i*n + k, j*n + k])
        log_q = torch.log_softmax((Z @ Z.T).view(-1)[pairs].view(3, t), 0)
        w = log_q.exp()
        w[0] -= 1
        G = Z.new_zeros(n*n).index_add_(0, pairs, w.view(-1)/t).view(n, n)
        return -log_q[0].mean(), G @ Z + G.T @ Z

    def seconds(f, repeats=5):
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            f()
            times.append(time.perf_counter() - start)
        return np.median(times)

    N, rows = 225_058, []
    trials = torch.from_numpy(
        rng(1).random((N, 8)).argsort(1)[:, :3].T * 231 + rng(2).integers(231, size=(3, N))
    )
    Z = torch.rand(1854, 100)
    for batch in (512, 2048, 8192, 32768):
        b, steps = trials[:, :batch], -(-N // batch)
        test_close(_choice_nll(Z, b)[1], by_product(Z, b)[1], 1e-4)
        one = _State(
            dict(
                seed=0, dims=100, lr=0.02, batch=batch, prior='gaussian', spike=0.25, slab=1.0, pi=0.6,
                alpha=0.05, k=5,
            ),
            1854,
        )
        rows.append(
            (
                batch, *(steps * seconds(lambda: f(Z, b)) for f in (_choice_nll, by_product)),
                seconds(lambda: one.epoch(trials, None, 1.0), 3),
            )
        )
    print(f'{N:,} trials, one thread, seconds an epoch')
    pd.DataFrame(
        rows, columns=['batch', 'gradient, rows', 'gradient, product', 'whole epoch']
    ).set_index('batch').round(2)


@pytest.mark.slow
def test_on_real_people_slow():
    "On real people"
    # cell 7, in part
    # small problems run fastest on one thread
    torch.set_num_threads(1)
    # tell apart without red against green
    BLUE, ORANGE, GREEN, GREY = '#0072B2', '#D55E00', '#009E73', '.55'

    # cell 12, in part
    r = rng(0)
    Z0, T0 = torch.tensor(r.gamma(1.0, 1.0, (9, 4))), torch.tensor(
        np.stack([r.permutation(9)[:3] for _ in range(40)]).T
    )

    # cell 28
    mu, ls = torch.tensor(r.normal(0.3, 0.5, (9, 4)), requires_grad=True), torch.tensor(
        r.normal(-1, 0.3, (9, 4)), requires_grad=True
    )
    eps, i, j, k = torch.tensor(r.normal(size=(9, 4))), *T0
    for prior in (('gaussian', .25, 1., .6), ('laplace', .2, .8, .5)):
        x = mu + ls.exp()*eps
        z = x.relu()
        Sz = z @ z.T
        ce = -torch.log_softmax(torch.stack([Sz[i, j], Sz[i, k], Sz[j, k]]), 0)[0].mean()
        full = ce + (log_posterior(x, mu, ls.exp()) - log_prior(x, *prior)).sum()/500
        want = torch.autograd.grad(full, (mu, ls))
        got = _loss_and_grads(mu.detach(), ls.detach(), eps, T0, 500, prior)
        print(
            prior[0],
            f'loss {full:.4f}, of it cross-entropy {got[0]:.4f}; largest difference of gradients {max((a - b).abs().max() for a, b in zip(got[1:], want)):.1e}',
        )
        test_close(got[0].item(), ce.item(), 1e-12)
        test_close(got[1], want[0], 1e-12)
        test_close(got[2], want[1], 1e-12)

    # cell 80, in part
    world = offline_world(n_objects=200, n_triplets=12_000, seed=1)
    answers = np.concatenate(
        [draw_choices(world.judgements.triplets, world.truth, seed) for seed in range(4)]
    )
    pictos = VICE.fit(
        Judgements(answers, world.objects, simulated=True), dims=30, lr=0.05, window=6, cool=10
    )

    # cell 85, in part
    asked = world.judgements.triplets
    averaged, truth = pictos.soft_labels(asked), world.truth

    # cell 90, in part
    def by_product(Z, trials):
        "The same as `_choice_nll` from one product over the objects"
        (i, j, k), n, t = trials, len(Z), trials.shape[1]
        pairs = torch.cat([i*n + j, i*n + k, j*n + k])
        log_q = torch.log_softmax((Z @ Z.T).view(-1)[pairs].view(3, t), 0)
        w = log_q.exp()
        w[0] -= 1
        G = Z.new_zeros(n*n).index_add_(0, pairs, w.view(-1)/t).view(n, n)
        return -log_q[0].mean(), G @ Z + G.T @ Z

    def seconds(f, repeats=5):
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            f()
            times.append(time.perf_counter() - start)
        return np.median(times)

    N, rows = 225_058, []
    trials = torch.from_numpy(
        rng(1).random((N, 8)).argsort(1)[:, :3].T * 231 + rng(2).integers(231, size=(3, N))
    )
    Z = torch.rand(1854, 100)
    for batch in (512, 2048, 8192, 32768):
        b, steps = trials[:, :batch], -(-N // batch)
        test_close(_choice_nll(Z, b)[1], by_product(Z, b)[1], 1e-4)
        one = _State(
            dict(
                seed=0, dims=100, lr=0.02, batch=batch, prior='gaussian', spike=0.25, slab=1.0, pi=0.6,
                alpha=0.05, k=5,
            ),
            1854,
        )
        rows.append(
            (
                batch, *(steps * seconds(lambda: f(Z, b)) for f in (_choice_nll, by_product)),
                seconds(lambda: one.epoch(trials, None, 1.0), 3),
            )
        )

    # cell 92
    if os.environ.get('ALIGNET_DATA'):
        concepts, T = things_choices()
        people = Judgements(T, concepts.uniqueID, source='THINGS odd-one-out, a part')
        asked = np.unique(np.sort(T), axis=0, return_inverse=True, return_counts=True)
        often = asked[2][asked[1].ravel()] > 1
        repeats, once = people[often], people[~often]
        rest, test = once.split(.1, seed=0)
        train, dev = rest.split(1/9, seed=1)
        print(
            {
                o: len(j)
                for o, j in dict(train=train, validation=dev, test=test, repeats=repeats).items()
            }
        )
        test_eq(len(train) + len(dev) + len(test) + len(repeats), len(T))
        for a, b in ((train, test), (train, dev), (dev, test), (repeats, once)):
            assert not set(map(tuple, np.sort(a.triplets))) & set(map(tuple, np.sort(b.triplets)))
    else: print('skipped: set ALIGNET_DATA to the folder with the real data')

    # cell 94
    def score(v, j): # One row of figures
        p = v.soft_labels(j, samples=50)
        return dict(
            point=ooo_accuracy(v.embedding, j.triplets, 'dot'), averaged=float(is_correct(p).mean()),
            cross_entropy=float(-np.log(p[:, 0]).mean()),
        )

    def fit_share(share, seed, dims):
        part = train[np.sort(rng(seed, 29).permutation(len(train))[:round(share*len(train))])]
        return VICE.fit(part, valid=dev.triplets, dims=dims, seed=seed)

    if os.environ.get('ALIGNET_DATA'):
        starts = pd.DataFrame(
            {
                share: {
                    dims: score(fit_share(share, 0, dims), dev)['cross_entropy']
                    for dims in (15, 30, 60, 100)
                }
                for share in (0.25, 0.5, 1.0)
            }
        ).rename_axis('dims at the start')
        # of equals, the largest
        best = {o: int(starts.index[starts[o] < starts[o].min() + .001].max()) for o in starts}
        print('cross-entropy on the validation part, by share of the training trials')
        print(starts.round(4).to_string())

    # cell 95
    if os.environ.get('ALIGNET_DATA'):
        fits, rows = {}, []
        for share, seed in ((share, seed) for share in best for seed in range(3)):
            start = time.process_time()
            v = fits[share, seed] = fit_share(share, seed, best[share])
            cpu = time.process_time() - start
            rows.append(
                dict(
                    share=share,
                    trials=v.meta['trials'],
                    seed=seed,
                    start=best[share],
                    **score(v, test),
                    dims=len(v.kept),
                    epochs=len(v.history),
                    cpu_seconds=cpu
                )
            )
        curve = pd.DataFrame(rows)
        by_share = curve.groupby('share')
        print(curve.round(4).to_string(index=False))

    # cell 96
    if os.environ.get('ALIGNET_DATA'):
        published = {
            'VICE, published, 42 dimensions': things_matrix('vice'),
            'SPoSE, published, 66 dimensions': things_matrix('spose'),
        }
        full = curve[curve.share == 1]
        print(
            f"{'this VICE, 3 seeds, averaged':34}{full.averaged.mean():.4f} +- {full.averaged.std():.4f}\n{'this VICE, 3 seeds, point':34}{full.point.mean():.4f} +- {full.point.std():.4f}"
        )
        for name, E in published.items():
            print(
                f"{name:34}{ooo_accuracy(E, test.triplets, 'dot'):.4f}   (was probably fitted on these trials)"
            )
        # a point and more below what was measured
        assert full.averaged.mean() > .59 and full.averaged.std() < .01
        # every doubling of the data helps
        assert (by_share.averaged.mean().diff().dropna() > 0).all()

    # cell 98
    if os.environ.get('ALIGNET_DATA'):
        truth = published['VICE, published, 42 dimensions']
        # correlations of dimensions, one to one
        def matched(A, B):
            C = np.corrcoef(A.T, B.T)[:A.shape[1], A.shape[1]:]
            return C[linear_sum_assignment(-C)]
        def answer(triplets, seed):
            return Judgements(
                draw_choices(triplets, soft(triplets), seed), concepts.uniqueID,
                source='drawn from the published VICE', simulated=True,
            )
        def soft(triplets): return choice_probs(triplet_sims(truth, triplets))
        sim_test, sim_dev, rows = answer(test.triplets, 9), answer(dev.triplets, 8).triplets, []
        for n, many in (
            (len(train), dict(dims=best[1.0])), (4_500_000, dict(batch=8192, max_epochs=60)),
        ):
            questions = (
                train.triplets if n == len(train) else triplets_from_embedding(truth, n, seed=5)[0]
            )
            start = time.process_time()
            v = VICE.fit(answer(questions, 7), valid=sim_dev, **many)
            close = matched(truth, v.embedding)
            rows.append(
                dict(
                    trials=n,
                    **score(v, sim_test),
                    dims=len(v.kept),
                    found=int((close > 0.9).sum()),
                    epochs=len(v.history),
                    cpu_seconds=time.process_time() - start
                )
            )
        simulated = pd.DataFrame(rows)
        bar = ooo_accuracy(truth, sim_test.triplets, 'dot')
        print(
            f'SIMULATED answers; accuracy of the truth itself {bar:.4f}, of its 42 dimensions "found" with a correlation above .9'
        )
        print(simulated.round(4).to_string(index=False))

    # cell 100
    if os.environ.get('ALIGNET_DATA'):
        # with as many answers, as good on simulated people as on real ones
        assert abs(simulated.averaged[0] - full.averaged.mean()) < .015
        # with 4.5 million, within a point of the truth
        assert bar - simulated.averaged[1] < .01

    # cell 109
    def reliability(p, bins): # (t, 3) probabilities, the first pair chosen
        q, y = p.ravel(), np.tile([1., 0, 0], len(p))
        parts = np.array_split(np.argsort(q, kind='stable'), bins)
        return [
            np.array([f(o[i]) for i in parts])
            for o, f in ((q, np.mean), (y, np.mean), (y, lambda a: a.std() / math.sqrt(len(a))))
        ]

    if os.environ.get('ALIGNET_DATA'):
        v, errors = fits[1., 0], []
        fig, ax = plt.subplots(1, 2, figsize=(7, 3), layout='constrained')
        for label, p, color, mark in (
            ('averaged', v.soft_labels(test), BLUE, 'o'),
            ('point estimate', choice_probs(triplet_sims(v.embedding, test.triplets)), ORANGE, 's'),
            ('published VICE', soft(test.triplets), GREEN, '^'),
        ):
            x, y, e = reliability(p, 12)
            ax[0].errorbar(x, y, 2*e, fmt=mark, color=color, ms=4, lw=1, label=label)
            ax[1].errorbar(x, y - x, 2*e, fmt=mark + '-', color=color, ms=4, lw=1)
            errors.append(
                dict(
                    probabilities=label, calibration_error=abs(x - y).mean(),
                    cross_entropy=-np.log(p[:, 0]).mean(), accuracy=is_correct(p).mean(),
                )
            )
        ax[0].plot([0, 1], [0, 1], color='.6', lw=.8, zorder=0)
        ax[1].axhline(0, color='.6', lw=.8, zorder=0)
        ax[0].set(xlabel='predicted probability', ylabel='share of choices', xlim=(0, 1), ylim=(0, 1))
        ax[1].set(xlabel='predicted probability', ylabel='share minus prediction')
        ax[0].legend(frameon=False, fontsize=8)
        calibration = pd.DataFrame(errors).set_index('probabilities')

    # cell 110
    if os.environ.get('ALIGNET_DATA'):
        print(calibration.round(4).to_string())
        assert (
            calibration.calibration_error['averaged'] < 0.03
            and calibration.cross_entropy['averaged'] < calibration.cross_entropy['point estimate']
        )

    # cell 112
    if os.environ.get('ALIGNET_DATA'):
        clip = things_matrix('clip')
        targets = {'published VICE': truth, 'this VICE': fits[1., 0].to_target(concepts.uniqueID)}
        taught = {
            o: cross_validate(clip, test.triplets, target=E, lams=[0.15]) for o, E in targets.items()
        }
        for o, c in taught.items():
            print(
                f"teacher from {o:15} {c.table.accuracy.mean():.4f} +- {c.table.accuracy.std():.4f} on unseen concepts; plain features {c.table.zero_shot.mean():.4f}, {c.table.held_out.sum():,} test trials in three folds"
            )

    # cell 113
    if os.environ.get('ALIGNET_DATA'):
        got = {o: c.table.accuracy.mean() - c.table.zero_shot.mean() for o, c in taught.items()}
        # most of what the published embedding teaches
        assert got['this VICE'] > .5*got['published VICE'] > .02
