"""What a file or folder takes on the disk, and when it was last written."""

import os
from collections.abc import Iterator
from pathlib import Path


def size_of(path: Path) -> int:
    """The bytes that are freed with a file or folder; a file that has another name elsewhere frees none.

    One that is missing takes none.
    """
    return sum(facts.st_size for facts in _facts(path) if facts.st_nlink == 1)


def last_written(path: Path) -> float:
    """When the newest file of a folder, or a file itself, was written: seconds since 1970; 0 where there is none."""
    return max((facts.st_mtime for facts in _facts(path)), default=0.0)


def _facts(path: Path) -> Iterator[os.stat_result]:
    """Of a file, or of all files below a folder; links are not followed."""
    try:
        entries = list(os.scandir(path))
    except NotADirectoryError:
        yield path.lstat()
        return
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _facts(Path(entry.path))
        else:
            yield entry.stat(follow_symlinks=False)
