"""The links of a page, and the anchors that they lead to."""
import ast
import re
import unicodedata
from urllib.parse import unquote

from common import headings, prose, read_cells
from comments import DEFINED, decorators


def anchor(heading):
    "The anchor that the website gives a heading (Pandoc's rule)"
    text = re.sub(r'!?\[([^\]]*)\]\([^)]*\)', r'\1', re.sub(r'[`*$]', '', heading)).lower()
    text = re.sub(r'[^\w\s.-]', '', unicodedata.normalize('NFC', text)).strip()
    return re.sub(r'^[\W\d_]+', '', re.sub(r'\s+', '-', text)) or 'section'


def anchors(cells):
    "The anchors of a page: headings, explicit ones, figures with a label, documented names"
    found = []
    for level, text, _ in headings(cells):
        name = anchor(text)
        if level > 1 and '{#' not in text:
            found.append(f'{name}-{found.count(name)}' if name in found else name)
    for cell in cells:
        text = prose(cell.source) if cell.kind == 'markdown' else ''
        found += re.findall(r'\{#([\w.-]+)', text) + re.findall(r'<[^>]+\bid="([^"]+)"', text)
        found += [cell.flags['label']] if 'label' in cell.flags else []
        if cell.kind == 'code':
            found += documented(cell)
    return set(found)


def documented(cell):
    "The anchors of names that a code cell documents: exported ones, those in `show_doc(...)`"
    if not cell.exported:
        return [name.lower() for name in re.findall(r'^show_doc\(([\w.]+)', cell.source, re.M)]
    names = []
    for node in ast.parse(cell.source).body:
        if isinstance(node, DEFINED) and 'dispatch' not in decorators(node):
            patched = 'patch' in decorators(node)
            owner = ast.unparse(node.args.args[0].annotation) + '.' if patched else ''
            names.append(f'{owner}{node.name}'.lower())
    return [name for name in names if not re.search(r'(^|\.)_', name)]


def check_link(target, page, root):
    "Say what is wrong with a link on a page, if it leads to a file"
    if re.match(r'[a-z][a-z0-9+.-]*:|//', target, re.I):
        return None
    name, _, mark = unquote(target).partition('#')
    file = (page.parent/name).resolve() if name else page
    if not file.exists():
        return 'there is no such file'
    if page.suffix == '.ipynb' and root/'nbs' not in file.parents:
        return 'the website has no files from outside nbs/'
    if mark and file.suffix == '.ipynb' and mark not in anchors(read_cells(file, root)):
        return 'the page has no such heading or name'


def broken_links(text, page, root):
    "The broken links of a text, as messages"
    targets = re.findall(r'\]\(\s*<?([^)\s>]+)', prose(text))
    targets += re.findall(r'<(?:img|a)\b[^>]*?\b(?:src|href)="([^"]+)', prose(text))
    for target in targets:
        wrong = check_link(target, page, root)
        if wrong:
            yield f'the link to {target} is broken: {wrong}'
