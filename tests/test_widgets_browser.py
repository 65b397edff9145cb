"""The widgets in JupyterLab, in a real browser: trials by click and key, a killed kernel, the record."""
import base64
import importlib.util
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image, ImageDraw

from alignet.data import ImageSet, Judgements
from alignet.worlds.tables import *
from alignet.extras.answers import answers_table, read_answers

# ms that a state may take to come on a busy machine
PATIENCE = 60_000
SETTINGS = {
    '@jupyterlab/apputils-extension/notification': dict(
        fetchNews='false', checkForUpdates=False, doNotDisturbMode=True
    ),
    '@jupyterlab/notebook-extension/tracker': dict(windowingMode='none', recordTiming=False),
}
SET_UP = """import os
from pathlib import Path
Path('pid.txt').write_text(str(os.getpid()))
import numpy as np
from alignet.data import ImageSet, Judgements
from alignet.worlds.tables import *
from alignet.extras.ask import *
from alignet.extras.browse import *
pictures = ImageSet('pictures'); X = np.random.default_rng(0).normal(size=(len(pictures), 5)).astype('float32')"""
CELLS = [
    SET_UP, "w = OddOneOut(pictures, 'judgements.csv', annotator='p01', n=10, catch=0, px=120)\nw",
    "t = Judgements([[0, 1, 2], [3, 4, 5], [6, 7, 8], [2, 5, 9], [1, 8, 4]], pictures.names)\n"
    "b = TripletBrowser(pictures, t, model=X, n=2, order='given')\nb",
    "groups = ['even' if i % 2 == 0 else 'odd' for i in range(len(pictures))]\n"
    "m = BeforeAfter(pictures, X, X[:, :3], groups=groups, k=3)\nm",
]


def draw_pictures(folder, n=12):
    "Small pictures that differ in colour and shape"
    folder.mkdir()
    for i in range(n):
        im = Image.new('RGB', (90, 90), 'white')
        d = ImageDraw.Draw(im)
        colour = tuple(int(v) for v in np.random.default_rng(i).integers(30, 220, 3))
        (d.ellipse if i % 2 else d.rectangle)((10 + i, 12, 80, 60 + i), fill=colour)
        im.save(folder/f'shape_{i:02d}.png')


class Lab:
    "JupyterLab on loopback, with a folder and settings of its own, and a page that shows one notebook"
    def __init__(self, folder, cells, settings=SETTINGS):
        self.folder, self.home = folder/'work', folder/'jupyter'
        self.folder.mkdir()
        self.cells = cells
        for name, values in settings.items():
            f = self.home/'settings'/f'{name}.jupyterlab-settings'
            f.parent.mkdir(parents=True, exist_ok=True)
            f.write_text(json.dumps(values))
        nb = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(o) for o in cells],
            metadata=dict(
                kernelspec=dict(name='python3', display_name='Python 3', language='python')
            ),
        )
        nbformat.write(nb, self.folder/'study.ipynb')

    def __enter__(self):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            port = s.getsockname()[1]
        own = {
            f'JUPYTER_{k}_DIR': str(self.home / k.lower()) for k in ('CONFIG', 'DATA', 'RUNTIME')
        } | dict(
            JUPYTERLAB_SETTINGS_DIR=str(self.home / 'settings'),
            JUPYTERLAB_WORKSPACES_DIR=str(self.home / 'workspaces'),
            IPYTHONDIR=str(self.home / 'ipython'),
        )
        quiet = dict(OMP_NUM_THREADS='1', PYTHONWARNINGS='ignore', JUPYTER_PLATFORM_DIRS='1')
        options = [
            '--ServerApp.token=only-for-this-test', f'--ServerApp.root_dir={self.folder}',
            '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate', '--LabApp.news_url=',
            '--LabApp.extension_manager=readonly', '--LabApp.expose_app_in_browser=True',
        ]
        self.log = open(self.folder.parent/'lab.log', 'wb')
        self.process = subprocess.Popen(
            [
                sys.executable, '-m', 'jupyterlab', '--ip', '127.0.0.1', '--port', str(port),
                '--no-browser', '--allow-root', *options,
            ],
            cwd=self.folder,
            env={k: v for k, v in os.environ.items() if k != 'IN_TEST'} | own | quiet,
            stdout=self.log,
            stderr=self.log,
            stdin=subprocess.DEVNULL,
        )
        self.url = f'http://127.0.0.1:{self._port()}'
        return self

    def _port(self):
        "The port it listens on, once it does"
        until = time.monotonic() + PATIENCE/1000
        while time.monotonic() < until:
            assert self.process.poll() is None, f'JupyterLab ended: {self._tail()}'
            for f in (self.home/'runtime').glob('jpserver-*.json'):
                try: return json.loads(f.read_text())['port']
                except ValueError: pass               # not written to its end
            time.sleep(.1)
        raise AssertionError(f'JupyterLab did not start: {self._tail()}')

    def _tail(self):
        self.log.flush()
        return Path(self.log.name).read_text(errors='replace')[-2000:]

    def __exit__(self, *_):
        self.process.terminate()
        try: self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def open(self, browser, **kw):
        "A page with the notebook, its kernel idle"
        self.page = browser.new_page(viewport=dict(width=1100, height=1300), **kw)
        self.page.set_default_timeout(PATIENCE)
        self.errors = []
        self.page.on('pageerror', lambda e: self.errors.append(str(e)))
        self.page.goto(
            f'{self.url}/lab/tree/study.ipynb?token=only-for-this-test&reset',
            wait_until='domcontentloaded',
        )
        self.page.wait_for_function(
            "() => window.jupyterapp && document.querySelectorAll('.jp-Notebook .jp-CodeCell').length > 0"
        )
        self.idle()
        return self.page

    def idle(self):
        "Wait for a kernel that is connected and waits itself"
        self.page.wait_for_function(
            "() => { const c = window.jupyterapp.shell.currentWidget?.sessionContext;"
            " const k = c?.session?.kernel;"
            " return c?.isReady && k?.status === 'idle' && k?.connectionStatus === 'connected'; }"
        )
    def command(self, name):
        return self.page.evaluate('(name) => { window.jupyterapp.commands.execute(name); }', name)
    def run_all(self): self.command('notebook:run-all-cells')
    def output(self, cell, widget):
        return self.page.locator('.jp-Notebook .jp-Cell').nth(cell).locator(widget).last


