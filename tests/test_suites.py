"""Tests of `alignet.suites`.

Generated from nbs/06e_suites.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from torch import nn
from alignet.core import *
from alignet.data import offline_world
from alignet.features import Backbone, extract_features, create_backbone
from alignet.evaluation import fit_probe, _draw_shots, _with_truth
import tempfile
from fastcore.test import test_eq, test_close, test_fail
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
    test_close((high - low) / (2 * 1.96), means.std(ddof=1) / np.sqrt(20), eps=.04)
    low1, high1 = cluster_ci(values, np.arange(300), n_boot=4000); test_close((high1 - low1) / (2 * 1.96), values.std() / np.sqrt(300), eps=.005)      # every item its own group
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


def test_finding_data():
    "Finding data"
    # cell 14, in part
    world = offline_world(size=64, n_objects=120, n_triplets=1500)
    held = _with_truth(world)

    # cell 25, in part
    tasks, left = tasks_of(world)

    # cell 27
    assert {t.suite for t in tasks} >= {'odd_one_out', 'calibration', 'few_shot', 'hierarchy', 'shift'} and set(left.suite) >= {'rsa', 'levels'}
    assert all('simulated' in t.notes.lower() for t in tasks)
    split = _style_split(world, world.items[world.items.object.isin(held.names) & (world.items.group != '')], 0).items
    seen = {p: set(world.items.set_index('file').object[split.file[split.part == p]]) for p in ('fit', 'source', 'target')}
    assert seen['source'] == seen['target'] and not seen['fit'] & seen['target']                            # other objects than it learnt from, the same in both styles
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        few, _ = tasks_of(d, 'few_shot'); test_eq((few[0].suite, len(few[0].files), len(tasks_of([d, few[0]])[0])), ('few_shot', 14, 2))
        test_fail(lambda: tasks_of(Path(d)/'nowhere'), contains='is no folder')
    test_fail(lambda: tasks_of(world, 'odd'), contains='choose among odd_one_out')

    # cell 29
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        wrapped = DatasetPictures(ImageFolder(d)); task = few_shot_task(wrapped, wrapped.labels, 'torchvision', ks=(2,), draws=1)
        F = extract_features(create_backbone('test_efficientnet', pretrained=False), wrapped, size=32, path=Path(d)/'store'); rows = task.run({'tiny': F})[0]
    test_eq((len(wrapped), set(wrapped.labels.values()), wrapped.subset(wrapped.names[9:11]).labels), (14, {'a', 'b'}, {'0000009.png': 'b', '0000010.png': 'b'}))
    test_eq(rows[0]['n'], 10); test_fail(lambda: DatasetPictures([(1, 2)])[0], contains='without a transform')


def test_any_model():
    "Any model"
    # cell 32, in part
    net = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    mine = Backbone(net, 'mine', data_config=dict(input_size=(3, 32, 32), mean=(.5,)*3, std=(.5,)*3, interpolation='bicubic', crop_pct=1.))

    # cell 33
    test_eq(mine.num_features, 48)
    test_fail(lambda: _name_models([mine, mine]), contains='same name'); test_fail(lambda: _name_models({}), contains='no models'); test_fail(lambda: _name_models('vit_smal_patch16_224'), contains='vit_small_patch16_224')

    # cell 35
    try: import transformers
    except ImportError: transformers = None

    # cell 36
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

    # cell 25, in part
    tasks, left = tasks_of(world)

    # cell 27, in part
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        few, _ = tasks_of(d, 'few_shot'); test_eq((few[0].suite, len(few[0].files), len(tasks_of([d, few[0]])[0])), ('few_shot', 14, 2))
        test_fail(lambda: tasks_of(Path(d)/'nowhere'), contains='is no folder')

    # cell 29, in part
    with tempfile.TemporaryDirectory() as d:
        for c in 'ab':
            (Path(d)/c).mkdir()
            for i in range(7): world.images[i].save(Path(d)/c/f'{i}.png')
        wrapped = DatasetPictures(ImageFolder(d)); task = few_shot_task(wrapped, wrapped.labels, 'torchvision', ks=(2,), draws=1)
        F = extract_features(create_backbone('test_efficientnet', pretrained=False), wrapped, size=32, path=Path(d)/'store'); rows = task.run({'tiny': F})[0]

    # cell 32, in part
    net = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    mine = Backbone(net, 'mine', data_config=dict(input_size=(3, 32, 32), mean=(.5,)*3, std=(.5,)*3, interpolation='bicubic', crop_pct=1.))

    # cell 42, in part
    set_seed(0)
    report = evaluate({'tiny': create_backbone('test_efficientnet', pretrained=False), 'mine': mine}, data=world, size=32, n_boot=300)

    # cell 44
    wide = report.wide(); c = report.compare('tiny', 'mine')
    test_eq(report.models, ['tiny', 'mine']); assert set(wide.suite) == {t.suite for t in tasks} and (c.low <= c.gain).all() and (c.gain <= c.high).all()
    stores = {n: extract_features(m, world.images.subset(photos), size=32) for n, m in (('tiny', create_backbone('test_efficientnet', pretrained=False)),)}
    value = wide.set_index(['suite', 'measure']).mine['odd_one_out', 'accuracy, cosine']
    F = extract_features(mine, world.images.subset(photos), size=32).get(photos); test_close(value, ooo_accuracy(F, held.triplets, 'cosine'))          # the direct way
    back = report.compare('mine', 'tiny'); test_close(back.gain, -c.gain, eps=1e-9); assert (c.verdict == 'better').sum() == (back.verdict == 'worse').sum()
    test_fail(lambda: report.compare('tiny', 'other'), contains='it has tiny, mine'); test_fail(lambda: evaluate(mine, 'rsa', data=world), contains='there is no data for rsa')

    # cell 46, in part
    def pair(gain, seed): r = rng(seed); g = np.repeat(np.arange(40), 5); x = r.normal(size=200); return dict(suite='s', data='d', **_item('m', dict(a=x, b=x + gain + r.normal(size=40)[g] * .2 + r.normal(size=200) * .1), groups=g, unit='group'))
    dummy = pd.DataFrame([dict(suite='s', data='d', **_row(n, 'm', 0)) for n in 'ab'])
    known = Evaluation(dummy, [pair(.3, 0), pair(0, 1)]).compare(); false = np.mean([(Evaluation(dummy, [pair(0, 100 + i)], n_boot=400).compare().verdict != 'cannot tell').item() for i in range(100)])

    # cell 47
    assert known.low[0] < .3 < known.high[0] and known.verdict[0] == 'better' and .0 <= false <= .13
    with tempfile.TemporaryDirectory() as d:
        report.to_html(Path(d)/'r.html'); report.to_json(Path(d)/'r.json'); page, numbers = (Path(d)/'r.html').read_text(), read_json(Path(d)/'r.json')
    assert 'Left out' in page and 'SIMULATED' in page.upper() and page.count('<img') == page.count('alt="') >= 3 and len(numbers['rows']) == len(report.table)
