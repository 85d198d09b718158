"""The process that verifies and stores bodies: `python -m pipeline.photos.worker`.

A process of its own, so that a decoder that fails on hostile bytes takes no fetch along, and so that decoding competes
with the event loop for nothing. It loads little: it is started for every fetch.

Bodies come in a file in memory that both processes hold open; pipes would copy them twice, and a file that is mapped
ends a process without a word where memory runs out. Each line of standard input is the JSON list of the lengths of the
bodies that lie there, one after the other. It is answered by one line of JSON: a list of `[status, sha256, width,
height, error]`, or `{"errno": ..., "error": ..., "path": ...}` where a body could not be stored. A worker ends with its
input.
"""

import argparse
import functools
import hashlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pipeline.photos.bodies import store
from pipeline.photos.verification import Verdict, verify

READY: Final = b"ready\n"
"""The first line that a worker says."""

Judge = Callable[[bytes], Verdict]


def serve(*, judge: Judge, folder: Path, memory: int) -> None:
    """Answer batches until the input ends.

    Args:
        judge: Decides what a body is.
        folder: Where photographs are stored.
        memory: The descriptor of the file that bodies come in.
    """
    # A parent that ignores the request to end would hand that down: a worker must be endable.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    answers = sys.stdout.buffer
    answers.write(READY)
    answers.flush()
    for line in sys.stdin.buffer:
        lengths = json.loads(line)
        begins = itertools.accumulate(lengths, initial=0)
        bodies = (os.pread(memory, length, begin) for length, begin in zip(lengths, begins, strict=False))
        try:
            answer: object = [_examined(body, judge=judge, folder=folder) for body in bodies]
        except OSError as error:
            answer = {"errno": error.errno, "error": error.strerror, "path": error.filename}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _examined(body: bytes, *, judge: Judge, folder: Path) -> tuple[str, str, int | None, int | None, str | None]:
    verdict = judge(body)
    sha256 = hashlib.sha256(body).hexdigest()
    if verdict.status == "ok":
        store(folder, sha256=sha256, content=body)
    return verdict.status, sha256, verdict.width, verdict.height, verdict.error


def main() -> None:
    """Parse arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--max-pixels", type=int, required=True)
    parser.add_argument("--memory", type=int, required=True, help="an inherited file descriptor")
    options = parser.parse_args()
    judge = functools.partial(verify, max_pixels=options.max_pixels)
    try:
        serve(judge=judge, folder=options.folder, memory=options.memory)
    except BrokenPipeError:
        # The fetch was killed: nobody is left to answer, and Python must not try again at its end.
        os._exit(1)


if __name__ == "__main__":
    main()
