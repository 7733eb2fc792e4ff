"""python -m benchmark."""

import sys

from benchmark.cli.commands import main

if __name__ == "__main__":  # a process that helps with a report imports this file too
    sys.exit(main(sys.argv[1:]))
