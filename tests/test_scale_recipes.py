"""Tests of `alignet.scale.recipes`.

Generated from nbs/scale/recipes.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import pytest
import dataclasses
import math
import warnings
from functools import partial
import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback, CancelStepException
from fastai.callback.training import GradientAccumulation
from fastai.learner import Learner
from fastai.optimizer import Adam, SGD
from torch import nn
from alignet.core import *
from alignet.training import *
import contextlib
import importlib
import importlib.util
import json
import tempfile
import time
from pathlib import Path
import matplotlib.pyplot as plt
import timm
from fastcore.test import test_eq, test_close, test_fail, test_ne
from PIL import Image, ImageDraw
from timm.optim import param_groups_layer_decay
from alignet.data import ImageSet
from alignet.features import create_backbone
from alignet.export import export_open_clip, export_timm
from alignet.loss import AlignLoss, all_triplets
from alignet.labels import PseudoLabels
from alignet.scale.recipes import *

NOTEBOOK = 'nbs/scale/recipes.ipynb'     # a test runs in the folder of its notebook


def test_learning_rates_by_layer():
    "Learning rates by layer"
    # cell 9, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)
    toy_trips = all_triplets(48).numpy()
    toy_labels = PseudoLabels(
        toys.names, *odd_last(toy_trips, triplet_sims(toy_teacher, toy_trips)), toy_teacher
    )

    # cell 10, in part
    tiny = dict(depth=2, embed_dim=48, num_heads=3)

    def tiny_vit(name='vit_base_patch16_224', seed=0, **kw):
        "A vision transformer of 0.14 million parameters with random weights"
        set_seed(seed)
        return create_backbone(name, pretrained=False, size=32, **{**tiny, **kw})

    def toy_learner(backbone=None, **kw):
        "A learner on the toy pictures: two batches of 16 an epoch"
        return align_learner(
            toy_labels,
            backbone or tiny_vit(),
            toys,
            **{**dict(size=32, bs=16, valid_pct=0.25, device='cpu'), **kw}
        )

    def quietly(learn, fit='fit', *args, **kw):
        "Train without printing"
        with learn.no_bar(), learn.no_logging(): getattr(learn, fit)(*args, **kw)
        return learn

    # cell 17, in part
    learn = toy_learner(splitter=layer_groups, head=8)

    # cell 21
    quietly(learn, 'fit_one_cycle', 1, layer_lrs(learn, 3e-5, .75))
    assert math.isfinite(learn.recorder.losses[-1]) and len(learn.opt.hypers) == len(
        layer_groups(learn.model)
    )
    test_fail(lambda: layer_lrs(toy_learner(), 3e-5), contains='splitter=layer_groups')
    test_fail(lambda: layer_lrs(learn, 3e-5, 1.5), contains='at most 1')

    # cell 23
    shrunk = [
        ('vit_base_patch16_224', tiny, 32), ('vit_base_patch16_siglip_224', tiny, 32),
        ('vit_base_patch14_reg4_dinov2', tiny, 56), ('naflexvit_base_patch16_siglip', tiny, 32),
        ('test_efficientnet', {}, None),
        ('resnet50', dict(layers=(2, 1, 1, 1), channels=(8, 16, 24, 32)), None),
        ('convnext_tiny', dict(depths=(1, 2, 1, 1), dims=(8, 16, 24, 32)), None),
    ]
    for name, kw, size in shrunk:
        backbone = create_backbone(name, pretrained=False, size=size, num_classes=10, **kw)
        theirs = {
            id(p): g['lr_scale']
            for g in param_groups_layer_decay(backbone.model, layer_decay=0.75)
            for p in g['params']
        }
        student = Student(backbone, head=4)
        groups = layer_groups(student)
        learn = Learner(toy_learner().dls, student, loss_func=AlignLoss(), splitter=layer_groups)
        ours = {id(p): lr for g, lr in zip(groups, layer_lrs(learn, 1., .75)) for p in g}
        trained = [p for p in student.parameters() if p.requires_grad]
        # each once, and no other
        test_eq(sorted(id(p) for g in groups for p in g), sorted(id(p) for p in trained))
        for n, p in backbone.model.named_parameters():
            if p.requires_grad: test_close(ours[id(p)], theirs[id(p)], eps=1e-12)
        assert len(set(ours.values())) > 3 and ours[id(student.log_scale)] == 1.
        print(
            f'{name:32} {len(groups):3} groups, rates from {min(ours.values()):.3f} to {max(ours.values()):.3f} of the top'
        )

    # cell 25, in part
    def add_clip_models(folder):
        "Two open_clip models small enough for a page: a tower of open_clip's own and a timm tower"
        oc, text = require('open_clip', 'open_clip_torch'), dict(
            context_length=8, vocab_size=64, width=32, heads=2, layers=1
        )
        towers = {
            'tiny-ViT-B-16': dict(layers=2, width=48, patch_size=16, head_width=16),
            'tiny-timm': dict(
                timm_model_name='test_vit', timm_model_pretrained=False, timm_pool='',
                timm_proj='linear',
            ),
        }
        for name, tower in towers.items():
            path = Path(folder)/f'{name}.json'
            path.write_text(
                json.dumps(dict(embed_dim=32, vision_cfg=dict(tower, image_size=32), text_cfg=text))
            )
            oc.add_model_config(path)
        return list(towers)

    def clip_backbone(name):
        "One of them, without open_clip's remark that its weights are random"
        logging = importlib.import_module('logging')
        logging.disable(logging.WARNING)
        try: return create_backbone(f'open_clip:{name}', pretrained=False)
        finally: logging.disable(logging.NOTSET)

    have_clip = importlib.util.find_spec('open_clip') is not None
    with tempfile.TemporaryDirectory() as d: clip_models = add_clip_models(d) if have_clip else []

    # cell 26
    for name, blocks in zip(clip_models, (2, 6)):
        learn = toy_learner(clip_backbone(name), splitter=layer_groups)
        lrs = layer_lrs(learn, 1., .5)
        rate = {
            n.removeprefix('backbone.model.visual.'): lr
            for g, lr in zip(layer_groups(learn.model), lrs)
            for p in g
            for n, q in learn.model.named_parameters()
            if q is p
        }
        block = (
            'transformer.resblocks.{}.ln_1.weight'
            if name == 'tiny-ViT-B-16'
            else 'trunk.blocks.{}.norm1.weight'
        )
        test_eq(
            [rate[block.format(i)] for i in range(blocks)], [0.5 ** (blocks - i) for i in range(blocks)]
        )
        test_eq(min(rate.values()), .5 ** (blocks + 1))
        test_eq(rate['log_scale'], 1.)
        # the projection is at the top
        test_eq(rate.get('proj', rate.get('head.proj.weight')), 1.)
        # the text tower is no part of it
        assert not any(n.startswith(('token_embedding', 'backbone.model.transformer')) for n in rate)

    # cell 28
    learn = toy_learner(splitter=layer_groups, loss=lambda pred, targ: (pred * 0).sum(), head=8)
    start = {id(p): p.detach().clone() for p in learn.model.parameters()}
    with torch.no_grad(): [p.add_(.1) for p in learn.model.parameters()]
    # two epochs of two steps
    lrs = layer_lrs(learn, .1, .75)
    quietly(learn, 'fit', 2, lrs)
    for g, lr in zip(layer_groups(learn.model), lrs):
        for p in g:
            if p is not learn.model.log_scale:
                test_close(p - start[id(p)], torch.full_like(p, .1 * (1 - lr) ** 4), eps=1e-6)


def test_two_recipes():
    "Two recipes"
    # cell 9, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)
    toy_trips = all_triplets(48).numpy()
    toy_labels = PseudoLabels(
        toys.names, *odd_last(toy_trips, triplet_sims(toy_teacher, toy_trips)), toy_teacher
    )

    # cell 10, in part
    tiny = dict(depth=2, embed_dim=48, num_heads=3)

    def tiny_vit(name='vit_base_patch16_224', seed=0, **kw):
        "A vision transformer of 0.14 million parameters with random weights"
        set_seed(seed)
        return create_backbone(name, pretrained=False, size=32, **{**tiny, **kw})

    def toy_learner(backbone=None, **kw):
        "A learner on the toy pictures: two batches of 16 an epoch"
        return align_learner(
            toy_labels,
            backbone or tiny_vit(),
            toys,
            **{**dict(size=32, bs=16, valid_pct=0.25, device='cpu'), **kw}
        )

    # cell 35
    P = RECIPES['published']
    test_eq((P.lr, P.warmup, P.steps, P.decay_to_init), (3e-5, 5_000, 100_000, 1.))
    test_eq(P.settings['bs'] // 3, 512)
    test_close(1 / P.settings['scale'], 100)
    test_eq(recipe_table().loc['head'].tolist(), ['1024', '0'])
    test_eq(recipe_table('published').columns.tolist(), ['published'])
    test_fail(lambda: dataclasses.replace(P, schedule='step'), contains='cosine')
    test_fail(lambda: dataclasses.replace(P, steps=100), contains='warmup=5000')
    for r in RECIPES.values(): toy_learner(**{**r.settings, 'bs': 24, 'size': 32})                      # every setting is one that `align_learner` knows

    # cell 39
    f = RECIPES['published'].scheds(3e-5)['lr']
    for step, want in (
        (0, 0.0), (2_500, 1.5e-5), (5_000, 3e-5), (52_500, 1.5e-5),
        (76_250, 3e-5 * (1 + math.cos(math.pi * 0.75)) / 2), (100_000, 0.0),
    ):
        test_close(f(step / 100_000), want, eps=1e-10)

    # cell 44, in part
    class CountSteps(Callback):
        "Count the optimiser's steps and note their rates"
        def before_fit(self): self.rates = []
        def after_step(self): self.rates.append(self.opt.hypers[0]['lr'])

    P = RECIPES['published']
    count = CountSteps()
    # four triplets a batch, three batches an epoch
    learn = toy_learner(**{**P.settings, 'bs': 12, 'size': 32}, cbs=count)
    with learn.no_bar(), learn.no_logging(): P.fit(learn, steps=20)

    # cell 45
    # six whole epochs and two steps
    test_eq(len(count.rates), 20)
    test_eq(len(learn.recorder.losses), 20)
    test_eq(len(learn.recorder.values), 7)
    test_close(count.rates, [P.scheds(3e-5)['lr'](i / 20) for i in range(20)], eps=1e-9)
    test_close(max(count.rates), 3e-5, eps=1e-9)
    # loss, validation loss and agreement, also of the epoch that was cut
    assert all(len(v) == 3 for v in learn.recorder.values)
    for steps in (1, 3, 4):
        count = CountSteps()
        learn = toy_learner(bs=12, cbs=count)
        with learn.no_bar(), learn.no_logging(): RECIPES['all_triplets'].fit(learn, steps)
        # the scale has its own rate
        test_eq(len(count.rates), steps)
        test_eq(learn.opt.hypers[-1]['lr'] > 5 * learn.opt.hypers[0]['lr'], True)
    test_fail(lambda: P.fit(learn, 0), contains='at least 1')
    test_fail(lambda: P.fit(learn, 2, lr=[1e-3] * 5), contains='do not fit the 2')

    # cell 47
    A = RECIPES['all_triplets']
    a, b = toy_learner(), toy_learner()
    with a.no_bar(), a.no_logging(), b.no_bar(), b.no_logging():
        A.fit(a, steps=6)
        b.fit_one_cycle(3, slice(4e-4, 2e-2), div=10., pct_start=.1)
    for p, q in zip(a.model.state_dict().values(), b.model.state_dict().values()):
        test_close(p, q, eps=1e-5)
    test_close(
        [list(v) for v in a.recorder.hps.values()], [list(v) for v in b.recorder.hps.values()], eps=1e-6
    )
    test_close([float(o) for o in a.recorder.losses], [float(o) for o in b.recorder.losses], eps=1e-5)

    # cell 48
    class PowerCut(Callback):
        "Stop in the middle, without a goodbye"
        order = 30
        def __init__(self, n): self.n = n
        def before_batch(self):
            if self.training and self.train_iter == self.n: raise KeyboardInterrupt

    def interrupted(make, run, at=5, every=5):
        "Train in one go, and again with a power cut and a second start; return both learners"
        with tempfile.TemporaryDirectory() as d:
            check = lambda: Checkpoint(Path(d)/'c.pth', every=every, run_id='toy')
            whole = make([])
            run(whole)
            cut = make([check(), PowerCut(at)])
            with contextlib.suppress(KeyboardInterrupt): run(cut)
            again = make([check()])
            run(again)
        return whole, again

    def recipe_run(learn):
        with learn.no_bar(), learn.no_logging(): RECIPES['all_triplets'].fit(learn, steps=9)
    whole, again = interrupted(lambda cbs: toy_learner(bs=12, cbs=cbs), recipe_run)
    for (k, p), q in zip(whole.model.state_dict().items(), again.model.state_dict().values()):
        assert torch.equal(p, q), k
    test_eq([float(o) for o in whole.recorder.losses], [float(o) for o in again.recorder.losses])


def test_an_average_of_the_weights():
    "An average of the weights"
    # cell 9, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)
    toy_trips = all_triplets(48).numpy()
    toy_labels = PseudoLabels(
        toys.names, *odd_last(toy_trips, triplet_sims(toy_teacher, toy_trips)), toy_teacher
    )

    # cell 10, in part
    tiny = dict(depth=2, embed_dim=48, num_heads=3)

    def tiny_vit(name='vit_base_patch16_224', seed=0, **kw):
        "A vision transformer of 0.14 million parameters with random weights"
        set_seed(seed)
        return create_backbone(name, pretrained=False, size=32, **{**tiny, **kw})

    def toy_learner(backbone=None, **kw):
        "A learner on the toy pictures: two batches of 16 an epoch"
        return align_learner(
            toy_labels,
            backbone or tiny_vit(),
            toys,
            **{**dict(size=32, bs=16, valid_pct=0.25, device='cpu'), **kw}
        )

    def quietly(learn, fit='fit', *args, **kw):
        "Train without printing"
        with learn.no_bar(), learn.no_logging(): getattr(learn, fit)(*args, **kw)
        return learn

    def weights(model):
        "A copy of a model's tensors"
        return {k: v.detach().clone() for k, v in model.state_dict().items()}

    # cell 17, in part
    learn = toy_learner(splitter=layer_groups, head=8)

    # cell 21, in part
    quietly(learn, 'fit_one_cycle', 1, layer_lrs(learn, 3e-5, .75))

    # cell 28, in part
    learn = toy_learner(splitter=layer_groups, loss=lambda pred, targ: (pred * 0).sum(), head=8)
    # two epochs of two steps
    lrs = layer_lrs(learn, .1, .75)
    quietly(learn, 'fit', 2, lrs)

    # cell 35, in part
    for r in RECIPES.values(): toy_learner(**{**r.settings, 'bs': 24, 'size': 32})                      # every setting is one that `align_learner` knows

    # cell 44, in part
    class CountSteps(Callback):
        "Count the optimiser's steps and note their rates"
        def before_fit(self): self.rates = []
        def after_step(self): self.rates.append(self.opt.hypers[0]['lr'])

    P = RECIPES['published']
    count = CountSteps()
    # four triplets a batch, three batches an epoch
    learn = toy_learner(**{**P.settings, 'bs': 12, 'size': 32}, cbs=count)
    with learn.no_bar(), learn.no_logging(): P.fit(learn, steps=20)

    # cell 45, in part
    for steps in (1, 3, 4):
        count = CountSteps()
        learn = toy_learner(bs=12, cbs=count)
        with learn.no_bar(), learn.no_logging(): RECIPES['all_triplets'].fit(learn, steps)
        # the scale has its own rate
        test_eq(len(count.rates), steps)
        test_eq(learn.opt.hypers[-1]['lr'] > 5 * learn.opt.hypers[0]['lr'], True)

    # cell 48, in part
    class PowerCut(Callback):
        "Stop in the middle, without a goodbye"
        order = 30
        def __init__(self, n): self.n = n
        def before_batch(self):
            if self.training and self.train_iter == self.n: raise KeyboardInterrupt

    def interrupted(make, run, at=5, every=5):
        "Train in one go, and again with a power cut and a second start; return both learners"
        with tempfile.TemporaryDirectory() as d:
            check = lambda: Checkpoint(Path(d)/'c.pth', every=every, run_id='toy')
            whole = make([])
            run(whole)
            cut = make([check(), PowerCut(at)])
            with contextlib.suppress(KeyboardInterrupt): run(cut)
            again = make([check()])
            run(again)
        return whole, again

    # cell 55
    class Seen(Callback):
        "Write down the weights after each step of the optimiser"
        order = 64
        def before_fit(self):
            if not hasattr(self, 'rows'): self.rows = [weights(self.model)]
        def after_step(self): self.rows.append(weights(self.model))

    for warmup in (False, True):
        seen, ema = Seen(), EMA(.9, warmup=warmup)
        learn = quietly(toy_learner(bs=12, cbs=[seen, ema]), 'fit', 3, 3e-3)
        mean, n = seen.rows[0], 0
        for t, w in enumerate(seen.rows[1:], 1):
            # timm counts the second step as its first
            d = .9 if not warmup else 0. if t == 1 else min(.9, 1 - t ** (-2/3))
            mean = {k: d * mean[k] + (1 - d) * v if v.is_floating_point() else v for k, v in w.items()}
        for k, v in learn.model.state_dict().items(): test_close(v.float(), mean[k].float(), eps=1e-5)
        test_eq(ema.steps, 9)
        assert not torch.equal(
            learn.model.state_dict()['backbone.model.pos_embed'],
            seen.rows[-1]['backbone.model.pos_embed'],
        )
        for k, v in ema.average.module.state_dict().items(): assert torch.equal(v, seen.rows[-1][k])              # the last step's weights are kept beside

    # cell 57
    plain = quietly(toy_learner(), 'fit', 3, 3e-3)
    beside = quietly(toy_learner(cbs=EMA(.9, final=False)), 'fit', 3, 3e-3)
    inside = quietly(toy_learner(cbs=EMA(.9)), 'fit', 3, 3e-3)
    for k, v in plain.model.state_dict().items(): assert torch.equal(v, beside.model.state_dict()[k])           # the average does not disturb the training
    test_eq([float(o) for o in plain.recorder.losses], [float(o) for o in inside.recorder.losses])
    seen = inside.recorder.values[-1]
    test_ne(plain.recorder.values[-1][1], seen[1])
    test_close(list(inside.validate()), list(seen[1:]), eps=1e-6)
    test_close(beside.ema.state_dict()['steps'], 6)
    acc = quietly(toy_learner(bs=12, cbs=[EMA(.9), GradientAccumulation(36)]), 'fit', 2, 3e-3)
    test_eq((acc.ema.steps, len(acc.recorder.losses)), (2, 6))
    class Overflow(Callback):
        "Skip every second step, as fp16 does when gradients overflow"
        def before_step(self):
            if self.train_iter % 2: raise CancelStepException
    test_eq(quietly(toy_learner(cbs=[Overflow(), EMA(.9)]), 'fit', 3, 3e-3).ema.steps, 3)
    test_fail(lambda: EMA(1.), contains='below 1')

    # cell 58
    def ema_run(learn): quietly(learn, 'fit', 4, 3e-3)
    # within an epoch, and at its end
    for at in (5, 6):
        whole, again = interrupted(lambda cbs: toy_learner(cbs=[EMA(.9), *cbs]), ema_run, at=at)
        for (k, p), q in zip(whole.model.state_dict().items(), again.model.state_dict().values()):
            assert torch.equal(p, q), k
        for (k, p), q in zip(
            whole.ema.average.module.state_dict().items(),
            again.ema.average.module.state_dict().values(),
        ):
            assert torch.equal(p, q), k
        test_eq([list(v) for v in whole.recorder.values], [list(v) for v in again.recorder.values])
        test_eq(whole.ema.steps, again.ema.steps)

    # cell 60
    seen, soft = Seen(), EMA(.98)
    learn = quietly(
        toy_learner(bs=4, opt_func=partial(Adam, mom=0.0, sqr_mom=0.5, eps=1e-8), cbs=[seen, soft]),
        'fit', 12, 1e-3,
    )
    one = np.array([float(w['backbone.model.blocks.1.mlp.fc1.weight'][3, 5]) for w in seen.rows])
    lines = {}
    for name, share in (
        ('average, with warm-up', lambda t: 0.0 if t == 1 else min(0.98, 1 - t ** (-2 / 3))),
        ('average, without', lambda t: 0.98),
    ):
        m = [one[0]]
        for t in range(1, len(one)): m.append(share(t) * m[-1] + (1 - share(t)) * one[t])
        lines[name] = m
    fig, ax = plt.subplots(figsize=(5.2, 2.5), dpi=80, layout='constrained')
    ax.plot(one, color='#999999', lw=1, label='weight')
    for (name, m), c, ls in zip(lines.items(), ('#0072B2', '#D55E00'), ('-', '--')):
        ax.plot(m, color=c, ls=ls, label=name)
    ax.set(xlabel='step', ylabel='value')
    ax.legend(frameon=False)
    plt.show()
    test_close(
        lines['average, with warm-up'][-1],
        float(learn.model.state_dict()['backbone.model.blocks.1.mlp.fc1.weight'][3, 5]), eps=1e-5,
    )


def test_large_batches_on_a_small_card():
    "Large batches on a small card"
    # cell 9, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)
    toy_trips = all_triplets(48).numpy()
    toy_labels = PseudoLabels(
        toys.names, *odd_last(toy_trips, triplet_sims(toy_teacher, toy_trips)), toy_teacher
    )

    # cell 10, in part
    tiny = dict(depth=2, embed_dim=48, num_heads=3)

    def tiny_vit(name='vit_base_patch16_224', seed=0, **kw):
        "A vision transformer of 0.14 million parameters with random weights"
        set_seed(seed)
        return create_backbone(name, pretrained=False, size=32, **{**tiny, **kw})

    def toy_learner(backbone=None, **kw):
        "A learner on the toy pictures: two batches of 16 an epoch"
        return align_learner(
            toy_labels,
            backbone or tiny_vit(),
            toys,
            **{**dict(size=32, bs=16, valid_pct=0.25, device='cpu'), **kw}
        )

    def weights(model):
        "A copy of a model's tensors"
        return {k: v.detach().clone() for k, v in model.state_dict().items()}

    # cell 25, in part
    def add_clip_models(folder):
        "Two open_clip models small enough for a page: a tower of open_clip's own and a timm tower"
        oc, text = require('open_clip', 'open_clip_torch'), dict(
            context_length=8, vocab_size=64, width=32, heads=2, layers=1
        )
        towers = {
            'tiny-ViT-B-16': dict(layers=2, width=48, patch_size=16, head_width=16),
            'tiny-timm': dict(
                timm_model_name='test_vit', timm_model_pretrained=False, timm_pool='',
                timm_proj='linear',
            ),
        }
        for name, tower in towers.items():
            path = Path(folder)/f'{name}.json'
            path.write_text(
                json.dumps(dict(embed_dim=32, vision_cfg=dict(tower, image_size=32), text_cfg=text))
            )
            oc.add_model_config(path)
        return list(towers)

    def clip_backbone(name):
        "One of them, without open_clip's remark that its weights are random"
        logging = importlib.import_module('logging')
        logging.disable(logging.WARNING)
        try: return create_backbone(f'open_clip:{name}', pretrained=False)
        finally: logging.disable(logging.NOTSET)

    have_clip = importlib.util.find_spec('open_clip') is not None
    with tempfile.TemporaryDirectory() as d: clip_models = add_clip_models(d) if have_clip else []

    # cell 35, in part
    for r in RECIPES.values(): toy_learner(**{**r.settings, 'bs': 24, 'size': 32})                      # every setting is one that `align_learner` knows

    # cell 44, in part
    class CountSteps(Callback):
        "Count the optimiser's steps and note their rates"
        def before_fit(self): self.rates = []
        def after_step(self): self.rates.append(self.opt.hypers[0]['lr'])

    P = RECIPES['published']
    count = CountSteps()
    # four triplets a batch, three batches an epoch
    learn = toy_learner(**{**P.settings, 'bs': 12, 'size': 32}, cbs=count)
    with learn.no_bar(), learn.no_logging(): P.fit(learn, steps=20)

    # cell 45, in part
    for steps in (1, 3, 4):
        count = CountSteps()
        learn = toy_learner(bs=12, cbs=count)
        with learn.no_bar(), learn.no_logging(): RECIPES['all_triplets'].fit(learn, steps)
        # the scale has its own rate
        test_eq(len(count.rates), steps)
        test_eq(learn.opt.hypers[-1]['lr'] > 5 * learn.opt.hypers[0]['lr'], True)

    # cell 62
    def one_step(triplets, bs, n_acc=None, steps=1):
        "The weights of a tiny student after steps of plain gradient descent"
        cbs = [GradientAccumulation(n_acc)] if n_acc else []
        learn = toy_learner(triplets=triplets, bs=bs, opt_func=SGD, decay_to_init=0., cbs=cbs)
        start = weights(learn.model)
        flat = dataclasses.replace(RECIPES['published'], warmup=0)
        with learn.no_bar(), learn.no_logging(): flat.fit(learn, steps, lr=.5)
        return {k: v - start[k] for k, v in learn.model.state_dict().items()}

    # eight triplets at once; four times two
    eight, micro = one_step('sampled', 24), one_step('sampled', 6, n_acc=8)
    for k, v in eight.items(): test_close(micro[k], v, eps=1e-6)
    assert max(float(v.abs().max()) for v in eight.values()) > 1e-3

    # cell 64
    learn = toy_learner(bs=12)
    loss = 0.
    for x, y in list(learn.dls.train): loss = loss + AlignLoss()(learn.model.train()(x), y) / 3
    loss.backward()
    moved = one_step('batch', 12, n_acc=36)
    for n, p in learn.model.named_parameters():
        if p.requires_grad: test_close(moved[n], -.5 * p.grad, eps=1e-5)
    n_triplets = lambda b: math.comb(b, 3)
    pd.DataFrame(
        [
            dict(
                pictures=512, micro_batches=k, triplets_a_step=k * n_triplets(512 // k),
                share=k * n_triplets(512 // k) / n_triplets(512),
            )
            for k in (1, 2, 4, 8, 16)
        ]
    ).round(4)

    # cell 66
    cut = toy_learner(bs=12, cbs=[GradientAccumulation(24)])
    count = CountSteps()
    with cut.no_bar(), cut.no_logging(): RECIPES['all_triplets'].fit(cut, steps=4, cbs=[count])
    test_eq((len(count.rates), len(cut.recorder.losses)), (4, 8))
    # nothing left over
    assert all(p.grad is None or not p.grad.any() for p in cut.model.parameters())

    # cell 69
    def kept_bytes(model, x):
        "Bytes that the forward pass keeps for the way back, parameters left out, and the gradients"
        own, seen = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}
        def keep(t):
            if t.untyped_storage().data_ptr() not in own:
                seen[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t
        model.train()
        model.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t): z = model(x)
        total = sum(seen.values())
        AlignLoss()(z, torch.as_tensor(toy_teacher[:len(x)])).backward()
        return total, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    x, rows = toy_learner().dls.train.one_batch()[0], []
    makers = {
        'ViT': lambda: tiny_vit(depth=8),
        'convolutional': lambda: create_backbone(
            'convnext_tiny', pretrained=False, depths=(2, 2, 2, 2), dims=(8, 16, 24, 32)
        ),
        **{n: partial(clip_backbone, n) for n in clip_models},
    }
    for name, make in makers.items():
        set_seed(0)
        learn = toy_learner(make())
        plain, g = kept_bytes(learn.model, x)
        less, h = kept_bytes(checkpoint_gradients(learn).model, x)
        back, _ = kept_bytes(checkpoint_gradients(learn, False).model, x)
        test_eq(g.keys(), h.keys())
        [test_close(h[k], g[k], eps=1e-6) for k in g]
        test_eq(back, plain)
        assert less < .75 * plain
        rows.append(
            dict(model=name, kept_kB=plain / 1e3, checkpointed_kB=less / 1e3, share=less / plain)
        )
    pd.DataFrame(rows).round(2)

    # cell 70
    test_fail(
        lambda: checkpoint_gradients(
            toy_learner(create_backbone('test_efficientnet', pretrained=False), freeze=2)
        ),
        contains='freeze=0',
    )
    bare = toy_learner(tiny_vit())
    bare.model.backbone.model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 48))
    test_fail(lambda: checkpoint_gradients(bare), contains='no gradient checkpointing')
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter('always')
        checkpoint_gradients(
            toy_learner(create_backbone('test_efficientnet', pretrained=False), freeze_bn=False)
        )
    assert any('freeze_bn' in str(o.message) for o in w)


def test_half_precision_and_compilation():
    "Half precision and compilation"
    # cell 9, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)
    toy_trips = all_triplets(48).numpy()
    toy_labels = PseudoLabels(
        toys.names, *odd_last(toy_trips, triplet_sims(toy_teacher, toy_trips)), toy_teacher
    )

    # cell 10, in part
    tiny = dict(depth=2, embed_dim=48, num_heads=3)

    def tiny_vit(name='vit_base_patch16_224', seed=0, **kw):
        "A vision transformer of 0.14 million parameters with random weights"
        set_seed(seed)
        return create_backbone(name, pretrained=False, size=32, **{**tiny, **kw})

    def toy_learner(backbone=None, **kw):
        "A learner on the toy pictures: two batches of 16 an epoch"
        return align_learner(
            toy_labels,
            backbone or tiny_vit(),
            toys,
            **{**dict(size=32, bs=16, valid_pct=0.25, device='cpu'), **kw}
        )

    def quietly(learn, fit='fit', *args, **kw):
        "Train without printing"
        with learn.no_bar(), learn.no_logging(): getattr(learn, fit)(*args, **kw)
        return learn

    # cell 17, in part
    learn = toy_learner(splitter=layer_groups, head=8)

    # cell 21, in part
    quietly(learn, 'fit_one_cycle', 1, layer_lrs(learn, 3e-5, .75))

    # cell 25, in part
    def add_clip_models(folder):
        "Two open_clip models small enough for a page: a tower of open_clip's own and a timm tower"
        oc, text = require('open_clip', 'open_clip_torch'), dict(
            context_length=8, vocab_size=64, width=32, heads=2, layers=1
        )
        towers = {
            'tiny-ViT-B-16': dict(layers=2, width=48, patch_size=16, head_width=16),
            'tiny-timm': dict(
                timm_model_name='test_vit', timm_model_pretrained=False, timm_pool='',
                timm_proj='linear',
            ),
        }
        for name, tower in towers.items():
            path = Path(folder)/f'{name}.json'
            path.write_text(
                json.dumps(dict(embed_dim=32, vision_cfg=dict(tower, image_size=32), text_cfg=text))
            )
            oc.add_model_config(path)
        return list(towers)

    def clip_backbone(name):
        "One of them, without open_clip's remark that its weights are random"
        logging = importlib.import_module('logging')
        logging.disable(logging.WARNING)
        try: return create_backbone(f'open_clip:{name}', pretrained=False)
        finally: logging.disable(logging.NOTSET)

    have_clip = importlib.util.find_spec('open_clip') is not None
    with tempfile.TemporaryDirectory() as d: clip_models = add_clip_models(d) if have_clip else []

    # cell 28, in part
    learn = toy_learner(splitter=layer_groups, loss=lambda pred, targ: (pred * 0).sum(), head=8)
    # two epochs of two steps
    lrs = layer_lrs(learn, .1, .75)
    quietly(learn, 'fit', 2, lrs)

    # cell 35, in part
    for r in RECIPES.values(): toy_learner(**{**r.settings, 'bs': 24, 'size': 32})                      # every setting is one that `align_learner` knows

    # cell 44, in part
    class CountSteps(Callback):
        "Count the optimiser's steps and note their rates"
        def before_fit(self): self.rates = []
        def after_step(self): self.rates.append(self.opt.hypers[0]['lr'])

    P = RECIPES['published']
    count = CountSteps()
    # four triplets a batch, three batches an epoch
    learn = toy_learner(**{**P.settings, 'bs': 12, 'size': 32}, cbs=count)
    with learn.no_bar(), learn.no_logging(): P.fit(learn, steps=20)

    # cell 45, in part
    for steps in (1, 3, 4):
        count = CountSteps()
        learn = toy_learner(bs=12, cbs=count)
        with learn.no_bar(), learn.no_logging(): RECIPES['all_triplets'].fit(learn, steps)
        # the scale has its own rate
        test_eq(len(count.rates), steps)
        test_eq(learn.opt.hypers[-1]['lr'] > 5 * learn.opt.hypers[0]['lr'], True)

    # cell 69, in part
    def kept_bytes(model, x):
        "Bytes that the forward pass keeps for the way back, parameters left out, and the gradients"
        own, seen = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}
        def keep(t):
            if t.untyped_storage().data_ptr() not in own:
                seen[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t
        model.train()
        model.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t): z = model(x)
        total = sum(seen.values())
        AlignLoss()(z, torch.as_tensor(toy_teacher[:len(x)])).backward()
        return total, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    x, rows = toy_learner().dls.train.one_batch()[0], []
    makers = {
        'ViT': lambda: tiny_vit(depth=8),
        'convolutional': lambda: create_backbone(
            'convnext_tiny', pretrained=False, depths=(2, 2, 2, 2), dims=(8, 16, 24, 32)
        ),
        **{n: partial(clip_backbone, n) for n in clip_models},
    }
    for name, make in makers.items():
        set_seed(0)
        learn = toy_learner(make())
        plain, g = kept_bytes(learn.model, x)
        less, h = kept_bytes(checkpoint_gradients(learn).model, x)
        back, _ = kept_bytes(checkpoint_gradients(learn, False).model, x)
        test_eq(g.keys(), h.keys())
        [test_close(h[k], g[k], eps=1e-6) for k in g]
        test_eq(back, plain)
        assert less < .75 * plain
        rows.append(
            dict(model=name, kept_kB=plain / 1e3, checkpointed_kB=less / 1e3, share=less / plain)
        )

    # cell 72
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        half = quietly(toy_learner().to_bf16(), 'fit', 2, 1e-3)
    full = quietly(toy_learner(), 'fit', 2, 1e-3)
    if not torch.cuda.is_available():
        test_eq([float(o) for o in half.recorder.losses], [float(o) for o in full.recorder.losses])

    # cell 73
    learn, kinds = toy_learner(), {}
    x, y = learn.dls.train.one_batch()
    learn.model.backbone.model.blocks[0].mlp.fc1.register_forward_hook(
        lambda m, i, o: kinds.update(block=o.dtype)
    )
    with torch.autocast('cpu', torch.bfloat16):
        z = learn.model(x)
        loss = AlignLoss()(z, y)
    test_eq((kinds['block'], z.dtype, loss.dtype), (torch.bfloat16, torch.float32, torch.float32))
    test_close(loss.item(), AlignLoss()(learn.model(x), y).item(), eps=5e-3)
    loss.backward()
    assert all(p.grad.dtype == torch.float32 for p in learn.model.parameters() if p.grad is not None)

    # cell 75
    learn, twin = toy_learner(), toy_learner()
    names = list(learn.model.state_dict())
    learn.model.backbone.compile(backend='eager')
    quietly(learn, 'fit', 2, 1e-3)
    quietly(twin, 'fit', 2, 1e-3)
    test_eq(list(learn.model.state_dict()), names)
    test_close(
        [float(o) for o in learn.recorder.losses], [float(o) for o in twin.recorder.losses], eps=1e-5
    )
    with tempfile.TemporaryDirectory() as d:
        assert (export_timm(learn, Path(d)/'m')/'model.safetensors').exists()


def test_loggers():
    "Loggers"
    # cell 9, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)
    toy_trips = all_triplets(48).numpy()
    toy_labels = PseudoLabels(
        toys.names, *odd_last(toy_trips, triplet_sims(toy_teacher, toy_trips)), toy_teacher
    )

    # cell 10, in part
    tiny = dict(depth=2, embed_dim=48, num_heads=3)

    def tiny_vit(name='vit_base_patch16_224', seed=0, **kw):
        "A vision transformer of 0.14 million parameters with random weights"
        set_seed(seed)
        return create_backbone(name, pretrained=False, size=32, **{**tiny, **kw})

    def toy_learner(backbone=None, **kw):
        "A learner on the toy pictures: two batches of 16 an epoch"
        return align_learner(
            toy_labels,
            backbone or tiny_vit(),
            toys,
            **{**dict(size=32, bs=16, valid_pct=0.25, device='cpu'), **kw}
        )

    def quietly(learn, fit='fit', *args, **kw):
        "Train without printing"
        with learn.no_bar(), learn.no_logging(): getattr(learn, fit)(*args, **kw)
        return learn

    # cell 17, in part
    learn = toy_learner(splitter=layer_groups, head=8)

    # cell 21, in part
    quietly(learn, 'fit_one_cycle', 1, layer_lrs(learn, 3e-5, .75))

    # cell 25, in part
    def add_clip_models(folder):
        "Two open_clip models small enough for a page: a tower of open_clip's own and a timm tower"
        oc, text = require('open_clip', 'open_clip_torch'), dict(
            context_length=8, vocab_size=64, width=32, heads=2, layers=1
        )
        towers = {
            'tiny-ViT-B-16': dict(layers=2, width=48, patch_size=16, head_width=16),
            'tiny-timm': dict(
                timm_model_name='test_vit', timm_model_pretrained=False, timm_pool='',
                timm_proj='linear',
            ),
        }
        for name, tower in towers.items():
            path = Path(folder)/f'{name}.json'
            path.write_text(
                json.dumps(dict(embed_dim=32, vision_cfg=dict(tower, image_size=32), text_cfg=text))
            )
            oc.add_model_config(path)
        return list(towers)

    def clip_backbone(name):
        "One of them, without open_clip's remark that its weights are random"
        logging = importlib.import_module('logging')
        logging.disable(logging.WARNING)
        try: return create_backbone(f'open_clip:{name}', pretrained=False)
        finally: logging.disable(logging.NOTSET)

    have_clip = importlib.util.find_spec('open_clip') is not None
    with tempfile.TemporaryDirectory() as d: clip_models = add_clip_models(d) if have_clip else []

    # cell 28, in part
    learn = toy_learner(splitter=layer_groups, loss=lambda pred, targ: (pred * 0).sum(), head=8)
    # two epochs of two steps
    lrs = layer_lrs(learn, .1, .75)
    quietly(learn, 'fit', 2, lrs)

    # cell 35, in part
    for r in RECIPES.values(): toy_learner(**{**r.settings, 'bs': 24, 'size': 32})                      # every setting is one that `align_learner` knows

    # cell 44, in part
    class CountSteps(Callback):
        "Count the optimiser's steps and note their rates"
        def before_fit(self): self.rates = []
        def after_step(self): self.rates.append(self.opt.hypers[0]['lr'])

    P = RECIPES['published']
    count = CountSteps()
    # four triplets a batch, three batches an epoch
    learn = toy_learner(**{**P.settings, 'bs': 12, 'size': 32}, cbs=count)
    with learn.no_bar(), learn.no_logging(): P.fit(learn, steps=20)

    # cell 45, in part
    for steps in (1, 3, 4):
        count = CountSteps()
        learn = toy_learner(bs=12, cbs=count)
        with learn.no_bar(), learn.no_logging(): RECIPES['all_triplets'].fit(learn, steps)
        # the scale has its own rate
        test_eq(len(count.rates), steps)
        test_eq(learn.opt.hypers[-1]['lr'] > 5 * learn.opt.hypers[0]['lr'], True)

    # cell 69, in part
    def kept_bytes(model, x):
        "Bytes that the forward pass keeps for the way back, parameters left out, and the gradients"
        own, seen = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}
        def keep(t):
            if t.untyped_storage().data_ptr() not in own:
                seen[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t
        model.train()
        model.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t): z = model(x)
        total = sum(seen.values())
        AlignLoss()(z, torch.as_tensor(toy_teacher[:len(x)])).backward()
        return total, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    x, rows = toy_learner().dls.train.one_batch()[0], []
    makers = {
        'ViT': lambda: tiny_vit(depth=8),
        'convolutional': lambda: create_backbone(
            'convnext_tiny', pretrained=False, depths=(2, 2, 2, 2), dims=(8, 16, 24, 32)
        ),
        **{n: partial(clip_backbone, n) for n in clip_models},
    }
    for name, make in makers.items():
        set_seed(0)
        learn = toy_learner(make())
        plain, g = kept_bytes(learn.model, x)
        less, h = kept_bytes(checkpoint_gradients(learn).model, x)
        back, _ = kept_bytes(checkpoint_gradients(learn, False).model, x)
        test_eq(g.keys(), h.keys())
        [test_close(h[k], g[k], eps=1e-6) for k in g]
        test_eq(back, plain)
        assert less < .75 * plain
        rows.append(
            dict(model=name, kept_kB=plain / 1e3, checkpointed_kB=less / 1e3, share=less / plain)
        )

    # cell 75, in part
    learn, twin = toy_learner(), toy_learner()
    learn.model.backbone.compile(backend='eager')
    quietly(learn, 'fit', 2, 1e-3)
    quietly(twin, 'fit', 2, 1e-3)

    # cell 77
    def finds(module): return importlib.util.find_spec(module) is not None

    if finds('tensorboard'):
        with tempfile.TemporaryDirectory() as d:
            cb = importlib.import_module('fastai.callback.tensorboard').TensorBoardCallback(
                d, trace_model=False, log_preds=False
            )
            learn = quietly(toy_learner(cbs=cb), 'fit_one_cycle', 3, 1e-2)
            log = importlib.import_module(
                'tensorboard.backend.event_processing.event_accumulator'
            ).EventAccumulator(d)
            log.Reload()
            read = lambda tag: {e.step: e.value for e in log.Scalars(tag)}
            print(log.Tags()['scalars'])
        test_close(
            list(read('train_loss').values()), [float(o) for o in learn.recorder.losses], eps=1e-6
        )
        for i, tag in ((1, 'valid_loss'), (2, 'teacher_agreement')):
            test_close(list(read(tag).values()), [v[i] for v in learn.recorder.values], eps=1e-6)
        test_close(read('lr_0')[6], learn.recorder.hps['lr'][-1], eps=1e-8)
    else: print('skipped: tensorboard is not installed')

    # cell 79
    if finds('wandb'):
        wandb = require('wandb')
        with tempfile.TemporaryDirectory() as d:
            run = wandb.init(
                mode='offline',
                dir=d,
                project='alignet',
                settings=wandb.Settings(
                    silent=True, console='off', x_disable_stats=True, x_save_requirements=False
                ),
            )
            learn = toy_learner(
                cbs=importlib.import_module('fastai.callback.wandb').WandbCallback(log_preds=False)
            )
            quietly(learn, 'fit_one_cycle', 3, 1e-2)
            seen = {
                k: float(run.summary[k])
                for k in ('train_loss', 'valid_loss', 'teacher_agreement', 'epoch')
            }
            set_up = dict(run.config)
            run.finish()
            written = lambda: sum(f.stat().st_size for f in Path(d).rglob('*.wandb'))
            # the file is written by another process, which may be a moment behind
            for _ in range(200):
                if written() > 1000: break
                time.sleep(.1)
            print(seen)
            assert written() > 1000
        test_close(
            [seen['train_loss'], seen['valid_loss'], seen['teacher_agreement']],
            list(learn.recorder.values[-1]), eps=1e-6,
        )
        test_eq(seen['epoch'], 3.)
        test_eq((set_up['batch size'], set_up['Learner']['wd']), (16, 0.))
    else: print('skipped: wandb is not installed')


def test_families_of_backbones():
    "Families of backbones"
    # cell 9, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)
    toy_trips = all_triplets(48).numpy()
    toy_labels = PseudoLabels(
        toys.names, *odd_last(toy_trips, triplet_sims(toy_teacher, toy_trips)), toy_teacher
    )

    # cell 10, in part
    tiny = dict(depth=2, embed_dim=48, num_heads=3)

    def tiny_vit(name='vit_base_patch16_224', seed=0, **kw):
        "A vision transformer of 0.14 million parameters with random weights"
        set_seed(seed)
        return create_backbone(name, pretrained=False, size=32, **{**tiny, **kw})

    def toy_learner(backbone=None, **kw):
        "A learner on the toy pictures: two batches of 16 an epoch"
        return align_learner(
            toy_labels,
            backbone or tiny_vit(),
            toys,
            **{**dict(size=32, bs=16, valid_pct=0.25, device='cpu'), **kw}
        )

    # cell 25, in part
    def add_clip_models(folder):
        "Two open_clip models small enough for a page: a tower of open_clip's own and a timm tower"
        oc, text = require('open_clip', 'open_clip_torch'), dict(
            context_length=8, vocab_size=64, width=32, heads=2, layers=1
        )
        towers = {
            'tiny-ViT-B-16': dict(layers=2, width=48, patch_size=16, head_width=16),
            'tiny-timm': dict(
                timm_model_name='test_vit', timm_model_pretrained=False, timm_pool='',
                timm_proj='linear',
            ),
        }
        for name, tower in towers.items():
            path = Path(folder)/f'{name}.json'
            path.write_text(
                json.dumps(dict(embed_dim=32, vision_cfg=dict(tower, image_size=32), text_cfg=text))
            )
            oc.add_model_config(path)
        return list(towers)

    def clip_backbone(name):
        "One of them, without open_clip's remark that its weights are random"
        logging = importlib.import_module('logging')
        logging.disable(logging.WARNING)
        try: return create_backbone(f'open_clip:{name}', pretrained=False)
        finally: logging.disable(logging.NOTSET)

    have_clip = importlib.util.find_spec('open_clip') is not None
    with tempfile.TemporaryDirectory() as d: clip_models = add_clip_models(d) if have_clip else []

    # cell 35, in part
    for r in RECIPES.values(): toy_learner(**{**r.settings, 'bs': 24, 'size': 32})                      # every setting is one that `align_learner` knows

    # cell 44, in part
    class CountSteps(Callback):
        "Count the optimiser's steps and note their rates"
        def before_fit(self): self.rates = []
        def after_step(self): self.rates.append(self.opt.hypers[0]['lr'])

    P = RECIPES['published']
    count = CountSteps()
    # four triplets a batch, three batches an epoch
    learn = toy_learner(**{**P.settings, 'bs': 12, 'size': 32}, cbs=count)
    with learn.no_bar(), learn.no_logging(): P.fit(learn, steps=20)

    # cell 45, in part
    for steps in (1, 3, 4):
        count = CountSteps()
        learn = toy_learner(bs=12, cbs=count)
        with learn.no_bar(), learn.no_logging(): RECIPES['all_triplets'].fit(learn, steps)
        # the scale has its own rate
        test_eq(len(count.rates), steps)
        test_eq(learn.opt.hypers[-1]['lr'] > 5 * learn.opt.hypers[0]['lr'], True)

    # cell 69, in part
    def kept_bytes(model, x):
        "Bytes that the forward pass keeps for the way back, parameters left out, and the gradients"
        own, seen = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}
        def keep(t):
            if t.untyped_storage().data_ptr() not in own:
                seen[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t
        model.train()
        model.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t): z = model(x)
        total = sum(seen.values())
        AlignLoss()(z, torch.as_tensor(toy_teacher[:len(x)])).backward()
        return total, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    x, rows = toy_learner().dls.train.one_batch()[0], []
    makers = {
        'ViT': lambda: tiny_vit(depth=8),
        'convolutional': lambda: create_backbone(
            'convnext_tiny', pretrained=False, depths=(2, 2, 2, 2), dims=(8, 16, 24, 32)
        ),
        **{n: partial(clip_backbone, n) for n in clip_models},
    }
    for name, make in makers.items():
        set_seed(0)
        learn = toy_learner(make())
        plain, g = kept_bytes(learn.model, x)
        less, h = kept_bytes(checkpoint_gradients(learn).model, x)
        back, _ = kept_bytes(checkpoint_gradients(learn, False).model, x)
        test_eq(g.keys(), h.keys())
        [test_close(h[k], g[k], eps=1e-6) for k in g]
        test_eq(back, plain)
        assert less < .75 * plain
        rows.append(
            dict(model=name, kept_kB=plain / 1e3, checkpointed_kB=less / 1e3, share=less / plain)
        )

    # cell 82
    # from scratch there are no batch-norm statistics to keep
    cnn = dict(freeze_bn=False, decay_to_init=0.)
    families = [
        ('ViT-B/16', 'vit_base_patch16_224.augreg2_in21k_ft_in1k', 32, tiny, {}),
        ('ViT-L/16', 'vit_large_patch16_224.augreg_in21k', 32, tiny, {}),
        ('DINO', 'vit_base_patch16_224.dino', 32, tiny, {}),
        ('DINOv2', 'vit_base_patch14_dinov2.lvd142m', 56, tiny, {}),
        ('DINOv2 with registers', 'vit_base_patch14_reg4_dinov2.lvd142m', 56, tiny, {}),
        ('CLIP', 'vit_base_patch32_clip_224.openai', 64, tiny, {}),
        ('SigLIP', 'vit_base_patch16_siglip_224.webli', 32, tiny, {}),
        ('SigLIP2', 'vit_base_patch16_siglip_224.v2_webli', 32, tiny, {}),
        ('SigLIP2 NaFlex', 'naflexvit_base_patch16_siglip.v2_webli', 32, tiny, {}),
        ('ResNet', 'resnet50.a1_in1k', None, dict(layers=(1, 1, 1, 1), channels=(8, 16, 24, 32)), cnn),
        (
            'ConvNeXt', 'convnext_tiny.fb_in22k', None, dict(depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)),
            {},
        ),
        ('EfficientNet', 'tf_efficientnet_lite0.in1k', None, {}, cnn),
        ('from scratch', 'test_resnet', None, {}, cnn),
    ]

    def try_family(backbone, size, **kw):
        "Train two steps; return the losses, after checking that weights in all layers have changed"
        learn = toy_learner(
            backbone,
            **{
                **RECIPES['all_triplets'].settings, 'bs': 16, 'size': size or 32,
                'splitter': layer_groups, **kw,
            }
        )
        start = {id(p): p.detach().clone() for p in learn.model.parameters()}
        with learn.no_bar(), learn.no_logging():
            RECIPES['all_triplets'].fit(learn, 2, lr=layer_lrs(learn, 1e-3))
        losses = [float(o) for o in learn.recorder.losses]
        groups = layer_groups(learn.model)
        assert np.isfinite(losses).all() and len(losses) == 2
        for i, g in enumerate(groups):
            assert any(
                not torch.equal(p, start[id(p)]) for p in g
            ), f'layer {i} of {len(groups)} did not move'
        return learn, losses

    def describe(name):
        "Full size, input and licence of the real thing, without making its weights"
        cfg = timm.get_pretrained_cfg(name)
        with torch.device('meta'): full = timm.create_model(name, pretrained=False, num_classes=0)
        return dict(
            px=cfg.input_size[-1],
            parameters=f'{sum(p.numel() for p in full.parameters()) / 1e6:.1f} M',
            licence=cfg.license or 'not stated',
        )

    # cell 83
    rows = []
    for family, name, size, kw, changes in families:
        arch = name.partition('.')[0]
        set_seed(0)
        learn, losses = try_family(
            create_backbone(arch, pretrained=False, size=size, **kw), size, **changes
        )
        with tempfile.TemporaryDirectory() as d:
            again = create_backbone(f"local-dir:{export_timm(learn, Path(d)/'model')}").eval()
            learn.model.eval()
            x = torch.rand(2, *learn.model.backbone.data_config['input_size'])
            with torch.no_grad(): assert torch.equal(again(x), learn.model.backbone(x))
        rows.append(
            dict(
                family=family,
                timm=arch,
                weights=name.partition('.')[2] if family != 'from scratch' else '',
                **describe(name),
                loss=losses[-1],
                ok=True
            )
        )
        if family == 'from scratch': rows[-1]['licence'] = ''                             # no weights are taken
    for name in clip_models:
        learn, losses = try_family(clip_backbone(name), 32)
        # an own tower becomes a timm model, any of them an open_clip folder
        with tempfile.TemporaryDirectory() as d:
            back = [
                create_backbone(f"open_clip:local-dir:{export_open_clip(learn, Path(d)/'clip')}")
            ] + (
                [create_backbone(f"local-dir:{export_timm(learn, Path(d)/'timm')}")]
                if name == 'tiny-ViT-B-16'
                else []
            )
            learn.model.eval()
            x = torch.rand(2, *learn.model.backbone.data_config['input_size'])
            with torch.no_grad():
                [test_close(b.eval()(x), learn.model.backbone(x), eps=1e-5) for b in back]
        rows.append(
            dict(
                family="open_clip's own tower" if name == 'tiny-ViT-B-16' else 'open_clip, timm tower',
                timm='open_clip:ViT-B-16' if name == 'tiny-ViT-B-16' else 'open_clip:ViT-B-16-SigLIP',
                weights='of open_clip', px=224, parameters='', licence="see open_clip's list",
                loss=losses[-1], ok=True,
            )
        )
    table = pd.DataFrame(rows).set_index('family')
    table.round(3)

    # cell 84
    assert table.ok.all() and len(table) >= 13 and np.isfinite(table.loss).all()
    test_eq(table.loc['ViT-L/16', 'parameters'], '303.3 M')
    test_eq(table.loc['DINOv2', 'px'], 518)
    # the weights have these names
    for name in [n for _, n, *_ in families if n != 'test_resnet']:
        assert name in timm.list_pretrained(name.partition('.')[0] + '.*'), name


@pytest.mark.cuda
def test_on_a_gpu_cuda():
    "On a GPU"
    # cell 9, in part
    def toy_set(folder, n=48, size=64):
        "Draw `n` shapes into `folder`; return the image set and a teacher representation"
        r, rows = rng(0), []
        for i in range(n):
            shape, colour = i % 2, (i // 2) % 3
            im = Image.new('RGB', (size, size), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist()
            (d.ellipse if shape else d.rectangle)(box, fill=['#0072b2', '#e69f00', '#009e73'][colour])
            im.save(Path(folder)/f'{i:02d}.png')
            rows.append(np.r_[2 * np.eye(2)[shape], np.eye(3)[colour]])
        return ImageSet.from_folder(folder), np.array(rows, np.float32)

    tmp = tempfile.TemporaryDirectory()
    toys, toy_teacher = toy_set(tmp.name)
    toy_trips = all_triplets(48).numpy()
    toy_labels = PseudoLabels(
        toys.names, *odd_last(toy_trips, triplet_sims(toy_teacher, toy_trips)), toy_teacher
    )

    # cell 10, in part
    tiny = dict(depth=2, embed_dim=48, num_heads=3)

    def tiny_vit(name='vit_base_patch16_224', seed=0, **kw):
        "A vision transformer of 0.14 million parameters with random weights"
        set_seed(seed)
        return create_backbone(name, pretrained=False, size=32, **{**tiny, **kw})

    def toy_learner(backbone=None, **kw):
        "A learner on the toy pictures: two batches of 16 an epoch"
        return align_learner(
            toy_labels,
            backbone or tiny_vit(),
            toys,
            **{**dict(size=32, bs=16, valid_pct=0.25, device='cpu'), **kw}
        )

    def quietly(learn, fit='fit', *args, **kw):
        "Train without printing"
        with learn.no_bar(), learn.no_logging(): getattr(learn, fit)(*args, **kw)
        return learn

    # cell 17, in part
    learn = toy_learner(splitter=layer_groups, head=8)

    # cell 21, in part
    quietly(learn, 'fit_one_cycle', 1, layer_lrs(learn, 3e-5, .75))

    # cell 25, in part
    def add_clip_models(folder):
        "Two open_clip models small enough for a page: a tower of open_clip's own and a timm tower"
        oc, text = require('open_clip', 'open_clip_torch'), dict(
            context_length=8, vocab_size=64, width=32, heads=2, layers=1
        )
        towers = {
            'tiny-ViT-B-16': dict(layers=2, width=48, patch_size=16, head_width=16),
            'tiny-timm': dict(
                timm_model_name='test_vit', timm_model_pretrained=False, timm_pool='',
                timm_proj='linear',
            ),
        }
        for name, tower in towers.items():
            path = Path(folder)/f'{name}.json'
            path.write_text(
                json.dumps(dict(embed_dim=32, vision_cfg=dict(tower, image_size=32), text_cfg=text))
            )
            oc.add_model_config(path)
        return list(towers)

    def clip_backbone(name):
        "One of them, without open_clip's remark that its weights are random"
        logging = importlib.import_module('logging')
        logging.disable(logging.WARNING)
        try: return create_backbone(f'open_clip:{name}', pretrained=False)
        finally: logging.disable(logging.NOTSET)

    have_clip = importlib.util.find_spec('open_clip') is not None
    with tempfile.TemporaryDirectory() as d: clip_models = add_clip_models(d) if have_clip else []

    # cell 28, in part
    learn = toy_learner(splitter=layer_groups, loss=lambda pred, targ: (pred * 0).sum(), head=8)
    # two epochs of two steps
    lrs = layer_lrs(learn, .1, .75)
    quietly(learn, 'fit', 2, lrs)

    # cell 35, in part
    for r in RECIPES.values(): toy_learner(**{**r.settings, 'bs': 24, 'size': 32})                      # every setting is one that `align_learner` knows

    # cell 44, in part
    class CountSteps(Callback):
        "Count the optimiser's steps and note their rates"
        def before_fit(self): self.rates = []
        def after_step(self): self.rates.append(self.opt.hypers[0]['lr'])

    P = RECIPES['published']
    count = CountSteps()
    # four triplets a batch, three batches an epoch
    learn = toy_learner(**{**P.settings, 'bs': 12, 'size': 32}, cbs=count)
    with learn.no_bar(), learn.no_logging(): P.fit(learn, steps=20)

    # cell 45, in part
    for steps in (1, 3, 4):
        count = CountSteps()
        learn = toy_learner(bs=12, cbs=count)
        with learn.no_bar(), learn.no_logging(): RECIPES['all_triplets'].fit(learn, steps)
        # the scale has its own rate
        test_eq(len(count.rates), steps)
        test_eq(learn.opt.hypers[-1]['lr'] > 5 * learn.opt.hypers[0]['lr'], True)

    # cell 69, in part
    def kept_bytes(model, x):
        "Bytes that the forward pass keeps for the way back, parameters left out, and the gradients"
        own, seen = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}
        def keep(t):
            if t.untyped_storage().data_ptr() not in own:
                seen[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t
        model.train()
        model.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t): z = model(x)
        total = sum(seen.values())
        AlignLoss()(z, torch.as_tensor(toy_teacher[:len(x)])).backward()
        return total, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    x, rows = toy_learner().dls.train.one_batch()[0], []
    makers = {
        'ViT': lambda: tiny_vit(depth=8),
        'convolutional': lambda: create_backbone(
            'convnext_tiny', pretrained=False, depths=(2, 2, 2, 2), dims=(8, 16, 24, 32)
        ),
        **{n: partial(clip_backbone, n) for n in clip_models},
    }
    for name, make in makers.items():
        set_seed(0)
        learn = toy_learner(make())
        plain, g = kept_bytes(learn.model, x)
        less, h = kept_bytes(checkpoint_gradients(learn).model, x)
        back, _ = kept_bytes(checkpoint_gradients(learn, False).model, x)
        test_eq(g.keys(), h.keys())
        [test_close(h[k], g[k], eps=1e-6) for k in g]
        test_eq(back, plain)
        assert less < .75 * plain
        rows.append(
            dict(model=name, kept_kB=plain / 1e3, checkpointed_kB=less / 1e3, share=less / plain)
        )

    # cell 75, in part
    learn, twin = toy_learner(), toy_learner()
    learn.model.backbone.compile(backend='eager')
    quietly(learn, 'fit', 2, 1e-3)
    quietly(twin, 'fit', 2, 1e-3)

    # cell 77, in part
    def finds(module): return importlib.util.find_spec(module) is not None

    # cell 79
    if finds('wandb'):
        wandb = require('wandb')
        with tempfile.TemporaryDirectory() as d:
            run = wandb.init(
                mode='offline',
                dir=d,
                project='alignet',
                settings=wandb.Settings(
                    silent=True, console='off', x_disable_stats=True, x_save_requirements=False
                ),
            )
            learn = toy_learner(
                cbs=importlib.import_module('fastai.callback.wandb').WandbCallback(log_preds=False)
            )
            quietly(learn, 'fit_one_cycle', 3, 1e-2)
            seen = {
                k: float(run.summary[k])
                for k in ('train_loss', 'valid_loss', 'teacher_agreement', 'epoch')
            }
            set_up = dict(run.config)
            run.finish()
            written = lambda: sum(f.stat().st_size for f in Path(d).rglob('*.wandb'))
            # the file is written by another process, which may be a moment behind
            for _ in range(200):
                if written() > 1000: break
                time.sleep(.1)
            print(seen)
            assert written() > 1000
        test_close(
            [seen['train_loss'], seen['valid_loss'], seen['teacher_agreement']],
            list(learn.recorder.values[-1]), eps=1e-6,
        )
        test_eq(seen['epoch'], 3.)
        test_eq((set_up['batch size'], set_up['Learner']['wd']), (16, 0.))
    else: print('skipped: wandb is not installed')

    # cell 82
    # from scratch there are no batch-norm statistics to keep
    cnn = dict(freeze_bn=False, decay_to_init=0.)
    families = [
        ('ViT-B/16', 'vit_base_patch16_224.augreg2_in21k_ft_in1k', 32, tiny, {}),
        ('ViT-L/16', 'vit_large_patch16_224.augreg_in21k', 32, tiny, {}),
        ('DINO', 'vit_base_patch16_224.dino', 32, tiny, {}),
        ('DINOv2', 'vit_base_patch14_dinov2.lvd142m', 56, tiny, {}),
        ('DINOv2 with registers', 'vit_base_patch14_reg4_dinov2.lvd142m', 56, tiny, {}),
        ('CLIP', 'vit_base_patch32_clip_224.openai', 64, tiny, {}),
        ('SigLIP', 'vit_base_patch16_siglip_224.webli', 32, tiny, {}),
        ('SigLIP2', 'vit_base_patch16_siglip_224.v2_webli', 32, tiny, {}),
        ('SigLIP2 NaFlex', 'naflexvit_base_patch16_siglip.v2_webli', 32, tiny, {}),
        ('ResNet', 'resnet50.a1_in1k', None, dict(layers=(1, 1, 1, 1), channels=(8, 16, 24, 32)), cnn),
        (
            'ConvNeXt', 'convnext_tiny.fb_in22k', None, dict(depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)),
            {},
        ),
        ('EfficientNet', 'tf_efficientnet_lite0.in1k', None, {}, cnn),
        ('from scratch', 'test_resnet', None, {}, cnn),
    ]

    def try_family(backbone, size, **kw):
        "Train two steps; return the losses, after checking that weights in all layers have changed"
        learn = toy_learner(
            backbone,
            **{
                **RECIPES['all_triplets'].settings, 'bs': 16, 'size': size or 32,
                'splitter': layer_groups, **kw,
            }
        )
        start = {id(p): p.detach().clone() for p in learn.model.parameters()}
        with learn.no_bar(), learn.no_logging():
            RECIPES['all_triplets'].fit(learn, 2, lr=layer_lrs(learn, 1e-3))
        losses = [float(o) for o in learn.recorder.losses]
        groups = layer_groups(learn.model)
        assert np.isfinite(losses).all() and len(losses) == 2
        for i, g in enumerate(groups):
            assert any(
                not torch.equal(p, start[id(p)]) for p in g
            ), f'layer {i} of {len(groups)} did not move'
        return learn, losses

    def describe(name):
        "Full size, input and licence of the real thing, without making its weights"
        cfg = timm.get_pretrained_cfg(name)
        with torch.device('meta'): full = timm.create_model(name, pretrained=False, num_classes=0)
        return dict(
            px=cfg.input_size[-1],
            parameters=f'{sum(p.numel() for p in full.parameters()) / 1e6:.1f} M',
            licence=cfg.license or 'not stated',
        )

    # cell 83, in part
    rows = []
    for family, name, size, kw, changes in families:
        arch = name.partition('.')[0]
        set_seed(0)
        learn, losses = try_family(
            create_backbone(arch, pretrained=False, size=size, **kw), size, **changes
        )
        with tempfile.TemporaryDirectory() as d:
            again = create_backbone(f"local-dir:{export_timm(learn, Path(d)/'model')}").eval()
            learn.model.eval()
            x = torch.rand(2, *learn.model.backbone.data_config['input_size'])
            with torch.no_grad(): assert torch.equal(again(x), learn.model.backbone(x))
        rows.append(
            dict(
                family=family,
                timm=arch,
                weights=name.partition('.')[2] if family != 'from scratch' else '',
                **describe(name),
                loss=losses[-1],
                ok=True
            )
        )
        if family == 'from scratch': rows[-1]['licence'] = ''                             # no weights are taken
    for name in clip_models:
        learn, losses = try_family(clip_backbone(name), 32)
        # an own tower becomes a timm model, any of them an open_clip folder
        with tempfile.TemporaryDirectory() as d:
            back = [
                create_backbone(f"open_clip:local-dir:{export_open_clip(learn, Path(d)/'clip')}")
            ] + (
                [create_backbone(f"local-dir:{export_timm(learn, Path(d)/'timm')}")]
                if name == 'tiny-ViT-B-16'
                else []
            )
            learn.model.eval()
            x = torch.rand(2, *learn.model.backbone.data_config['input_size'])
            with torch.no_grad():
                [test_close(b.eval()(x), learn.model.backbone(x), eps=1e-5) for b in back]
        rows.append(
            dict(
                family="open_clip's own tower" if name == 'tiny-ViT-B-16' else 'open_clip, timm tower',
                timm='open_clip:ViT-B-16' if name == 'tiny-ViT-B-16' else 'open_clip:ViT-B-16-SigLIP',
                weights='of open_clip', px=224, parameters='', licence="see open_clip's list",
                loss=losses[-1], ok=True,
            )
        )

    # cell 86
    learn = toy_learner(tiny_vit(), device='cuda').to_bf16()
    kinds = {}
    learn.model.backbone.model.blocks[0].mlp.fc1.register_forward_hook(
        lambda m, i, o: kinds.update(block=o.dtype)
    )
    quietly(learn, 'fit', 2, 1e-3)
    test_eq(kinds['block'], torch.bfloat16)
    assert all(p.dtype == torch.float32 for p in learn.model.parameters()) and math.isfinite(
        learn.recorder.losses[-1]
    )

    # cell 87
    a, b = toy_learner(tiny_vit(), device='cuda'), toy_learner(tiny_vit(), device='cuda')
    b.model.backbone.compile()
    quietly(a, 'fit', 2, 1e-3)
    quietly(b, 'fit', 2, 1e-3)
    test_close([float(o) for o in a.recorder.losses], [float(o) for o in b.recorder.losses], eps=1e-3)
    ema = quietly(toy_learner(tiny_vit(), device='cuda', cbs=EMA(.9)), 'fit', 3, 3e-3).ema
    assert next(ema.average.module.parameters()).is_cuda
