"""The scripts in .ci: tests made from notebooks, checks of pages, README.md. Each runs on a small project made on the fly."""
import json, shutil, subprocess, sys, textwrap
from pathlib import Path

import pytest, yaml

ROOT = Path(__file__).resolve().parent.parent
CI = ROOT/'.ci'
sys.path.insert(0, str(CI))
import checks, common, gen_tests, readme, steps
sys.path.remove(str(CI))

TITLE = ('md', '# Small\n\n> A page to try things on')
TEXT = {'output_type': 'display_data', 'data': {'text/plain': '1'}, 'metadata': {}}
PNG = {'output_type': 'display_data', 'data': {'image/png': 'iVBORw0KGgo='}, 'metadata': {}}


def notebook(path, *cells):
    "Write a clean notebook from (kind, source) or (kind, source, outputs)"
    res = []
    for i, (kind, source, *outputs) in enumerate(cells):
        c = {'cell_type': {'md': 'markdown', 'code': 'code', 'raw': 'raw'}[kind], 'id': f'cell{i:04d}', 'metadata': {},
             'source': textwrap.dedent(source).strip('\n').splitlines(True)}
        if kind == 'code': c |= {'execution_count': None, 'outputs': list(outputs[0]) if outputs else []}
        res.append(c)
    meta = {'kernelspec': {'display_name': 'python3', 'language': 'python', 'name': 'python3'}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({'cells': res, 'metadata': meta, 'nbformat': 4, 'nbformat_minor': 5}, indent=1, ensure_ascii=False, sort_keys=True) + '\n', encoding='utf-8')


@pytest.fixture
def project(tmp_path):
    "A project without notebooks, its sidebar empty"
    for name in 'settings.ini', 'setup.py': shutil.copy(ROOT/name, tmp_path)
    site = yaml.safe_load((ROOT/'_quarto.yml').read_text(encoding='utf-8'))
    for o in 'image', 'open-graph', 'twitter-card', 'page-footer', 'navbar': site['website'].pop(o, None)
    site['website']['sidebar']['contents'] = ['*.ipynb', '*/*.ipynb']
    (tmp_path/'_quarto.yml').write_text(yaml.safe_dump(site, sort_keys=False), encoding='utf-8')
    for name in 'nbs', 'alignet', 'tests': (tmp_path/name).mkdir()
    (tmp_path/'nbs/_quarto.yml').symlink_to('../_quarto.yml')
    (tmp_path/'alignet/__init__.py').write_text(f'__version__ = "{common.settings()["version"]}"\n', encoding='utf-8')
    return tmp_path


def made_from(project, *cells):
    "The generated tests of one notebook as {function: its source}, and the top of the file under ''"
    notebook(project/'nbs/00_small.ipynb', TITLE, ('code', '#| default_exp small'), *cells)
    text = gen_tests.generate(project)['tests/test_small.py']
    parts = ['', *text.split('\n\n\n')]
    return {(o[o.index('def ') + 4:o.index('(')] if 'def ' in o else ''): o for o in parts if o}


def run(function):
    "Execute the source of a generated function"
    space = {}
    exec(compile(function, 'generated', 'exec'), space)
    [v for k, v in space.items() if k.startswith('test_')][0]()
    return space


# --- tests made from notebooks ---

def test_a_section_becomes_a_function_with_what_it_needs(project):
    fns = made_from(project,
        ('code', '#| export\nimport math\ndef add(a, b): return a + b\ndef _half(x): return x / 2'),
        ('code', 'import json, os\nfrom pathlib import *'),
        ('md', '## Set up'), ('code', 'x = [1, 2]   # two numbers\nunused = 3\nprint(x)'), ('code', 'x.append(3)'), ('code', 'other = [0]\nother.append(1)'),
        ('md', "## It's `add`ed, *really*"), ('code', 'assert len(x) == 3 and math.pi > 3'), ('md', '### A detail'), ('code', 'y = json.loads("[1]")\ny'), ('code', 'assert y == [1]\nassert _half(2) == 1'),
        ('md', '## Nothing to check'), ('code', 'x'))
    assert list(fns) == ['', 'test_its_added_really']
    top, f = fns.values()
    assert 'x = [1, 2]   # two numbers' in f and 'x.append(3)' in f and 'y = json.loads' in f
    for o in 'unused', 'print', 'other', 'def add': assert o not in f
    assert 'import json\n' in top and 'import math\n' in top and 'from pathlib import *' in top and 'import os' not in top
    assert top.index('from pathlib import *') < top.index('from alignet.small import *') < top.index('from alignet.small import _half')
    assert "NOTEBOOK = 'nbs/00_small.ipynb'" in top and 'Do not edit' in top


