"""`python -m alignet` is the command `alignet`"""
import sys

from alignet.cli import main

if __name__ == '__main__': sys.exit(main())
