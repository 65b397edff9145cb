"""The pages of the website on a phone and on a desk, in a real browser.

nbdev prepares the pages. Quarto is not run: nbconvert turns the markdown into HTML, and the elements
and widths around it are modelled on Quarto's themes (tests/site). A box of about its width stands in
for each formula. So this finds pictures without words, tables and code that push the page wide, and
figures too small to read; it does not find what only Quarto does.
"""
import html
import re
import shutil
from pathlib import Path

import pytest

import common

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT/'tests'/'site'

PHONE, DESK = 380, 1280                             # widths of the window in CSS pixels
# the least scale of a figure: 10-point text drawn at 80 dots an inch is then 6.7 pixels high
SMALLEST = .6
COARSEST = 1.5                                     # pixels of a picture for each of the page
TALLEST = 20_000                                   # of a page on a desk, in CSS pixels

SITE = (HERE/'theme.css').read_text(encoding='utf-8')
PAGE = (HERE/'page.html').read_text(encoding='utf-8')


# --- from a prepared notebook to HTML ---

def formula(tex, display):
    "A stand-in of about the width that the formula will have"
    rows = [
        re.sub(
            r'\\[,;! ]|[{}$&^_]',
            '',
            re.sub(
                r'\\(?:operatorname|mathrm|text\w*|mathbb|mathcal|mathbf|bigl?r?|Bigl?r?|left|right|frac|begin\{\w+\}|end\{\w+\})\*?',
                '', re.sub(r'\\label\{.*?\}', '', o),
            ),
        )
        for o in tex.split(r'\\')
    ]
    text = '\n'.join(re.sub(r'\s+', ' ', re.sub(r'\\[a-zA-Z]+', 'x', o)).strip() for o in rows)
    box = f'<span class="formula">{html.escape(text)}</span>'
    return (
        f'<span class="math display">{box}</span>'
        if display
        else f'<span class="math inline">{box}</span>'
    )


def to_html(text):
    "Markdown as HTML with the elements and classes that Pandoc and Quarto give it"
    from nbconvert.filters import markdown2html
    codes, maths = [], []
    def keep(m):
        codes.append(m[0])
        return f'\0{len(codes) - 1}\0'
    text = re.sub(
        r'^(```+|~~~+).*?^\1[ \t]*$|(`+)(?!`).+?(?<!`)\2(?!`)', keep, text, flags=re.S | re.M
    )
    def put(tex, display):
        maths.append(formula(tex, display))
        return f'FORMULA{len(maths) - 1}END'
    text = re.sub(r'\$\$(.+?)\$\$', lambda m: put(m[1], True), text, flags=re.S)
    text = re.sub(
        r'(?<![\\$\w])\$(?=\S)([^$\n]+?)(?<=[^\s\\])\$(?!\d)', lambda m: put(m[1], False), text
    )
    text = re.sub(r'^\s*:::.*$', '', text, flags=re.M)
    text = re.sub(r'^(#{1,6} .*?)\s*\{[#.][^}]*\}\s*$', r'\1', text, flags=re.M)
    text = re.sub(r'!\[[^\]]*\](\([^)]+\))\{[^}]*fig-alt="([^"]*)"[^}]*\}', r'![\2]\1', text)
    text = re.sub(r'(\]\([^)]+\))\{[^}]*\}', r'\1', text)
    text = re.sub('\0(\\d+)\0', lambda m: codes[int(m[1])], text)
    res = markdown2html(text)
    res = re.sub(r'<a class="anchor-link".*?</a>', '', res)
    res = re.sub(r'FORMULA(\d+)END', lambda m: maths[int(m[1])], res)
    res = re.sub(
        r'<div class="highlight"><pre>(.*?)</pre></div>', lambda m: source(m[1]), res, flags=re.S
    )
    return res.replace('<table>', '<table class="caption-top table">')


def source(code):
    "Code as Pandoc writes it: each line in a span of its own"
    lines = code.rstrip('\n').split('\n')
    code = '\n'.join(f'<span id="cb1-{n}">{line}</span>' for n, line in enumerate(lines, 1))
    return ('<div class="sourceCode cell-code"><pre class="sourceCode python code-with-copy">'
            f'<code class="sourceCode python">{code}</code></pre></div>')


