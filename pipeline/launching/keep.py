"""`python -m pipeline.launching.keep COMMAND...`: runs a command in a session that ends when its parent does.

The parent holds the other end of standard input. When the parent closes it, ends or is killed, the command is
interrupted (SIGINT) and the processes that it started are asked to end (SIGTERM), all at once; after `GRACE_SECONDS`
everything in its process group is killed. Imports little.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

import psutil

GRACE_SECONDS = 10.0
"""How long the command may take to end."""
LEFT_SECONDS = 3.0
"""How long processes that the command leaves behind may take to end."""
LOOK_SECONDS = 0.2


def main(command: list[str]) -> int:
    """Run the command and return its exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A terminal sends these to every process started from it, but the parent decides. A handler, unlike SIG_IGN, is
        # not inherited by the command.
        signal.signal(number, lambda *_: None)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as child:
        try:
            while child.poll() is None:
                if select.select([sys.stdin.buffer], [], [], LOOK_SECONDS)[0]:
                    _ask(child)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.wait(GRACE_SECONDS)
                    break
        finally:
            _end_group(child.pid)
        return child.wait()


def _ask(command: subprocess.Popen[bytes]) -> None:
    """Ask the command and its group to end, side by side: each may need a second of a processor for it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(command.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                if os.getpgid(process.pid) == command.pid:
                    process.terminate()
    command.send_signal(signal.SIGINT)


def _end_group(group: int) -> None:
    """End what is left of a process group: with SIGTERM, then with SIGKILL."""
    deadline = time.monotonic() + LEFT_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(LOOK_SECONDS)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
