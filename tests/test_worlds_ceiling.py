"""Tests of `alignet.worlds.ceiling`.

Generated from nbs/worlds/ceiling.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import numpy as np
from alignet.core import *
from alignet.data import *
import itertools
import os
from fastcore.test import test_eq, test_close, test_fail
from sklearn.model_selection import LeaveOneOut
from alignet.worlds.ceiling import *

NOTEBOOK = 'nbs/worlds/ceiling.ipynb'     # a test runs in the folder of its notebook


def test_answers_to_the_same_question():
    "Answers to the same question"
    # cell 11, in part
    # the first question four times, the second twice
    fruit = np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 2, 1], [0, 1, 3], [3, 1, 0], [1, 2, 3]])
    questions, counts = answer_counts(fruit)

    # cell 12
    test_eq(questions, [[0, 1, 2], [0, 1, 3]])
    test_eq(counts, [[1, 1, 2], [1, 0, 1]])
    # nobody gets lost
    test_eq(answer_counts(fruit, least=1)[1].sum(), len(fruit))


def test_two_bounds():
    "Two bounds"
    # cell 11, in part
    # the first question four times, the second twice
    fruit = np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 2, 1], [0, 1, 3], [3, 1, 0], [1, 2, 3]])

    # cell 17
    test_close(leave_one_out(fruit)[:6], [1/3, 1/3, 0, 0, 0, 0])
    assert np.isnan(leave_one_out(fruit)[6])
    # her own other answer does not count
    assert np.isnan(leave_one_out(fruit[:2], subjects=['eve', 'eve'])).all()
    test_close(leave_one_out(fruit[:2], subjects=['eve', 'ada']), [1, 1])

    def loop(t, who):
        out = np.full(len(t), np.nan)
        for rest, (i,) in LeaveOneOut().split(t):
            said = [int(t[r, 2]) for r in rest if set(t[r]) == set(t[i]) and who[r] != who[i]]
            if said:
                best = max(map(said.count, said))
                modes = {c for c in said if said.count(c) == best}
                out[i] = (t[i, 2] in modes) / len(modes)
        return out

    r = rng(0)
    some = np.array(
        [r.permutation(list(itertools.combinations(range(5), 3))[k]) for k in r.integers(10, size=150)]
    )
    who = r.integers(9, size=150)
    for a in (who, np.arange(150)): np.testing.assert_allclose(leave_one_out(some, a), loop(some, a))
    np.testing.assert_allclose(leave_one_out(some), loop(some, np.arange(150)))
    test_fail(lambda: leave_one_out(fruit, [1, 2]), contains='subjects must have 7 entries')


def test_from_agreement_safe_bounds_and_an_estimate():
    "From agreement: safe bounds, and an estimate"
    # cell 23
    # against a million draws from the law itself
    for a in (.2, 1., 5.):
        draws = rng(1).dirichlet([a]*3, 1_000_000)
        test_close(dirichlet_ceiling((draws**2).sum(1).mean()), draws.max(1).mean(), 2e-3)
    # a = 1: the longest of three pieces of a broken stick
    test_close(dirichlet_ceiling(.5), 11/18, 1e-3)
    p = np.array([.6, .3, .1])
    draws = rng(2).multinomial(3, p, 200_000)
    # without bias, from three answers
    test_close(pair_agreement(draws).mean(), (p**2).sum(), 3e-3)
    test_eq(dirichlet_ceiling(1.), 1.)
    test_eq(dirichlet_ceiling(.2), CHANCE)
    # any people: the bounds hold
    for P in (
        rng(3).dirichlet([0.3] * 3, 5000), rng(3).dirichlet([4, 1, 1], 5000),
        np.repeat([[1, 0, 0], [1 / 3] * 3], 2500, 0),
    ):
        lo, hi = agreement_bounds((P**2).sum(1).mean())
        assert lo <= P.max(1).mean() <= hi
    # and the upper one is reached
    test_close(agreement_bounds(.6**2 + 2*.2**2)[1], .6)
    # half clear, half guessed: the ceiling is 2/3, the model says more
    assert dirichlet_ceiling((np.repeat([[1, 0, 0], [1/3]*3], 2500, 0)**2).sum(1).mean()) > 2/3 + .08


def test_noise_ceiling():
    "`noise_ceiling`"
    # cell 31, in part
    names = [f'o{i}' for i in range(30)]
    unit = lambda k: (lambda x: (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))(
        rng(4, k).normal(size=(30, 3))
    )
    parts = {b: unit(i) for i, b in enumerate(OBSERVER_WEIGHTS)}
    asked, truth = simulate_judgements(parts, names, 400, n_observers=1, n_answers=1, tau=2., seed=1)
    true_ceiling = truth.max(1).mean()

    def put(times, seed=0): # (400 * times, 3) answers drawn from the known probabilities
        t, p = np.repeat(asked.triplets, times, 0), np.repeat(truth, times, 0)
        # 0: the last is odd, 1: the middle, 2: the first
        odd = (rng(seed, times).random((len(t), 1)) > p.cumsum(1)[:, :2]).sum(1)
        return np.take_along_axis(t, np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[odd], 1)

    found = {k: noise_ceiling(put(k), draws=400) for k in (2, 3, 5, 10, 20)}

    # cell 33
    for o in found.values():
        assert (
            o.lower < true_ceiling + 0.03
            and o.upper > true_ceiling - 0.03
            and o.lower < o.estimate < o.upper + 0.02
        )
    assert [o.upper for o in found.values()] == sorted(
        (o.upper for o in found.values()), reverse=True
    ) and found[20].upper - found[20].lower < 0.05 < found[3].upper - found[3].lower
    test_close([o.estimate for o in found.values()], true_ceiling, .05)
    inside = [
        o.intervals.low['agreement'] < (truth**2).sum(1).mean() < o.intervals.high['agreement']
        for s in range(40)
        for o in [noise_ceiling(put(3, s + 1), draws=300)]
    ]
    # a 95 % interval; questions here are fixed, so it covers even more often
    assert np.mean(inside) >= .9
    # each question by one person
    same = np.arange(400 * 3) // 3
    test_fail(lambda: noise_ceiling(put(3), subjects=same), contains='repeated questions')
    test_fail(lambda: noise_ceiling(asked), contains='pooled already')
    # two people who guess, and answer everything twice, each the same way
    r = rng(6)
    q = np.sort(np.array([r.choice(30, 3, replace=False) for _ in range(300)]), axis=1)
    guess = lambda s: np.take_along_axis(
        q, np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[rng(7, s).integers(3, size=300)], 1
    )
    eve, ada = guess(1), guess(2)
    pair = noise_ceiling(
        np.concatenate([eve, eve, ada, ada]), subjects=np.repeat(['eve', 'ada'], 600), draws=300
    )
    # nobody agrees with herself here
    assert abs(pair.agreement - 1/3) < .09 and abs(pair.lower - 1/3) < .09 and pair.estimate < .55
    half = np.concatenate(
        [
            np.repeat(q[:150], 4, 0),
            np.take_along_axis(
                np.repeat(q[150:], 4, 0),
                np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[r.integers(3, size=600)], 1,
            ),
        ]
    )
    # half clear, half guessed
    mixed = noise_ceiling(half, draws=300)
    assert mixed.possible[0] - .03 < 2/3 < mixed.possible[1] and mixed.estimate > 2/3 + .03
    test_fail(lambda: noise_ceiling([[0, 1, 2], [0, 1, 3]]), contains='none of the 2 answers')


def test_an_accuracy_as_a_share_of_the_ceiling():
    "An accuracy as a share of the ceiling"
    # cell 31, in part
    names = [f'o{i}' for i in range(30)]
    unit = lambda k: (lambda x: (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))(
        rng(4, k).normal(size=(30, 3))
    )
    parts = {b: unit(i) for i, b in enumerate(OBSERVER_WEIGHTS)}
    asked, truth = simulate_judgements(parts, names, 400, n_observers=1, n_answers=1, tau=2., seed=1)

    def put(times, seed=0): # (400 * times, 3) answers drawn from the known probabilities
        t, p = np.repeat(asked.triplets, times, 0), np.repeat(truth, times, 0)
        # 0: the last is odd, 1: the middle, 2: the first
        odd = (rng(seed, times).random((len(t), 1)) > p.cumsum(1)[:, :2]).sum(1)
        return np.take_along_axis(t, np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[odd], 1)

    found = {k: noise_ceiling(put(k), draws=400) for k in (2, 3, 5, 10, 20)}

    # cell 37
    test_close(share_of_ceiling([1/3, .6722])['above chance'], [0, 1], 1e-9)
    test_close(share_of_ceiling(.57)['share'][0], .57/.6722)
    s = share_of_ceiling(.5, found[3])
    assert s.low[0] < s['above chance'][0] < s.high[0]
    test_fail(lambda: share_of_ceiling(.5, .2), contains='between chance')


def test_answers_that_were_tidied_up():
    "Answers that were tidied up"
    # cell 31, in part
    names = [f'o{i}' for i in range(30)]
    unit = lambda k: (lambda x: (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))(
        rng(4, k).normal(size=(30, 3))
    )
    parts = {b: unit(i) for i, b in enumerate(OBSERVER_WEIGHTS)}
    asked, truth = simulate_judgements(parts, names, 400, n_observers=1, n_answers=1, tau=2., seed=1)
    true_ceiling = truth.max(1).mean()

    def put(times, seed=0): # (400 * times, 3) answers drawn from the known probabilities
        t, p = np.repeat(asked.triplets, times, 0), np.repeat(truth, times, 0)
        # 0: the last is odd, 1: the middle, 2: the first
        odd = (rng(seed, times).random((len(t), 1)) > p.cumsum(1)[:, :2]).sum(1)
        return np.take_along_axis(t, np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[odd], 1)

    # cell 39, in part
    tidy = np.unique(put(5), axis=0)
    try: noise_ceiling(tidy)
    except AlignetError as e: print(e)

    # cell 40
    test_fail(lambda: noise_ceiling(tidy), contains='not one row occurs twice')
    ruined = noise_ceiling(tidy, check=False, draws=50)
    # what it would have said
    assert ruined.upper < true_ceiling - .1 and ruined.estimate < true_ceiling - .2


def test_real_people():
    "Real people"
    # cell 11, in part
    # the first question four times, the second twice
    fruit = np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 2, 1], [0, 1, 3], [3, 1, 0], [1, 2, 3]])
    questions, counts = answer_counts(fruit)

    # cell 42
    if os.environ.get('ALIGNET_DATA'):
        concepts, t = things_choices()
        counts = answer_counts(t)[1]
        print(
            'answers to a repeated question:',
            dict(zip(*map(np.ndarray.tolist, np.unique(counts.sum(1), return_counts=True)))),
        )
        print(
            f'rows {len(t):,}, different rows {len(np.unique(t, axis=0)):,}; of the {int((counts.sum(1) == 6).sum())} questions with six answers, {int((counts[counts.sum(1) == 6] == 2).all(1).sum())} have two for each choice'
        )
        try: noise_ceiling(t)
        except AlignetError as e: print(e)
    else: print('skipped: set ALIGNET_DATA to the folder with the real data')

    # cell 43
    if os.environ.get('ALIGNET_DATA'):
        test_fail(lambda: noise_ceiling(t), contains='not one row occurs twice')
        assert len(counts) > 500
