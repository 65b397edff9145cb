"""Long jobs that are killed with signal 9 at random moments, and called again: nothing is lost, nothing differs."""
import multiprocessing as mp
import os
import signal
import time
import warnings

import numpy as np
import pytest

from alignet.core import rng
from alignet.features import FeatureStore

pytestmark = pytest.mark.skipif(
    'forkserver' not in mp.get_all_start_methods(),
    reason='needs processes that start as forks of a server',
)

# seconds that a slow disk takes to flush a file
IMAGES, BLOCKS, BLOCK, SLOW = 2000, 30, 5000, .02


@pytest.fixture(scope='module')
def server():
    "Starts processes that have imported everything already"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        ctx = mp.get_context('forkserver')
        ctx.set_forkserver_preload(['alignet.scale.shards'])
    return ctx


@pytest.fixture
def job(tmp_path):
    "The path of a store of features, with clusters beside it"
    clusters = np.arange(IMAGES, dtype=np.int32) % 20
    X = rng(0).normal(size=(20, 64))[clusters] * 2 + rng(1).normal(size=(IMAGES, 64))
    FeatureStore.write(
        tmp_path / 'features', [f'im{i:04d}.png' for i in range(IMAGES)], X, model='net',
        transform='aligned', teacher='0123456789abcdef',
    )
    np.save(tmp_path/'clusters.npy', clusters)
    return tmp_path


def label(folder, name, ready, slow=0., blocks=None):
    "Label all blocks or some, in a process of its own; `ready` hears when it begins"
    from alignet.scale.shards import label_store
    fsync = os.fsync
    if slow: os.fsync = lambda fd: (time.sleep(slow), fsync(fd))
    store, clusters = FeatureStore(folder/'features'), np.load(folder/'clusters.npy')
    ready.set()
    label_store(
        store, clusters, BLOCKS * BLOCK - 700, folder / name, seed=3, block_size=BLOCK,
        blocks=blocks,
    )


def start(ctx, *args, **kwargs):
    "A process that has begun to label"
    ready = ctx.Event()
    p = ctx.Process(target=label, args=(*args, ready), kwargs=kwargs)
    p.start()
    assert ready.wait(60)
    return p


def look(folder):
    "How many shards there are, and whether one is being written"
    files = [o.name for o in folder.iterdir()] if folder.exists() else []
    return sum(o.endswith('.npy') and o.startswith('labels') for o in files), any(
        '.tmp' in o for o in files
    )


def content(folder): return {p.name: p.read_bytes() for p in folder.iterdir()}


def run(*args, **kwargs):
    "Label to the end"
    p = start(*args, **kwargs)
    p.join(60)
    assert p.exitcode == 0


def test_labelling_killed_ten_times(server, job):
    run(server, job, 'whole')
    want = content(job/'whole')
    assert len(want) == BLOCKS + 3
    r, seen, state = rng(0), [], lambda: look(job/'killed')
    # at once; while a shard is being written; after another one or two
    for k in range(10):
        p = start(server, job, 'killed', slow=SLOW)
        before, until = state()[0], time.time() + 60
        more = 0 if k < 2 else int(r.integers(1, 3))
        while (
            k
            and (state()[0] < before + more or (k % 2 and not state()[1]))
            and p.is_alive()
            and time.time() < until
        ):
            time.sleep(.001)
        time.sleep(0 if k % 2 else r.uniform(0, SLOW))
        os.kill(p.pid, signal.SIGKILL)
        p.join(60)
        assert p.exitcode == -signal.SIGKILL
        seen.append(state())
    made = [n for n, _ in seen]
    assert made == sorted(made) and 0 < made[-1] < BLOCKS, seen      # none after the last
    # some in the middle of writing a file
    assert any(part for _, part in seen), seen
    run(server, job, 'killed')
    assert content(job/'killed') == want


def test_labelling_divided_and_killed(server, job):
    run(server, job, 'whole')
    two = [
        start(server, job, 'shared', slow=SLOW, blocks=range(rank, BLOCKS, 2)) for rank in range(2)
    ]
    time.sleep(.2)
    os.kill(two[1].pid, signal.SIGKILL)
    for p in two: p.join(60)
    assert [p.exitcode for p in two] == [0, -signal.SIGKILL] and not (
        job / 'shared' / f'labels-{BLOCKS-1:05d}.npy'
    ).exists()
    # one makes what the other makes, at the same time
    both = [start(server, job, 'shared', blocks=b) for b in (range(1, BLOCKS, 2), range(BLOCKS))]
    for p in both: p.join(60)
    assert [p.exitcode for p in both] == [0, 0] and content(job/'shared') == content(job/'whole')
