"""The whole method as a user runs it: interrupted, resumed, and from the command line."""
import ctypes
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import pytest

PATIENCE = 300                                          # seconds that a step may take on a busy machine
STEPS = ['[2/6]', '[3/6]', 'training the control', 'training the aligned', '[4/6]', '[5/6]', '[6/6]']
SMALL = dict(objects=200, seeds=1, size=64, epochs=2, steps=6, n_labels=500, shots=2)


def demo(out, cache, log):
    "A small demo in a process of its own, its words in a file"
    os.environ.update(ALIGNET_CACHE=str(cache), MPLBACKEND='Agg')
    sys.stdout = open(log, 'w', buffering=1)
    from alignet.demo import run_demo
    run_demo(out, 'offline', **SMALL)


@pytest.fixture(scope='module')
def processes():
    "Processes that begin with the package already imported"
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['alignet.demo'])
    return context


def kill_at(process, log, marker, wait):
    "kill -9 a moment after a line with `marker` is there; False if the demo was over before"
    until = time.monotonic() + PATIENCE
    while process.is_alive() and time.monotonic() < until:
        if log.exists() and marker in log.read_text():
            time.sleep(wait)
            break
        time.sleep(.01)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def results(out):
    return json.loads((out/'results.json').read_text(encoding='utf-8'))


def test_killed_demo_ends_like_an_unbroken_one(tmp_path, processes):
    "kill -9 in every step; the demo that is started again ends with the same numbers, to the last digit"
    def start(name, log):
        arguments = (tmp_path/name, tmp_path/f'cache-{name}', log)
        process = processes.Process(target=demo, args=arguments)
        process.start()
        return process

    def finish(process):
        process.join(3 * PATIENCE)
        assert process.exitcode == 0

    finish(start('whole', tmp_path/'whole.log'))
    waits, killed = random.Random(5), set()
    for number, marker in enumerate(STEPS):
        log = tmp_path/f'{number}.log'
        if kill_at(start('broken', log), log, marker, waits.uniform(0, .3)): killed.add(marker)
    assert {'[2/6]', 'training the control', 'training the aligned'} <= killed, f'killed only at {killed}'
    finish(start('broken', tmp_path/'last.log'))
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
    assert wrong.returncode == 2
    assert 'choose one of offline, things' in wrong.stderr and 'Traceback' not in wrong.stderr
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
        assert done.returncode == 2, done.stderr
        assert 'no permission' in done.stderr and 'Traceback' not in done.stderr
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