@pytest.mark.parametrize('setup, change', [
    ('d = {}', 'd["a"] = 1'), ('d = {}', 'd.update(a=1)'), ('d = {}', 'for _ in range(1): d.update(a=1)'), ('d = {}', 'with open("/dev/null"): d.update(a=1)'),
    ('d = {}', 'def put(): d["a"] = 1\nput()'), ('d = {}\nclass Box:\n    def __init__(self, o): self.o = o\n    def fill(self): self.o["a"] = 1\nbox = Box(d)', 'box.fill()'),
    ('class O: pass\nd = O()\nd.a = 0\ndef get(o, k): return o.a\nO.__getitem__ = lambda s, k: s.a', 'd.a = 1'), ('d = {"a": 0}', 'd["a"] += 1')])
def test_changes_in_place_are_kept(project, setup, change):
    fns = made_from(project, ('md', '## One'), ('code', setup), ('code', change), ('code', 'z = 1'), ('md', '## Two'), ('code', 'assert d["a"] == 1'))
    assert 'z = 1' not in fns['test_two']
    run(fns['test_two'])


def test_only_what_happened_before_and_not_what_is_only_looked_at(project):
    value = [{'output_type': 'execute_result', 'data': {'text/plain': '3'}, 'metadata': {}, 'execution_count': None}]
    fns = made_from(project, ('md', '## One'), ('code', 'd = [1, 2]'), ('code', 'sum(d)', value), ('code', 'print(d)'), ('code', 'd.index(1)', value), ('md', '## Two'), ('code', 'assert d == [1, 2]'),
                   ('md', '## Three'), ('code', 'd.clear()'), ('code', 'd = 5\nassert d == 5'))
    assert 'sum' not in fns['test_two'] and 'print' not in fns['test_two'] and 'index' not in fns['test_two'] and 'clear' not in fns['test_two']
    assert 'd = [1, 2]' not in fns['test_three']                                # it was bound anew
    run(fns['test_two'])


def test_what_another_object_went_through_is_left_out(project):
    fns = made_from(project, ('md', '## One'), ('code', 'data = [1]\ndef small_learner(): return list(data)\na = small_learner()\na.append(2)'), ('code', 'b = small_learner()'), ('md', '## Two'), ('code', 'assert b == [1]'))
    assert 'a.append' not in fns['test_two'] and 'data = [1]' in fns['test_two']
    run(fns['test_two'])


def test_a_function_takes_names_that_are_bound_after_it(project):
    fns = made_from(project, ('md', '## One'), ('code', 'def f(): return g() + k'), ('code', 'def g(): return 1'), ('code', 'k = 2'), ('code', 'h = 4'), ('md', '## Two'), ('code', 'assert f() == 3'))
    assert 'h = 4' not in fns['test_two']
    run(fns['test_two'])


def test_scopes_of_comprehensions_lambdas_and_classes(project):
    fns = made_from(project, ('md', '## One'), ('code', 'i = 1'), ('code', 'j = 2'), ('code', 'k = 3'), ('code', 'e = 4'), ('code', 'm = 5'),
                   ('md', '## Two'), ('code', 'assert [i for i in range(2)] == [0, 1] and (lambda j: j)(1) == 1\ntry: 1/0\nexcept ZeroDivisionError as e: m = str(e)\nassert m\nclass A:\n    k = k\nassert A.k == 3'))
    f = fns['test_two']
    for o in 'i = 1', 'j = 2', 'e = 4', 'm = 5': assert o not in f
    assert '    global k\n' in f                                                # the body of a class cannot see a function's variable of that name
    run(f)


def test_strings_over_several_lines_are_kept_as_they_are(project):
    source = 'text = """one\n  two\n\nfour"""\nx = 2\nf = f"""a\n{x}\n  b"""\ny = ("p"\n     "q")\nassert text.splitlines() == ["one", "  two", "", "four"]\nassert f == "a\\n2\\n  b" and y == "pq"'
    fns = made_from(project, ('md', '## Text'), ('code', source))
    assert '    y = ("p"\n         "q")' in fns['test_text']
    run(fns['test_text'])


