"""The pages of the website as Pandoc reads them, which is what Quarto gives them to.

nbdev prepares the pages; each is written in the markdown that Quarto makes of a notebook, and read by
the Pandoc of this machine, formulas too. Quarto's own filters, themes and navigation are not tried.
"""
import html
import json
import posixpath
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import common

ROOT = Path(__file__).resolve().parent.parent

HOST = 'https://alignet.github.io/alignet/'


# --- a prepared notebook in Quarto's markdown ---

def fence(text, attr=''):
    "A block of code, or of anything that is to be left as it is"
    ticks = '`' * max([3, *(len(o) + 1 for o in re.findall('`+', text))])
    return f'{ticks}{attr}\n{text.rstrip()}\n{ticks}\n'


def output(o, flags):
    "One stored output"
    text = common.joined
    if o['output_type'] == 'stream':
        return f'::: {{.cell-output .cell-output-stdout}}\n{fence(text(o["text"]))}:::\n'
    data = o.get('data', {})
    kind = next(
        (
            k
            for k in (
                'image/svg+xml', 'image/png', 'image/jpeg', 'image/gif', 'text/html',
                'text/markdown', 'text/latex', 'text/plain',
            )
            if k in data
        ),
        None,
    )
    if kind is None: return ''
    if kind.startswith('image/'):
        quoted = flags.get('fig-alt', '').replace('\\', '\\\\').replace('"', '\\"')
        res = f'![{flags.get("fig-cap", "")}](figure.png){{fig-alt="{quoted}"}}\n'
    elif kind == 'text/html': res = fence(text(data[kind]), '{=html}')
    elif kind in ('text/markdown', 'text/latex'): res = text(data[kind]) + '\n'
    else: res = fence(text(data[kind]))
    return (
        res
        if flags.get('output') == 'asis'
        else f'::: {{.cell-output .cell-output-display}}\n{res}:::\n'
    )


def markdown(path, folder):
    "A prepared notebook as one markdown text"
    parts = []
    for c in common.read_cells(path, folder):
        if c.kind != 'code': parts.append(c.source + '\n')
        elif not c.off('include'):
            code = (
                fence(c.source, '{.python .cell-code}')
                if c.source.strip() and not c.off('echo')
                else ''
            )
            parts.append(
                '\n'.join(
                    [
                        '', ':::: {.cell}', code,
                        *(output(o, c.flags) for o in c.outputs if not c.off('output')), '::::', '',
                    ]
                )
            )
    return '\n'.join(parts)


def pandoc(text, to, *args):
    "What Pandoc makes of it, and what it has to say"
    res = subprocess.run(
        ['pandoc', '-f', 'markdown', '-t', to, *args], input=text, text=True, capture_output=True,
        encoding='utf-8',
    )
    return res.stdout, res.stderr.strip() or f'exit code {res.returncode}' * bool(res.returncode)


# --- what Pandoc took for plain words ---

def words(inlines):
    "The words of a paragraph; code, formulas and pictures stand as three dots"
    plain = {'Space': ' ', 'SoftBreak': '\n', 'LineBreak': '\n'}
    return ''.join(
        (
            o['c']
            if o['t'] == 'Str'
            else plain.get(o['t'])
            or (
                words(o['c'])
                if o['t']
                in (
                    'Emph', 'Strong', 'Strikeout', 'Superscript', 'Subscript', 'SmallCaps',
                    'Underline',
                )
                else (
                    words(o['c'][1])
                    if o['t'] in ('Link', 'Span', 'Quoted')
                    else '@' * (o['t'] == 'Cite') + '\u2026'
                )
            )
        )
        for o in inlines
    )


MARKS = re.compile(
    r'@\u2026|\[\^|(^|\n)>\s|(^|\n)\s*([-*+]|\d+[.)])\s|(^|\n)\s*#+\s|(^|\n)\||\*\*|\]\(|:::|\$|`|\{[#.][a-z]'
)


def leftovers(doc):
    "Paragraphs of a Pandoc document in which markup stands as words, such as a list without an empty line"
    if isinstance(doc, list): return [x for o in doc for x in leftovers(o)]
    if not isinstance(doc, dict): return []
    found = [x for o in doc.values() for x in leftovers(o)]
    if doc.get('t') in ('Para', 'Plain', 'Header'):
        head = doc['t'] == 'Header'                       # may begin with a number
        text = words(doc['c'][-1] if head else doc['c'])
        if MARKS.search('Title ' * head + text): found.append(text[:120])
    return found


