"""Tests of `alignet.cli`.

Generated from nbs/10_cli.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import contextlib
import sys
from pathlib import Path
from alignet import __version__
import io
import subprocess
import tempfile
import numpy as np
from fastcore.test import test_eq
from alignet.core import *
import pandas as pd
from PIL import Image, ImageDraw
from alignet.data import Judgements
from alignet.features import create_backbone
from alignet.export import export_timm
from alignet.teacher import Teacher
from alignet.cli import *
from alignet.cli import _rate, _words

NOTEBOOK = 'nbs/10_cli.ipynb'     # a test runs in the folder of its notebook


def test_the_parser():
    "The parser"
    # cell 32
    test_eq(
        set(parser()._subparsers._group_actions[0].choices),
        {'demo', 'features', 'teacher', 'label', 'train', 'eval', 'export'},
    )

    # cell 34, in part
    code = "import sys; from alignet.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: print('torch' in sys.modules)"
    say = lambda *words: subprocess.run(
        [sys.executable, '-c', code, *words], capture_output=True, text=True, check=True
    ).stdout

    # cell 35
    assert say('--help').endswith('False\n') and say('eval', '--help').endswith('False\n')
    assert (
        say('--version').startswith(f'alignet {__version__}')
        and 'default: 64' in say('eval', '--help')
        and 'None' not in say('eval', '--help')
    )


def test_the_road_in_five_commands():
    "The road in five commands"
    # cell 38, in part
    def draw(folder):
        rows = []
        for i in range(18):
            im = Image.new('RGB', (48, 48), 'white')
            d = ImageDraw.Draw(im)
            r = rng(i).integers(4, 14, 2).tolist()
            (d.ellipse if i % 2 else d.rectangle)(r + [40, 40], fill=['navy', 'orange', 'green'][i % 3])
            im.save(folder/f'{i:02d}.png')
            rows.append([i % 2, *np.eye(3)[i % 3]])
        E = np.array(rows) + rng(3).normal(size=(18, 4)) * .01
        t = np.stack([rng(7, i).choice(18, 3, replace=False) for i in range(400)])
        return Judgements(
            odd_last(t, triplet_sims(E, t))[0], [f'{i:02d}.png' for i in range(18)],
            source='shape and colour',
        )

    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        (d/'images').mkdir()
        draw(d/'images').save(d/'judgements.npz')
        model = 'local-dir:' + str(d/'tiny')
        export_timm(create_backbone('test_efficientnet', pretrained=False), d/'tiny')
        steps = [
            f'features {model} {d}/images --out {d}/store',
            f'teacher {d}/store {d}/judgements.npz --out {d}/teacher.npz',
            f'label {d}/store --teacher {d}/teacher.npz --n 200 --clusters 3 --out {d}/labels.npz',
            f'train {d}/labels.npz {model} {d}/images --epochs 1 --bs 8 --size 48 --out {d}/aligned',
            f'eval {model} local-dir:{d}/aligned --judgements {d}/judgements.npz --images {d}/images --out {d}/scores',
        ]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed): codes = [main(s.split()) for s in steps]
        scores, whole = read_json(d/'scores.json'), (d/'aligned'/'model.safetensors').is_file()
        weights = lambda: (d/'aligned'/'model.safetensors').read_bytes()
        first, left = weights(), list(d.glob('*.checkpoint'))
        with contextlib.redirect_stdout(io.StringIO()):
            codes.append(main([*steps[3].split(), '--loss', 'kl']))
            other = weights()
            codes.append(main(steps[3].split()))
            again = weights()
        more = [
            f'label {d}/store --teacher {d}/teacher.npz --n 300 --clusters 3 --shards --out {d}/many',
            f'train {d}/many {model} {d}/images --recipe published --steps 2 --bs 6 --size 48 --head 8 --out {d}/published',
        ]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(
            io.StringIO()
        ) as said:
            codes += [main(o.split()) for o in more]
            refused = [
                main(o.split())
                for o in (
                    more[0].replace('--teacher ' + str(d / 'teacher.npz'), '--control'),
                    f'train {d}/many {model} {d}/images --steps 2 --out {d}/x',
                    f'export {model} --onnx --push --out {d}/x',
                )
            ]
            for i, im in enumerate(sorted((d/'images').glob('*.png'))):
                (d/'sorted'/str(i % 2)).mkdir(parents=True, exist_ok=True)
                (d/'sorted'/str(i % 2)/im.name).write_bytes(im.read_bytes())
            (d/'half.txt').write_text('\n'.join(f'{i:02d}.png' for i in range(12)))
            codes += [
                main(
                    f'eval {model} --data {d}/sorted --suites few_shot pictures --shots 2,4 --draws 2 --max-test 9 --maps none --out {d}/shots'.split()
                ),
                main(
                    f'eval {model} --judgements {d}/judgements.npz --images {d}/images --objects {d}/half.txt --out {d}/half'.split()
                ),
            ]
            shots, half = read_json(d/'shots.json'), read_json(d/'half.json')
            codes.append(
                main(
                    f'train {d}/many {model} {d}/images --recipe all_triplets --steps 2 --bs 8 --size 48 --out {d}/shards-aligned'.split()
                )
            )
            j = Judgements.load(d/'judgements.npz')
            pd.DataFrame(np.array(j.names)[j.triplets], columns=list('abc')).to_csv(
                d / 'answers.csv', index=False
            )
            codes += [
                main(o.split())
                for o in (
                    f'teacher {d}/store {d}/answers.csv --out {d}/table.npz',
                    f'eval {d}/aligned --suites odd_one_out,calibration --judgements {d}/answers.csv --images {d}/images --out {d}/table',
                    f'export {d}/tiny --out {d}/copy',
                )
            ]
            teachers, table = [
                Teacher.load(d / o).weights for o in ('teacher.npz', 'table.npz')
            ], read_json(d / 'table.json')
        sharded, trained, card = (
            (d / 'many' / 'labels' / 'manifest.json').is_file(),
            (d / 'published' / 'config.json').is_file(), (d / 'aligned' / 'README.md').read_text(),
        )

    # cell 39
    test_eq(codes, [0] * 15)
    test_eq(*teachers)
    test_eq(len({r['suite'] for r in table['rows']}), 2)
    test_eq(table['about']['data']['answers'], 18)
    assert 'at 48 pixels' in card and 'from tiny' in card and str(d) not in card
    test_eq({r['measure'].split('-')[0] for r in shots['rows']}, {'2', '4'})
    assert half['rows'][0]['n'] < scores['rows'][0]['n']
    test_eq(
        [
            _rate(*o)
            for o in (
                (None, None, 3e-5), (1e-5, None, 3e-5), (None, 0.1, 3e-5), (1e-5, None, slice(1, 2)),
            )
        ],
        [None, slice(1e-5, 1e-5), slice(3e-5, 0.1), slice(1e-5, 2)],
    )
    test_eq(refused, [2, 2, 2])
    test_eq(left, [])
    assert sharded and trained
    # other settings train another model, the same settings the same
    assert other != first and again == first
    assert (
        whole
        and len(scores['models']) == 2
        and {r['suite'] for r in scores['rows']} == {'odd_one_out', 'calibration'}
        and 'saved' in printed.getvalue()
    )

    # cell 41, in part
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        codes = [
            main(['demo', '--world', 'mars']), main(['label', '.', '--out', 'x.npz']),
            main(['features', 'vit_bse_patch16_224', '.', '--out', 'x']),
            main(['eval', 'test_efficientnet', '--shots', '1,five']),
        ]

    # cell 42
    with contextlib.redirect_stderr(io.StringIO()) as told:
        test_eq(
            [
                main(o.split())
                for o in (
                    'eval test_efficientnet --judgements answers.csv --images .',
                    'label nowhere --control --out x.npz', 'teacher x y --out z',
                )
            ],
            [2] * 3,
        )
    test_eq(told.getvalue().count('does not exist'), 3)
    assert 'make it: alignet features MODEL IMAGES --out nowhere' in told.getvalue()
    test_eq(
        _words('choose another folder, or overwrite=True to make it anew', 'features'),
        'choose another folder, or --overwrite to make it anew',
    )
    test_eq(_words('make one with extract_features', 'label'), 'make one with `alignet features`')

    # cell 43
    test_eq(codes, [2, 2, 2, 2])
    for words, say in (
        (['--shots', '0'], 'ks must be'), (['--draws', '0'], 'draws must be'),
        (['--max-test', '-1'], 'max_test must be'), (['--objects', 'nowhere.txt'], 'cannot be read'),
        (['--all-concepts'], 'belongs to --objects'),
    ):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            test_eq(main(['eval', 'test_efficientnet', *words]), 2)
        assert say in said.getvalue(), said.getvalue()
    assert 'choose one of offline, things' in err.getvalue() and '--teacher' in err.getvalue()
