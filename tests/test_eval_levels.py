"""Tests of `alignet.eval.levels`.

Generated from nbs/eval/levels.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import pytest
import json
from pathlib import Path
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from alignet.core import *
from alignet.data import ImageSet, Judgements
from alignet.evaluation import bootstrap_ci
import tempfile
from IPython.display import display
from fastcore.test import test_eq, test_close, test_fail
from alignet.eval.levels import *
from alignet.eval.levels import _NOTEBOOK, _NOTES, _grid

NOTEBOOK = 'nbs/eval/levels.ipynb'     # a test runs in the folder of its notebook


def test_simulated_people_with_a_known_mind():
    "Simulated people with a known mind"
    # cell 15, in part
    levels, mind, truth = simulated_levels()

    # cell 16
    test_eq(levels.simulated, True)
    test_eq(levels.summary().triplets.tolist(), [120, 120, 120, 360])
    test_eq(len(levels), 1800)
    words = [f.split('_')[0] for f in levels.files]
    classes = np.array([len({words[i] for i in t}) for t in levels.judgements.triplets])
    test_eq((levels.kinds == 'coarse').tolist(), (classes == 3).tolist())
    test_eq((levels.kinds == 'fine').tolist(), (classes == 1).tolist())
    test_fail(
        lambda: Levels(levels.judgements, levels.times[1:], levels.kinds),
        contains='times must have the shape',
    )
    test_fail(
        lambda: Levels(levels.judgements, levels.times, np.full(1800, 'rough')), contains="'rough'"
    )
    test_fail(lambda: Levels(levels.judgements, -levels.times, levels.kinds), contains='negative')
    test_fail(
        lambda: Levels(Judgements([[0, 1, 2]], list('abc')), [1.0], ['fine']), contains='who answered'
    )


def test_the_files():
    "The files"
    # cell 15, in part
    levels, mind, truth = simulated_levels()

    # cell 26, in part
    def write_levels(levels, folder, lines=False):
        "Sessions in the published layout"
        t, s, r = levels.judgements.triplets, levels.judgements.subjects, rng(5)
        where = 'stimuli/photos/'
        called = dict(coarse='between_class', boundary='class_boundary', fine='within_class')
        for p in np.unique(s):
            own = dict(subject_id=f'participant_{p % 50}', prolific_id=f'secret{p}', OS='Linux')
            screens = [own | dict(trial_type='survey', rt=5000, response=dict(Gender='-', Age='33'))]
            def trial(names, odd, rt, kind, sort):
                return own | dict(
                    trial_type='html-keyboard-response', image1Path=names[0], image2Path=names[1],
                    image3Path=names[2], selected_image=odd, rt=rt, exp_trial_type=sort,
                    triplet_class=kind,
                    catch_trial_correct=(bool(p % 7) if sort == 'catch_trial' else None),
                )
            a = [where + levels.files[i] for i in t[s == p][0]]
            screens += [
                trial(a, a[0], 900, None, 'training_trial'), trial(a, a[2], 800, None, 'catch_trial'),
                trial(a, 'No image selected', None, 'within_class', 'exp_trial'),
            ]
            for k in np.flatnonzero(s == p):
                a = [where + levels.files[i] for i in t[k]]
                shown = [a[i] for i in r.permutation(3)]
                screens.append(
                    trial(
                        shown, a[2], float(levels.times[k] * 1000), called[levels.kinds[k]], 'exp_trial'
                    )
                )
            Path(folder, f'2024-04-{p:02d}.json').write_text(
                '\n'.join(map(json.dumps, screens)) if lines else json.dumps(screens)
            )

    def answers_of(l):
        return sorted(
            (tuple(sorted(l.files[i] for i in t[:2])), l.files[t[2]], k, round(float(x), 3))
            for t, k, x in zip(l.judgements.triplets, l.kinds, l.times)
        )

    with tempfile.TemporaryDirectory() as d:
        write_levels(levels, d)
        back = load_levels(d)
        folder_of = Path(d).name

    # cell 27
    # 60 people, though there are only 50 ids
    test_eq(answers_of(back), answers_of(levels))
    test_eq(back.summary().people['all'], 60)
    everything = json.dumps(
        [
            back.judgements.names, back.judgements.source, back.left_out,
            back.judgements.subjects.tolist(),
        ]
    )
    assert 'secret' not in everything and 'participant' not in everything
    test_eq(back.left_out, {'training and catch trials': 120, 'no answer': 60})
    with tempfile.TemporaryDirectory() as d:
        write_levels(levels, d, lines=True)
        test_eq(answers_of(load_levels(d)), answers_of(levels))
        few = load_levels(d, max_catch_errors=0, max_time=4.)
        # people 0, 7, ..., 56 failed
        assert (
            few.times.max() <= 4
            and few.summary().people['all'] == 51
            and few.left_out['people who failed catch trials'] > 0
        )
        test_fail(lambda: load_levels(d, unit='s'), contains="Give unit='ms'")
        test_fail(lambda: load_levels(d, columns=dict(picture='x')), contains="'picture'")
        test_fail(
            lambda: load_levels(d, columns=dict(choice='answer')), contains='the fields for choice'
        )
        test_fail(lambda: load_levels(d, unit='min'), contains="'ms' or 's'")
        Path(d, 'more.json').write_text('{')
        test_fail(lambda: load_levels(d), contains='neither JSON')
    with tempfile.TemporaryDirectory() as d:
        test_fail(lambda: load_levels(d), contains='Get it: https')
        test_fail(lambda: load_levels(Path(d)/'x'), contains='does not exist')

    # cell 29
    own = pd.DataFrame(
        [
            ['dog1', 'dog2', 'cat', 3, 1.2, 'kim', 'class boundary'],
            ['dog1', 'cat', 'bus', 3, 2.2, 'kim', 'coarse'],
            ['dog1', 'cat', 'bus', 1, 3.0, 'lee', 'coarse'],
        ],
        columns=['p', 'q', 'r', 'odd', 'sec', 'who', 'level'],
    )
    mapped = dict(image1='p', image2='q', image3='r', time='sec', person='who', kind='level')
    with tempfile.TemporaryDirectory() as d:
        own.to_csv(f'{d}/own.csv', index=False)
        mine = load_levels(f'{d}/own.csv', mapped, unit='s')
        print(mine.judgements, mine.kinds)
        for change, text in (
            (dict(odd=[4, 1, 2]), 'nor a position'), (dict(odd=[1, 1, 2]), 'nor a position'),
            (dict(level=['', 'coarse', 'coarse']), 'kind of 1 triplets'),
            (dict(q=['dog1', 'cat', 'cat']), 'one picture twice'),
            (dict(odd=['', '', '']), 'nobody answered'), (dict(who=['', '', '']), 'who answered'),
        ):
            own.assign(**change).to_csv(f'{d}/bad.csv', index=False)
            test_fail(lambda: load_levels(f'{d}/bad.csv', mapped, unit='s'), contains=text)

    # cell 30
    test_eq([mine.files[t[2]] for t in mine.judgements.triplets], ['cat', 'bus', 'dog1'])
    test_eq(mine.kinds.tolist(), ['boundary', 'coarse', 'coarse'])
    test_eq(mine.judgements.subjects.tolist(), [0, 0, 1])
    wn = pd.DataFrame(
        [
            [
                f'a/n00000001_{k}.JPEG', f'a/n0000000{c}_7.JPEG', f'a/n0000000{d}_8.JPEG',
                f'a/n0000000{c}_7.JPEG', 1500 + k, 'kim', 'within_class',
            ]
            for k, (c, d) in enumerate([(1, 1), (1, 2), (2, 3)])
        ],
        columns=['image1', 'image2', 'image3', 'selected_image', 'rt', 'subject_id', 'triplet_class'],
    )
    with tempfile.TemporaryDirectory() as d:
        wn.to_csv(f'{d}/wn.csv', index=False)
        folder = ImageSet(
            '.',
            [
                f'train/{o}/{o}_{k}.JPEG'
                for o in ('n00000001', 'n00000002', 'n00000003')
                for k in range(9)
            ],
        )
        got = load_levels(f'{d}/wn.csv', images=folder)
        # the names of the files are believed
        test_eq(got.kinds.tolist(), ['fine', 'boundary', 'coarse'])
        test_eq(got.left_out, {'(used, but called another kind in the file)': 2})
        test_eq(got.images.names, got.files)
        assert 'train/n00000001/n00000001_0.JPEG' in got.files and all(
            got.files[t[2]].endswith('_7.JPEG') for t in got.judgements.triplets
        )
        test_close(got.times, [1.5, 1.501, 1.502], eps=1e-6)
        test_fail(
            lambda: load_levels(f'{d}/wn.csv', images=folder.subset(folder.names[:9])),
            contains='are not in the folder',
        )


def test_what_people_say_to_each_question():
    "What people say to each question"
    # cell 35, in part
    hand = Levels(
        Judgements(
            [[0, 1, 2]] * 3 + [[1, 2, 0]] + [[0, 2, 3]] * 2 + [[2, 3, 0]] * 2,
            ['dog', 'wolf', 'cat', 'bus'], subjects=[0, 1, 2, 3] * 2,
        ),
        [1, 2, 4, 8, 2, 2, 2, 2],
        ['boundary'] * 4 + ['coarse'] * 4,
    )
    h = level_questions(hand, centre=False)

    # cell 36
    test_eq(h['counts'].tolist(), [[1, 0, 3], [2, 0, 2]])
    test_close(h['agreement'], [.75, 0])
    test_close(h['share'], [.75, .5])
    test_eq(h['majority'].tolist(), [2, -1])
    test_close(h['entropy'], [-.75 * np.log(.75) - .25 * np.log(.25), np.log(2)])
    test_close(h['time'], [np.log([1, 2, 4, 8]).mean(), np.log(2)], eps=1e-6)
    c = level_questions(hand)['time']
    own = np.log([[1, 2], [2, 2], [4, 2], [8, 2]])
    test_close(c, (own - own.mean(1, keepdims=True)).mean(0), eps=1e-6)
    test_fail(lambda: level_questions(hand, least=5), contains='the most is 4')
    test_fail(
        lambda: level_questions(
            Levels(hand.judgements, hand.times, ['fine'] + ['boundary'] * 3 + ['coarse'] * 4)
        ),
        contains='1 questions are of one kind',
    )


def test_a_models_choices_and_its_hesitation():
    "A model's choices and its hesitation"
    # cell 15, in part
    levels, mind, truth = simulated_levels()

    # cell 26, in part
    def write_levels(levels, folder, lines=False):
        "Sessions in the published layout"
        t, s, r = levels.judgements.triplets, levels.judgements.subjects, rng(5)
        where = 'stimuli/photos/'
        called = dict(coarse='between_class', boundary='class_boundary', fine='within_class')
        for p in np.unique(s):
            own = dict(subject_id=f'participant_{p % 50}', prolific_id=f'secret{p}', OS='Linux')
            screens = [own | dict(trial_type='survey', rt=5000, response=dict(Gender='-', Age='33'))]
            def trial(names, odd, rt, kind, sort):
                return own | dict(
                    trial_type='html-keyboard-response', image1Path=names[0], image2Path=names[1],
                    image3Path=names[2], selected_image=odd, rt=rt, exp_trial_type=sort,
                    triplet_class=kind,
                    catch_trial_correct=(bool(p % 7) if sort == 'catch_trial' else None),
                )
            a = [where + levels.files[i] for i in t[s == p][0]]
            screens += [
                trial(a, a[0], 900, None, 'training_trial'), trial(a, a[2], 800, None, 'catch_trial'),
                trial(a, 'No image selected', None, 'within_class', 'exp_trial'),
            ]
            for k in np.flatnonzero(s == p):
                a = [where + levels.files[i] for i in t[k]]
                shown = [a[i] for i in r.permutation(3)]
                screens.append(
                    trial(
                        shown, a[2], float(levels.times[k] * 1000), called[levels.kinds[k]], 'exp_trial'
                    )
                )
            Path(folder, f'2024-04-{p:02d}.json').write_text(
                '\n'.join(map(json.dumps, screens)) if lines else json.dumps(screens)
            )

    def answers_of(l):
        return sorted(
            (tuple(sorted(l.files[i] for i in t[:2])), l.files[t[2]], k, round(float(x), 3))
            for t, k, x in zip(l.judgements.triplets, l.kinds, l.times)
        )

    with tempfile.TemporaryDirectory() as d:
        write_levels(levels, d)
        back = load_levels(d)
        folder_of = Path(d).name

    # cell 27, in part
    with tempfile.TemporaryDirectory() as d:
        write_levels(levels, d, lines=True)
        test_eq(answers_of(load_levels(d)), answers_of(levels))
        few = load_levels(d, max_catch_errors=0, max_time=4.)
        # people 0, 7, ..., 56 failed
        assert (
            few.times.max() <= 4
            and few.summary().people['all'] == 51
            and few.left_out['people who failed catch trials'] > 0
        )
        test_fail(lambda: load_levels(d, unit='s'), contains="Give unit='ms'")
        test_fail(lambda: load_levels(d, columns=dict(picture='x')), contains="'picture'")
        test_fail(
            lambda: load_levels(d, columns=dict(choice='answer')), contains='the fields for choice'
        )
        test_fail(lambda: load_levels(d, unit='min'), contains="'ms' or 's'")
        Path(d, 'more.json').write_text('{')
        test_fail(lambda: load_levels(d), contains='neither JSON')

    # cell 39, in part
    people = level_questions(levels)
    choice = model_choices((levels.files, mind), levels, people)
    true_entropy = (
        truth.set_index('triplet').entropy.loc[list(map(tuple, people['triplets'].tolist()))].to_numpy()
    )

    # cell 40
    same = triplet_sims(mind, people['triplets'], 'cosine')
    # lapses make people look a little warmer
    test_close(choice['tau'], .12, eps=.03)
    test_eq(choice['odd'].tolist(), [int(2 - r.argmax()) for r in same])
    test_close(choice['probs'].sum(1), np.ones(360), eps=1e-6)
    exact = model_choices((levels.files, mind), levels, people, tau=.12)
    test_close(exact['probs'][:, 2], choice_probs(same, .12)[:, 0], eps=1e-6)
    test_close(exact['entropy'], true_entropy, eps=1e-5)
    assert (model_choices((levels.files, np.ones((192, 3))), levels, people)['odd'] == -1).all()
    test_fail(lambda: model_choices((levels.files[1:], mind[1:]), levels), contains='are missing')


def test_the_score():
    "The score"
    # cell 15, in part
    levels, mind, truth = simulated_levels()

    # cell 16, in part
    words = [f.split('_')[0] for f in levels.files]

    # cell 26, in part
    def write_levels(levels, folder, lines=False):
        "Sessions in the published layout"
        t, s, r = levels.judgements.triplets, levels.judgements.subjects, rng(5)
        where = 'stimuli/photos/'
        called = dict(coarse='between_class', boundary='class_boundary', fine='within_class')
        for p in np.unique(s):
            own = dict(subject_id=f'participant_{p % 50}', prolific_id=f'secret{p}', OS='Linux')
            screens = [own | dict(trial_type='survey', rt=5000, response=dict(Gender='-', Age='33'))]
            def trial(names, odd, rt, kind, sort):
                return own | dict(
                    trial_type='html-keyboard-response', image1Path=names[0], image2Path=names[1],
                    image3Path=names[2], selected_image=odd, rt=rt, exp_trial_type=sort,
                    triplet_class=kind,
                    catch_trial_correct=(bool(p % 7) if sort == 'catch_trial' else None),
                )
            a = [where + levels.files[i] for i in t[s == p][0]]
            screens += [
                trial(a, a[0], 900, None, 'training_trial'), trial(a, a[2], 800, None, 'catch_trial'),
                trial(a, 'No image selected', None, 'within_class', 'exp_trial'),
            ]
            for k in np.flatnonzero(s == p):
                a = [where + levels.files[i] for i in t[k]]
                shown = [a[i] for i in r.permutation(3)]
                screens.append(
                    trial(
                        shown, a[2], float(levels.times[k] * 1000), called[levels.kinds[k]], 'exp_trial'
                    )
                )
            Path(folder, f'2024-04-{p:02d}.json').write_text(
                '\n'.join(map(json.dumps, screens)) if lines else json.dumps(screens)
            )

    def answers_of(l):
        return sorted(
            (tuple(sorted(l.files[i] for i in t[:2])), l.files[t[2]], k, round(float(x), 3))
            for t, k, x in zip(l.judgements.triplets, l.kinds, l.times)
        )

    with tempfile.TemporaryDirectory() as d:
        write_levels(levels, d)
        back = load_levels(d)
        folder_of = Path(d).name

    # cell 27, in part
    with tempfile.TemporaryDirectory() as d:
        write_levels(levels, d, lines=True)
        test_eq(answers_of(load_levels(d)), answers_of(levels))
        few = load_levels(d, max_catch_errors=0, max_time=4.)
        # people 0, 7, ..., 56 failed
        assert (
            few.times.max() <= 4
            and few.summary().people['all'] == 51
            and few.left_out['people who failed catch trials'] > 0
        )
        test_fail(lambda: load_levels(d, unit='s'), contains="Give unit='ms'")
        test_fail(lambda: load_levels(d, columns=dict(picture='x')), contains="'picture'")
        test_fail(
            lambda: load_levels(d, columns=dict(choice='answer')), contains='the fields for choice'
        )
        test_fail(lambda: load_levels(d, unit='min'), contains="'ms' or 's'")
        Path(d, 'more.json').write_text('{')
        test_fail(lambda: load_levels(d), contains='neither JSON')

    # cell 48, in part
    r = rng(4)
    of_class = np.unique(words, return_inverse=True)[1]
    X = mind - np.stack([mind[of_class == k].mean(0) for k in range(24)])[of_class]
    models = dict(
        mind=mind, classes=np.concatenate([2.5 * np.eye(24)[of_class], 0.4 * X + 0.1 * mind], 1),
        random=r.normal(size=(192, 16)),
    )
    models = {k: (levels.files, v.astype(np.float32)) for k, v in models.items()}
    scores = {k: score_levels(f, levels) for k, f in models.items()}

    # cell 49
    T = {k: s['table'].set_index('measure') for k, s in scores.items()}
    q = level_questions(levels)
    c = model_choices(models['classes'], levels, q)
    test_eq(
        list(scores['mind']['table'].columns),
        ['measure', 'value', 'low', 'high', 'n', 'chance', 'ceiling', 'people'],
    )
    test_eq(len(T['mind']), 16)
    name = {i: f for i, f in enumerate(levels.files)}
    X = models['classes'][1]
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    hits = []
    # answer by answer: five to each question
    for t in levels.judgements.triplets:
        s3 = [X[t[0]] @ X[t[1]], X[t[0]] @ X[t[2]], X[t[1]] @ X[t[2]]]
        hits.append(s3[0] > max(s3[1:]))
    test_close(T['classes'].value['answers: all'], np.mean(hits), eps=1e-9)
    test_close(
        T['classes'].value['answers: fine'], np.mean(np.array(hits)[levels.kinds == 'fine']), eps=1e-9
    )
    clear = (q['majority'] >= 0) & (q['kind'] == 'coarse')
    test_close(T['classes'].value['majority: coarse'], (c['odd'] == q['majority'])[clear].mean())
    test_eq(T['classes'].n['majority: coarse'], clear.sum())
    for k in LEVEL_KINDS:
        on = q['kind'] == k
        test_close(
            T['classes'].value[f'time: {k}'],
            stats.spearmanr(c['entropy'][on], q['time'][on]).statistic, eps=1e-9,
        )
        test_close(
            T['classes'].value[f'disagreement: {k}'],
            stats.spearmanr(c['entropy'][on], q['entropy'][on]).statistic, eps=1e-9,
        )
        test_close(T['mind'].people[f'answers: {k}'], np.mean(q['agreement'][on]))
        test_close(
            T['mind'].people[f'time: {k}'], stats.spearmanr(q['entropy'][on], q['time'][on]).statistic,
            eps=1e-9,
        )
    x = scores['mind']['items']['time: coarse']
    test_close(bootstrap_ci(_grid(x), n_boot=20000), bootstrap_ci(x, n_boot=20000), eps=.005)
    for m, x in scores['mind']['items'].items():
        test_close(x.mean(), T['mind'].value[m], eps=1e-9)
        test_eq(len(x), T['mind'].n[m])

    # cell 51, in part
    v = pd.DataFrame({k: t.value for k, t in T.items()})

    # cell 52
    assert (
        v.mind[[f'answers: {k}' for k in LEVEL_KINDS]]
        > T['mind'].people[[f'answers: {k}' for k in LEVEL_KINDS]]
    ).all() and (T['mind'].value <= T['mind'].ceiling.fillna(1) + 0.05).all()
    assert (
        v.classes['answers: boundary'] > 0.9 * v.mind['answers: boundary']
        and v.classes['answers: coarse'] < v.mind['answers: coarse'] - 0.1
    )
    assert (
        all(
            T['random'].low[f'answers: {k}'] < 1 / 3 < T['random'].high[f'answers: {k}']
            for k in LEVEL_KINDS
        )
        and T['random'].low['time: all'] < 0 < T['random'].high['time: all']
    )
    assert (
        T['mind'].low['time: all'] > 0.3 > v.classes['time: coarse']
        and (v.mind[['disagreement: coarse', 'disagreement: fine']] > 0.3).all()
    )
    # a model without differences
    flat = score_levels((levels.files, np.ones((192, 3))), levels)['table'].set_index('measure')
    test_eq(flat.value['answers: all'], 0.)
    assert np.isnan(flat.value['time: all'])
    # people's own speed is noise
    plain = score_levels(models['mind'], levels, centre=False)['table'].set_index('measure')
    assert (
        plain.value['time: all'] < v.mind['time: all']
        and plain.ceiling['time: all'] < T['mind'].ceiling['time: all']
    )

    # cell 55
    for m in ('majority', 'time', 'disagreement'):
        test_eq(
            [t.get_text().replace('\n', ' ') for t in plot_levels(scores, m).get_xticklabels()],
            list(LEVEL_KINDS.values()),
        )
        plt.close()
    test_fail(lambda: plot_levels(scores, 'speed'), contains="'speed' is not in the tables")

    # cell 58, in part
    fig = plot_hesitation({k: models[k] for k in ('mind', 'random')}, levels)

    # cell 59
    lines = [ax.get_lines()[0].get_ydata() for ax in fig.axes]
    test_eq(len(lines), 3)
    assert all(y[-1] > y[0] for y in lines)


def test_two_models_paired():
    "Two models, paired"
    # cell 15, in part
    levels, mind, truth = simulated_levels()

    # cell 16, in part
    words = [f.split('_')[0] for f in levels.files]

    # cell 26, in part
    def write_levels(levels, folder, lines=False):
        "Sessions in the published layout"
        t, s, r = levels.judgements.triplets, levels.judgements.subjects, rng(5)
        where = 'stimuli/photos/'
        called = dict(coarse='between_class', boundary='class_boundary', fine='within_class')
        for p in np.unique(s):
            own = dict(subject_id=f'participant_{p % 50}', prolific_id=f'secret{p}', OS='Linux')
            screens = [own | dict(trial_type='survey', rt=5000, response=dict(Gender='-', Age='33'))]
            def trial(names, odd, rt, kind, sort):
                return own | dict(
                    trial_type='html-keyboard-response', image1Path=names[0], image2Path=names[1],
                    image3Path=names[2], selected_image=odd, rt=rt, exp_trial_type=sort,
                    triplet_class=kind,
                    catch_trial_correct=(bool(p % 7) if sort == 'catch_trial' else None),
                )
            a = [where + levels.files[i] for i in t[s == p][0]]
            screens += [
                trial(a, a[0], 900, None, 'training_trial'), trial(a, a[2], 800, None, 'catch_trial'),
                trial(a, 'No image selected', None, 'within_class', 'exp_trial'),
            ]
            for k in np.flatnonzero(s == p):
                a = [where + levels.files[i] for i in t[k]]
                shown = [a[i] for i in r.permutation(3)]
                screens.append(
                    trial(
                        shown, a[2], float(levels.times[k] * 1000), called[levels.kinds[k]], 'exp_trial'
                    )
                )
            Path(folder, f'2024-04-{p:02d}.json').write_text(
                '\n'.join(map(json.dumps, screens)) if lines else json.dumps(screens)
            )

    def answers_of(l):
        return sorted(
            (tuple(sorted(l.files[i] for i in t[:2])), l.files[t[2]], k, round(float(x), 3))
            for t, k, x in zip(l.judgements.triplets, l.kinds, l.times)
        )

    with tempfile.TemporaryDirectory() as d:
        write_levels(levels, d)
        back = load_levels(d)
        folder_of = Path(d).name

    # cell 27, in part
    with tempfile.TemporaryDirectory() as d:
        write_levels(levels, d, lines=True)
        test_eq(answers_of(load_levels(d)), answers_of(levels))
        few = load_levels(d, max_catch_errors=0, max_time=4.)
        # people 0, 7, ..., 56 failed
        assert (
            few.times.max() <= 4
            and few.summary().people['all'] == 51
            and few.left_out['people who failed catch trials'] > 0
        )
        test_fail(lambda: load_levels(d, unit='s'), contains="Give unit='ms'")
        test_fail(lambda: load_levels(d, columns=dict(picture='x')), contains="'picture'")
        test_fail(
            lambda: load_levels(d, columns=dict(choice='answer')), contains='the fields for choice'
        )
        test_fail(lambda: load_levels(d, unit='min'), contains="'ms' or 's'")
        Path(d, 'more.json').write_text('{')
        test_fail(lambda: load_levels(d), contains='neither JSON')

    # cell 48, in part
    r = rng(4)
    of_class = np.unique(words, return_inverse=True)[1]
    X = mind - np.stack([mind[of_class == k].mean(0) for k in range(24)])[of_class]
    models = dict(
        mind=mind, classes=np.concatenate([2.5 * np.eye(24)[of_class], 0.4 * X + 0.1 * mind], 1),
        random=r.normal(size=(192, 16)),
    )
    models = {k: (levels.files, v.astype(np.float32)) for k, v in models.items()}
    scores = {k: score_levels(f, levels) for k, f in models.items()}

    # cell 49, in part
    T = {k: s['table'].set_index('measure') for k, s in scores.items()}
    X = models['classes'][1]
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    hits = []
    # answer by answer: five to each question
    for t in levels.judgements.triplets:
        s3 = [X[t[0]] @ X[t[1]], X[t[0]] @ X[t[2]], X[t[1]] @ X[t[2]]]
        hits.append(s3[0] > max(s3[1:]))

    # cell 51, in part
    v = pd.DataFrame({k: t.value for k, t in T.items()})

    # cell 62, in part
    gain = compare_levels(scores['classes'], scores['mind'])

    # cell 63
    assert gain.low['answers: coarse'] > .1 and gain.low['time: coarse'] > 0
    test_close(gain.gain, (v.mind - v.classes)[gain.index], eps=1e-9)
    same = compare_levels(scores['mind'], scores['mind'])
    assert (same[['gain', 'low', 'high']] == 0).all(axis=None)
    test_fail(lambda: compare_levels(scores['mind'], dict(items={})), contains='share no measure')
    test_fail(
        lambda: compare_levels(scores['mind'], score_levels(models['mind'], levels[:900], n_boot=10)),
        contains='different questions',
    )


@pytest.mark.slow
def test_two_models_paired_slow():
    "Two models, paired"
    # cell 65
    big, big_mind, _ = simulated_levels(people=400, per_kind=900, seed=0)
    value = (
        score_levels((big.files, big_mind), big, n_boot=10, centre=False)['table']
        .set_index('measure')
        .value
    )
    keys = ['time: coarse', 'time: fine', 'answers: coarse', 'answers: fine']
    bq = np.sort(big.judgements.triplets, 1)
    inside, r = [], rng(6)
    _, which = np.unique(bq, axis=0, return_inverse=True)
    which = which.ravel()
    kind_of = np.empty(which.max() + 1, big.kinds.dtype)
    kind_of[which] = big.kinds
    for _ in range(100):
        pick = np.concatenate(
            [r.choice(np.flatnonzero(kind_of == k), 60, replace=False) for k in LEVEL_KINDS]
        )
        part = big[np.isin(which, pick)]
        t = score_levels((big.files, big_mind), part, n_boot=400, centre=False)['table'].set_index(
            'measure'
        )
        inside.append((t.low[keys] <= value[keys]) & (value[keys] <= t.high[keys]))
    covered = pd.DataFrame(inside).mean()
    assert covered.between(.88, 1).all()
    display(covered.rename('covered').to_frame())


def test_what_was_published():
    "What was published"
    # cell 69
    assert (
        LEVELS_PUBLISHED.source.isin([_NOTES, _NOTEBOOK]).all()
        and LEVELS_PUBLISHED.kind.isin([*LEVEL_KINDS, 'all']).all()
        and 'second-hand' in _NOTES
    )
