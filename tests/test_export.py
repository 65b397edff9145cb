"""Tests of `alignet.export`.

Generated from nbs/08_export.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import pytest
import json
import logging
import shutil
import tempfile
from pathlib import Path
import pandas as pd
import timm
import torch
from torch import nn
from alignet.core import *
from alignet.features import *
import base64
import http.server
import importlib.util
import os
import threading
from types import SimpleNamespace
from unittest import mock
import numpy as np
from fastcore.test import test_close, test_eq, test_fail
from huggingface_hub import ModelCard
from PIL import Image
from safetensors import safe_open
from IPython.display import Markdown
from alignet.training import Student
from alignet.export import *
from alignet.export import _markdown_table

NOTEBOOK = 'nbs/08_export.ipynb'     # a test runs in the folder of its notebook


def test_the_model_card():
    "The model card"
    # cell 9
    table = pd.DataFrame(
        {'measure': ['odd one out', 'a | b'], 'base': [0.4, float('nan')], 'aligned': [0.5123, 3]}
    )
    print(_markdown_table(table))
    test_eq(
        _markdown_table(table).splitlines(),
        [
            '| measure | base | aligned |', '| --- | ---: | ---: |', '| odd one out | 0.400 | 0.512 |',
            r'| a \| b |  | 3.000 |',
        ],
    )
    test_eq(_markdown_table(table.set_index('measure')), _markdown_table(table))

    # cell 13
    torch.manual_seed(0)
    tiny = create_backbone('test_vit', pretrained=False).eval()
    card = model_card(
        'tiny: aligned', tiny, table, data='Forty drawings; the observers were **simulated**.',
        licences='Drawings by nobody.',
    )
    meta = ModelCard(card).data
    test_eq(
        (meta.library_name, meta.license, meta.pipeline_tag),
        ('timm', 'apache-2.0', 'image-feature-extraction'),
    )
    test_eq(ModelCard(model_card('tiny', tiny, license='cc-by-nc-4.0')).data.license, 'cc-by-nc-4.0')
    assert _markdown_table(table) in card and '**simulated**' in card and 'Not measured' not in card
    assert "'hf-hub:me/tiny', pretrained=True, num_classes=0" in model_card(
        'tiny', tiny, where='hf-hub:me/tiny'
    )
    test_eq(ModelCard(model_card('tiny', tiny, library='open_clip')).data.library_name, 'open_clip')
    assert (
        'the control' in model_card('tiny', tiny, summary='This is the control.')
        and 'Not measured.' in model_card('tiny', tiny)
        and 'Not stated.' in model_card('tiny', tiny)
    )
    Markdown(ModelCard(card).text)


def test_the_folder():
    "The folder"
    # cell 9, in part
    table = pd.DataFrame(
        {'measure': ['odd one out', 'a | b'], 'base': [0.4, float('nan')], 'aligned': [0.5123, 3]}
    )

    # cell 13, in part
    torch.manual_seed(0)
    tiny = create_backbone('test_vit', pretrained=False).eval()

    # cell 22
    tmp = Path(tempfile.mkdtemp())
    folder = export_timm(tiny, tmp/'tiny-aligned', card=dict(table=table, data='Forty drawings.'))
    again, x = timm.create_model(f'local-dir:{folder}', pretrained=True).eval(), torch.randn(
        2, 3, 160, 160
    )
    with torch.no_grad():
        test_eq(again.forward_head(again.forward_features(x), pre_logits=True), tiny(x))
        test_eq(again(x), tiny.model(x))
        # as the card says
        test_eq(
            timm.create_model(f'local-dir:{folder}', pretrained=True, num_classes=0).eval()(x), tiny(x)
        )
        test_eq(create_backbone(f'local-dir:{folder}').eval()(x), tiny(x))
    test_eq(str(create_backbone(f'local-dir:{folder}').transform()), str(tiny.transform()))
    sorted(p.name for p in folder.iterdir())

    # cell 24
    with safe_open(folder/'model.safetensors', 'pt') as f:
        test_eq(set(f.keys()), set(tiny.model.state_dict()))
    config = read_json(folder/'config.json')
    assert not {'url', 'hf_hub_id'} & set(config['pretrained_cfg'])
    print({k: config[k] for k in ('architecture', 'num_classes', 'num_features')})
    test_eq((config['architecture'], config['num_classes']), ('test_vit', 1000))

    # cell 26
    def same(model, path, **kw):
        "Export, load with timm, compare the features"
        b, x = as_backbone(model), torch.randn(1, *as_backbone(model).data_config['input_size'])
        m = timm.create_model(f'local-dir:{export_timm(model, path)}', pretrained=True).eval()
        was = b.training
        b.eval()
        with torch.no_grad():
            ok = torch.equal(m.forward_head(m.forward_features(x), pre_logits=True), b(x))
        b.train(was)
        return (
            ok
            and timm.data.resolve_model_data_config(m)['input_size']
            == tuple(b.data_config['input_size'])
            and m.num_classes == b.model.num_classes
        )
    make = lambda name, **kw: create_backbone(name, pretrained=False, **kw)
    learner = SimpleNamespace(model=Student(make('test_efficientnet')).train())
    assert same(learner, tmp/'learner') and learner.model.training
    assert same(make('test_resnet', num_classes=0), tmp/'headless')
    assert same(timm.create_model('test_resnet', num_classes=7), tmp/'seven')
    assert same(make('test_resnet', size=64), tmp/'smaller')
    assert same(make('vit_tiny_patch16_224', size=96, depth=1), tmp/'fixed')
    assert same(make('test_convnext').to(memory_format=torch.channels_last), tmp/'channels-last')

    # cell 28
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    other = create_backbone('test_vit', pretrained=False)
    with mock.patch('timm.create_model', side_effect=RuntimeError('broken')):
        test_fail(lambda: export_timm(other, folder), contains='broken')
    with mock.patch('safetensors.torch.save_file', side_effect=OSError(28, 'No space left on device')):
        test_fail(lambda: export_timm(other, folder), contains='the disk is full')
    test_eq({p.name: p.read_bytes() for p in folder.iterdir()}, before)
    assert not [p for p in tmp.iterdir() if 'tmp' in p.name or 'old' in p.name]
    # a model that is there is replaced
    export_timm(other, folder, card=table)
    assert (folder/'model.safetensors').read_bytes() != before['model.safetensors']
    (tmp/'mine').mkdir()
    (tmp/'mine'/'thesis.txt').write_text('text')
    test_fail(lambda: export_timm(tiny, tmp/'mine'), contains='holds no model')
    test_fail(
        lambda: export_timm(nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()), tmp / 'plain'),
        contains='is no timm model',
    )

    # cell 30
    changed = create_backbone('test_resnet', pretrained=False)
    changed.model.act1 = nn.Sigmoid()
    test_fail(lambda: export_timm(changed, tmp/'changed'), contains='computes other features')
    assert not (tmp/'changed').exists()


def test_towers_of_open_clip():
    "Towers of open_clip"
    # cell 13, in part
    torch.manual_seed(0)
    tiny = create_backbone('test_vit', pretrained=False).eval()

    # cell 37
    HAVE_OC = bool(importlib.util.find_spec('open_clip'))
    tmp_oc = Path(tempfile.mkdtemp())

    # cell 38
    def tower(arch='ViT-B-32', size=64, vision=None, **kw):
        "An open_clip backbone with random weights and small towers"
        torch.manual_seed(0)
        logging.disable(logging.WARNING)
        vision = (
            dict(image_size=size, layers=2, width=64, patch_size=16, head_width=32)
            if vision is None
            else vision
        )
        try:
            return create_backbone(
                f'open_clip:{arch}', pretrained=False, embed_dim=24, vision_cfg=vision,
                text_cfg=dict(context_length=8, vocab_size=100, width=32, heads=2, layers=1), **kw,
            ).eval()
        finally: logging.disable(logging.NOTSET)

    def agree(backbone, folder):
        "Largest difference between the features of a backbone, of timm's model in a folder, and of our backbone on it, over the largest feature"
        x = torch.randn(2, *backbone.data_config['input_size'])
        m = timm.create_model(f'local-dir:{folder}', pretrained=True).eval()
        b = create_backbone(f'local-dir:{folder}').eval()
        with torch.no_grad():
            y = backbone.model.encode_image(x)
            return (
                max((m(x) - y).abs().max().item(), (b(x) - y).abs().max().item()) / y.abs().max().item()
            )

    if HAVE_OC:
        siglip = dict(timm_model_name='test_vit', timm_pool='map', timm_proj='none', image_size=160)
        towers = {
            'CLIP': tower(),
            'CLIP, QuickGELU': tower('ViT-B-16-quickgelu', quick_gelu=True),
            'layer scale, no first norm': tower(
                vision=dict(
                    image_size=64, layers=2, width=64, patch_size=32, head_width=32, ls_init_value=0.1,
                    no_ln_pre=True,
                )
            ),
            'mean of the patches, then norm': tower(
                vision=dict(
                    image_size=64, layers=1, width=64, patch_size=16, head_width=32, pool_type='avg',
                    final_ln_after_pool=True, pos_embed_type='sin_cos_2d',
                )
            ),
            'SigLIP': tower(
                'ViT-B-16-SigLIP', vision=siglip,
                force_preprocess_cfg=dict(mean=(0.5,) * 3, std=(0.5,) * 3, resize_mode='squash'),
            ),
            'timm tower with a projection': tower(
                'convnext_base',
                vision=dict(
                    timm_model_name='test_convnext', timm_pool='', timm_proj='linear', image_size=160
                ),
            ),
        }
        differ = {k: agree(b, export_timm(b, tmp_oc/f'{i}')) for i, (k, b) in enumerate(towers.items())}
        print({k: f'{v:.0e}' for k, v in differ.items()})
        assert max(differ.values()) < 1e-5
    else: print('skipped: pip install open_clip_torch to export its towers')

    # cell 40
    if HAVE_OC:
        b, again = towers['SigLIP'], create_backbone(f"local-dir:{tmp_oc/'4'}")
        test_eq(
            (again.normalize, again.data_config['crop_mode'], str(again.transform())),
            (((0.5,) * 3, (0.5,) * 3), 'squash', str(b.transform())),
        )
        test_eq([create_backbone(f'local-dir:{tmp_oc/k}').num_features for k in '045'], [24, 64, 24])
        test_eq(
            timm.create_model(f"local-dir:{tmp_oc/'0'}", pretrained=True, num_classes=0)(
                torch.zeros(1, 3, 64, 64)
            ).shape[1],
            64,
        )
        for k, line in (
            ('0', "pretrained=True).eval()"), ('4', "pretrained=True, num_classes=0).eval()"),
        ):
            assert line in (tmp_oc/k/'README.md').read_text()
        assert (
            'license' not in read_json(tmp_oc / '0' / 'config.json')['pretrained_cfg']
            and '"other"' in (tmp_oc / '0' / 'README.md').read_text()
        )
        student = Student(towers['CLIP'])
        with torch.no_grad():
            [p.add_(.01*torch.randn_like(p)) for p in student.backbone.model.visual.parameters()]
        assert agree(towers['CLIP'], export_timm(SimpleNamespace(model=student), tmp_oc/'0')) < 1e-5

    # cell 45
    if HAVE_OC:
        resnet = tower('RN50', vision=dict(image_size=64, layers=[1, 1, 1, 1], width=16))
        coca = tower(
            vision=dict(
                image_size=64, layers=1, width=64, patch_size=32, head_width=32, attentional_pool=True,
                attn_pooler_heads=4,
            )
        )
        for k, b in dict(resnet=resnet, coca=coca).items():
            test_fail(lambda: export_timm(b, tmp_oc/k), contains='use export_open_clip')
            assert not (tmp_oc/k).exists()
            again = create_backbone(
                f"open_clip:local-dir:{export_open_clip(b, tmp_oc/k, card=dict(data='Forty drawings.'))}"
            ).eval()
            x = torch.randn(2, 3, 64, 64)
            with torch.no_grad(): test_eq(again(x), b(x))
            test_eq((again.data_config, again.arch), (b.data_config, b.arch))
            test_eq(
                sorted(p.name for p in (tmp_oc / k).iterdir()),
                ['README.md', 'open_clip_config.json', 'open_clip_model.safetensors'],
            )
        # as the card says
        m, _, tfm = require('open_clip').create_model_and_transforms(f"local-dir:{tmp_oc/'resnet'}")
        with torch.no_grad(): test_eq(m.eval().encode_image(x), resnet(x))
        im = Image.fromarray(rng(0).integers(0, 255, (50, 90, 3), dtype=np.uint8))
        test_close(tfm(im), resnet.transform()(im), eps=1e-6)
        test_eq(ModelCard((tmp_oc/'resnet'/'README.md').read_text()).data.library_name, 'open_clip')
        squashed = create_backbone(
            f"open_clip:local-dir:{export_open_clip(towers['SigLIP'], tmp_oc/'siglip')}"
        )
        test_eq(squashed.data_config, towers['SigLIP'].data_config)
        # and back to timm
        assert agree(squashed.eval(), export_timm(squashed, tmp_oc/'4')) < 1e-5
        test_fail(lambda: export_open_clip(tiny, tmp_oc/'tiny'), contains='use export_timm')
        (tmp_oc/'siglip'/'open_clip_model.safetensors').unlink()
        test_fail(
            lambda: create_backbone(f"open_clip:local-dir:{tmp_oc/'siglip'}"),
            contains='holds no weights',
        )
        with mock.patch(
            'safetensors.torch.save_file', side_effect=OSError(28, 'No space left on device')
        ):
            test_fail(lambda: export_open_clip(resnet, tmp_oc/'full'), contains='the disk is full')
        assert not [p for p in tmp_oc.iterdir() if p.name.startswith('.') or p.name == 'full']


@pytest.mark.slow
def test_towers_of_open_clip_slow():
    "Towers of open_clip"
    # cell 37
    HAVE_OC = bool(importlib.util.find_spec('open_clip'))
    tmp_oc = Path(tempfile.mkdtemp())

    # cell 38, in part
    def tower(arch='ViT-B-32', size=64, vision=None, **kw):
        "An open_clip backbone with random weights and small towers"
        torch.manual_seed(0)
        logging.disable(logging.WARNING)
        vision = (
            dict(image_size=size, layers=2, width=64, patch_size=16, head_width=32)
            if vision is None
            else vision
        )
        try:
            return create_backbone(
                f'open_clip:{arch}', pretrained=False, embed_dim=24, vision_cfg=vision,
                text_cfg=dict(context_length=8, vocab_size=100, width=32, heads=2, layers=1), **kw,
            ).eval()
        finally: logging.disable(logging.NOTSET)

    def agree(backbone, folder):
        "Largest difference between the features of a backbone, of timm's model in a folder, and of our backbone on it, over the largest feature"
        x = torch.randn(2, *backbone.data_config['input_size'])
        m = timm.create_model(f'local-dir:{folder}', pretrained=True).eval()
        b = create_backbone(f'local-dir:{folder}').eval()
        with torch.no_grad():
            y = backbone.model.encode_image(x)
            return (
                max((m(x) - y).abs().max().item(), (b(x) - y).abs().max().item()) / y.abs().max().item()
            )

    # cell 42
    if HAVE_OC:
        for arch in ('ViT-B-32', 'ViT-B-16-quickgelu', 'ViT-B-16-SigLIP', 'ViT-B-16-SigLIP2'):
            cfg = require('open_clip').get_model_config(arch)
            big = tower(arch, vision=cfg['vision_cfg'], quick_gelu='quick' in arch)
            off = agree(big, export_timm(big, tmp_oc/'big'))
            print(arch, '->', read_json(tmp_oc/'big'/'config.json')['architecture'], f'{off:.0e}')
            assert off < 1e-4
        shutil.rmtree(tmp_oc/'big')


def test_to_a_hub():
    "To a hub"
    # cell 9, in part
    table = pd.DataFrame(
        {'measure': ['odd one out', 'a | b'], 'base': [0.4, float('nan')], 'aligned': [0.5123, 3]}
    )

    # cell 13, in part
    torch.manual_seed(0)
    tiny = create_backbone('test_vit', pretrained=False).eval()

    # cell 22, in part
    tmp = Path(tempfile.mkdtemp())
    folder = export_timm(tiny, tmp/'tiny-aligned', card=dict(table=table, data='Forty drawings.'))

    # cell 28, in part
    other = create_backbone('test_vit', pretrained=False)
    # a model that is there is replaced
    export_timm(other, folder, card=table)

    # cell 38, in part
    def tower(arch='ViT-B-32', size=64, vision=None, **kw):
        "An open_clip backbone with random weights and small towers"
        torch.manual_seed(0)
        logging.disable(logging.WARNING)
        vision = (
            dict(image_size=size, layers=2, width=64, patch_size=16, head_width=32)
            if vision is None
            else vision
        )
        try:
            return create_backbone(
                f'open_clip:{arch}', pretrained=False, embed_dim=24, vision_cfg=vision,
                text_cfg=dict(context_length=8, vocab_size=100, width=32, heads=2, layers=1), **kw,
            ).eval()
        finally: logging.disable(logging.NOTSET)

    # cell 53, in part
    class ToyHub(http.server.BaseHTTPRequestHandler):
        "The few addresses of a hub that an upload needs; `repos` are what has been uploaded, `log` what was asked"
        repos, log = {}, []
        def log_message(self, *a): pass
        def answer(self, code, **body):
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        def do_POST(self):
            n = self.headers.get('Content-Length')
            body = self.rfile.read(int(n)) if n else self.chunks()
            self.log.append(self.path)
            if self.headers.get('Authorization') != 'Bearer good':
                return self.answer(401, error='Invalid credentials')
            if self.path == '/api/repos/create':
                q = json.loads(body)
                name = f"{q.get('organization') or 'me'}/{q['name']}"
                if not name.startswith('me/'):
                    return self.answer(
                        403, error=f'You do not have the rights to create a model under {name}'
                    )
                self.repos.setdefault(
                    name, dict(private=q.get('private', q.get('visibility') == 'private'), files={})
                )
                return self.answer(200, url=f'http://{self.headers["Host"]}/{name}', name=name)
            if self.path == '/api/validate-yaml': return self.answer(200, errors=[], warnings=[])
            name, what, branch = self.path.removeprefix('/api/models/').rsplit('/', 2)
            if branch.partition('?')[0] != 'main': return self.answer(404, error='Revision Not Found')
            if what == 'preupload':
                return self.answer(
                    200,
                    files=[
                        dict(path=f['path'], uploadMode='regular', shouldIgnore=False)
                        for f in json.loads(body)['files']
                    ],
                )
            lines = [json.loads(l) for l in body.splitlines()]
            repo = self.repos[name]
            repo['message'] = lines[0]['value']['summary']
            repo['files'].update(
                {
                    l['value']['path']: base64.b64decode(l['value']['content'])
                    for l in lines[1:]
                    if l['key'] == 'file'
                }
            )
            repo['kinds'] = [l['key'] for l in lines]
            self.answer(
                200, commitUrl=f'http://{self.headers["Host"]}/{name}/commit/1', commitOid='1',
                success=True,
            )
        def chunks(self):
            out = b''
            while (size := int(self.rfile.readline(), 16)):
                out += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return out

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), ToyHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub = f'http://127.0.0.1:{server.server_port}'
    logging.getLogger('huggingface_hub').setLevel(logging.ERROR)
    url = push_to_hub(
        tiny, 'me/tiny-aligned', private=True, token='good', card=dict(table=table), endpoint=hub
    )

    # cell 55
    tmp = Path(tempfile.mkdtemp())
    repo = ToyHub.repos['me/tiny-aligned']
    x = torch.randn(2, 3, 160, 160)
    def download(repo):
        "What a repository holds, as a folder"
        to = Path(tempfile.mkdtemp(dir=tmp))
        [(to/f).write_bytes(b) for f, b in repo['files'].items()]
        return to

    test_eq(sorted(repo['files']), ['README.md', 'config.json', 'model.safetensors'])
    test_eq((repo['private'], repo['kinds']), (True, ['header'] + ['file']*3))
    assert repo['message'].startswith('Upload tiny-aligned with alignet') and url.endswith(
        '/me/tiny-aligned/commit/1'
    )
    with torch.no_grad(): test_eq(create_backbone(f'local-dir:{download(repo)}').eval()(x), tiny(x))
    text = repo['files']['README.md'].decode()
    assert (
        "timm.create_model('hf-hub:me/tiny-aligned', pretrained=True, num_classes=0)" in text
        and _markdown_table(table) in text
        and 'FOLDER' not in text
    )

    # cell 56
    folder = export_timm(tiny, tmp/'folder')
    (folder/'checkpoint.pth').write_bytes(b'a pickle')
    (folder/'names.txt').write_text('private')
    push_to_hub(folder, 'me/from-folder', token='good', commit_message='Mine', endpoint=hub)
    repo = ToyHub.repos['me/from-folder']
    test_eq(
        (sorted(repo['files']), repo['message'], repo['private']),
        (['README.md', 'config.json', 'model.safetensors'], 'Mine', False),
    )
    if importlib.util.find_spec('open_clip'):
        small = tower()
        push_to_hub(small, 'me/clip', token='good', endpoint=hub)
        assert (
            'model.safetensors' in ToyHub.repos['me/clip']['files']
            and "'hf-hub:me/clip', pretrained=True).eval()"
            in ToyHub.repos['me/clip']['files']['README.md'].decode()
        )
        rn = tower('RN50', vision=dict(image_size=64, layers=[1, 1, 1, 1], width=16))
        push_to_hub(rn, 'me/rn', token='good', endpoint=hub)
        test_eq(
            sorted(ToyHub.repos['me/rn']['files']),
            ['README.md', 'open_clip_config.json', 'open_clip_model.safetensors'],
        )
        with torch.no_grad():
            test_eq(
                create_backbone(f"open_clip:local-dir:{download(ToyHub.repos['me/rn'])}").eval()(
                    x[..., :64, :64]
                ),
                rn(x[..., :64, :64]),
            )

    # cell 58
    push = lambda name='me/tiny', **kw: push_to_hub(
        folder, name, **{**dict(token='good', endpoint=hub), **kw}
    )
    with mock.patch.dict(os.environ), mock.patch(
        'huggingface_hub.constants.HF_TOKEN_PATH', str(tmp / 'none')
    ):
        for k in ('HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'): os.environ.pop(k, None)
        test_fail(lambda: push(token=None), contains='there is no access token')
    test_fail(lambda: push(token='bad'), contains='token is not valid')
    test_fail(lambda: push('others/tiny'), contains='the token may not write there')
    test_fail(lambda: push(revision='draft'), contains="has no branch 'draft'")
    test_fail(lambda: push('me/ti ny'), contains='is not a name that a hub takes')
    test_fail(lambda: push(card=table), contains='has its own card')
    test_fail(
        lambda: push_to_hub(tmp, 'me/x', token='good', endpoint=hub), contains='needs model.safetensors'
    )
    server.shutdown()
    server.server_close()
    test_fail(push, contains='could not be reached')
    shutil.rmtree(tmp)


def test_onnx_for_those_who_have_no_pytorch():
    "ONNX: for those who have no PyTorch"
    # cell 13, in part
    torch.manual_seed(0)
    tiny = create_backbone('test_vit', pretrained=False).eval()

    # cell 38, in part
    def tower(arch='ViT-B-32', size=64, vision=None, **kw):
        "An open_clip backbone with random weights and small towers"
        torch.manual_seed(0)
        logging.disable(logging.WARNING)
        vision = (
            dict(image_size=size, layers=2, width=64, patch_size=16, head_width=32)
            if vision is None
            else vision
        )
        try:
            return create_backbone(
                f'open_clip:{arch}', pretrained=False, embed_dim=24, vision_cfg=vision,
                text_cfg=dict(context_length=8, vocab_size=100, width=32, heads=2, layers=1), **kw,
            ).eval()
        finally: logging.disable(logging.NOTSET)

    # cell 64
    HAVE_ONNX = all(importlib.util.find_spec(o) for o in ('onnx', 'onnxscript', 'onnxruntime'))
    tmp_onnx = Path(tempfile.mkdtemp())

    # cell 65
    if importlib.util.find_spec('onnx'): import onnx
    if importlib.util.find_spec('onnxruntime'): import onnxruntime

    # cell 66
    def by_onnx(file, x):
        return torch.from_numpy(
            onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider']).run(
                None, {'images': x.numpy()}
            )[0]
        )

    if HAVE_ONNX:
        torch.manual_seed(0)
        nets = {
            n: create_backbone(n, pretrained=False).eval()
            for n in ('test_vit', 'test_efficientnet', 'test_resnet', 'test_convnext')
        }
        nets['SigLIP-like'] = create_backbone(
            'vit_base_patch16_siglip_224', pretrained=False, depth=2, embed_dim=64, num_heads=2,
            img_size=64,
        ).eval()
        if importlib.util.find_spec('open_clip'): nets['open_clip'] = tower()
        off = {}
        for k, b in nets.items():
            f = export_onnx(b, tmp_onnx/f'{k}.onnx')
            x = torch.randn(5, 3, b.input_size, b.input_size)
            with torch.no_grad(): y = b(x)
            off[k] = ((by_onnx(f, x) - y).abs().max()/y.abs().max()).item()
            assert off[k] < 1e-4, k
        print(
            {k: f'{v:.0e}' for k, v in off.items()},
            f'{(tmp_onnx/"test_vit.onnx").stat().st_size/1e6:.1f} MB',
        )
    else: print('skipped: pip install onnx onnxscript onnxruntime to try this')

    # cell 68
    if HAVE_ONNX:
        b = nets['test_efficientnet']
        f = export_onnx(b, tmp_onnx/'pixels.onnx', size=96, pixels=True)
        m = onnx.load(f)
        onnx.checker.check_model(m)
        meta = {p.key: p.value for p in m.metadata_props}
        print({k: meta[k] for k in ('model', 'input_size', 'mean', 'std', 'pixels', 'license')})
        im = rng(0).integers(0, 256, (2, 3, 96, 96), dtype=np.uint8)
        mean, std = (torch.tensor(json.loads(meta[k])).view(3, 1, 1) for k in ('mean', 'std'))
        with torch.no_grad():
            test_close(
                by_onnx(f, torch.from_numpy(im)), b((torch.from_numpy(im) / 255 - mean) / std), eps=1e-5
            )
        test_eq(
            (meta['license'], json.loads(meta['input_size']), meta['weights']),
            ('apache-2.0', [3, 96, 96], b.digest()),
        )
        shape = [d.dim_param or d.dim_value for d in m.graph.input[0].type.tensor_type.shape.dim]
        test_eq(shape[1:], [3, 96, 96])
        assert isinstance(shape[0], str)
        one = onnx.load(
            export_onnx(
                nets['test_resnet'], tmp_onnx / 'one.onnx', dynamic_batch=False, license='cc0-1.0'
            )
        )
        test_eq([d.dim_value for d in one.graph.input[0].type.tensor_type.shape.dim], [1, 3, 160, 160])
        assert 'cc0-1.0' in [p.value for p in one.metadata_props]

    # cell 70
    if HAVE_ONNX:
        f, before = tmp_onnx/'test_resnet.onnx', (tmp_onnx/'test_resnet.onnx').read_bytes()
        b = create_backbone('test_resnet', pretrained=False).train()
        # an exporter that gives the wrong network
        with mock.patch('torch.onnx.export', return_value=SimpleNamespace(model_proto=onnx.load(f))):
            test_fail(lambda: export_onnx(b, f), contains='computes other features than PyTorch')
        test_eq(f.read_bytes(), before)
        assert not [p for p in tmp_onnx.iterdir() if 'tmp' in p.name]
        test_fail(
            lambda: export_onnx(nets['SigLIP-like'], tmp_onnx / 'x.onnx', size=96),
            contains='takes no other size',
        )
        test_fail(
            lambda: export_onnx(
                create_backbone('test_resnet', pretrained=False).half(), tmp_onnx / 'x.onnx'
            ),
            contains='half precision',
        )
        assert b.training and torch.backends.mha.get_fastpath_enabled()
    for p in ('onnx', 'onnxscript', 'onnxruntime'):
        with mock.patch.dict('sys.modules', {p: None}):
            test_fail(lambda: export_onnx(tiny, tmp_onnx/'x.onnx'), contains=f'pip install {p}')
