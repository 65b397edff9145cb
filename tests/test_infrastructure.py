"""The tests of notebooks and the scripts in .ci, tried on small projects."""
import ast
import base64
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import checks
import comments
import common
import install
import reading
import readme
import steps

ROOT = Path(__file__).resolve().parent.parent
TITLE = ('markdown', '# Small\n\n> A page to try things on')


def picture(**kwargs):
    "An output that is a picture"
    file = io.BytesIO()
    Image.new('L', (8, 8)).save(file, 'png', **kwargs)
    data = {'image/png': base64.b64encode(file.getvalue()).decode()}
    return {'output_type': 'display_data', 'data': data, 'metadata': {}}


PICTURE = picture(dpi=(150, 150))
FUNCTION = '''#| export
def add(
    a, # A number
    b=1, # Another one
) -> int: # Their sum
    "Add two numbers"
    return a + b
'''


def notebook(path, *cells):
    "Write a clean notebook from (kind, source) or (kind, source, outputs)"
    stored = []
    for number, (kind, source, *outputs) in enumerate(cells):
        cell = {'cell_type': kind, 'id': f'cell{number}', 'metadata': {}}
        cell['source'] = source.strip('\n').splitlines(True)
        if kind == 'code':
            cell |= {'execution_count': None, 'outputs': outputs}
        stored.append(cell)
    kernel = {'display_name': 'python3', 'language': 'python', 'name': 'python3'}
    book = {'cells': stored, 'metadata': {'kernelspec': kernel}, 'nbformat': 4, 'nbformat_minor': 5}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(text + '\n', encoding='utf-8')


@pytest.fixture
def project(tmp_path):
    "A project of its own, with a package and no notebooks"
    for name in 'settings.ini', 'setup.py', 'pyproject.toml', 'conftest.py':
        shutil.copy(ROOT/name, tmp_path)
    for name in '.ci/common.py', 'tests/notebooks.py':
        (tmp_path/name).parent.mkdir()
        shutil.copy(ROOT/name, tmp_path/name)
    (tmp_path/'nbs').mkdir()
    (tmp_path/'alignet').mkdir()
    version = common.settings()['version']
    (tmp_path/'alignet/__init__.py').write_text(f'__version__ = "{version}"\n')
    return tmp_path


# --- notebooks as tests ---

@pytest.fixture
def tested(project, pytester, monkeypatch):
    "A project with one notebook, and a function that runs pytest on it"
    # another name for the package: pytest runs in this process, which has imported alignet
    settings = (project/'settings.ini').read_text().replace('lib_name = alignet', 'lib_name = tried')
    (project/'settings.ini').write_text(settings)
    (project/'tried').mkdir()
    (project/'tried/small.py').write_text('_half = .5\ndef double(x): return 2*x\n')
    monkeypatch.syspath_prepend(project)
    monkeypatch.setenv('COLUMNS', '120')
    notebook(
        project/'nbs/00_small.ipynb', TITLE,
        ('code', '#| default_exp small'),
        ('code', '#| export\nraise SystemError("an exported cell was run")'),
        ('markdown', '## Set up'),
        ('code', '%matplotlib inline\nfrom nbdev.showdoc import *\nx = [1]'),
        ('markdown', '## The `first`'), ('code', 'x.append(2)'),
        ('code', 'assert double(_half) == 1 and x == [1, 2]'),
        ('code', '#| slow\nx.append(3)\nassert x == [1, 2, 3]'),
        ('code', '#| eval: false\nassert False'),
        ('markdown', '## Second'), ('code', 'y = len(x)'), ('code', 'z = 0\nassert y == 0'),
        ('markdown', '## Third'), ('code', 'assert z == 0'),
        ('markdown', '## No check'), ('code', 'x'))

    def run(*args):
        "Run pytest in the project; what it prints"
        monkeypatch.chdir(project)
        options = '-v', '-W', 'ignore', f'--rootdir={project}'
        return pytester.runpytest_inprocess(*options, *args).stdout.str()
    return run


