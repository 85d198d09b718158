"""The photographs that the command is given: files, folders, patterns and addresses.

Each is read when its turn comes. Loads neither NumPy nor Pillow before the first file is looked at.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import iglob
from pathlib import Path
from typing import Final

from ml.ending import complain
from ml.errors import PhotoError
from ml.serving.sighting import NOTHING, Sighting

ADDRESS: Final = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
"""How an address begins; which are fetched is decided where that is done."""


class Address(str):
    """An address to fetch a photograph from."""

    __slots__ = ()


Source = Path | Address | bytes | PhotoError
"""Where a photograph comes from, its content, or why there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Photograph:
    """One photograph that is asked about."""

    name: str
    """As it was given, or found in a folder."""
    source: Source
    organism: str | None = None
    """What the table says that it shows."""
    sighting: Sighting = NOTHING
    """What the table says of where and when it was taken."""

    def stamp(self) -> object:
        """What tells this content from another under the same name, without reading it; None where nothing does."""
        match self.source:
            case Path():
                try:
                    status = self.source.stat()
                except (OSError, ValueError):
                    return None
                return [status.st_size, status.st_mtime_ns]
            case bytes():
                return hashlib.sha256(self.source).hexdigest()
            case _:
                return None


def named(names: Iterable[str]) -> Iterator[Photograph]:
    """The photographs that `names` refer to: addresses, files, folders, and patterns that are no file's name.

    A folder refers to all photographs below it, recognised by content.
    """
    for name in names:
        yield from _meant(name)


def _meant(name: str) -> Iterator[Photograph]:
    if ADDRESS.match(name):
        yield Photograph(name=name, source=Address(name.strip()))
        return
    path = Path(name)
    try:
        matches = [] if not name or os.path.lexists(path) else sorted(iglob(name))  # noqa: PTH207 (it may be absolute)
        folder = bool(name) and path.is_dir()
    except (OSError, ValueError):
        # Reading it tells the reason.
        matches, folder = [], False
    if matches:
        for match in matches:
            yield from _meant(match)
    elif folder:
        yield from _below(path)
    else:
        yield Photograph(name=name, source=path if name else PhotoError("there is no file without a name"))


def _below(folder: Path) -> Iterator[Photograph]:
    from ml.serving.inputs import OtherFileError, files_below  # noqa: PLC0415 (NumPy and Pillow)

    found, others, first = 0, 0, folder
    for path, problem in files_below(folder):
        if isinstance(problem, OtherFileError):
            others, first = others + 1, first if others else path
        else:
            found += 1
            yield Photograph(name=str(path), source=problem or path)
    if not found:
        yield Photograph(name=str(folder), source=PhotoError("there is no photograph in this folder"))
    elif others:
        complain(f"{folder}: left out {others} other {'files' if others > 1 else 'file'}, {first} the first")
