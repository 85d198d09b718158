"""The process that verifies and stores bodies: `python -m pipeline.photos.worker --folder F --max-pixels N`.

A process of its own, so that a decoder that fails on hostile bytes takes no fetch along, and so that decoding competes
with the event loop for nothing. It loads little: it is started for every fetch.

It reads batches from standard input (the number of bodies and their lengths as big-endian 32-bit integers, then the
bodies) and answers each with one line of JSON: a list of `[status, sha256, width, height, error]`, or an object
`{"errno": ..., "error": ..., "path": ...}` where a body could not be stored. It ends with its input.
"""

import argparse
import functools
import hashlib
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from pipeline.photos.bodies import store
from pipeline.photos.verify import Verdict, verify

READY: Final = b"ready\n"
"""The first line that a worker says."""

Judge = Callable[[bytes], Verdict]


def frame(bodies: list[bytes]) -> list[bytes]:
    """A batch as it goes to a worker, in pieces."""
    return [struct.pack(f">{1 + len(bodies)}I", len(bodies), *map(len, bodies)), *bodies]


def serve(*, judge: Judge, folder: Path) -> None:
    """Answer batches until the input ends."""
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(READY)
    answers.flush()
    while (bodies := _read(source)) is not None:
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


def _read(source: BinaryIO) -> list[bytes] | None:
    """The next batch; None at the end of the input, also where that comes within a batch."""
    head = source.read(4)
    if len(head) < 4:
        return None
    (number,) = struct.unpack(">I", head)
    lengths = source.read(4 * number)
    if len(lengths) < 4 * number:
        return None
    bodies = [source.read(length) for length in struct.unpack(f">{number}I", lengths)]
    return bodies if sum(map(len, bodies)) == sum(struct.unpack(f">{number}I", lengths)) else None


def main() -> None:
    """Parse arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--max-pixels", type=int, required=True)
    options = parser.parse_args()
    serve(judge=functools.partial(verify, max_pixels=options.max_pixels), folder=options.folder)


if __name__ == "__main__":
    main()