def test_a_notebook_runs_section_by_section(tested):
    "One run: what passes, what fails and how, what is skipped after it; and `--lf` afterwards"
    said = tested('nbs')
    for name, result in [('The first', 'PASSED'), ('Second', 'FAILED'), ('Third', 'SKIPPED'),
                         ('to the end', 'SKIPPED')]:
        assert f'nbs/00_small.ipynb::{name} {result}' in said
    assert '1 deselected' in said and 'Set up' not in said
    assert 'nbs/00_small.ipynb, cell 13: ' in said and '  z = 0\n> assert y == 0\n' in said
    assert 'assert 2 == 0' in said and 'runtest' not in said
    assert 'nbs/00_small.ipynb, cell 13, which this section needs, failed' in said
    again = tested('--lf', 'nbs')
    assert 'Second FAILED' in again and 'first' not in again


def test_one_section_runs_after_those_above_it(tested):
    "By its id, by a part of its name, and by its mark"
    assert '1 passed' in tested('nbs/00_small.ipynb::The first')
    said = tested('nbs', '-k', 'small and (second or slow)', '-m', '')
    assert 'The first [slow] PASSED' in said and '3 deselected' in said
    assert 'Second FAILED' in said and 'assert 3 == 0' in said


# --- checks ---

def test_a_good_page_passes(project):
    notebook(
        project/'nbs/00_small.ipynb', TITLE,
        ('code', 'draw(); 1'), ('code', 'x = 1'), ('code', 'f()', page_part('<style>b {}</style><b>1</b>')),
        ('code', 'f()', page_part('<img src="a.png" alt="A">')), ('code', '#| fig-alt: "A line"\nplot()', PICTURE),
        ('markdown', '## Two\n\n![A line](a.png) `![](b.png)` ![](c.png){fig-alt="C"}'),
        ('markdown', '```sh\n# no title\n```'))
    assert checks.check_pages(project) == []


def stream(text, name='stdout'):
    return {'output_type': 'stream', 'name': name, 'text': [text]}


def page_part(html):
    return {'output_type': 'display_data', 'metadata': {},
            'data': {'text/html': html, 'text/plain': '<IPython.core.display.HTML object>'}}


@pytest.mark.parametrize('cell, message', [
    (('markdown', '# Another title'), 'must be `# Title`, the only one'),
    (('markdown', '![](00_small.ipynb)'), 'has no alt text'),
    (('markdown', '<img src="00_small.ipynb">'), 'has no alt text'),
    (('code', 'plot()', PICTURE), 'its figure needs a text'),
    (('code', '#| fig-alt: "A line"\nplot()', picture(dpi=(143, 143))), 'has 143 dots an inch: draw it'),
    (('code', '#| fig-alt: "A line"\nplot()', picture()), 'has 0 dots an inch: draw it'),
    (('code', 'f()', stream('x' * 81)), 'its output is 81 characters wide'),
    (('code', 'f()', stream('a warning', 'stderr')), 'an error or a warning'),
    (('code', 'f()', {'output_type': 'error', 'ename': 'KeyError'}), 'an error or a warning'),
    (('code', 'f()', stream('/ho' 'me/me/x.npz')), 'names a folder of one machine'),
    (('code', 'f()', page_part('')), 'an empty output is stored'),
    (('code', 'f()', page_part('<style>b {}</style>\n<div></div>')), 'an empty output is stored'),
    (('code', 'f()', page_part('<progress></progress> 100%')), 'an empty output is stored'),
    (('code', 'f()', stream('\n')), 'an empty output is stored'),
    (('code', 'x', stream(('x' * 79 + '\n') * 14_000)), 'over 1 MB'),
    (('markdown', f'It is {"very " * 44}long.'), 'a sentence of 47 words: It is very'),
])
def test_a_bad_cell_is_reported(project, cell, message):
    notebook(project/'nbs/00_small.ipynb', TITLE, cell)
    bad = checks.check_pages(project)
    assert len(bad) == 1 and message in bad[0] and bad[0].startswith('nbs/00_small.ipynb')