def output(o, flags):
    "One stored output"
    text = common.joined
    if o['output_type'] == 'stream':
        words = html.escape(text(o['text']))
        return f'<div class="cell-output cell-output-stdout"><pre><code>{words}</code></pre></div>'
    data = {k: text(v) if not isinstance(v, dict) else '' for k, v in o.get('data', {}).items()}
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
        alt, cap = (html.escape(flags.get(k, '')) for k in ('fig-alt', 'fig-cap'))
        src = (
            'data:image/svg+xml,' + html.escape(data[kind].replace('#', '%23'))
            if 'svg' in kind
            else f'data:{kind};base64,' + data[kind].replace('\n', '')
        )
        inner = (
            f'<figure class="figure"><p><img src="{src}" class="img-fluid figure-img" alt="{alt}"></p>'
            + (f'<figcaption>{cap}</figcaption>' if cap else '')
            + '</figure>'
        )
    elif kind == 'text/html': inner = data[kind]
    elif kind == 'text/markdown': inner = to_html(data[kind])
    else: inner = f'<pre><code>{html.escape(data[kind])}</code></pre>'
    return (
        f'<div class="cell-output cell-output-display">{inner}</div>'
        if flags.get('output') != 'asis'
        else inner
    )


def render(path, folder):
    "A prepared notebook as an HTML page"
    import yaml
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer
    cells = common.read_cells(path, folder)
    meta = yaml.safe_load(cells[0].source.strip().strip('-'))
    parts = []
    for c in cells[1:]:
        if c.kind == 'markdown': parts.append(to_html(c.source))
        if c.kind != 'code' or c.off('include'): continue
        code = ''
        if c.source.strip() and not c.off('echo'):
            code = source(highlight(c.source, PythonLexer(), HtmlFormatter(nowrap=True)))
        if re.match(r'%%bash|!', c.source): code = source(html.escape(c.source))
        if code and c.flags.get('code-fold') == 'true':
            summary = html.escape(c.flags.get('code-summary', 'Code'))
            code = f'<details class="code-fold"><summary>{summary}</summary>{code}</details>'
        outputs = [] if c.off('output') else [output(o, c.flags) for o in c.outputs]
        parts.append(f'<div class="cell">{code}{"".join(outputs)}</div>')
    up = '../' * (len(path.relative_to(folder).parts) - 1)
    return PAGE.format(
        site=SITE, up=up, title=html.escape(str(meta['title'])),
        description=html.escape(str(meta['description'])), body='\n'.join(parts),
    )


# --- what is wrong with a page at a width ---

LOOK = (HERE/'look.js').read_text(encoding='utf-8')


def look(page, url, smallest=SMALLEST):
    "Problems of a page on a phone and on a desk, and the smallest scale of a figure on the phone"
    page.goto(url, wait_until='load')
    page.evaluate('() => Promise.all([...document.images].map(o => o.decode().catch(() => 0)))')
    bad, scale = [], (1, '')
    for width in PHONE, DESK:
        page.set_viewport_size({'width': width, 'height': 800})
        res = page.evaluate(LOOK)
        bad += [f'{width} pixels: {o}' for o in res['bad']]
        if width == PHONE: scale = res['least'], res['which']
        if width == DESK:
            bad += [f'{n:.2f} pixels for each of the page: {which}' for n, which in res['pixels'] if n < COARSEST]
            if res['tall'] > TALLEST: bad.append(f"the page is {res['tall']:,} pixels tall")
        if res['least'] < smallest:
            bad.append(
                f"{width} pixels: a figure is shrunk to {res['least']:.2f} of its size: {res['which']}"
            )
    return bad, scale


@pytest.fixture
def tab(browser):
    "A tab that reads nothing but files; a badge of another host is stood in for"
    context = browser.new_context(viewport={'width': PHONE, 'height': 800})
    def serve(route):
        url = route.request.url
        if url.startswith(('file:', 'data:')): route.continue_()
        elif url.endswith('badge.svg'):
            route.fulfill(
                content_type='image/svg+xml',
                body='<svg xmlns="http://www.w3.org/2000/svg" width="117" height="20"></svg>',
            )
        else: route.abort()
    context.route('**/*', serve)
    yield context.new_page()
    context.close()


