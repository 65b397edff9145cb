"""Write tests/test_<module>.py from the notebooks' own assertions.

Every `##` section of a notebook that exports a module becomes one pytest function: its cells with assertions, preceded
by those statements of earlier cells that they need (found by following names backwards, see `needed`). Cells flagged
`#| slow` or `#| cuda` go to a function of their own with that mark. Exported code is imported, never repeated.

    python .ci/gen_tests.py            write the files
    python .ci/gen_tests.py --check    only say whether they are up to date
"""
import argparse, ast, difflib, io, re, sys, tokenize, unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from common import ROOT, default_exp, headings, notebooks, read_cells, settings

HEADER = 'Generated from {nb} by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.'

# Functions that only look at their arguments. Any other call whose result is thrown away may change what it is given.
LOOKS = re.compile(r'(print|display|len|repr|str|assert|test_|show|plot|describe|summary|info|head|tail|hist|imshow|scatter|bar|close|set_title)')
DRAWS = {'plt', 'sns', 'fig', 'ax', 'axs', 'axes'}
# Calls that keep a hold on their arguments: after `learn = Learner(dls, model)`, training `learn` changes `model`.
HOLDS = re.compile(r'^[A-Z]|learner|optimizer|scheduler|wrap')
FUNCTION, SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef), (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
COMPREHENSION = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


# --- names: what code reads, binds and changes ---

def union(sets): return set().union(*sets)


def all_args(a): return a.posonlyargs + a.args + a.kwonlyargs + [o for o in (a.vararg, a.kwarg) if o]


def before_call(f):
    "The parts of a function that are evaluated when it is defined"
    a, deco = f.args, getattr(f, 'decorator_list', [])
    notes = [o.annotation for o in all_args(a)] + [getattr(f, 'returns', None)]
    return [o for o in deco + a.defaults + a.kw_defaults + notes if o is not None]


def head_of(c): return c.decorator_list + c.bases + [k.value for k in c.keywords]


def targets(node):
    "Names that an assignment target binds"
    return {o.id for o in ast.walk(node) if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Store)}


def walrus(node):
    "Names bound by `:=`"
    return {o.target.id for o in ast.walk(node) if isinstance(o, ast.NamedExpr)}


def bound_by(imp): return {o.asname or o.name.split('.')[0] for o in imp.names if o.name != '*'}


def scope_binds(node):
    "All names that a node binds in the scope it stands in"
    if isinstance(node, SCOPE): return {node.name}
    if isinstance(node, ast.Lambda): return set()
    if isinstance(node, COMPREHENSION): return walrus(node)
    res = union(map(scope_binds, ast.iter_child_nodes(node)))
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store): res.add(node.id)
    if isinstance(node, (ast.Import, ast.ImportFrom)): res |= bound_by(node)
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name: res.add(node.name)
    return res


def function_outside(f):
    "Names that the body of a function or lambda takes from outside"
    body = f.body if isinstance(f.body, list) else [f.body]
    own = {o.arg for o in all_args(f.args)} | union(map(scope_binds, body))
    declared = {n for o in ast.walk(f) if isinstance(o, (ast.Global, ast.Nonlocal)) for n in o.names}
    return union(map(outside, body)) - own | declared


def class_outside(c):
    "Names that the body of a class takes from outside; its methods do not see the names that it binds"
    bound, res = set(), set()
    for s in c.body:
        res |= function_outside(s) | union(map(outside, before_call(s))) - bound if isinstance(s, FUNCTION) else outside(s) - bound
        bound |= scope_binds(s)
    return res


def outside(node):
    "Names that a node reads, less those that its inner scopes bind themselves"
    if isinstance(node, ast.Name): return {node.id} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, FUNCTION + (ast.Lambda,)): return function_outside(node) | union(map(outside, before_call(node)))
    if isinstance(node, ast.ClassDef): return class_outside(node) | union(map(outside, head_of(node)))
    if isinstance(node, COMPREHENSION):
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        parts += [o for g in node.generators for o in g.ifs] + [g.iter for g in node.generators[1:]]
        return outside(node.generators[0].iter) | (union(map(outside, parts)) - union(targets(g.target) for g in node.generators))
    return union(map(outside, ast.iter_child_nodes(node)))


