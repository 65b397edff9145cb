"""What public functions and classes say of themselves: docstrings, and comments as fastcore reads them."""
import functools
import importlib
import inspect
import re
import textwrap

from fastcore.docments import docments

# Methods that a library calls, not a user; then those of tasks and commands, which a base class documents
HOOKS = re.compile(r'_.*|(before|after)_\w+|encodes|get_idxs|extra_repr|measure|compare|figures|run')
PROPERTIES = property, functools.cached_property
INNER = re.compile(r'^( +)def .*\n(?:\1 .*\n|\n)*', re.M)    # a function inside another one


def check_comments(module):
    "What the public names of a module leave unsaid, as messages"
    for name in getattr(importlib.import_module(module), '__all__', []):
        thing = getattr(importlib.import_module(module), name)
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and not inspect.getdoc(thing):
            yield f'`{name}` has no docstring'
        if inspect.isfunction(thing):
            yield from (f'`{name}` {lack}' for lack in lacks(thing))
        for method, function in vars(thing).items() if inspect.isclass(thing) else []:
            if method == '__init__' or not HOOKS.fullmatch(method):
                yield from (f'`{name}.{method}` {lack}' for lack in lacks_of_method(function))


def lacks_of_method(method):
    "What is not said about a method or a property"
    function = getattr(method, '__func__', None) or getattr(method, 'func', None) or method
    if isinstance(method, PROPERTIES) and not method.__doc__:
        yield 'has no docstring'
    if inspect.isfunction(function) and hasattr(function, '__code__'):
        if function.__name__ != '__init__' and not function.__doc__:
            yield 'has no docstring'
        if not isinstance(method, PROPERTIES):
            yield from lacks(function)


def lacks(function):
    "The parameters of a function without a comment, and what it returns"
    function = inspect.unwrap(function)
    code = function.__code__
    if code.co_filename.startswith('<'):                # a dataclass makes its own __init__
        return
    said = docments(function)
    for name in code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]:
        if name not in ('self', 'cls') and not said.get(name):
            yield f'says nothing about {name}: write it on a line of its own, with a comment'
    source = INNER.sub('', textwrap.dedent(inspect.getsource(function)))
    if re.search(r'\b(return|yield) (?!None)\S', source) and not said.get('return'):
        yield 'says nothing about what it returns: end its head with `-> type: # what it is`'
