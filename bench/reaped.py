"""`python -m bench.reaped COMMAND ...`: runs a command and waits for all that it leaves, so that their time counts.

Dagster's forkserver, which begins the steps of a run, outlives the run for a moment and is waited for by nobody.
"""

import ctypes
import os
import subprocess
import sys
from typing import Final

PR_SET_CHILD_SUBREAPER: Final = 36
"""Of prctl(2): whoever loses its parent below this process becomes its child."""


def main() -> int:
    """Run the command, and return its exit status once no process of it is left."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this system does not hand orphans over")
    with subprocess.Popen(sys.argv[1:]) as process:
        status = process.wait()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return status


if __name__ == "__main__":
    sys.exit(main())
