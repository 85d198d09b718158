"""What callers hand over as photographs: lists and tables of bytes, base64 text or, in this process, paths."""

import base64
import binascii
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from ml.errors import MlError, PhotoError
from ml.serving.photograph_files import looks_like_photograph, no_photograph, read_photograph

COLUMN: Final = "image"
"""The column of a table that holds the photographs."""
_ADDRESS: Final = re.compile(r"\s*(?:file:|[a-z][a-z0-9+.-]*://)", re.IGNORECASE)
_LONGEST_PATH: Final = 4096
"""Characters; a longer text can only be base64."""


class RequestError(MlError, ValueError):
    """A request is not made of photographs."""


def photographs_of(data: Any) -> list[object]:  # noqa: ANN401 (whatever a caller hands over)
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
    """Whether something on this machine is called `text`, whatever it is."""
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