def build(proc, out):
    "Render every prepared page into a folder"
    pages = {}
    for p in sorted(proc.rglob('*')):
        rel = p.relative_to(proc)
        if p.suffix not in ('.ipynb', '.css', '.png', '.svg', '.jpg'): continue
        to = (out/rel).with_suffix('.html' if p.suffix == '.ipynb' else p.suffix)
        to.parent.mkdir(parents=True, exist_ok=True)
        if p.suffix != '.ipynb':
            shutil.copy2(p, to)
            continue
        to.write_text(render(p, proc), encoding='utf-8')
        pages[rel.as_posix()] = to
    return pages


def test_every_page_fits_a_phone_and_a_desk(tab, prepared, tmp_path):
    pytest.importorskip('nbconvert', reason='needs nbconvert: pip install nbconvert')
    pages, bad, least = build(prepared, tmp_path), [], (1, '')
    assert len(pages) == len(common.notebooks()) > 20
    for name, path in pages.items():
        found, scale = look(tab, path.as_uri())
        bad += [f'nbs/{name}: {o}' for o in found]
        least = min(least, (scale[0], f'nbs/{name}: {scale[1]}'))
    print(f'the figure that is shrunk most on a phone: {least[0]:.2f}, {least[1]}')
    assert not bad, '\n'.join(bad)


COLUMN = '<td>unbreakable_name_of_a_column</td>'


@pytest.mark.parametrize('body, said', [
    (f'<table class="table"><tr>{COLUMN * 8}</tr></table>', 'the page scrolls sideways'),
    (f'<p>{"a" * 200}</p>', 'the page scrolls sideways'),
    ('<p style="width: 900px">words</p>', 'too wide: p "words"'),
    ('<div style="overflow: hidden"><p style="width: 900px">words</p></div>', 'cut off at the right: p'),
    ('<img src="styles.css">', 'no words for the picture'),
    ('<img src="gone.png" alt="gone">', 'the picture does not load: gone.png'),
    ('<img alt="A line" style="width: 100px" src="wide.png">', 'a figure is shrunk to 0.23'),
    ('<img alt="A line" style="width: 600px" src="wide.png">', '1.33 pixels for each of the page: A line'),
    ('<p style="height: 20001px">words</p>', 'pixels tall'),
])
def test_what_is_wrong_with_a_page_is_found(tab, tmp_path, body, said):
    from PIL import Image
    Image.new('L', (800, 20)).save(tmp_path/'wide.png')
    (tmp_path/'styles.css').write_text('')
    (tmp_path / 'a.html').write_text(
        PAGE.format(site=SITE, up='', title='Bad', description='', body=body), encoding='utf-8'
    )
    found, _ = look(tab, (tmp_path/'a.html').as_uri())
    assert any(said in o for o in found), found


def test_the_style_sheet_is_what_makes_wide_things_scroll_in_their_boxes(tab, tmp_path):
    body = to_html(
        '# x\n\n| a | b |\n|---|---|\n| '
        + 'unbreakable_name_of_a_column' * 3
        + ' | '
        + 'unbreakable_name_of_a_column' * 3
        + ' |\n\n$$a = '
        + 'bcd + ' * 30
        + '$$\n\n'
        + '`'
        + 'word' * 40
        + '`\n\n```python\n'
        + 'x' * 200
        + '\n```\n'
    )
    body += output({'output_type': 'stream', 'text': 'col ' * 60}, {})
    said = {}
    for name, css in ('plain', ''), ('styled', (ROOT/'nbs/styles.css').read_text(encoding='utf-8')):
        (tmp_path/'styles.css').write_text(css, encoding='utf-8')
        (tmp_path / f'{name}.html').write_text(
            PAGE.format(site=SITE, up='', title='Wide', description='', body=body), encoding='utf-8'
        )
        said[name] = look(tab, (tmp_path/f'{name}.html').as_uri())[0]
    assert any('scrolls sideways' in o for o in said['plain']) and said['styled'] == []
