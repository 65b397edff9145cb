"""Notebooks as tests: pytest runs each one once, from top to bottom, and reports by section.

Each `##` section that checks something is a test, named after its heading:

    pytest "nbs/04_loss.ipynb::Decay to the pretrained weights"
    pytest -k "loss and decay"

A section runs after all cells above it. Cells flagged `#| slow` or `#| cuda` are tests of their own
with that mark, and run only where it is selected (`pytest -m slow`). Exported cells are not run:
the notebook is given the names of the module that it exports, private ones too.
"""
import ast
import gc
import importlib
import linecache
import os
import random
import re
import sys
from dataclasses import dataclass, field
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from _pytest.assertion.rewrite import rewrite_asserts
from IPython.display import display

from common import default_exp, headings, read_cells, settings

CHECKS = re.compile(r'(^|[:;])\s*assert\b|\b(test|assert)_\w+\(', re.M)
NBDEV = re.compile(r'^(from|import) nbdev\b.*', re.M)
MAGIC = re.compile(r'^\s*[%!].*', re.M)
REST = 'to the end'                                 # the test of what follows the last check
OF_A_MODULE = {'__name__', '__doc__', '__package__', '__loader__', '__spec__', '__file__',
               '__cached__', '__builtins__'}        # what each module has of its own


@dataclass
class Section:
    "Cells below one heading that have the same marks"
    title: str
    marks: frozenset
    cells: list = field(default_factory=list)

    @property
    def name(self):
        return ' '.join([self.title, *(f'[{mark}]' for mark in sorted(self.marks))])

    @property
    def last(self):
        "The position of its last cell"
        return self.cells[-1].pos

    def is_test(self, checks):
        "Whether it checks something, or runs only where its mark is selected"
        return bool(self.marks) or any(checks.search(cell.source) for cell in self.cells)


def plain(heading):
    "A heading without its markup"
    text = re.sub(r'\s*\{[#.].*\}$', '', heading)
    text = re.sub(r'!?\[([^\]]*)\]\([^)]*\)', r'\1', text)
    return re.sub(r'[`*$\\]', '', text)


def titles(cells):
    "The title of each cell's section: the `##` heading above it, or that of the page; none twice"
    starts, seen = {}, {}
    for level, text, cell in headings(cells):
        if level > 2:
            continue
        title = plain(text)
        seen[title] = seen.get(title, 0) + 1
        starts[cell.pos] = title if seen[title] == 1 else f'{title} ({seen[title]})'
    title = 'before the title'
    res = {}
    for cell in cells:
        title = starts.get(cell.pos, title)
        res[cell.pos] = title
    return res


def is_run(cell):
    "Whether a cell is run: it is code, not exported, and not flagged `#| eval: false`"
    python = cell.kind == 'code' and cell.source.strip() and not cell.source.startswith('%%')
    return bool(python) and not cell.exported and cell.evaluated


def split_sections(cells, flags):
    "The sections of a notebook, each with its cells that are run"
    title_of = titles(cells)
    sections = {}
    for cell in filter(is_run, cells):
        key = title_of[cell.pos], frozenset(flags.intersection(cell.flags))
        sections.setdefault(key, Section(*key)).cells.append(cell)
    return list(sections.values())


def checks_of(cells):
    "A pattern for what checks something: `assert`, `test_eq(...)`, functions here that do"
    names = []
    for cell in filter(is_run, cells):
        for text in re.split(r'^(?=\S)', cell.source, flags=re.M):
            function = re.match(r'def (\w+)', text)
            if function and CHECKS.search(text):
                names.append(function[1])
    calls = [rf'\b{name}\(' for name in names]
    return re.compile('|'.join([CHECKS.pattern, *calls]), re.M)


def split_tests(cells, flags):
    "The sections that are tests, and one for the cells that follow the last of them"
    sections = split_sections(cells, flags)
    checks = checks_of(cells)
    tests = [section for section in sections if section.is_test(checks)]
    last = max([section.last for section in tests if not section.marks], default=0)
    plain_cells = [cell for section in sections if not section.marks for cell in section.cells]
    rest = [cell for cell in plain_cells if cell.pos > last]
    if rest:
        tests.append(Section(REST, frozenset(), rest))
    return tests


def python_only(source):
    "The source of a cell without imports of nbdev, and without magics such as `%matplotlib inline`"
    source = NBDEV.sub('', source)
    try:
        ast.parse(source)
    except SyntaxError:
        source = MAGIC.sub('', source)
    return source


def exported_names(module):
    "All names that a module defines or imports, private ones too"
    return {name: value for name, value in vars(module).items() if name not in OF_A_MODULE}


