"""The whole road as a user walks it: interrupted, resumed, and from the command line."""
import json, os, random, signal, subprocess, sys, time

import pytest

WALK = "from alignet.demo import run_demo; run_demo({out!r}, 'offline', objects=200, seeds=1, epochs=2, steps=6, n_labels=500, shots=2)"


def start(out, cache):
    env = {**os.environ, 'ALIGNET_CACHE': str(cache), 'MPLBACKEND': 'Agg'}
    return subprocess.Popen([sys.executable, '-W', 'ignore', '-c', WALK.format(out=str(out))], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def results(out):
    return json.loads((out/'results.json').read_text(encoding='utf-8'))


def test_killed_walk_ends_like_an_unbroken_one(tmp_path):
    "kill -9 at random moments; the walk that is started again ends with the same numbers, to the last digit"
    whole = start(tmp_path/'whole', tmp_path/'cache-whole')
    log = whole.communicate(timeout=900)[0]
    assert whole.returncode == 0, log
    kills, gen = 0, random.Random(int(time.time()))
    for attempt in range(12):
        p = start(tmp_path/'broken', tmp_path/'cache-broken')
        try: log = p.communicate(timeout=gen.uniform(6, 15) if kills < 4 else 900)[0]
        except subprocess.TimeoutExpired:
            p.send_signal(signal.SIGKILL); p.communicate(); kills += 1
            continue
        assert p.returncode == 0, log
        break
    assert kills, 'the walk was over before it was interrupted'
    assert results(tmp_path/'broken') == results(tmp_path/'whole')
    assert not list((tmp_path/'broken').rglob('*.checkpoint')), 'a checkpoint was left behind'


def test_command_line_demo_and_its_errors(tmp_path):
    "The installed command: help, a wrong world, an output path that is a file"
    run = lambda *args: subprocess.run([sys.executable, '-W', 'ignore', '-c', 'import sys; from alignet.cli import main; sys.exit(main())', *args], capture_output=True, text=True)
    assert 'demo' in run('--help').stdout
    wrong = run('demo', '--world', 'mars')
    assert wrong.returncode == 2 and 'choose one of offline, things' in wrong.stderr and 'Traceback' not in wrong.stderr
    (tmp_path/'file').write_text('not a folder')
    wrong = run('demo', '--out', str(tmp_path/'file'))
    assert wrong.returncode == 2 and 'choose another path' in wrong.stderr
    assert (tmp_path/'file').read_text() == 'not a folder'


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, 'geteuid') else True, reason='root may write anywhere; read-only folders are tested as another user')
def test_read_only_output(tmp_path):
    "A folder without write permission is told before any work"
    from alignet.core import AlignetError
    from alignet.demo import run_demo
    tmp_path.chmod(0o500)
    with pytest.raises(AlignetError, match='no permission'): run_demo(tmp_path/'out', 'offline')
    tmp_path.chmod(0o700)


def test_python_example_of_the_readme(tmp_path, monkeypatch):
    "The lines under 'In Python' run as they stand, on a smaller world"
    import re
    from pathlib import Path
    import alignet.all as everything
    text = (Path(__file__).parent.parent/'README.md').read_text(encoding='utf-8')
    code = re.search(r'## In Python\s+```python\n(.*?)```', text, re.S).group(1)
    small = code.replace('offline_world()', 'offline_world(n_objects=150)').replace('n=20_000', 'n=500').replace('fit_one_cycle(4,', 'fit_one_cycle(1,')
    assert small.count('n_objects=150') == small.count('n=500') == small.count('fit_one_cycle(1,') == 1
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(small, scope)
    import timm
    assert timm.create_model('local-dir:lite0-aligned', pretrained=True, num_classes=0) is not None
    assert scope['labels'].transform == 'aligned'
