"""Tests of `alignet.worlds.things`.

Generated from nbs/worlds/things.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import hashlib
import os
import zipfile
from pathlib import Path
import numpy as np
import pandas as pd
from alignet.core import *
from alignet.data import *
import contextlib
import functools
import http.server
import io
import itertools
import tempfile
import threading
import time
import matplotlib.pyplot as plt
from IPython.display import display
from PIL import Image
from scipy.io import savemat
from fastcore.test import test_eq, test_close, test_fail
from alignet.worlds.things import *
from alignet.worlds.things import _names, _said, _unpack

NOTEBOOK = 'nbs/worlds/things.ipynb'     # a test runs in the folder of its notebook


def test_one_table_of_files():
    "One table of files"
    # cell 11
    known = {f.name: f for f in THINGS_FILES}
    test_eq(len(known), len(THINGS_FILES))
    test_eq(len({f.file for f in THINGS_FILES}), len(THINGS_FILES))
    assert all(
        f.page.startswith('https://')
        and f.licence
        and f.what
        and f.order in ('ids', 'ascii', 'names', 'words48', '')
        for f in THINGS_FILES
    )
    assert all(
        (f.address == 'in public use') == bool(f.url)
        and (not f.inside or f.inside in known)
        and len(f.sha256) in (0, 64)
        for f in THINGS_FILES
    )


def test_fetched_once_and_sealed():
    "Fetched once, and sealed"
    # cell 11, in part
    known = {f.name: f for f in THINGS_FILES}

    # cell 22
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args): pass

    @contextlib.contextmanager
    def server(folder):
        "Serve a folder on the loopback address"
        with http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), functools.partial(Quiet, directory=folder)
        ) as s:
            threading.Thread(target=s.serve_forever, daemon=True).start()
            try: yield f'http://127.0.0.1:{s.server_port}/'
            finally: s.shutdown()

    def registry_of(*files):
        "Another registry, for as long as the test lasts"
        old = THINGS_FILES[:]
        THINGS_FILES[:] = files
        _said.clear()
        return old

    out, nowhere = io.StringIO(), tempfile.TemporaryDirectory()
    with tempfile.TemporaryDirectory() as d, contextlib.redirect_stdout(
        out
    ), contextlib.redirect_stderr(io.StringIO()):
        web, cache = Path(d)/'web', Path(d)/'cache'
        web.mkdir()
        (web/'a.txt').write_text('0 1 2\n')
        (web/'torn.zip').write_bytes(b'PK')
        (web/'moved.txt').write_text('<!DOCTYPE html><p>moved')
        fetch = functools.partial(things_fetch, folder=cache, root=nowhere.name)
        with zipfile.ZipFile(web/'box.zip', 'w') as z:
            z.writestr('set/in.txt', '1 2 0\n')
            z.writestr('__MACOSX/set/in.txt', 'x')
        with server(web) as url:
            def mk(name, file=None, **kw):
                file = file or f'{name}.txt'
                return ThingsFile(
                    name,
                    file,
                    'a test',
                    'ids',
                    'a licence',
                    'https://example.org/',
                    **{'url': url + file, 'address': 'in public use', **kw}
                )
            old = registry_of(
                mk('a'), mk('moved'), mk('gone'), mk('box', 'box.zip'), mk('torn', 'torn.zip'),
                mk('in', url='', inside='box'), mk('page', url=''),
                mk('summed', 'a.txt', sha256='0' * 64),
            )
            try:
                first = fetch('a')
                test_eq(first.read_text(), '0 1 2\n')
                seal = read_json(cache/'things.lock.json')
                test_eq(seal['a.txt']['sha256'], hashlib.sha256(b'0 1 2\n').hexdigest())
                # cached: the source is not asked again
                (web/'a.txt').write_text('9 9 9\n')
                test_eq(fetch('a').read_text(), '0 1 2\n')
                first.write_text('9 9 9\n')
                test_fail(lambda: fetch('a'), contains='that was used before')
                # moved aside, not deleted
                test_eq((cache/'a.txt.unexpected').read_text(), '9 9 9\n')
                assert not first.exists()
                test_fail(lambda: fetch('a'), contains='accept=True')
                test_eq(fetch('a', accept=True).read_text(), '9 9 9\n')
                # a changed source is refused, then accepted
                test_eq(fetch('a').read_text(), '9 9 9\n')
                test_fail(lambda: fetch('moved'), contains='gave a web page')
                assert not (cache/'moved.txt').exists() and (cache/'moved.txt.unexpected').exists()
                test_fail(lambda: fetch('torn'), contains='gave a damaged archive')
                test_fail(lambda: fetch('gone'), contains='cannot be downloaded')
                test_eq(fetch('in').read_text(), '1 2 0\n')
                test_eq(set(read_json(cache/'things.lock.json')), {'a.txt', 'box.zip', 'in.txt'})
                test_fail(lambda: fetch('page'), contains='get it from https://example.org/')
                test_fail(lambda: fetch('pge'), contains="nearest are 'page'")
                (cache/'a.txt').unlink()
                (cache/'things.lock.json').unlink()
                test_fail(lambda: fetch('summed'), contains='others published the SHA-256')
                # a local copy wins
                (Path(nowhere.name)/'a.txt').write_text('mine')
                test_eq(fetch('a').read_text(), 'mine')
                (Path(nowhere.name)/'a.txt').unlink()
                (cache/'box.zip').write_bytes(b'no archive')
                (cache/'in.txt').unlink()
                test_fail(
                    lambda: fetch('in'), contains='is damaged (File is not a zip file); delete it'
                )
                test_fail(
                    lambda: _unpack(web / 'a.txt', known['train'], cache / 't'), contains='is damaged'
                )
                test_fail(
                    lambda: _unpack(web / 'box.zip', known['train'], cache / 't'),
                    contains="holds no 'trainset.txt'",
                )
            finally: registry_of(*old)
    print(out.getvalue().strip())

    # cell 23
    # said once, though many files have it
    test_eq(out.getvalue().count('a licence'), 1)


def test_the_concepts():
    "The concepts"
    # cell 27
    DATA = os.environ.get('ALIGNET_DATA')
    if DATA:
        concepts = things_concepts()
        ids = _names(concepts)
        display(
            concepts[['uniqueID', 'Word', 'Top-down Category (WordNet)']].iloc[[0, 87, 88, 801, 803]]
        )
    else:
        print('skipped: set ALIGNET_DATA to see the concept table')
        ids = None

    # cell 28
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        (d/'u.txt').write_text('bat1\nbat2\nhot_chocolate\n')
        test_eq(_names(things_concepts(d/'u.txt')), ['bat1', 'bat2', 'hot_chocolate'])
        (d/'c.tsv').write_text('Word\tuniqueID\nbat\tbat1\nbat\tbat1\n')
        test_fail(
            lambda: things_concepts(d / 'c.tsv'),
            contains='1 of 2 names are empty or occur twice, first in row 1',
        )
        (d/'x.tsv').write_text('Word\nbat\n')
        test_fail(lambda: things_concepts(d/'x.tsv'), contains="no column 'uniqueID'")
        test_fail(lambda: things_concepts(d/'none.tsv'), contains='does not exist')
    if DATA: test_eq((len(ids), ids[801], len(set(ids))), (1854, 'hot_chocolate', 1854))


def test_two_orders_and_how_to_tell():
    "Two orders, and how to tell"
    # cell 27
    DATA = os.environ.get('ALIGNET_DATA')
    if DATA:
        concepts = things_concepts()
        ids = _names(concepts)
        display(
            concepts[['uniqueID', 'Word', 'Top-down Category (WordNet)']].iloc[[0, 87, 88, 801, 803]]
        )
    else:
        print('skipped: set ALIGNET_DATA to see the concept table')
        ids = None

    # cell 30
    # first row: sortind there, counted from 0
    published = {
        246: [248, 246, 247], 322: [324, 322, 323], 453: [455, 453, 454], 801: [803, 804, 801, 802],
        816: [817, 818, 819, 820, 816], 1149: [1151, 1149, 1150],
    }
    if DATA:
        sortind = np.arange(1854)
        for r, v in published.items(): sortind[r:r+len(v)] = v
        where = pd.Index(ascii_order(ids)).get_indexer(ids)
        moved = np.flatnonzero(where != np.arange(1854))
        print(', '.join(ids[i] for i in moved))
        test_eq(where, sortind)
        test_eq(len(moved), 21)
    else:
        print(
            'skipped: set ALIGNET_DATA to compare the published permutation with the sorted file names'
        )

    # cell 34
    if DATA:
        # the same choices, counted as in 2020
        human = things_choices()[1]
        spose = things_matrix('spose')
        as_files = pd.Index(ascii_order(ids)).get_indexer(ids)[human]
        trial = {
            'as they are': human, 'counted in the order of the image files': as_files,
            'the first 2,000': human[:2000],
        }
        shown = pd.DataFrame({k: choice_order(t, spose, ids) for k, t in trial.items()}).drop('moved').T
        display(shown)
    else: print('skipped: set ALIGNET_DATA to ask an embedding for the order of choices')

    # cell 35
    if DATA:
        test_eq(shown.order.tolist(), ['ids', 'ascii', ''])
        vice = np.load(Path(DATA)/'things'/'vice_embedding.npy')
        test_eq(choice_order(human, vice, ids, unknown='rows')['order'], 'ascii')
        test_close(
            choice_order(human, vice, ids, unknown='rows')['ascii'],
            row_order(vice, ids, human)['ascii'], eps=1e-9,
        )
        test_close(shown.ids.iloc[0], shown.ascii.iloc[1], eps=1e-9)   # the two are mirror images
        # as the data chapter's own test of matrices
        got = choice_order(human, spose, ids)
        test_close(got['ids'], row_order(spose, ids, human)['ids'], eps=1e-9)
        test_fail(
            lambda: choice_order(human, spose[:-1], ids), contains='1,853 rows, but there are 1,854'
        )

    # cell 38
    if DATA:
        raw = {
            w: np.load(Path(DATA) / 'things' / f).astype(np.float32)
            for w, f in dict(
                spose='spose_embedding_66d.npy', vice='vice_embedding.npy',
                clip='clip_vitb32_features.npy',
            ).items()
        }
        label = dict(spose='SPoSE', vice='VICE', clip='CLIP')
        by_choice = {
            w: row_order(raw[w], ids, human, 'cosine' if w == 'clip' else 'dot') for w in label
        }
        by_kind = {w: category_order(raw[w], concepts) for w in label}
        fig, axs = plt.subplots(1, 2, figsize=(7, 2.5), dpi=80, layout='constrained')
        for ax, res, what in (
            (axs[0], by_choice, 'accuracy on choices about the 21'),
            (axs[1], by_kind, 'similarity to the own category (sd)'),
        ):
            for k, (how, colour, name) in enumerate(
                (
                    ('ids', '#0072B2', 'read as concept table'),
                    ('ascii', '#E69F00', 'read as image files'),
                )
            ):
                ax.bar(
                    np.arange(3) + 0.38 * (k - 0.5), [res[w][how] for w in label], 0.36, color=colour,
                    label=name,
                )
            ax.set_xticks(range(3), label.values())
            ax.set_ylabel(what, fontsize=8)
            ax.spines[['top', 'right']].set_visible(False)
        axs[0].set_ylim(1/3, .72)
        axs[0].legend(fontsize=7, frameon=False, loc='upper center', ncols=2)
        plt.show()
    else: print('skipped: set ALIGNET_DATA to see both witnesses')

    # cell 39
    if DATA:
        for w, order in dict(spose='ids', vice='ascii', clip='ascii').items():
            other = 'ids' if order == 'ascii' else 'ascii'
            assert (
                by_kind[w][order] > 1.4 * by_kind[w][other]
                and by_choice[w][order] > by_choice[w][other] + 0.02
                and by_kind[w]['concepts'] > 10
            )
        ordered = raw['vice'][pd.Index(ascii_order(ids)).get_indexer(ids)]
        test_close(category_order(ordered, concepts)['ids'], by_kind['vice']['ascii'], eps=1e-5)


def test_embeddings_and_features():
    "Embeddings and features"
    # cell 27
    DATA = os.environ.get('ALIGNET_DATA')
    if DATA:
        concepts = things_concepts()
        ids = _names(concepts)
        display(
            concepts[['uniqueID', 'Word', 'Top-down Category (WordNet)']].iloc[[0, 87, 88, 801, 803]]
        )
    else:
        print('skipped: set ALIGNET_DATA to see the concept table')
        ids = None

    # cell 30
    # first row: sortind there, counted from 0
    published = {
        246: [248, 246, 247], 322: [324, 322, 323], 453: [455, 453, 454], 801: [803, 804, 801, 802],
        816: [817, 818, 819, 820, 816], 1149: [1151, 1149, 1150],
    }
    if DATA:
        sortind = np.arange(1854)
        for r, v in published.items(): sortind[r:r+len(v)] = v
        where = pd.Index(ascii_order(ids)).get_indexer(ids)
        moved = np.flatnonzero(where != np.arange(1854))
        print(', '.join(ids[i] for i in moved))
        test_eq(where, sortind)
        test_eq(len(moved), 21)
    else:
        print(
            'skipped: set ALIGNET_DATA to compare the published permutation with the sorted file names'
        )

    # cell 34
    if DATA:
        # the same choices, counted as in 2020
        human = things_choices()[1]
        spose = things_matrix('spose')
        as_files = pd.Index(ascii_order(ids)).get_indexer(ids)[human]
        trial = {
            'as they are': human, 'counted in the order of the image files': as_files,
            'the first 2,000': human[:2000],
        }
        shown = pd.DataFrame({k: choice_order(t, spose, ids) for k, t in trial.items()}).drop('moved').T
        display(shown)
    else: print('skipped: set ALIGNET_DATA to ask an embedding for the order of choices')

    # cell 51, in part
    few = [
        'ant', 'chicken_wire', 'chicken1', 'chicken2', 'hot_chocolate', 'hot_tub', 'hot-air_balloon',
        'ice', 'ice_cream', 'ice-cream_cone', 'tulip', 'zebra',
    ]
    Z = np.abs(rng(2).normal(size=(12, 3))).astype(np.float32)*2
    q = rng(3).permuted(np.tile(np.arange(12), (3000, 1)), axis=1)[:, :3]
    true = Judgements(odd_last(q, triplet_sims(Z, q))[0], few, simulated=True)
    T = true.triplets
    to_files = pd.Index(ascii_order(few)).get_indexer(few)

    def write_formats(d, t, n):
        "The same choices in each published format, in folder `d`"
        r = rng(4)
        place = r.integers(1, 4, len(t))
        shown = np.take_along_axis(t, np.array([[2, 0, 1], [0, 2, 1], [0, 1, 2]])[place - 1], 1)
        pd.DataFrame(shown + 1, columns=['image1', 'image2', 'image3']).assign(
            choice=place, RT=r.integers(500, 9000, len(t)), noise_ceiling=0,
            subject_id=[f'A{v:03}XZ' for v in r.integers(0, 40, len(t))], HIT_nr=1, trial_nr=1, age=30,
            gender='f', date='2020-01-01', time='12:00:00', dataset=1,
        ).to_csv(d / 'triplets_large_final_correctednc_correctedorder.csv', sep='\t', index=False)
        np.savetxt(d/'trainset.txt', t, fmt='%d')
        np.savetxt(d/'data1854_batch5_test10.txt', to_files[t] if n == 12 else t, fmt='%d')
        np.save(d/'train_90.npy', (to_files[t] if n == 12 else t).astype(float))
        np.savez(d/'cut.npz', triplets=t.astype(np.int16))

    files = tempfile.TemporaryDirectory()
    F = Path(files.name)
    write_formats(F, T, 12)
    empty = tempfile.TemporaryDirectory()
    read = functools.partial(things_trials, concepts=few, root=empty.name)

    # cell 52
    for f in sorted(o.name for o in F.iterdir()):
        j = read(F/f, reference=Z)
        test_eq(np.sort(j.triplets[:, :2]), np.sort(T[:, :2]))
        test_eq(j.triplets[:, 2], T[:, 2])
        test_eq((j.subjects, j.names), (None, few))
    big = F/'triplets_large_final_correctednc_correctedorder.csv'
    j = read(big, subjects=True)
    test_eq(j.triplets[:, 2], T[:, 2])
    test_eq(len(np.unique(j.subjects)), 40)
    ids_there = pd.read_csv(big, sep='\t').subject_id
    test_eq(j.subjects, pd.factorize(ids_there)[0])
    assert 'participants renumbered' in j.source and 'A0' not in repr(vars(j))
    assert (
        'who answered not kept' in read(big).source
        and 'documented, not confirmed (no embedding to ask)' in read(big).source
    )
    test_fail(lambda: read(F/'trainset.txt', subjects=True), contains='do not say who answered')
    test_fail(lambda: read(F/'train_90.npy'), contains='give reference=')
    test_eq(read(F/'train_90.npy', order='ascii').triplets[:, 2], T[:, 2])
    test_fail(lambda: read(F/'train_90.npy', order='files'), contains="order='files' must be")
    test_fail(lambda: things_trials('choises', root=empty.name), contains="nearest are 'choices'")
    test_fail(lambda: read(F/'no.txt'), contains='do not exist')

    # cell 54
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        np.savetxt(d/'trainset.txt', to_files[T], fmt='%d')
        try:
            read(d/'trainset.txt', reference=Z)
            raise RuntimeError('not caught')
        except AlignetError as e:
            wrong = str(e).replace(str(d), '')
            assert (
                all(o in wrong for o, f in zip(few, ascii_order(few)) if o != f)
                and "Give order='ascii'" in wrong
            )
        np.savetxt(d/'trainset.txt', T + 1, fmt='%d')
        test_fail(
            lambda: read(d / 'trainset.txt'),
            contains='should count from 0, like all files of this format, but hold an index 12',
        )
        test_eq(read(d/'trainset.txt', base=1).triplets[:, 2], T[:, 2])
        ok = pd.read_csv(big, sep='\t').head(50)
        ok.to_csv(d/'t.csv', sep='\t', index=False)
        rest = functools.partial(read, d/'t.csv', order='ids')
        test_eq(len(rest()), 50)
        ok.assign(image1=ok.image1 - 1, image2=ok.image2 - 1, image3=ok.image3 - 1).to_csv(
            d / 't.csv', sep='\t', index=False
        )
        test_fail(rest, contains='should count from 1')
        bad = ok.astype(object)
        bad.iloc[3, 0] = None
        bad.iloc[5, 1] = 99
        bad.iloc[7, 2] = bad.iloc[7, 1]
        bad.iloc[9, 3] = 4
        bad.to_csv(d/'t.csv', sep='\t', index=False)
        test_fail(rest, contains='1 of 50 rows have an empty cell; the first is row 3')
        with contextlib.redirect_stdout(io.StringIO()) as said:
            test_eq(
                rest(drop=True).triplets,
                read(big, order='ids')[np.setdiff1d(np.arange(50), [3, 5, 7, 9])].triplets,
            )
        assert '4 of 50 rows left out: 1 have an empty cell; 1 point outside' in said.getvalue()
        ok.drop(columns='choice').to_csv(d/'t.csv', sep='\t', index=False)
        test_fail(rest, contains="no column 'choice'")
        ok.astype(object).replace(1, 'x').to_csv(d/'t.csv', sep='\t', index=False)
        test_fail(rest, contains='cannot be read as numbers')
        (d/'t.csv').write_text('image1\timage2\timage3\tchoice\n')
        test_fail(rest, contains='hold no rows')
        (d/'t.txt').write_text('1 2 3 1\n')
        test_fail(lambda: read(d/'t.txt'), contains='have 4 columns, not 3')
        np.save(d/'x.npy', np.ones(3))
        test_fail(lambda: read(d/'x.npy'), contains='of the shape (t, 3)')
    print(wrong)

    # cell 56
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        get = functools.partial(things_embedding, concepts=few, root=empty.name)
        in_files = Z[pd.Index(few).get_indexer(ascii_order(few))]
        np.savetxt(d/'spose_embedding_66d_sorted.txt', Z, fmt='%.6f', newline=' \n')
        np.save(d/'vice_embedding.npy', in_files)
        np.savez(d/'e.npz', x=Z)
        np.savetxt(d/'e.csv', in_files, delimiter=',')
        for f in ('spose_embedding_66d_sorted.txt', 'vice_embedding.npy', 'e.npz', 'e.csv'):
            test_close(get(d/f, trials=true), Z, eps=1e-5)
        test_close(
            get(d / 'vice_embedding.npy', ['zebra', 'hot_chocolate']),
            Z[[few.index('zebra'), few.index('hot_chocolate')]], eps=1e-6,
        )
        test_close(get(d/'e.csv', order='ascii'), Z, eps=1e-5)
        np.save(d/'vice_embedding.npy', Z)
        try:
            get(d/'vice_embedding.npy', trials=true)
            raise RuntimeError('not caught')
        except AlignetError as e:
            assert all(
                o in str(e) for o, f in zip(few, ascii_order(few)) if o != f
            ) and 'should follow the ASCII order' in str(e)
        test_fail(lambda: get(d/'e.npz'), contains='no choices to ask: give trials=')
        test_fail(
            lambda: get(d / 'e.npz', trials=T[:20]), contains='choices touch a concept that matters'
        )
        test_fail(lambda: get(d/'e.npz', ['zebrra'], trials=T), contains="'zebra'")
        np.save(d/'x.npy', Z[:-1])
        test_fail(lambda: get(d/'x.npy'), contains='has 11 rows, but there are 12 concepts')
        np.save(d/'x.npy', Z.T)
        test_fail(lambda: get(d/'x.npy'), contains='transpose it')
        np.save(d/'x.npy', np.where(Z > 3, np.nan, Z))
        test_fail(lambda: get(d/'x.npy'), contains='hold NaN')
        (d/'x.txt').write_text('a b\nc d\n')
        test_fail(lambda: get(d/'x.txt'), contains='cannot be read as numbers')
        test_fail(lambda: get(d/'no.npy'), contains='does not exist')

    # cell 58
    if DATA:
        for w in ('vice', 'spose'): test_close(things_embedding(w), things_matrix(w), eps=1e-6)                                            # the registry's way and the data chapter's
        test_eq(things_trials(Path(DATA)/'things'/'human_triplets.npz').triplets, human)
        print(things_trials(Path(DATA)/'things'/'human_triplets.npz'))
        with tempfile.TemporaryDirectory() as d:
            np.save(Path(d)/'vice_embedding.npy', things_matrix('vice'))
            try:
                things_embedding(Path(d)/'vice_embedding.npy')
                raise RuntimeError('not caught')
            except AlignetError as e:
                wrong = str(e).replace(d, '')
                assert all(ids[i] in wrong for i in moved)
            np.savetxt(Path(d)/'trainset.txt', as_files[np.isin(human, moved).any(1)], fmt='%d')
            test_fail(
                lambda: things_trials(Path(d) / 'trainset.txt'),
                contains='hot-air_balloon, hot-water_bottle, ice, ice_cream',
            )
        print(wrong)
    else: print('skipped: set ALIGNET_DATA to try the index trap on the published files')

    # cell 60
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        t = rng(6).integers(0, 618, (200_000, 3)) + [0, 618, 1236]
        write_formats(d, rng(7).permuted(t, axis=1), 1854)
        names1854 = [f'c{i:04}' for i in range(1854)]
        took = {}
        for f in ('triplets_large_final_correctednc_correctedorder.csv', 'trainset.txt', 'cut.npz'):
            start = time.perf_counter()
            j = things_trials(d/f, concepts=names1854, order='ids', root=empty.name)
            took[f] = time.perf_counter() - start
            test_eq(len(j), 200_000)
        start = time.perf_counter()
        who = things_trials(
            d / 'triplets_large_final_correctednc_correctedorder.csv', subjects=True,
            concepts=names1854, order='ids', root=empty.name,
        )
        took['the first, with subjects'] = time.perf_counter() - start
        test_eq(who.triplets[:, 2], j.triplets[:, 2])
    assert max(took.values()) < 20
    print({k: 'under a second' if v < 1 else f'about {v:.0f} s' for k, v in took.items()})


def test_photos():
    "Photos"
    # cell 27
    DATA = os.environ.get('ALIGNET_DATA')
    if DATA:
        concepts = things_concepts()
        ids = _names(concepts)
        display(
            concepts[['uniqueID', 'Word', 'Top-down Category (WordNet)']].iloc[[0, 87, 88, 801, 803]]
        )
    else:
        print('skipped: set ALIGNET_DATA to see the concept table')
        ids = None

    # cell 51, in part
    few = [
        'ant', 'chicken_wire', 'chicken1', 'chicken2', 'hot_chocolate', 'hot_tub', 'hot-air_balloon',
        'ice', 'ice_cream', 'ice-cream_cone', 'tulip', 'zebra',
    ]
    Z = np.abs(rng(2).normal(size=(12, 3))).astype(np.float32)*2
    q = rng(3).permuted(np.tile(np.arange(12), (3000, 1)), axis=1)[:, :3]
    true = Judgements(odd_last(q, triplet_sims(Z, q))[0], few, simulated=True)
    T = true.triplets
    to_files = pd.Index(ascii_order(few)).get_indexer(few)

    def write_formats(d, t, n):
        "The same choices in each published format, in folder `d`"
        r = rng(4)
        place = r.integers(1, 4, len(t))
        shown = np.take_along_axis(t, np.array([[2, 0, 1], [0, 2, 1], [0, 1, 2]])[place - 1], 1)
        pd.DataFrame(shown + 1, columns=['image1', 'image2', 'image3']).assign(
            choice=place, RT=r.integers(500, 9000, len(t)), noise_ceiling=0,
            subject_id=[f'A{v:03}XZ' for v in r.integers(0, 40, len(t))], HIT_nr=1, trial_nr=1, age=30,
            gender='f', date='2020-01-01', time='12:00:00', dataset=1,
        ).to_csv(d / 'triplets_large_final_correctednc_correctedorder.csv', sep='\t', index=False)
        np.savetxt(d/'trainset.txt', t, fmt='%d')
        np.savetxt(d/'data1854_batch5_test10.txt', to_files[t] if n == 12 else t, fmt='%d')
        np.save(d/'train_90.npy', (to_files[t] if n == 12 else t).astype(float))
        np.savez(d/'cut.npz', triplets=t.astype(np.int16))

    files = tempfile.TemporaryDirectory()
    F = Path(files.name)
    write_formats(F, T, 12)
    empty = tempfile.TemporaryDirectory()
    read = functools.partial(things_trials, concepts=few, root=empty.name)

    # cell 52, in part
    big = F/'triplets_large_final_correctednc_correctedorder.csv'

    # cell 54, in part
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        np.savetxt(d/'trainset.txt', to_files[T], fmt='%d')
        try:
            read(d/'trainset.txt', reference=Z)
            raise RuntimeError('not caught')
        except AlignetError as e:
            wrong = str(e).replace(str(d), '')
            assert (
                all(o in wrong for o, f in zip(few, ascii_order(few)) if o != f)
                and "Give order='ascii'" in wrong
            )
        np.savetxt(d/'trainset.txt', T + 1, fmt='%d')
        test_fail(
            lambda: read(d / 'trainset.txt'),
            contains='should count from 0, like all files of this format, but hold an index 12',
        )
        test_eq(read(d/'trainset.txt', base=1).triplets[:, 2], T[:, 2])
        ok = pd.read_csv(big, sep='\t').head(50)
        ok.to_csv(d/'t.csv', sep='\t', index=False)
        rest = functools.partial(read, d/'t.csv', order='ids')
        test_eq(len(rest()), 50)
        ok.assign(image1=ok.image1 - 1, image2=ok.image2 - 1, image3=ok.image3 - 1).to_csv(
            d / 't.csv', sep='\t', index=False
        )
        test_fail(rest, contains='should count from 1')
        bad = ok.astype(object)
        bad.iloc[3, 0] = None
        bad.iloc[5, 1] = 99
        bad.iloc[7, 2] = bad.iloc[7, 1]
        bad.iloc[9, 3] = 4
        bad.to_csv(d/'t.csv', sep='\t', index=False)
        test_fail(rest, contains='1 of 50 rows have an empty cell; the first is row 3')
        with contextlib.redirect_stdout(io.StringIO()) as said:
            test_eq(
                rest(drop=True).triplets,
                read(big, order='ids')[np.setdiff1d(np.arange(50), [3, 5, 7, 9])].triplets,
            )
        assert '4 of 50 rows left out: 1 have an empty cell; 1 point outside' in said.getvalue()
        ok.drop(columns='choice').to_csv(d/'t.csv', sep='\t', index=False)
        test_fail(rest, contains="no column 'choice'")
        ok.astype(object).replace(1, 'x').to_csv(d/'t.csv', sep='\t', index=False)
        test_fail(rest, contains='cannot be read as numbers')
        (d/'t.csv').write_text('image1\timage2\timage3\tchoice\n')
        test_fail(rest, contains='hold no rows')
        (d/'t.txt').write_text('1 2 3 1\n')
        test_fail(lambda: read(d/'t.txt'), contains='have 4 columns, not 3')
        np.save(d/'x.npy', np.ones(3))
        test_fail(lambda: read(d/'x.npy'), contains='of the shape (t, 3)')

    # cell 56
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        get = functools.partial(things_embedding, concepts=few, root=empty.name)
        in_files = Z[pd.Index(few).get_indexer(ascii_order(few))]
        np.savetxt(d/'spose_embedding_66d_sorted.txt', Z, fmt='%.6f', newline=' \n')
        np.save(d/'vice_embedding.npy', in_files)
        np.savez(d/'e.npz', x=Z)
        np.savetxt(d/'e.csv', in_files, delimiter=',')
        for f in ('spose_embedding_66d_sorted.txt', 'vice_embedding.npy', 'e.npz', 'e.csv'):
            test_close(get(d/f, trials=true), Z, eps=1e-5)
        test_close(
            get(d / 'vice_embedding.npy', ['zebra', 'hot_chocolate']),
            Z[[few.index('zebra'), few.index('hot_chocolate')]], eps=1e-6,
        )
        test_close(get(d/'e.csv', order='ascii'), Z, eps=1e-5)
        np.save(d/'vice_embedding.npy', Z)
        try:
            get(d/'vice_embedding.npy', trials=true)
            raise RuntimeError('not caught')
        except AlignetError as e:
            assert all(
                o in str(e) for o, f in zip(few, ascii_order(few)) if o != f
            ) and 'should follow the ASCII order' in str(e)
        test_fail(lambda: get(d/'e.npz'), contains='no choices to ask: give trials=')
        test_fail(
            lambda: get(d / 'e.npz', trials=T[:20]), contains='choices touch a concept that matters'
        )
        test_fail(lambda: get(d/'e.npz', ['zebrra'], trials=T), contains="'zebra'")
        np.save(d/'x.npy', Z[:-1])
        test_fail(lambda: get(d/'x.npy'), contains='has 11 rows, but there are 12 concepts')
        np.save(d/'x.npy', Z.T)
        test_fail(lambda: get(d/'x.npy'), contains='transpose it')
        np.save(d/'x.npy', np.where(Z > 3, np.nan, Z))
        test_fail(lambda: get(d/'x.npy'), contains='hold NaN')
        (d/'x.txt').write_text('a b\nc d\n')
        test_fail(lambda: get(d/'x.txt'), contains='cannot be read as numbers')
        test_fail(lambda: get(d/'no.npy'), contains='does not exist')

    # cell 63
    with tempfile.TemporaryDirectory() as d:
        flat, deep = Path(d)/'flat', Path(d)/'object_images'
        flat.mkdir()
        for i, o in enumerate(few[:10]): Image.new('RGB', (8, 8), (20*i, 0, 0)).save(flat/f'{o}.jpg')
        for o in few[:3]:
            (deep/o).mkdir(parents=True)
            for k in ('02s', '01s' if o == few[2] else '01b'):
                Image.new('RGB', (8, 8)).save(deep/o/f'{o}_{k}.jpg')
        imgs = things_images(flat, few[:10][::-1])
        test_eq(imgs.objects, few[:10][::-1])
        test_eq(imgs.names, [f'{o}.jpg' for o in few[:10][::-1]])
        test_fail(
            lambda: things_images(flat, few),
            contains=f"2 of 12 concepts have no photo in '{flat}': '{few[10]}', '{few[11]}'",
        );
        with contextlib.redirect_stdout(io.StringIO()) as said:
            test_eq(things_images(flat, few, missing='drop').objects, few[:10])
            assert '2 of 12 concepts have no photo' in said.getvalue()
            test_eq(
                things_images(deep, few[:3]).names,
                [f'{few[k]}/{few[k]}_01{c}.jpg' for k, c in enumerate('bbs')],
            )
        assert '1 of 3 photos are not the ones that people saw' in said.getvalue()
        test_fail(lambda: things_images(flat, ['x'], missing='drop'), contains='1 of 1 concepts')
        test_fail(lambda: things_images(flat, few, missing='skip'), contains="missing='skip'")
        test_fail(lambda: things_images(Path(d)/'none', few), contains='does not exist')
    if DATA:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            photos = things_images(Path(DATA)/'things'/'images', missing='drop')
        print(
            f'{len(photos)} photos;', said.getvalue().strip().replace(str(Path(DATA)), 'ALIGNET_DATA')
        )
        assert photos.objects == [o for o in ids if f'{o}.jpg' in photos] and len(photos) == len(
            ImageSet(Path(DATA) / 'things' / 'images')
        )


def test_the_48_objects():
    "The 48 objects"
    # cell 27
    DATA = os.environ.get('ALIGNET_DATA')
    if DATA:
        concepts = things_concepts()
        ids = _names(concepts)
        display(
            concepts[['uniqueID', 'Word', 'Top-down Category (WordNet)']].iloc[[0, 87, 88, 801, 803]]
        )
    else:
        print('skipped: set ALIGNET_DATA to see the concept table')
        ids = None

    # cell 67
    words = ['pizza', 'camera', 'bowler hat', 'file']
    table = pd.DataFrame(
        dict(
            Word=['bowler hat', 'camera', 'camera', 'file', 'file', 'pizza'],
            uniqueID=['bowler_hat', 'camera1', 'camera2', 'file1', 'file2', 'pizza'],
        )
    )
    R = rng(8).random((4, 4))
    R = (R + R.T)/2
    np.fill_diagonal(R, 0)
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        savemat(d/'r.mat', {'RDM48_triplet': R, 'RDM48_triplet_split1': R/2})
        savemat(d/'w.mat', {'words48': np.array(words, object)[:, None]})
        load = functools.partial(things_48, d/'r.mat', d/'w.mat', table)
        names48, D48 = load()
        test_eq(names48, ['pizza', 'camera1', 'bowler_hat', 'file1'])
        test_close(D48, R, eps=1e-6)
        test_close(load(key='RDM48_triplet_split1')[1], R/2, eps=1e-6)
        test_fail(lambda: load(key='rsm'), contains="no variable 'rsm' (it has 'RDM48_triplet'")
        test_fail(lambda: things_48(d/'no.mat', d/'w.mat', table), contains='does not exist')
        test_fail(lambda: things_48(d/'r.mat', d/'w.mat', table[1:]), contains="'bowler hat'")
        savemat(d/'r.mat', {'RDM48_triplet': R[:3, :3]})
        test_fail(load, contains='there are 4 words')
        savemat(d/'r.mat', {'RDM48_triplet': R + np.eye(4)})
        test_fail(load, contains='zeros on the diagonal')
        savemat(d/'w.mat', {'words48': np.array(words[:3] + ['pizza'], object)})
        savemat(d/'r.mat', {'RDM48_triplet': R})
        test_fail(load, contains='occur more than once')
        (d/'w.mat').write_text('no')
        test_fail(load, contains='cannot be read as a MATLAB file')
    if DATA:
        test_eq(
            [concepts.drop_duplicates('Word').set_index('Word').uniqueID[o] for o in words],
            ['pizza', 'camera1', 'bowler_hat', 'file1'],
        )
    names48


def test_before_anything_is_split_repeated_questions():
    "Before anything is split: repeated questions"
    # cell 27
    DATA = os.environ.get('ALIGNET_DATA')
    if DATA:
        concepts = things_concepts()
        ids = _names(concepts)
        display(
            concepts[['uniqueID', 'Word', 'Top-down Category (WordNet)']].iloc[[0, 87, 88, 801, 803]]
        )
    else:
        print('skipped: set ALIGNET_DATA to see the concept table')
        ids = None

    # cell 34
    if DATA:
        # the same choices, counted as in 2020
        human = things_choices()[1]
        spose = things_matrix('spose')
        as_files = pd.Index(ascii_order(ids)).get_indexer(ids)[human]
        trial = {
            'as they are': human, 'counted in the order of the image files': as_files,
            'the first 2,000': human[:2000],
        }
        shown = pd.DataFrame({k: choice_order(t, spose, ids) for k, t in trial.items()}).drop('moved').T
        display(shown)
    else: print('skipped: set ALIGNET_DATA to ask an embedding for the order of choices')

    # cell 69
    if DATA:
        all_of_them = Judgements(human, ids, source='THINGS choices, a part')
        s = all_of_them.summary()
        repeated = all_of_them.agreement()
        # the usual cut: a tenth of the rows
        out = np.zeros(len(human), bool)
        out[rng(0).permutation(len(human))[:len(human)//10]] = True
        side = lambda o: {tuple(r) for r in np.sort(o.triplets).tolist()}
        rows, (fit, score) = (all_of_them[~out], all_of_them[out]), all_of_them.split(fraction=.1)
        leak = len(side(rows[0]) & side(rows[1])), len(side(fit) & side(score))
        display(
            pd.Series(
                {
                    'choices': s['triplets'], 'questions': s['questions'],
                    'asked more than once': len(repeated), 'choices about those': repeated.trials.sum(),
                    'questions on both sides, rows cut at random': leak[0],
                    'questions on both sides, Judgements.split': leak[1],
                },
                name='',
            ).to_frame()
        )
    else: print('skipped: set ALIGNET_DATA to count repeated questions')

    # cell 71, in part
    def share(rows): return np.bincount(np.array(rows)//2, minlength=3).max()/len(rows)                             # a row is 2 * (which is odd) + (order of the other two)

    def simulated(n, dedup, r, p=(.67, .22, .11), questions=3000):
        "Majority shares of simulated questions that n people answered, and the number of rows they are left with"
        row = r.choice(3, (questions, n), p=p)*2 + r.integers(0, 2, (questions, n))
        sets = [np.unique(x) if dedup else x for x in row]
        return pd.DataFrame([(len(x), share(x)) for x in sets], columns=['rows', 'share'])

    lot = pd.Series(
        {k: np.mean([share(c) for c in itertools.combinations(range(6), k)]) for k in (2, 3)}
    )
    honest = pd.concat([simulated(n, False, rng(12, n)) for n in (2, 3)]).groupby('rows').share.mean()
    by_rows = repeated.groupby('trials').majority.agg(['mean', 'sem']).loc[[2, 3]] if DATA else None

    # cell 74
    def exact(n, k, dedup, p=(.67, .22, .11)):
        "Mean majority share of the questions that n people answered and that are left with k rows, from all 6**n runs"
        runs = [
            (np.prod([p[o // 2] / 2 for o in run]), sorted(set(run)) if dedup else run)
            for run in itertools.product(range(6), repeat=n)
        ]
        w, s = np.array([(w, share(x)) for w, x in runs if len(x) == k]).T
        return (w*s).sum()/w.sum()

    for k in (2, 3):
        got = simulated(4, True, rng(13))
        test_close(got.share[got.rows == k].mean(), exact(4, k, True), eps=.02)
        test_close(honest[k], exact(k, k, False), eps=.02)
        test_close(exact(4, k, True, (1/3,)*3), lot[k], eps=1e-9)
    # by hand
    squares = .67**2 + .22**2 + .11**2
    test_close(exact(2, 2, False), (1 + squares)/2, eps=1e-9)
    test_close(exact(2, 2, True), .5/(1 - squares/2), eps=1e-9)
    if DATA:
        # one question, one answer, in any order
        same = pd.DataFrame(np.c_[np.sort(human[:, :2]), human[:, 2]]).value_counts()
        n_same = (same > 1).sum()
        test_close((human[:, 0] < human[:, 1]).mean(), .5, eps=.005)
        assert n_same > 300 and same.max() == 2
        test_eq(len(np.unique(human, axis=0)), len(human))
        assert (by_rows['mean'] - 3*by_rows['sem'] > lot).all()
        test_eq(leak[1], 0)
        assert leak[0] > 20
        # counted another way
        test_eq(len(repeated), (pd.DataFrame(np.sort(human)).value_counts() > 1).sum())
        print(
            f'{n_same} pairs of rows give the same answer to the same question, {n_same - (len(human) - len(np.unique(human, axis=0)))} of them in two orders'
        )
