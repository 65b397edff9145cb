"""Tests of `alignet.worlds.archives`.

Generated from nbs/worlds/archives.ipynb by .ci/gen_tests.py. Do not edit: change the notebook, then run `make export`.
"""
import json
import os
import tarfile
from pathlib import Path
import numpy as np
from alignet.core import *
from alignet.data import IMAGE_SUFFIXES, ImageSet
import importlib.util
import io
import pickle
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from unittest import mock
from fastcore.test import test_eq, test_fail, test_ne
from PIL import Image, ImageDraw
from alignet.features import FeatureStore, create_backbone, extract_features
from alignet.labels import PseudoLabels
from alignet.training import PictureCache, align_learner
from alignet.worlds.archives import *
from alignet.worlds.archives import _contents, _members, _path_names

NOTEBOOK = 'nbs/worlds/archives.ipynb'     # a test runs in the folder of its notebook


def test_a_tar_is_a_list_of_blocks():
    "A tar is a list of blocks"
    # cell 8, in part
    def example_photos(folder):
        "Draw sixteen pictures in many kinds of file; return the folder"
        folder, r = Path(folder), rng(0)
        exif = Image.Exif()
        exif[0x0112] = 6
        for i in range(16):
            im = Image.new('RGB', (48 + 2*i, 64), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 16, 2).tolist() + r.integers(32, 46, 2).tolist()
            (d.ellipse if i % 2 else d.rectangle)(
                box, fill=['#0072b2', '#e69f00', '#009e73', '#cc79a7'][i % 4]
            )
            d.line((0, 60, 47, 50), fill='#555555', width=3)
            to = folder/('round' if i % 2 else 'square')/f'{i:03d}.jpg'
            to.parent.mkdir(parents=True, exist_ok=True)
            if i == 3:
                im.putalpha(Image.linear_gradient('L').resize(im.size))
                im.save(to.with_suffix('.png'))
            elif i == 6: im.save(to, exif=exif, quality=95)
            elif i == 9: im.convert('CMYK').save(to, quality=95)
            elif i == 12:
                Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16) * 257).save(
                    to.with_suffix('.png')
                )
            else: im.save(to, quality=90)
        return folder

    tmp = Path(tempfile.mkdtemp())
    folder = ImageSet.from_folder(example_photos(tmp/'photos'))

    # cell 16
    def tar_of(path, files):
        "A tar of (name, bytes)"
        with tarfile.open(path, 'w') as t:
            for name, data in files:
                m = tarfile.TarInfo(name)
                m.size = len(data)
                t.addfile(m, io.BytesIO(data))
        return path

    one = tar_of(tmp/'one.tar', [(n, folder.path(n).read_bytes()) for n in folder.names[:5]])
    names, where = _members(one)
    for n, (offset, size) in zip(names, where):
        test_eq(one.read_bytes()[offset:offset + size], folder.path(n).read_bytes())
    test_eq(names, folder.names[:5])
    where.tolist()

    # cell 18
    whole = one.read_bytes()
    (offset, size), cut = where[3], tmp/'cut.tar'
    def damaged(data):
        cut.write_bytes(data)
        return lambda: _members(cut)
    # in the middle of an image
    test_fail(damaged(whole[:offset + size//2]), contains="cut.tar' is cut off or damaged after")
    # between two
    test_fail(damaged(whole[:offset - 512]), contains='no end mark after 3 files')
    # in the middle of a header
    test_fail(damaged(whole[:offset - 300]), contains='after 3 files')
    # a header overwritten
    test_fail(
        damaged(whole[: offset - 512] + b'x' * 512 + whole[offset:]),
        contains='no tar header after 3 files',
    )
    test_fail(damaged(whole + whole), contains='glued together')
    test_fail(damaged(b'not a tar at all'), contains='cut.tar')
    test_fail(damaged(b''), contains='cut.tar')
    with tarfile.open(tmp/'small.tar.gz', 'w:gz') as t: t.add(folder.path(0), 'a.png')
    test_fail(lambda: _members(tmp/'small.tar.gz'), contains='is compressed')
    with tarfile.open(tmp/'link.tar', 'w') as t:
        m = tarfile.TarInfo('a.jpg')
        m.type, m.linkname = tarfile.SYMTYPE, 'b.jpg'
        t.addfile(m)
    test_fail(lambda: _members(tmp/'link.tar'), contains='--dereference')

    # cell 21
    with tempfile.TemporaryDirectory() as d, mock.patch.dict(os.environ, ALIGNET_CACHE=f'{d}/cache'):
        again = Path(shutil.copy(one, d))
        kept, cached = again.with_name('.one.tar.contents.npz'), Path(d)/'cache'/'shards'
        test_eq(_contents(again)[0], names)
        assert kept.is_file() and not cached.exists()
        with mock.patch('tarfile.open', side_effect=RuntimeError('read again')):
            # as it was kept
            test_eq(_contents(again)[0], names)
            test_eq(_contents(again)[1], where)
            # changed
            os.utime(again, ns=(0, 12345))
            test_fail(lambda: _contents(again), contains='read again')
        test_eq(_contents(again)[1], where)
        kept.write_bytes(b'broken')
        test_eq(_contents(again)[0], names)
        assert len(kept.read_bytes()) > 6
        # nothing can be kept beside the shard
        kept.unlink()
        kept.mkdir()
        test_eq(_contents(again)[0], names)
        test_eq([f.name[:4] for f in cached.iterdir()], ['one-'])
        # nor anywhere
        cached.rename(Path(d)/'aside')
        cached.touch()
        test_eq(_contents(again)[0], names)
        for _ in range(2): test_eq(_contents(tar_of(Path(d)/'none.tar', []))[0], [])


def test_which_shards():
    "Which shards"
    # cell 8, in part
    def example_photos(folder):
        "Draw sixteen pictures in many kinds of file; return the folder"
        folder, r = Path(folder), rng(0)
        exif = Image.Exif()
        exif[0x0112] = 6
        for i in range(16):
            im = Image.new('RGB', (48 + 2*i, 64), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 16, 2).tolist() + r.integers(32, 46, 2).tolist()
            (d.ellipse if i % 2 else d.rectangle)(
                box, fill=['#0072b2', '#e69f00', '#009e73', '#cc79a7'][i % 4]
            )
            d.line((0, 60, 47, 50), fill='#555555', width=3)
            to = folder/('round' if i % 2 else 'square')/f'{i:03d}.jpg'
            to.parent.mkdir(parents=True, exist_ok=True)
            if i == 3:
                im.putalpha(Image.linear_gradient('L').resize(im.size))
                im.save(to.with_suffix('.png'))
            elif i == 6: im.save(to, exif=exif, quality=95)
            elif i == 9: im.convert('CMYK').save(to, quality=95)
            elif i == 12:
                Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16) * 257).save(
                    to.with_suffix('.png')
                )
            else: im.save(to, quality=90)
        return folder

    tmp = Path(tempfile.mkdtemp())
    folder = ImageSet.from_folder(example_photos(tmp/'photos'))

    # cell 16, in part
    def tar_of(path, files):
        "A tar of (name, bytes)"
        with tarfile.open(path, 'w') as t:
            for name, data in files:
                m = tarfile.TarInfo(name)
                m.size = len(data)
                t.addfile(m, io.BytesIO(data))
        return path

    # cell 24
    for k in range(3):
        tar_of(tmp/f't-{k:02d}.tar', [(f'{k}{i}.jpg', folder.path(1).read_bytes()) for i in range(2)])
    three = [tmp/f't-{k:02d}.tar' for k in range(3)]
    test_eq(shard_paths(three), three)
    test_eq(shard_paths(str(three[0])), three[:1])
    test_eq(shard_paths(str(tmp/'t-*.tar')), three)
    if importlib.util.find_spec('braceexpand'):
        test_eq(shard_paths(str(tmp/'t-{00..02}.tar')), three)
        test_eq(shard_paths([tmp/'t-0{2,0}.tar']), [three[2], three[0]])
        test_fail(lambda: shard_paths(tmp/'t-{00..03}.tar'), contains='1 of 4 shards do not exist')
        test_fail(lambda: shard_paths('t-{00..02.tar'), contains='cannot be read')
    else: print('skipped: pip install webdataset to try patterns in braces')
    for bad, why in (
        ('x.tar', 'x.tar'), (tmp / 'q-*.tar', 'matches no file'), (tmp / 'photos', 'no .tar'),
        ('https://example.org/a.tar', 'is not a local file'), (three + three[:1], 'given twice'),
        ([], 'no shards'),
    ):
        test_fail(lambda: shard_paths(bad), contains=why)


def test_images_in_shards():
    "Images in shards"
    # cell 8, in part
    def example_photos(folder):
        "Draw sixteen pictures in many kinds of file; return the folder"
        folder, r = Path(folder), rng(0)
        exif = Image.Exif()
        exif[0x0112] = 6
        for i in range(16):
            im = Image.new('RGB', (48 + 2*i, 64), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 16, 2).tolist() + r.integers(32, 46, 2).tolist()
            (d.ellipse if i % 2 else d.rectangle)(
                box, fill=['#0072b2', '#e69f00', '#009e73', '#cc79a7'][i % 4]
            )
            d.line((0, 60, 47, 50), fill='#555555', width=3)
            to = folder/('round' if i % 2 else 'square')/f'{i:03d}.jpg'
            to.parent.mkdir(parents=True, exist_ok=True)
            if i == 3:
                im.putalpha(Image.linear_gradient('L').resize(im.size))
                im.save(to.with_suffix('.png'))
            elif i == 6: im.save(to, exif=exif, quality=95)
            elif i == 9: im.convert('CMYK').save(to, quality=95)
            elif i == 12:
                Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16) * 257).save(
                    to.with_suffix('.png')
                )
            else: im.save(to, quality=90)
        return folder

    tmp = Path(tempfile.mkdtemp())
    folder = ImageSet.from_folder(example_photos(tmp/'photos'))

    # cell 16, in part
    def tar_of(path, files):
        "A tar of (name, bytes)"
        with tarfile.open(path, 'w') as t:
            for name, data in files:
                m = tarfile.TarInfo(name)
                m.size = len(data)
                t.addfile(m, io.BytesIO(data))
        return path

    one = tar_of(tmp/'one.tar', [(n, folder.path(n).read_bytes()) for n in folder.names[:5]])

    # cell 24, in part
    for k in range(3):
        tar_of(tmp/f't-{k:02d}.tar', [(f'{k}{i}.jpg', folder.path(1).read_bytes()) for i in range(2)])

    # cell 39
    HAVE_WDS = bool(importlib.util.find_spec('webdataset'))

    # cell 40
    if importlib.util.find_spec('webdataset'): import webdataset as wds

    # cell 41, in part
    def write_shards(folder, to):
        "The pictures of a folder as shards, by webdataset where it is installed, else by hand; a pattern"
        files = [
            (str(Path(n).with_suffix('')), Path(n).suffix[1:], folder.path(n).read_bytes())
            for n in folder.names
        ]
        samples = [
            {'__key__': k, e: b, 'cls': int(k.startswith('square')), 'json': {'kind': k.split('/')[0]}}
            for k, e, b in files
        ]
        if HAVE_WDS:
            with wds.ShardWriter(f'{to}-%06d.tar', maxcount=6, verbose=0) as w:
                [w.write(s) for s in samples]
        else:
            for k in range(3):
                tar_of(
                    f'{to}-{k:06d}.tar',
                    [
                        (f"{s['__key__']}.{e}", v if isinstance(v, bytes) else json.dumps(v).encode())
                        for s in samples[6 * k : 6 * k + 6]
                        for e, v in s.items()
                        if e != '__key__'
                    ],
                )
        return f'{to}-*.tar'

    pattern = write_shards(folder, tmp/'train')
    shards = TarImages(pattern)

    # cell 42
    if HAVE_WDS:
        theirs = {}
        for s in wds.WebDataset([str(p) for p in shards.shards], shardshuffle=False):
            ext, = [k for k in s if f'.{k}' in IMAGE_SUFFIXES]
            theirs[f"{s['__key__']}.{ext}"] = (s[ext], int(s['cls']), json.loads(s['json'])['kind'])
        test_eq(list(theirs), shards.names)
        test_eq([shards.data(n) for n in theirs], [o[0] for o in theirs.values()])
        test_eq(shards.labels, {n: o[1] for n, o in theirs.items()})
        test_eq(TarImages(pattern, label='json:kind').labels, {n: o[2] for n, o in theirs.items()})
    else: print('skipped: pip install webdataset to compare with it')

    # cell 43
    def same_pictures(images, folder):
        "Whether an image set holds the pictures of the folder, under the same names"
        return sorted(images.names) == sorted(folder.names) and all(
            np.array_equal(images[n], folder[n]) for n in folder.names
        )

    assert same_pictures(shards, folder)
    test_eq(shards.digest(), folder.subset(shards.names).digest())
    test_eq(shards.sizes(), folder.subset(shards.names).sizes())
    few = shards.subset(['round/009.jpg', 'square/000.jpg'])
    test_eq(few.names, ['round/009.jpg', 'square/000.jpg'])
    test_eq(np.asarray(few[1]), np.asarray(folder['square/000.jpg']))
    test_eq(few.labels, {'round/009.jpg': 0, 'square/000.jpg': 1})
    test_eq(shards.index(few.names), [shards.names.index(n) for n in few.names])
    assert 'round/009.jpg' in shards and 'round/010.jpg' not in shards and len(list(shards)) == 16
    assert shards == TarImages(sorted(tmp.glob('train-*.tar'))) and shards != few and shards != folder
    test_eq(shards.thumb('round/009.jpg', 32).size, (32, 32))
    test_eq(shards.bad_files(), {})
    test_eq(np.asarray(pickle.loads(pickle.dumps(shards))[5]), np.asarray(shards[5]))
    test_eq(TarImages(pattern, ext='png').names, [n for n in shards.names if n.endswith('png')])
    prefixed = TarImages(pattern, prefix=True)
    test_eq(prefixed.names[:2], [f'train-000000/{n}' for n in shards.names[:2]])
    test_eq(prefixed.path(7), shards.path(7))
    test_eq(list(prefixed.labels), prefixed.names)
    # threads share the open files
    with ThreadPoolExecutor(8) as pool:
        test_eq(list(pool.map(shards.data, list(range(16))*20)), [shards.data(i) for i in range(16)]*20)

    # cell 45
    test_fail(
        lambda: TarImages([one, shutil.copy(one, tmp / 'two.tar')]), contains="occur more than once in"
    )
    test_eq(len(TarImages([one, tmp/'two.tar'], prefix=True)), 10)
    test_fail(
        lambda: TarImages(tar_of(tmp / 'text.tar', [('a.txt', b'text'), ('._a.jpg', b'from a Mac')])),
        contains='holds no images',
    )
    test_fail(
        lambda: TarImages(tar_of(tmp / 'twice.tar', [('a.jpg', b'1'), ('./a.jpg', b'2')])),
        contains='pack it again',
    )
    test_fail(lambda: TarImages(pattern, label='json:colour').labels, contains="KeyError: 'colour'")
    test_fail(lambda: shards.subset(['round/99.jpg']), contains='not found')
    test_fail(lambda: shards.path(16), exc=IndexError)
    broken = TarImages(
        tar_of(
            tmp / 'broken.tar',
            [('a.jpg', folder.path(1).read_bytes()[:300]), ('b.jpg', folder.path(1).read_bytes())],
        )
    )
    test_fail(lambda: broken[0], contains="broken.tar/a.jpg' is damaged or cut off")
    test_eq(list(broken.bad_files()), ['a.jpg'])
    (tmp/'broken.tar').write_bytes((tmp/'broken.tar').read_bytes()[:1600])
    broken._open.clear()
    test_fail(lambda: broken[1], contains='has changed since it was opened')
    (tmp/'broken.tar').unlink()
    broken._open.clear()
    test_fail(lambda: broken[1], contains="check the shard '")
    many = TarImages(
        [tar_of(tmp / f'm{k:03d}.tar', [(f'{k}.jpg', folder.path(1).read_bytes())]) for k in range(70)]
    )
    test_eq(len({many.data(i) for i in range(70)}), 1)
    test_eq(len(many._open), 64)


