"""The whole road as a user walks it: interrupted, resumed, and from the command line."""
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import pytest

WALK = """
from alignet.demo import run_demo
run_demo({out!r}, 'offline', objects=200, seeds=1, epochs=2, steps=6, n_labels=500, shots=2)
"""


def start(out, cache):
    env = {**os.environ, 'ALIGNET_CACHE': str(cache), 'MPLBACKEND': 'Agg'}
    return subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', WALK.format(out=str(out))], env=env,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )


def results(out):
    return json.loads((out/'results.json').read_text(encoding='utf-8'))


STATIONS = [
    '[2/6]', '[3/6]', 'training the control', 'training the aligned', '[4/6]', '[5/6]', '[6/6]',
]


def kill_after(process, marker, wait):
    "kill -9 some time after a line with `marker`; False if the walk was over before"
    for line in process.stdout:
        if marker in line:
            time.sleep(wait)
            break
    process.send_signal(signal.SIGKILL)
    process.stdout.read()
    return process.wait() == -signal.SIGKILL


def test_killed_walk_ends_like_an_unbroken_one(tmp_path):
    "kill -9 at every station; the walk that is started again ends with the same numbers, to the last digit"
    whole = start(tmp_path/'whole', tmp_path/'cache-whole')
    log = whole.communicate(timeout=900)[0]
    assert whole.returncode == 0, log
    gen = random.Random(5)
    killed = [
        m
        for m in STATIONS
        if kill_after(start(tmp_path / 'broken', tmp_path / 'cache-broken'), m, gen.uniform(0, 2))
    ]
    assert {'[2/6]', 'training the control', 'training the aligned'} <= set(
        killed
    ), f'killed only at {killed}'
    last = start(tmp_path/'broken', tmp_path/'cache-broken')
    log = last.communicate(timeout=900)[0]
    assert last.returncode == 0, log
    assert results(tmp_path/'broken') == results(tmp_path/'whole')
    assert not list((tmp_path/'broken').rglob('*.checkpoint')), 'a checkpoint was left behind'


def test_command_line_demo_and_its_errors(tmp_path):
    "The installed command: help, a wrong world, an output path that is a file"
    code = 'import sys; from alignet.cli import main; sys.exit(main())'

    def run(*args):
        command = [sys.executable, '-W', 'ignore', '-c', code, *args]
        return subprocess.run(command, capture_output=True, text=True)

    assert 'demo' in run('--help').stdout
    wrong = run('demo', '--world', 'mars')
    assert (
        wrong.returncode == 2
        and 'choose one of offline, things' in wrong.stderr
        and 'Traceback' not in wrong.stderr
    )
    (tmp_path/'file').write_text('not a folder')
    wrong = run('demo', '--out', str(tmp_path/'file'))
    assert wrong.returncode == 2 and 'choose another path' in wrong.stderr
    assert (tmp_path/'file').read_text() == 'not a folder'


def without_override():
    "In a child that is about to start: give up the right of root to write anywhere (Linux, CAP_DAC_OVERRIDE)"
    if ctypes.CDLL(None).prctl(24, 1, 0, 0, 0): raise OSError('the capability cannot be dropped')


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='permissions are tried as Linux has them')
def test_read_only_output():
    "A folder without write permission is told before any work"
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o555)
        drop = dict(preexec_fn=without_override) if os.geteuid() == 0 else {}
        code = f"import sys; from alignet.cli import main; sys.exit(main(['demo', '--out', {d + '/out'!r}]))"
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True, **drop
        )
        assert (
            done.returncode == 2
            and 'no permission' in done.stderr
            and 'Traceback' not in done.stderr
        ), done.stderr
        assert not os.listdir(d)


def test_python_example_of_the_readme(tmp_path, monkeypatch):
    "The lines under 'In Python' run as they stand, on a smaller world"
    import re
    from pathlib import Path
    text = (Path(__file__).parent.parent/'README.md').read_text(encoding='utf-8')
    code = re.search(r'## In Python\s+```python\n(.*?)```', text, re.S).group(1)
    small = (
        code.replace('offline_world()', 'offline_world(n_objects=150)')
        .replace('n=20_000', 'n=500')
        .replace('fit_one_cycle(4,', 'fit_one_cycle(1,')
    )
    assert (
        small.count('n_objects=150') == small.count('n=500') == small.count('fit_one_cycle(1,') == 1
    )
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(small, scope)
    import timm
    assert timm.create_model('local-dir:lite0-aligned', pretrained=True, num_classes=0) is not None
    assert scope['labels'].transform == 'aligned'