def test_flags(project):
    fns = made_from(project, ('md', '## One'), ('code', 'a = 1'), ('code', '#| slow\nb = a + 1\nassert b == 2'), ('code', '#| slow\nassert b == 2'), ('code', '#| cuda\nassert a'),
                   ('code', '#| eval: false\nassert 0'), ('code', '#| hide\nassert a == 1'), ('code', 'show_doc(f)'), ('code', '%matplotlib inline\nassert a'), ('code', '%%bash\nls'),
                   ('code', '#| hide\nimport nbdev; nbdev.nbdev_export()'))
    assert list(fns) == ['', 'test_one', 'test_one_cuda', 'test_one_slow']
    assert fns['test_one_slow'].startswith('@pytest.mark.slow\n') and fns['test_one_slow'].count('a = 1') == 1 and fns['test_one_slow'].count('assert b') == 2
    assert fns['test_one_cuda'].startswith('@pytest.mark.cuda\n') and 'import pytest' in fns['']
    assert fns['test_one'].count('assert') == 2
    for o in 'nbdev', 'show_doc', 'matplotlib', 'bash': assert o not in fns['test_one']


def test_parts_of_a_line_can_be_left_out(project):
    fns = made_from(project, ('md', '## One'), ('code', 'a = 1; b = 2; c = 3   # three\n# about d\nd = 4\ne = "é"; f = 6'), ('md', '## Two'), ('code', 'assert b + f == 8'), ('md', '## Two'), ('code', 'assert a + c == 4'))
    assert '    b = 2\n    f = 6\n' in fns['test_two'] and 'about d' not in fns['test_two'] and '    a = 1; c = 3   # three\n' in fns['test_two_2']
    run(fns['test_two']), run(fns['test_two_2'])


def test_what_cannot_become_a_test_is_told(project):
    with pytest.raises(SystemExit, match=r'00_small.ipynb, cell 4: .*choose another name'):
        made_from(project, ('code', '#| export\ndef world(): return 1'), ('code', 'world = world()\nassert world == 1'))
    with pytest.raises(SystemExit, match='cell 3: this is not plain Python'): made_from(project, ('code', 'assert a b'))


def test_generated_files_are_written_checked_and_deleted(project):
    write = lambda: (gen_tests.write(project), gen_tests.differences(project))[1]
    made_from(project, ('code', 'assert 1'))
    assert gen_tests.differences(project) == ['tests/test_small.py: missing']
    assert write() == [] and (project/'tests/test_small.py').exists()
    (project/'tests/test_by_hand.py').write_text('def test_mine(): pass\n')
    notebook(project/'nbs/00_small.ipynb', TITLE, ('code', '#| default_exp small'), ('code', 'assert 2'))
    diff = gen_tests.differences(project)
    assert len(diff) == 1 and '+    assert 2' in diff[0] and '-    assert 1' in diff[0]
    assert write() == []
    (project/'nbs/00_small.ipynb').unlink()
    assert gen_tests.differences(project) == ['tests/test_small.py: no notebook makes this file any more']
    assert write() == [] and [p.name for p in (project/'tests').glob('*')] == ['test_by_hand.py']


# --- checks of the notebooks ---

def test_a_good_page_passes(project):
    notebook(project/'nbs/sub/b.ipynb', ('md', '# B\n\n> Another page'), ('md', '## The `end`, or {#x}\n\n## What it costs, in 3 steps'))
    notebook(project/'nbs/00_small.ipynb', TITLE, ('code', '#| export\nclass Box:\n    "A box"\n    def open(self) -> object: # Itself\n        "Open it"\n        return self\n    @property\n    def inside(self):\n        "What is in it"\n        return 1'), ('code', 'show_doc(Box.open)'), ('code', 'show_doc(Box.inside)'), ('code', '#| fig-cap: "One: two"\n#| fig-alt: "A line"\nplt.show()', [PNG]),
             ('md', '[a](sub/b.ipynb#x) [b](sub/b.ipynb#what-it-costs-in-3-steps) [c](00_small.ipynb) [d](#box.open) [web](https://example.org/a.ipynb)\n`[e](gone.ipynb)`\n```\n[f](gone.ipynb)\n```'),
             ('md', '[own](https://alignet.github.io/alignet/small.html#box.open) [file](https://github.com/alignet/alignet/blob/main/settings.ini) [in Colab](https://colab.research.google.com/github/alignet/alignet/blob/main/nbs/00_small.ipynb)'),
             ('code', '#| export\n@patch\ndef shut(self:Box,\n    fast=False, # In a second\n    *, hard=1, # In newtons\n) -> str: # What it said\n    "Shut it"\ndef _own(a): return a\n@dispatch\ndef show(x:Box): pass'), ('code', 'if 0: print(1)'), ('code', 'a;'), ('code', '#| slow\nprint(1)'),
             ('code', '#| slow\nplt.show()'), ('code', '#| hide\nplt.show()'), ('code', 'plt.show(); plt.close()'), ('code', 'fails(lambda: x.show())\ndef f(): plt.show()'))
    assert checks.check_pages(project) == []