@pytest.mark.parametrize('source, lost', [
    ('print(2)', True), ('x', True), ('x.shape', True), ('x[0]', True), ('x, y', True),
    ('x + 1', True), ('f"{x}"', True), ('display(x)', True), ('%matplotlib inline\nx', True),
    ('x;', False), ('x = 1', False), ('f(x)', False), ('assert x', False), ('', False),
    ('#| hide\nx', False), ('#| slow\nx', False), ('#| eval: false\nx', False),
    ('#| export\nx', False), ('# x', False)])
def test_an_output_that_is_not_stored_is_reported(project, source, lost):
    path = project/'nbs/00_small.ipynb'
    notebook(path, TITLE, ('code', 'print(1)', stream('1')), ('code', source))
    bad = checks.check_pages(project)
    assert bad == ['nbs/00_small.ipynb, cell 3: its output is not stored: '
                   'run the notebook and save it'] * lost
    # a page that was never run has no outputs, which is another matter
    notebook(path, TITLE, ('code', source))
    assert checks.check_pages(project) == []


@pytest.mark.parametrize('source, wrong', [
    ('first()', 'first before second'), ('second()', 'second before second'),
    ('test_fail(lambda: second())', 'second before second'), ('x = [THIRD for _ in y]', 'THIRD before THIRD'),
    ('def f(): return first()\nf()', 'f before second'), ('#| slow\nfirst()', 'first before second'),
    ('%time\nBox().look()', 'Box before second'), ('class Small(Box): pass', 'Box before second'),
    ('def f(): return first()', None), ('second = 2\nsecond', None), ('f(lambda second: second)', None),
    ('x.second()', None), ('round(.5)', None), ('#| eval: false\nfirst()', None), ('%%bash\nsecond', None)])
def test_a_cell_that_needs_what_is_defined_below_it_is_reported(project, source, wrong):
    path, cell = project/'nbs/00_small.ipynb', ('code', source)
    above = ('code', '#| export\ndef first(): return second()\nclass Box:\n    def look(self): return first()')
    below = ('code', '#| export\ndef second(): return 2\nTHIRD = 3\n@patch\ndef round(self:Box): return 4')
    notebook(path, TITLE, above, cell, below)
    assert checks.check_pages(project) == [
        f'nbs/00_small.ipynb, cell 3: uses {wrong} is defined: move it down'] * bool(wrong)
    notebook(path, TITLE, above, below, cell)
    assert checks.check_pages(project) == []


TABLE = {'output_type': 'display_data', 'metadata': {},
         'data': {'text/html': '<table></table>', 'text/plain': 'x' * 99}}


@pytest.mark.parametrize('cell, message', [
    (('markdown', f'It is {"very " * 44}long. And this is not.'), 'a sentence of 47 words'),
    (('markdown', f'It is {"very " * 42}long. And this is not.'), None),
    (('markdown', f'Code is no word: `{"x " * 50}` and $x{"+ x" * 50}$.\n\n| {"a | " * 50}'), None),
    (('code', 'f()', stream(f'{"x" * 80}\n{"y" * 81}\n')), 'its output is 81 characters wide'),
    (('code', 'f()', stream('x' * 80 + '\n')), None),
    (('code', '#| hide\nf()', stream('x' * 81)), None),
    (('code', 'table', TABLE), None),
])
def test_what_is_hard_to_read_is_reported(project, cell, message):
    notebook(project/'nbs/00_small.ipynb', TITLE, cell)
    bad = list(reading.check_reading(project))
    assert len(bad) == bool(message) and all(message in line for line in bad)


BOX = '''
class Box:
    "A box"
    def open(self): "Open it"
    def _close(self): return 1
    @property
    def size(self): "Its size"
'''
UNSAID = 'says nothing about what it returns: end its head with `-> type: # what it is`'
LINE = 'write it on a line of its own, with a comment'
RAW = 'where links stand raw: take away its backticks'