def answer(lab, w, number, position, key):
    "Answer a trial once its pictures are painted, and check that they are those of the record"
    w.and_(lab.page.locator(f'[data-ready="{number}"]')).wait_for()
    urls = w.locator('.pictures img').evaluate_all('(l) => l.map((o) => o.src)')
    # Enter on a picture, held down: its repeats answer nothing
    if key == 'held':
        w.locator('.pictures button').nth(position).focus()
        lab.page.keyboard.down('Enter')
        w.and_(lab.page.locator(f'[data-ready="{number + 1}"]')).wait_for()
        lab.page.keyboard.down('Enter')
        lab.page.keyboard.down('Enter')
        lab.page.keyboard.up('Enter')
    elif key:
        w.focus()
        lab.page.keyboard.press(str(position + 1))
    else: w.locator('.pictures button').nth(position).click()
    return position, urls


def kill_kernel(lab):
    "SIGKILL the kernel; the server starts another, and the page says so"
    pid = int((lab.folder/'pid.txt').read_text())
    (lab.folder/'pid.txt').unlink()
    os.kill(pid, signal.SIGKILL)
    dialog = lab.page.locator('.jp-Dialog')
    dialog.wait_for()
    dialog.get_by_role('button', name='Ok').click()
    dialog.wait_for(state='detached')
    lab.idle()


def check_record(lab, given):
    "The file against what was clicked and what was on the screen"
    f = lab.folder/'judgements.csv'
    t = answers_table(f)
    images = ImageSet(lab.folder/'pictures')
    assert (
        t.trial.tolist() == list(range(1, 11))
        and t.position.tolist() == [p for p, _ in given]
        and set(t.annotator) == {'p01'}
        and t.session.tolist() == [1] * 5 + [2] * 5
    )
    assert (t.rt > 0).all() and (t.rt < 60).all() and t.time.is_monotonic_increasing
    for row, (_, urls) in zip(t.itertuples(), given):
        for file, url in zip((row.left_file, row.middle_file, row.right_file), urls):
            assert np.array_equal(
                np.asarray(
                    Image.open(io.BytesIO(base64.b64decode(url.split(',')[1]))).convert('RGB')
                ),
                np.asarray(images[file]),
            ), 'another picture was shown'
    plain, ours = Judgements.from_table(
        f, columns=['left', 'middle', 'right'], odd='odd', subjects='annotator', drop=True
    ), read_answers(f)
    rows = [
        [{n[i] for i in j[:2]} | {('odd', n[j[2]])} for j in o.triplets.tolist()]
        for o, n in ((plain, plain.names), (ours, ours.names))
    ]
    wanted = [
        set((s := [r.left, r.middle, r.right])[:p] + s[p + 1 :]) | {('odd', s[p])}
        for r, (p, _) in zip(t.itertuples(), given)
    ]
    assert rows == [wanted, wanted] and len(ours) == 10
    assert f.read_text().count('----') == 1, 'the answer that was taken back is still to be seen'


