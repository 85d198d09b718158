"""The one reader of JPEGs: for what is fetched, packed, shown, trained on and identified.

One decoder reads them all (libjpeg-turbo, through simplejpeg) and its warnings count as errors, so that a photograph is
decoded whole or not at all. The pipeline imports this module too; it loads neither torch nor Pillow.
"""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final

import numpy as np
import numpy.typing as npt
import simplejpeg

from ml.errors import PhotoError
from ml.images.orientation import orientation, turned

__all__ = ["MOST_SCANS", "SIGNATURE", "Jpeg", "PhotoError"]

SIGNATURE: Final = b"\xff\xd8\xff"
MOST_SCANS: Final = 500
"""A progressive JPEG of a camera has about ten; thousands keep a decoder busy for hours (libjpeg-turbo's own limit)."""
MOST_SCANNED_PIXELS: Final = 2_000_000_000
"""Pixels times scans: even an empty scan visits every block, and few bytes hold hundreds of them."""
MOST_SEGMENTS: Final = 10_000
"""Colour profiles and maker notes take hundreds at most."""

_START_OF_SCAN: Final = 0xDA
_END: Final = 0xD9
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1, 0xC9})
_PROGRESSIVE: Final = frozenset({0xC2, 0xCA})
_NOTES: Final = frozenset(range(0xE0, 0xF0)) | {0xFE}
"""Segments of applications and comments: no pixel depends on them."""
_EXIF: Final = 0xE1
_ADOBE: Final = 0xEE
_MARKER: Final = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
"""A marker that begins something; stuffed zeros, restarts and fill bytes do not."""
_SURPLUS: Final = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_MOST_PADDINGS: Final = 20
_ODD_SAMPLING: Final = "subsampling level"
"""Of the reason that TurboJPEG gives for samplings that libjpeg decodes and TurboJPEG has no name for."""


