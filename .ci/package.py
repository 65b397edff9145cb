"""Build the package and try it where nothing is but the package and what it asks for: in a clean environment, from another folder.

    python .ci/package.py build      dist/: the source archive, the wheel made from it, and a look at what is inside
    python .ci/package.py dev        the wheel with the versions used for development
    python .ci/package.py newest     the wheel with what `pip install` brings today: the latest fastai and fastcore

A clean environment holds the wheel and exactly those packages and versions that pip chooses for it in an empty environment. pip is asked
for its choice only (a dry run); a package that this environment has in the same version is linked, not installed a second time: PyTorch alone is
several gigabytes. Packages that only development needs stay out, so a requirement that settings.ini forgets is found.
"""
import argparse, json, os, re, shutil, subprocess, sys, tempfile, zipfile
from email import message_from_string
from importlib.metadata import distributions
from pathlib import Path

from common import ROOT, project_copy, settings

# Runs inside the clean environment: imports every module of the wheel and says which versions it found.
TRY = '''
import importlib, json, pkgutil, sys
from importlib.metadata import version
from pathlib import Path
import alignet, fastai, fastcore
here, bounds = Path(sys.prefix).resolve(), json.loads(sys.argv[1])
names = ['alignet', *sorted(m.name for m in pkgutil.walk_packages(alignet.__path__, 'alignet.'))]
for name in names:
    file = Path(importlib.import_module(name).__file__).resolve()
    assert here in file.parents, f'{name} came from {file}, not from the installed wheel'
number = lambda v: tuple(int(o) for o in v.split('.')[:3] if o.isdigit())
for module, (low, high) in bounds.items():
    v = sys.modules[module].__version__
    assert v == version(module), f'{module}: version {v} was imported, but {version(module)} is installed'
    assert number(low) <= number(v) < number(high), f'{module} {v} is not in the range meant here, {low} <= version < {high}'
print(f'{len(names)} modules imported from the wheel: {", ".join(names)}')
print('with ' + ', '.join(f'{o} {version(o)}' for o in ('fastai', 'fastcore', 'fasttransform', 'torch', 'torchvision', 'timm', 'numpy', 'pandas')))
'''
DEV = {'fastai': ['2.8.7', '2.8.12'], 'fastcore': ['1.14', '2']}
NEWEST = {'fastai': ['2.8.12', '99'], 'fastcore': ['2', '99']}


def run(cmd, **kw):
    "Run a command silently; if it fails, show what it said and stop"
    res = subprocess.run([str(o) for o in cmd], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw)
    if res.returncode: sys.exit(f'{" ".join(map(str, cmd))[:200]}\n{res.stdout[-5000:]}')
    return res.stdout.strip()


def wheel():
    "The wheel that `build` made"
    found = sorted((ROOT/'dist').glob('alignet-*.whl'))
    if len(found) != 1: sys.exit('dist/ must hold one wheel: run `.venv/bin/python .ci/package.py build` first')
    return found[0]


def build():
    "Make dist/ from a copy of the project, and look into the wheel"
    shutil.rmtree(ROOT/'dist', ignore_errors=True)
    with project_copy() as copy: run([sys.executable, '-m', 'build', '--outdir', ROOT/'dist', copy])
    cfg = settings()
    with zipfile.ZipFile(wheel()) as z:
        names = set(z.namelist())
        info = next(o.split('/')[0] for o in names if o.endswith('.dist-info/METADATA'))
        meta, points = message_from_string(z.read(f'{info}/METADATA').decode()), z.read(f'{info}/entry_points.txt').decode()
    ours = {p.relative_to(ROOT).as_posix() for p in (ROOT/'alignet').rglob('*.py')}
    lost, extra = sorted(ours - names), sorted(o for o in names if not o.startswith((f'{info}/', 'alignet/')))
    if lost: sys.exit(f'the wheel lacks {", ".join(lost)}: is there an __init__.py in each folder of alignet/?')
    if extra: sys.exit(f'the wheel holds {", ".join(extra)}, which is not part of the package: see find_packages in setup.py')
    if not any(o.endswith('LICENSE') for o in names): sys.exit('the wheel lacks the licence: see license_files in setup.py')
    norm = lambda o: re.sub(r'[-_.]+', '-', re.sub(r'\s', '', o.split(';')[0])).lower()
    parts = lambda o: (norm(re.split(r'[<>=!~]', o)[0]), frozenset(re.findall(r'[<>=!~]+[^,;\s]+', o)))
    asks, wants = {parts(o) for o in meta.get_all('Requires-Dist', []) if 'extra ==' not in o}, {parts(o) for o in cfg['requirements'].split()}
    if asks != wants: sys.exit(f'the wheel requires {asks ^ wants} otherwise than settings.ini')
    if cfg['console_scripts'].replace(' ', '') not in points.replace(' ', ''): sys.exit('the wheel lacks the command of settings.ini: see entry_points in setup.py')
    if not meta.get_payload().strip(): sys.exit('the wheel has no description: README.md did not reach it')
    print(f'{wheel().name}: {wheel().stat().st_size/1e3:.0f} kB, {len(ours)} modules; requires {len(wants)} packages, Python {meta["Requires-Python"]}')