def test_images_in_a_hugging_face_dataset():
    "Images in a Hugging Face dataset"
    # cell 8, in part
    def example_photos(folder):
        "Draw sixteen pictures in many kinds of file; return the folder"
        folder, r = Path(folder), rng(0)
        exif = Image.Exif()
        exif[0x0112] = 6
        for i in range(16):
            im = Image.new('RGB', (48 + 2*i, 64), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 16, 2).tolist() + r.integers(32, 46, 2).tolist()
            (d.ellipse if i % 2 else d.rectangle)(
                box, fill=['#0072b2', '#e69f00', '#009e73', '#cc79a7'][i % 4]
            )
            d.line((0, 60, 47, 50), fill='#555555', width=3)
            to = folder/('round' if i % 2 else 'square')/f'{i:03d}.jpg'
            to.parent.mkdir(parents=True, exist_ok=True)
            if i == 3:
                im.putalpha(Image.linear_gradient('L').resize(im.size))
                im.save(to.with_suffix('.png'))
            elif i == 6: im.save(to, exif=exif, quality=95)
            elif i == 9: im.convert('CMYK').save(to, quality=95)
            elif i == 12:
                Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16) * 257).save(
                    to.with_suffix('.png')
                )
            else: im.save(to, quality=90)
        return folder

    tmp = Path(tempfile.mkdtemp())
    folder = ImageSet.from_folder(example_photos(tmp/'photos'))

    # cell 43, in part
    def same_pictures(images, folder):
        "Whether an image set holds the pictures of the folder, under the same names"
        return sorted(images.names) == sorted(folder.names) and all(
            np.array_equal(images[n], folder[n]) for n in folder.names
        )

    # cell 53
    test_eq(_path_names(['/x/a/1.jpg', '/x/b/1.jpg']), ['a/1.jpg', 'b/1.jpg'])
    test_eq(_path_names(['/x/a/1.jpg', '/x/a/2.jpg']), ['1.jpg', '2.jpg'])
    test_eq(_path_names(['/x/a/1.jpg', '/x/a/2.jpg'], '/x'), ['a/1.jpg', 'a/2.jpg'])
    test_eq(_path_names(['1.jpg', 'a/1.jpg']), ['1.jpg', 'a/1.jpg'])
    test_eq(_path_names(['/x/ab/1.jpg', '/x/ac/1.jpg']), ['ab/1.jpg', 'ac/1.jpg'])
    for none in (['1.jpg', None], ['1.jpg', '1.jpg'], []): test_eq(_path_names(none), None)
    test_fail(lambda: _path_names(['/x/1.jpg'], '/y'), contains="below root='/y'")

    # cell 61
    HAVE_HF = bool(importlib.util.find_spec('datasets'))

    # cell 62
    if importlib.util.find_spec('datasets'): import datasets as hf

    # cell 63
    if HAVE_HF:
        hf.disable_progress_bars()
        kinds = hf.ClassLabel(names=['round', 'square'])
        table = dict(
            image=[str(folder.path(n)) for n in folder.names],
            label=[n.split('/')[0] for n in folder.names], file=folder.names,
        )
        as_paths = (
            hf.Dataset.from_dict(table).cast_column('image', hf.Image()).cast_column('label', kinds)
        )
        as_bytes = hf.Dataset.from_dict(
            {
                **table,
                'image': [dict(bytes=folder.path(n).read_bytes(), path=None) for n in folder.names],
            },
            features=hf.Features(image=hf.Image(), label=kinds, file=hf.Value('string')),
        )
        loaded = hf.load_dataset(
            'imagefolder', data_dir=str(tmp / 'photos'), split='train', cache_dir=str(tmp / 'hf')
        )
        rows = HFImages(as_paths)
        print(rows)
        print(HFImages(as_bytes))
        print(HFImages(as_bytes, name='file').labels['round/001.jpg'])
    else: print('skipped: pip install datasets to try its tables')

    # cell 64
    if HAVE_HF:
        mixed = as_bytes.shuffle(seed=3).select(range(15, -1, -1))
        for d, kw in (
            (as_paths, {}), (loaded, {}), (as_bytes, dict(name='file')), (mixed, dict(name='file')),
            (as_bytes.with_format('numpy'), dict(name='file')),
        ):
            assert same_pictures(h := HFImages(d, **kw), folder)
            test_eq(h.labels, {n: n.split('/')[0] for n in h.names})
            test_eq(h.sizes(), folder.subset(h.names).sizes())
        test_eq(HFImages(as_paths).digest(), folder.digest())
        test_eq(HFImages(as_bytes, name='file').digest(), folder.digest())
        # by number: the same names, and other pictures
        a, b = HFImages(as_bytes), HFImages(mixed)
        test_eq(a.names, b.names)
        assert all(np.array_equal(x, folder[n]) for x, n in zip(a, folder.names))
        test_ne(a.digest(), b.digest())
        assert a != b and a == HFImages(as_bytes) and a.root != b.root
        test_ne(HFImages(as_bytes.select(range(15, -1, -1))).digest(), a.digest())
        test_eq(a.digest(), HFImages(as_bytes).digest())
        test_eq(HFImages(as_paths, name=False).names[3], '000000003.png')
        part = rows.subset(folder.names[5:2:-1])
        test_eq([np.asarray(o) for o in part], [np.asarray(folder[n]) for n in part.names])
        test_eq(part.labels, {n: rows.labels[n] for n in part.names})
        test_eq(part.sizes(), folder.subset(part.names).sizes())
        test_eq(np.asarray(pickle.loads(pickle.dumps(rows))[5]), np.asarray(rows[5]))
        assert 'round/001.jpg' in rows
        test_eq(rows.thumb(0, 32).size, (32, 32))
        test_eq(HFImages(as_bytes, label='file').labels['000000000.png'], folder.names[0])

    # cell 65
    if HAVE_HF:
        plain = hf.Dataset.from_dict(table)
        test_fail(lambda: HFImages(plain), contains="has 0 Image columns")
        test_fail(lambda: HFImages(plain, image='image'), contains="has 'image' as Value, not as Image")
        test_fail(
            lambda: HFImages(as_paths, image='img'),
            contains="no column 'img'; give image= one of its Image columns: 'image'",
        )
        test_fail(lambda: HFImages(as_paths, name='title'), contains="no column 'title'")
        test_fail(lambda: HFImages(as_bytes, name='label'), contains='name=False for row numbers')
        test_fail(lambda: HFImages(as_paths.to_iterable_dataset()), contains='without streaming=True')
        test_fail(lambda: HFImages(hf.DatasetDict(train=as_paths)), contains="dataset['train']")
        test_fail(lambda: HFImages([1]), contains='not a list')
        test_fail(lambda: HFImages(as_paths.select([])), contains='holds no images')
        gone = HFImages(
            hf.Dataset.from_dict(dict(image=['/nowhere/a.jpg', None])).cast_column('image', hf.Image())
        )
        test_fail(lambda: gone[0], contains='/nowhere/a.jpg')
        test_fail(lambda: gone[1], contains='neither bytes nor a path')
        test_eq(gone.sizes(), [None, None])
        bad = HFImages(
            hf.Dataset.from_dict(
                dict(image=[dict(bytes=b'no picture', path='x.jpg')]),
                features=hf.Features(image=hf.Image()),
            )
        )
        test_fail(lambda: bad[0], contains="x.jpg' is not an image")
    with mock.patch.dict('sys.modules', datasets=None):
        test_fail(lambda: HFImages(None), contains='pip install datasets')


