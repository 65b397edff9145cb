"""What the scripts in this folder and the tests share: settings, notebooks, and their cells."""
import json
import os
import re
import shutil
import subprocess
import tempfile
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAG = re.compile(r'\s*#\s*\|\s*')                  # how a line of flags begins: `#| export`
COPIED = ['settings.ini', 'setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'CHANGELOG.md',
          'LICENSE', '_quarto.yml', 'conftest.py', 'alignet', 'nbs', 'tests', '.ci']


def settings(root=ROOT):
    "Read settings.ini as a dict of strings"
    cfg = ConfigParser(delimiters=['='], interpolation=None)
    cfg.read(Path(root)/'settings.ini', encoding='utf-8')
    return dict(cfg['DEFAULT'])


def notebooks(root=ROOT):
    "List the notebooks in reading order, subfolders last, without names that begin with `_` or `.`"
    nbs = Path(root)/'nbs'
    inside = {path: path.relative_to(nbs).parts for path in nbs.rglob('*.ipynb')}
    shown = [path for path, parts in inside.items() if not any(o[0] in '_.' for o in parts)]
    return sorted(shown, key=lambda path: (len(inside[path]), inside[path]))


@contextmanager
def project_copy(root=ROOT):
    "Give a temporary copy of the project, so that the working tree is not touched"
    skip = shutil.ignore_patterns('__pycache__', '.hypothesis', '.ipynb_checkpoints', '*.egg-info', 'nbdev.yml')
    with tempfile.TemporaryDirectory(prefix='alignet-') as folder:
        copy = Path(folder).resolve()/'alignet'
        copy.mkdir()
        for name in COPIED:
            source = Path(root)/name
            if source.is_dir():
                shutil.copytree(source, copy/name, symlinks=True, ignore=skip)
            elif source.exists():
                shutil.copy2(source, copy/name)
        yield copy


def run_in(folder, *command):
    "Run a command in a copy of the project, with the package of that copy"
    env = {key: value for key, value in os.environ.items() if key != 'IN_TEST'}
    env |= {'PYTHONPATH': str(folder), 'MPLBACKEND': 'Agg'}
    return subprocess.run(command, cwd=folder, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@dataclass
class Cell:
    "A cell of a notebook"
    nb: str                                         # the notebook, relative to the project
    pos: int                                        # its position; the first cell is 1
    kind: str                                       # code, markdown or raw
    source: str                                     # without the lines of flags at the top
    flags: dict = field(default_factory=dict)       # {'export': '', 'fig-alt': 'A map'}
    outputs: list = field(default_factory=list)

    @property
    def where(self):
        return f'{self.nb}, cell {self.pos}'

    @property
    def exported(self):
        return not {'export', 'exports', 'exporti'}.isdisjoint(self.flags)

    def off(self, flag):
        "Whether a flag is set to false, as in `#| eval: false`"
        return self.flags.get(flag, '').lower() == 'false'

    @property
    def evaluated(self):
        return not self.off('eval')

    @property
    def shown(self):
        return 'hide' not in self.flags and not self.off('include')


def read_flag(line):
    "Split a line of flags, `fig-alt: A map` or `default_exp core`, into name and value"
    name, _, value = line.partition(':')
    if not re.fullmatch(r'[\w-]+', name):
        name, _, value = line.partition(' ')
    value = value.strip()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in '"\''
    return name, value[1:-1] if quoted else value


def split_flags(source):
    "Take the flags off the top of a code cell: a dict of them, and the rest of the source"
    flags = {}
    lines = source.split('\n')
    while lines and (FLAG.match(lines[0]) or not lines[0].strip()):
        words = FLAG.sub('', lines.pop(0)).strip()
        if words:
            name, value = read_flag(words)
            flags[name] = value
    return flags, '\n'.join(lines)


def joined(text):
    "Text as a notebook stores it, a string or a list of lines, as one string"
    return text if isinstance(text, str) else ''.join(text)


def read_cells(path, root=ROOT):
    "Read the cells of a notebook"
    name = Path(path).relative_to(root).as_posix()
    cells = []
    for pos, stored in enumerate(json.loads(Path(path).read_text(encoding='utf-8'))['cells'], 1):
        flags, source = {}, joined(stored['source'])
        if stored['cell_type'] == 'code':
            flags, source = split_flags(source)
        outputs = stored.get('outputs', [])
        cells.append(Cell(name, pos, stored['cell_type'], source, flags, outputs))
    return cells


def default_exp(cells):
    "Name the module that a notebook exports to, such as `eval.stats`; None if it exports nothing"
    return next((c.flags['default_exp'] for c in cells if 'default_exp' in c.flags), None)


def code_lines(markdown):
    "For each line of a markdown text, whether it is in a fenced block of code"
    inside = []
    fence = None
    for line in markdown.split('\n'):
        mark = re.match(r'\s*(`{3,}|~{3,})', line)
        inside.append(bool(fence or mark))
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = None
    return inside


def prose(markdown):
    "Blank the code of a markdown text, fenced and inline"
    lines = zip(markdown.split('\n'), code_lines(markdown))
    text = '\n'.join('' if is_code else line for line, is_code in lines)
    return re.sub(r'(`+)(?!`)(.+?)(?<!`)\1(?!`)', lambda m: ' ' * len(m[0]), text)


def headings(cells):
    "List the headings of a notebook as (level, text, cell)"
    found = []
    for cell in cells:
        if cell.kind != 'markdown':
            continue
        for line, is_code in zip(cell.source.split('\n'), code_lines(cell.source)):
            heading = re.match(r'(#{1,6})\s+(.*?)\s*#*\s*$', line)
            if heading and not is_code:
                found.append((len(heading[1]), heading[2], cell))
    return found