def pip_in(folder, *args):
    "Run pip on a virtual environment, from a folder where it cannot mistake the working tree for an installed package"
    return run([sys.executable, '-m', 'pip', '--python', folder/'bin/python', *args], cwd=folder)


def plain(name): return re.sub(r'[-_.]+', '-', name).lower()


def choice(constraints=''):
    "What pip would install for the wheel in an empty environment, as {name: version}"
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        (d/'constraints.txt').write_text(constraints)
        run([sys.executable, '-m', 'pip', 'install', '-qq', '--dry-run', '--ignore-installed', '--report', d/'report.json', '-c', d/'constraints.txt', wheel()])
        found = json.loads((d/'report.json').read_text())['install']
    return {plain(o['metadata']['name']): o['metadata']['version'] for o in found if plain(o['metadata']['name']) != 'alignet'}


def environment(chosen):
    "A clean virtual environment with the wheel and the packages chosen; returns its folder and its Python"
    folder = ROOT/'.venv-clean'
    shutil.rmtree(folder, ignore_errors=True)
    run([sys.executable, '-m', 'venv', '--without-pip', folder])
    python = folder/'bin/python'
    site = Path(run([python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']))
    here = {plain(o.metadata['Name']): o for o in distributions()}
    linked = {k for k, v in chosen.items() if k in here and here[k].version == v and here[k].files}
    for name in linked:
        for top in {o.parts[0] for o in here[name].files} - {'..', '__pycache__'}:
            if not (site/top).exists(): (site/top).symlink_to(Path(here[name].locate_file(top)).resolve())
    others = [f'{k}=={v}' for k, v in sorted(chosen.items()) if k not in linked]
    pip_in(folder, 'install', '-qq', '--no-deps', '--ignore-installed', wheel(), *others)
    pip_in(folder, 'check')
    print(f'{len(linked)} packages linked; installed: {", ".join(["the wheel", *others])}', flush=True)
    return folder, python


def try_out(folder, python, bounds):
    "Import everything, from another folder and without the environment's variables, and ask the command for help"
    away = folder/'elsewhere'
    away.mkdir()
    print(run([python, '-I', '-W', 'ignore', '-c', TRY, json.dumps(bounds)], cwd=away))
    said = run([folder/'bin'/settings()['console_scripts'].split('=')[0], '--help'], cwd=away)
    print(f'`alignet --help` answers: {said.splitlines()[0][:100] if said else ""}')


def dev():
    "The wheel with the versions of this environment"
    mine = ''.join(f"{o.metadata['Name']}=={o.version}\n" for o in distributions() if plain(o.metadata['Name']) != 'alignet')
    folder, python = environment(choice(mine))
    try_out(folder, python, DEV)
    shutil.rmtree(folder)


def newest():
    "The wheel with today's versions, and the tests of what is built on fastai"
    folder, python = environment(choice())
    try_out(folder, python, NEWEST)
    built_on = [p.stem for p in sorted((ROOT/'alignet').glob('*.py')) if re.search(r'^\s*(from|import) (fastai|fasttransform)\b', p.read_text(encoding='utf-8'), re.M)]
    tests = [f'tests/test_{o}.py' for o in built_on if (ROOT/f'tests/test_{o}.py').exists()]
    if tests:
        print(f'the tests of {", ".join(built_on)}, which are built on fastai:', flush=True)
        pip_in(folder, 'install', '-qq', 'pytest')
        with project_copy() as copy:
            shutil.rmtree(copy/'alignet')                                     # so that only the wheel can be imported
            env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
            code = subprocess.run([str(python), '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-W', 'ignore', *tests], cwd=copy, env=env).returncode
        if code: sys.exit(code)
    shutil.rmtree(folder)


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('step', choices=['build', 'dev', 'newest'])
    {'build': build, 'dev': dev, 'newest': newest}[p.parse_args().step]()


if __name__ == '__main__': main()
