"""All checks of the project. The first that fails ends it and says what to do.

The wheel is built and tried while the tests run; every other step has the machine for itself.

    python .ci/steps.py                    all of them
    python .ci/steps.py pages pytest       some of them, by name
"""
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from common import ROOT

PYTHON, BIN = sys.executable, Path(sys.executable).parent
WRITTEN_BY_TOOLS = re.compile(r'\.git|\.venv.*|\.\w+_cache|\.hypothesis|\.ipynb_checkpoints|__pycache__'
                              r'|build|dist|_docs|_proc|.*\.egg-info')
EXPORT = 'Run `make export` and commit. The notebooks are the source: an edit of a module is lost.'
WHEEL = 'Packages and versions are in settings.ini; how the wheel is made is in setup.py.'


@dataclass
class Step:
    "One check"
    name: str
    title: str                                      # what is checked
    command: list
    remedy: str                                     # what to do if it fails
    leaves_nothing: bool = False                    # whether it must leave no files in the project
    beside: bool = False                            # whether it runs while the others do


def script(name, *args):
    "The command that runs a script of this folder"
    return [PYTHON, f'.ci/{name}.py', *args]


PYTEST = [PYTHON, '-m', 'pytest', '-n', '2', '--cov=alignet', '--durations=25', '-W', 'ignore']

STEPS = [
    Step('clean', 'the notebooks are clean', script('checks', 'clean'), EXPORT),
    Step('export', 'alignet/ is what the notebooks export', script('checks', 'export'), EXPORT),
    Step('readme', 'README.md is up to date', script('readme', '--check'), EXPORT),
    Step('pages', 'titles, outputs, order, figures, alt texts, sentences, comments', script('checks', 'pages'),
         'Mend the cells named above.'),
    Step('lint', 'the code follows the rules in pyproject.toml', [BIN/'ruff', 'check'],
         'Mend the lines named above: `make lint` shows them again.'),
    Step('pytest', 'notebooks and tests, with coverage', PYTEST,
         'Run one section with `.venv/bin/pytest "nbs/NAME.ipynb::Heading"`.', leaves_nothing=True),
    Step('build', 'the source archive and the wheel', script('package', 'build'), WHEEL, beside=True),
    Step('dev', 'the wheel alone, with the versions used for development',
         script('package', 'dev'), WHEEL, beside=True),
    Step('newest', "the wheel alone, with today's fastai and fastcore",
         script('package', 'newest'), WHEEL, beside=True),
]


def files():
    "The files of the project, without those that tools are known to write"
    found = set()
    for folder, subfolders, names in os.walk(ROOT):
        subfolders[:] = [name for name in subfolders if not WRITTEN_BY_TOOLS.fullmatch(name)]
        paths = [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
        found.update(path for path in paths if not path.startswith('.coverage'))
    return found


def passes(step, out):
    "Run a step that writes to `out`; whether it passed"
    before = files()
    env = {key: value for key, value in os.environ.items() if key not in ('PYTHONPATH', 'IN_TEST')}
    env |= {'PYTHONUNBUFFERED': '1', 'OMP_NUM_THREADS': '1'}    # a thread for each process of tests
    result = subprocess.run(step.command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                            stdout=out, stderr=subprocess.STDOUT)
    left = sorted(files() - before)
    if step.leaves_nothing and left and not result.returncode:
        print(f'It left files in the project: {", ".join(left[:10])}', file=out)
        print('Notebooks and tests write to a temporary folder. Delete these files.', file=out)
        return False
    return result.returncode == 0


def run_in_turn(steps, out):
    "Run steps until one fails; the seconds that each took, and the one that failed or None"
    times = {}
    for step in steps:
        print(f'\n{step.name}: {step.title}', file=out, flush=True)
        start = time.time()
        passed = passes(step, out)
        times[step.name] = time.time() - start
        if not passed:
            print(f'\nFAILED: {step.name} ({step.title})\n{step.remedy}', file=out)
            print(f'Run this step alone: make test STEPS={step.name}', file=out, flush=True)
            return times, step
        print(f'{step.name}: good, {times[step.name]:.1f} s', file=out, flush=True)
    return times, None


def choose(names):
    "The steps of these names, or all: those that run in turn, and those that run beside them"
    by_name = {step.name: step for step in STEPS}
    for name in names:
        if name not in by_name:
            sys.exit(f'there is no step {name}; choose among {", ".join(by_name)}')
    steps = [by_name[name] for name in names] or STEPS
    return [o for o in steps if not o.beside], [o for o in steps if o.beside]


def main(names):
    in_turn, beside = choose(names)
    start = time.time()
    with tempfile.TemporaryFile('w+') as said, ThreadPoolExecutor() as pool:
        other = pool.submit(run_in_turn, beside, said if in_turn else sys.stdout)
        times, failed = run_in_turn(in_turn, sys.stdout)
        other_times, other_failed = other.result()
        said.seek(0)
        print(said.read())
    for name, seconds in (times | other_times).items():
        print(f'{seconds:7.1f} s  {name}')
    print(f'{time.time() - start:7.1f} s  in all')
    if failed or other_failed:
        print(f'FAILED: {", ".join(step.name for step in (failed, other_failed) if step)}')
        return 1
    print('all steps are good')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