def test_one_name_for_all():
    "One name for all"
    # cell 8, in part
    def example_photos(folder):
        "Draw sixteen pictures in many kinds of file; return the folder"
        folder, r = Path(folder), rng(0)
        exif = Image.Exif()
        exif[0x0112] = 6
        for i in range(16):
            im = Image.new('RGB', (48 + 2*i, 64), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 16, 2).tolist() + r.integers(32, 46, 2).tolist()
            (d.ellipse if i % 2 else d.rectangle)(
                box, fill=['#0072b2', '#e69f00', '#009e73', '#cc79a7'][i % 4]
            )
            d.line((0, 60, 47, 50), fill='#555555', width=3)
            to = folder/('round' if i % 2 else 'square')/f'{i:03d}.jpg'
            to.parent.mkdir(parents=True, exist_ok=True)
            if i == 3:
                im.putalpha(Image.linear_gradient('L').resize(im.size))
                im.save(to.with_suffix('.png'))
            elif i == 6: im.save(to, exif=exif, quality=95)
            elif i == 9: im.convert('CMYK').save(to, quality=95)
            elif i == 12:
                Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16) * 257).save(
                    to.with_suffix('.png')
                )
            else: im.save(to, quality=90)
        return folder

    tmp = Path(tempfile.mkdtemp())
    folder = ImageSet.from_folder(example_photos(tmp/'photos'))

    # cell 16, in part
    def tar_of(path, files):
        "A tar of (name, bytes)"
        with tarfile.open(path, 'w') as t:
            for name, data in files:
                m = tarfile.TarInfo(name)
                m.size = len(data)
                t.addfile(m, io.BytesIO(data))
        return path

    # cell 24, in part
    for k in range(3):
        tar_of(tmp/f't-{k:02d}.tar', [(f'{k}{i}.jpg', folder.path(1).read_bytes()) for i in range(2)])

    # cell 39
    HAVE_WDS = bool(importlib.util.find_spec('webdataset'))

    # cell 40
    if importlib.util.find_spec('webdataset'): import webdataset as wds

    # cell 41, in part
    def write_shards(folder, to):
        "The pictures of a folder as shards, by webdataset where it is installed, else by hand; a pattern"
        files = [
            (str(Path(n).with_suffix('')), Path(n).suffix[1:], folder.path(n).read_bytes())
            for n in folder.names
        ]
        samples = [
            {'__key__': k, e: b, 'cls': int(k.startswith('square')), 'json': {'kind': k.split('/')[0]}}
            for k, e, b in files
        ]
        if HAVE_WDS:
            with wds.ShardWriter(f'{to}-%06d.tar', maxcount=6, verbose=0) as w:
                [w.write(s) for s in samples]
        else:
            for k in range(3):
                tar_of(
                    f'{to}-{k:06d}.tar',
                    [
                        (f"{s['__key__']}.{e}", v if isinstance(v, bytes) else json.dumps(v).encode())
                        for s in samples[6 * k : 6 * k + 6]
                        for e, v in s.items()
                        if e != '__key__'
                    ],
                )
        return f'{to}-*.tar'

    pattern = write_shards(folder, tmp/'train')
    shards = TarImages(pattern)

    # cell 42
    if HAVE_WDS:
        theirs = {}
        for s in wds.WebDataset([str(p) for p in shards.shards], shardshuffle=False):
            ext, = [k for k in s if f'.{k}' in IMAGE_SUFFIXES]
            theirs[f"{s['__key__']}.{ext}"] = (s[ext], int(s['cls']), json.loads(s['json'])['kind'])
        test_eq(list(theirs), shards.names)
        test_eq([shards.data(n) for n in theirs], [o[0] for o in theirs.values()])
        test_eq(shards.labels, {n: o[1] for n, o in theirs.items()})
        test_eq(TarImages(pattern, label='json:kind').labels, {n: o[2] for n, o in theirs.items()})
    else: print('skipped: pip install webdataset to compare with it')

    # cell 43, in part
    def same_pictures(images, folder):
        "Whether an image set holds the pictures of the folder, under the same names"
        return sorted(images.names) == sorted(folder.names) and all(
            np.array_equal(images[n], folder[n]) for n in folder.names
        )

    prefixed = TarImages(pattern, prefix=True)

    # cell 61
    HAVE_HF = bool(importlib.util.find_spec('datasets'))

    # cell 62
    if importlib.util.find_spec('datasets'): import datasets as hf

    # cell 63
    if HAVE_HF:
        hf.disable_progress_bars()
        kinds = hf.ClassLabel(names=['round', 'square'])
        table = dict(
            image=[str(folder.path(n)) for n in folder.names],
            label=[n.split('/')[0] for n in folder.names], file=folder.names,
        )
        as_paths = (
            hf.Dataset.from_dict(table).cast_column('image', hf.Image()).cast_column('label', kinds)
        )
        as_bytes = hf.Dataset.from_dict(
            {
                **table,
                'image': [dict(bytes=folder.path(n).read_bytes(), path=None) for n in folder.names],
            },
            features=hf.Features(image=hf.Image(), label=kinds, file=hf.Value('string')),
        )
        loaded = hf.load_dataset(
            'imagefolder', data_dir=str(tmp / 'photos'), split='train', cache_dir=str(tmp / 'hf')
        )
        rows = HFImages(as_paths)
        print(rows)
        print(HFImages(as_bytes))
        print(HFImages(as_bytes, name='file').labels['round/001.jpg'])
    else: print('skipped: pip install datasets to try its tables')

    # cell 69
    packed = tmp/'packed'
    packed.mkdir()
    [shutil.copy(p, packed) for p in shards.shards]
    test_eq(
        [
            type(image_set(s)).__name__
            for s in (
                tmp / 'photos', str(tmp / 'photos'), pattern, packed, shards.shards,
                str(shards.shards[0]), folder,
            )
        ],
        ['ImageSet'] * 2 + ['TarImages'] * 4 + ['ImageSet'],
    )
    assert same_pictures(image_set(packed), folder) and image_set(shards) is shards
    assert image_set(pattern, prefix=True) == prefixed
    for s, why in (
        (tmp / 'nowhere', 'does not exist'), (tmp / 'nowhere.tar', 'nowhere.tar'),
        (tmp / 'nowhere.parquet', 'Parquet files do not exist'),
    ):
        test_fail(lambda: image_set(s), contains=why)
    if HAVE_HF:
        as_bytes.save_to_disk(tmp/'saved')
        hf.DatasetDict(train=as_bytes, test=as_bytes).save_to_disk(tmp/'splits')
        with mock.patch.object(hf.config, 'HF_DATASETS_CACHE', tmp/'hf'):
            as_bytes.to_parquet(tmp/'d.parquet')
            test_eq(
                [np.asarray(o) for o in image_set(str(tmp / '*.parquet'))],
                [np.asarray(folder[n]) for n in folder.names],
            )
        for s in (as_paths, tmp/'saved', tmp/'splits'/'test'):
            assert same_pictures(image_set(s, name='file'), folder)
        test_fail(lambda: image_set(tmp/'splits'), contains="holds the splits 'train', 'test'")