def try_browser(lab):
    "Page, order and filter of the triplet browser"
    b = lab.output(2, '.alignet-triplets')
    b.locator('.card').nth(1).wait_for()

    def names():
        return b.locator('figcaption').all_text_contents()

    assert (
        names()[:3] == ['shape_00.png', 'shape_01.png', 'shape_02.png']
        and b.locator('.card').count() == 2
        and b.locator('.odd figcaption').first.text_content() == 'shape_02.png'
    )
    bars = b.locator('.card').first.locator('.p').all_text_contents()
    assert (
        [o.split()[0] for o in bars] == ['people', 'model'] * 3
        and bars[4] == 'people 100%'
        and abs(sum(int(o.split()[1][:-1]) for o in bars[1::2]) - 100) <= 2
    )
    b.locator('.next').click()
    b.and_(lab.page.locator('[data-page="1"]')).wait_for()
    assert names()[:3] == ['shape_06.png', 'shape_07.png', 'shape_08.png']
    lab.page.keyboard.press('ArrowRight')
    b.and_(lab.page.locator('[data-page="2"]')).wait_for()
    assert len(names()) == 3 and b.locator('.next').is_disabled()
    b.locator('select').first.select_option('disagreement')
    b.and_(lab.page.locator('[data-page="0"]')).wait_for()
    found = [float(o.split()[1]) for o in b.locator('.top span:last-child').all_text_contents()]
    assert found == sorted(found, reverse=True)


def try_maps(lab):
    "A click in one map selects in both; a click on a neighbour goes on from there"
    m = lab.output(3, '.alignet-map')
    m.locator('.strip button').nth(5).wait_for()
    maps = m.locator('.maps svg')
    start = m.get_attribute('data-selected')
    other = next(str(i) for i in range(12) if str(i) != start)
    maps.nth(1).locator(f'path.pt[data-i="{other}"]').dispatch_event('click')
    m.and_(lab.page.locator(f'[data-selected="{other}"]')).wait_for()
    assert [maps.nth(s).locator('line').count() for s in (0, 1)] == [3, 3] and m.locator(
        '.legend'
    ).text_content().split() == ['even', 'odd']
    assert [maps.nth(s).locator('.marks .face.me').get_attribute('data-i') for s in (0, 1)] == [
        other
    ] * 2 and len({maps.nth(s).locator('.marks .face.me').get_attribute('x') for s in (0, 1)}) == 2
    near = m.locator('.strip').nth(1).locator('button').first
    i = near.get_attribute('data-i')
    near.click()
    m.and_(lab.page.locator(f'[data-selected="{i}"]')).wait_for()
    assert m.locator('select').input_value() == i


@pytest.fixture
def lab(browser, tmp_path):
    if importlib.util.find_spec('jupyterlab') is None:
        pytest.skip('needs JupyterLab: pip install jupyterlab')
    o = Lab(tmp_path, CELLS)
    draw_pictures(o.folder/'pictures')
    with o:
        o.open(browser)
        yield o
        o.page.close()


def test_ten_trials_with_a_killed_kernel(lab):
    lab.run_all()
    w, given = lab.output(1, '.alignet-odd'), []
    for number, (position, key) in enumerate(
        [(0, False), (1, True), (2, True), (0, True), (1, False)], 1
    ):
        given.append(answer(lab, w, number, position, key))
    w.and_(lab.page.locator('[data-ready="6"]')).wait_for()
    assert w.locator('.count').text_content() == '5 of 10'
    assert {
        o
        for o in w.locator('[aria-label], img').evaluate_all(
            "(l) => l.map((o) => (o.getAttribute('aria-label') || '') + (o.alt || ''))"
        )
        if 'shape' in o
    } == set(), 'names of pictures are told'
    # JupyterLab's key for a cell of text: not while a widget has the focus
    w.focus()
    lab.page.keyboard.press('m')
    kill_kernel(lab)

    # the new widget begins where the old one ended
    lab.run_all()
    w.and_(lab.page.locator('[data-ready="6"]')).wait_for()
    w = lab.output(1, '.alignet-odd')
    w.and_(lab.page.locator('[data-ready="6"]')).wait_for()
    assert w.locator('.count').text_content() == '5 of 10'
    given.append(answer(lab, w, 6, 2, True))
    answer(lab, w, 7, 0, True)
    # that one was a slip
    w.and_(lab.page.locator('[data-ready="8"]')).wait_for()
    w.focus()
    lab.page.keyboard.press('Backspace')
    for number, (position, key) in enumerate([(1, True), (2, 'held'), (0, True), (2, False)], 7):
        given.append(answer(lab, w, number, position, key))
    w.and_(lab.page.locator('[data-ready="done"]')).wait_for()
    check_record(lab, given)

    try_browser(lab)
    try_maps(lab)
    in_words = lab.page.locator('.jp-Notebook .jp-MarkdownCell').count()
    assert in_words == 0, 'a key of the widget was taken for a shortcut'
    lab.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    saved = nbformat.read(lab.folder/'study.ipynb', 4)
    assert [(c.cell_type, c.source) for c in saved.cells] == [('code', o) for o in lab.cells]
    assert all(
        {'image/png', 'text/plain'} <= set(saved.cells[k].outputs[-1].data) for k in (1, 2, 3)
    ), 'a reader without a kernel sees no picture'
    # outside the widgets, the shortcut lives
    lab.page.locator('.jp-Notebook .jp-Cell').nth(3).locator('.jp-InputArea-editor').click()
    lab.page.keyboard.press('Escape')
    lab.page.keyboard.press('m')
    lab.page.locator('.jp-MarkdownCell').wait_for()
    assert not lab.errors, lab.errors