@dataclass(frozen=True, kw_only=True)
class Jpeg:
    """A JPEG whose header has been read."""

    content: bytes = field(repr=False)
    width: int
    """Pixels as they are stored, before they are turned upright."""
    height: int
    process: int
    """The marker of its frame, which names the kind of compression."""
    components: int
    """1 grey, 3 colour, 4 print (CMYK or YCCK)."""
    scans: int
    exif: bytes | None = field(repr=False)
    xmp: bytes | None = field(repr=False)

    @classmethod
    def read(cls, content: bytes) -> "Jpeg":
        """Read the header, which takes no memory for pixels: look at the size before more is asked for.

        Raises:
            PhotoError: the bytes have no complete JPEG header.
        """
        frame = exif = xmp = None
        process = scans = 0
        if not content.startswith(SIGNATURE):
            raise PhotoError("the bytes are no JPEG")
        for number, (marker, begin, end) in enumerate(_segments(content)):
            if marker == _START_OF_SCAN:
                scans += 1
            elif marker in _FRAMES and frame is None and end - begin >= 8:
                process, frame = marker, content[begin + 2 : begin + 8]
            elif marker == _EXIF and not scans:
                block = content[begin + 2 : end]
                if exif is None and block.startswith(b"Exif\x00\x00"):
                    exif = block
                elif xmp is None and block.startswith(b"http://ns.adobe.com/xap/1.0/\x00"):
                    xmp = block
            if number >= MOST_SEGMENTS:
                raise PhotoError(f"more than {MOST_SEGMENTS} segments in one JPEG")
        if frame is None or not scans:
            raise PhotoError("the bytes have no complete JPEG header")
        return cls(
            content=content,
            height=int.from_bytes(frame[1:3]),
            width=int.from_bytes(frame[3:5]),
            process=process,
            components=frame[5],
            scans=scans,
            exif=exif,
            xmp=xmp,
        )

    @cached_property
    def orientation(self) -> int:
        """How the pixels are to be turned, 1 to 8; 1 is upright."""
        return orientation(exif=self.exif, xmp=self.xmp)

    def check(self) -> None:
        """Entropy-decode the whole stream, at one eighth of the size, which costs a fraction of decoding it.

        Raises:
            PhotoError: `rgb` would not decode it: it ends early, is damaged inside, or no decoder knows its kind.
        """
        self._decode(colorspace="GRAY", min_height=1, min_width=1, min_factor=8)

    def grey(self, *, least: int) -> npt.NDArray[np.uint8]:
        """Brightness (H, W) as it is stored, in a quick approximation.

        Args:
            least: The least width and height that is wanted; decoding to a fraction costs less.

        Raises:
            PhotoError: the photograph is not whole, or no decoder knows its kind.
        """
        return self._decode(colorspace="GRAY", min_height=least, min_width=least, fastdct=True)[:, :, 0]

    def rgb(self, *, least_width: int = 0, least_height: int = 0) -> npt.NDArray[np.uint8]:
        """RGB pixels (H, W, 3) as they are stored; CMYK and grey become RGB, colour profiles are ignored.

        Args:
            least_width: The least width of a smaller picture that will do: decoding to a fraction costs less. 0: all.
            least_height: The least height of a smaller picture that will do. 0: all.

        Raises:
            PhotoError: the photograph is not whole, or no decoder knows its kind.
        """
        least = {"min_width": least_width, "min_height": least_height}
        if self.components != 4:
            return self._decode(colorspace="RGB", **least)
        # Adobe's convention, which every program follows: the inks are stored inverted.
        from PIL import Image  # noqa: PLC0415 (few photographs need it, and each worker would load it)

        inks = 255 - self._decode(colorspace="CMYK", **least)
        return np.array(Image.fromarray(inks, "CMYK").convert("RGB"))

    def upright(self, *, least_width: int = 0, least_height: int = 0) -> npt.NDArray[np.uint8]:
        """RGB pixels (H, W, 3) turned upright; CMYK and grey become RGB, colour profiles are ignored.

        Args:
            least_width: The least width, before turning, of a smaller picture that will do. 0: all.
            least_height: The least height, before turning, of a smaller picture that will do. 0: all.

        Raises:
            PhotoError: the photograph is not whole, or no decoder knows its kind.
        """
        return turned(self.rgb(least_width=least_width, least_height=least_height), self.orientation)

    def _decode(self, *, colorspace: str, **options: int) -> npt.NDArray[np.uint8]:
        if self.process not in _SEQUENTIAL | _PROGRESSIVE:
            # Lossless or hierarchical. TurboJPEG begins to decode the former, to its full size whatever size is asked
            # for: beyond the memory that it was given.
            raise PhotoError(f"compressed by a process of JPEG that is not read here (SOF{self.process - 0xC0})")
        if self.scans > MOST_SCANS:
            raise PhotoError(f"more than {MOST_SCANS} scans in one image")
        if self.scans * self.width * self.height > MOST_SCANNED_PIXELS:
            raise PhotoError(f"{self.scans} scans of {self.width} x {self.height} pixels: no camera writes that many")
        decode = partial(simplejpeg.decode_jpeg, colorspace=colorspace, strict=True, **options)
        pixels: npt.NDArray[np.uint8]
        try:
            pixels = decode(self.content)
        except ValueError as error:
            if _ODD_SAMPLING in str(error):
                return self._by_pillow(colorspace=colorspace)
            pixels = self._mended(decode)
        return pixels

    def _mended(self, decode: Callable[[bytes], npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
        """Decode without what the decoder complains of although no pixel depends on it.

        The decoder tells its first complaint only, which can hide others; so each is mended until it has none. It
        complains of an unknown version of JFIF or of Adobe's marker, of stray bytes between segments, of parameters
        that a sequential scan ignores, and of padding before a marker.

        Raises:
            PhotoError: pixels are missing or wrong.
        """
        content = _with_plain_header(self.content, components=self.components)
        for _ in range(_MOST_PADDINGS):
            try:
                return decode(content)
            except ValueError as error:
                shorter = _without_padding(content, str(error))
                if shorter is None:
                    raise PhotoError(str(error)) from error
                content = shorter
        raise PhotoError(f"padding before more than {_MOST_PADDINGS} markers")

    def _by_pillow(self, *, colorspace: str) -> npt.NDArray[np.uint8]:
        """What TurboJPEG has no name for, by libjpeg itself, at the full size; early ends are found, damage is not."""
        from PIL.JpegImagePlugin import JpegImageFile  # noqa: PLC0415 (as in `rgb`)

        try:
            with JpegImageFile(io.BytesIO(self.content)) as image:
                inks = image.mode == "CMYK"
                pixels = np.array(image.convert({"GRAY": "L"}.get(colorspace, colorspace)))
        except Exception as error:
            # Pillow's readers end in whatever damaged bytes lead them to, from struct.error to IndexError.
            raise PhotoError(str(error)) from error
        pixels = 255 - pixels if inks and colorspace == "CMYK" else pixels
        return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, begin and end of each segment (length and parameters) as libjpeg finds them, up to the end of the image.

    What is no marker is passed over: the bytes of a scan, and stray bytes between segments.
    """
    position = 2
    while found := _MARKER.search(content, position):
        begin = found.end()
        marker = content[begin - 1]
        if marker == _END:
            yield marker, begin, begin
            return
        position = begin + int.from_bytes(content[begin : begin + 2])
        if not begin + 2 <= position <= len(content):
            return
        yield marker, begin, position


def _with_plain_header(content: bytes, *, components: int) -> bytes:
    """The same pixels: the header without stray bytes, notes and oddities, then all from the first scan on."""
    kept = [content[:2]]
    sequential = False
    for marker, begin, end in _segments(content):
        segment = content[begin - 2 : end]
        sequential |= marker in _SEQUENTIAL
        if marker == _START_OF_SCAN:
            # Spectral selection and approximation: a sequential scan has no choice.
            kept += [segment[:-3] + b"\x00\x3f\x00" if sequential else segment, content[end:]]
            break
        if segment[4:9] == b"JFIF\x00":
            kept.append(segment[:9] + b"\x01" + segment[10:])
        elif segment[4:9] == b"Adobe" and len(segment) > 15 and segment[15] > 2:
            # What libjpeg takes an unknown transformation for: YCbCr and YCCK.
            kept.append(segment[:15] + (b"\x02" if components == 4 else b"\x01") + segment[16:])
        elif marker == _ADOBE or marker not in _NOTES:
            kept.append(segment)
    return b"".join(kept)


def _without_padding(content: bytes, problem: str) -> bytes | None:
    """The bytes without the padding that the decoder complains of; None where it complains of something else.

    Surplus bytes that differ are no padding: damage puts a decoder out of step, and they are what it has not reached.
    """
    match = _SURPLUS.search(problem)
    if match is None:
        return None
    surplus, wanted = int(match[1]), int(match[2], 16)
    previous = 0
    for marker, begin, end in _segments(content):
        if marker == wanted:
            before = content[previous : begin - 2].rstrip(b"\xff")
            if len(before) >= surplus and len(set(before[-surplus:])) == 1:
                return content[: previous + len(before) - surplus] + content[begin - 2 :]
        previous = end
    return None