@pytest.mark.parametrize('cells, said', [
    ([('md', 'Text')], 'the first cell must be a title'),
    ([('md', '# Title only')], 'the first cell must be a title'),
    ([TITLE, ('md', '# Again')], 'a second title'),
    ([TITLE, ('md', '[a](gone.ipynb)')], 'cell 2: the link to gone.ipynb is broken: there is no nbs/gone.ipynb'),
    ([TITLE, ('md', '[a](#gone)')], 'no heading or name with the anchor #gone'),
    ([TITLE, ('md', '[a](../settings.ini)')], 'leads out of nbs/'),
    ([TITLE, ('md', '<a href="gone.html">x</a>')], 'gone.html'),
    ([TITLE, ('md', '[a]: gone.ipynb')], 'gone.ipynb'),
    ([TITLE, ('md', '[![alt](gone.png)](00_small.ipynb)')], 'gone.png'),
    ([TITLE, ('md', '![](styles.css)')], 'has no alt text'),
    ([TITLE, ('md', '<img src="styles.css">')], 'has no alt text'),
    ([TITLE, ('code', 'plot()', [PNG])], 'its figure has no text'),
    ([TITLE, ('code', 'f()', [{'output_type': 'display_data', 'data': {'text/html': '<img src="data:x">'}, 'metadata': {}}])], 'an <img> in its output has no alt text'),
    ([TITLE, ('code', '1', [PNG | {'data': {'text/plain': '1'}}]), ('code', '#| fig-alt: "x"\nfor o in [1]: plt.show()')], 'cell 3: it draws a figure, but none is stored'),
    ([TITLE, ('code', 'a = 1', [TEXT]), ('code', 'print(a)')], 'cell 3: it prints or shows a value, but none is stored'),
    ([TITLE, ('code', 'a = 1', [TEXT]), ('code', 'a, a + 1')], 'cell 3: it prints or shows a value, but none is stored'),
    ([TITLE, ('code', 'w', [{'output_type': 'display_data', 'data': {'application/vnd.jupyter.widget-view+json': {'model_id': '0'}, 'text/plain': 'W()'}, 'metadata': {}}])], 'cell 2: a widget is stored as its output'),
    ([TITLE, ('code', 'f()', [{'output_type': 'display_data', 'data': {'text/markdown': '![](a.png)'}, 'metadata': {}}])], 'the image a.png in its output has no alt text'),
    ([TITLE, ('code', 'f()', [{'output_type': 'display_data', 'data': {'text/markdown': '[a](#gone)'}, 'metadata': {}}])], 'no heading or name with the anchor #gone'),
    ([TITLE, ('code', '#| export\nclass A:\n    "A"\n    def _f(self): pass\n@patch\ndef g(self:A): "G"'), ('md', '[a](#a._f) [b](#a.g)')], 'no heading or name with the anchor #a._f'),
    ([TITLE, ('md', '[a](https://alignet.github.io/alignet/gone.html)')], 'the website has no page gone.html'),
    ([TITLE, ('md', '[a](https://alignet.github.io/alignet/small.html#gone)')], 'small.html has no heading or name with the anchor #gone'),
    ([TITLE, ('md', '[a](https://github.com/alignet/alignet/blob/main/gone.txt)')], 'there is no gone.txt in the project'),
    ([TITLE, ('md', '[![b](https://x.org/b.svg)](https://colab.research.google.com/github/alignet/alignet/blob/main/nbs/gone.ipynb)')], 'there is no nbs/gone.ipynb in the project'),
    ([TITLE, ('code', '#| export\ndef f(): pass')], '`f` is public and has no docstring'),
    ([TITLE, ('code', '#| export\ndef f():\n    """One\n    two"""')], 'the docstring of `f` has several lines'),
    ([TITLE, ('code', '#| export\ndef f(a, # An a\n      b=1, c=2):\n    "F"')], '`f`: nothing is said about b, c;'),
    ([TITLE, ('code', '#| export\nclass A:\n    "A"\n    def __init__(self, a): pass')], '`A`: nothing is said about a;'),
    ([TITLE, ('code', '#| export\ndef f(\n    a, # As in `g`\n):\n    "F"')], '`f`: the comment on a has backticks'),
    ([TITLE, ('code', '#| export\ndef f():\n    "F"\n    return 1')], '`f`: nothing is said about what it returns'),
    ([TITLE, ('code', '#| export\ndef f(): # The number\n    "F"\n    return 1')], '`f`: nothing is said about what it returns'),
    ([TITLE, ('code', '#| export\ndef f() -> int:\n    "F"\n    yield 1')], '`f`: nothing is said about what it returns'),
    ([TITLE, ('code', '#| export\ndef f(\n    x,\n) -> int: # A number\n    "F"\n    return 1')], '`f`: nothing is said about x;'),
    ([TITLE, ('code', '#| export\ndef f(x) -> int: # A number\n    "F"\n    return 1')], '`f`: nothing is said about x;'),
    ([TITLE, ('code', '#| export\nasync def f() -> int: # type: ignore\n    "F"\n    return 1')], '`f`: nothing is said about what it returns'),
    ([TITLE, ('code', '#| export\ndef f() -> int: # As in `g`\n    "F"\n    return 1')], '`f`: the comment on what it returns has backticks'),
    ([TITLE, ('code', '#| export\nclass A:\n    "A"\n    @staticmethod\n    def f(x): "F"'), ('code', 'show_doc(A.f, title_level=3)', [TEXT])], '`A.f`: nothing is said about x;'),
    ([TITLE, ('code', '#| export\nclass A:\n    "A"\n    def f(self):\n        "F"')], '`A.f` stands inside its class'),
    ([TITLE, ('code', '#| export\nclass A:\n    "A"\n    def f(self): pass'), ('code', 'show_doc(A.f)', [TEXT])], '`A.f` is public and has no docstring'),
    ([TITLE, ('code', '#| export\nclass A:\n    "A"\n    def f(self,\n        a,\n    ):\n        "F"'), ('code', 'show_doc(A.f)', [TEXT])], '`A.f`: nothing is said about a;'),
    ([TITLE, ('code', '1 + 1')], 'stored without outputs'),
    ([TITLE, ('code', '1/0', [{'output_type': 'error', 'ename': 'ZeroDivisionError', 'evalue': 'by zero', 'traceback': []}])], 'an error is stored as its output (ZeroDivisionError'),
    ([TITLE, ('code', 'f()', [{'output_type': 'stream', 'name': 'stderr', 'text': ['UserWarning']}])], 'warnings or logs are stored'),
    ([TITLE, ('code', 'f()', [{'output_type': 'stream', 'name': 'stdout', 'text': ['/ho', 'me/me/x.npz']}])], 'a folder of one machine (/home/me'),
    ([TITLE, ('code', '#| fig-cap: one: two\n#| fig-alt: "x"\n1', [PNG])], 'not valid YAML'),
    ([TITLE, ('code', '1', [PNG | {'data': {'text/plain': 'x' * 1_100_000}}])], 'the limit is 1 MB'),
    ([TITLE, ('code', 'import a\nx = 1'), ('code', 'y = 1', [TEXT]), ('code', 'x\nfrom b import f\nf(y)')], 'cell 4: has an import, so the making of the website runs it, but not cell 3, which makes `y`'),
    ([TITLE, ('code', '#| slow\ndef f():\n    import a')], 'in spite of its flag'),
])
def test_a_bad_page_is_told(project, cells, said):
    (project/'nbs/styles.css').touch()
    notebook(project/'nbs/00_small.ipynb', *cells)
    bad = checks.check_pages(project)
    assert len(bad) == 1 and said in bad[0] and bad[0].startswith('nbs/00_small.ipynb')