def root_of(node):
    "The variable at the start of `a.b[0].c`, as a set; of `a.b().c` too"
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)): node = node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute): return root_of(node.func)
    return {node.id} if isinstance(node, ast.Name) else set()


def last_name(func): return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ''


def given_to(call):
    "Variables that a call is given as they are, e.g. `m` and `d` in f(m, d[0], g(x))"
    args = [getattr(o, 'value', o) if isinstance(o, (ast.Starred, ast.keyword)) else o for o in call.args + call.keywords]
    return union(root_of(o) for o in args if not isinstance(o, ast.Call))


def held(value):
    "Names whose objects the value of an assignment keeps a hold on"
    if isinstance(value, (ast.Tuple, ast.List)): return union(map(held, value.elts))
    if isinstance(value, (ast.Name, ast.Attribute, ast.Subscript)): return root_of(value)
    if isinstance(value, ast.Lambda): return function_outside(value)
    if isinstance(value, ast.Call) and HOLDS.search(last_name(value.func)):
        made_of = root_of(value.func) if last_name(value.func)[0].isupper() else set()         # an object follows its class
        return made_of | union(root_of(o) for o in value.args + [k.value for k in value.keywords])
    return set()


def must_be_global(stmts):
    "Variables that must stay global where statements move into a function: declared so, or read by a class body that binds them too"
    res = set()
    for o in (o for s in stmts for o in ast.walk(s)):
        if isinstance(o, ast.Global): res |= set(o.names)
        if isinstance(o, ast.ClassDef):
            bound = set()
            for s in o.body:
                res |= (outside(s) - bound) & union(map(scope_binds, o.body))
                bound |= scope_binds(s)
    return res


