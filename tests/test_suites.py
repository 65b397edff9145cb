"""Tests of `alignet.suites`.

Generated from nbs/06e_suites.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import nn
from alignet.core import *
from alignet.data import ImageSet, offline_world
from alignet.features import Backbone, extract_features, create_backbone
from alignet.evaluation import fit_probe, _draw_shots, _with_truth
from alignet.human_rdms import compare_rsa, HumanRDM
from alignet.hierarchy import Taxonomy, hierarchy_change
from alignet.levels import score_levels, compare_levels, simulated_levels
import tempfile
from fastcore.test import test_eq, test_close, test_fail
from alignet.shift import ShiftedImages
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torchvision.datasets import ImageFolder
from alignet.suites import *
from alignet.suites import _item, _name_models, _row, _style_split

NOTEBOOK = 'nbs/06e_suites.ipynb'     # a test runs in the folder of its notebook


def test_a_task_one_data_set_one_measure():
    "A task: one data set, one measure"
    # cell 9, in part
    r = rng(0); groups = np.repeat(np.arange(20), 15); values = r.normal(size=20)[groups] + .1 * r.normal(size=300)

    # cell 11
    low, high = cluster_ci(values, groups); means = values.reshape(20, 15).mean(1)
    test_close((high - low) / (2 * stats.t.ppf(.975, 19)), means.std(ddof=1) / np.sqrt(20), eps=.03)
    low1, high1 = cluster_ci(values, np.arange(300), n_boot=4000); test_close((high1 - low1) / (2 * 1.96), values.std() / np.sqrt(300), eps=.005)      # every item its own group
    assert np.isnan(cluster_ci(values, np.zeros(300))).all()
    test_fail(lambda: cluster_ci(values, groups[:5]), contains='one group for each value')


def test_odd_one_out_and_how_sure():
    "Odd one out, and how sure"
    # cell 14, in part
    world = offline_world(size=64, n_objects=120, n_triplets=1500)
    held = _with_truth(world); photos = world.photos(held.names); kind = world.items.set_index('file').loc[photos]
    E = np.concatenate([pd.get_dummies(kind[c]).to_numpy(np.float32) for c in ('group', 'subgroup')], 1) + .01 * rng(2).normal(size=(len(photos), 1))
    fake = {'truth': dict(zip(photos, E)), 'noise': dict(zip(photos, rng(1).normal(size=E.shape).astype(np.float32)))}
    group = world.items.set_index('file').group[photos].tolist()
    odd, sure = odd_one_out_tasks(held, world.images, photos, 'toy', ceiling=float(held.probs.max(1).mean()), groups=group, min_trials=20)
    rows, items, _ = odd.run(fake)

    # cell 15
    got = pd.DataFrame(rows).set_index(['model', 'measure']).value
    X = np.stack([fake['noise'][f] for f in photos])
    test_close(got['noise', 'accuracy, dot'], ooo_accuracy(X, held.triplets, 'dot')); assert got['truth', 'accuracy, dot'] > .5 > got['noise', 'accuracy, dot'] > .25
    assert got['truth', 'accuracy, people decided'] > got['truth', 'accuracy, people undecided']
    rows, items, _ = sure.run(fake); rows = pd.DataFrame(rows).set_index(['model', 'measure']).value
    assert rows['truth', 'Brier score'] < rows['noise', 'Brier score'] < .7 and items[0]['better'] == 'low'
    test_close(rows['noise', 'Brier score'], items[0]['values']['noise'].mean())
    test_fail(lambda: odd_one_out_tasks(held, world.images, photos[:5]), contains='one picture for each object')


def test_few_shot_probes():
    "Few-shot probes"
    # cell 14, in part
    world = offline_world(size=64, n_objects=120, n_triplets=1500)

    # cell 19, in part
    colour = world.items[world.items['style'] == 'colour']; colour = colour[colour.group.map(colour.group.value_counts()) > 5]
    probe = few_shot_task(world.images, dict(zip(colour.file, colour.group)), ks=(3,), draws=1)
    r = rng(5); shown = {m: {f: (np.eye(30)[hash_ % 30] * s + r.normal(size=30)).astype(np.float32) for f, hash_ in zip(colour.file, pd.factorize(colour.group)[0])} for m, s in (('clear', 4.), ('faint', 1.))}
    rows = pd.DataFrame(probe.run(shown)[0])

    # cell 20
    files, y = probe.files, np.array([dict(zip(colour.file, colour.group))[f] for f in probe.files]); X = np.stack([shown['faint'][f] for f in files])
    train = _draw_shots(y, np.arange(len(y)), 3, rng(0, 63, 0)); test = np.setdiff1d(np.arange(len(y)), train)
    C = fit_probe(X[train], y[train])[-1].C
    direct = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000)).fit(X[train], y[train])
    value = rows.set_index(['model', 'measure']).value
    test_close(value['faint', '3-shot accuracy'], direct.score(X[test], y[test]))
    onehot = (y[test][:, None] == direct.classes_) * 1.
    test_close(value['faint', '3-shot Brier score'], ((direct.predict_proba(X[test]) - onehot)**2).sum(1).mean(), eps=1e-6)
    assert value['clear', '3-shot accuracy'] > value['faint', '3-shot accuracy']
    test_fail(lambda: few_shot_task(world.images, {}), contains='no picture has a label')


def test_shift_hierarchy_similarity_judgements():
    "Shift, hierarchy, similarity judgements"
    # cell 14, in part
    world = offline_world(size=64, n_objects=120, n_triplets=1500)
    held = _with_truth(world); photos = world.photos(held.names); kind = world.items.set_index('file').loc[photos]
    E = np.concatenate([pd.get_dummies(kind[c]).to_numpy(np.float32) for c in ('group', 'subgroup')], 1) + .01 * rng(2).normal(size=(len(photos), 1))
    fake = {'truth': dict(zip(photos, E)), 'noise': dict(zip(photos, rng(1).normal(size=E.shape).astype(np.float32)))}

    # cell 24, in part
    some = photos[:24]; S = np.stack([pair_sims(E[:24] + .5 * rng(i, 3).normal(size=E[:24].shape), 'cosine') for i in range(6)])
    human = HumanRDM.from_matrix(S, some, 'similarity', symmetrise=True, simulated=True, images=world.images.subset(some)); two = {m: (photos, np.stack([fake[m][f] for f in photos])) for m in ('noise', 'truth')}
    made = pd.DataFrame({i['measure']: i['pair']('noise', 'truth') for i in rsa_task(human, 'toy').run(two, n_boot=400)[1]}).T
    direct = compare_rsa(two['noise'], two['truth'], human, n_boot=400)

    # cell 25
    for m in direct.index: test_close(made.loc[m, ['gain', 'low', 'high']].astype(float).to_numpy(), direct.loc[m, ['gain', 'low', 'high']].astype(float).to_numpy(), eps=1e-9)
    levels, X, _ = simulated_levels(people=20, per_kind=30); levels.images = world.images; pairs = {'mind': (levels.files, X), 'noise': (levels.files, rng(4).normal(size=X.shape))}
    rows, items, _ = levels_task(levels).run(pairs, n_boot=200); assert 'people' in rows[0] and not np.isnan(rows[0]['people'])
    t = compare_levels(*(score_levels(pairs[m], levels, n_boot=200) for m in ('noise', 'mind')), n_boot=200); it = next(i for i in items if i['measure'] == 'answers: coarse')
    test_close((it['values']['mind'] - it['values']['noise']).mean(), float(t.loc['answers: coarse', 'gain']), eps=1e-6)
    six = ShiftedImages('imagenet-a', world.images.subset(photos[:6]), ['c0', 'c1'], np.array([0, 0, 0, 1, 1, 1]), [[0], [1]]); W = rng(6).normal(size=(1000, E.shape[1])).astype(np.float32)
    rows, items, _ = head_task(six).run({'truth': fake['truth']}, heads={'truth': (W, None)}); L = np.stack([fake['truth'][f] for f in photos[:6]]) @ W.T
    test_close(rows[0]['value'], np.mean([(L[:3, 0] > L[:3, 1]).mean(), (L[3:, 1] > L[3:, 0]).mean()])); test_eq((items, head_task(six).run({'truth': fake['truth']}, heads={})[0]), ([], []))


def test_finding_data():
    "Finding data"
    # cell 14, in part
    world = offline_world(size=64, n_objects=120, n_triplets=1500)
    held = _with_truth(world)

    # cell 28, in part
    tasks, left = tasks_of(world)

    # cell 30
    assert {t.suite for t in tasks} >= {'odd_one_out', 'calibration', 'few_shot', 'hierarchy', 'shift'} and set(left.suite) >= {'rsa', 'levels'}
    assert all('simulated' in t.notes.lower() for t in tasks)
    split = _style_split(world, world.items[world.items.object.isin(held.names) & (world.items.group != '')], 0).items
    seen = {p: set(world.items.set_index('file').object[split.file[split.part == p]]) for p in ('fit', 'source', 'target')}
    assert seen['source'] == seen['target'] and not seen['fit'] & seen['target']                            # other objects than it learnt from, the same in both styles
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        few, _ = tasks_of(d, 'few_shot'); test_eq((few[0].suite, len(few[0].files)), ('few_shot', 14)); test_fail(lambda: tasks_of([d, few[0]]), contains='rename a folder')
        test_fail(lambda: tasks_of(Path(d)/'nowhere'), contains='is no folder')
    test_fail(lambda: tasks_of(world, 'odd'), contains='choose among odd_one_out')

    # cell 32
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        wrapped = DatasetPictures(ImageFolder(d)); task = few_shot_task(wrapped, wrapped.labels, 'torchvision', ks=(2,), draws=1)
        F = extract_features(create_backbone('test_efficientnet', pretrained=False), wrapped, size=32, path=Path(d)/'store'); rows = task.run({'tiny': F})[0]
    part = wrapped.subset(wrapped.names[9:11])
    test_eq((len(wrapped), set(wrapped.labels.values()), list(part.labels.values()), part.names), (14, {'a', 'b'}, ['b', 'b'], wrapped.names[9:11]))
    test_eq(rows[0]['n'], 10); test_fail(lambda: DatasetPictures([(1, 2)]), contains='without a transform')
    one, other = (DatasetPictures([(world.images[i + k], 0) for i in range(9)]) for k in (0, 9)); assert not set(one.names) & set(other.names)         # two datasets of one class


def test_any_model():
    "Any model"
    # cell 35, in part
    net = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    mine = Backbone(net, 'mine', data_config=dict(input_size=(3, 32, 32), mean=(.5,)*3, std=(.5,)*3, interpolation='bicubic', crop_pct=1.))

    # cell 36
    test_eq(mine.num_features, 48)
    test_fail(lambda: _name_models([mine, mine]), contains='same name'); test_fail(lambda: _name_models({'a.png': np.zeros(3)}), contains='name the model'); test_eq(len(_name_models((['a', 'b'], np.zeros((2, 3))))), 1); test_fail(lambda: _name_models({}), contains='no models'); test_fail(lambda: _name_models('vit_smal_patch16_224'), contains='vit_small_patch16_224')

    # cell 38
    try: import transformers
    except ImportError: transformers = None

    # cell 39
    if transformers:
        config = transformers.ViTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8); vit = transformers.ViTModel(config).eval()
        tower = hf_backbone(vit, dict(size=dict(height=32, width=32), image_mean=[.5]*3, image_std=[.25]*3, resample=3)); x = torch.rand(2, 3, 32, 32)
        with torch.no_grad(): test_close(tower(x), vit(pixel_values=x).pooler_output)
        test_eq((tower.num_features, tower.input_size, tower.normalize[1], tower.data_config['interpolation']), (32, 32, (.25,)*3, 'bicubic'))
    else: print('skipped: transformers is not installed (pip install transformers)')


def test_one_call():
    "One call"
    # cell 14, in part
    world = offline_world(size=64, n_objects=120, n_triplets=1500)
    held = _with_truth(world); photos = world.photos(held.names)

    # cell 19, in part
    colour = world.items[world.items['style'] == 'colour']; colour = colour[colour.group.map(colour.group.value_counts()) > 5]

    # cell 28, in part
    tasks, left = tasks_of(world)

    # cell 30, in part
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        few, _ = tasks_of(d, 'few_shot'); test_eq((few[0].suite, len(few[0].files)), ('few_shot', 14)); test_fail(lambda: tasks_of([d, few[0]]), contains='rename a folder')
        test_fail(lambda: tasks_of(Path(d)/'nowhere'), contains='is no folder')

    # cell 32, in part
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        wrapped = DatasetPictures(ImageFolder(d)); task = few_shot_task(wrapped, wrapped.labels, 'torchvision', ks=(2,), draws=1)
        F = extract_features(create_backbone('test_efficientnet', pretrained=False), wrapped, size=32, path=Path(d)/'store'); rows = task.run({'tiny': F})[0]

    # cell 35, in part
    net = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    mine = Backbone(net, 'mine', data_config=dict(input_size=(3, 32, 32), mean=(.5,)*3, std=(.5,)*3, interpolation='bicubic', crop_pct=1.))

    # cell 45, in part
    set_seed(0); tiny = create_backbone('test_efficientnet', pretrained=False)
    report = evaluate({'tiny': tiny, 'mine': mine}, data=world, size=32, n_boot=300)

    # cell 47
    wide = report.wide(); c = report.compare('tiny', 'mine')
    test_eq(report.models, ['tiny', 'mine']); assert set(wide.suite) == {t.suite for t in tasks} and (c.low <= c.gain).all() and (c.gain <= c.high).all()
    value = wide.set_index(['suite', 'measure']).mine['odd_one_out', 'accuracy, cosine']
    F = extract_features(mine, world.images.subset(photos), size=32).get(photos); test_close(value, ooo_accuracy(F, held.triplets, 'cosine'))          # the direct way
    back = report.compare('mine', 'tiny'); test_close(back.gain, -c.gain, eps=1e-9); assert (c.verdict == 'better').sum() == (back.verdict == 'worse').sum()
    test_fail(lambda: report.compare('tiny', 'other'), contains='it has tiny, mine'); test_fail(lambda: evaluate(mine, 'rsa', data=world), contains='there is no data for rsa')
    moved = hierarchy_change(*(extract_features(m, world.images, size=32) for m in (tiny, mine)), Taxonomy.from_world(world), n_boot=50).set_index('relation').change
    test_close(c[c.measure == 'distance, same superordinate'].gain.item(), moved['same superordinate'], eps=1e-6)                       # the comparison is that of the chapter
    part = evaluate({'mine': (photos, F)}, data=world, n_boot=50)                                                                       # features of some pictures only: the rest is left out, and said
    assert {'odd_one_out', 'calibration'} <= set(part.table.suite) and 'shift' in set(part.left_out.suite)
    only = evaluate([mine, tiny], 'pictures', data=world, size=32); assert len(only.figures) >= 3 and only.models[0] == 'mine'
    read = []
    class Counting(ImageSet):
        def __getitem__(self, i): read.append(i); return super().__getitem__(i)
    counted = [few_shot_task(Counting(world.images.root, colour.file.tolist()), dict(zip(colour.file, colour.group)), f'few {k}', ks=(k,), draws=1) for k in (1, 2)]
    with tempfile.TemporaryDirectory() as d: evaluate(mine, 'few_shot', data=counted, size=32, path=d); evaluate(mine, 'few_shot', data=counted[0], size=32, path=d)
    test_eq(len(read), len(counted[0].files))                                                                                               # each picture once, for two tasks and two calls

    # cell 49, in part
    def pair(gain, seed, G=40): r = rng(seed); g = np.repeat(np.arange(G), 5); x = r.normal(size=5 * G); return dict(suite='s', data='d', **_item('m', dict(a=x, b=x + gain + r.normal(size=G)[g] * .2 + r.normal(size=5 * G) * .1), groups=g, unit='group'))
    dummy = pd.DataFrame([dict(suite='s', data='d', **_row(n, 'm', 0)) for n in 'ab'])
    known = Evaluation(dummy, [pair(.3, 0), pair(0, 1)]).compare()
    told = {G: np.mean([(Evaluation(dummy, [pair(0, 100 + i, G)], n_boot=400).compare().verdict != 'cannot tell').item() for i in range(400)]) for G in (2, 3, 5, 10, 40)}

    # cell 50
    assert known.low[0] < .3 < known.high[0] and known.verdict[0] == 'better' and all(.01 < v < .1 for v in told.values())
    test_eq(Evaluation(dummy, [pair(.3, 0, 1)]).compare().verdict.item(), 'cannot tell')
    with tempfile.TemporaryDirectory() as d:
        report.to_html(Path(d)/'r.html'); report.to_json(Path(d)/'r.json'); page, numbers = (Path(d)/'r.html').read_text(), read_json(Path(d)/'r.json')
    assert 'Left out' in page and 'SIMULATED' in page.upper() and page.count('<img') == page.count('alt="') >= 3 and len(numbers['rows']) == len(report.table)
