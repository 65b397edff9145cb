"""Run `pip install`, naming each package while it is fetched.

    python .ci/install.py -e '.[dev]'
"""
import re
import subprocess
import sys

PIP = [sys.executable, '-m', 'pip', 'install', '--progress-bar=off', '--disable-pip-version-check']


def message(line):
    "What to print for a line of pip's output, or None"
    size = re.search(r'Downloading (\S+) \(([\d.]+) ([MG]B)\)', line)
    if line.startswith(('Collecting ', 'Processing ')):
        return f'  {line.split()[1].rpartition("/")[2]}'
    if size and (size[3] == 'GB' or float(size[2]) > 20):
        return f'    {size[2]} {size[3]}'
    if line.startswith('Installing collected packages: '):
        return f'  unpacking {line.count(",") + 1} packages'


def main():
    with subprocess.Popen([*PIP, *sys.argv[1:]], stdout=subprocess.PIPE, text=True) as pip:
        for line in pip.stdout:
            text = message(line.strip())
            if text:
                print(text, flush=True)
    sys.exit(pip.returncode)


if __name__ == '__main__':
    main()