class Names:
    """What one statement does to names: `reads` (from outside), `later` (read when a function it defines is called), `binds`
    (at most), `kills` (surely bound), `changes` (in place), `calls` (functions called for their effect), `effect` (whether there is such
    a call), `holds` (name: what its object keeps)."""
    def __init__(self, stmt, value_shown=False):
        self.reads, self.later, self.binds, self.changes, self.calls, self.effect, self.holds = set(), set(), set(), set(), set(), False, {}
        self.kills = self._stmt(stmt, set())
        self._changes([stmt], value_shown)

    def _read(self, nodes, bound): self.reads |= union(outside(o) for o in nodes if o is not None) - bound

    def _bind(self, names, bound):
        self.binds |= names
        return bound | names

    def _block(self, stmts, bound):
        for s in stmts: bound = self._stmt(s, bound)
        return bound

    def _stmt(self, s, bound):
        "Note what a statement does where the names `bound` are bound already; returns the names bound after it"
        if isinstance(s, SCOPE):
            cls = isinstance(s, ast.ClassDef)
            self._read(head_of(s) if cls else before_call(s), bound)
            inner = (class_outside(s) if cls else function_outside(s)) - {s.name}
            self.later |= inner - bound
            self.holds[s.name] = inner
            return self._bind({s.name}, bound)
        if isinstance(s, (ast.Import, ast.ImportFrom)): return self._bind(bound_by(s), bound)
        if isinstance(s, (ast.For, ast.AsyncFor)):
            self._read([s.iter], bound)
            return self._block(s.body + s.orelse, self._bind(targets(s.target), bound))
        if isinstance(s, (ast.While, ast.If)):
            self._read([s.test], bound)
            bound = self._bind(walrus(s.test), bound)
            if isinstance(s, ast.While): return self._block(s.body + s.orelse, bound)
            return self._block(s.body, bound) & self._block(s.orelse, bound)
        if isinstance(s, (ast.With, ast.AsyncWith)):
            for o in s.items:
                self._read([o.context_expr], bound)
                if o.optional_vars: bound = self._bind(targets(o.optional_vars), bound)
            return self._block(s.body, bound)
        if isinstance(s, ast.Try) or type(s).__name__ == 'TryStar':
            ends = [self._block(s.body + s.orelse, bound)]
            for h in s.handlers:
                self._read([h.type], bound)
                ends.append(self._block(h.body, self._bind({h.name} - {None}, bound)))
            return self._block(s.finalbody, union(ends))       # `except E as e: message = str(e)` binds `message`
        if isinstance(s, ast.Match):
            self._read([s.subject], bound)
            for c in s.cases:
                self._read([o for o in ast.walk(c.pattern) if isinstance(o, ast.expr)], bound)
                inner = self._bind(scope_binds(c.pattern), bound)
                self._read([c.guard], inner)
                self._block(c.body, inner)
            return bound
        if isinstance(s, ast.AugAssign):
            self._read([s.value, ast.parse(ast.unparse(s.target), mode='eval').body], bound)
            return self._bind(targets(s.target), bound)
        if isinstance(s, ast.Delete):
            self.reads |= {o.id for o in ast.walk(s) if isinstance(o, ast.Name)} - bound
            return bound
        if isinstance(s, ast.Assign):
            for n in union(map(targets, s.targets)): self.holds[n] = held(s.value)
        self._read([s], bound)
        return self._bind(scope_binds(s), bound)

    def _changes(self, stmts, value_shown=False):
        "Find what is changed in place: by assignment to a part of it, or by a call whose result is thrown away"
        for s in stmts:
            if isinstance(s, SCOPE): continue
            for t in getattr(s, 'targets', []) or [getattr(s, 'target', None)]:
                parts = [o for o in ast.walk(t) if isinstance(o, (ast.Attribute, ast.Subscript))] if t is not None else []
                self.changes |= union(root_of(o) for o in parts if not isinstance(o.ctx, ast.Load))
            thrown = isinstance(s, ast.Expr) or isinstance(s, ast.Assign) and targets(s.targets[0]) == {'_'}
            if thrown and isinstance(s.value, ast.Call) and not value_shown:
                call, owner = s.value, root_of(s.value.func) if isinstance(s.value.func, ast.Attribute) else set()
                if not LOOKS.match(last_name(call.func)) and not owner & DRAWS:
                    self.changes |= owner | given_to(call)
                    self.calls |= root_of(call.func) - owner
                    self.effect = True
            parts = [b for f in ('body', 'orelse', 'finalbody') for b in getattr(s, f, [])]
            old = set(self.changes)
            self._changes(parts + [b for h in getattr(s, 'handlers', []) + getattr(s, 'cases', []) for b in h.body])
            if isinstance(s, (ast.For, ast.While)) and self.changes - old - DRAWS - scope_binds(s):      # a training loop changes what it uses
                self.changes |= {n for n in outside(s) if not LOOKS.match(n)}


# --- the cells of a notebook ---

@dataclass
class Code:
    "A code cell that may become part of a test"
    cell: object
    section: int
    source: str                                   # what goes into the test
    marks: frozenset
    stmts: list                                   # (syntax tree, Names) of each statement
    asserts: bool = False


@dataclass
class Page:
    "What a notebook gives to its tests"
    nb: str
    module: str
    sections: list = field(default_factory=list)  # titles; the first one is what stands before any `##`
    codes: list = field(default_factory=list)     # Code cells in order
    imports: list = field(default_factory=list)   # (module or None, 'name as x') in order
    private: set = field(default_factory=set)     # names in the module that `import *` leaves out
    public: set = field(default_factory=set)      # names in the module that it brings


def fail(cell, why): sys.exit(f'{cell.where}: {why}')


def parse(cell, source):
    "The source and syntax tree of a cell, its magics taken off"
    try: return source, ast.parse(source)
    except SyntaxError: pass
    source = re.sub(r'^%time(it)?\s+(?=\S)', '', source, flags=re.M)
    source = '\n'.join(o for o in source.split('\n') if not re.match(r'\s*[%!]', o))
    try: return source, ast.parse(source)
    except SyntaxError as e: fail(cell, f'this is not plain Python ({e}); tests cannot be made from it. Write plain Python, or flag the cell `#| eval: false`')


