"""Write README.md from nbs/index.ipynb, with nbconvert, so that no Quarto is needed.

    python .ci/readme.py            write README.md
    python .ci/readme.py --check    only say whether it is up to date
"""
import argparse, difflib, re, sys
from pathlib import Path

import nbformat, yaml
from nbconvert import MarkdownExporter
from traitlets.config import Config

from common import ROOT, code_lines, split_flags

NOTE = '<!-- Generated from nbs/index.ipynb by .ci/readme.py. Do not edit: change the notebook, then run `make export`. -->'
PRIORITY = ['text/markdown', 'text/html', 'text/plain']


def relink(target):
    "A link of nbs/index.ipynb as seen from the top folder"
    if re.match(r'[a-z][a-z0-9+.-]*:|//|#|/', target, re.I): return target
    return target[3:] if target.startswith('../') else f'nbs/{target.removeprefix("./")}'


def plain_line(line):
    "A line of markdown with its links seen from the top folder and what only Quarto understands taken off; None where nothing is left"
    if re.match(r'\s*:::', line): return None                                                        # a box or a column
    codes = re.findall(r'`+[^`]+`+', line)                                                           # set aside, so that it stays as it is
    for i, o in enumerate(codes): line = line.replace(o, f'\0{i}\0', 1)
    line = re.sub(r'^(#{1,6}\s.*?)\s*\{#([\w.-]+)[^}]*\}\s*$', r'<a id="\2"></a>\n\n\1', line)         # ## Heading {#anchor}
    line = re.sub(r'^(#{1,6}\s.*?)\s*\{[.-][^}]*\}\s*$', r'\1', line)                                 # ## Heading {.unnumbered}
    line = re.sub(r'!\[[^\]]*\](\([^)]+\))\{[^}]*fig-alt="([^"]*)"[^}]*\}', r'![\2]\1', line)         # ![caption](a.png){fig-alt="..."}
    line = re.sub(r'(!\[[^\]]*\]\([^)]+\))\{[^}]*\}', r'\1', line)                                   # ![alt](a.png){width=50%}
    line = re.sub(r'\]\(([^)\s]+)((?:\s+"[^"]*")?\))', lambda m: f']({relink(m[1])}{m[2]}', line)
    line = re.sub(r'(<(?:img|a)\b[^>]*?\b(?:src|href)=["\'])([^"\']+)', lambda m: m[1] + relink(m[2]), line)
    line = re.sub(r'^(\s{0,3}\[[^\]^]+\]:\s+)(\S+)', lambda m: m[1] + relink(m[2]), line)
    return re.sub('\0(\\d+)\0', lambda m: codes[int(m[1])], line)


def plain_markdown(text):
    "Markdown for GitHub"
    lines = [line if code else plain_line(line) for line, code in zip(text.split('\n'), code_lines(text))]
    return '\n'.join(o for o in lines if o is not None)


def title_of(cell):
    "The first cell as `# Title` and `> subtitle`, whether markdown or YAML"
    text = cell.source.strip()
    if cell.cell_type == 'raw':
        meta = yaml.safe_load(text.strip('-'))
        return f"# {meta['title']}\n\n> {meta.get('description') or meta.get('subtitle')}"
    return '\n'.join(o for o in text.split('\n') if not re.match(r'-\s+[\w-]+:', o)).strip()          # `- key: value` lines are settings of the page


def readme(root=ROOT):
    "The text of README.md"
    path = Path(root)/'nbs/index.ipynb'
    nb = nbformat.read(path, 4)
    cells = []
    for i, c in enumerate(nb.cells):
        if c.cell_type == 'markdown' or i == 0:
            cells.append(nbformat.v4.new_markdown_cell(plain_markdown(title_of(c) if i == 0 else c.source)))
        if c.cell_type != 'code': continue
        flags, c.source = split_flags(c.source)
        off = lambda k: flags.get(k, '').lower() == 'false'
        if 'hide' in flags or off('include') or not c.source.strip(): continue
        if off('output') or off('eval'): c.outputs = []
        if 'hide_input' in flags or off('echo'): c.source = ''
        for o in c.outputs:
            data = o.get('data', {})
            if any(k.startswith('image/') for k in data):
                sys.exit(f'{path.relative_to(root)}, cell {i+1}: its output is a picture, which README.md cannot hold; save it to nbs/images/ and show it with ![alt](images/...)')
            if 'text/html' in data: data['text/html'] = re.sub(r'<style.*?</style>\s*', '', data['text/html'], flags=re.S)
        if c.source or c.outputs: cells.append(c)
    nb.cells, nb.metadata['language_info'] = cells, {'name': 'python'}
    cfg = Config({'NbConvertBase': {'display_data_priority': PRIORITY}, 'TemplateExporter': {'exclude_input_prompt': True, 'exclude_output_prompt': True}})
    text, _ = MarkdownExporter(config=cfg).from_notebook_node(nb)
    text = re.sub(r'```\w*\n\n?```\n', '', text)                                                      # the empty code of an output alone
    text = '\n'.join(o.rstrip() for o in text.strip().split('\n'))
    return f'{NOTE}\n\n' + re.sub(r'\n{3,}', '\n\n', text) + '\n'


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--check', action='store_true', help='only say whether README.md is up to date')
    p.add_argument('--root', default=ROOT, type=Path, help='the project')
    args = p.parse_args()
    path = args.root.resolve()/'README.md'
    if not (args.root/'nbs/index.ipynb').exists(): sys.exit('nbs/index.ipynb does not exist: README.md is made from it')
    new, old = readme(args.root.resolve()), path.read_text(encoding='utf-8') if path.exists() else ''
    if not args.check:
        if new != old: path.write_text(new, encoding='utf-8'); print('wrote README.md')
    elif new != old:
        diff = list(difflib.unified_diff(old.split('\n'), new.split('\n'), 'README.md', 'from nbs/index.ipynb', lineterm='', n=1))
        sys.exit('\n'.join(diff[:40]) + '\n\nREADME.md is not what nbs/index.ipynb says: run `make export` and commit the result.')
    else: print('README.md is up to date')


if __name__ == '__main__': main()
