"""All checks of the project, one after the other; stops at the first that fails and says what to do.

    python .ci/steps.py                    all of them
    python .ci/steps.py pages pytest       some of them, by name
"""
import os, subprocess, sys, time
from pathlib import Path

from common import ROOT

PY, BIN = sys.executable, Path(sys.executable).parent
WHEEL = 'Read the message above. Packages and their versions are in settings.ini, how the wheel is made is in setup.py.'

# name: what is checked, the command, what to do if it fails
STEPS = {
    'clean':   ('the notebooks are clean', [PY, '.ci/checks.py', 'clean'], 'Run `make export`, then commit the notebooks.'),
    'export':  ('alignet/ is what the notebooks export', [PY, '.ci/checks.py', 'export'], 'Run `make export`, then commit. The notebooks are the source: an edit of a module itself is lost.'),
    'sync':    ('the generated tests are up to date', [PY, '.ci/gen_tests.py', '--check'], 'Run `make export`, then commit tests/.'),
    'readme':  ('README.md is up to date', [PY, '.ci/readme.py', '--check'], 'Run `make export`, then commit README.md.'),
    'pages':   ('titles, links, figures, alt texts and outputs of the pages', [PY, '.ci/checks.py', 'pages'], 'Mend the places named above in the notebooks.'),
    'docs':    ('nbdev prepares every page for the website', [PY, '.ci/checks.py', 'docs'], 'Mend the cell named above; imports stand alone in their cells.'),
    'nbdev':   ('the notebooks run from top to bottom', [BIN/'nbdev_test', '--n_workers', '2', '--do_print', '--timing'],
                'The cell and its error are above. Run one notebook with `.venv/bin/nbdev_test --path nbs/NAME.ipynb`.'),
    'pytest':  ('the tests, with coverage', [PY, '-m', 'pytest', '--cov=alignet', '--cov-report=term', '--durations=5', '-W', 'ignore'],
                'Run one test with `.venv/bin/pytest -k NAME`. A generated test is mended in its notebook, then `make export`.'),
    'build':   ('the source archive and the wheel', [PY, '.ci/package.py', 'build'], WHEEL),
    'dev':     ('the wheel in a clean environment, with the development versions', [PY, '.ci/package.py', 'dev'], WHEEL),
    'newest':  ("the wheel in a clean environment, with today's fastai and fastcore", [PY, '.ci/package.py', 'newest'],
                WHEEL + ' The package must run with fastai from 2.8.7 to the latest: fastai moved its dispatch to the package fasttransform in between.'),
}
LEAVES_NOTHING = {'nbdev', 'pytest'}               # steps that must not write into the project


def files():
    "The project's files, without what tools are known to leave"
    skip = {'__pycache__', '.pytest_cache', '.ipynb_checkpoints', '.git', 'build', 'dist', '_docs', '_proc'}
    res = set()
    for folder, subs, names in os.walk(ROOT):
        subs[:] = [o for o in subs if o not in skip and not o.startswith('.venv') and not o.endswith('.egg-info')]
        res |= {os.path.relpath(os.path.join(folder, o), ROOT) for o in names if not o.startswith('.coverage')}
    return res


def main(names):
    unknown = [o for o in names if o not in STEPS]
    if unknown: sys.exit(f'there is no step {unknown[0]}; choose among {", ".join(STEPS)}')
    names, times, begin = names or list(STEPS), {}, time.time()
    env = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'IN_TEST')} | {'PYTHONUNBUFFERED': '1'}
    for i, name in enumerate(names, 1):
        title, cmd, remedy = STEPS[name]
        print(f'\n[{i}/{len(names)}] {name}: {title}', flush=True)
        start, before = time.time(), files() if name in LEAVES_NOTHING else None
        code = subprocess.run([str(o) for o in cmd], cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode
        left = sorted(files() - before) if before is not None and not code else []
        if left:
            print(f'new files appeared in the project while this ran: {", ".join(left[:10])}')
            code, remedy = 1, 'Notebooks and tests write to a temporary folder (tempfile.TemporaryDirectory). Delete these files.'
        times[name] = time.time() - start
        if code:
            print(f'\nFAILED: {name} ({title}), after {times[name]:.0f} s\nWhat to do: {remedy}\nRun this step alone: make test STEPS={name}', flush=True)
            return 1
        print(f'[{i}/{len(names)}] {name}: good, {times[name]:.1f} s', flush=True)
    print('\n' + '\n'.join(f'{t:7.1f} s  {o}' for o, t in times.items()) + f'\n{time.time() - begin:7.1f} s  in all\nall {len(names)} steps are good', flush=True)
    return 0


if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
