"""python -m benchmark."""

import sys

from benchmark.cli.commands import main
from benchmark.run.ending import raise_on_sigterm
from benchmark.run.streams import leave_to_users_code, ready_streams

if __name__ == "__main__":  # a process that helps with a report imports this file too
    ready_streams()
    raise_on_sigterm()
    code = main(sys.argv[1:])
    leave_to_users_code()  # theirs may print as Python ends
    sys.exit(code)
