"""What the scripts in this folder share: the project's files, copies of them, and the cells of a notebook."""
import json, re, shutil, tempfile
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = re.compile(r'^[_.]')                      # nbdev skips files and folders that begin so
PROJECT = 'settings.ini setup.py pyproject.toml MANIFEST.in README.md CHANGELOG.md LICENSE _quarto.yml alignet nbs tests .ci'.split()


def settings(root=ROOT):
    "The settings of the project, as a dict of strings"
    cfg = ConfigParser(delimiters=['='], interpolation=None)
    cfg.read(Path(root)/'settings.ini', encoding='utf-8')
    return dict(cfg['DEFAULT'])


def notebooks(root=ROOT):
    "Paths of all notebooks, in reading order, sub-folders last"
    nbs = Path(root)/'nbs'
    found = [p for p in nbs.rglob('*.ipynb') if not any(HIDDEN.match(o) for o in p.relative_to(nbs).parts)]
    return sorted(found, key=lambda p: (len(p.relative_to(nbs).parts), p.relative_to(nbs).as_posix()))


@contextmanager
def project_copy(root=ROOT):
    "A temporary copy of the project's own files: what is done to it never touches the working tree"
    with tempfile.TemporaryDirectory(prefix='alignet-') as d:
        d = Path(d).resolve()/'alignet'
        d.mkdir()
        skip = shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints', '*.egg-info', 'nbdev.yml')
        for name in PROJECT:
            src = Path(root)/name
            if src.is_dir(): shutil.copytree(src, d/name, symlinks=True, ignore=skip)
            elif src.exists(): shutil.copy2(src, d/name)
        yield d


@dataclass
class Cell:
    "A cell of a notebook, its leading `#|` lines taken off"
    nb: str                                        # the notebook, relative to the project
    pos: int                                       # its position, the first cell is 1
    kind: str                                      # code, markdown or raw
    source: str                                    # without the leading `#|` lines
    flags: dict = field(default_factory=dict)      # from the `#|` lines: {'export': '', 'fig-alt': 'A map', 'eval': 'false'}
    outputs: list = field(default_factory=list)

    @property
    def where(self): return f'{self.nb}, cell {self.pos}'
    @property
    def exported(self): return bool({'export', 'exports', 'exporti'} & set(self.flags))
    @property
    def evaluated(self): return self.flags.get('eval', '').lower() != 'false'
    @property
    def shown(self): return 'hide' not in self.flags and self.flags.get('include', '').lower() != 'false'


def split_flags(source):
    "The leading `#|` lines of a code cell as a dict, and the rest of it"
    flags, lines = {}, source.split('\n')
    while lines and (not lines[0].strip() or re.match(r'\s*#\s*\|', lines[0])):
        text = re.sub(r'^\s*#\s*\|\s*', '', lines.pop(0)).strip()
        if not text: continue
        name, sep, value = text.partition(':')
        if not sep or not re.fullmatch(r'[\w-]+', name): name, _, value = text.partition(' ')
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in '"\'': value = value[1:-1]
        flags[name] = value
    return flags, '\n'.join(lines)


def read_cells(path, root=ROOT):
    "The cells of a notebook"
    text = lambda s: s if isinstance(s, str) else ''.join(s)
    path, res = Path(path), []
    for pos, c in enumerate(json.loads(path.read_text(encoding='utf-8'))['cells'], 1):
        flags, source = split_flags(text(c['source'])) if c['cell_type'] == 'code' else ({}, text(c['source']))
        res.append(Cell(path.relative_to(root).as_posix(), pos, c['cell_type'], source, flags, c.get('outputs', [])))
    return res


def default_exp(cells):
    "The module that a notebook exports to, or None"
    return next((c.flags['default_exp'] for c in cells if 'default_exp' in c.flags), None)


def code_lines(markdown):
    "For each line of a markdown text, whether it is inside a fenced block of code"
    fence, res = None, []
    for line in markdown.split('\n'):
        m = re.match(r'\s*(`{3,}|~{3,})', line)
        res.append(bool(fence or m))
        if m and not fence: fence = m[1]
        elif m and fence and m[1].startswith(fence): fence = None
    return res


def prose(markdown):
    "A markdown text with its code, fenced and inline, blanked"
    lines = [('' if code else line) for line, code in zip(markdown.split('\n'), code_lines(markdown))]
    return re.sub(r'(`+)(?!`)(.+?)(?<!`)\1(?!`)', lambda m: ' ' * len(m[0]), '\n'.join(lines))


def headings(cells):
    "All headings of a notebook as (level, text, cell)"
    res = []
    for c in cells:
        if c.kind != 'markdown': continue
        for line, code in zip(c.source.split('\n'), code_lines(c.source)):
            m = re.match(r'(#{1,6})\s+(.*?)\s*#*\s*$', line)
            if m and not code: res.append((len(m[1]), m[2], c))
    return res
