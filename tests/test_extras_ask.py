"""Tests of `alignet.extras.ask`.

Generated from nbs/extras/ask.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import base64
import contextlib
import io
import math
import os
from pathlib import Path
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image
from alignet.core import *
from alignet.data import *
from alignet.labels import PseudoLabels
from alignet.teacher import Teacher
from alignet.evaluation import fit_temperature
import json
import multiprocessing
import shutil
import tempfile
from fastcore.test import test_eq, test_close, test_fail, test_ne
from scipy.stats import chisquare, entropy, binomtest
from unittest.mock import patch as patch_anything
from alignet.extras.ask import *
from alignet.extras.ask import _HEADER, _Log, _Questions, _SIDES, _possible, _random_questions, _read_log, _rows_of

NOTEBOOK = 'nbs/extras/ask.ipynb'     # a test runs in the folder of its notebook


def test_what_to_ask():
    "What to ask"
    # cell 8, in part
    world = offline_world()
    objects = [
        o
        for g in ('Animals & Nature', 'Food & Drink', 'Travel & Places')
        for o in sorted(set(world.objects) & set(world.items.object[world.items.group == g]))[:14]
    ]
    pictures = world.images.subset(world.photos(objects))

    # cell 19, in part
    def toy_features(n, groups, seed=0):
        "Features around a centre for each group"
        r = rng(seed, 1)
        centre = 3*r.normal(size=(len(set(groups)), 8))
        code = pd.factorize(pd.Series(groups))[0]
        return (centre[code] + r.normal(size=(n, 8))).astype(np.float32)

    group = world.items.set_index('object').group.loc[lambda s: ~s.index.duplicated()]
    groups = group[objects].tolist()
    X = toy_features(len(objects), groups)
    code = np.arange(len(objects))

    def deal(n, sampling, **kw):
        "The first `n` questions"
        q, asked, out = _Questions(pictures.names, code, sampling, 0, features=X, **kw), set(), []
        for i in range(n):
            t = q.draw(i, asked)
            out.append(t)
            asked.add(tuple(sorted(t)))
        return np.array(out)

    unsure = Teacher(.25*np.eye(8))
    dealt = {
        k: deal(100, k, teacher=unsure, **kw)
        for k, kw in dict(random={}, cluster=dict(clusters=3), uncertain={}).items()
    }
    ask = pd.DataFrame(
        {
            k: {
                'different groups in a question': np.mean([len({groups[i] for i in r}) for r in t]),
                "teacher's entropy, nats": question_entropy(unsure.transform(X), t).mean(),
            }
            for k, t in dealt.items()
        }
    ).T.round(2)

    # cell 20
    for k, t in dealt.items(): test_eq(len({tuple(sorted(r)) for r in t.tolist()}), 100)                                  # none twice
    test_eq({len({groups[i] for i in r}) for r in dealt['cluster']}, {2})
    test_eq({len({groups[i] for i in r}) for r in dealt['random']}, {1, 2, 3})
    sure = ask["teacher's entropy, nats"]
    assert sure['uncertain'] > sure['random'] + .1
    # scipy's
    p = choice_probs(triplet_sims(unsure.transform(X), dealt['random'], 'dot'))
    test_close(question_entropy(unsure.transform(X), dealt['random']), entropy(p, axis=1), eps=1e-5)
    # a longer series begins like a short one
    test_eq(deal(30, 'random'), deal(60, 'random')[:30])
    test_eq(deal(30, 'cluster', clusters=3), deal(60, 'cluster', clusters=3)[:30])
    # three of six objects, two pictures each
    test_eq(_possible(code), math.comb(len(code), 3))
    pairs = np.repeat(np.arange(6), 2)
    test_eq(_possible(pairs), 20*8)
    test_eq(len(list(_random_questions(pairs, 0))), 160)
    few = [next(o) for o in [_random_questions(np.arange(200), 3)] for _ in range(50)]
    test_eq(len(few), 50)
    test_fail(
        lambda: deal(1, 'vague'),
        contains="sampling 'vague' is not known; choose one of random, cluster, uncertain",
    )
    test_fail(lambda: deal(1, 'uncertain'), contains='needs teacher=')
    test_fail(lambda: _Questions(pictures.names, code, 'cluster', 0), contains='needs features=')
    test_fail(lambda: _rows_of(X[:5], pictures.names), contains='one row for each of the 42 pictures')
    hole = X.copy()
    hole[7, 2] = np.nan
    test_fail(lambda: _rows_of(hole, pictures.names), contains=f"first that of '{pictures.names[7]}'")
    test_fail(
        lambda: _rows_of(dict(zip(pictures.names[1:], X)), pictures.names),
        contains=f"first '{pictures.names[0]}'",
    )
    test_eq(_rows_of(dict(zip(pictures.names[::-1], X)), pictures.names), X[::-1])


def test_a_record_that_loses_nothing():
    "A record that loses nothing"
    # cell 28, in part
    def row_of(log, trial, odd='left', shown=('a', 'b', 'c'), **kw):
        "A row for tests"
        cells = dict(
            zip(
                ('left', 'middle', 'right', 'left_file', 'middle_file', 'right_file'),
                [*shown, *(f'{o}.png' for o in shown)],
            )
        )
        return (
            dict(
                time='2026-01-01T00:00:00.000+00:00',
                session=log.session,
                trial=trial,
                odd=odd,
                rt='1.25',
                catch=0,
                annotator=log.annotator,
                setting='seed=0',
                **cells
            )
            | kw
        )

    with tempfile.TemporaryDirectory() as d:
        a, b = _Log(Path(d)/'both.csv', 'p01'), _Log(Path(d)/'both.csv', 'p02')
        a.append(row_of(a, 1))
        b.append(row_of(b, 1, 'right', ('d', 'b, or c', 'a')))
        a.append(row_of(a, 2, 'middle'))
        b.take_back()
        b.append(row_of(b, 1, 'left', ('d', 'b, or c', 'a')))
        text = (Path(d)/'both.csv').read_text()
        with contextlib.chdir(d) if hasattr(contextlib, 'chdir') else contextlib.nullcontext():
            plain = Judgements.from_table(
                'both.csv', columns=['left', 'middle', 'right'], odd='odd', subjects='annotator',
                drop=True,
            )

    # cell 29
    test_eq(
        [[plain.names[i] for i in t] for t in plain.triplets],
        [['b', 'c', 'a'], ['a', 'c', 'b'], ['b, or c', 'a', 'd']],
    )
    test_eq(plain.subjects, [0, 0, 1])
    test_eq(text.count('-----,'), 1)
    test_eq([(r['trial'], r['odd']) for r in b.live], [(1, 'left')])
    test_eq([r['odd'] for r in b.rows], ['-----', 'left'])

    # cell 31
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'torn.csv'
        log = _Log(f, 'p01')
        log.append(row_of(log, 1, shown=('a', 'b "2"', 'ü')))
        log.append(row_of(log, 2, 'right', shown=('a', 'b, "2"', 'ü')))
        whole = f.read_bytes()
        cut = whole.rstrip(b'\n').rfind(b'\n') + 1
        table = lambda: Judgements.from_table(
            f, columns=['left', 'middle', 'right'], odd='odd', drop=True
        )
        for n in range(cut + 1, len(whole)):
            f.write_bytes(whole[:n])
            with contextlib.redirect_stdout(io.StringIO()):
                again = _Log(f, 'p01')
                again.append(row_of(again, 2, 'middle', shown=('a', 'b "2"', 'ü')))
            assert len(again.told) == 1 and 'its last line was torn off' in again.told[0], again.told
            test_eq([(r['trial'], r['odd']) for r in _Log(f, 'p01').live], [(1, 'left'), (2, 'middle')])
            if n % 7 == 0:
                with contextlib.redirect_stdout(io.StringIO()): test_eq(len(table()), 2)
        f.write_bytes(_HEADER[:20])
        test_fail(lambda: _Log(f, 'p01'), contains='is not a record of OddOneOut')
        test_eq(f.read_bytes(), _HEADER[:20])
        # a file of others is not touched
        f.write_text('my,own,table\n1,2,3')
        test_fail(lambda: _Log(f, 'p01'), contains="its first line is 'my,own,table'")
        test_eq(f.read_text(), 'my,own,table\n1,2,3')
        # went through a spreadsheet
        f.write_bytes(b'\xef\xbb\xbf' + whole.replace(b'\n', b'\r\n'))
        log = _Log(f, 'p01')
        test_eq(len(log.live), 2)
        log.take_back()
        test_eq([r['odd'] for r in _Log(f, 'p01').rows], ['left', '-----'])
        test_fail(
            lambda: _Log(Path(d) / 'new' / 'a.csv', 'p01'),
            contains=f"make it with Path('{Path(d)/'new'}').mkdir()",
        )
        test_fail(lambda: _Log(Path(d)/'x'/'y'/'a.csv', 'p01'), contains='check the path')
        os.chmod(f, 0o444)
        folder = Path(d)/'all'
        folder.mkdir()
        test_eq(_Log(folder, 'dr. who/1').path, folder/'dr._who_1.csv')
        if os.geteuid() if hasattr(os, 'geteuid') else True:
            test_fail(lambda: _Log(f, 'p01'), contains='cannot write the record')
        test_fail(lambda: _Log(f/'below.csv', 'p01'), contains='of the record does not exist')
        (folder/'d.csv').mkdir()
        test_eq(_Log(folder/'d.csv', 'p01').path.name, 'p01.csv')

    # cell 33
    def half_write(fd, data, write=os.write):
        return write(fd, data[:len(data)//2] if data.startswith(b'2026') else data)

    with tempfile.TemporaryDirectory() as d:
        log = _Log(Path(d)/'full.csv', 'p01')
        log.append(row_of(log, 1))
        with patch_anything.object(os, 'write', half_write):
            test_fail(
                lambda: log.append(row_of(log, 2)),
                contains='is the disk full?); this answer is not kept',
            )
        test_eq(len(log.live), 1)
        log.append(row_of(log, 2, 'right'))
        test_eq(
            [(r['trial'], r['odd']) for r in _Log(Path(d) / 'full.csv', 'p01').live],
            [(1, 'left'), (2, 'right')],
        )
        log.take_back()
        test_eq([r['odd'] for r in _Log(Path(d)/'full.csv', 'p01').rows], ['left', '-----'])

    # cell 35
    def _hammer(path, who):
        "Write fifty answers and take ten of them back"
        log = _Log(path, who)
        for k in range(50):
            log.append(row_of(log, k + 1, _SIDES[k % 3], ('a', 'b', 'c'*(1 + k*40))))
            if k % 5 == 0: log.take_back()

    def together(path, *who):
        "Run `_hammer` in processes of their own"
        jobs = [
            multiprocessing.get_context('fork').Process(target=_hammer, args=(path, o)) for o in who
        ]
        for j in jobs: j.start()
        for j in jobs: j.join()
        return [j.exitcode for j in jobs]

    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'all.csv'
        test_eq(together(f, 'p0', 'p1', 'p2', 'p3'), [0]*4)
        rows, broken, torn = _read_log(f.read_bytes(), f)
        test_eq((len(rows), broken, torn), (200, [], b''))
        for i in range(4):
            mine = [r for r in rows if r['annotator'] == f'p{i}']
            test_eq([r['trial'] for r in mine], range(1, 51))
            test_eq(
                [r['odd'] for r in mine],
                [(lambda o: '-' * len(o) if k % 5 == 0 else o)(_SIDES[k % 3]) for k in range(50)],
            )
        one, two = _Log(f, 'me'), _Log(f, 'me')
        one.append(row_of(one, 1))
        test_fail(
            lambda: two.append(row_of(two, 1)),
            contains="'me' has answered in another widget or notebook",
        )


def test_oddoneout():
    "`OddOneOut`"
    # cell 8, in part
    world = offline_world()
    objects = [
        o
        for g in ('Animals & Nature', 'Food & Drink', 'Travel & Places')
        for o in sorted(set(world.objects) & set(world.items.object[world.items.group == g]))[:14]
    ]
    pictures = world.images.subset(world.photos(objects))

    # cell 19, in part
    def toy_features(n, groups, seed=0):
        "Features around a centre for each group"
        r = rng(seed, 1)
        centre = 3*r.normal(size=(len(set(groups)), 8))
        code = pd.factorize(pd.Series(groups))[0]
        return (centre[code] + r.normal(size=(n, 8))).astype(np.float32)

    group = world.items.set_index('object').group.loc[lambda s: ~s.index.duplicated()]
    groups = group[objects].tolist()
    X = toy_features(len(objects), groups)

    # cell 77
    group_of = dict(zip(objects, groups))

    def taxonomist(shown, r):
        "Position of the one that belongs to another group than the two others; by lot where there is none"
        g = [(o, group_of[o]) for o in shown]
        alone = [i for i in range(3) if shown.count(shown[i]) == 1]
        if len(alone) == 1: return alone[0]                                      # a catch trial: the other two are the same picture
        alone = [i for i in range(3) if sum(b == g[i][1] for _, b in g) == 1]
        return alone[0] if len(alone) == 1 else int(r.integers(3))

    def run(w, n=None, annotate=taxonomist):
        "Let the simulated annotator answer `n` trials, or all that are left"
        r = rng(w.n_done, 5)
        for _ in range(w.n_trials - w.n_done if n is None else n):
            w.answer(annotate(w.trial['shown'], r), rt=.6 + float(r.gamma(2, .4)))
        return w

    def asker(path, **kw):
        return OddOneOut(
            pictures, path, names=objects, simulated=True, **dict(annotator='p01', n=40) | kw
        )

    # cell 78, in part
    home = tempfile.TemporaryDirectory()
    w = run(asker(Path(home.name)/'first.csv'), 11)
    w.static()

    # cell 79
    test_eq((w.n_done, w.n_trials, w.done), (11, 43, False))
    test_eq(w.trial['number'], 12)
    test_eq(len(w.judgements()) + int(w.catch_report().trials.iloc[0]), 11)
    assert w.judgements().simulated and 'SIMULATED' in repr(w)
    test_eq(w.judgements().names, objects)
    for t, r in zip(w.judgements().triplets, [r for r in w._log.live if not r['catch']]):
        test_eq({objects[i] for i in t}, {r['left'], r['middle'], r['right']})
        test_eq(objects[t[2]], r[r['odd']])

    # cell 81
    with tempfile.TemporaryDirectory() as d, contextlib.redirect_stdout(io.StringIO()) as said:
        calm, f = run(asker(Path(d)/'calm.csv')), Path(d)/'troubled.csv'
        for stop in (5, 6, 17, 30, 43):
            v = asker(f)
            if v.n_done:
                here = v.trial
                v.undo()
                test_ne(v.trial, here)
                test_eq(v.trial['number'], here['number'] - 1)
                run(v, 1, lambda shown, r: 2)
                test_eq(v.trial, here)
            run(v, stop - v.n_done)
            f.write_bytes(f.read_bytes()[:-9 if stop == 17 else None])
        test_eq(v.done, True)
        test_eq(
            [(p['number'], p['catch'], p['rows']) for p in v._plan],
            [(p['number'], p['catch'], p['rows']) for p in calm._plan],
        )
        test_eq(sorted({r['session'] for r in v._log.rows}), [1, 2, 3, 4, 5])
        test_eq(len([r for r in v._log.rows if r['odd'].startswith('-')]), 4)
        # more questions: it goes on
        v = asker(f, n=60)
        test_eq((v.n_done, v.n_trials, v.done), (43, 63, False))
        test_eq(v.trial['number'], 44)
        # and still none twice
        test_eq(len({tuple(sorted(t)) for t in run(v).judgements().triplets.tolist()}), 60)
        test_fail(lambda: v.answer(0), contains='all 63 trials are answered')
        while v.n_done: v.undo()
        test_fail(v.undo, contains='no answer to take back')
        test_eq(asker(f).trial, asker(Path(d)/'new.csv').trial)
    test_eq(said.getvalue().count('was torn off'), 1)

    # cell 83
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'a.csv'
        run(asker(f), 3)
        o = asker(f)
        test_fail(
            lambda: asker(f, seed=1),
            contains="already has 3 answers of 'p01' from another setting: seed is 1, not 0. Go on with the old setting",
        )
        test_fail(lambda: asker(f, catch=.2), contains='catch is 0.2, not 0.05')
        test_fail(
            lambda: asker(f, sampling='cluster', features=X), contains='sampling is cluster, not random'
        )
        test_fail(
            lambda: OddOneOut(pictures, f, 'p01', names=objects, n=40),
            contains='do not agree on whether answers are simulated',
        )
        # another annotator may
        test_fail(
            lambda: OddOneOut(pictures, f, 'p01', n=40, simulated=True),
            contains='the pictures or their names have changed',
        )
        test_eq(run(asker(f, annotator='p02', seed=1), 1).n_done, 1)
        for bad in (3, -1, None, '1', True, .5):
            test_fail(lambda: o.answer(bad), contains='must be 0, 1 or 2')
        for bad in (-1, float('nan')):
            test_fail(lambda: o.answer(0, bad), contains='must be a time in seconds')
        test_eq(o.n_done, 3)
        test_fail(lambda: asker(f, n=0), contains='positive whole number')
        test_fail(lambda: asker(f, catch=.6), contains='share from 0 to .5')
        test_fail(lambda: asker(f, annotator=' '), contains='pseudonym')
        test_fail(lambda: asker(f, annotator='NA'), contains='missing value')
        test_fail(
            lambda: asker(f, sampling='cluster', features=np.eye(42), clusters=[0, 1, 2]),
            contains='one cluster for each',
        )
        test_fail(lambda: asker(f, sampling='vague'), contains="sampling 'vague' is not known")
        test_fail(lambda: asker(f, sampling='uncertain', features=X), contains='needs teacher=')
        test_fail(lambda: asker(f, sampling='cluster'), contains='needs features=')
        test_fail(
            lambda: OddOneOut(pictures.subset(pictures.names[:2]), f),
            contains='a question needs three different objects, and there are 2',
        )
        test_fail(lambda: OddOneOut(d, f), contains="ImageSet('folder')")
        test_fail(
            lambda: OddOneOut(pictures.subset(pictures.names[:4]), f, n=5),
            contains='make only 4 different questions',
        )
        test_fail(lambda: asker(Path(d)/'no'/'a.csv'), contains='does not exist; make it with')
        test_fail(
            lambda: OddOneOut(pictures, f, names=objects[1:]),
            contains='one for each of the 42 pictures',
        )
        test_fail(
            lambda: OddOneOut(pictures, f, names=['12'] + objects[1:]), contains="'12' cannot be used"
        )
        test_fail(lambda: OddOneOut(pictures, f, names=['NA'] + objects[1:]), contains="'NA'")
        for o in pictures.names[:4]:
            (Path(d)/'colour').mkdir(exist_ok=True)
            shutil.copy(pictures.path(o), Path(d)/o)
        broken = ImageSet(d)
        broken.path(1).write_bytes(broken.path(1).read_bytes()[:300])
        test_fail(
            lambda: OddOneOut(broken, f, n=3), contains=f"{Path(broken.names[1]).name}' is damaged"
        )

    # cell 85
    with tempfile.TemporaryDirectory() as d:
        long = asker(Path(d)/'long.csv', n=3000, catch=.05)
        long._ensure(9999)
        plan = long._plan
        test_eq(len(plan), long.n_trials)
        odd = [
            taxonomist(tuple(objects[i] for i in p['rows']), rng(0))
            for p in plan
            if not p['catch'] and len({groups[i] for i in p['rows']}) == 2
        ]
        assert chisquare(np.bincount(odd, minlength=3)).pvalue > 1e-6
        catches = [p for p in plan if p['catch']]
        assert len(catches) - len(plan)//20 in (0, 1)
        test_eq({(p['number'] - 1)//20 for p in catches}, set(range(len(catches))))
        assert all(len(set(p['rows'])) == 2 for p in catches)
        assert (
            len({(p['number'] - 1) % 20 for p in catches}) > 10
            and chisquare(
                np.bincount(
                    [[p['rows'].count(i) for i in p['rows']].index(1) for p in catches], minlength=3
                )
            ).pvalue
            > 1e-6
        )
        x, y = run(asker(Path(d) / 'both.csv', annotator='p01')), run(
            asker(Path(d) / 'both.csv', annotator='p02')
        )
        same = lambda v: [sorted(p['rows']) for p in v._plan if not p['catch']]
        test_eq(same(x), same(y))
        test_ne([p['rows'] for p in x._plan], [p['rows'] for p in y._plan])
        test_eq(asker(Path(d)/'none.csv', catch=0).n_trials, 40)
        assert asker(Path(d)/'half.csv', catch=.5).n_trials in (79, 80)
        c = x.catch_report().loc['p01']
        assert c.trials in (2, 3) and c.share == 1
        test_close(c.p_guess, 3**-c.trials)
        # repeats, if you bring them
        own = asker(Path(d)/'own.csv', triplets=[[0, 1, 2], [5, 4, 3], [0, 1, 2]], catch=0)
        run(own)
        test_eq([sorted(p['rows']) for p in own._plan], [[0, 1, 2], [3, 4, 5], [0, 1, 2]])
        test_eq(len(own.judgements()), 3)
        back = asker(Path(d)/'back.csv', triplets=x.judgements())
        test_eq(
            same(back) or [sorted(back._questions.given[0].tolist())],
            [sorted(x.judgements().triplets[0].tolist())],
        )
        test_fail(
            lambda: asker(Path(d) / 'own2.csv', triplets=[[0, 1, 99]]), contains='outside the set of 42'
        )
        test_fail(
            lambda: asker(
                Path(d) / 'own2.csv', triplets=Judgements([[0, 1, 2]], ['ant', 'bee', 'unicorn'])
            ),
            contains='are not among the pictures',
        )

    # cell 87
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'active.csv'
        first = Teacher(.25*np.eye(8))
        a = asker(f, sampling='uncertain', features=X, teacher=first, n=60, catch=.1)
        run(a, 20)
        on_screen = a.trial
        a.teacher = Teacher(np.diag([1., 0, 0, 0, 0, 0, 0, 0]))
        test_eq(a.trial, on_screen)
        old = [p['rows'] for p in a._plan[:20]]
        run(a, 10)
        now = question_entropy(
            a.teacher.transform(X), [p['rows'] for p in a._plan[21:30] if not p['catch']]
        )
        before = question_entropy(
            a.teacher.transform(X), [p['rows'] for p in a._plan[:20] if not p['catch']]
        )
        assert now.mean() > before.mean() + .1
        again = asker(f, sampling='uncertain', features=X, teacher=first, n=60, catch=.1)
        test_eq([p['rows'] for p in again._plan[:20]], old)
        run(again)
        test_eq(len({tuple(sorted(t)) for t in again.judgements().triplets.tolist()}), 60)
        small = OddOneOut(
            pictures.subset(pictures.names[:6]), Path(d) / 'small.csv', sampling='uncertain',
            features=X[:6], teacher=first, n=20, catch=0,
        )
        while not small.done: small.answer(0)
        # all there are, each once
        test_eq(len({tuple(sorted(t)) for t in small.judgements().triplets.tolist()}), 20)

    # cell 89
    with tempfile.TemporaryDirectory() as d:
        b = asker(Path(d)/'b.csv')
        test_eq(b._trial, {})
        b._heard(b, dict(kind='ready'))
        test_eq((b._trial['number'], b._trial['n_done'], b._trial['labels']), (1, 0, None))
        assert not any(o in json.dumps(b._trial) for o in ('colour/', *objects, 'catch'))
        assert all(
            u.startswith('data:image/png;base64,') for u in b._trial['images'] + b._trial['next']
        )
        im = Image.open(io.BytesIO(base64.b64decode(b._trial['images'][0].split(',')[1])))
        test_eq(np.asarray(im.convert('RGB')), np.asarray(pictures[b.trial['files'][0]]))
        ahead = b._trial['next']
        b._heard(b, dict(kind='answer', number=1, position=2, rt=.75))
        test_eq((b.n_done, b._log.live[0]['odd'], b._log.live[0]['rt']), (1, 'right', .75))
        test_eq(b._trial['images'], ahead)
        b._heard(b, dict(kind='answer', number=1, position=2, rt=.75))
        test_eq(b.n_done, 1)
        assert 'one click too many' in b._trial['note']
        b._heard(b, dict(kind='answer', number=2, position=7))
        test_eq((b.n_done, b._trial['bad']), (1, True))
        asker(Path(d)/'b.csv').answer(1)
        b._heard(b, dict(kind='answer', number=2, position=1))
        assert 'answered in another widget' in b._trial['note']
        c = asker(Path(d)/'b.csv')
        c._heard(c, dict(kind='ready'))
        c._heard(c, dict(kind='undo', number=3))
        test_eq((c.n_done, c._trial['number']), (1, 2))
        open_before = plt.get_fignums()
        bundle, _ = c._repr_mimebundle_()
        test_eq(set(bundle), {'text/plain', 'image/png', 'application/vnd.jupyter.widget-view+json'})
        test_eq(Image.open(io.BytesIO(base64.b64decode(bundle['image/png']))).format, 'PNG')
        test_eq(plt.get_fignums(), open_before)


def test_reading_the_answers():
    "Reading the answers"
    # cell 8, in part
    world = offline_world()
    objects = [
        o
        for g in ('Animals & Nature', 'Food & Drink', 'Travel & Places')
        for o in sorted(set(world.objects) & set(world.items.object[world.items.group == g]))[:14]
    ]
    pictures = world.images.subset(world.photos(objects))

    # cell 19, in part
    def toy_features(n, groups, seed=0):
        "Features around a centre for each group"
        r = rng(seed, 1)
        centre = 3*r.normal(size=(len(set(groups)), 8))
        code = pd.factorize(pd.Series(groups))[0]
        return (centre[code] + r.normal(size=(n, 8))).astype(np.float32)

    group = world.items.set_index('object').group.loc[lambda s: ~s.index.duplicated()]
    groups = group[objects].tolist()
    X = toy_features(len(objects), groups)

    # cell 77
    group_of = dict(zip(objects, groups))

    def taxonomist(shown, r):
        "Position of the one that belongs to another group than the two others; by lot where there is none"
        g = [(o, group_of[o]) for o in shown]
        alone = [i for i in range(3) if shown.count(shown[i]) == 1]
        if len(alone) == 1: return alone[0]                                      # a catch trial: the other two are the same picture
        alone = [i for i in range(3) if sum(b == g[i][1] for _, b in g) == 1]
        return alone[0] if len(alone) == 1 else int(r.integers(3))

    def run(w, n=None, annotate=taxonomist):
        "Let the simulated annotator answer `n` trials, or all that are left"
        r = rng(w.n_done, 5)
        for _ in range(w.n_trials - w.n_done if n is None else n):
            w.answer(annotate(w.trial['shown'], r), rt=.6 + float(r.gamma(2, .4)))
        return w

    def asker(path, **kw):
        return OddOneOut(
            pictures, path, names=objects, simulated=True, **dict(annotator='p01', n=40) | kw
        )

    # cell 78, in part
    home = tempfile.TemporaryDirectory()

    # cell 81, in part
    with tempfile.TemporaryDirectory() as d, contextlib.redirect_stdout(io.StringIO()) as said:
        calm, f = run(asker(Path(d)/'calm.csv')), Path(d)/'troubled.csv'
        for stop in (5, 6, 17, 30, 43):
            v = asker(f)
            if v.n_done:
                here = v.trial
                v.undo()
                test_ne(v.trial, here)
                test_eq(v.trial['number'], here['number'] - 1)
                run(v, 1, lambda shown, r: 2)
                test_eq(v.trial, here)
            run(v, stop - v.n_done)
            f.write_bytes(f.read_bytes()[:-9 if stop == 17 else None])
        test_eq(v.done, True)
        test_eq(
            [(p['number'], p['catch'], p['rows']) for p in v._plan],
            [(p['number'], p['catch'], p['rows']) for p in calm._plan],
        )
        test_eq(sorted({r['session'] for r in v._log.rows}), [1, 2, 3, 4, 5])
        test_eq(len([r for r in v._log.rows if r['odd'].startswith('-')]), 4)
        # more questions: it goes on
        v = asker(f, n=60)
        test_eq((v.n_done, v.n_trials, v.done), (43, 63, False))
        test_eq(v.trial['number'], 44)
        # and still none twice
        test_eq(len({tuple(sorted(t)) for t in run(v).judgements().triplets.tolist()}), 60)
        test_fail(lambda: v.answer(0), contains='all 63 trials are answered')
        while v.n_done: v.undo()
        test_fail(v.undo, contains='no answer to take back')
        test_eq(asker(f).trial, asker(Path(d)/'new.csv').trial)

    # cell 83
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'a.csv'
        run(asker(f), 3)
        o = asker(f)
        test_fail(
            lambda: asker(f, seed=1),
            contains="already has 3 answers of 'p01' from another setting: seed is 1, not 0. Go on with the old setting",
        )
        test_fail(lambda: asker(f, catch=.2), contains='catch is 0.2, not 0.05')
        test_fail(
            lambda: asker(f, sampling='cluster', features=X), contains='sampling is cluster, not random'
        )
        test_fail(
            lambda: OddOneOut(pictures, f, 'p01', names=objects, n=40),
            contains='do not agree on whether answers are simulated',
        )
        # another annotator may
        test_fail(
            lambda: OddOneOut(pictures, f, 'p01', n=40, simulated=True),
            contains='the pictures or their names have changed',
        )
        test_eq(run(asker(f, annotator='p02', seed=1), 1).n_done, 1)
        for bad in (3, -1, None, '1', True, .5):
            test_fail(lambda: o.answer(bad), contains='must be 0, 1 or 2')
        for bad in (-1, float('nan')):
            test_fail(lambda: o.answer(0, bad), contains='must be a time in seconds')
        test_eq(o.n_done, 3)
        test_fail(lambda: asker(f, n=0), contains='positive whole number')
        test_fail(lambda: asker(f, catch=.6), contains='share from 0 to .5')
        test_fail(lambda: asker(f, annotator=' '), contains='pseudonym')
        test_fail(lambda: asker(f, annotator='NA'), contains='missing value')
        test_fail(
            lambda: asker(f, sampling='cluster', features=np.eye(42), clusters=[0, 1, 2]),
            contains='one cluster for each',
        )
        test_fail(lambda: asker(f, sampling='vague'), contains="sampling 'vague' is not known")
        test_fail(lambda: asker(f, sampling='uncertain', features=X), contains='needs teacher=')
        test_fail(lambda: asker(f, sampling='cluster'), contains='needs features=')
        test_fail(
            lambda: OddOneOut(pictures.subset(pictures.names[:2]), f),
            contains='a question needs three different objects, and there are 2',
        )
        test_fail(lambda: OddOneOut(d, f), contains="ImageSet('folder')")
        test_fail(
            lambda: OddOneOut(pictures.subset(pictures.names[:4]), f, n=5),
            contains='make only 4 different questions',
        )
        test_fail(lambda: asker(Path(d)/'no'/'a.csv'), contains='does not exist; make it with')
        test_fail(
            lambda: OddOneOut(pictures, f, names=objects[1:]),
            contains='one for each of the 42 pictures',
        )
        test_fail(
            lambda: OddOneOut(pictures, f, names=['12'] + objects[1:]), contains="'12' cannot be used"
        )
        test_fail(lambda: OddOneOut(pictures, f, names=['NA'] + objects[1:]), contains="'NA'")
        for o in pictures.names[:4]:
            (Path(d)/'colour').mkdir(exist_ok=True)
            shutil.copy(pictures.path(o), Path(d)/o)
        broken = ImageSet(d)
        broken.path(1).write_bytes(broken.path(1).read_bytes()[:300])
        test_fail(
            lambda: OddOneOut(broken, f, n=3), contains=f"{Path(broken.names[1]).name}' is damaged"
        )

    # cell 85
    with tempfile.TemporaryDirectory() as d:
        long = asker(Path(d)/'long.csv', n=3000, catch=.05)
        long._ensure(9999)
        plan = long._plan
        test_eq(len(plan), long.n_trials)
        odd = [
            taxonomist(tuple(objects[i] for i in p['rows']), rng(0))
            for p in plan
            if not p['catch'] and len({groups[i] for i in p['rows']}) == 2
        ]
        assert chisquare(np.bincount(odd, minlength=3)).pvalue > 1e-6
        catches = [p for p in plan if p['catch']]
        assert len(catches) - len(plan)//20 in (0, 1)
        test_eq({(p['number'] - 1)//20 for p in catches}, set(range(len(catches))))
        assert all(len(set(p['rows'])) == 2 for p in catches)
        assert (
            len({(p['number'] - 1) % 20 for p in catches}) > 10
            and chisquare(
                np.bincount(
                    [[p['rows'].count(i) for i in p['rows']].index(1) for p in catches], minlength=3
                )
            ).pvalue
            > 1e-6
        )
        x, y = run(asker(Path(d) / 'both.csv', annotator='p01')), run(
            asker(Path(d) / 'both.csv', annotator='p02')
        )
        same = lambda v: [sorted(p['rows']) for p in v._plan if not p['catch']]
        test_eq(same(x), same(y))
        test_ne([p['rows'] for p in x._plan], [p['rows'] for p in y._plan])
        test_eq(asker(Path(d)/'none.csv', catch=0).n_trials, 40)
        assert asker(Path(d)/'half.csv', catch=.5).n_trials in (79, 80)
        c = x.catch_report().loc['p01']
        assert c.trials in (2, 3) and c.share == 1
        test_close(c.p_guess, 3**-c.trials)
        # repeats, if you bring them
        own = asker(Path(d)/'own.csv', triplets=[[0, 1, 2], [5, 4, 3], [0, 1, 2]], catch=0)
        run(own)
        test_eq([sorted(p['rows']) for p in own._plan], [[0, 1, 2], [3, 4, 5], [0, 1, 2]])
        test_eq(len(own.judgements()), 3)
        back = asker(Path(d)/'back.csv', triplets=x.judgements())
        test_eq(
            same(back) or [sorted(back._questions.given[0].tolist())],
            [sorted(x.judgements().triplets[0].tolist())],
        )
        test_fail(
            lambda: asker(Path(d) / 'own2.csv', triplets=[[0, 1, 99]]), contains='outside the set of 42'
        )
        test_fail(
            lambda: asker(
                Path(d) / 'own2.csv', triplets=Judgements([[0, 1, 2]], ['ant', 'bee', 'unicorn'])
            ),
            contains='are not among the pictures',
        )

    # cell 87
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'active.csv'
        first = Teacher(.25*np.eye(8))
        a = asker(f, sampling='uncertain', features=X, teacher=first, n=60, catch=.1)
        run(a, 20)
        on_screen = a.trial
        a.teacher = Teacher(np.diag([1., 0, 0, 0, 0, 0, 0, 0]))
        test_eq(a.trial, on_screen)
        old = [p['rows'] for p in a._plan[:20]]
        run(a, 10)
        now = question_entropy(
            a.teacher.transform(X), [p['rows'] for p in a._plan[21:30] if not p['catch']]
        )
        before = question_entropy(
            a.teacher.transform(X), [p['rows'] for p in a._plan[:20] if not p['catch']]
        )
        assert now.mean() > before.mean() + .1
        again = asker(f, sampling='uncertain', features=X, teacher=first, n=60, catch=.1)
        test_eq([p['rows'] for p in again._plan[:20]], old)
        run(again)
        test_eq(len({tuple(sorted(t)) for t in again.judgements().triplets.tolist()}), 60)
        small = OddOneOut(
            pictures.subset(pictures.names[:6]), Path(d) / 'small.csv', sampling='uncertain',
            features=X[:6], teacher=first, n=20, catch=0,
        )
        while not small.done: small.answer(0)
        # all there are, each once
        test_eq(len({tuple(sorted(t)) for t in small.judgements().triplets.tolist()}), 20)

    # cell 100, in part
    def tired(shown, r, start=[0]): # one that stops looking
        start[0] += 1
        return taxonomist(shown, r) if start[0] <= 60 else 1

    def collect(folder):
        "Records of three annotators in one folder"
        folder.mkdir(exist_ok=True)
        for who in ('p01', 'p02'): run(asker(folder, annotator=who, n=100, catch=.1))
        run(asker(folder, annotator='p03', n=100, catch=.1), 30, tired)
        run(asker(folder, annotator='p03', n=100, catch=.1), annotate=tired)
        return folder

    table = answers_table(collect(Path(home.name)/'study'))

    # cell 102, in part
    catches = (
        catch_report(table).join(position_bias(table)[['middle', 'p']].add_prefix('side: ')).round(3)
    )

    # cell 103
    test_eq(catches.share[['p01', 'p02']].tolist(), [1, 1])
    assert catches.share['p03'] < .8 and catches['side: p']['p03'] < 1e-3 < catches['side: p']['p01']
    with contextlib.redirect_stdout(io.StringIO()) as said:
        good = read_answers(table, drop_failed_catch=.2)
    assert 'left out: 1 of 3 annotators' in said.getvalue() and '(p03)' in said.getvalue()
    test_eq((len(good), len(set(good.subjects.tolist()))), (200, 2))
    assert good.simulated
    assert all('p0' not in str(o) and 'csv' not in str(o) for o in (good.source, good))
    all_of = read_answers(Path(home.name)/'study')
    test_eq(len(all_of), 300)
    test_eq(sorted(np.bincount(all_of.subjects)), [100]*3)
    # every row against the plain reader
    files = sorted((Path(home.name)/'study').glob('*.csv'))
    with contextlib.redirect_stdout(io.StringIO()):
        for f in files:
            test_eq(
                [
                    [j.names[i] for i in t]
                    for j in [
                        Judgements.from_table(
                            f, columns=['left', 'middle', 'right'], odd='odd', drop=True
                        )
                    ]
                    for t in j.triplets
                ],
                [[j.names[i] for i in t] for j in [read_answers(f)] for t in j.triplets],
            )
    b = position_bias(table)
    k = np.bincount(table.position[~table.catch & (table.annotator == 'p03')])
    test_close(b.loc['p03', 'p'], chisquare(k).pvalue)
    test_close(b.loc['p03', 'middle'], k[1]/100)
    test_eq(list(b.index), ['p01', 'p02', 'p03', 'all'])
    # one seed: everybody was asked the same
    agree = all_of.agreement()
    test_eq(set(agree.trials), {3})
    test_eq(len(agree), 100)
    c = catch_report(table)
    p = binomtest(int(c.correct['p03']), int(c.trials['p03']), 1/3, alternative='greater').pvalue
    test_close(c.p_guess['p03'], p, eps=1e-9)

    # cell 104
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        shutil.copy(files[0], d/'copy.csv')
        (d/'notes.csv').write_text('not,ours\n1,2\n')
        f = d/'more.csv'
        f.write_bytes(
            files[1].read_bytes() + b'nonsense\n' + files[2].read_bytes().split(b'\n')[1][:50]
        )
        with contextlib.redirect_stdout(io.StringIO()) as said: got = read_answers([files[0], d])
        assert (
            "'more.csv': 2 lines cannot be read" in said.getvalue()
            and f'{(table.annotator == "p01").sum()} answers occur in more than one' in said.getvalue()
        )
        test_eq(len(got), 200)
        test_eq(read_answers(files, annotators='p02'), read_answers(files[1]))
        test_fail(
            lambda: read_answers(files, annotators=['p9']),
            contains="'p9' has no answers here; there are p01, p02, p03",
        )
        test_eq(read_answers(files, names=objects).names, objects)
        test_fail(
            lambda: read_answers(files, names=objects[:9]), contains='judged objects are not among them'
        )
        test_fail(lambda: read_answers(d/'x.csv'), contains="x.csv' does not exist")
        (d/'empty').mkdir()
        test_fail(lambda: answers_table(d/'empty'), contains='holds no record')
        test_fail(lambda: read_answers(d/'notes.csv'), contains='is not a record of OddOneOut')
        test_fail(lambda: read_answers(files, drop_failed_catch=1), contains='from 0 to below 1')
        new = asker(d/'new.csv')
        test_fail(lambda: read_answers(d/'new.csv'), contains='no answer to read')
        test_eq(len(answers_table(d/'new.csv')), 0)
        test_eq(len(new.judgements()), 0)
        test_fail(lambda: plot_answers(answers_table(d/'new.csv')), contains='no answer yet')
        OddOneOut(pictures, d/'real.csv', names=objects, n=40, catch=0).answer(0)
        test_fail(
            lambda: read_answers([*files, d / 'real.csv']),
            contains='are simulated and the others are not',
        )
        test_eq(read_answers(d/'real.csv').simulated, False)
        untimed = asker(d/'untimed.csv', catch=0, n=10)
        run(untimed, annotate=lambda *_: 0)
        for _ in range(3): untimed.undo()
        for _ in range(3): untimed.answer(1)
        test_eq(answers_table(d/'untimed.csv').rt.isna().sum(), 3)
        plot_answers(answers_table(d/'untimed.csv'))
        plt.close()

    # cell 106, in part
    fit, held = good.split(.25, seed=1)
    rows = [objects.index(o) for o in good.names]
    noisy = np.hstack(
        [toy_features(len(objects), groups, 4)[rows], 3 * rng(9).normal(size=(len(rows), 24))]
    ).astype(np.float32)
    t = Teacher.fit(noisy, fit.triplets)
    gain = {
        'features': ooo_accuracy(noisy, held.triplets),
        'teacher': ooo_accuracy(t.transform(noisy), held.triplets, 'dot'),
    }

    # cell 107
    assert gain['teacher'] > gain['features'] and gain['teacher'] > .5


def test_tripletbrowser():
    "`TripletBrowser`"
    # cell 8, in part
    world = offline_world()
    objects = [
        o
        for g in ('Animals & Nature', 'Food & Drink', 'Travel & Places')
        for o in sorted(set(world.objects) & set(world.items.object[world.items.group == g]))[:14]
    ]
    pictures = world.images.subset(world.photos(objects))

    # cell 19, in part
    def toy_features(n, groups, seed=0):
        "Features around a centre for each group"
        r = rng(seed, 1)
        centre = 3*r.normal(size=(len(set(groups)), 8))
        code = pd.factorize(pd.Series(groups))[0]
        return (centre[code] + r.normal(size=(n, 8))).astype(np.float32)

    group = world.items.set_index('object').group.loc[lambda s: ~s.index.duplicated()]
    groups = group[objects].tolist()
    X = toy_features(len(objects), groups)
    code = np.arange(len(objects))

    def deal(n, sampling, **kw):
        "The first `n` questions"
        q, asked, out = _Questions(pictures.names, code, sampling, 0, features=X, **kw), set(), []
        for i in range(n):
            t = q.draw(i, asked)
            out.append(t)
            asked.add(tuple(sorted(t)))
        return np.array(out)

    # cell 20, in part
    hole = X.copy()
    hole[7, 2] = np.nan

    # cell 28, in part
    def row_of(log, trial, odd='left', shown=('a', 'b', 'c'), **kw):
        "A row for tests"
        cells = dict(
            zip(
                ('left', 'middle', 'right', 'left_file', 'middle_file', 'right_file'),
                [*shown, *(f'{o}.png' for o in shown)],
            )
        )
        return (
            dict(
                time='2026-01-01T00:00:00.000+00:00',
                session=log.session,
                trial=trial,
                odd=odd,
                rt='1.25',
                catch=0,
                annotator=log.annotator,
                setting='seed=0',
                **cells
            )
            | kw
        )

    with tempfile.TemporaryDirectory() as d:
        a, b = _Log(Path(d)/'both.csv', 'p01'), _Log(Path(d)/'both.csv', 'p02')
        a.append(row_of(a, 1))
        b.append(row_of(b, 1, 'right', ('d', 'b, or c', 'a')))
        a.append(row_of(a, 2, 'middle'))
        b.take_back()
        b.append(row_of(b, 1, 'left', ('d', 'b, or c', 'a')))
        text = (Path(d)/'both.csv').read_text()
        with contextlib.chdir(d) if hasattr(contextlib, 'chdir') else contextlib.nullcontext():
            plain = Judgements.from_table(
                'both.csv', columns=['left', 'middle', 'right'], odd='odd', subjects='annotator',
                drop=True,
            )

    # cell 77
    group_of = dict(zip(objects, groups))

    def taxonomist(shown, r):
        "Position of the one that belongs to another group than the two others; by lot where there is none"
        g = [(o, group_of[o]) for o in shown]
        alone = [i for i in range(3) if shown.count(shown[i]) == 1]
        if len(alone) == 1: return alone[0]                                      # a catch trial: the other two are the same picture
        alone = [i for i in range(3) if sum(b == g[i][1] for _, b in g) == 1]
        return alone[0] if len(alone) == 1 else int(r.integers(3))

    def run(w, n=None, annotate=taxonomist):
        "Let the simulated annotator answer `n` trials, or all that are left"
        r = rng(w.n_done, 5)
        for _ in range(w.n_trials - w.n_done if n is None else n):
            w.answer(annotate(w.trial['shown'], r), rt=.6 + float(r.gamma(2, .4)))
        return w

    def asker(path, **kw):
        return OddOneOut(
            pictures, path, names=objects, simulated=True, **dict(annotator='p01', n=40) | kw
        )

    # cell 78, in part
    home = tempfile.TemporaryDirectory()

    # cell 81, in part
    with tempfile.TemporaryDirectory() as d, contextlib.redirect_stdout(io.StringIO()) as said:
        calm, f = run(asker(Path(d)/'calm.csv')), Path(d)/'troubled.csv'
        for stop in (5, 6, 17, 30, 43):
            v = asker(f)
            if v.n_done:
                here = v.trial
                v.undo()
                test_ne(v.trial, here)
                test_eq(v.trial['number'], here['number'] - 1)
                run(v, 1, lambda shown, r: 2)
                test_eq(v.trial, here)
            run(v, stop - v.n_done)
            f.write_bytes(f.read_bytes()[:-9 if stop == 17 else None])
        test_eq(v.done, True)
        test_eq(
            [(p['number'], p['catch'], p['rows']) for p in v._plan],
            [(p['number'], p['catch'], p['rows']) for p in calm._plan],
        )
        test_eq(sorted({r['session'] for r in v._log.rows}), [1, 2, 3, 4, 5])
        test_eq(len([r for r in v._log.rows if r['odd'].startswith('-')]), 4)
        # more questions: it goes on
        v = asker(f, n=60)
        test_eq((v.n_done, v.n_trials, v.done), (43, 63, False))
        test_eq(v.trial['number'], 44)
        # and still none twice
        test_eq(len({tuple(sorted(t)) for t in run(v).judgements().triplets.tolist()}), 60)
        test_fail(lambda: v.answer(0), contains='all 63 trials are answered')
        while v.n_done: v.undo()
        test_fail(v.undo, contains='no answer to take back')
        test_eq(asker(f).trial, asker(Path(d)/'new.csv').trial)

    # cell 83
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'a.csv'
        run(asker(f), 3)
        o = asker(f)
        test_fail(
            lambda: asker(f, seed=1),
            contains="already has 3 answers of 'p01' from another setting: seed is 1, not 0. Go on with the old setting",
        )
        test_fail(lambda: asker(f, catch=.2), contains='catch is 0.2, not 0.05')
        test_fail(
            lambda: asker(f, sampling='cluster', features=X), contains='sampling is cluster, not random'
        )
        test_fail(
            lambda: OddOneOut(pictures, f, 'p01', names=objects, n=40),
            contains='do not agree on whether answers are simulated',
        )
        # another annotator may
        test_fail(
            lambda: OddOneOut(pictures, f, 'p01', n=40, simulated=True),
            contains='the pictures or their names have changed',
        )
        test_eq(run(asker(f, annotator='p02', seed=1), 1).n_done, 1)
        for bad in (3, -1, None, '1', True, .5):
            test_fail(lambda: o.answer(bad), contains='must be 0, 1 or 2')
        for bad in (-1, float('nan')):
            test_fail(lambda: o.answer(0, bad), contains='must be a time in seconds')
        test_eq(o.n_done, 3)
        test_fail(lambda: asker(f, n=0), contains='positive whole number')
        test_fail(lambda: asker(f, catch=.6), contains='share from 0 to .5')
        test_fail(lambda: asker(f, annotator=' '), contains='pseudonym')
        test_fail(lambda: asker(f, annotator='NA'), contains='missing value')
        test_fail(
            lambda: asker(f, sampling='cluster', features=np.eye(42), clusters=[0, 1, 2]),
            contains='one cluster for each',
        )
        test_fail(lambda: asker(f, sampling='vague'), contains="sampling 'vague' is not known")
        test_fail(lambda: asker(f, sampling='uncertain', features=X), contains='needs teacher=')
        test_fail(lambda: asker(f, sampling='cluster'), contains='needs features=')
        test_fail(
            lambda: OddOneOut(pictures.subset(pictures.names[:2]), f),
            contains='a question needs three different objects, and there are 2',
        )
        test_fail(lambda: OddOneOut(d, f), contains="ImageSet('folder')")
        test_fail(
            lambda: OddOneOut(pictures.subset(pictures.names[:4]), f, n=5),
            contains='make only 4 different questions',
        )
        test_fail(lambda: asker(Path(d)/'no'/'a.csv'), contains='does not exist; make it with')
        test_fail(
            lambda: OddOneOut(pictures, f, names=objects[1:]),
            contains='one for each of the 42 pictures',
        )
        test_fail(
            lambda: OddOneOut(pictures, f, names=['12'] + objects[1:]), contains="'12' cannot be used"
        )
        test_fail(lambda: OddOneOut(pictures, f, names=['NA'] + objects[1:]), contains="'NA'")
        for o in pictures.names[:4]:
            (Path(d)/'colour').mkdir(exist_ok=True)
            shutil.copy(pictures.path(o), Path(d)/o)
        broken = ImageSet(d)
        broken.path(1).write_bytes(broken.path(1).read_bytes()[:300])
        test_fail(
            lambda: OddOneOut(broken, f, n=3), contains=f"{Path(broken.names[1]).name}' is damaged"
        )

    # cell 85
    with tempfile.TemporaryDirectory() as d:
        long = asker(Path(d)/'long.csv', n=3000, catch=.05)
        long._ensure(9999)
        plan = long._plan
        test_eq(len(plan), long.n_trials)
        odd = [
            taxonomist(tuple(objects[i] for i in p['rows']), rng(0))
            for p in plan
            if not p['catch'] and len({groups[i] for i in p['rows']}) == 2
        ]
        assert chisquare(np.bincount(odd, minlength=3)).pvalue > 1e-6
        catches = [p for p in plan if p['catch']]
        assert len(catches) - len(plan)//20 in (0, 1)
        test_eq({(p['number'] - 1)//20 for p in catches}, set(range(len(catches))))
        assert all(len(set(p['rows'])) == 2 for p in catches)
        assert (
            len({(p['number'] - 1) % 20 for p in catches}) > 10
            and chisquare(
                np.bincount(
                    [[p['rows'].count(i) for i in p['rows']].index(1) for p in catches], minlength=3
                )
            ).pvalue
            > 1e-6
        )
        x, y = run(asker(Path(d) / 'both.csv', annotator='p01')), run(
            asker(Path(d) / 'both.csv', annotator='p02')
        )
        same = lambda v: [sorted(p['rows']) for p in v._plan if not p['catch']]
        test_eq(same(x), same(y))
        test_ne([p['rows'] for p in x._plan], [p['rows'] for p in y._plan])
        test_eq(asker(Path(d)/'none.csv', catch=0).n_trials, 40)
        assert asker(Path(d)/'half.csv', catch=.5).n_trials in (79, 80)
        c = x.catch_report().loc['p01']
        assert c.trials in (2, 3) and c.share == 1
        test_close(c.p_guess, 3**-c.trials)
        # repeats, if you bring them
        own = asker(Path(d)/'own.csv', triplets=[[0, 1, 2], [5, 4, 3], [0, 1, 2]], catch=0)
        run(own)
        test_eq([sorted(p['rows']) for p in own._plan], [[0, 1, 2], [3, 4, 5], [0, 1, 2]])
        test_eq(len(own.judgements()), 3)
        back = asker(Path(d)/'back.csv', triplets=x.judgements())
        test_eq(
            same(back) or [sorted(back._questions.given[0].tolist())],
            [sorted(x.judgements().triplets[0].tolist())],
        )
        test_fail(
            lambda: asker(Path(d) / 'own2.csv', triplets=[[0, 1, 99]]), contains='outside the set of 42'
        )
        test_fail(
            lambda: asker(
                Path(d) / 'own2.csv', triplets=Judgements([[0, 1, 2]], ['ant', 'bee', 'unicorn'])
            ),
            contains='are not among the pictures',
        )

    # cell 87
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'active.csv'
        first = Teacher(.25*np.eye(8))
        a = asker(f, sampling='uncertain', features=X, teacher=first, n=60, catch=.1)
        run(a, 20)
        on_screen = a.trial
        a.teacher = Teacher(np.diag([1., 0, 0, 0, 0, 0, 0, 0]))
        test_eq(a.trial, on_screen)
        old = [p['rows'] for p in a._plan[:20]]
        run(a, 10)
        now = question_entropy(
            a.teacher.transform(X), [p['rows'] for p in a._plan[21:30] if not p['catch']]
        )
        before = question_entropy(
            a.teacher.transform(X), [p['rows'] for p in a._plan[:20] if not p['catch']]
        )
        assert now.mean() > before.mean() + .1
        again = asker(f, sampling='uncertain', features=X, teacher=first, n=60, catch=.1)
        test_eq([p['rows'] for p in again._plan[:20]], old)
        run(again)
        test_eq(len({tuple(sorted(t)) for t in again.judgements().triplets.tolist()}), 60)
        small = OddOneOut(
            pictures.subset(pictures.names[:6]), Path(d) / 'small.csv', sampling='uncertain',
            features=X[:6], teacher=first, n=20, catch=0,
        )
        while not small.done: small.answer(0)
        # all there are, each once
        test_eq(len({tuple(sorted(t)) for t in small.judgements().triplets.tolist()}), 20)

    # cell 89
    with tempfile.TemporaryDirectory() as d:
        b = asker(Path(d)/'b.csv')
        test_eq(b._trial, {})
        b._heard(b, dict(kind='ready'))
        test_eq((b._trial['number'], b._trial['n_done'], b._trial['labels']), (1, 0, None))
        assert not any(o in json.dumps(b._trial) for o in ('colour/', *objects, 'catch'))
        assert all(
            u.startswith('data:image/png;base64,') for u in b._trial['images'] + b._trial['next']
        )
        im = Image.open(io.BytesIO(base64.b64decode(b._trial['images'][0].split(',')[1])))
        test_eq(np.asarray(im.convert('RGB')), np.asarray(pictures[b.trial['files'][0]]))
        ahead = b._trial['next']
        b._heard(b, dict(kind='answer', number=1, position=2, rt=.75))
        test_eq((b.n_done, b._log.live[0]['odd'], b._log.live[0]['rt']), (1, 'right', .75))
        test_eq(b._trial['images'], ahead)
        b._heard(b, dict(kind='answer', number=1, position=2, rt=.75))
        test_eq(b.n_done, 1)
        assert 'one click too many' in b._trial['note']
        b._heard(b, dict(kind='answer', number=2, position=7))
        test_eq((b.n_done, b._trial['bad']), (1, True))
        asker(Path(d)/'b.csv').answer(1)
        b._heard(b, dict(kind='answer', number=2, position=1))
        assert 'answered in another widget' in b._trial['note']
        c = asker(Path(d)/'b.csv')
        c._heard(c, dict(kind='ready'))
        c._heard(c, dict(kind='undo', number=3))
        test_eq((c.n_done, c._trial['number']), (1, 2))
        open_before = plt.get_fignums()
        bundle, _ = c._repr_mimebundle_()
        test_eq(set(bundle), {'text/plain', 'image/png', 'application/vnd.jupyter.widget-view+json'})
        test_eq(Image.open(io.BytesIO(base64.b64decode(bundle['image/png']))).format, 'PNG')
        test_eq(plt.get_fignums(), open_before)

    # cell 100, in part
    def tired(shown, r, start=[0]): # one that stops looking
        start[0] += 1
        return taxonomist(shown, r) if start[0] <= 60 else 1

    def collect(folder):
        "Records of three annotators in one folder"
        folder.mkdir(exist_ok=True)
        for who in ('p01', 'p02'): run(asker(folder, annotator=who, n=100, catch=.1))
        run(asker(folder, annotator='p03', n=100, catch=.1), 30, tired)
        run(asker(folder, annotator='p03', n=100, catch=.1), annotate=tired)
        return folder

    table = answers_table(collect(Path(home.name)/'study'))

    # cell 103, in part
    with contextlib.redirect_stdout(io.StringIO()) as said:
        good = read_answers(table, drop_failed_catch=.2)

    # cell 120, in part
    def look_alikes(images, px=12):
        "Features of colour and shape: a tiny copy of each picture"
        return np.stack(
            [np.asarray(images.thumb(o, px), np.float32).ravel() / 255 - 0.8 for o in images.names]
        )

    answers = world.judgements.restrict(objects)
    looks = look_alikes(pictures)
    mixed = np.hstack([X, looks[:, ::9]]).astype(np.float32)
    guide = Teacher.fit(mixed, answers)
    browse = TripletBrowser(
        pictures, answers, teacher=guide, model=looks, features=mixed, names=objects, n=4
    )

    # cell 121, in part
    browse.static()

    # cell 122
    p = browse.opinions
    test_eq(list(p), ['people', 'teacher', 'model'])
    test_close(p['people'], answers.probs, eps=1e-6)
    test_close(
        p['teacher'], choice_probs(triplet_sims(guide.transform(mixed), answers.triplets, 'dot')),
        eps=1e-5,
    )
    test_close(
        browse.disagreement,
        [
            max(0.5 * sum(abs(a[k] - b[k]) for k in range(3)) for a, b in ((x, y), (x, z), (y, z)))
            for x, y, z in zip(*p.values())
        ],
        eps=1e-9,
    )
    test_eq(browse.rows[0], browse.disagreement.argmax())
    likely = [
        [t[2 - q.argmax()] for q in (x, y, z)] for t, x, y, z in zip(answers.triplets, *p.values())
    ]
    b = TripletBrowser(
        pictures, answers, teacher=guide, model=looks, features=mixed, names=objects, show='differ',
        order='given',
    )
    test_eq(b.rows, [r for r, o in enumerate(likely) if len(set(o)) > 1])
    tab = b.table()
    test_eq(tab["model's choice"].tolist(), [objects[likely[r][2]] for r in b.rows])
    test_eq(tab.odd.tolist(), [objects[k] for k in answers.triplets[b.rows, 2]])
    test_eq(
        TripletBrowser(pictures, answers, names=objects, show='same').table().shape[0], len(answers)
    )
    test_close(
        TripletBrowser(pictures, answers, names=objects).disagreement,
        entropy(answers.probs.astype(float), axis=1) / np.log(3), eps=1e-5,
    )
    labels = PseudoLabels(
        pictures.names,
        *odd_last(deal(40, 'random'), triplet_sims(X, deal(40, 'random'), 'dot')),
        meta={}
    )
    l = TripletBrowser(pictures, labels)
    test_eq(list(l.opinions), ['teacher'])
    test_close(l.opinions['teacher'], labels.probs(), eps=1e-6)
    # single answers
    single = TripletBrowser(pictures, good, names=objects, model=X)
    test_eq(single.opinions['people'][:, 0].min(), 1.)
    array = TripletBrowser(pictures, labels.triplets, model=X, tau=2., kind='dot')
    test_close(
        array.opinions['model'], choice_probs(triplet_sims(X, labels.triplets, 'dot'), 2.0), eps=1e-6
    )
    nll = (
        lambda tau: -(
            answers.probs * np.log(choice_probs(triplet_sims(looks, answers.triplets, 'cosine'), tau))
        )
        .sum(1)
        .mean()
    )
    fitted = fit_temperature(triplet_sims(looks, answers.triplets, 'cosine'), answers.probs)
    assert nll(fitted) < min(nll(fitted*1.2), nll(fitted/1.2))
    test_close(
        p['model'], choice_probs(triplet_sims(looks, answers.triplets, 'cosine'), fitted), eps=1e-4
    )

    # cell 123
    test_eq((len(answers), browse.pages), (47, 12))
    test_eq(len(browse.page(11)), 3)
    b._heard(b, dict(kind='page', value=1))
    test_eq((b._at, b._page), (1, {}))
    b._heard(b, dict(kind='ready'))
    test_eq((b._page['page'], len(b._page['cards'])), (1, 6))
    # below its own picture
    card = b._page['cards'][0]
    r = card['row']
    test_eq(card['names'], [objects[i] for i in answers.triplets[r]])
    test_close([card['probs']['people'][i] for i in range(3)], answers.probs[r][::-1], eps=1e-6)
    b._heard(b, dict(kind='show', value='same'))
    test_eq((b._at, b._page['found']), (0, 47 - len(tab)))
    b._heard(b, dict(kind='order', value='agreement'))
    assert (np.diff(b.disagreement[b.rows]) >= 0).all()
    b._heard(b, dict(kind='order', value='x'))
    b._heard(b, dict(kind='page', value=9999))
    test_eq(b._at, 0)
    none = TripletBrowser(pictures, answers, names=objects, show='differ')
    test_eq((none.pages, len(none.page(0))), (0, 0))
    none.static()
    plt.close()
    assert {'image/png', 'text/plain'} < set(none._repr_mimebundle_()[0])
    test_fail(lambda: browse.page(12), contains='there is no page 12; they go from 0 to 11')
    test_fail(lambda: TripletBrowser(pictures, [[0, 1, 2]]), contains='no opinion to show')
    test_fail(
        lambda: TripletBrowser(pictures, answers, teacher=guide, names=objects),
        contains='needs features=',
    )
    test_fail(
        lambda: TripletBrowser(pictures, answers, names=objects, order='best'), contains="order 'best'"
    )
    test_fail(lambda: TripletBrowser(pictures, answers, names=objects, show='x'), contains="show 'x'")
    test_fail(
        lambda: TripletBrowser(pictures, answers, people=np.ones((3, 3)), names=objects),
        contains='must have the shape (47, 3)',
    )
    test_fail(lambda: TripletBrowser(pictures, answers), contains='not among the pictures')
    test_fail(lambda: TripletBrowser(pictures, np.zeros((0, 3), int), model=X), contains='no triplets')
    test_fail(
        lambda: TripletBrowser(pictures, answers, model=hole, names=objects),
        contains='model: 1 of 42 rows hold NaN',
    )


def test_beforeafter():
    "`BeforeAfter`"
    # cell 8, in part
    world = offline_world()
    objects = [
        o
        for g in ('Animals & Nature', 'Food & Drink', 'Travel & Places')
        for o in sorted(set(world.objects) & set(world.items.object[world.items.group == g]))[:14]
    ]
    pictures = world.images.subset(world.photos(objects))

    # cell 19, in part
    def toy_features(n, groups, seed=0):
        "Features around a centre for each group"
        r = rng(seed, 1)
        centre = 3*r.normal(size=(len(set(groups)), 8))
        code = pd.factorize(pd.Series(groups))[0]
        return (centre[code] + r.normal(size=(n, 8))).astype(np.float32)

    group = world.items.set_index('object').group.loc[lambda s: ~s.index.duplicated()]
    groups = group[objects].tolist()
    X = toy_features(len(objects), groups)

    # cell 20, in part
    hole = X.copy()
    hole[7, 2] = np.nan

    # cell 28, in part
    def row_of(log, trial, odd='left', shown=('a', 'b', 'c'), **kw):
        "A row for tests"
        cells = dict(
            zip(
                ('left', 'middle', 'right', 'left_file', 'middle_file', 'right_file'),
                [*shown, *(f'{o}.png' for o in shown)],
            )
        )
        return (
            dict(
                time='2026-01-01T00:00:00.000+00:00',
                session=log.session,
                trial=trial,
                odd=odd,
                rt='1.25',
                catch=0,
                annotator=log.annotator,
                setting='seed=0',
                **cells
            )
            | kw
        )

    with tempfile.TemporaryDirectory() as d:
        a, b = _Log(Path(d)/'both.csv', 'p01'), _Log(Path(d)/'both.csv', 'p02')
        a.append(row_of(a, 1))
        b.append(row_of(b, 1, 'right', ('d', 'b, or c', 'a')))
        a.append(row_of(a, 2, 'middle'))
        b.take_back()
        b.append(row_of(b, 1, 'left', ('d', 'b, or c', 'a')))
        text = (Path(d)/'both.csv').read_text()
        with contextlib.chdir(d) if hasattr(contextlib, 'chdir') else contextlib.nullcontext():
            plain = Judgements.from_table(
                'both.csv', columns=['left', 'middle', 'right'], odd='odd', subjects='annotator',
                drop=True,
            )

    # cell 77
    group_of = dict(zip(objects, groups))

    def taxonomist(shown, r):
        "Position of the one that belongs to another group than the two others; by lot where there is none"
        g = [(o, group_of[o]) for o in shown]
        alone = [i for i in range(3) if shown.count(shown[i]) == 1]
        if len(alone) == 1: return alone[0]                                      # a catch trial: the other two are the same picture
        alone = [i for i in range(3) if sum(b == g[i][1] for _, b in g) == 1]
        return alone[0] if len(alone) == 1 else int(r.integers(3))

    def run(w, n=None, annotate=taxonomist):
        "Let the simulated annotator answer `n` trials, or all that are left"
        r = rng(w.n_done, 5)
        for _ in range(w.n_trials - w.n_done if n is None else n):
            w.answer(annotate(w.trial['shown'], r), rt=.6 + float(r.gamma(2, .4)))
        return w

    def asker(path, **kw):
        return OddOneOut(
            pictures, path, names=objects, simulated=True, **dict(annotator='p01', n=40) | kw
        )

    # cell 81, in part
    with tempfile.TemporaryDirectory() as d, contextlib.redirect_stdout(io.StringIO()) as said:
        calm, f = run(asker(Path(d)/'calm.csv')), Path(d)/'troubled.csv'
        for stop in (5, 6, 17, 30, 43):
            v = asker(f)
            if v.n_done:
                here = v.trial
                v.undo()
                test_ne(v.trial, here)
                test_eq(v.trial['number'], here['number'] - 1)
                run(v, 1, lambda shown, r: 2)
                test_eq(v.trial, here)
            run(v, stop - v.n_done)
            f.write_bytes(f.read_bytes()[:-9 if stop == 17 else None])
        test_eq(v.done, True)
        test_eq(
            [(p['number'], p['catch'], p['rows']) for p in v._plan],
            [(p['number'], p['catch'], p['rows']) for p in calm._plan],
        )
        test_eq(sorted({r['session'] for r in v._log.rows}), [1, 2, 3, 4, 5])
        test_eq(len([r for r in v._log.rows if r['odd'].startswith('-')]), 4)
        # more questions: it goes on
        v = asker(f, n=60)
        test_eq((v.n_done, v.n_trials, v.done), (43, 63, False))
        test_eq(v.trial['number'], 44)
        # and still none twice
        test_eq(len({tuple(sorted(t)) for t in run(v).judgements().triplets.tolist()}), 60)
        test_fail(lambda: v.answer(0), contains='all 63 trials are answered')
        while v.n_done: v.undo()
        test_fail(v.undo, contains='no answer to take back')
        test_eq(asker(f).trial, asker(Path(d)/'new.csv').trial)

    # cell 83
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'a.csv'
        run(asker(f), 3)
        o = asker(f)
        test_fail(
            lambda: asker(f, seed=1),
            contains="already has 3 answers of 'p01' from another setting: seed is 1, not 0. Go on with the old setting",
        )
        test_fail(lambda: asker(f, catch=.2), contains='catch is 0.2, not 0.05')
        test_fail(
            lambda: asker(f, sampling='cluster', features=X), contains='sampling is cluster, not random'
        )
        test_fail(
            lambda: OddOneOut(pictures, f, 'p01', names=objects, n=40),
            contains='do not agree on whether answers are simulated',
        )
        # another annotator may
        test_fail(
            lambda: OddOneOut(pictures, f, 'p01', n=40, simulated=True),
            contains='the pictures or their names have changed',
        )
        test_eq(run(asker(f, annotator='p02', seed=1), 1).n_done, 1)
        for bad in (3, -1, None, '1', True, .5):
            test_fail(lambda: o.answer(bad), contains='must be 0, 1 or 2')
        for bad in (-1, float('nan')):
            test_fail(lambda: o.answer(0, bad), contains='must be a time in seconds')
        test_eq(o.n_done, 3)
        test_fail(lambda: asker(f, n=0), contains='positive whole number')
        test_fail(lambda: asker(f, catch=.6), contains='share from 0 to .5')
        test_fail(lambda: asker(f, annotator=' '), contains='pseudonym')
        test_fail(lambda: asker(f, annotator='NA'), contains='missing value')
        test_fail(
            lambda: asker(f, sampling='cluster', features=np.eye(42), clusters=[0, 1, 2]),
            contains='one cluster for each',
        )
        test_fail(lambda: asker(f, sampling='vague'), contains="sampling 'vague' is not known")
        test_fail(lambda: asker(f, sampling='uncertain', features=X), contains='needs teacher=')
        test_fail(lambda: asker(f, sampling='cluster'), contains='needs features=')
        test_fail(
            lambda: OddOneOut(pictures.subset(pictures.names[:2]), f),
            contains='a question needs three different objects, and there are 2',
        )
        test_fail(lambda: OddOneOut(d, f), contains="ImageSet('folder')")
        test_fail(
            lambda: OddOneOut(pictures.subset(pictures.names[:4]), f, n=5),
            contains='make only 4 different questions',
        )
        test_fail(lambda: asker(Path(d)/'no'/'a.csv'), contains='does not exist; make it with')
        test_fail(
            lambda: OddOneOut(pictures, f, names=objects[1:]),
            contains='one for each of the 42 pictures',
        )
        test_fail(
            lambda: OddOneOut(pictures, f, names=['12'] + objects[1:]), contains="'12' cannot be used"
        )
        test_fail(lambda: OddOneOut(pictures, f, names=['NA'] + objects[1:]), contains="'NA'")
        for o in pictures.names[:4]:
            (Path(d)/'colour').mkdir(exist_ok=True)
            shutil.copy(pictures.path(o), Path(d)/o)
        broken = ImageSet(d)
        broken.path(1).write_bytes(broken.path(1).read_bytes()[:300])
        test_fail(
            lambda: OddOneOut(broken, f, n=3), contains=f"{Path(broken.names[1]).name}' is damaged"
        )

    # cell 85
    with tempfile.TemporaryDirectory() as d:
        long = asker(Path(d)/'long.csv', n=3000, catch=.05)
        long._ensure(9999)
        plan = long._plan
        test_eq(len(plan), long.n_trials)
        odd = [
            taxonomist(tuple(objects[i] for i in p['rows']), rng(0))
            for p in plan
            if not p['catch'] and len({groups[i] for i in p['rows']}) == 2
        ]
        assert chisquare(np.bincount(odd, minlength=3)).pvalue > 1e-6
        catches = [p for p in plan if p['catch']]
        assert len(catches) - len(plan)//20 in (0, 1)
        test_eq({(p['number'] - 1)//20 for p in catches}, set(range(len(catches))))
        assert all(len(set(p['rows'])) == 2 for p in catches)
        assert (
            len({(p['number'] - 1) % 20 for p in catches}) > 10
            and chisquare(
                np.bincount(
                    [[p['rows'].count(i) for i in p['rows']].index(1) for p in catches], minlength=3
                )
            ).pvalue
            > 1e-6
        )
        x, y = run(asker(Path(d) / 'both.csv', annotator='p01')), run(
            asker(Path(d) / 'both.csv', annotator='p02')
        )
        same = lambda v: [sorted(p['rows']) for p in v._plan if not p['catch']]
        test_eq(same(x), same(y))
        test_ne([p['rows'] for p in x._plan], [p['rows'] for p in y._plan])
        test_eq(asker(Path(d)/'none.csv', catch=0).n_trials, 40)
        assert asker(Path(d)/'half.csv', catch=.5).n_trials in (79, 80)
        c = x.catch_report().loc['p01']
        assert c.trials in (2, 3) and c.share == 1
        test_close(c.p_guess, 3**-c.trials)
        # repeats, if you bring them
        own = asker(Path(d)/'own.csv', triplets=[[0, 1, 2], [5, 4, 3], [0, 1, 2]], catch=0)
        run(own)
        test_eq([sorted(p['rows']) for p in own._plan], [[0, 1, 2], [3, 4, 5], [0, 1, 2]])
        test_eq(len(own.judgements()), 3)
        back = asker(Path(d)/'back.csv', triplets=x.judgements())
        test_eq(
            same(back) or [sorted(back._questions.given[0].tolist())],
            [sorted(x.judgements().triplets[0].tolist())],
        )
        test_fail(
            lambda: asker(Path(d) / 'own2.csv', triplets=[[0, 1, 99]]), contains='outside the set of 42'
        )
        test_fail(
            lambda: asker(
                Path(d) / 'own2.csv', triplets=Judgements([[0, 1, 2]], ['ant', 'bee', 'unicorn'])
            ),
            contains='are not among the pictures',
        )

    # cell 87
    with tempfile.TemporaryDirectory() as d:
        f = Path(d)/'active.csv'
        first = Teacher(.25*np.eye(8))
        a = asker(f, sampling='uncertain', features=X, teacher=first, n=60, catch=.1)
        run(a, 20)
        on_screen = a.trial
        a.teacher = Teacher(np.diag([1., 0, 0, 0, 0, 0, 0, 0]))
        test_eq(a.trial, on_screen)
        old = [p['rows'] for p in a._plan[:20]]
        run(a, 10)
        now = question_entropy(
            a.teacher.transform(X), [p['rows'] for p in a._plan[21:30] if not p['catch']]
        )
        before = question_entropy(
            a.teacher.transform(X), [p['rows'] for p in a._plan[:20] if not p['catch']]
        )
        assert now.mean() > before.mean() + .1
        again = asker(f, sampling='uncertain', features=X, teacher=first, n=60, catch=.1)
        test_eq([p['rows'] for p in again._plan[:20]], old)
        run(again)
        test_eq(len({tuple(sorted(t)) for t in again.judgements().triplets.tolist()}), 60)
        small = OddOneOut(
            pictures.subset(pictures.names[:6]), Path(d) / 'small.csv', sampling='uncertain',
            features=X[:6], teacher=first, n=20, catch=0,
        )
        while not small.done: small.answer(0)
        # all there are, each once
        test_eq(len({tuple(sorted(t)) for t in small.judgements().triplets.tolist()}), 20)

    # cell 89
    with tempfile.TemporaryDirectory() as d:
        b = asker(Path(d)/'b.csv')
        test_eq(b._trial, {})
        b._heard(b, dict(kind='ready'))
        test_eq((b._trial['number'], b._trial['n_done'], b._trial['labels']), (1, 0, None))
        assert not any(o in json.dumps(b._trial) for o in ('colour/', *objects, 'catch'))
        assert all(
            u.startswith('data:image/png;base64,') for u in b._trial['images'] + b._trial['next']
        )
        im = Image.open(io.BytesIO(base64.b64decode(b._trial['images'][0].split(',')[1])))
        test_eq(np.asarray(im.convert('RGB')), np.asarray(pictures[b.trial['files'][0]]))
        ahead = b._trial['next']
        b._heard(b, dict(kind='answer', number=1, position=2, rt=.75))
        test_eq((b.n_done, b._log.live[0]['odd'], b._log.live[0]['rt']), (1, 'right', .75))
        test_eq(b._trial['images'], ahead)
        b._heard(b, dict(kind='answer', number=1, position=2, rt=.75))
        test_eq(b.n_done, 1)
        assert 'one click too many' in b._trial['note']
        b._heard(b, dict(kind='answer', number=2, position=7))
        test_eq((b.n_done, b._trial['bad']), (1, True))
        asker(Path(d)/'b.csv').answer(1)
        b._heard(b, dict(kind='answer', number=2, position=1))
        assert 'answered in another widget' in b._trial['note']
        c = asker(Path(d)/'b.csv')
        c._heard(c, dict(kind='ready'))
        c._heard(c, dict(kind='undo', number=3))
        test_eq((c.n_done, c._trial['number']), (1, 2))
        open_before = plt.get_fignums()
        bundle, _ = c._repr_mimebundle_()
        test_eq(set(bundle), {'text/plain', 'image/png', 'application/vnd.jupyter.widget-view+json'})
        test_eq(Image.open(io.BytesIO(base64.b64decode(bundle['image/png']))).format, 'PNG')
        test_eq(plt.get_fignums(), open_before)

    # cell 120, in part
    def look_alikes(images, px=12):
        "Features of colour and shape: a tiny copy of each picture"
        return np.stack(
            [np.asarray(images.thumb(o, px), np.float32).ravel() / 255 - 0.8 for o in images.names]
        )

    answers = world.judgements.restrict(objects)
    looks = look_alikes(pictures)
    mixed = np.hstack([X, looks[:, ::9]]).astype(np.float32)
    guide = Teacher.fit(mixed, answers)
    browse = TripletBrowser(
        pictures, answers, teacher=guide, model=looks, features=mixed, names=objects, n=4
    )

    # cell 121, in part
    browse.static()

    # cell 122, in part
    b = TripletBrowser(
        pictures, answers, teacher=guide, model=looks, features=mixed, names=objects, show='differ',
        order='given',
    )

    # cell 123, in part
    b._heard(b, dict(kind='page', value=1))
    b._heard(b, dict(kind='ready'))
    b._heard(b, dict(kind='show', value='same'))
    b._heard(b, dict(kind='order', value='agreement'))
    b._heard(b, dict(kind='order', value='x'))
    b._heard(b, dict(kind='page', value=9999))
    none = TripletBrowser(pictures, answers, names=objects, show='differ')
    none.static()

    # cell 133, in part
    change = BeforeAfter(
        pictures, looks, np.hstack([looks, 0.9 * X]), groups=groups, names=objects,
        titles=('looks', 'looks and groups'),
    )

    # cell 134, in part
    change.static()

    # cell 135
    def nearest_by_hand(X, i, k=6):
        "The k nearest by cosine similarity, written out"
        U = X/np.linalg.norm(X, axis=1, keepdims=True)
        s = U @ U[i]
        s[i] = -9
        return [objects[j] for j in np.argsort(-s)[:k]]

    for i in (0, 20, 41):
        t = change.select(i)
        a, b = nearest_by_hand(looks, i), nearest_by_hand(np.hstack([looks, .9*X]), i)
        test_eq(t['looks'].tolist(), a)
        test_eq(t['looks and groups'].tolist(), b)
        test_eq(t['in both, looks'].tolist(), [o in b for o in a])
        test_close(change.kept[i], len(set(a) & set(b))/6)
        test_eq([o['i'] for o in change._detail['near'][1]], [objects.index(o) for o in b])
        test_eq(change._detail['kept'], len(set(a) & set(b)))
    purity = lambda X: np.mean(
        [group_of[o] == groups[i] for i in range(42) for o in nearest_by_hand(X, i)]
    )
    assert purity(change.features[1]) > purity(change.features[0]) + .2
    # as a click does
    test_eq(change.select('ant')['looks'].tolist(), nearest_by_hand(looks, objects.index('ant')))
    test_eq(change.select(pictures.names[3]).shape, (6, 4))
    test_eq(objects[change.selected], objects[3])
    change.selected = 7
    test_eq(change._detail['i'], 7)
    test_eq(change.table().kept.tolist(), sorted(change.kept))
    test_eq(np.array(change._map['at'][0]).shape, (42, 2))
    far = np.array(change._map['at'][1])[change._map['faces'][1]]
    assert (
        len(far) > 8
        and min(np.abs(a - b).max() for a, b in [(a, b) for i, a in enumerate(far) for b in far[:i]])
        >= 0.17
    )
    test_fail(lambda: change.select('ante'), contains="near to it are ant")
    test_fail(lambda: change.select(42), contains='positions go from 0 to 41')
    test_fail(lambda: BeforeAfter(pictures, X, hole), contains='after: 1 of 42 rows hold NaN')
    test_fail(lambda: BeforeAfter(pictures, X, X, groups=['a']), contains='groups must be one for each')
    test_fail(lambda: BeforeAfter(pictures, X, X, method='globe'), contains="method 'globe'")
    test_fail(lambda: BeforeAfter(pictures, X, X, k=42), contains='k must be between')
    same = BeforeAfter(pictures, X, X)
    test_eq(set(same.kept), {1.})
    test_eq(
        set(same._repr_mimebundle_()[0]),
        {'text/plain', 'image/png', 'application/vnd.jupyter.widget-view+json'},
    )
