"""A training run that is killed ten times and started again ends with the same losses and weights."""
import multiprocessing as mp
import os
import signal
import time
import warnings

import numpy as np
import pytest
from PIL import Image

from alignet.core import rng
from alignet.files.disk import read_json

pytestmark = pytest.mark.skipif(
    'forkserver' not in mp.get_all_start_methods(),
    reason='needs processes that start as forks of a server',
)

# seconds that a step waits, for more moments to be killed at
EPOCHS, SLOW = 14, .04


def train(folder, name, ready, slow=0.):
    "Train a small student to the end, in a process of its own; `ready` hears when the first step is near"
    import torch
    from safetensors.torch import save_file
    from fastai.callback.core import Callback
    from alignet.all import (
        Checkpoint, ImageSet, PseudoLabels, align_learner, create_backbone, set_seed, write_json,
    )

    class Wait(Callback):
        def before_batch(self):
            if self.training: time.sleep(slow)

    torch.set_num_threads(1)
    set_seed(0)
    images = ImageSet.from_folder(folder/'images')
    labels = PseudoLabels(images.names, embedding=np.load(folder/'teacher.npy'))
    learn = align_learner(
        create_backbone('test_efficientnet', pretrained=False), labels, images, size=32, bs=12,
        valid_pct=0.25, device='cpu',
        cbs=[Checkpoint(folder / name / 'run.checkpoint', every=2, run_id='killed'), Wait()],
    )
    (folder/name).mkdir(exist_ok=True)
    ready.set()
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(EPOCHS, 3e-3)
    save_file(
        {k: v.contiguous() for k, v in learn.model.state_dict().items()},
        folder / name / 'weights.safetensors',
    )
    write_json(
        folder / name / 'curve.json',
        dict(
            losses=[float(o) for o in learn.recorder.losses],
            values=[[float(v) for v in o] for o in learn.recorder.values],
        ),
    )


def start(ctx, *args, **kwargs):
    "A process that has begun to train"
    ready = ctx.Event()
    p = ctx.Process(target=train, args=(*args, ready), kwargs=kwargs)
    p.start()
    assert ready.wait(120)
    return p


def test_training_killed_ten_times(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        ctx = mp.get_context('forkserver')
        ctx.set_forkserver_preload(['alignet.all'])
    (tmp_path/'images').mkdir()
    r = rng(0)
    for i in range(48):
        Image.fromarray(r.integers(0, 255, (4, 4, 3), dtype=np.uint8)).resize((40, 40)).save(
            tmp_path / 'images' / f'{i:02d}.png'
        )
    np.save(tmp_path/'teacher.npy', r.normal(size=(48, 4)).astype(np.float32))
    p = start(ctx, tmp_path, 'whole')
    p.join(120)
    assert p.exitcode == 0
    steps, found, file = EPOCHS * 3, [], tmp_path/'killed'/'run.checkpoint'
    # the first two at once, the others some steps after where the last one was saved
    for k in range(10):
        p = start(ctx, tmp_path, 'killed', slow=SLOW)
        before, until = done(file), time.time() + 60
        while k > 1 and done(file) < before + 2 and p.is_alive() and time.time() < until:
            time.sleep(.005)
        time.sleep(r.uniform(0, SLOW))
        os.kill(p.pid, signal.SIGKILL)
        p.join(120)
        assert p.exitcode == -signal.SIGKILL
        found.append(done(file))
    assert len(found) == 10 and found == sorted(found) and found[0] < found[-1] < steps, found
    p = start(ctx, tmp_path, 'killed')
    p.join(120)
    assert p.exitcode == 0
    assert read_json(tmp_path/'killed'/'curve.json') == read_json(tmp_path/'whole'/'curve.json')
    assert (tmp_path / 'killed' / 'weights.safetensors').read_bytes() == (
        tmp_path / 'whole' / 'weights.safetensors'
    ).read_bytes()
    assert len(read_json(tmp_path/'whole'/'curve.json')['losses']) == steps
    assert {o.name for o in (tmp_path / 'killed').iterdir()} == {
        o.name for o in (tmp_path / 'whole').iterdir()
    }


def done(path):
    "Steps that a checkpoint holds"
    import torch
    # whole or not there, whenever one looks
    return torch.load(path, weights_only=True)['step'] if path.exists() else 0