def cut(source, nodes):
    "A source without some of its top-level statements, and without the comments that belong to them"
    lines = source.split('\n')
    for n in sorted(nodes, key=lambda o: (-o.lineno, -o.col_offset)):
        first, last = min([n.lineno] + [d.lineno for d in getattr(n, 'decorator_list', [])]) - 1, n.end_lineno
        before = lines[first].encode()[:n.col_offset].decode().strip().rstrip(';').rstrip() if first == n.lineno - 1 else ''
        after = lines[last-1].encode()[n.end_col_offset:].decode().strip().lstrip(';').strip()
        rest = '; '.join(o for o in (before, after) if o and not o.startswith('#'))
        if not rest:
            while first and re.match(r'#', lines[first-1]): first -= 1
        lines[first:last] = [rest] * bool(rest)
    return re.sub(r'\n{3,}', '\n\n', '\n'.join(lines)).strip('\n')


def is_show_doc(s): return isinstance(s, ast.Expr) and isinstance(s.value, ast.Call) and last_name(s.value.func) == 'show_doc'


def is_nbdev(s):
    "Whether a statement is about nbdev itself"
    if isinstance(s, ast.Import): return any(o.name.split('.')[0] == 'nbdev' for o in s.names)
    if isinstance(s, ast.ImportFrom): return (s.module or '').split('.')[0] == 'nbdev'
    return isinstance(s, ast.Expr) and 'nbdev_export(' in ast.unparse(s)


def checks(node, helpers):
    "Whether running a node asserts something; bodies of functions that are only defined do not count"
    if isinstance(node, SCOPE + (ast.Lambda,)): return False
    if isinstance(node, ast.Assert): return True
    if isinstance(node, ast.Call):
        name = last_name(node.func)
        if re.match(r'test_|assert', name) or name in helpers | {'raises', 'ExceptionExpected', 'expect_fail'}: return True
    if isinstance(node, ast.Raise) and node.exc is not None and 'AssertionError' in ast.unparse(node.exc): return True
    return any(checks(o, helpers) for o in ast.iter_child_nodes(node))


def asserting_functions(tree):
    "Functions defined here whose bodies assert something"
    return {f.name for f in tree.body if isinstance(f, FUNCTION) and any(checks(o, set()) for o in f.body)}


def add_imports(page, imports, package):
    "Remember import statements, one name each, absolute"
    for s in imports:
        mod = None if isinstance(s, ast.Import) else '.'.join([package] * bool(s.level) + [s.module] * bool(s.module))
        for o in s.names:
            new = (mod, o.name + (f' as {o.asname}' if o.asname else ''))
            if mod != page.module and new not in page.imports: page.imports.append(new)


def read_page(path, flags, root=ROOT):
    "Read what the tests of a notebook are made of; None where it exports no module"
    cells = read_cells(path, root)
    module, package = default_exp(cells), settings(root)['lib_name']
    if not module: return
    page = Page(path.relative_to(root).as_posix(), f'{package}.{module}', [module])
    starts, helpers = {c.pos: re.sub(r'\s*\{#.*\}$', '', text) for level, text, c in headings(cells) if level == 2}, set()
    for c in cells:
        if c.pos in starts: page.sections.append(starts[c.pos])
        if c.kind != 'code' or not c.source.strip() or c.source.lstrip().startswith('%%') or not (c.evaluated or c.exported): continue
        source, tree = parse(c, c.source)
        imports = [s for s in tree.body if isinstance(s, (ast.Import, ast.ImportFrom)) and not is_nbdev(s)]
        if c.exported:
            add_imports(page, imports, package)
            names = union(map(scope_binds, tree.body)) - union(map(bound_by, imports))
            hidden = {n for n in names if n.startswith('_') or 'exporti' in c.flags}
            page.private |= hidden
            page.public |= names - hidden
            continue
        drop = [s for s in tree.body if is_show_doc(s) or is_nbdev(s)]
        marks = frozenset(flags & set(c.flags))
        # imports go to the top of the file, but not those of a cell that is left out by default: they may not be installed
        hoist = [s for s in imports if not marks or any(o.name == '*' for o in s.names) or getattr(s, 'module', '') == '__future__']
        add_imports(page, hoist, package)
        source = cut(source, drop + hoist)
        tree = ast.parse(source)
        if not tree.body: continue
        helpers |= asserting_functions(tree)
        value = any(o.get('output_type') == 'execute_result' for o in c.outputs)     # then the last statement is a value to look at
        stmts = [(s, Names(s, value and s is tree.body[-1])) for s in tree.body]
        page.codes.append(Code(c, len(page.sections) - 1, source, marks, stmts, any(checks(s, helpers) for s in tree.body)))
    return page