class Run:
    "A notebook as it is executed: its names, and how far it has come"
    def __init__(self, cells, flags, module, config):
        self.cells = [cell for cell in cells if is_run(cell)]
        self.flags = flags
        self.config = config
        self.done = set()                           # positions of cells
        self.failed = None                          # the cell that failed
        # A module of its own, so that pickle and dataclasses find what is defined in cells
        self.space = ModuleType('notebook')
        sys.modules[self.space.__name__] = self.space
        vars(self.space).update(display=display, show_doc=lambda *args, **kwargs: None)
        if module:
            vars(self.space).update(exported_names(importlib.import_module(module)))

    def run_to(self, last, marks):
        "Run the cells up to position `last` that were not run yet; flags need these marks"
        for cell in self.cells:
            wanted = self.flags.intersection(cell.flags) <= marks
            if cell.pos <= last and wanted and cell.pos not in self.done:
                self.done.add(cell.pos)
                self.run_cell(cell)

    def run_cell(self, cell):
        "Run a cell and show the value of its last line, as a notebook does"
        try:
            statements, value = self.compile(cell)
            exec(statements, vars(self.space))
            result = eval(value, vars(self.space)) if value else None
            if result is not None:
                display(result)
        except BaseException:
            self.failed = cell
            raise
        finally:
            plt.close('all')

    def compile(self, cell):
        "The code of a cell, and that of the value in its last line (or None)"
        source = python_only(cell.source)
        linecache.cache[cell.where] = len(source), None, source.splitlines(True), cell.where
        tree = ast.parse(source, cell.where)
        rewrite_asserts(tree, source.encode(), cell.where, self.config)
        value = None
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(';'):
            value = compile(ast.Expression(tree.body.pop().value), cell.where, 'eval')
        return compile(tree, cell.where, 'exec'), value

    def close(self):
        "Free the memory that the notebook holds"
        del sys.modules[self.space.__name__]
        vars(self.space).clear()
        for cell in self.cells:
            linecache.cache.pop(cell.where, None)
        gc.collect()


class Notebook(pytest.File):
    "A notebook: its tests, and the surroundings that it runs in"
    def collect(self):
        root, cfg = self.config.rootpath, settings(self.config.rootpath)
        self.cells = read_cells(self.path, root)
        self.flags = frozenset(cfg['tst_flags'].split())
        name = default_exp(self.cells)
        self.module = f"{cfg['lib_name']}.{name}" if name else None
        for section in split_tests(self.cells, self.flags):
            yield SectionTest.from_parent(self, name=section.name, section=section)

    def setup(self):
        "Go to the notebook's folder, with fixed seeds"
        self.run = None
        self.surroundings = os.getcwd(), dict(os.environ), torch.get_num_threads()
        os.environ['IN_TEST'] = '1'                 # as nbdev_test does: nbdev exports nothing then
        os.chdir(self.path.parent)
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        self.run = Run(self.cells, self.flags, self.module, self.config)
        mine = [item for item in self.session.items if item.parent is self]
        chosen = [item.section.marks for item in mine if not item.get_closest_marker('skip')]
        self.marks = frozenset().union(*chosen)

    def teardown(self):
        "Undo what the notebook did to the process, and free its memory"
        if self.run:
            self.run.close()
        plt.rcdefaults()
        folder, environment, threads = self.surroundings
        torch.set_num_threads(threads)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)


class SectionTest(pytest.Item):
    "A section of a notebook as a test"
    def __init__(self, *, section, **kwargs):
        super().__init__(**kwargs)
        self.section = section
        for mark in section.marks:
            self.add_marker(mark)

    def runtest(self):
        run = self.parent.run
        if run.failed and run.failed.pos <= self.section.last:
            pytest.skip(f'{run.failed.where}, which this section needs, failed')
        run.run_to(self.section.last, self.parent.marks)

    def repr_failure(self, excinfo):
        "Show the cell that failed, the line of it, and the error"
        run = self.parent.run
        if not run or not run.failed:
            return super().repr_failure(excinfo)
        cell = run.failed
        excinfo.traceback = excinfo.traceback.cut(path=cell.where)
        error = excinfo.getrepr(style='short')
        return f'{cell.where}: {excinfo.exconly()}\n\n{marked(cell, excinfo)}\n\n{error}'

    def reportinfo(self):
        return self.path, None, f'{self.path.stem}: {self.name}'


def marked(cell, excinfo):
    "The source of a cell, with a mark at the line that failed"
    failed = [entry.lineno for entry in excinfo.traceback if str(entry.path) == cell.where]
    lines = cell.source.split('\n')
    return '\n'.join(f"{'>' if i in failed else ' '} {line}" for i, line in enumerate(lines))
