"""Photographs in files of this machine: known by their first bytes, read within limits, found below a folder.

Nothing but a regular file is opened for reading: devices, pipes and sockets would block or never end.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ml.errors import PhotoError
from ml.images.formats import kind_of
from ml.images.photograph import FORMATS

MAX_BYTES: Final = 200_000_000
"""A larger file is no photograph that anybody took."""
SIGNATURE_BYTES: Final = 256
"""What tells a photograph from other files."""
_REASONS: Final = {
    errno.ENOENT: "there is no such file",
    errno.EACCES: "this account may not read it",
    errno.ENAMETOOLONG: "the name is too long for a file",
}


def looks_like_photograph(content: bytes) -> bool:
    """Whether bytes begin as a photograph does."""
    return kind_of(content) in FORMATS


def no_photograph(content: bytes) -> str:
    """Why bytes are no photograph, as `ml.images.photograph` says it."""
    return f"not a photograph in one of the formats {', '.join(FORMATS)}: the file is {kind_of(content)}"


def read_photograph(path: Path) -> bytes:
    """The bytes of a file that begins as a photograph does; of any other only the first few are read.

    Raises:
        PhotoError: there is no such file, it is no photograph, it is too large, or it may not be read.
    """
    try:
        _refuse_what_is_no_file(path.stat())
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            status = os.fstat(stream.fileno())
            # The name may stand for something else by now.
            _refuse_what_is_no_file(status)
            first = stream.read(SIGNATURE_BYTES)
            if not looks_like_photograph(first):
                raise PhotoError(no_photograph(first))
            if status.st_size > MAX_BYTES:
                raise PhotoError(f"{status.st_size:,} bytes are more than the {MAX_BYTES:,} that are read")
            return first + stream.read(MAX_BYTES)
    except OSError as error:
        raise PhotoError(reason_of(error)) from error
    except ValueError as error:
        raise PhotoError("no file can have this name") from error


def reason_of(error: OSError) -> str:
    """Why a file cannot be read, in words."""
    return _REASONS.get(error.errno or 0) or f"cannot read it ({error.strerror or error})"


def _refuse_what_is_no_file(status: os.stat_result) -> None:
    kinds = {
        stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }  # fmt: skip
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise PhotoError(f"{kinds.get(kind, 'a special file')}, not a photograph")
    if status.st_size == 0:
        # So are the files of /proc, some of which block whoever reads them.
        raise PhotoError("the file is empty")


class OtherFileError(PhotoError):
    """A file in a folder that does not begin as a photograph does."""


def files_below(folder: Path) -> Iterator[tuple[Path, PhotoError | None]]:
    """All that lies below a folder, in the order of the paths; links to folders are not followed.

    Yields:
        Paths of photographs; and of what is none (OtherFileError) or cannot be looked into, with the reason.
    """
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        try:
            if path.is_dir() and (path is folder or not path.is_symlink()):
                waiting.extend(sorted(path.iterdir(), reverse=True))
            elif _begins_like_photograph(path):
                yield path, None
            else:
                yield path, OtherFileError("not a photograph")
        except OSError as error:
            yield path, PhotoError(reason_of(error))


def _begins_like_photograph(path: Path) -> bool:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        return False
    with path.open("rb") as stream:
        return looks_like_photograph(stream.read(SIGNATURE_BYTES))
