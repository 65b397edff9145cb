"""The pages of the website as nbdev prepares them for Quarto."""
import common


def test_nbdev_prepares_every_page(prepared):
    "It runs the cells that import or export, and gives each notebook a page"
    assert len(list(prepared.rglob('*.ipynb'))) == len(common.notebooks())
