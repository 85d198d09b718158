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
from ml.photograph import FORMATS

MAX_BYTES: Final = 200_000_000
"""A larger file is no photograph that anybody took."""
SIGNATURE_BYTES: Final = 12
NO_PHOTOGRAPH: Final = f"not a photograph in one of the formats {', '.join(FORMATS)}"
_REASONS: Final = {
    errno.ENOENT: "there is no such file",
    errno.EACCES: "this account may not read it",
    errno.ENAMETOOLONG: "the name is too long for a file",
}


def looks_like_photograph(content: bytes) -> bool:
    """Whether bytes begin as a JPEG, PNG or WebP does."""
    return content.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or (
        content[:4] == b"RIFF" and content[8:SIGNATURE_BYTES] == b"WEBP"
    )


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
                raise PhotoError(NO_PHOTOGRAPH)
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


def photographs_below(folder: Path, *, others: list[Path]) -> Iterator[tuple[Path, PhotoError | None]]:
    """The photographs below a folder, by content, in the order of their paths; links to folders are not followed.

    Args:
        folder: Where to look.
        others: Gets what is passed over: files that do not begin as a photograph does.

    Yields:
        Paths of photographs; and of files and folders that cannot be looked into, each with the reason.
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
                others.append(path)
        except OSError as error:
            yield path, PhotoError(reason_of(error))


def _begins_like_photograph(path: Path) -> bool:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        return False
    with path.open("rb") as stream:
        return looks_like_photograph(stream.read(SIGNATURE_BYTES))
