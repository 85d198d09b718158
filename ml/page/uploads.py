"""The photographs and fields of a multipart request, refused before they fill memory, disk or time.

Starlette's parser streams files to the disk; here it is given limits. Headers of parts are bounded by python-multipart.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import HTTPException, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ml.page.page_settings import Limits
from ml.page.request_body import Body

FIELDS: Final = 50
"""Fields of a request that are no files."""
FIELD_BYTES: Final = 64 * 1024
"""Of one such field."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """A request's photographs, in their order, and its other fields."""

    photographs: Sequence[UploadFile]
    lists: Mapping[str, Sequence[str]]
    """The values of the other fields, by name, in their order."""

    def text(self, field: str) -> str | None:
        """The last value of a field; None where there is none."""
        return self.lists[field][-1] if field in self.lists else None


@asynccontextmanager
async def uploaded(request: Request, *, file_field: str, most: int, limits: Limits) -> AsyncIterator[Form]:
    """The form that a request's body holds; its files are removed when the block ends.

    Args:
        request: Of the type multipart/form-data.
        file_field: The name of the field with photographs.
        most: Photographs that the request may have.
        limits: For everything else.

    Raises:
        HTTPException: it is no such form (400, 415, 422), too large (413), or too slow (408).
        ClientDisconnect: the client went away.
    """
    body = Body(request, limits=limits)
    try:
        form = await _parsed(request, body, most=most, limits=limits)
    except HTTPException as error:
        if error.status_code != HTTPStatus.REQUEST_TIMEOUT:
            await body.drain()
        raise HTTPException(error.status_code, error.detail, headers={"Connection": "close"}) from error
    try:
        yield _read(form, file_field=file_field)
    finally:
        await form.close()


def _read(form: FormData, *, file_field: str) -> Form:
    files = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
    others = sorted({name for name, _ in files if name != file_field})
    if others:
        raise HTTPException(422, f"photographs come in the field {file_field}, not in {_short(', '.join(others))}")
    lists: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in form.multi_items():
        if isinstance(value, str):
            lists[name].append(value)
    if file_field in lists:
        raise HTTPException(422, f"{file_field} must be a file with a name, not text")
    if not files:
        raise HTTPException(422, f"the request has no photograph: send files in the field {file_field}")
    return Form(photographs=[file for _, file in files], lists=dict(lists))


async def _parsed(request: Request, body: Body, *, most: int, limits: Limits) -> FormData:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise HTTPException(415, "photographs are sent as multipart/form-data")
    parser = _Parser(request, body, most=most, limits=limits)
    try:
        async with asyncio.timeout(limits.upload_seconds):
            return await parser.parse()
    except TimeoutError as error:
        raise HTTPException(408, f"the request was not there after {limits.upload_seconds:g} seconds") from error
    except MultiPartException as error:
        raise HTTPException(400, f"the body is no multipart form: {error.message.rstrip('.')}") from error
    except (UnicodeDecodeError, LookupError, ValueError) as error:
        raise HTTPException(400, "the body is no multipart form that can be read") from error


class _Parser(MultiPartParser):
    """Starlette's parser with limits on bytes and time."""

    spool_max_size = 64 * 1024

    def __init__(self, request: Request, body: Body, *, most: int, limits: Limits) -> None:
        super().__init__(request.headers, body.pieces(), max_fields=FIELDS, max_part_size=FIELD_BYTES)
        self._most, self._file_bytes, self._seen = most, limits.file_bytes, 0

    def on_part_begin(self) -> None:
        self._seen = 0
        super().on_part_begin()

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_files > self._most:
            raise HTTPException(422, f"a request may have {self._most} photographs at most")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._seen += end - start
        if self._current_part.file is not None and self._seen > self._file_bytes:
            raise HTTPException(413, f"a photograph of more than {self._file_bytes:,} bytes is not read")
        super().on_part_data(data, start, end)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]} ..."
