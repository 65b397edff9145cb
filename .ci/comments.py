"""What public functions and classes say of themselves: docstrings, and comments as fastcore reads them."""
import functools
import importlib
import inspect
import re
import textwrap

from fastcore.docments import docments
from nbdev.doclinks import NbdevLookup

# Methods that a library calls, not a user; then those of tasks and commands, which a base class documents
HOOKS = re.compile(r'_.*|(before|after)_\w+|encodes|get_idxs|extra_repr|measure|compare|figures|run')
PROPERTIES = property, functools.cached_property
LINKED = NbdevLookup('alignet').linkify              # links names in backticks, as on the website
INNER = re.compile(r'^( +)def .*\n(?:\1 .*\n|\n)*', re.M)    # a function inside another one


def check_comments(module):
    "What the public names of a module and their methods leave unsaid, as messages"
    module = importlib.import_module(module)
    for name in getattr(module, '__all__', []):
        things = {name: getattr(module, name)}
        if inspect.isclass(things[name]):
            methods = vars(things[name]).items()
            things |= {f'{name}.{method}': thing for method, thing in methods
                       if method == '__init__' or not HOOKS.fullmatch(method)}
        for name, thing in things.items():
            yield from (f'`{name}` {lack}' for lack in lacks(thing))


def lacks(thing):
    "What is not said about a class, a function or a property"
    function = getattr(thing, '__func__', None) or getattr(thing, 'func', None) or thing
    if not (inspect.isfunction(function) or inspect.isclass(thing) or isinstance(thing, PROPERTIES)):
        return
    if not inspect.getdoc(function) and getattr(function, '__name__', '') != '__init__':
        yield 'has no docstring'
    if inspect.isfunction(function) and not isinstance(thing, PROPERTIES):
        yield from lacks_of_call(inspect.unwrap(function))


def lacks_of_call(function):
    "The parameters of a function without a comment, or with a link in it, and what it returns"
    code = function.__code__
    if code.co_filename.startswith('<'):                # a dataclass makes its own __init__
        return
    said = docments(function)
    for name in code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]:
        if name not in ('self', 'cls') and not said.get(name):
            yield f'says nothing about {name}: write it on a line of its own, with a comment'
    for name, comment in said.items():
        if comment and LINKED(comment) != comment:
            yield f'has a link in the comment of {name}, where links stand raw: take away its backticks'
    source = INNER.sub('', textwrap.dedent(inspect.getsource(function)))
    if re.search(r'\b(return|yield) (?!None)\S', source) and not said.get('return'):
        yield 'says nothing about what it returns: end its head with `-> type: # what it is`'
