"""Build script: everything is read from settings.ini."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

parser = ConfigParser(delimiters=['='], interpolation=None)
parser.read('settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']
readme = Path('README.md')

# `extras_onnx = onnx onnxruntime` in settings.ini is what `pip install alignet[onnx]` adds
extras = {}
for key, packages in cfg.items():
    if key.startswith('extras_'): extras[key.removeprefix('extras_')] = packages.split()
extras['all'] = sorted({package for packages in extras.values() for package in packages})
extras['dev'] = cfg['dev_requirements'].split() + extras['all']

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    keywords=cfg['keywords'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    url=cfg['git_url'],
    project_urls={'Documentation': cfg['doc_host'] + cfg['doc_baseurl']},
    license_expression='Apache-2.0',
    license_files=['LICENSE'],
    packages=find_packages(include=['alignet', 'alignet.*']),
    include_package_data=True,
    zip_safe=False,
    python_requires='>=' + cfg['min_python'],
    install_requires=cfg['requirements'].split(),
    extras_require=extras,
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else '',
    long_description_content_type='text/markdown',
    entry_points={
        'console_scripts': cfg['console_scripts'].split(),
        'nbdev': ['alignet=alignet._modidx:d'],
    },
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Natural Language :: English',
        'Operating System :: POSIX',
        'Operating System :: MacOS',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
