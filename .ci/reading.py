"""How the pages read: long sentences, wide outputs, and the number of words.

    python .ci/reading.py            what is wrong
    python .ci/reading.py words      the words of each page
"""
import re
import sys

from common import ROOT, joined, notebooks, prose, read_cells

LONGEST, WIDEST = 45, 80            # words of a sentence, characters of a line of output


def paragraphs(text):
    "The paragraphs and items of a markdown text, without code, formulas, tables and links' targets"
    text = prose(text)
    text = re.sub(r'\$\$.+?\$\$|\$[^$\n]+\$', 'x', text, flags=re.S)
    text = re.sub(r'!?\[([^\]]*)\]\([^)]*\)(\{[^}]*\})?', r'\1', text)
    lines = [line for line in text.split('\n') if not re.match(r'\s*(\||:::|#|---)', line)]
    return re.split(r'\n\s*\n|\\\n|\n\s*(?=[-*>] |\d+\. )', '\n'.join(lines))


def sentences(text):
    "The sentences of a markdown text"
    for paragraph in paragraphs(text):
        yield from re.split(r'(?<=[.!?:;])[)\'"*]*\s+(?=[A-Z*`(\[])', paragraph)


def words(text):
    "The words of a text"
    return re.findall(r"[^\W_]+(?:['’.-][^\W_]+)*", text)


def long_sentences(cells):
    "Sentences that are too long to be read at once"
    for cell in cells:
        if cell.kind == 'markdown':
            for sentence in sentences(cell.source):
                if len(words(sentence)) > LONGEST:
                    yield cell, f'a sentence of {len(words(sentence))} words: {sentence.strip()[:60]}...'


def wide_outputs(cells):
    "Lines of printed text that a page cannot show"
    for cell in cells:
        for output in cell.outputs if cell.shown else ():
            data = output.get('data', {})
            text = joined(output.get('text', '') or ('' if set(data) - {'text/plain'} else data.get('text/plain', '')))
            width = max(map(len, text.split('\n')))
            if width > WIDEST:
                yield cell, f'its output is {width} characters wide; {WIDEST} fit. Show a table, or shorter lines'


def check_reading(root=ROOT):
    "What is hard to read on the pages"
    for page in notebooks(root):
        cells = read_cells(page, root)
        for check in long_sentences, wide_outputs:
            yield from (f'{cell.where}: {wrong}' for cell, wrong in check(cells))


def count_words(root=ROOT):
    "Words of prose, a page"
    return {page.relative_to(root).as_posix(): sum(
        len(words(p)) for cell in read_cells(page, root) if cell.kind == 'markdown'
        for p in paragraphs(cell.source)) for page in notebooks(root)}


if __name__ == '__main__':
    if sys.argv[1:] == ['words']:
        counts = count_words()
        print('\n'.join(f'{n:6,}  {name}' for name, n in counts.items()), f'\n{sum(counts.values()):6,}  in all')
    else:
        wrong = list(check_reading())
        sys.exit('\n'.join(wrong) or 0)