@pytest.mark.parametrize('old, new, messages', [
    ('', '', []),
    ('    "Add two numbers"\n', '', ['`add` has no docstring']),
    ('# Another one', '', [f'`add` says nothing about b: {LINE}']),
    ('    a, # A number\n    b=1, # Another', '    a, b=1, # Another',
     [f'`add` says nothing about a: {LINE}']),
    ('# A number', '# A `Teacher`', [f'`add` has a link in the comment of a, {RAW}']),
    ('# Their sum', '# A `Teacher`', [f'`add` has a link in the comment of return, {RAW}']),
    ('# A number', '# The `number`', []),
    ('# Their sum', '', [f'`add` {UNSAID}']),
    ('    return a + b', '    def f(): return a\n    print(f())', []),
    ('# Their sum\n    "Add two numbers"\n    return a + b', '\n    "Add"', []),
    ('    "A box"\n', '', ['`Box` has no docstring']),
    ('def open(self): "Open it"', 'def open(self): pass', ['`Box.open` has no docstring']),
    ('def open(self): "Open it"', 'def open(self, key): "Open it"',
     [f'`Box.open` says nothing about key: {LINE}']),
    ('def size(self): "Its size"', 'def size(self): pass', ['`Box.size` has no docstring']),
])
def test_what_functions_and_classes_leave_unsaid_is_reported(
        tmp_path, monkeypatch, old, new, messages):
    text = "__all__ = ['add', 'Box']\n" + (FUNCTION + BOX).replace(old, new)
    (tmp_path/'unsaid.py').write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'unsaid', raising=False)
    assert list(comments.check_comments('unsaid')) == messages


@pytest.mark.parametrize('first', ['No title', '# Title', '## Title\n\n> A page', '> A page'])
def test_a_page_begins_with_its_title(project, first):
    notebook(project/'nbs/01_other.ipynb', ('markdown', first))
    bad = checks.check_pages(project)
    assert len(bad) == 1 and 'cell 1: must be `# Title`' in bad[0]


def test_what_nbdev_would_change_is_shown_and_left_alone(project):
    path, module = project/'nbs/00_small.ipynb', project/'alignet/small.py'
    clean, export = (checks.CHECKS[name] for name in ('clean', 'export'))
    notebook(path, TITLE, ('code', '#| default_exp small'), ('code', FUNCTION))
    assert clean(root=project) == []
    path.write_text(path.read_text().replace('"execution_count": null', '"execution_count": 7'))
    assert '-   "execution_count": 7' in clean(root=project)[0]
    assert '"execution_count": 7' in path.read_text()
    new, = export(root=project)
    assert new.startswith('nbdev_export changes this') and '+++ b/alignet/small.py' in new
    common.run_in(project, Path(sys.executable).with_name('nbdev_export'))
    assert export(root=project) == []
    module.write_text(module.read_text().replace('a + b', 'a - b'))
    (project/'alignet/old.py').write_text(module.read_text())
    bad, = export(root=project)
    assert '-    return a - b\n+    return a + b' in bad and '--- a/alignet/old.py\n+++ /dev/null' in bad
    assert 'a - b' in module.read_text()


# --- other scripts ---

def test_the_readme_is_the_front_page_with_its_links_seen_from_the_top(project):
    table = {'output_type': 'execute_result', 'metadata': {}, 'execution_count': None,
             'data': {'text/html': '<style>td {}</style><table></table>'}}
    notebook(
        project/'nbs/index.ipynb', TITLE,
        ('markdown', '## Why {#why}\n\n![A line](a.png){width=50%}'),
        ('markdown', '[b](b.ipynb#c) `[c](c.ipynb)`'),
        ('markdown', '[d](#why) [e](../LICENSE) [f](https://example.org)'),
        ('markdown', '```sh\ncat [x](y)\n```'),
        ('code', '#| hide\nsecret'), ('code', '#| echo: false\nhidden()', table),
        ('code', 'shown()', stream('1\n')))
    text = readme.readme(project)
    for part in ['# Small\n\n> A page', '<a id="why"></a>\n\n## Why\n\n![A line](nbs/a.png)\n',
                 '[b](nbs/b.ipynb#c) `[c](c.ipynb)`',
                 '[d](#why) [e](LICENSE) [f](https://example.org)', 'cat [x](y)',
                 '<table></table>', '```python\nshown()\n```\n\n    1\n']:
        assert part in text
    for part in 'secret', 'hidden', 'style', 'echo':
        assert part not in text


def python(code):
    return [sys.executable, '-c', code]


