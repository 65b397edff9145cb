"""The pages of the website as nbdev prepares them, and what _quarto.yml says of them."""
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

import common

ROOT = Path(__file__).resolve().parent.parent
SITE = yaml.safe_load((ROOT/'_quarto.yml').read_text(encoding='utf-8'))['website']


def entries(contents):
    "The entries of a navigation that lead to a page, as (page, text or None)"
    for entry in contents:
        if isinstance(entry, str):
            yield entry, None
            continue
        for name in 'href', 'auto':
            if name in entry:
                yield entry[name], entry.get('text')
        yield from entries(entry.get('contents', []))


def front_matter(page):
    "What a prepared page says of itself"
    return yaml.safe_load(common.read_cells(page, page.parent)[0].source.strip().strip('-'))


def test_nbdev_prepares_every_page(prepared):
    "It runs the cells that import or export, and gives each notebook a page"
    assert len(list(prepared.rglob('*.ipynb'))) == len(common.notebooks())


def test_every_page_has_one_title_and_takes_its_picture_from_the_site(prepared):
    pages = {page: front_matter(page) for page in prepared.rglob('*.ipynb')}
    assert all(page['title'] and page['description'] for page in pages.values())
    titles = Counter(page['title'] for page in pages.values())
    assert [title for title, n in titles.items() if n > 1] == []
    assert [name for name, page in pages.items() if 'image' in page or 'pagetitle' in page] == []


def test_the_sidebar_lists_every_page_once_under_its_own_title():
    listed = list(entries(SITE['sidebar']['contents']))
    names = Counter(page.relative_to(ROOT/'nbs').as_posix()
                    for name, _ in listed for page in (ROOT/'nbs').glob(name))
    assert names == Counter(page.relative_to(ROOT/'nbs').as_posix() for page in common.notebooks())
    assert [name for name, _ in listed if not list((ROOT/'nbs').glob(name))] == []
    assert [name for name, text in listed if text] == []


def test_the_social_picture_has_an_absolute_address():
    picture = SITE['image']
    assert picture == SITE['open-graph']['image'] == SITE['twitter-card']['image']
    cfg = common.settings()
    assert SITE['site-url'] == cfg['doc_host'] + cfg['doc_baseurl']
    assert picture.startswith(f'{SITE["site-url"]}/')
    assert (ROOT/'nbs'/picture[len(SITE['site-url']) + 1:]).is_file()


@pytest.mark.parametrize('name', sorted(path.name for path in ROOT.glob('*.md')))
def test_links_of_the_texts_at_the_top_lead_to_files(name):
    text = common.prose((ROOT/name).read_text(encoding='utf-8'))
    targets = re.findall(r'\]\(\s*<?([^)\s>]+)', text)
    targets += re.findall(r'<(?:img|a)\b[^>]*?\b(?:src|href)="([^"]+)', text)
    files = [unquote(target).partition('#')[0] for target in targets
             if not re.match(r'[a-z][a-z0-9+.-]*:|//', target, re.I)]
    assert [file for file in files if not (ROOT/file).exists()] == []
