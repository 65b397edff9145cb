"""Tests of `alignet.hub`.

Generated from nbs/08_hub.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
from pathlib import Path
import pandas as pd
import timm
import torch
from alignet.core import *
from alignet.features import *
import tempfile
from types import SimpleNamespace
from unittest import mock
from fastcore.test import test_eq, test_fail
from huggingface_hub import ModelCard
from safetensors import safe_open
from torch import nn
from IPython.display import Markdown
from alignet.training import Student
from alignet.hub import *
from alignet.hub import _markdown_table

NOTEBOOK = 'nbs/08_hub.ipynb'     # a test runs in the folder of its notebook


def test_the_model_card():
    "The model card"
    # cell 9
    table = pd.DataFrame({'measure': ['odd one out', 'a | b'], 'base': [.4, float('nan')], 'aligned': [.5123, 3]})
    print(_markdown_table(table))
    test_eq(_markdown_table(table).splitlines(), ['| measure | base | aligned |', '| --- | ---: | ---: |', '| odd one out | 0.400 | 0.512 |', r'| a \| b |  | 3.000 |'])
    test_eq(_markdown_table(table.set_index('measure')), _markdown_table(table))

    # cell 12
    torch.manual_seed(0)
    tiny = create_backbone('test_vit', pretrained=False).eval()
    card = model_card('tiny: aligned', tiny, table, data='Forty drawings; the observers were **simulated**.', licences='Drawings by nobody.')
    meta = ModelCard(card).data
    test_eq((meta.library_name, meta.license, meta.pipeline_tag), ('timm', 'apache-2.0', 'image-feature-extraction'))
    test_eq(ModelCard(model_card('tiny', tiny, license='cc-by-nc-4.0')).data.license, 'cc-by-nc-4.0')
    assert _markdown_table(table) in card and '**simulated**' in card and 'Not measured' not in card
    assert 'the control' in model_card('tiny', tiny, summary='This is the control.') and 'Not measured.' in model_card('tiny', tiny) and 'Not stated.' in model_card('tiny', tiny)
    Markdown(ModelCard(card).text)


def test_the_folder():
    "The folder"
    # cell 9, in part
    table = pd.DataFrame({'measure': ['odd one out', 'a | b'], 'base': [.4, float('nan')], 'aligned': [.5123, 3]})

    # cell 12, in part
    torch.manual_seed(0)
    tiny = create_backbone('test_vit', pretrained=False).eval()

    # cell 17
    tmp = Path(tempfile.mkdtemp())
    folder = export_timm(tiny, tmp/'tiny-aligned', card=dict(table=table, data='Forty drawings.'))
    again, x = timm.create_model(f'local-dir:{folder}', pretrained=True).eval(), torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        test_eq(again.forward_head(again.forward_features(x), pre_logits=True), tiny(x))
        test_eq(again(x), tiny.model(x))
        test_eq(timm.create_model(f'local-dir:{folder}', pretrained=True, num_classes=0).eval()(x), tiny(x))      # as the card says
        test_eq(create_backbone(f'local-dir:{folder}').eval()(x), tiny(x))
    test_eq(str(create_backbone(f'local-dir:{folder}').transform()), str(tiny.transform()))
    sorted(p.name for p in folder.iterdir())

    # cell 19
    with safe_open(folder/'model.safetensors', 'pt') as f: test_eq(set(f.keys()), set(tiny.model.state_dict()))
    config = read_json(folder/'config.json')
    assert not {'url', 'hf_hub_id'} & set(config['pretrained_cfg'])
    print({k: config[k] for k in ('architecture', 'num_classes', 'num_features')})
    test_eq((config['architecture'], config['num_classes']), ('test_vit', 1000))

    # cell 21
    def same(model, path, **kw):
        "Export, load with timm, compare the features"
        b, x = as_backbone(model), torch.randn(1, *as_backbone(model).data_config['input_size'])
        m = timm.create_model(f'local-dir:{export_timm(model, path)}', pretrained=True).eval()
        was = b.training; b.eval()
        with torch.no_grad(): ok = torch.equal(m.forward_head(m.forward_features(x), pre_logits=True), b(x))
        b.train(was)
        return ok and timm.data.resolve_model_data_config(m)['input_size'] == tuple(b.data_config['input_size']) and m.num_classes == b.model.num_classes
    make = lambda name, **kw: create_backbone(name, pretrained=False, **kw)
    learner = SimpleNamespace(model=Student(make('test_efficientnet')).train())
    assert same(learner, tmp/'learner') and learner.model.training
    assert same(make('test_resnet', num_classes=0), tmp/'headless')
    assert same(timm.create_model('test_resnet', num_classes=7), tmp/'seven')
    assert same(make('test_resnet', size=64), tmp/'smaller')
    assert same(make('vit_tiny_patch16_224', size=96, depth=1), tmp/'fixed')
    assert same(make('test_convnext').to(memory_format=torch.channels_last), tmp/'channels-last')

    # cell 23
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    other = create_backbone('test_vit', pretrained=False)
    with mock.patch('timm.create_model', side_effect=RuntimeError('broken')): test_fail(lambda: export_timm(other, folder), contains='broken')
    with mock.patch('safetensors.torch.save_file', side_effect=OSError(28, 'No space left on device')): test_fail(lambda: export_timm(other, folder), contains='the disk is full')
    test_eq({p.name: p.read_bytes() for p in folder.iterdir()}, before)
    assert not [p for p in tmp.iterdir() if 'tmp' in p.name or 'old' in p.name]
    export_timm(other, folder, card=table)                                                                # a model that is there is replaced
    assert (folder/'model.safetensors').read_bytes() != before['model.safetensors']
    (tmp/'mine').mkdir(); (tmp/'mine'/'thesis.txt').write_text('text')
    test_fail(lambda: export_timm(tiny, tmp/'mine'), contains='holds no model')
    test_fail(lambda: export_timm(nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()), tmp/'plain'), contains='is no timm model')

    # cell 25
    changed = create_backbone('test_resnet', pretrained=False)
    changed.model.act1 = nn.Sigmoid()
    test_fail(lambda: export_timm(changed, tmp/'changed'), contains='computes other features')
    assert not (tmp/'changed').exists()
