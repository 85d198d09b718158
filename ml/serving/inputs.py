"""What callers hand over as photographs: bytes, base64 text, tables of them, or files of this machine.

Nothing but a regular file is opened for reading: devices, pipes and sockets would block or never end.
"""

import base64
import binascii
import errno
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from ml.errors import MlError, PhotoError
from ml.images.formats import kind_of
from ml.images.photograph import FORMATS

COLUMN: Final = "image"
"""The column of a table that holds the photographs."""
MAX_BYTES: Final = 200_000_000
"""A larger file is no photograph that anybody took."""
SIGNATURE_BYTES: Final = 256
"""What tells a photograph from other files."""
_ADDRESS: Final = re.compile(r"\s*(?:file:|[a-z][a-z0-9+.-]*://)", re.IGNORECASE)
_LONGEST_PATH: Final = 4096
"""Characters; a longer text can only be base64."""
_REASONS: Final = {
    errno.ENOENT: "there is no such file",
    errno.EACCES: "this account may not read it",
    errno.ENAMETOOLONG: "the name is too long for a file",
}


class RequestError(MlError, ValueError):
    """A request is not made of photographs."""


class OtherFileError(PhotoError):
    """A file in a folder that does not begin as a photograph does."""


def photographs_of(data: Any) -> list[object]:  # noqa: ANN401 (anything a caller hands over)
    """One item per photograph.

    Args:
        data: One photograph; a list, array or series of them; or a table: a data frame, a mapping of columns, or a list
            of records. A table holds the photographs in its column `image`, or has no other column than theirs.

    Raises:
        RequestError: there is no such column, several are called so, or it is nothing of the kind.
    """
    if isinstance(data, str | bytes | bytearray | memoryview | os.PathLike):
        return [data]
    if hasattr(data, "columns") and hasattr(data, "iloc"):
        names = list(data.columns)
        return data.iloc[:, column_of(names)].tolist() if names else []
    if isinstance(data, Mapping):
        column = data[list(data)[column_of(list(data))]] if data else []
        if isinstance(column, Mapping):
            raise RequestError("a column of photographs must be a list, not an object")
        return photographs_of(column)
    if getattr(getattr(data, "dtype", None), "kind", "O") in "biufc" and len(data):
        raise RequestError("an array of numbers is no photograph: give the bytes of a file")
    if not isinstance(data, Iterable):
        raise RequestError(f"photographs come as a list or a table, not as {_kind(data)}")
    items: Iterable[object] = data.tolist() if hasattr(data, "tolist") else data
    return [_in_row(position, item) for position, item in enumerate(items)]


def column_of(names: Sequence[object]) -> int:
    """The position of the column that holds the photographs.

    Raises:
        RequestError: no column or several can be meant.
    """
    named = [position for position, name in enumerate(names) if name == COLUMN]
    if len(named) == 1 or len(names) == 1:
        return named[0] if named else 0
    if named:
        raise RequestError(f"{len(named)} columns are called {COLUMN}")
    raise RequestError(f"of {len(names)} columns none is called {COLUMN}: which of them holds the photographs?")


def content_of(item: object, *, paths: bool) -> bytes:
    """The bytes of one photograph. Addresses are never fetched.

    Args:
        item: Bytes; base64 text of any usual form (standard or URL-safe, with or without padding, in lines, as a
            `data:` address); or the path of a file. Text is taken for a path only where it is no photograph in base64.
        paths: Whether files of this machine may be read.

    Raises:
        PhotoError: it is none of these.
    """
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    if paths and isinstance(item, os.PathLike):
        return read_photograph(Path(item))
    if item is None or (isinstance(item, float) and math.isnan(item)):
        raise PhotoError("there is no photograph (null)")
    if not isinstance(item, str):
        forms = "bytes, base64 text or a path" if paths else "base64 text"
        raise PhotoError(f"a photograph must be {forms}, not {_kind(item)}")
    content = _decoded(item)
    if content is not None and looks_like_photograph(content):
        return content
    if paths and _is_file(item):
        return read_photograph(Path(item))
    if content is None:
        raise PhotoError(
            "neither an existing file nor base64 text (addresses are not fetched)"
            if paths
            else "not base64 text (paths and addresses are not opened)"
        )
    raise PhotoError(no_photograph(content) if content else "the text is empty")


def _decoded(text: str) -> bytes | None:
    """The bytes that base64 text or a `data:` address stands for; None where it is neither."""
    if _ADDRESS.match(text):
        return None
    try:
        if text[:5].lower() == "data:":
            header, comma, body = text.partition(",")
            unquoted = unquote_to_bytes(body)
            if not comma or not header.rstrip().lower().endswith(";base64"):
                return unquoted if comma else None
            text = unquoted.decode("ascii")
        compact = "".join(text.split()).translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_file(text: str) -> bool:
    """Whether `text` is the path of something on this machine."""
    if len(text) > _LONGEST_PATH or _ADDRESS.match(text):
        return False
    try:
        return os.path.lexists(text)
    except (OSError, ValueError):
        return False


def _in_row(position: int, item: object) -> object:
    """The photograph in one item of a list: the item, or what a record or a row of one cell holds."""
    if isinstance(item, Mapping):
        try:
            return item[list(item)[column_of(list(item))]]
        except RequestError as error:
            raise RequestError(f"photograph {position}: {error}") from error
    if isinstance(item, list | tuple) and len(item) == 1:
        return item[0]
    return item


def _kind(value: object) -> str:
    return "null" if value is None else f"a value of type {type(value).__name__}"


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
        # So are the files of /proc, some of which block their reader.
        raise PhotoError("the file is empty")


def files_below(folder: Path) -> Iterator[tuple[Path, PhotoError | None]]:
    """Everything below a folder, in the order of the paths; links to folders are not followed.

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
