"""What public functions say of themselves, in comments as nbdev reads them (docments)."""
import ast
import io
import re
import tokenize

FUNCTION = ast.FunctionDef, ast.AsyncFunctionDef
DEFINED = *FUNCTION, ast.ClassDef
# Methods that a library calls, not a user; then those of tasks and commands, which a base class documents
HOOKS = re.compile(r'_.*|(before|after)_\w+|encodes|get_idxs|extra_repr|measure|compare|figures|run')


def check_comments(cells):
    "Every public function says what it does, what it takes and what it returns"
    for cell in cells:
        if not cell.exported:
            continue
        tokens = tokenize.generate_tokens(io.StringIO(cell.source).readline)
        commented = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
        for name in undocumented_classes(ast.parse(cell.source)):
            yield cell, f'`{name}` has no docstring'
        for name, function, in_class in public_functions(ast.parse(cell.source)):
            yield from ((cell, f'`{name}` {lack}') for lack in lacks(function, in_class, commented))


def undocumented_classes(tree):
    "The public classes of a cell that have no docstring"
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [o.name for o in classes if not o.name.startswith('_') and not ast.get_docstring(o)]


def public_functions(tree):
    "The public functions and methods of a cell as (name, function, whether it is a method)"
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
            inside = [item for item in node.body if isinstance(item, FUNCTION)]
            for function in inside:
                if function.name == '__init__' or not HOOKS.fullmatch(function.name):
                    yield f'{node.name}.{function.name}', function, True
        if isinstance(node, FUNCTION) and not node.name.startswith('_'):
            patched = 'patch' in decorators(node)
            if not (patched and HOOKS.fullmatch(node.name)):
                yield node.name, node, patched


def decorators(function):
    "The words of its decorators: patch, property, staticmethod, ..."
    return re.findall(r'\w+', ' '.join(map(ast.unparse, function.decorator_list)))


def lacks(function, in_class, commented):
    "What is not said about a function; `commented` holds the lines with a comment"
    marks, begins = decorators(function), function.body[0].lineno
    if {'dispatch', 'typedispatch', 'setter'}.intersection(marks):
        return
    if function.name != '__init__' and not ast.get_docstring(function):
        yield 'has no docstring'
    returns = function.returns
    params = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    ends = [param.lineno for param in params[1:]] + [returns.lineno if returns else begins]
    has_self = in_class and 'staticmethod' not in marks
    for param, end in list(zip(params, ends))[has_self:]:
        on_its_own = function.lineno < param.lineno < end
        if not on_its_own or commented.isdisjoint(range(param.lineno, end)):
            yield f'says nothing about {param.arg}: write it on a line of its own, with a comment'
    said = returns and returns.end_lineno in commented
    if gives(function) and not said and 'prop' not in ' '.join(marks):
        yield 'says nothing about what it returns: end its head with `-> type: # what it is`'


def gives(node):
    "Whether a function returns or yields a value; what is defined inside it does not count"
    for child in ast.iter_child_nodes(node):
        value = getattr(child, 'value', None)
        if isinstance(child, ast.Return) and value and ast.unparse(value) != 'None':
            return True
        if isinstance(child, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(child, (*DEFINED, ast.Lambda)) and gives(child):
            return True
    return False