def test_the_same_features_from_all_three():
    "The same features from all three"
    # cell 8, in part
    def example_photos(folder):
        "Draw sixteen pictures in many kinds of file; return the folder"
        folder, r = Path(folder), rng(0)
        exif = Image.Exif()
        exif[0x0112] = 6
        for i in range(16):
            im = Image.new('RGB', (48 + 2*i, 64), 'white')
            d = ImageDraw.Draw(im)
            box = r.integers(4, 16, 2).tolist() + r.integers(32, 46, 2).tolist()
            (d.ellipse if i % 2 else d.rectangle)(
                box, fill=['#0072b2', '#e69f00', '#009e73', '#cc79a7'][i % 4]
            )
            d.line((0, 60, 47, 50), fill='#555555', width=3)
            to = folder/('round' if i % 2 else 'square')/f'{i:03d}.jpg'
            to.parent.mkdir(parents=True, exist_ok=True)
            if i == 3:
                im.putalpha(Image.linear_gradient('L').resize(im.size))
                im.save(to.with_suffix('.png'))
            elif i == 6: im.save(to, exif=exif, quality=95)
            elif i == 9: im.convert('CMYK').save(to, quality=95)
            elif i == 12:
                Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16) * 257).save(
                    to.with_suffix('.png')
                )
            else: im.save(to, quality=90)
        return folder

    tmp = Path(tempfile.mkdtemp())
    folder = ImageSet.from_folder(example_photos(tmp/'photos'))

    # cell 16, in part
    def tar_of(path, files):
        "A tar of (name, bytes)"
        with tarfile.open(path, 'w') as t:
            for name, data in files:
                m = tarfile.TarInfo(name)
                m.size = len(data)
                t.addfile(m, io.BytesIO(data))
        return path

    # cell 24, in part
    for k in range(3):
        tar_of(tmp/f't-{k:02d}.tar', [(f'{k}{i}.jpg', folder.path(1).read_bytes()) for i in range(2)])

    # cell 39
    HAVE_WDS = bool(importlib.util.find_spec('webdataset'))

    # cell 40
    if importlib.util.find_spec('webdataset'): import webdataset as wds

    # cell 41, in part
    def write_shards(folder, to):
        "The pictures of a folder as shards, by webdataset where it is installed, else by hand; a pattern"
        files = [
            (str(Path(n).with_suffix('')), Path(n).suffix[1:], folder.path(n).read_bytes())
            for n in folder.names
        ]
        samples = [
            {'__key__': k, e: b, 'cls': int(k.startswith('square')), 'json': {'kind': k.split('/')[0]}}
            for k, e, b in files
        ]
        if HAVE_WDS:
            with wds.ShardWriter(f'{to}-%06d.tar', maxcount=6, verbose=0) as w:
                [w.write(s) for s in samples]
        else:
            for k in range(3):
                tar_of(
                    f'{to}-{k:06d}.tar',
                    [
                        (f"{s['__key__']}.{e}", v if isinstance(v, bytes) else json.dumps(v).encode())
                        for s in samples[6 * k : 6 * k + 6]
                        for e, v in s.items()
                        if e != '__key__'
                    ],
                )
        return f'{to}-*.tar'

    pattern = write_shards(folder, tmp/'train')
    shards = TarImages(pattern)

    # cell 42
    if HAVE_WDS:
        theirs = {}
        for s in wds.WebDataset([str(p) for p in shards.shards], shardshuffle=False):
            ext, = [k for k in s if f'.{k}' in IMAGE_SUFFIXES]
            theirs[f"{s['__key__']}.{ext}"] = (s[ext], int(s['cls']), json.loads(s['json'])['kind'])
        test_eq(list(theirs), shards.names)
        test_eq([shards.data(n) for n in theirs], [o[0] for o in theirs.values()])
        test_eq(shards.labels, {n: o[1] for n, o in theirs.items()})
        test_eq(TarImages(pattern, label='json:kind').labels, {n: o[2] for n, o in theirs.items()})
    else: print('skipped: pip install webdataset to compare with it')

    # cell 43, in part
    def same_pictures(images, folder):
        "Whether an image set holds the pictures of the folder, under the same names"
        return sorted(images.names) == sorted(folder.names) and all(
            np.array_equal(images[n], folder[n]) for n in folder.names
        )

    # cell 61
    HAVE_HF = bool(importlib.util.find_spec('datasets'))

    # cell 62
    if importlib.util.find_spec('datasets'): import datasets as hf

    # cell 63
    if HAVE_HF:
        hf.disable_progress_bars()
        kinds = hf.ClassLabel(names=['round', 'square'])
        table = dict(
            image=[str(folder.path(n)) for n in folder.names],
            label=[n.split('/')[0] for n in folder.names], file=folder.names,
        )
        as_paths = (
            hf.Dataset.from_dict(table).cast_column('image', hf.Image()).cast_column('label', kinds)
        )
        as_bytes = hf.Dataset.from_dict(
            {
                **table,
                'image': [dict(bytes=folder.path(n).read_bytes(), path=None) for n in folder.names],
            },
            features=hf.Features(image=hf.Image(), label=kinds, file=hf.Value('string')),
        )
        loaded = hf.load_dataset(
            'imagefolder', data_dir=str(tmp / 'photos'), split='train', cache_dir=str(tmp / 'hf')
        )
        rows = HFImages(as_paths)
        print(rows)
        print(HFImages(as_bytes))
        print(HFImages(as_bytes, name='file').labels['round/001.jpg'])
    else: print('skipped: pip install datasets to try its tables')

    # cell 69, in part
    if HAVE_HF:
        as_bytes.save_to_disk(tmp/'saved')
        hf.DatasetDict(train=as_bytes, test=as_bytes).save_to_disk(tmp/'splits')
        with mock.patch.object(hf.config, 'HF_DATASETS_CACHE', tmp/'hf'):
            as_bytes.to_parquet(tmp/'d.parquet')
            test_eq(
                [np.asarray(o) for o in image_set(str(tmp / '*.parquet'))],
                [np.asarray(folder[n]) for n in folder.names],
            )
        for s in (as_paths, tmp/'saved', tmp/'splits'/'test'):
            assert same_pictures(image_set(s, name='file'), folder)
        test_fail(lambda: image_set(tmp/'splits'), contains="holds the splits 'train', 'test'")

    # cell 71
    set_seed(0)
    tiny = create_backbone('test_efficientnet', pretrained=False)
    sources = dict(folder=folder, shards=shards.subset(folder.names)) | (
        dict(table=HFImages(as_bytes, name='file')) if HAVE_HF else {}
    )

    # cell 72
    stores = {
        k: extract_features(
            tiny, s, tmp / f'store-{k}', batch_size=6, size=64, num_workers=0 if k == 'folder' else 2
        )
        for k, s in sources.items()
    }
    for k, s in stores.items():
        test_eq(s.names, folder.names)
        test_eq(s.get(folder.names), stores['folder'].get())
        stores['folder'].check(tiny, sources[k], 64)
    test_eq(
        FeatureStore(tmp / 'store-shards').meta['images'],
        FeatureStore(tmp / 'store-folder').meta['images'],
    )
    list(stores)

    # cell 74
    def interrupted(images, path):
        "Extract with a failure at the tenth picture, then again; the store, and the pictures that the second call read"
        real, seen = type(images).data, []
        def failing(self, i):
            seen.append(i)
            return (
                real(self, i)
                if len(seen) < 10
                else (_ for _ in ()).throw(AlignetError('the disk is gone'))
            )
        with mock.patch.object(type(images), 'data', failing):
            test_fail(
                lambda: extract_features(tiny, images, path, batch_size=6, size=64),
                contains='the disk is gone',
            )
        seen.clear()
        with mock.patch.object(
            type(images), 'data', lambda self, i: (seen.append(i), real(self, i))[1]
        ):
            return extract_features(tiny, images, path, batch_size=6, size=64), seen

    for k in list(sources)[1:]:
        store, seen = interrupted(sources[k], tmp/f'again-{k}')
        test_eq(seen, list(range(6, 16)))
        test_eq(store.get(), stores['folder'].get())

    # cell 77
    teacher = rng(1).normal(size=(16, 5)).astype(np.float32)
    labels = PseudoLabels(folder.names, None, None, teacher)
    def toy_losses(images, **kw):
        "The losses of a few steps"
        set_seed(0)
        learn = align_learner(
            labels,
            create_backbone('test_efficientnet', pretrained=False),
            images,
            size=32,
            bs=6,
            valid_pct=0.2,
            freeze_bn=False,
            device='cpu',
            **kw
        )
        with learn.no_bar(), learn.no_logging(): learn.fit(3, 1e-3)
        return [float(o) for o in learn.recorder.losses]

    losses = {k: toy_losses(s) for k, s in sources.items()}
    for k, s in sources.items():
        test_eq(losses[k], losses['folder'])
        test_eq(PictureCache(s, folder.names, 32).store, PictureCache(folder, folder.names, 32).store)
    # read anew each time, by two processes
    test_eq(toy_losses(sources['shards'], max_gb=0, num_workers=2), losses['folder'])
    losses['shards']
