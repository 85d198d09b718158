"""Judges that end the process that they run in, for the tests of the workers. Workers import this module."""

import os
import time
from pathlib import Path

from pipeline.photos.verification import Verdict, verify

MARKER = b"a decoder fails on this"


def fragile(body: bytes, *, end: int) -> Verdict:
    """As `verify`, but a marked body ends the process by the signal `end`."""
    if MARKER in body:
        os.kill(os.getpid(), end)
        time.sleep(3600)
    return verify(body, max_pixels=1_000_000)


def fragile_once(body: bytes, *, end: int, marks: Path) -> Verdict:
    """As `fragile`, but only the first time; a file below `marks` remembers it."""
    if MARKER in body:
        try:
            (marks / "killed").touch(exist_ok=False)
        except FileExistsError:
            return verify(body, max_pixels=1_000_000)
    return fragile(body, end=end)


def leaving(body: bytes) -> Verdict:
    """Leaves the process, as one does that lacks a package."""
    del body
    os._exit(3)
