"""Tests of `alignet.evaluation`.

Generated from nbs/07_evaluation.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import base64
import io
import json
import re
from pathlib import Path
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from alignet.core import *
import importlib.util
import os
import tempfile
from html.parser import HTMLParser
from IPython.display import display
from sklearn.neighbors import NearestNeighbors
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss
from scipy.spatial.distance import pdist, squareform
from fastcore.test import test_eq, test_close, test_fail
from alignet.data import offline_world, things_matrix, things_world
from alignet.teacher import Teacher, triplets_from_embedding
from alignet.evaluation import *
from alignet.evaluation import _cell, _draw_shots, _flat, _markdown, _table, _with_truth

NOTEBOOK = 'nbs/07_evaluation.ipynb'     # a test runs in the folder of its notebook


def test_a_small_world_with_a_known_answer():
    "A small world with a known answer"
    # cell 8, in part
    def small_world(seed=0, n_triplets=3000):
        r = rng(seed)
        half = np.repeat(r.normal(size=(2, 24)), 24, 0)
        group = np.repeat(r.normal(size=(6, 24)), 8, 0)
        human = 1.4*half + group + r.normal(size=(48, 24)) * .6
        own = r.normal(size=(48, 24)) * 2.2
        models = dict(
            base=0.6 * human + own, control=0.6 * human + own + r.normal(size=(48, 24)) * 0.2,
            aligned=0.9 * human + 0.5 * own,
        )
        draw = np.argsort(r.random((n_triplets, 48)), 1)[:, :3]
        p = choice_probs(triplet_sims(human, draw, 'cosine'), tau=.25)
        # the pair drawn, and so the odd one
        odd = np.array([2, 1, 0])[(p.cumsum(1) > r.random((n_triplets, 1))).argmax(1)]
        order = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])[odd]
        triplets = np.take_along_axis(draw, order, 1)
        return (
            {k: v.astype(np.float32) for k, v in models.items()}, triplets,
            choice_probs(triplet_sims(human, triplets, 'cosine'), tau=0.25),
        )
    models, triplets, human_probs = small_world()

    # cell 9
    test_eq((triplets.shape, human_probs.shape), ((3000, 3), (3000, 3)))
    # the observers' choice comes first
    assert human_probs[:, 0].mean() > human_probs[:, 1:].mean()
    test_close(human_probs.sum(1), np.ones(3000), eps=1e-5)


def test_features_that_can_be_scored():
    "Features that can be scored"
    # cell 8, in part
    def small_world(seed=0, n_triplets=3000):
        r = rng(seed)
        half = np.repeat(r.normal(size=(2, 24)), 24, 0)
        group = np.repeat(r.normal(size=(6, 24)), 8, 0)
        human = 1.4*half + group + r.normal(size=(48, 24)) * .6
        own = r.normal(size=(48, 24)) * 2.2
        models = dict(
            base=0.6 * human + own, control=0.6 * human + own + r.normal(size=(48, 24)) * 0.2,
            aligned=0.9 * human + 0.5 * own,
        )
        draw = np.argsort(r.random((n_triplets, 48)), 1)[:, :3]
        p = choice_probs(triplet_sims(human, draw, 'cosine'), tau=.25)
        # the pair drawn, and so the odd one
        odd = np.array([2, 1, 0])[(p.cumsum(1) > r.random((n_triplets, 1))).argmax(1)]
        order = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])[odd]
        triplets = np.take_along_axis(draw, order, 1)
        return (
            {k: v.astype(np.float32) for k, v in models.items()}, triplets,
            choice_probs(triplet_sims(human, triplets, 'cosine'), tau=0.25),
        )
    models, triplets, human_probs = small_world()
    # for the tests
    broken = models['base'].copy()
    broken[7, 3] = np.nan

    # cell 13
    test_eq(check_models(models)['base'].dtype, np.float32)
    test_fail(
        lambda: check_models(dict(base=models['base'], aligned=broken)),
        contains="'aligned': 1 of 48 rows hold NaN or infinity; the first is row 7",
    )
    test_fail(
        lambda: check_models(dict(base=models['base'], aligned=models['aligned'][:40])),
        contains="'aligned' has 40 rows for 48 objects",
    )
    test_fail(lambda: check_features(np.array([['a']])), contains='matrix of numbers')
    test_fail(lambda: check_features(np.ones(3)), contains='shape (3,)')
    test_fail(lambda: check_models({}), contains='no models')


def test_odd_one_out():
    "Odd one out"
    # cell 8, in part
    def small_world(seed=0, n_triplets=3000):
        r = rng(seed)
        half = np.repeat(r.normal(size=(2, 24)), 24, 0)
        group = np.repeat(r.normal(size=(6, 24)), 8, 0)
        human = 1.4*half + group + r.normal(size=(48, 24)) * .6
        own = r.normal(size=(48, 24)) * 2.2
        models = dict(
            base=0.6 * human + own, control=0.6 * human + own + r.normal(size=(48, 24)) * 0.2,
            aligned=0.9 * human + 0.5 * own,
        )
        draw = np.argsort(r.random((n_triplets, 48)), 1)[:, :3]
        p = choice_probs(triplet_sims(human, draw, 'cosine'), tau=.25)
        # the pair drawn, and so the odd one
        odd = np.array([2, 1, 0])[(p.cumsum(1) > r.random((n_triplets, 1))).argmax(1)]
        order = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])[odd]
        triplets = np.take_along_axis(draw, order, 1)
        return (
            {k: v.astype(np.float32) for k, v in models.items()}, triplets,
            choice_probs(triplet_sims(human, triplets, 'cosine'), tau=0.25),
        )
    models, triplets, human_probs = small_world()

    # cell 16, in part
    correct = {name: ooo_correct(X, triplets) for name, X in models.items()}

    # cell 17
    test_close(correct['base'].mean(), ooo_accuracy(models['base'], triplets))
    assert (
        correct['aligned'].mean() > correct['base'].mean() + 0.1
        and abs(correct['control'].mean() - correct['base'].mean()) < 0.05
    )
    # constant features score 0, whatever the rounding
    for kind in SIMILARITIES:
        for c in (0., 1., .1, 1e-3):
            test_eq(
                ooo_correct(
                    np.full((48, 511), c, np.float32) * np.arange(1, 512, dtype=np.float32), triplets,
                    kind,
                ).mean(),
                0.0,
            )
    test_fail(lambda: ooo_correct(models['base'], []), contains='no triplets')
    test_fail(lambda: ooo_correct(models['base'][:40], triplets), contains='outside the set of 40')

    # cell 21
    test_close(best_possible([[.5, .3, .2], [.1, .8, .1]]), .65)
    assert best_possible(human_probs) > correct['aligned'].mean()
    test_fail(lambda: best_possible([[.5, .5]]), contains='shape')
    test_fail(lambda: best_possible([[.9, .5, .2]]), contains='sum to one')


def test_intervals():
    "Intervals"
    # cell 8, in part
    def small_world(seed=0, n_triplets=3000):
        r = rng(seed)
        half = np.repeat(r.normal(size=(2, 24)), 24, 0)
        group = np.repeat(r.normal(size=(6, 24)), 8, 0)
        human = 1.4*half + group + r.normal(size=(48, 24)) * .6
        own = r.normal(size=(48, 24)) * 2.2
        models = dict(
            base=0.6 * human + own, control=0.6 * human + own + r.normal(size=(48, 24)) * 0.2,
            aligned=0.9 * human + 0.5 * own,
        )
        draw = np.argsort(r.random((n_triplets, 48)), 1)[:, :3]
        p = choice_probs(triplet_sims(human, draw, 'cosine'), tau=.25)
        # the pair drawn, and so the odd one
        odd = np.array([2, 1, 0])[(p.cumsum(1) > r.random((n_triplets, 1))).argmax(1)]
        order = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])[odd]
        triplets = np.take_along_axis(draw, order, 1)
        return (
            {k: v.astype(np.float32) for k, v in models.items()}, triplets,
            choice_probs(triplet_sims(human, triplets, 'cosine'), tau=0.25),
        )
    models, triplets, human_probs = small_world()

    # cell 25
    correct = {name: ooo_correct(X, triplets) for name, X in models.items()}
    # some objects are easy, others hard
    few = triplets[:300]
    value = rng(6).random(300) < .5 + rng(5).normal(0, .2, 48)[few].sum(1)
    r = value - value.mean()
    shared = (few[:, None, :, None] == few[None, :, None, :]).any((2, 3))
    test_close(object_influence(value, few)[1]**2, r @ shared @ r / 300**2 * 48/45, eps=1e-9)
    test_close(object_influence(value, few)[0][few[0, 0]], r[(few == few[0, 0]).any(1)].sum(), eps=1e-9)
    # no object is shared: the usual standard error
    apart = np.arange(300).reshape(100, 3)
    test_close(
        object_influence(value[:100], apart)[1], value[:100].std() / 10 * np.sqrt(300 / 297), eps=1e-9
    )

    # cell 30
    lo, hi = bootstrap_ci(correct['base'])
    ref = stats.bootstrap(
        (correct['base'].astype(float),), np.mean, n_resamples=500, method='percentile', rng=0
    ).confidence_interval
    test_close((lo, hi), ref, eps=.003)
    lo2, hi2 = bootstrap_ci(correct['base'], triplets)
    # objects: the wider one
    assert lo2 < lo and hi < hi2
    test_close((hi2 - lo2) / 2 / 1.96, object_influence(correct['base'], triplets)[1], eps=.003)
    test_eq(bootstrap_ci(np.ones(9), triplets[:9]), (1., 1.))
    test_fail(lambda: bootstrap_ci([]), contains='at least one')
    test_fail(lambda: bootstrap_ci([1, 0], triplets[:3]), contains='one value a triplet')

    # cell 32, in part
    def coverage(studies=150, n=60, t=2000, spread=.08):
        hits = np.zeros((studies, 2), bool)
        for s in range(studies):
            r = rng(7, s)
            T = np.argsort(r.random((t, n)), 1)[:, :3]
            hard = r.normal(0, spread, n)
            right = r.random(t) < .5 + hard[T].sum(1)
            for u, which in enumerate([None, T]):
                lo, hi = bootstrap_ci(right, which, n_boot=400)
                hits[s, u] = lo <= .5 <= hi
        return pd.Series(
            hits.mean(0), ['trials', 'objects'], name='share of intervals that hold the truth'
        )
    held = coverage()

    # cell 33
    assert held['trials'] < .7 < .88 < held['objects'] <= 1

    # cell 37
    gain = paired_bootstrap(correct['base'], correct['aligned'], triplets)
    test_close(gain['gain'], correct['aligned'].mean() - correct['base'].mean())
    assert gain['low'] > 0 and gain['p'] < .01
    same = paired_bootstrap(correct['base'], correct['base'], triplets)
    test_eq((same['gain'], same['low'], same['high'], same['p']), (0, 0, 0, 1))
    d = correct['aligned'].astype(float) - correct['base']
    test_close(
        [paired_bootstrap(correct['base'], correct['aligned'])[k] for k in ('low', 'high')],
        stats.ttest_1samp(d, 0).confidence_interval(), eps=0.004,
    )
    test_fail(lambda: paired_bootstrap([1, 0], [1]), contains='same ones')


def test_the_odd_one_out_table():
    "The odd-one-out table"
    global triplets

    # cell 8, in part
    def small_world(seed=0, n_triplets=3000):
        r = rng(seed)
        half = np.repeat(r.normal(size=(2, 24)), 24, 0)
        group = np.repeat(r.normal(size=(6, 24)), 8, 0)
        human = 1.4*half + group + r.normal(size=(48, 24)) * .6
        own = r.normal(size=(48, 24)) * 2.2
        models = dict(
            base=0.6 * human + own, control=0.6 * human + own + r.normal(size=(48, 24)) * 0.2,
            aligned=0.9 * human + 0.5 * own,
        )
        draw = np.argsort(r.random((n_triplets, 48)), 1)[:, :3]
        p = choice_probs(triplet_sims(human, draw, 'cosine'), tau=.25)
        # the pair drawn, and so the odd one
        odd = np.array([2, 1, 0])[(p.cumsum(1) > r.random((n_triplets, 1))).argmax(1)]
        order = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])[odd]
        triplets = np.take_along_axis(draw, order, 1)
        return (
            {k: v.astype(np.float32) for k, v in models.items()}, triplets,
            choice_probs(triplet_sims(human, triplets, 'cosine'), tau=0.25),
        )
    models, triplets, human_probs = small_world()

    # cell 42, in part
    table = odd_one_out_table(
        models, triplets, similarities=('cosine', 'dot'), ceiling=best_possible(human_probs)
    )

    # cell 43
    test_eq(list(table.model), ['base', 'control', 'aligned'] * 2)
    test_close(table.accuracy[2], ooo_accuracy(models['aligned'], triplets))
    test_close(table.of_ceiling[0] * best_possible(human_probs), table.accuracy[0])
    test_eq(table.gain[0], 0.)
    assert (
        table.gain_low[2] > 0 and ((table.low < table.accuracy) & (table.accuracy < table.high)).all()
    )
    test_eq(odd_one_out_table(dict(flat=np.ones((48, 8))), triplets).accuracy.tolist(), [0., 0., 0.])
    test_fail(
        lambda: odd_one_out_table(models, triplets, baseline='bsae'), contains="'bsae' is not among"
    )
    test_fail(
        lambda: odd_one_out_table(dict(a=models['base'], b=models['base'][:9]), triplets),
        contains="'b' has 9 rows",
    )
    test_fail(lambda: odd_one_out_table(models, triplets, unit='trial'), contains='unit must be')
    class Fake: names, triplets = ['a'] * 50, triplets
    test_fail(lambda: odd_one_out_table(models, Fake()), contains='about 50 objects')

    # cell 47, in part
    ax = plot_accuracy(table, ceiling=best_possible(human_probs))

    # cell 48
    test_eq(ax.get_legend_handles_labels()[1], ['base', 'control', 'aligned'])
    test_eq(plot_accuracy(table).get_ylabel(), 'odd-one-out accuracy')
    plt.close('all')


def test_calibration():
    "Calibration"
    # cell 8, in part
    def small_world(seed=0, n_triplets=3000):
        r = rng(seed)
        half = np.repeat(r.normal(size=(2, 24)), 24, 0)
        group = np.repeat(r.normal(size=(6, 24)), 8, 0)
        human = 1.4*half + group + r.normal(size=(48, 24)) * .6
        own = r.normal(size=(48, 24)) * 2.2
        models = dict(
            base=0.6 * human + own, control=0.6 * human + own + r.normal(size=(48, 24)) * 0.2,
            aligned=0.9 * human + 0.5 * own,
        )
        draw = np.argsort(r.random((n_triplets, 48)), 1)[:, :3]
        p = choice_probs(triplet_sims(human, draw, 'cosine'), tau=.25)
        # the pair drawn, and so the odd one
        odd = np.array([2, 1, 0])[(p.cumsum(1) > r.random((n_triplets, 1))).argmax(1)]
        order = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])[odd]
        triplets = np.take_along_axis(draw, order, 1)
        return (
            {k: v.astype(np.float32) for k, v in models.items()}, triplets,
            choice_probs(triplet_sims(human, triplets, 'cosine'), tau=0.25),
        )
    models, triplets, human_probs = small_world()

    # cell 54, in part
    conf4, right4 = [.9, .8, .6, .55], [1, 1, 0, 1]

    # cell 55
    test_close(ece(conf4, right4, bins=2), .0375)
    test_close(ece(conf4, right4, bins=2, mass=True), .1125)
    r = rng(9)
    claim = r.random(4000)
    truth = (r.random(4000) < claim**1.5).astype(int)
    # the same bins in scikit-learn
    for strategy, mass in [('uniform', False), ('quantile', True)]:
        acc, con = calibration_curve(truth, claim, n_bins=10, strategy=strategy)
        d = reliability(claim, truth, 10, mass)
        test_close(d.accuracy.to_numpy(), acc, eps=.004)
        test_close(d.confidence.to_numpy(), con, eps=.004)
    # honest claims, and boastful ones
    assert ece(claim, r.random(4000) < claim) < .03 < ece(claim, truth)
    # one claim only: one bin
    test_eq(ece(np.full(9, 1/3), np.zeros(9), mass=True), 1/3)
    test_fail(lambda: ece([1.2], [1]), contains='between 0 and 1')
    test_fail(lambda: ece([.5, .5], [1]), contains='one each')
    test_fail(lambda: ece([.5], [2]), contains='right or wrong')

    # cell 59
    test_close(brier(conf4, right4), (.1**2 + .2**2 + .6**2 + .45**2) / 4)
    test_close(brier(conf4, right4), brier_score_loss(right4, conf4))
    p3 = choice_probs(rng(10).normal(size=(50, 3)))
    y3 = rng(11).integers(3, size=50)
    test_close(brier(p3, y3), brier_score_loss(y3, p3, labels=[0, 1, 2], scale_by_half=False), eps=1e-6)
    test_fail(lambda: brier(p3, y3[:9]), contains='one class from 0 to 2')

    # cell 63, in part
    taus = {
        kind: fit_temperature(triplet_sims(models['aligned'], triplets, kind)) for kind in SIMILARITIES
    }

    # cell 65
    logits = np.log(human_probs) * .25
    assert .2 < fit_temperature(logits) < .3
    test_close(fit_temperature(logits, human_probs), .25, eps=.002)
    # follows the scale
    test_close(fit_temperature(logits * 1000), fit_temperature(logits) * 1000, eps=.1)
    test_close(
        choice_nll(logits, 0.4),
        log_loss(np.zeros(3000, int), choice_probs(logits, 0.4), labels=[0, 1, 2]), eps=1e-5,
    )
    test_close(choice_nll(np.ones((5, 3))), np.log(3))
    test_eq(fit_temperature(np.ones((5, 3))), 1.)
    assert taus['dot'] > 5 * taus['cosine']
    test_fail(lambda: fit_temperature(np.ones((5, 2))), contains='shape')

    # cell 69, in part
    cal = pd.DataFrame(
        {name: choice_calibration(X, triplets, probs=human_probs) for name, X in models.items()}
    ).T

    # cell 70
    assert (
        cal.nll['aligned'] < cal.nll['base'] < np.log(3)
        and cal.kl['aligned'] < cal.kl['base']
        and (cal.ece < 0.06).all()
    )
    # KL = cross-entropy - entropy
    entropy = -(human_probs * np.log(human_probs)).sum(1).mean()
    given = choice_calibration(models['base'], triplets, tau=.3, probs=human_probs)
    test_close(
        given['kl'],
        choice_nll(triplet_sims(models['base'], triplets, 'cosine'), 0.3, human_probs) - entropy,
        eps=1e-4,
    )
    test_close(
        given['brier'],
        brier_score_loss(
            np.zeros(3000, int), choice_probs(triplet_sims(models['base'], triplets, 'cosine'), 0.3),
            labels=[0, 1, 2], scale_by_half=False,
        ),
        eps=1e-5,
    )
    # the raw dot product boasts
    assert choice_calibration(models['base'], triplets, 'dot', tau=1.)['ece'] > .2
    fit = choice_calibration(models['base'], triplets[:1000], fit_triplets=triplets[1000:])
    test_eq(fit['n'], 1000)
    test_close(fit['tau'], fit_temperature(triplet_sims(models['base'], triplets[1000:], 'cosine')))
    # undecided, like the observers
    shrug = choice_calibration(
        np.eye(3), np.tile([[0, 1, 2]], (40, 1)), tau=1.0, probs=np.full((40, 3), 1 / 3)
    )
    test_close(shrug['kl'], 0, eps=1e-6)
    flat = choice_calibration(np.ones((48, 4)), triplets)
    test_close((flat['accuracy'], flat['nll']), (0, np.log(3)), eps=1e-5)
    test_fail(lambda: choice_calibration(models['base'], triplets[:1]), contains='too few triplets')
    test_fail(
        lambda: choice_calibration(models['base'], triplets, probs=human_probs[:9]), contains='shape'
    )

    # cell 73, in part
    s = triplet_sims(models['aligned'], triplets, 'dot')
    right = is_correct(s)
    claims = {
        'raw': (choice_probs(s).max(1), right),
        'scaled': (choice_probs(s, fit_temperature(s)).max(1), right),
    }
    ax = plot_reliability(claims)

    # cell 74
    test_eq([t.split(',')[0] for t in ax.get_legend_handles_labels()[1]], ['raw', 'scaled'])
    assert ece(*claims['scaled']) < .05 < .2 < ece(*claims['raw'])


def test_few_shot_probes():
    "Few-shot probes"
    # cell 8
    groups = np.repeat(['birds', 'fish', 'mammals', 'clothes', 'tools', 'vehicles'], 8)
    def small_world(seed=0, n_triplets=3000):
        r = rng(seed)
        half = np.repeat(r.normal(size=(2, 24)), 24, 0)
        group = np.repeat(r.normal(size=(6, 24)), 8, 0)
        human = 1.4*half + group + r.normal(size=(48, 24)) * .6
        own = r.normal(size=(48, 24)) * 2.2
        models = dict(
            base=0.6 * human + own, control=0.6 * human + own + r.normal(size=(48, 24)) * 0.2,
            aligned=0.9 * human + 0.5 * own,
        )
        draw = np.argsort(r.random((n_triplets, 48)), 1)[:, :3]
        p = choice_probs(triplet_sims(human, draw, 'cosine'), tau=.25)
        # the pair drawn, and so the odd one
        odd = np.array([2, 1, 0])[(p.cumsum(1) > r.random((n_triplets, 1))).argmax(1)]
        order = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])[odd]
        triplets = np.take_along_axis(draw, order, 1)
        return (
            {k: v.astype(np.float32) for k, v in models.items()}, triplets,
            choice_probs(triplet_sims(human, triplets, 'cosine'), tau=0.25),
        )
    models, triplets, human_probs = small_world()
    # for the tests
    broken = models['base'].copy()
    broken[7, 3] = np.nan

    # cell 79
    fitted = fit_probe(models['base'], groups, Cs=(.01, 1.), seed=3)
    r = rng(3, 62)
    val = np.concatenate([r.permutation(np.flatnonzero(groups == g))[:2] for g in np.unique(groups)])
    fit = np.setdiff1d(np.arange(48), val)
    def by_hand(C, tr, te):
        scale = StandardScaler().fit(models['base'][tr])
        return (
            LogisticRegression(C=C, max_iter=1000)
            .fit(scale.transform(models['base'][tr]), groups[tr])
            .predict(scale.transform(models['base'][te]))
        )
    scores = {C: (by_hand(C, fit, val) == groups[val]).mean() for C in (.01, 1.)}
    best = .01 if scores[.01] >= scores[1.] else 1.
    test_eq(fitted[-1].C, best)
    test_eq(fitted.predict(models['base']), by_hand(best, np.arange(48), np.arange(48)))
    test_fail(lambda: fit_probe(models['base'], np.zeros(48, int)), contains='at least two classes')

    # cell 86, in part
    shots = pd.concat([few_shot_probe(X, groups, k=3).assign(model=name) for name, X in models.items()])

    # cell 87
    one = few_shot_probe(models['base'], groups, k=3, draws=2, seed=4)
    test_eq(one, few_shot_probe(models['base'], groups, k=3, draws=2, seed=4))
    test_eq((one.n_train[0], one.n_test[0]), (18, 30))
    assert (
        shots[shots.model == 'aligned'].accuracy.mean() > shots[shots.model == 'base'].accuracy.mean()
    )
    # equal classes: the two agree
    test_close(one.accuracy, one.balanced)
    tr = _draw_shots(groups, np.arange(48), 3, rng(4, 63, 0))
    te = np.setdiff1d(np.arange(48), tr)
    probe = fit_probe(models['base'][tr], groups[tr], seed=4)
    test_close(one.accuracy[0], probe.score(models['base'][te], groups[te]))
    held_out = few_shot_probe(models['base'], groups, k=3, draws=2, test_idx=np.arange(0, 48, 2))
    test_eq(held_out.n_test.tolist(), [24, 24])
    shuffled = rng(5).permutation(groups)
    # labels without meaning cannot be learnt: chance is 1/6
    assert few_shot_probe(models['aligned'], shuffled, k=5).accuracy.mean() < .45

    # cell 88
    uneven = np.where(np.arange(48) == 0, 'platypus', groups)
    test_fail(lambda: few_shot_probe(models['base'], uneven, k=5), contains='platypus (1)')
    test_fail(lambda: few_shot_probe(models['base'], groups, k=8), contains='at least 9 images a class')
    test_fail(
        lambda: few_shot_probe(models['base'], np.array(['bird'] * 48)), contains='at least two classes'
    )
    test_fail(lambda: few_shot_probe(broken, groups), contains='NaN')
    test_fail(
        lambda: few_shot_probe(models['base'], groups[:9]), contains='one label for each of the 48 rows'
    )
    test_fail(
        lambda: few_shot_probe(models['base'], uneven, test_idx=[0, 9]),
        contains='classes without training images',
    )

    # cell 92, in part
    line = {
        name: X * np.r_[np.ones(12), np.full(12, 0.3)].astype(np.float32)
        + rng(8).normal(0, 0.4, X.shape).astype(np.float32)
        for name, X in models.items()
    }
    both = {name: np.concatenate([models[name], line[name]]) for name in models}
    y2, style, thing = np.tile(groups, 2), np.repeat(['colour', 'line'], 48), np.tile(np.arange(48), 2)
    cross = pd.concat(
        [
            cross_style_probe(X, y2, style, thing, k=4, draws=4).assign(model=name)
            for name, X in both.items()
        ]
    )

    # cell 93
    # 6 classes x (8 - 4) objects, within and across
    test_eq(len(cross), 3 * 2 * 4 * 2)
    test_eq(set(cross.n_test), {24})
    within = cross[(cross.model == 'base') & (cross.train == 'colour') & (cross.test == 'colour')]
    test_close(
        within.accuracy.to_numpy(),
        few_shot_probe(models['base'], groups, k=4, draws=4).accuracy.to_numpy(),
    )
    # the second style a mere copy, objects not named
    leaky = cross_style_probe(np.concatenate([models['base']] * 2), y2, style, k=4, draws=2)
    # memory, and it shows
    assert (
        leaky[leaky.train != leaky.test].accuracy.min()
        > leaky[leaky.train == leaky.test].accuracy.max()
    )
    test_fail(
        lambda: cross_style_probe(models['base'], groups, np.array(['colour'] * 48)),
        contains='needs two styles',
    )
    test_fail(
        lambda: cross_style_probe(both['base'], y2, style, thing, k=8), contains="in style 'colour'"
    )


def test_similarity_structure():
    "Similarity structure"
    # cell 8, in part
    groups = np.repeat(['birds', 'fish', 'mammals', 'clothes', 'tools', 'vehicles'], 8)
    def small_world(seed=0, n_triplets=3000):
        r = rng(seed)
        half = np.repeat(r.normal(size=(2, 24)), 24, 0)
        group = np.repeat(r.normal(size=(6, 24)), 8, 0)
        human = 1.4*half + group + r.normal(size=(48, 24)) * .6
        own = r.normal(size=(48, 24)) * 2.2
        models = dict(
            base=0.6 * human + own, control=0.6 * human + own + r.normal(size=(48, 24)) * 0.2,
            aligned=0.9 * human + 0.5 * own,
        )
        draw = np.argsort(r.random((n_triplets, 48)), 1)[:, :3]
        p = choice_probs(triplet_sims(human, draw, 'cosine'), tau=.25)
        # the pair drawn, and so the odd one
        odd = np.array([2, 1, 0])[(p.cumsum(1) > r.random((n_triplets, 1))).argmax(1)]
        order = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])[odd]
        triplets = np.take_along_axis(draw, order, 1)
        return (
            {k: v.astype(np.float32) for k, v in models.items()}, triplets,
            choice_probs(triplet_sims(human, triplets, 'cosine'), tau=0.25),
        )
    models, triplets, human_probs = small_world()

    # cell 97, in part
    living = np.arange(48) < 24
    # 0 same group, 1 same half, 2 other half
    taxonomy = 2. - np.equal.outer(groups, groups) - np.equal.outer(living, living)

    # cell 98
    X = models['base']
    test_close(rdm(X), squareform(pdist(X, 'cosine')), eps=1e-4)
    test_close(rdm(X, 'dot'), squareform(pdist(X, 'sqeuclidean')), eps=1e-2)
    test_close(rdm(X, 'centred'), squareform(pdist(X - X.mean(0), 'cosine')), eps=1e-4)
    # the scale does not matter
    test_close(rsa(rdm(X), rdm(X)), 1.)
    test_close(rsa(rdm(X), rdm(3 * X)), 1., eps=1e-4)
    test_close(
        rsa(rdm(X), rdm(models['aligned'])),
        stats.spearmanr(pdist(X, 'cosine'), pdist(models['aligned'], 'cosine')).statistic, eps=1e-3,
    )
    assert rsa(rdm(models['aligned']), taxonomy) > rsa(rdm(X), taxonomy)
    assert np.isnan(rsa(rdm(np.ones((5, 2))), rdm(X[:5])))
    test_fail(lambda: rsa(rdm(X), rdm(X[:9])), contains='same size')
    test_fail(lambda: rsa(rdm(X[:2]), rdm(X[:2])), contains='three objects')

    # cell 100
    try: from rsatoolbox import data as rsa_data, rdm as rsa_rdm
    except ImportError: rsa_data = rsa_rdm = None

    # cell 101, in part
    def against_rsatoolbox():
        "Largest differences of matrices and of their comparison between rsatoolbox and this page"
        if rsa_rdm is None:
            print('skipped: pip install rsatoolbox to compare')
            return []
        theirs = {
            n: {
                m: rsa_rdm.calc_rdm(rsa_data.Dataset(Y.astype(np.float64)), method=m)
                for m in ('correlation', 'euclidean')
            }
            for n, Y in models.items()
        }
        ours = {
            n: dict(correlation=rdm(Y - Y.mean(1, keepdims=True)), euclidean=rdm(Y, 'dot') / Y.shape[1])
            for n, Y in models.items()
        }
        gaps = [
            float(np.abs(theirs[n][m].get_matrices()[0] - ours[n][m]).max())
            for n in models
            for m in ours[n]
        ]
        a, b = (theirs[n]['correlation'] for n in list(models)[:2])
        return gaps + [
            abs(
                float(rsa_rdm.compare(a, b, method='spearman')[0, 0])
                - rsa(*(ours[n]['correlation'] for n in list(models)[:2]))
            )
        ]

    gaps = against_rsatoolbox()

    # cell 102
    assert all(g < 1e-3 for g in gaps)

    # cell 111
    def polygon(i, px=40):
        im = Image.new('RGB', (px, px), 'white')
        shade = tuple(int(v) for v in rng(12, i).integers(40, 200, 3))
        ImageDraw.Draw(im).regular_polygon(
            (px / 2, px / 2, px * 0.45), 3 + i // 8, rotation=int(rng(13, i).integers(90)), fill=shade
        )
        return im
    thumbs = [polygon(i) for i in range(48)]

    # cell 112, in part
    fig = plot_rdms({'base': models['base'], 'aligned': models['aligned']}, groups, thumbs)

    # cell 113
    ims = [a.images[0] for a in fig.axes[:2]]
    # one scale
    test_eq([i.get_clim() for i in ims], [(0, 100)] * 2)
    test_eq([t.get_text() for t in fig.axes[0].get_yticklabels()], list(dict.fromkeys(groups)))
    shown = ims[1].get_array()
    inside = np.equal.outer(groups, groups) & ~np.eye(48, dtype=bool)
    assert shown[inside].mean() < shown[~np.equal.outer(groups, groups)].mean() - 20
    # shuffled rows end up in the same blocks
    mixed = rng(14).permutation(48)
    im2 = plot_rdm(
        rdm(models['aligned'])[np.ix_(mixed, mixed)], groups[mixed], order=list(dict.fromkeys(groups))
    )
    assert im2.get_array()[inside].mean() == shown[inside].mean()
    raw = plot_rdm(rdm(models['base']), groups, ranks=False, vmax=2.)
    test_eq(raw.get_clim(), (0, 2))
    plt.close('all')
    test_fail(lambda: plot_rdm(rdm(models['base']), groups[:9]), contains='9 groups for 48 objects')
    plt.close('all')

    # cell 120, in part
    at0, at1, disparity = map_2d(models['base'], models['aligned'], 'tsne')

    # cell 121
    X = models['base']
    turn = np.linalg.qr(rng(15).normal(size=(24, 24)))[0]
    # a rotation of the features is no change
    a, b, same = map_2d(X, X @ turn, 'pca')
    test_close(same, 0, eps=1e-4)
    test_close(a, b, eps=1e-3)
    test_close(np.linalg.norm(at0), np.linalg.norm(at1), eps=1e-4)
    # another number of dimensions
    test_eq(map_2d(X, models['aligned'][:, :10])[1].shape, (48, 2))
    spread = lambda at: np.mean([at[groups == g].std(0).mean() for g in set(groups)]) / at.std(0).mean()
    # the groups come together
    assert spread(at1) < spread(at0)
    # the same seed, the same map
    test_eq(map_2d(X, models['aligned'], 'tsne')[1], at1)
    test_fail(lambda: map_2d(X, X, 'mds'), contains='choose one of')
    test_fail(lambda: map_2d(X[:4], X[:4]), contains='at least 5')
    test_fail(lambda: map_2d(X, np.ones((48, 3))), contains="'after' are the same")
    test_fail(lambda: map_2d(X, X[:9]), contains="'after' has 9 rows")
    if importlib.util.find_spec('umap') is None:
        test_fail(lambda: map_2d(X, X, 'umap'), contains='pip install umap-learn')

    # cell 125, in part
    fig = plot_map(at0, at1, thumbs, groups)

    # cell 126
    ax0, ax1 = fig.axes[:2]
    test_eq(len(fig.legends[0].get_texts()), 6)
    test_eq(ax0.get_xlim(), ax1.get_xlim())
    assert 10 < len(ax0.artists) <= 48
    fig = plot_map(at0, at1, lines=True)
    test_eq((len(fig.axes[0].lines), len(fig.axes[1].lines), len(fig.legends)), (0, 48, 0))
    plt.close('all')

    # cell 129, in part
    near = {name: neighbours(X, np.arange(48), 3) for name, X in models.items()}

    # cell 130
    for kind, metric in [('cosine', 'cosine'), ('dot', 'euclidean')]:
        ref = (
            NearestNeighbors(n_neighbors=4, metric=metric)
            .fit(models['base'])
            .kneighbors(models['base'], return_distance=False)[:, 1:]
        )
        test_eq(neighbours(models['base'], np.arange(48), 3, kind), ref)
    assert (groups[near['aligned']] == groups[:, None]).mean() > (
        groups[near['base']] == groups[:, None]
    ).mean()
    test_fail(lambda: neighbours(models['base'], [48]), contains='rows from 0 to 47')
    test_fail(lambda: neighbours(models['base'], [0], k=48), contains='between 1 and 47')

    # cell 133, in part
    fig = plot_neighbours(
        {'base': models['base'], 'aligned': models['aligned']}, [1, 10, 19, 28, 41], thumbs, groups
    )

    # cell 134
    ticks = [sum(t.get_text() == '✓' for ax in fig.axes for t in ax.texts)]
    want = sum(
        (groups[neighbours(models[m], [1, 10, 19, 28, 41])] == groups[[1, 10, 19, 28, 41], None]).sum()
        for m in ('base', 'aligned')
    )
    test_eq(ticks[0], want)


def test_seeds():
    "Seeds"
    # cell 8, in part
    def small_world(seed=0, n_triplets=3000):
        r = rng(seed)
        half = np.repeat(r.normal(size=(2, 24)), 24, 0)
        group = np.repeat(r.normal(size=(6, 24)), 8, 0)
        human = 1.4*half + group + r.normal(size=(48, 24)) * .6
        own = r.normal(size=(48, 24)) * 2.2
        models = dict(
            base=0.6 * human + own, control=0.6 * human + own + r.normal(size=(48, 24)) * 0.2,
            aligned=0.9 * human + 0.5 * own,
        )
        draw = np.argsort(r.random((n_triplets, 48)), 1)[:, :3]
        p = choice_probs(triplet_sims(human, draw, 'cosine'), tau=.25)
        # the pair drawn, and so the odd one
        odd = np.array([2, 1, 0])[(p.cumsum(1) > r.random((n_triplets, 1))).argmax(1)]
        order = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])[odd]
        triplets = np.take_along_axis(draw, order, 1)
        return (
            {k: v.astype(np.float32) for k, v in models.items()}, triplets,
            choice_probs(triplet_sims(human, triplets, 'cosine'), tau=0.25),
        )

    # cell 138, in part
    runs = []
    for seed in range(3):
        m, t, _ = small_world(seed, 1000)
        runs.append(odd_one_out_table(m, t, similarities=('cosine',), n_boot=10).assign(seed=seed))
    runs = pd.concat(runs)
    summary = summarise_seeds(runs, baseline=dict(model='base'))

    # cell 139
    base, aligned = (runs[runs.model == m].accuracy.to_numpy() for m in ('base', 'aligned'))
    row = summary.set_index('model').loc['aligned']
    test_close((row['mean'], row.sd), (aligned.mean(), aligned.std(ddof=1)))
    test_close(row['values'], aligned)
    test_close(
        (row.gain_low, row.gain_high), stats.ttest_rel(aligned, base).confidence_interval(), eps=1e-9
    )
    # several draws a seed do not count as seeds
    twice = pd.concat([runs, runs])
    test_close(summarise_seeds(twice).sd, summary.sd)
    two_keys = summarise_seeds(
        pd.concat([runs.assign(part='a'), runs.assign(part='b', accuracy=runs.accuracy / 2)]),
        by=['part', 'model'], baseline=dict(model='base'),
    )
    test_close(two_keys[two_keys.part == 'b'].gain.to_numpy(), summary.gain.to_numpy() / 2)
    assert np.isnan(summarise_seeds(runs[runs.seed == 0], baseline=dict(model='base')).gain_low).all()
    test_fail(lambda: summarise_seeds(runs.drop(columns='seed')), contains="lacks the columns ['seed']")
    test_fail(
        lambda: summarise_seeds(runs[~((runs.model == 'base') & (runs.seed == 1))]),
        contains='not every setting',
    )
    test_fail(lambda: summarise_seeds(runs, baseline=dict(model='bsae')), contains='bsae')


def test_the_report():
    "The report"
    # cell 8, in part
    groups = np.repeat(['birds', 'fish', 'mammals', 'clothes', 'tools', 'vehicles'], 8)
    def small_world(seed=0, n_triplets=3000):
        r = rng(seed)
        half = np.repeat(r.normal(size=(2, 24)), 24, 0)
        group = np.repeat(r.normal(size=(6, 24)), 8, 0)
        human = 1.4*half + group + r.normal(size=(48, 24)) * .6
        own = r.normal(size=(48, 24)) * 2.2
        models = dict(
            base=0.6 * human + own, control=0.6 * human + own + r.normal(size=(48, 24)) * 0.2,
            aligned=0.9 * human + 0.5 * own,
        )
        draw = np.argsort(r.random((n_triplets, 48)), 1)[:, :3]
        p = choice_probs(triplet_sims(human, draw, 'cosine'), tau=.25)
        # the pair drawn, and so the odd one
        odd = np.array([2, 1, 0])[(p.cumsum(1) > r.random((n_triplets, 1))).argmax(1)]
        order = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])[odd]
        triplets = np.take_along_axis(draw, order, 1)
        return (
            {k: v.astype(np.float32) for k, v in models.items()}, triplets,
            choice_probs(triplet_sims(human, triplets, 'cosine'), tau=0.25),
        )
    models, triplets, human_probs = small_world()

    # cell 144
    test_eq(
        _markdown('a `**x**` *b* **c**'), '<p>a <code>**x**</code> <em>b</em> <strong>c</strong></p>'
    )
    test_eq(_markdown('- a\n- b\n\nc\nd'), '<ul><li>a</li><li>b</li></ul><p>c d</p>')
    assert '<script' not in _markdown('<script>alert(1)</script>') and 'href' not in _markdown(
        '[x](javascript:alert(1))'
    )
    test_eq(_markdown('snake_case and 2 * 3 * 4'), '<p>snake_case and 2 * 3 * 4</p>')

    # cell 149, in part
    frame = pd.DataFrame(
        dict(model=['base', '<b>'], n=[12000, 3], gain=[0.12345, np.nan], values=[(0.1, 0.2), (0.3,)])
    )

    # cell 150
    test_eq(
        re.findall(r'<td[^>]*>([^<]*)</td>', _table(frame)),
        ['base', '12,000', '0.123', '0.100 0.200', '&lt;b&gt;', '3', '–', '0.300'],
    )
    test_eq(_table(frame.set_index('model')), _table(frame))
    test_eq(
        [_cell(v, 3)[0] for v in (0.0, -0.00067, 1e-7, 123456789.0, True, None)],
        ['0.000', '-0.001', '1e-07', '1.2e+08', 'yes', '–'],
    )
    test_eq(
        _flat(frame.pivot_table(index='model', columns='n', values=['gain'])).columns.tolist(),
        ['model', 'gain 12000'],
    )

    # cell 167, in part
    table = odd_one_out_table(models, triplets, similarities=('cosine', 'dot'))
    fig = plot_rdms({'base': models['base'], 'aligned': models['aligned']}, groups)
    report = (
        Report('A small world, **aligned**', subtitle='48 invented objects, six groups')
        .note('The observers of this world are *simulated*.')
        .heading('Odd one out')
        .table(table, 'Accuracy, 95 % intervals over objects', name='odd_one_out')
        .figure(fig, 'Two heat maps; blocks appear after alignment', 'Dissimilarity by rank')
        .text(
            'The control stays where the base is:\n\n- so the gain is due to the teacher\n- and not to the training'
        )
    )

    # cell 169
    class Page(HTMLParser):
        def __init__(self, page):
            super().__init__()
            self.stack, self.tags, self.words = [], [], []
            self.feed(page)
        def handle_starttag(self, tag, attrs):
            self.tags.append((tag, dict(attrs)))
            if tag not in ('meta', 'img', 'br'): self.stack.append(tag)
        def handle_endtag(self, tag): test_eq(self.stack.pop(), tag)
        def handle_data(self, data): self.words.append(data)
    def check_page(page):
        p = Page(page)
        test_eq(p.stack, [])
        names = {t for t, _ in p.tags}
        assert (
            not names & {'script', 'link', 'iframe', 'object'}
            and 'url(' not in page
            and '@import' not in page
        )
        for t, a in p.tags:
            if t == 'img': assert a['src'].startswith('data:image/png;base64,') and a['alt'].strip()
            else: assert 'src' not in a
        return p

    # cell 170
    with tempfile.TemporaryDirectory() as d:
        page = report.to_html(Path(d)/'out'/'report.html')
        report.to_json(Path(d)/'results.json')
        test_eq((Path(d)/'out'/'report.html').read_text(encoding='utf-8'), page)
        results = read_json(Path(d)/'results.json')
        # nothing half-written is left
        test_eq(sorted(p.name for p in Path(d).rglob('*.*')), ['report.html', 'results.json'])
        (Path(d)/'file').write_text('x')
        test_fail(lambda: report.to_html(Path(d)/'file'/'report.html'), contains='choose another path')
    p = check_page(page)
    words = ''.join(p.words)
    assert (
        'A small world, aligned' in words
        and 'simulated' in words
        and f'{table.accuracy[2]:.3f}' in words
        and ('meta', 'viewport') in [(t, a.get('name')) for t, a in p.tags]
    )
    pic = Image.open(
        io.BytesIO(base64.b64decode(next(a for t, a in p.tags if t == 'img')['src'].split(',')[1]))
    )
    assert pic.width > 600
    test_close(
        [r['accuracy'] for r in results['tables']['odd_one_out']], table.accuracy.to_numpy(), eps=1e-9
    )
    test_eq(results['figures'][0]['caption'], 'Dissimilarity by rank')
    test_eq(json.loads(report.to_json()), results)

    # cell 171
    odd = Report(
        '<img src=x>', tables={'a "b" <c>': frame, 'a <b> c': frame},
        figures={'"alt" <x>': Image.new('RGB', (4, 4))}, notes=['<b>'],
    )
    q = check_page(odd.to_html())
    test_eq(sum(t == 'img' for t, _ in q.tags), 1)
    test_eq(next(a for t, a in q.tags if t == 'img')['alt'], '"alt" <x>')
    test_eq(list(odd.to_dict()['tables']), ['a_b_c', 'a_b_c_2'])
    assert odd.to_dict()['tables']['a_b_c'][1]['gain'] is None
    test_fail(lambda: report.figure(Image.new('RGB', (4, 4)), ' '), contains='alternative text')
    test_fail(lambda: report.table([1, 2]), contains='DataFrame')


def test_a_whole_world_at_once():
    "A whole world at once"
    # cell 181, in part
    folder = tempfile.TemporaryDirectory()
    world = offline_world(Path(folder.name)/'32', size=32, n_objects=140, n_triplets=80_000)
    code = pd.get_dummies(world.items[['group', 'subgroup']].astype(str)).to_numpy(np.float32)
    def made_up(noise, seed):
        return world.images.names, code + rng(seed).normal(0, noise, code.shape).astype(np.float32)
    results = evaluate_world(
        world, dict(base=made_up(0.5, 1), aligned=made_up(0.2, 2)), k=3, draws=2,
        similarities=('cosine', 'dot'),
    )

    # cell 182
    test_eq(list(results), ['odd_one_out', 'calibration', 'few_shot', 'notes'])
    test_eq(len(results['odd_one_out']), 4)
    split = world.splits(0)
    held = world.judgements.restrict(split.test)
    test_eq(results['odd_one_out'].n[0], len(held))
    test_close(
        results['odd_one_out'].accuracy[0],
        ooo_accuracy(world.object_features(*made_up(0.5, 1), objects=split.test), held.triplets),
    )
    test_close(
        results['odd_one_out'].accuracy[0] / results['odd_one_out'].of_ceiling[0],
        is_correct(_with_truth(world).restrict(split.test).probs).mean(), eps=1e-6,
    )
    assert (
        results['odd_one_out'].gain_low[1] > 0
        and results['calibration'].nll[1] < results['calibration'].nll[0]
        and 'SIMULATED' in results['notes'].note[0]
    )
    test_eq(
        set(zip(results['few_shot'].train, results['few_shot'].test)),
        {(a, b) for a in ('colour', 'line') for b in ('colour', 'line')},
    )
    assert 'temperatures' not in ' '.join(
        results['notes'].note
    ) and 'judged under the temperature' in ' '.join(
        evaluate_world(
            world, dict(base=made_up(0.5, 1)), k=3, draws=1, similarities=('cosine',), n_boot=50,
            fit_objects=split.dev[:5],
        )['notes'].note
    )
    # a dictionary says the same
    names, Z = made_up(.5, 1)
    alone = evaluate_world(
        world, dict(base=dict(zip(names, Z))), k=3, draws=2, similarities=('cosine',), n_boot=50
    )
    test_close(
        alone['few_shot'].accuracy.to_numpy(),
        results['few_shot'].accuracy[: len(alone['few_shot'])].to_numpy(),
    )
    assert 'few_shot' not in evaluate_world(
        world, dict(base=(names, Z)), k=40, similarities=('cosine',), n_boot=50
    )
    test_fail(lambda: evaluate_world(world, dict(base=(names[1:], Z))), contains='one name')
    test_fail(lambda: evaluate_world(world, dict(base=(names[:9], Z[:9]))), contains='are missing')
    test_fail(
        lambda: evaluate_world(world, dict(base=(names, Z)), objects=split.dev),
        contains='both scored and used',
    )
    test_fail(lambda: evaluate_world(world, {}), contains='no models')


def test_real_people_real_features():
    "Real people, real features"
    # cell 184
    if os.environ.get('ALIGNET_DATA'):
        things = things_world()
        part = things.splits(0)
        clip = things_matrix('clip', things.objects)
        rows = np.array([things.objects.index(o) for o in part.teacher])
        asked, p = triplets_from_embedding(things.embedding[rows], 20_000)
        teacher = Teacher.fit(clip[rows], asked, p)
        chance = Teacher.fit(clip[rows][rng(0).permutation(len(rows))], asked, p)
        files = things.photos()
        feats = dict(
            base=(files, clip), control=(files, chance.transform(clip)),
            aligned=(files, teacher.transform(clip)),
        )
        labelled = things.items[things.items.scored & things.items.object.isin(part.test)].assign(
            style='photo'
        )
        people = evaluate_world(things, feats, items=labelled, k=3, ceiling=.6722)
        display(
            people['odd_one_out'].round(3),
            people['calibration'][['model', 'kind', 'tau', 'accuracy', 'ece', 'ece_mass', 'nll']].round(
                3
            ),
        )
        display(people['few_shot'].groupby('model', sort=False).accuracy.agg(['mean', 'std']).round(3))
    else: print('skipped: set ALIGNET_DATA to the folder with the real data')

    # cell 186
    if os.environ.get('ALIGNET_DATA'):
        row = people['odd_one_out'].set_index(['model', 'kind']).loc
        assert (
            row['aligned', 'cosine'].gain_low > 0 > row['control', 'cosine'].gain
            and row['base', 'cosine'].accuracy > 0.4
        )
        nll = people['calibration'].set_index(['model', 'kind']).nll
        assert nll['aligned', 'cosine'] < min(nll['base', 'cosine'], nll['control', 'cosine'])