def test_the_site_agrees_with_the_notebooks_and_the_settings(project):
    notebook(project/'nbs/00_small.ipynb', TITLE)
    site = (project/'_quarto.yml').read_text()
    (project/'_quarto.yml').write_text(site.replace("'*.ipynb'", 'gone.ipynb').replace('site-url: https:', 'site-url: http:'))
    (project/'nbs/_quarto.yml').unlink()
    bad = '\n'.join(checks.check_pages(project))
    for o in 'nbs/00_small.ipynb: not in the sidebar', 'the sidebar lists gone.ipynb', 'site-url', 'must be a link': assert o in bad


def test_what_the_site_shows_around_its_pages_is_there(project):
    notebook(project/'nbs/00_small.ipynb', TITLE)
    site = yaml.safe_load((project/'_quarto.yml').read_text())
    around = {'image': 'gone.png', 'open-graph': {'image': 'lost.png'}, 'page-footer': {'left': 'See [a](https://alignet.github.io/alignet/small.html#gone)'}, 'navbar': {'left': [{'href': 'away.ipynb'}, {'href': '00_small.ipynb'}]}}
    (project/'_quarto.yml').write_text(yaml.safe_dump(site | {'website': site['website'] | around}))
    bad = checks.check_pages(project)
    assert len(bad) == 4
    for o in 'the picture gone.png', 'the picture lost.png', 'small.html has no heading or name with the anchor #gone', 'leads to away.ipynb': assert any(o in b for b in bad), (o, bad)


