"""Build the package, and try it where there is nothing but the package and what it requires.

    python .ci/package.py build      dist/: the source archive and the wheel, and a look inside
    python .ci/package.py dev        the wheel with the versions used for development
    python .ci/package.py newest     the wheel with what `pip install` brings today

The clean environment holds the wheel and those packages that pip chooses for it. A package that is
here in the same version is linked, not installed again: PyTorch alone is several gigabytes.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from email import message_from_string
from importlib.metadata import distributions
from pathlib import Path

from common import ROOT, default_exp, notebooks, project_copy, read_cells, settings

VERSIONS = {                                        # from this version to below that one
    'dev': {'fastai': ['2.8.7', '2.8.12'], 'fastcore': ['1.14', '2']},
    'newest': {'fastai': ['2.8.12', '99'], 'fastcore': ['2', '99']},
}

# Run in the clean environment: import every module of the wheel, and look at the versions
TRY = '''
import importlib, json, pkgutil, sys
from importlib.metadata import version
from pathlib import Path
import alignet

def number(text):
    return [int(part) for part in text.split('.')[:3] if part.isdigit()]

names = ['alignet', *sorted(m.name for m in pkgutil.walk_packages(alignet.__path__, 'alignet.'))]
for name in names:
    file = Path(importlib.import_module(name).__file__).resolve()
    assert Path(sys.prefix).resolve() in file.parents, f'{name} came from {file}'
for name, (low, high) in json.loads(sys.argv[1]).items():
    found = version(name)
    assert number(low) <= number(found) < number(high), f'{name} {found}: not the range meant here'
print(f'{len(names)} modules imported from the wheel')
for name in ['fastai', 'fastcore', 'torch', 'timm', 'numpy', 'pandas']:
    print(name, version(name))
'''


def run(*command, **kwargs):
    "Run a command and return what it prints; if it fails, show that and stop"
    command = [str(word) for word in command]
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, **kwargs)
    if result.returncode:
        sys.exit(f'{" ".join(command)[:200]}\n{result.stdout[-5000:]}')
    return result.stdout.strip()


def normal(name):
    "The name of a package as pip compares it"
    return re.sub(r'[-_.]+', '-', name).lower()


def wheel():
    "The wheel that `build` made"
    found = list((ROOT/'dist').glob('alignet-*.whl'))
    if len(found) != 1:
        sys.exit('dist/ must hold one wheel: run `.venv/bin/python .ci/package.py build` first')
    return found[0]


# --- build ---

def build():
    "Make dist/ from a copy of the project, and look into the wheel"
    shutil.rmtree(ROOT/'dist', ignore_errors=True)
    with project_copy() as copy:
        run(sys.executable, '-m', 'build', '--outdir', ROOT/'dist', copy)
    with zipfile.ZipFile(wheel()) as archive:
        names = archive.namelist()
        info = next(name.split('/')[0] for name in names if name.endswith('.dist-info/METADATA'))
        metadata = message_from_string(archive.read(f'{info}/METADATA').decode())
        commands = archive.read(f'{info}/entry_points.txt').decode()
    check_files(set(names), info)
    check_metadata(metadata, commands)
    size = wheel().stat().st_size/1e3
    print(f'{wheel().name}: {size:.0f} kB, Python {metadata["Requires-Python"]}')


def check_files(names, info):
    "The wheel holds the whole package, the licence, and nothing else"
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT/'alignet').rglob('*.py')}
    missing = sorted(modules - names)
    foreign = sorted(name for name in names if not name.startswith((f'{info}/', 'alignet/')))
    if missing:
        sys.exit(f'the wheel lacks {", ".join(missing)}: is there an __init__.py in each folder?')
    if foreign:
        sys.exit(f'the wheel holds {", ".join(foreign)}: see find_packages in setup.py')
    if not any(name.endswith('LICENSE') for name in names):
        sys.exit('the wheel lacks the licence: see license_files in setup.py')


def requirement(text):
    "A requirement as its name and the set of its bounds"
    name, *bounds = re.split(r'(?=[<>=!~])', re.sub(r'\s', '', text), maxsplit=1)
    return normal(name), frozenset(''.join(bounds).split(','))


def check_metadata(metadata, commands):
    "The wheel requires what settings.ini says, has the command, and a description"
    stated = [text for text in metadata.get_all('Requires-Dist', []) if 'extra ==' not in text]
    required = {requirement(text) for text in stated}
    wanted = {requirement(text) for text in settings()['requirements'].split()}
    if required != wanted:
        sys.exit(f'the wheel and settings.ini do not agree about {required ^ wanted}')
    if settings()['console_scripts'].replace(' ', '') not in commands.replace(' ', ''):
        sys.exit('the wheel lacks the command of settings.ini: see entry_points in setup.py')
    if not metadata.get_payload().strip():
        sys.exit('the wheel has no description: README.md did not reach it')


# --- a clean environment ---

def here():
    "The packages of this environment, without alignet itself"
    found = {normal(package.metadata['Name']): package for package in distributions()}
    return {name: package for name, package in found.items() if name != 'alignet'}


def choose(constraints):
    "What pip would install for the wheel in an empty environment, as {name: version}"
    with tempfile.TemporaryDirectory() as folder:
        report, file = Path(folder)/'report.json', Path(folder)/'constraints.txt'
        file.write_text(constraints)
        run(sys.executable, '-m', 'pip', 'install', '-qq', '--dry-run', '--ignore-installed',
            '--report', report, '-c', file, wheel())
        chosen = [package['metadata'] for package in json.loads(report.read_text())['install']]
    versions = {normal(package['name']): package['version'] for package in chosen}
    del versions['alignet']
    return versions


def link(package, site):
    "Link the files of an installed package into the site-packages of another environment"
    tops = {path.parts[0] for path in package.files} - {'..', '__pycache__'}
    for top in tops:
        if not (site/top).exists():
            (site/top).symlink_to(Path(package.locate_file(top)).resolve())


def pip_in(folder, *args):
    "Run pip on a virtual environment, from a folder where the working tree is not found"
    return run(sys.executable, '-m', 'pip', '--python', folder/'bin/python', *args, cwd=folder)


def clean_environment(versions):
    "Make an environment with the wheel and these packages; its folder"
    folder = ROOT/'.venv-clean'
    shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, '-m', 'venv', '--without-pip', folder)
    code = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    site = Path(run(folder/'bin/python', '-c', code))
    installed, others = here(), []
    for name, version in versions.items():
        if name in installed and installed[name].version == version:
            link(installed[name], site)
        else:
            others.append(f'{name}=={version}')
    pip_in(folder, 'install', '-qq', '--no-deps', '--ignore-installed', wheel(), *others)
    pip_in(folder, 'check')
    print(f'installed: {", ".join(["the wheel", *others])}; the rest is linked', flush=True)
    return folder


def try_out(folder, versions):
    "Import everything, from another folder, and ask the command for help"
    away = folder/'elsewhere'
    away.mkdir()
    print(run(folder/'bin/python', '-I', '-W', 'ignore', '-c', TRY, json.dumps(versions), cwd=away))
    run(folder/'bin/alignet', '--help', cwd=away)


def dev():
    "The wheel with the versions of this environment"
    versions = [f'{name}=={package.version}' for name, package in here().items()]
    folder = clean_environment(choose('\n'.join(versions)))
    try_out(folder, VERSIONS['dev'])
    shutil.rmtree(folder)


def newest():
    "The wheel with today's versions, and the notebooks that are built on fastai"
    folder = clean_environment(choose(''))
    try_out(folder, VERSIONS['newest'])
    pip_in(folder, 'install', '-qq', 'pytest', 'pyyaml')
    with project_copy() as copy:
        shutil.rmtree(copy/'alignet')               # so that the wheel is imported
        env = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
        command = [folder/'bin/python', '-m', 'pytest', '-q', '-W', 'ignore', *on_fastai()]
        result = subprocess.run(command, cwd=copy, env=env)
    if result.returncode:
        sys.exit(result.returncode)
    shutil.rmtree(folder)


def on_fastai():
    "The notebooks whose modules import fastai"
    found = []
    for path in notebooks():
        cells = read_cells(path)
        exported = '\n'.join(cell.source for cell in cells if cell.exported)
        imports = re.search(r'^\s*(from|import) (fastai|fasttransform)\b', exported, re.M)
        if imports and default_exp(cells):
            found.append(path.relative_to(ROOT).as_posix())
    return found


if __name__ == '__main__':
    steps = {'build': build, 'dev': dev, 'newest': newest}
    if sys.argv[-1] not in steps:
        sys.exit(__doc__)
    steps[sys.argv[-1]]()