@pytest.fixture(scope='module')
def read(request):
    "Each page: its markdown, Pandoc's document, HTML and complaints"
    if not shutil.which('pandoc'): pytest.skip('needs Pandoc: apt install pandoc')
    prepared = request.getfixturevalue('prepared')  # takes half a minute
    res = {}
    for p in sorted(prepared.rglob('*.ipynb')):
        text = markdown(p, prepared)
        page, said = pandoc(text, 'html', '--mathml', '--fail-if-warnings')
        res[p.relative_to(prepared).as_posix()] = (
            text, json.loads(pandoc(text, 'json')[0]), page, said,
        )
    return res


def test_pandoc_warns_of_nothing(read):
    assert len(read) == len(common.notebooks()) > 20
    bad = [f'{name}: {said[:300]}' for name, (_, _, _, said) in read.items() if said]
    assert not bad, '\n'.join(bad)


def test_no_markup_is_left_standing_as_words(read):
    bad = [
        f'{name}: {o!r}' for name, (_, doc, _, _) in read.items() for o in leftovers(doc['blocks'])
    ]
    assert not bad, '\n'.join(bad)


def test_every_link_arrives(read, request):
    prepared = request.getfixturevalue('prepared')
    ids = {name: set(re.findall(r'\bid="([^"]+)"', page)) for name, (_, _, page, _) in read.items()}
    # nbdev takes the numbers off the names of the files
    of = {re.sub(r'(^|/)\d+[a-z]?_', r'\1', name).replace('.ipynb', ''): name for name in read}
    bad, n = [], 0
    for name, (_, _, page, _) in read.items():
        for target in map(html.unescape, re.findall(r'<a\b[^>]*\bhref="([^"]+)"', page)):
            own = target.startswith(HOST)
            if own: target = target[len(HOST):] or 'index.html'
            elif re.match(r'\w+:', target): continue
            file, _, at = target.partition('#')
            file = (
                file
                if own
                else (
                    posixpath.normpath(posixpath.join(posixpath.dirname(name), file))
                    if file
                    else name
                )
            )
            if not re.search(r'\.(ipynb|html)$', file):
                if not (prepared/file).exists(): bad.append(f'{name}: {target}')
                continue
            to = of.get(re.sub(r'(^|/)\d+[a-z]?_', r'\1', file).rsplit('.', 1)[0])
            n += 1
            if to is None or at and at not in ids[to]: bad.append(f'{name}: {target}')
    assert n > 500 and not bad, '\n'.join(bad)


@pytest.mark.parametrize('text, left', [
    ('Words\n- one\n- two', True), ('Words\n\n- one\n- two', False),
    ('Words\n1. one', True),
    ('Words\n| a | b |\n|---|---|\n| 1 | 2 |', True),
    ('Words\n\n| a | b |\n|---|---|\n| 1 | 2 |', False),
    ('[[`a`](x.html)](y.html)', True),
    ('[a](y.html)', False),
    ('from $a to b', True),
    ('from $a$ to `$b`', False),
    ('**a', True),
    ('as "**a" said', True),
    ('Words\n> said', True),
    ('a note[^1]', True),
    ('by @somebody', True),
    ('~~$a~~', True),
    ('Words\n::: {.x}\n:::', True),
])
def test_markup_that_stands_as_words_is_found(text, left):
    if not shutil.which('pandoc'): pytest.skip('needs Pandoc: apt install pandoc')
    assert bool(leftovers(json.loads(pandoc(text, 'json')[0])['blocks'])) == left


def test_a_warning_of_pandoc_is_told():
    if not shutil.which('pandoc'): pytest.skip('needs Pandoc: apt install pandoc')
    assert pandoc('A note[^a]\n\n[^a]: x', 'html', '--fail-if-warnings')[1] == ''
    # formulas are read, too
    assert (
        'Could not convert TeX math'
        in pandoc(r'$\\sqrt{2}$', 'html', '--mathml', '--fail-if-warnings')[1]
    )
    assert (
        "Duplicate note reference"
        in pandoc('A note[^a]\n\n[^a]: x\n\n[^a]: y', 'html', '--fail-if-warnings')[1]
    )
