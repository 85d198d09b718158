"""What is no photograph at all, under the name of one: other pictures, documents, archives, text and noise."""

import gzip
import io
import random
import zipfile
from collections.abc import Iterator

from PIL import Image

from tests.malformed import Case
from tests.malformed_pieces import SEED, picture, saved


def cases() -> Iterator[Case]:
    """All of them are refused, and told by what they are."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as inner:
        inner.writestr("photo.jpg", saved(picture(), "JPEG"))
    red = Image.new("RGB", (96, 64), "red")
    films = {"save_all": True, "append_images": [red]}
    found: dict[str, tuple[bytes, str]] = {
        "zero.jpg": (b"", "empty"),
        "one_byte.jpg": (b"\xff", "unknown"),
        "two_bytes.jpg": (b"\xff\xd8", "unknown"),
        "blank.jpg": (b" \r\n\t" * 99, "blank"),
        "zeros.jpg": (bytes(5000), "unknown"),
        "noise.jpg": (random.Random(SEED).randbytes(5000), "unknown"),
        "text.jpg": (b"this is not a photograph\n" * 50, "plain text"),
        "page.jpg": (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "HTML"),
        "marked_page.jpg": (b"\xef\xbb\xbf\n  <html></html>", "HTML"),
        "answer.jpg": (b'{"error": "no such photo"}', "JSON"),
        "drawing.jpg": (b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>', "SVG"),
        "feed.jpg": (b'<?xml version="1.0"?><a/>', "XML"),
        "archive.jpg": (archive.getvalue(), "ZIP"),
        "empty_archive.jpg": (b"PK\x05\x06" + bytes(18), "ZIP"),
        "packed.jpg": (gzip.compress(saved(picture(), "JPEG"), mtime=0), "gzip"),
        "paper.jpg": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
        "scan.jpg": (saved(picture(), "TIFF"), "TIFF"),
        "scan_16.jpg": (b"MM\x00*" + bytes(99), "TIFF"),
        "paint.jpg": (saved(picture(), "BMP"), "BMP"),
        "moving.jpg": (saved(picture().quantize(64), "GIF", **films), "GIF"),
        "bomb.gif": (b"GIF89a\xff\xff\xff\xff\xf0\x00\x00" + bytes(99), "GIF"),
        "icon.jpg": (b"\x00\x00\x01\x00\x01\x00" + bytes(99), "icon"),
        "layers.jpg": (b"8BPS\x00\x01" + bytes(99), "Photoshop"),
        "wavelets.jpg": (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(99), "JPEG 2000"),
        "extra_large.jpg": (b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(99), "JPEG XL"),
        "film.jpg": (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isom" + bytes(99), "MP4"),
        "film_of_a_phone.jpg": (b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  " + bytes(99), "QuickTime"),
        "raw.jpg": (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom" + bytes(99), "raw"),
        "matroska.jpg": (b"\x1a\x45\xdf\xa3" + bytes(99), "Matroska"),
        "sound.jpg": (b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(99), "RIFF"),
    }
    for name, (content, says) in found.items():
        yield Case(name=name, content=content, right="error", says=says)
