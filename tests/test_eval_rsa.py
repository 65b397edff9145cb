"""Tests of `alignet.eval.rsa`.

Generated from nbs/eval/rsa.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import pytest
import pickle
from pathlib import Path
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from alignet.core import *
from alignet.data import ImageSet
from alignet.evaluation import rdm, rsa
import importlib.util
import tempfile
from IPython.display import display
from PIL import Image
from scipy.io import savemat
from scipy.spatial.distance import pdist, squareform
from fastcore.test import test_eq, test_close, test_fail
from alignet.eval.rsa import *
from alignet.eval.rsa import _by_picture, _ordered, _parts, _spearman

NOTEBOOK = 'nbs/eval/rsa.ipynb'     # a test runs in the folder of its notebook


def test_a_matrix_for_each_person():
    "A matrix for each person"
    # cell 19, in part
    ratings = pd.DataFrame(
        [
            ['dog', 'cat', 8, 'kim'], ['cat', 'dog', 6, 'kim'], ['dog', 'car', 1, 'kim'],
            ['car', 'cat', 2, 'lee'], ['dog', 'cat', 9, 'lee'], ['car', 'car', 10, 'lee'],
        ],
        columns=['a', 'b', 'rating', 'subject'],
    )
    mine = HumanRDM.from_table(ratings)

    # cell 20
    # pairs: car-cat, car-dog, cat-dog; 9 is the largest rating
    test_eq(mine.names, ['car', 'cat', 'dog'])
    np.testing.assert_array_equal(mine.pairs, np.array([[np.nan, 8, 2], [7, np.nan, 0]], np.float32))
    # dog-car 1, dog-cat (8+6+9)/3, car-cat 2
    pooled = HumanRDM.from_table(ratings, names=['dog', 'car', 'cat'], columns=('a', 'b', 'rating'))
    test_close(pooled.pairs[0], 23/3 - np.array([1, 23/3, 2]), eps=1e-5)
    test_eq(pooled.people, 0)
    test_fail(
        lambda: HumanRDM.from_table(ratings, columns=('x', 'b', 'rating')), contains="no columns 'x'"
    )
    test_fail(
        lambda: HumanRDM.from_table(ratings, names=['dog', 'cat', 'cart']),
        contains="not among the names: 'car'",
    )
    test_fail(
        lambda: HumanRDM.from_table(ratings.assign(rating=['8', '6', 'one', '2', '9', '10'])),
        contains="the first is 'one'",
    )
    test_fail(
        lambda: HumanRDM.from_table(ratings.assign(subject=['kim', None, 'kim', 'lee', 'lee', 'lee'])),
        contains='do not say who',
    )

    # cell 22, in part
    line = np.array([0., 1, 3, 7])[:, None]
    square = squareform(pdist(line))
    lower = square[np.tril_indices(4, -1)]
    upper = pdist(line)

    # cell 23
    for made in (
        HumanRDM.from_vectors(upper), HumanRDM.from_vectors(lower, order='lower'),
        HumanRDM.from_matrix(square), HumanRDM.from_matrix(np.triu(square)),
        HumanRDM.from_matrix(np.where(np.tri(4) > 0, np.nan, square)),
        HumanRDM.from_matrix(10 - square, kind='similarity'),
    ):
        test_close(made.pairs[0] - made.pairs[0].min(), upper - 1, eps=1e-6)
    # the wrong order looks healthy
    assert not np.allclose(HumanRDM.from_vectors(lower).pairs, upper)
    test_fail(lambda: HumanRDM.from_vectors(np.ones(7)), contains='no triangle')
    test_fail(lambda: HumanRDM.from_vectors(upper, order='columns'), contains="'upper' or 'lower'")
    test_fail(lambda: HumanRDM.from_matrix(square + np.eye(4, k=1)), contains='two different numbers')
    test_fail(lambda: HumanRDM.from_matrix(square[:3]), contains='not (1, 3, 4)')
    test_close(
        HumanRDM.from_matrix(square + np.eye(4, k=1), symmetrise=True).pairs[0],
        pdist(line) + [0.5, 0, 0, 0.5, 0, 0.5],
    )
    test_fail(lambda: HumanRDM.from_vectors(upper, kind='distance'), contains="kind must be")
    test_fail(lambda: HumanRDM(upper, list('abca')), contains='name of another')
    test_fail(lambda: HumanRDM([upper, upper * np.nan], list('abcd')), contains='rated no pair')
    test_fail(lambda: HumanRDM(upper, list('abc')), contains='3 pairs, but there are 6')
    test_fail(lambda: HumanRDM(upper + np.inf, list('abcd')), contains='infinity')

    # cell 30
    test_eq(mine.restrict(['dog', 'cat', 'car']).matrix(0)[0].tolist()[:2], [0, 2])
    test_fail(lambda: mine.restrict(['dog', 'cow', 'car']), contains="'cow'")
    with tempfile.TemporaryDirectory() as d:
        mine.save(f'{d}/mine.npz')
        back = HumanRDM.load(f'{d}/mine.npz')
        np.testing.assert_array_equal(back.pairs, mine.pairs)
        test_eq((back.names, back.source, back.simulated), (mine.names, '', False))
        Path(d, 'bad.npz').write_text('no')
        test_fail(lambda: HumanRDM.load(f'{d}/bad.npz'), contains='cannot be read as a HumanRDM')
    # NaN pairs: the mean of who rated them
    test_close(mine.mean(), [7, 8, 1])


def test_simulated_people():
    "Simulated people"
    # cell 32, in part
    def simulate(
        n=40, people=10, seed=0, blur=0.8, taste=0.5, forget=0.0, groups=True, who=None, name='picture'
    ):
        r = rng(seed)
        Z = r.normal(size=(n, 6)) + (2 * np.repeat(r.normal(size=(5, 6)), n // 5, 0) if groups else 0)
        own = r.normal(size=(n, 40))
        W = rng(77).normal(size=(6, 40))
        tastes = taste * (r if who is None else rng(who)).normal(size=(people, 6))
        models = dict(base=.25 * Z @ W + 3 * own, aligned=.5 * Z @ W + own)
        models['control'] = models['base'] + .5 * r.normal(size=(n, 40))
        v = np.stack([pdist(Z * np.exp(t)) for t in tastes])
        v = v + blur * v.std(1, keepdims=True) * r.normal(size=v.shape)
        v[r.random(v.shape) < forget] = np.nan
        names = [f'{name}{k:03d}.png' for k in range(n)]
        return {k: (names, X.astype(np.float32)) for k, X in models.items()}, HumanRDM(
            v, names, 'made up here', simulated=True
        )

    models, people = simulate(forget=.03)

    # cell 34
    assert (
        rsa(people.matrix(), rdm(models['aligned'][1]))
        > rsa(people.matrix(), rdm(models['base'][1])) + 0.1
    )


def test_two_measures():
    "Two measures"
    # cell 7
    rsatoolbox_there = importlib.util.find_spec('rsatoolbox') is not None

    # cell 32, in part
    def simulate(
        n=40, people=10, seed=0, blur=0.8, taste=0.5, forget=0.0, groups=True, who=None, name='picture'
    ):
        r = rng(seed)
        Z = r.normal(size=(n, 6)) + (2 * np.repeat(r.normal(size=(5, 6)), n // 5, 0) if groups else 0)
        own = r.normal(size=(n, 40))
        W = rng(77).normal(size=(6, 40))
        tastes = taste * (r if who is None else rng(who)).normal(size=(people, 6))
        models = dict(base=.25 * Z @ W + 3 * own, aligned=.5 * Z @ W + own)
        models['control'] = models['base'] + .5 * r.normal(size=(n, 40))
        v = np.stack([pdist(Z * np.exp(t)) for t in tastes])
        v = v + blur * v.std(1, keepdims=True) * r.normal(size=v.shape)
        v[r.random(v.shape) < forget] = np.nan
        names = [f'{name}{k:03d}.png' for k in range(n)]
        return {k: (names, X.astype(np.float32)) for k, X in models.items()}, HumanRDM(
            v, names, 'made up here', simulated=True
        )

    models, people = simulate(forget=.03)

    # cell 40, in part
    found = {name: rsa_people(f, people) for name, f in models.items()}

    # cell 42
    d = pdist(models['aligned'][1], 'cosine')
    ok = ~np.isnan(people.pairs)
    test_close(
        found['aligned']['each'],
        [stats.spearmanr(d[o], v[o]).statistic for v, o in zip(people.pairs, ok)], eps=1e-4,
    )
    test_close(
        found['aligned']['mean'], stats.spearmanr(d, np.nanmean(people.pairs, 0)).statistic, eps=1e-4
    )
    assert (
        found['aligned']['mean'] > found['base']['mean']
        and found['aligned']['mean'] > found['aligned']['each'].mean()
    )
    test_eq(
        len(
            rsa_people(
                models['base'],
                HumanRDM(np.where(np.arange(780) < 700, np.nan, people.pairs[:2]), people.names),
                min_pairs=10**4,
            )['each']
        ),
        0,
    )
    # a model that sees no differences
    assert np.isnan(rsa_people((people.names, np.ones((40, 3))), people)['mean'])
    # someone who said 3 to everything
    lazy = HumanRDM(np.concatenate([people.pairs, np.full((1, 780), 3.)]), people.names)
    test_close(rsa_people(models['base'], lazy)['each'], found['base']['each'])
    test_fail(lambda: rsa_people((people.names[1:], np.ones((39, 3))), people), contains='are missing')
    whole = simulate(seed=1)[1]
    if rsatoolbox_there:
        theirs = require('rsatoolbox').rdm.compare(
            HumanRDM(d, whole.names).to_rsatoolbox(), whole.to_rsatoolbox(), method='spearman'
        )[0]
        test_close(rsa_people(models['aligned'], whole)['each'], theirs, eps=1e-4)
    else: print('skipped: pip install rsatoolbox to compare')


def test_the_noise_ceiling():
    "The noise ceiling"
    # cell 7
    rsatoolbox_there = importlib.util.find_spec('rsatoolbox') is not None

    # cell 22, in part
    line = np.array([0., 1, 3, 7])[:, None]

    # cell 32, in part
    def simulate(
        n=40, people=10, seed=0, blur=0.8, taste=0.5, forget=0.0, groups=True, who=None, name='picture'
    ):
        r = rng(seed)
        Z = r.normal(size=(n, 6)) + (2 * np.repeat(r.normal(size=(5, 6)), n // 5, 0) if groups else 0)
        own = r.normal(size=(n, 40))
        W = rng(77).normal(size=(6, 40))
        tastes = taste * (r if who is None else rng(who)).normal(size=(people, 6))
        models = dict(base=.25 * Z @ W + 3 * own, aligned=.5 * Z @ W + own)
        models['control'] = models['base'] + .5 * r.normal(size=(n, 40))
        v = np.stack([pdist(Z * np.exp(t)) for t in tastes])
        v = v + blur * v.std(1, keepdims=True) * r.normal(size=v.shape)
        v[r.random(v.shape) < forget] = np.nan
        names = [f'{name}{k:03d}.png' for k in range(n)]
        return {k: (names, X.astype(np.float32)) for k, X in models.items()}, HumanRDM(
            v, names, 'made up here', simulated=True
        )

    models, people = simulate(forget=.03)

    # cell 40, in part
    found = {name: rsa_people(f, people) for name, f in models.items()}

    # cell 42, in part
    whole = simulate(seed=1)[1]

    # cell 47, in part
    ceiling = rdm_ceiling(people)

    # cell 49
    three = HumanRDM([[1, 2, 3, 4, 5, 6], [1, 3, 2, 4, 6, 5], [6, 5, 4, 3, 2, 1]], list('abcd'))
    c3 = rdm_ceiling(three, min_pairs=6)
    rank = lambda a, b: stats.spearmanr(a, b).statistic
    # mean ranks of the other two; the second has no order and is left out
    others = [[3.5, 4, 3, 3.5, 4, 3], [3.5] * 6, [1, 2.5, 2.5, 4, 5.5, 5.5]]
    test_close(
        c3['lower'], np.mean([rank(others[0], three.pairs[0]), rank(others[2], three.pairs[2])]),
        eps=1e-6,
    )
    test_close(c3['upper'], np.mean([rank(three.pairs.mean(0), p) for p in three.pairs]), eps=1e-6)
    if rsatoolbox_there:
        test_close(
            [rdm_ceiling(whole)[k] for k in ('lower', 'upper')],
            require('rsatoolbox.inference', 'rsatoolbox').boot_noise_ceiling(
                whole.to_rsatoolbox(), method='spearman'
            ),
            eps=1e-6,
        )
    # the same pictures, many more people
    crowd = simulate(seed=1, people=800)[1]
    test_close(rdm_ceiling(whole)['mean'], _spearman(crowd.mean(), whole.mean()), eps=.02)
    assert (
        ceiling['lower'] < ceiling['upper'] < ceiling['mean'] < 1
        and found['aligned']['each'].mean() < ceiling['upper']
    )
    assert all(np.isnan(list(rdm_ceiling(HumanRDM(pdist(line), list('abcd'))).values())))


def test_intervals():
    "Intervals"
    # cell 32, in part
    def simulate(
        n=40, people=10, seed=0, blur=0.8, taste=0.5, forget=0.0, groups=True, who=None, name='picture'
    ):
        r = rng(seed)
        Z = r.normal(size=(n, 6)) + (2 * np.repeat(r.normal(size=(5, 6)), n // 5, 0) if groups else 0)
        own = r.normal(size=(n, 40))
        W = rng(77).normal(size=(6, 40))
        tastes = taste * (r if who is None else rng(who)).normal(size=(people, 6))
        models = dict(base=.25 * Z @ W + 3 * own, aligned=.5 * Z @ W + own)
        models['control'] = models['base'] + .5 * r.normal(size=(n, 40))
        v = np.stack([pdist(Z * np.exp(t)) for t in tastes])
        v = v + blur * v.std(1, keepdims=True) * r.normal(size=v.shape)
        v[r.random(v.shape) < forget] = np.nan
        names = [f'{name}{k:03d}.png' for k in range(n)]
        return {k: (names, X.astype(np.float32)) for k, X in models.items()}, HumanRDM(
            v, names, 'made up here', simulated=True
        )

    models, people = simulate(forget=.03)

    # cell 40, in part
    found = {name: rsa_people(f, people) for name, f in models.items()}

    # cell 54
    r = rng(3)
    a = r.normal(size=400)
    b = a + r.normal(size=400)
    for x, y in ((a, b), (np.round(2 * a), np.round(b)), (a, -b)):
        rho, psi = spearman_influence(x, y)
        left = np.array(
            [stats.spearmanr(np.delete(x, k), np.delete(y, k)).statistic for k in range(0, 400, 8)]
        )
        test_close(rho, stats.spearmanr(x, y).statistic, eps=1e-9)
        test_close(psi.mean(), 0, eps=1e-9)
        test_close(399 * (rho - left), psi[::8], eps=.06)
        assert np.corrcoef(rho - left, psi[::8])[0, 1] > .998
    test_fail(lambda: spearman_influence([1, 2], [1, np.nan]), contains='finite')
    assert np.isnan(spearman_influence([1, 1, 1], [1, 2, 3])[0])

    # cell 61, in part
    d = pdist(models['aligned'][1], 'cosine')
    parts = _parts(d, people, 20)
    at = np.array(np.triu_indices(40, 1))
    v = people.mean()
    left = np.array([_spearman(d[keep], v[keep]) for k in range(40) for keep in [(at != k).all(0)]])

    # cell 62
    test_close(
        _by_picture(parts['mean of the people'][1], 40)[1],
        np.sqrt(39 / 40 * ((left - left.mean()) ** 2).sum()), eps=0.005,
    )
    test_close(
        [p[0] for p in parts.values()], [found['aligned']['mean'], found['aligned']['each'].mean()],
        eps=1e-6,
    )
    table = rsa_interval(models['aligned'], people)
    assert (
        (table.low < table.value).all()
        and (table.value < table.high).all()
        and (table.high - table.low < 0.3).all()
    )
    # one matrix of all: nobody to resample
    test_eq(
        list(rsa_interval(models['aligned'], HumanRDM(v, people.names)).index), ['mean of the people']
    )


@pytest.mark.slow
def test_intervals_slow():
    "Intervals"
    # cell 32, in part
    def simulate(
        n=40, people=10, seed=0, blur=0.8, taste=0.5, forget=0.0, groups=True, who=None, name='picture'
    ):
        r = rng(seed)
        Z = r.normal(size=(n, 6)) + (2 * np.repeat(r.normal(size=(5, 6)), n // 5, 0) if groups else 0)
        own = r.normal(size=(n, 40))
        W = rng(77).normal(size=(6, 40))
        tastes = taste * (r if who is None else rng(who)).normal(size=(people, 6))
        models = dict(base=.25 * Z @ W + 3 * own, aligned=.5 * Z @ W + own)
        models['control'] = models['base'] + .5 * r.normal(size=(n, 40))
        v = np.stack([pdist(Z * np.exp(t)) for t in tastes])
        v = v + blur * v.std(1, keepdims=True) * r.normal(size=v.shape)
        v[r.random(v.shape) < forget] = np.nan
        names = [f'{name}{k:03d}.png' for k in range(n)]
        return {k: (names, X.astype(np.float32)) for k, X in models.items()}, HumanRDM(
            v, names, 'made up here', simulated=True
        )

    # cell 63
    def studies(n, count, who, first):
        return [simulate(n, 8, seed=first + k, groups=False, who=who) for k in range(count)]
    rows = []
    for measure, who in (('each person', None), ('mean of the people', 9)):
        truth = np.mean(
            [
                np.mean(rsa_people(m['aligned'], h)['each' if who is None else 'mean'])
                for m, h in studies(300, 40 if who is None else 12, who, 50005)
            ]
        )
        iv = pd.concat(
            [
                rsa_interval(m['aligned'], h, n_boot=400).loc[[measure]]
                for m, h in studies(30, 200, who, 100)
            ]
        )
        rows.append(
            dict(
                measure=measure, truth=truth, covered=((iv.low <= truth) & (truth <= iv.high)).mean(),
                spread=iv.value.std(), claimed=((iv.high - iv.low) / 3.92).mean(),
            )
        )
    cover = pd.DataFrame(rows).set_index('measure')
    assert cover.covered.between(.89, .99).all()
    display(cover.round(3))


def test_two_models():
    "Two models"
    # cell 32, in part
    def simulate(
        n=40, people=10, seed=0, blur=0.8, taste=0.5, forget=0.0, groups=True, who=None, name='picture'
    ):
        r = rng(seed)
        Z = r.normal(size=(n, 6)) + (2 * np.repeat(r.normal(size=(5, 6)), n // 5, 0) if groups else 0)
        own = r.normal(size=(n, 40))
        W = rng(77).normal(size=(6, 40))
        tastes = taste * (r if who is None else rng(who)).normal(size=(people, 6))
        models = dict(base=.25 * Z @ W + 3 * own, aligned=.5 * Z @ W + own)
        models['control'] = models['base'] + .5 * r.normal(size=(n, 40))
        v = np.stack([pdist(Z * np.exp(t)) for t in tastes])
        v = v + blur * v.std(1, keepdims=True) * r.normal(size=v.shape)
        v[r.random(v.shape) < forget] = np.nan
        names = [f'{name}{k:03d}.png' for k in range(n)]
        return {k: (names, X.astype(np.float32)) for k, X in models.items()}, HumanRDM(
            v, names, 'made up here', simulated=True
        )

    models, people = simulate(forget=.03)

    # cell 66, in part
    gain = {n: compare_rsa(models['base'], models[n], people) for n in ('aligned', 'control')}

    # cell 67
    assert (gain['aligned'].low > 0).all() and (gain['aligned'].p < .01).all()
    # a little noise is no gain
    assert (gain['control'].low < 0).all() and (gain['control'].high > 0).all()
    same = compare_rsa(models['base'], models['base'], people)
    assert (same[['gain', 'low', 'high']] == 0).all(axis=None) and (same.p == 1).all()
    # paired: what they share cancels
    alone = rsa_interval(models['aligned'], people)
    assert (gain['control'].high - gain['control'].low < .5 * (alone.high - alone.low)).all()


def test_the_public_sets():
    "The public sets"
    # cell 32, in part
    def simulate(
        n=40, people=10, seed=0, blur=0.8, taste=0.5, forget=0.0, groups=True, who=None, name='picture'
    ):
        r = rng(seed)
        Z = r.normal(size=(n, 6)) + (2 * np.repeat(r.normal(size=(5, 6)), n // 5, 0) if groups else 0)
        own = r.normal(size=(n, 40))
        W = rng(77).normal(size=(6, 40))
        tastes = taste * (r if who is None else rng(who)).normal(size=(people, 6))
        models = dict(base=.25 * Z @ W + 3 * own, aligned=.5 * Z @ W + own)
        models['control'] = models['base'] + .5 * r.normal(size=(n, 40))
        v = np.stack([pdist(Z * np.exp(t)) for t in tastes])
        v = v + blur * v.std(1, keepdims=True) * r.normal(size=v.shape)
        v[r.random(v.shape) < forget] = np.nan
        names = [f'{name}{k:03d}.png' for k in range(n)]
        return {k: (names, X.astype(np.float32)) for k, X in models.items()}, HumanRDM(
            v, names, 'made up here', simulated=True
        )

    models, people = simulate(forget=.03)

    # cell 40, in part
    found = {name: rsa_people(f, people) for name, f in models.items()}

    # cell 83, in part
    def write_sets(root):
        "Small sets in the published layouts"
        r = rng(8)
        root = Path(root)/'human_similarity'
        def pictures(folder, names):
            folder.mkdir(parents=True)
            for k, f in enumerate(names): Image.new('RGB', (8, 8), (20 * k, 99, 99)).save(folder/f)
        for s, n in (('set1', 6), ('set2', 5)):
            pictures(root/'king2019'/'images'/s, [f'im_{k:02d}.jpg' for k in range(n)])
        made = dict(
            king={
                s: np.round(r.random((4, n * (n - 1) // 2)), 3) for s, n in (('set1', 6), ('set2', 5))
            },
            cichy=np.stack([squareform(np.round(r.random(21), 3)) for _ in range(3)]),
        )
        pictures(root/'cichy2019'/'images', [f'{k:03d}.jpg' for k in range(1, 8)])
        made['animals'] = 10 - squareform(np.round(10 * r.random(66), 1))
        pictures(root/'peterson'/'animals'/'images', [f'animal{k}.png' for k in range(1, 13)])
        made['fruits'] = {
            f'fruit{i},fruit{j}': [int(o) for o in r.integers(0, 11, 3)]
            for i in range(1, 6)
            for j in range(i + 1, 6)
            if (i, j) != (2, 4)
        }
        pictures(root/'peterson'/'fruits'/'images', [f'fruit{k}.png' for k in range(1, 6)])
        for d in ('king2019', 'cichy2019', 'peterson/animals', 'peterson/fruits'):
            (root/d/'sim_judgements').mkdir()
        savemat(
            root / 'king2019' / 'sim_judgements' / 'BEHAVIOR.mat',
            {'BEHAVIOR': {s: {'pairwisedistances': v} for s, v in made['king'].items()}},
        )
        savemat(root/'cichy2019'/'sim_judgements'/'judgments_general.mat', {'judgments': made['cichy']})
        savemat(
            root / 'peterson' / 'animals' / 'sim_judgements' / 'turkResults.mat',
            {'simMatrix': made['animals']},
        )
        (
            root / 'peterson' / 'fruits' / 'sim_judgements' / 'fruits_mturkRESULTS_all.pickle'
        ).write_bytes(pickle.dumps(made['fruits'], 2))
        return made

    # cell 84
    with tempfile.TemporaryDirectory() as d:
        made = write_sets(d)
        k, c, a, f = (
            load_king(d, 'set2'), load_cichy(d), load_peterson('animals', d, order='numbers'),
            load_peterson('fruits', d),
        )
        test_close(k.pairs, made['king']['set2'], eps=1e-6)
        test_close(squareform(c.pairs[1]), made['cichy'][1], eps=1e-6)
        test_eq((k.people, c.people, a.people), (4, 3, 0))
        test_eq(k.images.names, k.names)
        test_eq(a.names[:3], ['animal1.png', 'animal2.png', 'animal3.png'])
        test_close(
            a.matrix()[0, 1] - a.matrix()[2, 5], made['animals'][2, 5] - made['animals'][0, 1], eps=1e-5
        )
        # the same numbers under other names
        by_name = load_peterson('animals', d, order='names')
        test_eq(by_name.names[:2], ['animal1.png', 'animal10.png'])
        test_close(by_name.pairs, a.pairs)
        test_fail(
            lambda: load_peterson('animals', d),
            contains="picture 2 is 'animal10.png'; by number it is 'animal2.png'",
        )
        i = f.matrix()
        assert np.isnan(i[1, 3]) and np.isnan(f.pairs).sum() == 1
        test_close(
            i[0, 1] - i[0, 4],
            np.mean(made['fruits']['fruit1,fruit5']) - np.mean(made['fruits']['fruit1,fruit2']),
            eps=1e-5,
        )
        test_fail(lambda: load_king(d, 'set3'), contains="'set1' or 'set2'")
        test_fail(lambda: load_peterson('toys', d), contains='not one of')
        test_fail(lambda: load_peterson('various', d), contains='no matrix')
        root = Path(d)/'human_similarity'
        (root/'cichy2019'/'images'/'001.jpg').unlink()
        test_fail(lambda: load_cichy(d), contains='6 pictures')
        (root/'king2019'/'sim_judgements'/'BEHAVIOR.mat').write_bytes(b'none')
        test_fail(lambda: load_king(d), contains='cannot be read as a MATLAB file')
        bad = root/'peterson'/'fruits'/'sim_judgements'/'fruits_mturkRESULTS_all.pickle'
        bad.write_bytes(pickle.dumps(Path('a')))
        test_fail(lambda: load_peterson('fruits', d), contains='can run code')
        bad.write_bytes(pickle.dumps({'fruit1,fruit9': [3]}))
        test_fail(lambda: load_peterson('fruits', d), contains="'fruit1,fruit9' does not name two of 5")
    with tempfile.TemporaryDirectory() as d:
        test_fail(lambda: load_cichy(d), contains='Get it: the data statement')

    # cell 87, in part
    # rows by number, names sorted as texts
    numbered = [f'toy{k+1}.png' for k in range(40)]
    toys = HumanRDM(people.pairs, sorted(numbered))
    toy_model = (numbered, models['base'][1])

    # cell 88
    test_close(tell_order(toy_model, toys)['numbers'], found['base']['mean'], eps=1e-6)
    assert tell_order(toy_model, toys)['names'] < .25 < tell_order(toy_model, toys)['numbers']
    test_fail(lambda: _ordered(ImageSet, 'size', 'x'), contains="'names', 'numbers' or None")


def test_all_sets_at_once():
    "All sets at once"
    # cell 32, in part
    def simulate(
        n=40, people=10, seed=0, blur=0.8, taste=0.5, forget=0.0, groups=True, who=None, name='picture'
    ):
        r = rng(seed)
        Z = r.normal(size=(n, 6)) + (2 * np.repeat(r.normal(size=(5, 6)), n // 5, 0) if groups else 0)
        own = r.normal(size=(n, 40))
        W = rng(77).normal(size=(6, 40))
        tastes = taste * (r if who is None else rng(who)).normal(size=(people, 6))
        models = dict(base=.25 * Z @ W + 3 * own, aligned=.5 * Z @ W + own)
        models['control'] = models['base'] + .5 * r.normal(size=(n, 40))
        v = np.stack([pdist(Z * np.exp(t)) for t in tastes])
        v = v + blur * v.std(1, keepdims=True) * r.normal(size=v.shape)
        v[r.random(v.shape) < forget] = np.nan
        names = [f'{name}{k:03d}.png' for k in range(n)]
        return {k: (names, X.astype(np.float32)) for k, X in models.items()}, HumanRDM(
            v, names, 'made up here', simulated=True
        )

    models, people = simulate(forget=.03)

    # cell 40, in part
    found = {name: rsa_people(f, people) for name, f in models.items()}

    # cell 83, in part
    def write_sets(root):
        "Small sets in the published layouts"
        r = rng(8)
        root = Path(root)/'human_similarity'
        def pictures(folder, names):
            folder.mkdir(parents=True)
            for k, f in enumerate(names): Image.new('RGB', (8, 8), (20 * k, 99, 99)).save(folder/f)
        for s, n in (('set1', 6), ('set2', 5)):
            pictures(root/'king2019'/'images'/s, [f'im_{k:02d}.jpg' for k in range(n)])
        made = dict(
            king={
                s: np.round(r.random((4, n * (n - 1) // 2)), 3) for s, n in (('set1', 6), ('set2', 5))
            },
            cichy=np.stack([squareform(np.round(r.random(21), 3)) for _ in range(3)]),
        )
        pictures(root/'cichy2019'/'images', [f'{k:03d}.jpg' for k in range(1, 8)])
        made['animals'] = 10 - squareform(np.round(10 * r.random(66), 1))
        pictures(root/'peterson'/'animals'/'images', [f'animal{k}.png' for k in range(1, 13)])
        made['fruits'] = {
            f'fruit{i},fruit{j}': [int(o) for o in r.integers(0, 11, 3)]
            for i in range(1, 6)
            for j in range(i + 1, 6)
            if (i, j) != (2, 4)
        }
        pictures(root/'peterson'/'fruits'/'images', [f'fruit{k}.png' for k in range(1, 6)])
        for d in ('king2019', 'cichy2019', 'peterson/animals', 'peterson/fruits'):
            (root/d/'sim_judgements').mkdir()
        savemat(
            root / 'king2019' / 'sim_judgements' / 'BEHAVIOR.mat',
            {'BEHAVIOR': {s: {'pairwisedistances': v} for s, v in made['king'].items()}},
        )
        savemat(root/'cichy2019'/'sim_judgements'/'judgments_general.mat', {'judgments': made['cichy']})
        savemat(
            root / 'peterson' / 'animals' / 'sim_judgements' / 'turkResults.mat',
            {'simMatrix': made['animals']},
        )
        (
            root / 'peterson' / 'fruits' / 'sim_judgements' / 'fruits_mturkRESULTS_all.pickle'
        ).write_bytes(pickle.dumps(made['fruits'], 2))
        return made

    # cell 92, in part
    other_models, others = simulate(40, 6, seed=3, blur=1.5, name='room')
    sets = {'toys': people, 'rooms': others}
    # features of the pictures of all sets
    both = {
        n: (f[0] + other_models[n][0], np.concatenate([f[1], other_models[n][1]]))
        for n, f in models.items()
    }
    scores = {n: score_human_rdms(f, sets) for n, f in both.items()}

    # cell 93
    t = scores['aligned']['table']
    test_eq(list(t.columns[:7]), ['measure', 'value', 'low', 'high', 'n', 'chance', 'ceiling'])
    test_eq(len(t), 4)
    for _, o in t.iterrows():
        x = scores['aligned']['items'][o.measure]
        test_close(x.mean(), o.value, eps=1e-6)
        if 'mean' in o.measure: assert -.003 < x.std() / np.sqrt(40) - (o.high - o.low) / 3.92 < .012      # the plain bootstrap of these is a little wider
    test_close(
        score_human_rdms(models['base'], people)['table'].value,
        [found['base']['mean'], found['base']['each'].mean()], eps=1e-6,
    )
    said = []
    test_eq(load_human_rdms('/nowhere', out=said.append), {})
    assert len(said) == 3 and all('Get it' in o for o in said)
    test_fail(lambda: score_human_rdms(models['base'], {}), contains='HUMAN_RDM_NEEDS')
    flat = (people.names, np.ones((40, 3)))
    assert (
        score_human_rdms(flat, people)['table'].value.isna().all()
        and not score_human_rdms(flat, people)['items']
        and compare_rsa(flat, models['base'], people).p.isna().all()
    )
    with tempfile.TemporaryDirectory() as d:
        write_sets(d)
        test_eq(
            list(load_human_rdms(d, order='numbers', out=said.append)),
            ['king2019-set1', 'king2019-set2', 'cichy2019', 'peterson-animals', 'peterson-fruits'],
        )

    # cell 96
    ax = plot_human_rdms(scores)
    test_eq([t.get_text() for t in ax.get_yticklabels()], ['toys', 'rooms'])
    plt.close()
    test_fail(lambda: plot_human_rdms(scores, 'median'), contains="is a 'median'")
