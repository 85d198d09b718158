"""Undoes content encodings that a host applies unasked, within a limit. Bytes in, bytes out; no network."""

import zlib
from typing import Final

JPEG_SIGNATURE: Final = b"\xff\xd8\xff"
_GZIP: Final = b"\x1f\x8b"
_MOST_MEMBERS: Final = 16
"""Parts of one gzip stream: each is looked for in what is left, which thousands of tiny ones would make slow."""


class UnknownEncodingError(Exception):
    """A body is encoded in a way that cannot be undone here."""


class DamagedBodyError(Exception):
    """An encoded body ends too early, or is damaged."""


def decoded(body: bytes, encoding: str, *, most: int) -> bytes:
    """The bytes that were encoded.

    Args:
        body: As received.
        encoding: The header Content-Encoding: names, the one that was applied last at the end.
        most: Stop beyond so many bytes; what comes back is then longer than this, and not whole.

    Raises:
        UnknownEncodingError: one of the encodings is not gzip or deflate.
        DamagedBodyError: the body does not end, or is not what the header says.
    """
    names = [name.strip().lower().removeprefix("x-") for name in encoding.split(",")]
    for name in reversed(names):
        if name in {"", "identity"} or body.startswith(JPEG_SIGNATURE):
            # Some hosts name an encoding that they did not apply.
            continue
        if name not in {"gzip", "deflate"}:
            raise UnknownEncodingError(f"the body is encoded as {name[:40]!r}, which was not asked for")
        try:
            body = _inflated(body, most=most)
        except zlib.error as error:
            raise DamagedBodyError(f"the body cannot be decoded as {name}: {error}") from error
        if len(body) > most:
            break
    return body


def _inflated(body: bytes, *, most: int) -> bytes:
    """Undo gzip, or deflate with or without zlib's header, of which hosts send both."""
    wrapped = body.startswith(_GZIP) or (body[:1] and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0)
    parts: list[bytes] = []
    size = 0
    for _ in range(_MOST_MEMBERS):
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32 if wrapped else -zlib.MAX_WBITS)
        parts.append(stream.decompress(body, most + 1 - size))
        size += len(parts[-1])
        if size > most:
            break
        if not stream.eof:
            raise DamagedBodyError("the encoded body ends too early")
        body = stream.unused_data
        if not body.startswith(_GZIP):
            break
    else:
        raise DamagedBodyError(f"the encoded body has more than {_MOST_MEMBERS} parts")
    return b"".join(parts)