def test_the_folder_of_notebooks_stays_small_and_holds_no_state_of_widgets(project, monkeypatch):
    path = project/'nbs/00_small.ipynb'
    notebook(path, TITLE)
    assert checks.check_pages(project) == []
    monkeypatch.setattr(checks, 'MAX_FOLDER', 2_000_000)
    for i in range(3): (project/f'nbs/{i}.png').write_bytes(bytes(800_000))
    bad = checks.check_pages(project)
    assert len(bad) == 1 and 'nbs/: 2.4 MB in all; the limit is 2 MB' in bad[0]
    (project/'nbs/0.png').unlink()
    path.write_text(json.dumps(json.loads(path.read_text()) | {'metadata': {'widgets': {'application/vnd.jupyter.widget-state+json': {}}}}))
    assert ['the state of widgets is stored' in o for o in checks.check_pages(project)] == [True]


def test_the_overview_of_benchmarks_says_what_its_pages_have_stored(monkeypatch, capsys):
    monkeypatch.chdir(ROOT/'nbs/benchmarks')
    space, said = {}, []
    for c in common.read_cells(ROOT/'nbs/benchmarks/index.ipynb'):
        if c.kind != 'code': continue
        exec(compile(c.source, c.where, 'exec'), space)
        now, stored = capsys.readouterr().out, ''.join(''.join(o['text']) for o in c.outputs)
        assert now == stored, f'{c.where}: a page was run anew since; run nbs/benchmarks/index.ipynb too'
        said.append(now)
    assert sum(map(bool, said)) == 5


def test_a_dirty_notebook_is_told_and_left_alone(project):
    path = project/'nbs/00_small.ipynb'
    notebook(path, TITLE, ('code', '1'))
    assert checks.check_clean(project) == []
    dirty = path.read_text().replace('"execution_count": null', '"execution_count": 7')
    path.write_text(dirty)
    bad = checks.check_clean(project)
    assert len(bad) == 1 and 'nbs/00_small.ipynb: not clean' in bad[0] and 'execution_count' in bad[0]
    assert path.read_text() == dirty
    path.write_text('{"cells": ')
    assert 'not a notebook' in checks.check_clean(project)[0]


def test_a_module_that_is_not_what_its_notebook_exports_is_told_and_left_alone(project):
    notebook(project/'nbs/00_small.ipynb', TITLE, ('code', '#| default_exp small'), ('code', '#| export\ndef f(): return 1'))
    assert any('alignet/small.py: missing' in o for o in checks.check_export(project))
    assert checks.nbdev('nbdev_export', project).returncode == 0
    assert checks.check_export(project) == []
    edited = (project/'alignet/small.py').read_text().replace('return 1', 'return 2')
    (project/'alignet/small.py').write_text(edited)
    (project/'alignet/old.py').write_text(edited)
    bad = checks.check_export(project)
    assert len(bad) == 2 and 'alignet/old.py: no notebook exports this any more' in bad[0]
    assert 'alignet/small.py: not what nbs/00_small.ipynb exports' in bad[1] and '-def f(): return 2' in bad[1] and '+def f(): return 1' in bad[1]
    assert (project/'alignet/small.py').read_text() == edited


# --- README.md ---