def test_steps_are_known_by_name_and_fail_with_a_remedy(monkeypatch, capfd, tmp_path):
    with pytest.raises(SystemExit, match='no step nonsense; choose among clean'):
        steps.main(['nonsense'])
    made_up = [steps.Step('one', 'the first', python('print("it ran")'), '-'),
               steps.Step('two', 'the second', python('exit(3)'), 'mend it'),
               steps.Step('files', 'the third', python('open("left", "w")'), '-', True)]
    monkeypatch.setattr(steps, 'STEPS', made_up)
    monkeypatch.setattr(steps, 'ROOT', tmp_path)
    assert steps.main([]) == 1
    said = capfd.readouterr().out
    assert 'it ran' in said and 'one: good' in said
    assert 'FAILED: two (the second)\nmend it' in said and 'the third' not in said
    assert steps.main(['files']) == 1
    assert 'It left files in the project: left' in capfd.readouterr().out
    beside = steps.Step('four', 'the fourth', python('print("it ran, too")'), '-', beside=True)
    monkeypatch.setattr(steps, 'STEPS', [made_up[0], beside])
    assert steps.main([]) == 0
    said = capfd.readouterr().out
    assert said.index('one: good') < said.index('it ran, too') < said.index('all steps are good')
    monkeypatch.setattr(steps, 'STEPS', [made_up[0], replace(beside, command=python('exit(3)'))])
    assert steps.main([]) == 1 and 'FAILED: four' in capfd.readouterr().out


def test_the_installation_names_large_packages():
    assert install.message('Collecting torch>=2.6 (from alignet)') == '  torch>=2.6'
    assert install.message('Processing /wheels/small-1.whl') == '  small-1.whl'
    assert install.message('Downloading torch-2.whl (888.1 MB)') == '    888.1 MB'
    assert install.message('Downloading small-1.whl (12.1 kB)') is None
    assert install.message('Requirement already satisfied: pip') is None
    assert install.message('Installing collected packages: a, b') == '  unpacking 2 packages'


@pytest.mark.skipif(not shutil.which('make'), reason='make is not installed')
def test_the_makefile_names_its_targets_and_refuses_an_old_python(tmp_path):
    for name in 'Makefile', 'settings.ini', 'setup.py', 'pyproject.toml':
        shutil.copy(ROOT/name, tmp_path)
    old = tmp_path/'python-old'
    old.write_text('#!/bin/sh\ncase "$1" in -c) exit 1;; *) echo Python 3.8.1;; esac\n')
    old.chmod(0o755)

    def make(*args):
        return subprocess.run(['make', *args], cwd=tmp_path, capture_output=True, text=True).stdout
    said = make()
    for target in 'demo', 'test', 'lint', 'export', 'docs', 'clean':
        assert f'make {target}' in said
    said = make('demo', f'PYTHON={old}')
    assert 'alignet needs Python 3.10 or later' in said and 'Python 3.8.1' in said
    assert not (tmp_path/'.venv').exists()


def test_the_overview_of_benchmarks_has_the_numbers_of_its_pages(monkeypatch, capsys):
    "Its cells, run anew, print and show what is stored: a benchmark was not run again without it"
    path = ROOT/'nbs/benchmarks/index.ipynb'
    monkeypatch.chdir(path.parent)
    space, tables = {}, []

    def show(*values):
        tables.extend(value._repr_html_() for value in values if value is not None)

    for cell in common.read_cells(path):
        if cell.kind == 'code' and cell.source.strip():
            tree = ast.parse(cell.source)
            if isinstance(tree.body[-1], ast.Expr):         # a notebook shows its value
                call = ast.Call(ast.Name('show', ast.Load()), [tree.body[-1].value], [])
                tree.body[-1].value = ast.fix_missing_locations(ast.copy_location(call, tree.body[-1]))
            tables.clear()
            exec(compile(tree, cell.where, 'exec'), space)
            space |= dict(show=show, display=show)          # instead of those that it imports
            text = ''.join(common.joined(output.get('text', '')) for output in cell.outputs)
            html = [common.joined(output['data']['text/html']) for output in cell.outputs if 'data' in output]
            assert (capsys.readouterr().out, tables) == (text, html), f'{cell.where}: run this page again'