# --- which code a test needs ---

def needed(codes, goals):
    """The cells `goals` whole, and the statements of earlier cells that they need: [(Code, [statements])] and the names still wanted.

    A walk backwards. A statement is needed if it binds a name that is wanted, or changes in place an object that is (directly, or because
    one holds the other); what it reads is then wanted too. A call with an unknown effect (setting a seed) is kept where something after it in its
    cell is, or where it stands in the section itself."""
    codes = codes[:max(map(codes.index, goals)) + 1]
    line = [(c, s, n) for c in codes for s, n in c.stmts]
    mine, holds = union(n.binds for _, _, n in line), {}
    for _, _, n in line:
        for k, v in n.holds.items(): holds.setdefault(k, set()).update(v & mine)

    def reach(names):
        "These names, and what their objects hold on to"
        res, new = set(), set(names)
        while new: res, new = res | new, union(holds.get(n, set()) for n in new) - res - new
        return res

    kept = set()
    while True:                                    # again while functions ask for names bound after their definition
        size, wanted, used = len(kept), set(), set()
        for i in range(len(line) - 1, -1, -1):
            c, s, n = line[i]
            later = union(line[j][2].later for j in kept if j < i)
            known = (n.changes | n.calls) & mine
            if (c in goals or i in kept or n.binds & (wanted | later) or reach(known) & wanted or known & reach(wanted) or (n.changes - mine) & wanted and not n.effect
                    or n.effect and not known and (id(c) in used or c.section == goals[0].section)):
                kept.add(i)
                used.add(id(c))
                wanted = (wanted - n.kills) | n.reads | n.later
        if len(kept) == size: break
    res = [(c, [s for i, (o, s, _) in enumerate(line) if o is c and i in kept]) for c in codes]
    return [(c, s) for c, s in res if s], wanted


# --- writing ---

def slug(title):
    "A heading as a part of a function's name"
    text = unicodedata.normalize('NFKD', re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', re.sub("[`*$']", '', title))).encode('ascii', 'ignore').decode().lower()
    text = re.sub(r'\W+', '_', text).strip('_')
    return text if len(text) <= 60 else text[:61].rpartition('_')[0]


def indent(source):
    "Indent code by four spaces, leaving the inside of strings that span lines as it is"
    inside, opened = set(), []
    start, end = [{getattr(tokenize, f'{o}STRING_{w}', None) for o in 'FT'} - {None} for w in ('START', 'END')]
    for t in tokenize.generate_tokens(io.StringIO(source).readline):
        if t.type == tokenize.STRING: inside |= set(range(t.start[0] + 1, t.end[0] + 1))
        elif t.type in start: opened.append(t.start[0])
        elif t.type in end: inside |= set(range(opened.pop() + 1, t.end[0] + 1))
    return '\n'.join(o if i in inside else f'    {o}'.rstrip() for i, o in enumerate(source.split('\n'), 1))


def functions(page):
    "The test functions of a page as source text"
    seen, res = {}, []
    imported = {o.rpartition(' ')[2].split('.')[0] for _, o in page.imports} | page.public | page.private
    for i, title in enumerate(page.sections):
        for marks in sorted({c.marks for c in page.codes}, key=lambda m: (len(m), sorted(m))):
            goals = [c for c in page.codes if c.section == i and c.asserts and c.marks == marks]
            if not goals: continue
            parts, wanted = needed([c for c in page.codes if c.marks <= marks], goals)
            for c, stmts in parts:
                clash = wanted & imported & union(n.binds for s, n in c.stmts if s in stmts)
                if clash: fail(c.cell, f'`{min(clash)}` is the name of something imported or exported, and the cell gives it to a variable after '
                                       'using it; choose another name for the variable')
            name = '_'.join(['test', slug(title) or 'section', *sorted(marks)])
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1: name += f'_{seen[name]}'
            body = [f'    global {n}' for n in sorted(must_be_global(s for _, o in parts for s in o) & union(n.binds for c, _ in parts for _, n in c.stmts))]
            for c, stmts in parts:
                rest = [s for s, _ in c.stmts if s not in stmts]
                body.append(f'    # cell {c.cell.pos}{", in part" if rest else ""}\n' + indent(cut(c.source, rest)))
            doc = title.replace('\\', '').replace('"', "'")
            res.append(''.join(f'@pytest.mark.{m}\n' for m in sorted(marks)) + f'def {name}():\n    "{doc}"\n' + '\n\n'.join(body) + '\n')
    return res


