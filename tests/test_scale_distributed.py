"""Tests of `alignet.scale.distributed`.

Generated from nbs/scale/distributed.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import os
from pathlib import Path
import torch
from alignet.core import *
from alignet.features import FeatureStore, extract_features, create_backbone
import json
import subprocess
import sys
import tempfile
import numpy as np
from fastcore.test import test_eq, test_close, test_fail
from PIL import Image, ImageDraw
from alignet.data import ImageSet
from alignet.labels import PseudoLabels, sample_triplets
from alignet.scale.distributed import *

NOTEBOOK = 'nbs/scale/distributed.ipynb'     # a test runs in the folder of its notebook


def test_one_script():
    "One script"
    # cell 8
    script = """
import os, sys
import torch
from fastai.distributed import *                        # gives a Learner its distrib_ctx
from fastai.callback.schedule import *
from fastai.optimizer import SGD
from alignet.all import *

folder, world, first = sys.argv[1], int(os.environ.get('WORLD_SIZE', 1)), os.environ.get('RANK', '0') == '0'
images, labels = ImageSet.from_folder(folder + '/pictures'), PseudoLabels.load(folder + '/labels.npz')
torch.set_num_threads(1)

def train(out, **settings):
    set_seed(0)
    student = create_backbone('test_efficientnet', pretrained=False)
    learn = align_learner(labels, student, images, size=32, bs=24 // world, valid_pct=.25, steps=6, device='cpu', cbs=Checkpoint(out + '.checkpoint', every=4), **settings)
    with learn.distrib_ctx(sync_bn=False, cpu=True), learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(3, 3e-3)
    if first:
        export_timm(learn, out + '-model')
        write_json(out + '.json', dict(losses=[float(o) for o in learn.recorder.losses], values=[list(map(float, o)) for o in learn.recorder.values]))

set_seed(0)
if world > 1: extract_shared(create_backbone('test_efficientnet', pretrained=False, size=32), images, folder + '/shared', batch_size=8)
for out, settings in eval(sys.argv[2]).items(): train(folder + '/' + out, **settings)
"""

    # cell 10
    def start(processes, text=script, **runs):
        "Run the script in one or several processes; what it wrote, for each run"
        (home/'train.py').write_text(text)
        launch = (
            []
            if processes == 1
            else ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', str(processes)]
        )
        env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore'}
        for o in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'): env.pop(o, None)
        done = subprocess.run(
            [sys.executable, *launch, str(home / 'train.py'), str(home), repr(runs)],
            capture_output=True, text=True, env=env,
        )
        if done.returncode: raise RuntimeError(done.stderr[-3000:])
        return [json.loads((home/f'{o}.json').read_text()) for o in runs]

    class Expression(str): __repr__ = str.__str__                        # stands in the command as it is written

    def draw(folder):
        "Forty-eight discs and squares in three colours"
        folder.mkdir()
        for n in range(48):
            r = rng(n)
            im = Image.new('RGB', (64, 64), 'white')
            d = ImageDraw.Draw(im)
            (d.ellipse if n % 2 else d.rectangle)(
                r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist(),
                fill=['#0072b2', '#e69f00', '#009e73'][n // 2 % 3],
            )
            im.save(folder/f'{n:02d}.png')
        return ImageSet.from_folder(folder)

    tmp = tempfile.TemporaryDirectory()
    home = Path(tmp.name)
    images = draw(home/'pictures')
    Z = np.c_[2 * np.eye(2)[np.arange(48) % 2], np.eye(3)[np.arange(48) // 2 % 3]].astype(np.float32)
    drawn = sample_triplets(np.arange(48) % 6, 400, seed=1)
    PseudoLabels(
        images.names, *odd_last(drawn, triplet_sims(Z, drawn)), Z, clusters=np.arange(48) % 6
    ).save(home / 'labels.npz');

    # cell 12, in part
    # Adam would not notice a gradient of double size
    ways = dict(
        all={}, sampled=dict(triplets='sampled'), border=dict(weights='cluster_border', per_cluster=2),
        sgd=dict(opt_func=Expression('SGD')),
    )
    ones = start(1, **{f'{o}_one': kw for o, kw in ways.items()})
    one = ones[0]
    twos = start(
        2, **{f'{o}_two': kw for o, kw in ways.items()},
        apart=dict(loss=Expression('AlignLoss(gather=False)')),
    )
    two = twos[0]

    # cell 13
    test_eq((len(one['losses']), len(two['losses'])), (18, 18))
    # features that the two processes made, see below
    both = FeatureStore(home/'shared')
    test_eq((both.names, sorted(o.name for o in home.glob('shared*'))), (images.names, ['shared']))
    # the curve goes somewhere
    assert np.ptp(one['losses']) > .01
    test_close(one['losses'], two['losses'], eps=1e-5)
    # training loss, validation loss, agreement
    test_close(np.array(one['values']), np.array(two['values']), eps=1e-4)

    # cell 15, in part
    weights = lambda out: torch.cat(
        [p.ravel() for p in create_backbone(f'local-dir:{home}/{out}-model').parameters()]
    )
    distance = lambda a, b: float((weights(a) - weights(b)).norm())

    # cell 16
    assert distance('all_one', 'all_two') < .02 * distance('all_one', 'apart')

    # cell 18
    for way, a, b in zip(ways, ones, twos):
        test_close(a['losses'], b['losses'], eps=1e-5)
        test_close(np.array(a['values']), np.array(b['values']), eps=1e-4)
        print(f'{way:8s}', [round(o, 4) for o in b['losses'][::6]])
    # four different runs
    test_eq(len({a['losses'][5] for a in ones}), 4)

    # cell 20, in part
    stop = """
from fastai.callback.core import Callback
class PowerCut(Callback):
    def before_batch(self):
        if self.training and self.learn.train_iter == 9: os._exit(9)
"""
    broken = (
        script.replace('def train', stop + 'def train')
        .replace('cbs=Checkpoint', 'cbs=[PowerCut()] + [Checkpoint')
        .replace('every=4)', 'every=4)]')
    )
    def cut_and_go_on():
        "Steps in the checkpoint when the power was cut, and the curve of the run that went on"
        try: start(2, broken, cut={})
        except RuntimeError: kept = torch.load(home/'cut.checkpoint', weights_only=True)['step']
        return kept, start(2, cut={})[0]
    kept, again = cut_and_go_on()

    # cell 21
    test_eq(kept, 8)
    test_eq(again['losses'], two['losses'])
    assert torch.equal(weights('cut'), weights('all_two'))


def test_features_shared_out():
    "Features, shared out"
    # cell 10, in part
    def draw(folder):
        "Forty-eight discs and squares in three colours"
        folder.mkdir()
        for n in range(48):
            r = rng(n)
            im = Image.new('RGB', (64, 64), 'white')
            d = ImageDraw.Draw(im)
            (d.ellipse if n % 2 else d.rectangle)(
                r.integers(4, 20, 2).tolist() + r.integers(42, 60, 2).tolist(),
                fill=['#0072b2', '#e69f00', '#009e73'][n // 2 % 3],
            )
            im.save(folder/f'{n:02d}.png')
        return ImageSet.from_folder(folder)

    tmp = tempfile.TemporaryDirectory()
    home = Path(tmp.name)
    images = draw(home/'pictures')

    # cell 28, in part
    tiny = create_backbone('test_efficientnet', pretrained=False, size=32)
    parts = [extract_shared(tiny, images, home/'features', r, 3, batch_size=8) for r in range(3)]
    sizes, parts = [len(p) for p in parts], [p.path for p in parts]
    joined, alone = join_stores(parts, home / 'features'), extract_features(
        tiny, images, home / 'alone', batch_size=8
    )

    # cell 29
    test_eq(joined.names, alone.names)
    test_close(joined.get(), alone.get(), eps=1e-2)
    test_eq(joined.identity(), alone.identity())
    # already there
    joined.check(tiny, images)
    test_eq(extract_shared(tiny, images, home/'features', 0, 3).path, home/'features')
    test_fail(
        lambda: extract_shared(tiny, images, home / 'other', 3, 3), contains='ranks run from 0 to 2'
    )
    test_fail(lambda: extract_shared(tiny, images, home/'other', 1), contains='needs world too')
    test_fail(lambda: join_stores([home/'alone', home/'nowhere'], home/'whole'), contains='nowhere')
    FeatureStore.write(home/'stranger', ['x.png'], np.ones((1, 256)), model='another', arch='other')
    test_fail(
        lambda: join_stores([home / 'alone', home / 'stranger'], home / 'whole'),
        contains='they differ in arch',
    )
    test_fail(
        lambda: join_stores([home / 'alone', home / 'features'], home / 'whole'),
        contains='more than once',
    )
    assert (home/'alone').exists() and not (home/'whole').exists()
