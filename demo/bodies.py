"""Answering with bytes: whole, a part of them, or not at all when the client has them. Nothing about what they are."""

import re
from collections.abc import Mapping

from aiohttp import web


def byte_range(header: str, *, length: int) -> tuple[int, int] | None:
    """The half-open range of one `bytes=a-b`, `bytes=a-` or `bytes=-n`; None when it asks for nothing that exists.

    Args:
        header: Value of the Range header.
        length: Bytes that there are.

    Raises:
        ValueError: The header is not a single byte range; the whole body answers it then (RFC 9110, 14.2).
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if match is None or match.groups() == ("", ""):
        raise ValueError(f"not a single byte range: {header}")
    first, last = match.groups()
    if not first:
        start, stop = max(0, length - int(last)), length
    else:
        start, stop = int(first), min(length, int(last) + 1) if last else length
    return (start, stop) if start < stop else None


def respond_with(request: web.Request, body: bytes, *, content_type: str, headers: Mapping[str, str]) -> web.Response:
    """The body as an answer: 304 for a known ETag, 206 for a range, 416 for a range beyond the end, else 200.

    Args:
        request: What was asked; Range, If-Range and If-None-Match are read.
        body: All bytes.
        content_type: MIME type.
        headers: More headers, with an ETag.
    """
    shared = {"Accept-Ranges": "bytes", **headers}
    tag = headers["ETag"]
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=shared)
    asked = request.headers.get("Range")
    # If-Range with another tag means that the file changed since its first part was taken: start again.
    if asked is None or request.headers.get("If-Range", tag) != tag:
        return web.Response(body=body, content_type=content_type, headers=shared)
    try:
        found = byte_range(asked, length=len(body))
    except ValueError:
        return web.Response(body=body, content_type=content_type, headers=shared)
    if found is None:
        return web.Response(status=416, headers={**shared, "Content-Range": f"bytes */{len(body)}"})
    start, stop = found
    part = {**shared, "Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
    return web.Response(status=206, body=body[start:stop], content_type=content_type, headers=part)