def import_lines(page, code):
    "The import lines that some code needs"
    used, lines = {o.id for o in ast.walk(ast.parse(code)) if isinstance(o, ast.Name)}, {}
    for mod, name in page.imports:
        short = name.rpartition(' ')[2].split('.')[0]
        if mod is None and short in used: lines[f'import {name}'] = None
        if mod and (name == '*' or mod == '__future__' or short in used): lines.setdefault(f'from {mod} import ', []).append(name)
    if 'pytest' in used: lines = {'import pytest': None, **lines}
    lines[f'from {page.module} import *'] = None
    if page.private & used: lines[f'from {page.module} import '] = sorted(page.private & used)
    res = [k + ', '.join(v) if v else k for k, v in lines.items()]
    return sorted(res, key=lambda o: not o.startswith('from __future__'))


def test_file(page):
    "The text of a page's test file, or None where it asserts nothing"
    code = '\n\n'.join(functions(page))
    if not code: return
    head = f'"""Tests of `{page.module}`.\n\n{HEADER.format(nb=page.nb)}\n"""\n'
    return head + '\n'.join(import_lines(page, code)) + f"\n\nNOTEBOOK = '{page.nb}'     # a test runs in the folder of its notebook\n\n\n" + code


def generate(root=ROOT):
    "All generated files as {path relative to the project: text}"
    root, res = Path(root), {}
    for p in notebooks(root):
        page = read_page(p, set(settings(root)['tst_flags'].split()), root)
        text = test_file(page) if page else None
        if not text: continue
        name = 'tests/test_' + page.module.split('.', 1)[1].replace('.', '_') + '.py'
        if name in res: sys.exit(f'{page.nb}: another notebook exports {page.module} too, so both would make {name}')
        compile(text, name, 'exec')
        res[name] = text
    return res


def generated_files(root=ROOT):
    "The files in tests/ that say they were generated"
    mark = HEADER.split('{nb}')[1].strip()
    return {p.relative_to(root).as_posix(): p for p in sorted((Path(root)/'tests').glob('test_*.py')) if mark in p.read_text(encoding='utf-8')[:600]}


def differences(root=ROOT):
    "What is out of date, as a list of messages"
    new, old = generate(root), generated_files(root)
    res = [f'{name}: no notebook makes this file any more' for name in sorted(set(old) - set(new))]
    for name, text in sorted(new.items()):
        path = Path(root)/name
        if not path.exists(): res.append(f'{name}: missing')
        elif path.read_text(encoding='utf-8') != text:
            diff = difflib.unified_diff(path.read_text(encoding='utf-8').split('\n'), text.split('\n'), name, 'from the notebook', lineterm='', n=1)
            res.append('\n'.join(list(diff)[:40]))
    return res


def write(root=ROOT):
    "Write the files, and delete those that no notebook makes any more"
    new = generate(root)
    for name, path in generated_files(root).items():
        if name not in new: path.unlink(); print(f'deleted {name}')
    for name, text in new.items():
        path = Path(root)/name
        if path.exists() and path.read_text(encoding='utf-8') == text: continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding='utf-8')
        print(f'wrote {name}')


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--check', action='store_true', help='only say whether the files are up to date')
    p.add_argument('--root', default=ROOT, type=Path, help='the project')
    args = p.parse_args()
    root = args.root.resolve()
    if not args.check: return write(root)
    diffs = differences(root)
    if diffs: sys.exit('\n'.join(diffs) + '\n\nThe tests in tests/ are not what the notebooks say: run `make export` and commit the result.')
    print(f'{len(generated_files(root))} generated test files are up to date')


if __name__ == '__main__': main()
