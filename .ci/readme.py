"""Write README.md from nbs/index.ipynb; Quarto is not needed.

    python .ci/readme.py            write README.md
    python .ci/readme.py --check    only say whether it is up to date
"""
import re
import sys
import textwrap

from common import ROOT, code_lines, joined, read_cells

NOTE = ('<!-- Generated from nbs/index.ipynb by .ci/readme.py. '
        'Do not edit: change the notebook, then run `make export`. -->')
LINK = re.compile(r'(\]\(|\b(?:src|href)=")(?![a-z]+:|[#/])([^)"\s]+)')


def relink(match):
    "A link of nbs/index.ipynb as seen from the top folder"
    start, target = match.groups()
    return start + (target[3:] if target.startswith('../') else f'nbs/{target}')


def plain_line(line):
    "A line of markdown with links from the top folder, without what only Quarto understands"
    line = re.sub(r'^(#+ .*?)\s*\{#([\w-]+)[^}]*\}$', r'<a id="\2"></a>\n\n\1', line)
    line = re.sub(r'(!\[[^\]]*\]\([^)]+\))\{[^}]*\}', r'\1', line)
    parts = re.split(r'(`[^`]+`)', line)            # code stays as it is
    return ''.join(part if part[:1] == '`' else LINK.sub(relink, part) for part in parts)


def plain_markdown(text):
    "Markdown for GitHub"
    lines = zip(text.split('\n'), code_lines(text))
    return '\n'.join(line if is_code else plain_line(line) for line, is_code in lines)


def output_text(output):
    "A stored output as markdown: markdown as it is, a table as HTML, anything else as indented text"
    data = output.get('data', {})
    if 'text/markdown' in data:
        return plain_markdown(joined(data['text/markdown']))
    if 'text/html' in data:
        return re.sub(r'<style.*?</style>\s*', '', joined(data['text/html']), flags=re.S)
    if any(kind.startswith('image/') for kind in data):
        sys.exit('README.md cannot hold the picture of an output: save it to nbs/images/')
    return textwrap.indent(joined(output.get('text') or data['text/plain']), '    ')


def code_text(cell):
    "A code cell and its outputs as markdown"
    code = [] if cell.off('echo') else [f'```python\n{cell.source}\n```']
    outputs = [] if cell.off('output') else map(output_text, cell.outputs)
    return '\n\n'.join([*code, *outputs])


def readme(root=ROOT):
    "The text of README.md"
    parts = [NOTE]
    for cell in read_cells(root/'nbs/index.ipynb', root):
        if cell.kind == 'markdown':
            parts.append(plain_markdown(cell.source))
        elif cell.kind == 'code' and cell.shown and cell.source.strip():
            parts.append(code_text(cell))
    lines = '\n\n'.join(parts).strip().split('\n')
    return re.sub(r'\n{3,}', '\n\n', '\n'.join(line.rstrip() for line in lines)) + '\n'


def main():
    path, text = ROOT/'README.md', readme()
    if path.exists() and path.read_text(encoding='utf-8') == text:
        return
    if '--check' in sys.argv:
        sys.exit('README.md is not what nbs/index.ipynb says: run `make export` and commit.')
    path.write_text(text, encoding='utf-8')
    print('wrote README.md')


if __name__ == '__main__':
    main()
