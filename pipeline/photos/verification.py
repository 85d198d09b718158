"""Whether the bytes that a host sent are a whole JPEG photograph. Bytes in, verdict out; no files, no network."""

from dataclasses import dataclass

from ml.images.formats import kind_of
from ml.images.jpeg import SIGNATURE, Jpeg, PhotoError


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a body is."""

    status: str
    """`ok`, `not_jpeg`, `corrupt` or `too_large`."""
    width: int | None = None
    """Pixels, before any EXIF rotation; known when the header could be read."""
    height: int | None = None
    error: str | None = None


def verify(content: bytes, *, max_pixels: int) -> Verdict:
    """Judge a body.

    The size is read from the header before anything is decoded. The whole stream is then entropy-decoded at one
    eighth of the size, by the reader that decodes it ever after: a body that ends early or is damaged inside does not
    pass, nor does one that could not be packed later. Bytes after the end of the image are accepted, as cameras append
    previews and maker notes there, and so is padding before it.

    Args:
        content: The body.
        max_pixels: The largest accepted width times height.
    """
    if not content.startswith(SIGNATURE):
        return Verdict(status="not_jpeg", error=f"the body is {kind_of(content)}")
    try:
        photo = Jpeg.read(content)
    except PhotoError as error:
        return Verdict(status="corrupt", error=f"the header cannot be read: {error}")
    width, height = photo.width, photo.height
    if width * height > max_pixels:
        problem = f"{width} x {height} pixels are more than max_pixels = {max_pixels}"
        return Verdict(status="too_large", width=width, height=height, error=problem)
    try:
        photo.check()
    except PhotoError as error:
        return Verdict(status="corrupt", width=width, height=height, error=f"cannot be decoded: {error}")
    return Verdict(status="ok", width=width, height=height)