def test_the_readme_is_the_front_page_with_its_links_seen_from_the_top(project):
    table = {'output_type': 'execute_result', 'data': {'text/html': '<style scoped>td {}</style><table></table>', 'text/plain': 'x'}, 'metadata': {}, 'execution_count': None}
    notebook(project/'nbs/index.ipynb', ('md', '# alignet\n\n> What it is\n\n- skip_showdoc: true'),
             ('md', '## Why {#sec-why}\n\n![cap](images/a.png){fig-alt="A line" width=50%}\n![alt](images/a.png)\n\n[d](01_data.ipynb#a "t") [w](https://x.org/a.ipynb) [h](#sec-why) `[c](c.ipynb)` [top](../LICENSE)\n\n::: {.callout-note}\nNote\n:::\n\n```sh\ncat [x](y.ipynb)\n```\n\n<img src="images/a.png" alt="x">\n\n[r]: 02_x.ipynb'),
             ('code', '#| hide\nsecret'), ('code', '#| echo: false\nhidden()', [table]), ('code', '#| eval: false\nshown()'), ('code', '#| output: false\nquiet()', [table]))
    text = readme.readme(project)
    head, _, body = text.partition('\n')
    assert head.startswith('<!-- Generated') and body.startswith('\n# alignet\n\n> What it is\n\n<a id="sec-why"></a>\n\n## Why\n')
    for o in '![A line](nbs/images/a.png)\n![alt](nbs/images/a.png)\n', '[d](nbs/01_data.ipynb#a "t") [w](https://x.org/a.ipynb) [h](#sec-why) `[c](c.ipynb)` [top](LICENSE)', 'cat [x](y.ipynb)', \
             '<img src="nbs/images/a.png"', '[r]: nbs/02_x.ipynb', '\nNote\n', '```python\nshown()\n```', '```python\nquiet()\n```': assert o in text, o
    for o in 'secret', 'hidden', 'style', ':::', 'skip_showdoc', '#|', 'fig-alt': assert o not in text, o
    assert text.count('<table') == 1 and not any(o != o.rstrip() for o in text.split('\n'))
    notebook(project/'nbs/index.ipynb', TITLE, ('code', 'plot()', [PNG]))
    with pytest.raises(SystemExit, match='cell 2: its output is a picture'): readme.readme(project)


# --- the steps of `make test` ---

def test_steps_are_known_by_name_and_fail_with_a_remedy(monkeypatch, capfd):
    with pytest.raises(SystemExit, match='no step nonsense; choose among clean'): steps.main(['nonsense'])
    monkeypatch.setattr(steps, 'STEPS', {'one': ('the first', [sys.executable, '-c', 'print("it ran")'], '-'), 'two': ('the second', [sys.executable, '-c', 'exit(3)'], 'mend it'), 'three': ('', ['never'], '')})
    assert steps.main([]) == 1
    said = capfd.readouterr().out
    assert 'it ran' in said and '[1/3] one: good' in said and 'FAILED: two (the second)' in said and 'What to do: mend it' in said and 'three' not in said
    assert steps.main(['one']) == 0 and 'all 1 steps are good' in capfd.readouterr().out


def test_a_step_that_leaves_files_behind_fails(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(steps, 'ROOT', tmp_path)
    monkeypatch.setattr(steps, 'STEPS', {'nbdev': ('notebooks', [sys.executable, '-c', 'open("left.txt", "w")'], '-')})
    assert steps.main([]) == 1 and 'new files appeared in the project while this ran: left.txt' in capfd.readouterr().out


def test_the_makefile_names_its_targets_and_refuses_an_old_python(tmp_path):
    make = shutil.which('make')
    if not make: pytest.skip('make is not installed')
    for o in 'Makefile', 'settings.ini', 'setup.py', 'pyproject.toml': shutil.copy(ROOT/o, tmp_path)
    said = subprocess.run([make], cwd=tmp_path, capture_output=True, text=True).stdout
    for o in 'demo', 'test', 'export', 'docs', 'clean': assert f'make {o}' in said
    old = tmp_path/'python-old'
    old.write_text('#!/bin/sh\ncase "$1" in -c) exit 1;; *) echo Python 3.8.1;; esac\n')
    old.chmod(0o755)
    res = subprocess.run([make, 'demo', f'PYTHON={old}'], cwd=tmp_path, capture_output=True, text=True)
    assert res.returncode and 'alignet needs Python 3.10 or later' in res.stdout and 'Python 3.8.1' in res.stdout and not (tmp_path/'.venv').exists()
