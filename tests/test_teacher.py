"""Tests of `alignet.teacher`.

Generated from nbs/03_teacher.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import pytest
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from alignet.core import *
import os
import tempfile
import time
import timm
from fastcore.test import test_eq, test_close, test_fail
from scipy.optimize import approx_fprime, minimize
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss
from PIL import Image
from alignet.data import things_choices, things_matrix, ImageSet, Judgements
from alignet.features import create_backbone, extract_features
from alignet.teacher import *
from alignet.teacher import _ListedKL, _flat_pairs, _span, _unspan

NOTEBOOK = 'nbs/03_teacher.ipynb'     # a test runs in the folder of its notebook


def test_the_map_and_its_file():
    "The map and its file"
    # cell 16, in part
    x = np.array([[1., 3.], [5., 7.]], np.float32)
    t = Teacher([[1, 0, 2], [0, 1, 1]], bias=[0, 0, 1], mean=4, std=2)

    # cell 17
    # by hand: standardised rows are (-1.5, -.5) and (.5, 1.5)
    test_eq(t.transform(x), [[-1.5, -.5, -2.5], [.5, 1.5, 3.5]])
    test_eq(t.digest(), Teacher(t.weights, t.bias, 4, 2).digest())
    assert t.digest() != Teacher(t.weights, t.bias, 4, 2.001).digest()
    test_fail(
        lambda: t.transform(np.ones((2, 5))),
        contains='features have 5 columns, but this teacher was fitted on 2',
    )
    test_fail(lambda: t.transform([[1, np.nan]]), contains='NaN')
    test_fail(lambda: Teacher(np.eye(3), bias=[1, 2]), contains='bias must have the shape (3,)')
    test_fail(lambda: Teacher(np.full((2, 2), np.nan)), contains='NaN')
    test_fail(lambda: Teacher(np.eye(2), std=0), contains='std must be above zero')

    # cell 21, in part
    X0 = rng(0).normal(3, 5, (50, 4)).astype(np.float32)
    control = Teacher.identity(X0)
    z = control.transform(X0)

    # cell 22
    test_close([z.mean(), z.std()], [0, 1], 1e-5)
    # nothing but a shift and a scale
    test_close(np.corrcoef(z.ravel(), X0.ravel())[0, 1], 1, 1e-6)
    test_fail(lambda: Teacher.identity(np.ones((3, 2))), contains='constant')

    # cell 26
    with tempfile.TemporaryDirectory() as tmp:
        path = Teacher(t.weights, t.bias, 4, 2, meta=dict(lam=0.1, objective='soft')).save(
            f'{tmp}/teacher.npz'
        )
        back = Teacher.load(path)
        with np.load(path) as f: print({k: f[k].shape for k in f.files}, str(f['meta']))

    # cell 27
    test_eq(back.digest(), t.digest())
    test_eq(back.meta['lam'], .1)
    with tempfile.TemporaryDirectory() as tmp:
        def bad(**kw):
            np.savez(f'{tmp}/bad.npz', **kw)
            return lambda: Teacher.load(f'{tmp}/bad.npz')
        w = np.eye(3, dtype=np.float32)
        # published files may come without a bias
        np.savez(f'{tmp}/nobias.npz', weights=w, mean=.5, std=2.)
        test_eq(Teacher.load(f'{tmp}/nobias.npz').transform(np.full((1, 3), 1.5)), np.full((1, 3), .5))
        test_fail(bad(weights=w, bias=np.zeros(3)), contains='lacks mean, std')
        test_fail(bad(w=w), contains='bad.npz')
        test_fail(bad(weights=w * np.nan, mean=0, std=1), contains='bad.npz')
        test_fail(bad(weights=w, mean=np.zeros(2), std=1), contains='mean must be one number or 3')
        test_fail(bad(weights=w[0], mean=0, std=1), contains='weights must have the shape')
        Path(f'{tmp}/broken.npz').write_bytes(b'PK not a zip')
        test_fail(lambda: Teacher.load(f'{tmp}/broken.npz'), contains='broken.npz')
        # never unpickled
        np.savez(f'{tmp}/pickle.npz', weights=np.array([{}], dtype=object), mean=0, std=1)
        test_fail(lambda: Teacher.load(f'{tmp}/pickle.npz'), contains='pickle.npz')
        test_fail(lambda: Teacher.load(f'{tmp}/none.npz'), contains='does not exist')

    # cell 29
    if os.environ.get('ALIGNET_DATA'):
        published = Path(os.environ['ALIGNET_DATA'])/'gLocal'/'resnet18_transform.npz'
        glocal, f = Teacher.load(published), np.load(published)
        x512 = rng(0).random((4, 512), dtype=np.float32)
        test_close(
            glocal.transform(x512), (x512 - f['mean']) / f['std'] @ f['weights'] + f['bias'], 1e-5
        )
        print(
            glocal, 'mean', glocal.mean, 'std', glocal.std, 'mean of the diagonal',
            np.diag(glocal.weights).mean().round(4),
        )
    else: print('skipped: set ALIGNET_DATA to the folder with the real data')


def test_what_to_fit_two_objectives_and_a_pull():
    "What to fit: two objectives and a pull"
    # cell 33, in part
    r = rng(1)
    Z4, T4 = r.normal(size=(4, 3)), np.array([[0, 1, 2], [1, 2, 3], [0, 3, 1], [2, 3, 0]])
    P4 = r.dirichlet([1, 1, 1], 4)

    def by_hand(z, tau=.7): # float64 numpy, straight from the formula
        S = (z := z.reshape(4, 3)) @ z.T
        s = np.array([[S[i, j], S[i, k], S[j, k]] for i, j, k in T4])
        return (P4 * (np.log(P4) - log_softmax(s / tau, 1))).sum(1).mean()

    z = torch.tensor(Z4, requires_grad=True)
    S, (i, j, k) = z @ z.T, torch.tensor(T4).T
    loss = choice_kl(torch.stack([S[i, j], S[i, k], S[j, k]], 1), torch.tensor(P4), tau=.7)
    loss.backward()

    # cell 34
    test_close(loss.item(), by_hand(Z4), 1e-12)
    numeric = approx_fprime(Z4.ravel(), by_hand, 1e-7).reshape(4, 3)
    test_close(z.grad.numpy(), numeric, 1e-5)
    sims = r.normal(size=(200, 3))
    q = softmax(sims, 1)
    hard = choice_kl(torch.tensor(sims), torch.tensor([[1., 0, 0]]).repeat(200, 1).double())
    test_close(hard.item(), log_loss(np.zeros(200), q, labels=[0, 1, 2]), 1e-10)
    # no divergence from itself
    test_close(choice_kl(torch.tensor(sims), torch.tensor(q)).item(), 0, 1e-12)

    # cell 37, in part
    W5 = torch.tensor(r.normal(size=(5, 5)))
    c = np.linspace(-3, 3, 6001)

    # cell 38
    test_close(scaled_identity_pull(W5).item(), (W5**2).sum().item() - W5.trace().item()**2 / 5, 1e-10)
    test_close(scaled_identity_pull(3.7 * torch.eye(6)).item(), 0, 1e-10)
    assert scaled_identity_pull(W5) <= min(((W5 - a * torch.eye(5))**2).sum().item() for a in c)


def test_where_soft_targets_come_from():
    "Where soft targets come from"
    # cell 33, in part
    r = rng(1)

    # cell 42, in part
    E3 = np.array([[2., 0], [1.5, .5], [0, 2], [.2, 1.]], np.float32)           # two and two

    # cell 43
    trip, p = triplets_from_embedding(E3, 30_000, seed=0)
    assert (p[:, 0] >= p[:, 1:].max(1)).all() and len(np.unique(np.sort(trip, 1), axis=0)) == 4
    check_triplets(trip, 4)                                                   # never two equal objects
    # every object equally often
    assert abs(np.bincount(trip.ravel(), minlength=4) / 90_000 - .25).max() < .006
    s = E3 @ E3.T
    i, j, k = trip[7]
    test_close(p[7], softmax([s[i, j], s[i, k], s[j, k]]), 1e-6)
    test_close(soft_labels(E3, trip[:50]), p[:50], 1e-6)
    test_eq(triplets_from_embedding(E3, 50, seed=3)[0], triplets_from_embedding(E3, 50, seed=3)[0])

    # cell 49, in part
    A, B = (torch.tensor(r.normal(size=(12, 4)), dtype=torch.float32) for _ in 'ab')
    S, P = (A @ A.T).requires_grad_(), B @ B.T
    every = np.array([(i, j, k) for i in range(12) for j in range(i) for k in range(j)])
    gather = lambda M: torch.stack(
        [M[every[:, a], every[:, b]] for a, b in ((0, 1), (0, 2), (1, 2))], 1
    )
    listed = choice_kl(gather(S), gather(P).softmax(1))
    listed.backward()

    # cell 50
    test_close(all_triplets_kl(S.detach(), P).item(), listed.item(), 1e-5)
    # a pair is one unknown, not two
    G = S.grad + S.grad.T
    test_close(6 * (pair_mass(S.detach()) - pair_mass(P)) / (12 * 11), G, 1e-6)
    q = softmax(gather(P).numpy(), 1)
    hit = (
        (every[:, :2] == [5, 2]).all(1)
        | (every[:, [0, 2]] == [5, 2]).all(1)
        | (every[:, 1:] == [5, 2]).all(1)
    )
    where = np.argmax(
        [(every[hit][:, list(ab)] == [5, 2]).all(1) for ab in ((0, 1), (0, 2), (1, 2))], 0
    )
    test_close(pair_mass(P)[5, 2].item(), q[hit, where].mean(), 1e-6)
    # far out, still finite
    test_close(
        pair_mass(torch.tensor([[0.0, 900, -900], [900, 0, 0], [-900, 0, 0]]))[0, 1].item(), 1, 1e-6
    )


def test_the_local_term_of_glocal():
    "The local term of gLocal"
    # cell 33, in part
    r = rng(1)

    # cell 54, in part
    A, B = r.normal(size=(6, 4)), r.normal(size=(6, 3))
    def neighbours(M): # float64 numpy, straight from the formula
        C = np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in M] for a in M]) / .2
        return [softmax(np.delete(C[i], i)) for i in range(len(M))]
    by_formula = np.mean([entropy(p, q) for p, q in zip(neighbours(A), neighbours(B))])

    # cell 55
    test_close(local_kl(torch.tensor(A), torch.tensor(B), .2).item(), by_formula, 1e-10)
    # turning and scaling change no neighbour
    test_close(
        local_kl(
            torch.tensor(A),
            torch.tensor(A) @ torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0] * 7, 0.1,
        ).item(),
        0,
        1e-10,
    )
    assert torch.autograd.gradcheck(
        lambda Z: local_kl(torch.tensor(A), Z, 0.2), torch.tensor(B, requires_grad=True)
    )


def test_fewer_objects_than_features():
    "Fewer objects than features"
    # cell 33, in part
    r = rng(1)

    # cell 60, in part
    Xw = torch.tensor(r.normal(size=(9, 40)), dtype=torch.float32)             # 9 objects, 40 features
    Y, Q = _span(Xw)
    Wm, bm = torch.tensor(r.normal(size=(9, 9)), dtype=torch.float32) + 2 * torch.eye(9), torch.tensor(
        r.normal(size=9), dtype=torch.float32
    )
    W, b = _unspan(Wm, bm, Q)
    big, small = Xw @ W + b, Y @ Wm + bm

    # cell 61
    test_close(Y @ Q.T, Xw, 1e-5)
    # the same dot products, so the same data term
    test_close(big @ big.T, small @ small.T, 1e-3)
    test_close(scaled_identity_pull(W).item(), scaled_identity_pull(Wm).item(), 1e-3)
    # a direction no object has
    v = torch.linalg.svd(Xw)[2][-1]
    test_close(v @ W, Wm.diagonal().mean() * v, 1e-4)                          # ... is only scaled


def test_two_ways_down():
    "Two ways down"
    # cell 33, in part
    r = rng(1)
    Z4, T4 = r.normal(size=(4, 3)), np.array([[0, 1, 2], [1, 2, 3], [0, 3, 1], [2, 3, 0]])
    P4 = r.dirichlet([1, 1, 1], 4)

    def by_hand(z, tau=.7): # float64 numpy, straight from the formula
        S = (z := z.reshape(4, 3)) @ z.T
        s = np.array([[S[i, j], S[i, k], S[j, k]] for i, j, k in T4])
        return (P4 * (np.log(P4) - log_softmax(s / tau, 1))).sum(1).mean()

    # cell 34, in part
    numeric = approx_fprime(Z4.ravel(), by_hand, 1e-7).reshape(4, 3)

    # cell 65
    z = torch.tensor(Z4, requires_grad=True)
    loss = _ListedKL.apply(z, _flat_pairs(torch.tensor(T4), 4), torch.tensor(P4.T), .7)
    loss.backward()
    test_close(loss.item(), by_hand(Z4), 1e-12)
    test_close(z.grad.numpy(), numeric, 1e-5)


def test_teacher_fit():
    "`Teacher.fit`"
    # cell 81, in part
    def synthetic(n=90, d=12, k=3, t=12_000, seed=0, scale=.6):
        "Features, true human embedding, simulated choices with the odd one last, their true probabilities"
        r = rng(seed)
        X = r.normal(2, 3, (n, d)).astype(np.float32)
        E = ((X - 2) / 3 @ r.normal(size=(d, k)) * scale / k**.5).astype(np.float32)
        t3 = np.stack([r.permutation(n)[:3] for _ in range(t)])
        p = soft_labels(E, t3)
        # 0: k odd, 1: j odd, 2: i odd
        odd = (p.cumsum(1) < r.random((t, 1))).sum(1).clip(max=2)
        order = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[odd]
        pairs = np.array([[0, 1, 2], [1, 0, 2], [2, 0, 1]])[odd]
        return X, E, np.take_along_axis(t3, order, 1), np.take_along_axis(p, pairs, 1)

    X, E, T, P = synthetic()
    seen, unseen = (T < 60).all(1), (T >= 60).all(1)
    fits = {
        'hard, listed trials': Teacher.fit(X, T[seen], lam=1e-3),
        'soft, listed trials': Teacher.fit(X, T[seen], P[seen], lam=1e-3),
        'soft, all triplets of the embedding': Teacher.fit(
            X, target=E, objects=np.arange(60), lam=1e-3
        ),
    }
    score = lambda Z, kind='dot': ooo_accuracy(Z, T[unseen], kind)

    # cell 82
    assert score(X, 'cosine') < score(E) - .15
    for name, t in fits.items():
        assert score(t.transform(X)) > score(E) - .03, (name, score(t.transform(X)), score(E))
    soft = fits['soft, listed trials']
    S, Strue = pair_sims(soft.transform(X[60:]), 'dot'), pair_sims(E[60:], 'dot')
    off = ~np.eye(30, dtype=bool)
    # the similarities themselves come back
    assert np.corrcoef(S[off], Strue[off])[0, 1] > .99
    # and so do the probabilities of objects never seen
    test_close(soft_labels(soft.transform(X), T[unseen]), P[unseen], .1)

    # cell 84, in part
    lams = [1e-3, 1e-2, .1, 1, 100]
    byl = [Teacher.fit(X, T[seen], P[seen], lam=l) for l in lams]
    bend = [
        np.sqrt(scaled_identity_pull(torch.tensor(t.weights)).item()) / np.linalg.norm(t.weights)
        for t in byl
    ]

    # cell 85
    assert (
        np.all(np.diff(bend) < 0)
        and bend[-1] < 0.02
        and np.all(np.diff([t.history[-1][1] for t in byl]) > 0)
    )
    warm = Teacher.fit(X, T[seen], P[seen], lam=0., tau=2., steps=200)
    cold = Teacher.fit(X, T[seen], P[seen], lam=0., tau=1., steps=200)
    test_close(pair_sims(warm.transform(X), 'dot') / 2, pair_sims(cold.transform(X), 'dot'), 5e-2)
    for kw in (dict(triplets=T[seen]), dict(target=E, objects=range(60), steps=30)):
        test_eq(Teacher.fit(X, **kw).digest(), Teacher.fit(X, **kw).digest())
    Xbad = X.copy()
    Xbad[60:] *= 1e6
    test_eq(
        Teacher.fit(Xbad, T[seen], P[seen], lam=0.1).digest(),
        Teacher.fit(X, T[seen], P[seen], lam=0.1).digest(),
    )
    # the others are hardly ever drawn
    few = Teacher.fit(X, target=E, steps=30, batch=30, weights=np.where(np.arange(90) < 45, 1, 1e-12))
    test_close(
        few.weights,
        Teacher.fit(
            X, target=np.where((np.arange(90) < 45)[:, None], E, 0), steps=30, batch=30,
            weights=np.where(np.arange(90) < 45, 1, 1e-12),
        ).weights,
    )
    assert (
        Teacher.fit(X, target=E, steps=30, seed=1).digest()
        != Teacher.fit(X, target=E, steps=30, seed=2).digest()
    )

    # cell 87, in part
    Xn, En, _, _ = synthetic(n=20, d=60, k=3, t=10, seed=3, scale=.4)
    Tn, Pn = triplets_from_embedding(En, 600, seed=0)
    short = Teacher.fit(Xn, Tn, Pn, lam=.01, steps=300)
    Xs = ((Xn - short.mean) / short.std).astype(np.float64)
    i, j, k = Tn.T

    def full(v, lam=.01): # value and gradient, float64 numpy
        W, b = v[:3600].reshape(60, 60), v[3600:]
        Z = Xs @ W + b
        S = Z @ Z.T
        lq = log_softmax(np.stack([S[i, j], S[i, k], S[j, k]], 1), 1)
        bend = W - np.trace(W) / 60 * np.eye(60)
        G = np.zeros((20, 20))
        for c, (a, o) in enumerate(((i, j), (i, k), (j, k))):
            np.add.at(G, (a, o), (np.exp(lq) - Pn)[:, c] / 600)
        dZ = (G + G.T) @ Z
        return (Pn * (np.log(Pn) - lq)).sum(1).mean() + lam * (bend**2).sum(), np.r_[
            (Xs.T @ dZ + 2 * lam * bend).ravel(), dZ.sum(0)
        ]

    best = minimize(
        full, np.r_[0.05 * np.eye(60).ravel(), np.zeros(60)], jac=True, method='L-BFGS-B',
        options=dict(maxiter=2000, maxfun=4000, ftol=1e-12),
    )
    ours = full(np.r_[short.weights.ravel().astype(float), short.bias])[0]

    # cell 88
    test_close(ours, best.fun, 1e-4)
    # directions without objects
    far = np.linalg.svd(Xs)[2][20:]
    test_close(far @ short.weights, np.trace(short.weights) / 60 * far, 1e-4)  # ... are only scaled

    # cell 90
    test_fail(lambda: Teacher.fit(X, T, objective='sofd'), contains="choose 'soft' or 'hard'")
    test_fail(lambda: Teacher.fit(X, T, objective='soft'), contains='needs probs= or target=')
    test_fail(lambda: Teacher.fit(X, objective='hard'), contains='needs triplets')
    test_fail(lambda: Teacher.fit(X, T, P[:-1]), contains='probs must have the shape')
    test_fail(lambda: Teacher.fit(X, T, P * 2), contains='do not sum to one')
    test_fail(lambda: Teacher.fit(X[:50], T), contains='point outside')
    test_fail(lambda: Teacher.fit(X, target=E[:-1]), contains='target has 89 rows and X 90')
    test_fail(lambda: Teacher.fit(X, target=np.where(E == E[3], np.nan, E)), contains='NaN')
    test_fail(lambda: Teacher.fit(np.where(X == X[5, 0], np.nan, X), T), contains='NaN')
    test_fail(lambda: Teacher.fit(X, T, objects=[0, 1]), contains='at least three objects')
    test_fail(lambda: Teacher.fit(X, T, lam=-1), contains='lam must not be negative')
    test_fail(
        lambda: Teacher.fit(X, target=E, objects=[1, 2, 99]),
        contains='from 0 to 89; they run from 1 to 99',
    )
    test_fail(lambda: Teacher.fit(X, T, local=X[:, :5]), contains='local has 5 features and X has 12')
    test_fail(lambda: Teacher.fit(X, T, local=X, alpha=1.), contains='alpha=1.0 must be a share')
    class _Answers: triplets, names, probs = T[seen], [f'o{a}' for a in range(90)], None         # what `Judgements` offers
    test_eq(Teacher.fit(X, _Answers).meta['names'], [f'o{a}' for a in range(60)])
    test_fail(lambda: Teacher.fit(X[:70], _Answers), contains='about 90 objects, but X has 70 rows')


def test_a_closed_form_to_compare_with():
    "A closed form to compare with"
    # cell 81, in part
    def synthetic(n=90, d=12, k=3, t=12_000, seed=0, scale=.6):
        "Features, true human embedding, simulated choices with the odd one last, their true probabilities"
        r = rng(seed)
        X = r.normal(2, 3, (n, d)).astype(np.float32)
        E = ((X - 2) / 3 @ r.normal(size=(d, k)) * scale / k**.5).astype(np.float32)
        t3 = np.stack([r.permutation(n)[:3] for _ in range(t)])
        p = soft_labels(E, t3)
        # 0: k odd, 1: j odd, 2: i odd
        odd = (p.cumsum(1) < r.random((t, 1))).sum(1).clip(max=2)
        order = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[odd]
        pairs = np.array([[0, 1, 2], [1, 0, 2], [2, 0, 1]])[odd]
        return X, E, np.take_along_axis(t3, order, 1), np.take_along_axis(p, pairs, 1)

    X, E, T, P = synthetic()
    seen, unseen = (T < 60).all(1), (T >= 60).all(1)
    score = lambda Z, kind='dot': ooo_accuracy(Z, T[unseen], kind)

    # cell 93
    # more and fewer objects than the 12 features
    for n in (90, 8):
        wt = rng(n).random(n) + .1
        reg = Teacher.regress(X[:n], E[:n], lam=.3, weights=wt)
        sk = Ridge(alpha=.3 * 12).fit((X[:n] - reg.mean) / reg.std, E[:n], sample_weight=wt / wt.mean())
        test_close(reg.transform(X), sk.predict((X - reg.mean) / reg.std), 1e-3)
    print(
        'ridge, accuracy on unseen objects:',
        round(score(Teacher.regress(X, E, lam=0.01, objects=range(60)).transform(X)), 3),
    )

    # cell 94
    per = Teacher.regress(X * np.arange(1, 13), E, standardise='features')
    test_close(
        per.transform(X * np.arange(1, 13)), Teacher.regress(X, E, standardise='features').transform(X),
        1e-3,
    )
    test_fail(lambda: Teacher.regress(X, E[:5]), contains='target has 5 rows')
    test_fail(
        lambda: Teacher.regress(X, E, weights=np.zeros(90)),
        contains='weights must be 90 positive numbers',
    )


def test_cross_validation_over_objects():
    "Cross-validation over objects"
    # cell 81, in part
    def synthetic(n=90, d=12, k=3, t=12_000, seed=0, scale=.6):
        "Features, true human embedding, simulated choices with the odd one last, their true probabilities"
        r = rng(seed)
        X = r.normal(2, 3, (n, d)).astype(np.float32)
        E = ((X - 2) / 3 @ r.normal(size=(d, k)) * scale / k**.5).astype(np.float32)
        t3 = np.stack([r.permutation(n)[:3] for _ in range(t)])
        p = soft_labels(E, t3)
        # 0: k odd, 1: j odd, 2: i odd
        odd = (p.cumsum(1) < r.random((t, 1))).sum(1).clip(max=2)
        order = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[odd]
        pairs = np.array([[0, 1, 2], [1, 0, 2], [2, 0, 1]])[odd]
        return X, E, np.take_along_axis(t3, order, 1), np.take_along_axis(p, pairs, 1)

    X, E, T, P = synthetic()

    # cell 98, in part
    fold = object_folds(90, 3, seed=0)
    kept, out = split_by_objects(T, fold == 0)

    # cell 99
    test_eq(np.bincount(fold), [30, 30, 30])
    test_eq(object_folds(90, 3, 0), fold)
    assert (object_folds(90, 3, 1) != fold).any()
    assert not set(T[kept].ravel()) & set(T[out].ravel()) and not (kept & out).any()
    assert abs(kept.mean() - 8/27) < .03 and abs(out.mean() - 1/27) < .01
    test_fail(lambda: object_folds(5, 6), contains='5 objects cannot be dealt into 6 folds')

    # cell 109, in part
    cv = cross_validate(X, T, P, lams=[1e-3, 1e-2, .1, 1, 10, 100])

    # cell 110
    test_eq(len(cv.table), 18)
    test_eq(cv.lam, cv.summary()['mean'].idxmax())
    two = cross_validate(
        X, T[:4000], P[:4000], lams=[0.01, 1], grid=dict(pull=['identity', 'zero']), steps=20
    )
    test_eq(len(two.table), 12)
    test_eq(two.best, dict(zip(('lam', 'pull'), two.summary()['mean'].idxmax())))
    test_eq(two.scores()['mean'], two.summary()['mean'].max())
    assert cv.summary()['mean'].max() > cv.table.zero_shot.mean() + .1
    # one cell of the table, by hand
    f0 = cv.table[(cv.table.fold == 1) & (cv.table.lam == .01)].accuracy.item()
    kept, out = split_by_objects(T, cv.folds == 1)
    test_eq(f0, ooo_accuracy(Teacher.fit(X, T[kept], P[kept], lam=.01).transform(X), T[out], 'dot'))
    test_fail(
        lambda: cross_validate(X, T[:30], folds=10), contains='use fewer folds or more judgements'
    )

    # cell 112, in part
    def noise_world(seed, n=60):
        "Features and a human embedding that have nothing to do with each other, and triplets with the embedding's choices"
        r = rng(4, seed)
        E = r.normal(size=(n, 3)).astype(np.float32)
        return (
            r.normal(size=(n, 80)).astype(np.float32), E, *triplets_from_embedding(E, 6000, seed=seed),
        )

    trial_wise, by_objects = [], []
    for seed in range(6):
        Xr, Er, Tr, Pr = noise_world(seed)
        part = rng(9, seed).permutation(6000) % 3
        if seed < 2:
            trial_wise += [
                ooo_accuracy(
                    Teacher.fit(Xr, Tr[part != f], Pr[part != f], lam=1e-3, steps=40).transform(Xr),
                    Tr[part == f], 'dot',
                )
                for f in range(3)
            ]
        by_objects.append(
            cross_validate(Xr, Tr, Pr, lams=[1e-3], steps=40, seed=seed).table.accuracy.mean()
        )
    se = np.std(by_objects, ddof=1) / len(by_objects)**.5

    # cell 113
    assert np.mean(trial_wise) > .8 and abs(np.mean(by_objects) - CHANCE) < 3 * se + .01
    # what held-out objects are and how they were judged cannot matter
    for kw in (dict(), dict(target=Er)):
        fold = object_folds(60, 3, 0)
        keep, _ = split_by_objects(Tr, fold == 0)
        objs = np.flatnonzero(fold != 0)
        def one(X, E):
            return Teacher.fit(
                X,
                **(dict(target=E) if kw else dict(triplets=Tr[keep], probs=Pr[keep])),
                objects=objs,
                steps=20
            ).digest()
        test_eq(
            one(Xr, Er),
            one(np.where((fold == 0)[:, None], 99.0, Xr), np.where((fold == 0)[:, None], -7.0, Er)),
        )

    # cell 116, in part
    t = Teacher.fit_cv(X, T, P, lams=[1e-2, 1])

    # cell 117
    test_eq(t.digest(), Teacher.fit(X, T, P, lam=t.cv.lam).digest())
    test_eq(t.meta['objects'], 90)

    # cell 123, in part
    nested = nested_cross_validate(X, T, P, lams=[1e-2, 1], steps=30)

    # cell 124
    # the first fold by hand
    fold0 = object_folds(90, 3, 0) == 0
    kept, out = split_by_objects(T, fold0)
    o = np.flatnonzero(~fold0)
    lam0 = cross_validate(
        X[o], np.searchsorted(o, T[kept]), P[kept], lams=[1e-2, 1], steps=30, seed=0
    ).lam
    test_eq(nested.table.lam[0], lam0)
    test_eq(
        nested.table.accuracy[0],
        ooo_accuracy(
            Teacher.fit(X, T[kept], P[kept], lam=lam0, objects=o, steps=30).transform(X), T[out], 'dot'
        ),
    )
    test_eq(
        is_correct(nested.probs()).mean(),
        np.average(nested.table.accuracy, weights=nested.table.held_out),
    )
    test_eq(len(nested.held_out(1)), nested.table.held_out[1])
    # other answers in the reported fold choose and fit nothing
    mixed = T.copy()
    mixed[out] = mixed[out][:, [2, 1, 0]]
    test_eq(
        nested_cross_validate(X, mixed, P, lams=[1e-2, 1], steps=30).teachers[0].digest(),
        nested.teachers[0].digest(),
    )


def test_the_teacher_as_a_module_and_its_report():
    "The teacher as a module, and its report"
    # cell 81, in part
    def synthetic(n=90, d=12, k=3, t=12_000, seed=0, scale=.6):
        "Features, true human embedding, simulated choices with the odd one last, their true probabilities"
        r = rng(seed)
        X = r.normal(2, 3, (n, d)).astype(np.float32)
        E = ((X - 2) / 3 @ r.normal(size=(d, k)) * scale / k**.5).astype(np.float32)
        t3 = np.stack([r.permutation(n)[:3] for _ in range(t)])
        p = soft_labels(E, t3)
        # 0: k odd, 1: j odd, 2: i odd
        odd = (p.cumsum(1) < r.random((t, 1))).sum(1).clip(max=2)
        order = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[odd]
        pairs = np.array([[0, 1, 2], [1, 0, 2], [2, 0, 1]])[odd]
        return X, E, np.take_along_axis(t3, order, 1), np.take_along_axis(p, pairs, 1)

    X, E, T, P = synthetic()
    seen, unseen = (T < 60).all(1), (T >= 60).all(1)
    fits = {
        'hard, listed trials': Teacher.fit(X, T[seen], lam=1e-3),
        'soft, listed trials': Teacher.fit(X, T[seen], P[seen], lam=1e-3),
        'soft, all triplets of the embedding': Teacher.fit(
            X, target=E, objects=np.arange(60), lam=1e-3
        ),
    }
    score = lambda Z, kind='dot': ooo_accuracy(Z, T[unseen], kind)

    # cell 116, in part
    t = Teacher.fit_cv(X, T, P, lams=[1e-2, 1])

    # cell 129
    mod = t.module()
    test_close(mod(torch.from_numpy(X)).numpy(), t.transform(X), 1e-5)
    test_eq(len(list(mod.parameters())), 0)
    test_eq(len(mod.state_dict()), 4)
    mod

    # cell 134, in part
    net = create_backbone('test_efficientnet', pretrained=False).eval()
    images = torch.rand(5, 3, 64, 64)
    with torch.no_grad():
        F = net(images).numpy()
        behind = Teacher.identity(F, 'features').attach(net)(images)

    # cell 135
    test_close(behind.numpy(), Teacher.identity(F, 'features').transform(F), 1e-4)
    U = F / np.linalg.norm(F, axis=1, keepdims=True)
    with torch.no_grad():
        test_close(
            Teacher.identity(U, 'features').attach(net, unit=True)(images).numpy(),
            Teacher.identity(U, 'features').transform(U), 1e-3,
        )
    headed = timm.create_model('test_efficientnet', num_classes=7).eval()
    same = timm.create_model('test_efficientnet', num_classes=0).eval()
    same.load_state_dict(headed.state_dict(), strict=False)
    # its head is left out
    with torch.no_grad():
        test_close(
            Teacher.identity(F, 'features').attach(headed)(images),
            Teacher.identity(F, 'features').attach(same)(images), 1e-5,
        )
    test_fail(lambda: t.attach(net), contains='gives 256 features, but this teacher was fitted on 12')
    with tempfile.TemporaryDirectory() as d:
        [Image.new('RGB', (32, 32), c).save(f'{d}/{c}.png') for c in ('red', 'green', 'blue', 'gold')]
        store = extract_features(net, ImageSet(d), f'{d}/store', size=32)
        told = Judgements([[0, 1, 2], [1, 2, 3], [0, 2, 3]], store.names)
        own = Teacher.fit(store, told, steps=2)
        test_eq(own.meta['features'], store.identity())
        own.attach(net)
        test_fail(
            lambda: own.attach(create_backbone('test_efficientnet', pretrained=False)),
            contains='differs from it in weights',
        )
        test_fail(
            lambda: Teacher.fit(store, Judgements(told.triplets, ['a', 'b', 'c', 'd'])),
            contains="not file names of the feature store, 'a' among them",
        )

    # cell 139, in part
    halves = np.where(E[60:, 0] > 0, 'right', 'left')
    fits['soft, listed trials'].cv = cross_validate(X[:60], T[seen], P[seen], lams=[1e-3])
    table, fig = fits['soft, listed trials'].report(X[60:], T[unseen] - 60, groups=halves)

    # cell 140
    by = gains_by_group(
        np.array([1, 0, 1, 0], bool), np.array([1, 1, 1, 0], bool),
        [[0, 1, 2], [0, 1, 3], [1, 2, 3], [0, 2, 3]], ['a', 'b, c', '', 'c'], least=1,
    )
    test_eq(by.triplets.to_dict(), dict(a=3, b=3, c=4))
    test_close(by.gain[['a', 'c']].to_numpy(), [1/3, 1/4])
    test_close(by.se['a'], np.std([0, 1, 0], ddof=1) / 3**.5)
    test_eq(table.loc['before', 'accuracy, cosine'], ooo_accuracy(X, T[unseen], 'cosine'))
    test_eq(table.loc['after', 'accuracy, dot'], score(fits['soft, listed trials'].transform(X)))
    # calibrated: as sure as it is right
    assert abs(table.loc['after', 'mean confidence'] - table.loc['after', 'accuracy, dot']) < .05


@pytest.mark.slow
def test_on_real_people_slow():
    "On real people"
    # cell 33, in part
    r = rng(1)

    # cell 34, in part
    sims = r.normal(size=(200, 3))
    hard = choice_kl(torch.tensor(sims), torch.tensor([[1., 0, 0]]).repeat(200, 1).double())

    # cell 81, in part
    def synthetic(n=90, d=12, k=3, t=12_000, seed=0, scale=.6):
        "Features, true human embedding, simulated choices with the odd one last, their true probabilities"
        r = rng(seed)
        X = r.normal(2, 3, (n, d)).astype(np.float32)
        E = ((X - 2) / 3 @ r.normal(size=(d, k)) * scale / k**.5).astype(np.float32)
        t3 = np.stack([r.permutation(n)[:3] for _ in range(t)])
        p = soft_labels(E, t3)
        # 0: k odd, 1: j odd, 2: i odd
        odd = (p.cumsum(1) < r.random((t, 1))).sum(1).clip(max=2)
        order = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[odd]
        pairs = np.array([[0, 1, 2], [1, 0, 2], [2, 0, 1]])[odd]
        return X, E, np.take_along_axis(t3, order, 1), np.take_along_axis(p, pairs, 1)

    X, E, T, P = synthetic()
    seen, unseen = (T < 60).all(1), (T >= 60).all(1)
    fits = {
        'hard, listed trials': Teacher.fit(X, T[seen], lam=1e-3),
        'soft, listed trials': Teacher.fit(X, T[seen], P[seen], lam=1e-3),
        'soft, all triplets of the embedding': Teacher.fit(
            X, target=E, objects=np.arange(60), lam=1e-3
        ),
    }

    # cell 82, in part
    soft = fits['soft, listed trials']

    # cell 139, in part
    fits['soft, listed trials'].cv = cross_validate(X[:60], T[seen], P[seen], lams=[1e-3])

    # cell 142
    if os.environ.get('ALIGNET_DATA'):
        (concepts, Tt), Xt, Et = things_choices(), things_matrix('clip'), things_matrix('vice')
        start = time.process_time()
        soft = cross_validate(Xt, Tt, target=Et, lams=[.005, .015, .05, .15, .5, 1.5, 5])
        cpu = (time.process_time() - start) / len(soft.table)
        ridge = cross_validate(Xt, Tt, target=Et, lams=[.5, 1, 2, 4], fit=Teacher.regress)
        hard = cross_validate(Xt, Tt, lams=[.15], steps=40)
        vice = [ooo_accuracy(Et, Tt[split_by_objects(Tt, soft.folds == f)[1]], 'dot') for f in range(3)]
        print(f'a fold of the soft teacher: {cpu:.1f} CPU seconds')
    else: print('skipped: set ALIGNET_DATA to the folder with the real data')

    # cell 143
    if os.environ.get('ALIGNET_DATA'):
        rows = {
            'features, cosine (zero-shot)': (
                np.nan, *soft.table.drop_duplicates('fold').zero_shot.agg(['mean', 'std']),
            )
        }
        for name, c in {
            'soft labels of VICE, all triplets': soft, 'ridge to VICE': ridge,
            'hard labels, listed trials': hard,
        }.items():
            rows[name] = (c.lam, *c.scores()[['mean', 'std']])
        rows['VICE itself (saw these trials)'] = (np.nan, np.mean(vice), np.std(vice, ddof=1))
        rows['published noise ceiling'] = (np.nan, .6722, np.nan)
        real = pd.DataFrame(rows, index=['lam', 'mean', 'sd of folds']).T
        print(real.round(3).to_string(na_rep='-'))

    # cell 144
    if os.environ.get('ALIGNET_DATA'):
        zero = soft.table.drop_duplicates('fold').set_index('fold').zero_shot
        # better than the features in every fold
        for c in (soft, ridge, hard):
            one = c.table[c.table.lam == c.lam].set_index('fold')
            assert (one.accuracy > zero + .05).all() and (one.held_out > 5000).all()
        # seconds a fold, on one thread
        assert cpu < 20
