"""JPEGs: those of cameras and programs that look odd, and those that are damaged or made to do harm."""

import zipfile
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image

from tests.malformed import Case
from tests.malformed_pieces import GREY, PIXELS, cut, exif, flipped, picture, saved, turned

PLAIN = saved(picture(), "JPEG", quality=92)
PROGRESSIVE = saved(picture(), "JPEG", quality=92, progressive=True)
CMYK = saved(picture("CMYK"), "JPEG", quality=100)
FRAME = PLAIN.index(b"\xff\xc0")
SCAN = PLAIN.index(b"\xff\xda")
NEAR = 4.0
"""How far a lossy picture may be from the one that was compressed, on average."""


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2) + content


def behind_start(content: bytes, *segments: bytes) -> bytes:
    """The file with segments behind its first marker."""
    return content[:2] + b"".join(segments) + content[2:]


def sized(width: int, height: int, content: bytes = PLAIN) -> bytes:
    """The file that claims another size."""
    return content[: FRAME + 5] + height.to_bytes(2) + width.to_bytes(2) + content[FRAME + 9 :]


def cases() -> Iterator[Case]:
    """All cases of JPEGs."""
    yield from cut("camera.jpg", PLAIN, (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99))
    yield from cut("progressive.jpg", PROGRESSIVE, (0.2, 0.5, 0.8, 0.97))
    yield from flipped("camera.jpg", PLAIN, begin=SCAN + 14, times=5)
    yield from flipped("header.jpg", PLAIN, begin=2, times=5)
    yield from _read()
    yield from _turned()
    yield from _refused()


def _read() -> Iterator[Case]:
    """Odd ones that every program reads."""
    without_adobe = CMYK.replace(b"Adobe", b"Bdobe", 1)
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as inner:
        inner.writestr("page.html", "<html></html>")
    read = {
        "plain.jpg": PLAIN,
        "named.png": PLAIN,
        "named.heic": PLAIN,
        "no_ending": PLAIN,
        "progressive.jpg": PROGRESSIVE,
        "cmyk.jpg": CMYK,
        "cmyk_without_adobe.jpg": without_adobe,
        "film_behind.jpg": PLAIN + b"\x00\x00\x00\x18ftypmp42" + bytes(20_000),
        "zip_behind.jpg": PLAIN + archive.getvalue(),
        "second_behind.jpg": PLAIN + saved(Image.new("RGB", (9, 9), "red"), "JPEG"),
        "depth_map.jpg": saved(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", (96, 64))], quality=92),
        "fill_bytes.jpg": behind_start(PLAIN, b"\xff" * 100_000),
        "comments.jpg": behind_start(PLAIN, *[segment(0xFE, bytes(60_000))] * 20),
        # As cameras film: decoders know these tables by heart.
        "without_tables.jpg": PLAIN.replace(b"\xff\xc4", b"\xff\xfe"),
        "unknown_adobe.jpg": behind_start(PLAIN, segment(0xEE, b"Adobe\x00\x64\x00\x00\x00\x00\x07")),
    }
    for name, content in read.items():
        yield Case(name=name, content=content, right="answer", pixels=PIXELS, tolerance=2 * NEAR)
    yield Case(name="grey.jpg", content=saved(picture("L"), "JPEG"), right="answer", pixels=GREY, tolerance=NEAR)
    dot = np.asarray(Image.new("RGB", (1, 1), "green"))
    yield Case(name="dot.jpg", content=saved(Image.fromarray(dot), "JPEG"), right="answer", pixels=dot, tolerance=NEAR)
    line = Image.new("RGB", (65_500, 1), "green")
    yield Case(name="line.jpg", content=saved(line, "JPEG"), right="answer", pixels=np.asarray(line), tolerance=NEAR)


def _turned() -> Iterator[Case]:
    """What EXIF says about which way up, and what it only seems to say."""
    for orientation in range(1, 9):
        content = behind_start(PLAIN, segment(0xE1, exif(orientation)))
        pixels = turned(orientation)
        yield Case(
            name=f"orientation_{orientation}.jpg", content=content, right="answer", pixels=pixels, tolerance=NEAR
        )
    garbage = {
        "zeros": b"Exif\x00\x00" + bytes(64),
        "text": b"Exif\x00\x00" + b"GARBAGE!" * 99,
        "nine": exif(9),
        "endless_directory": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + bytes(60_000),
        "directory_of_itself": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00",
        "far_away": b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
    }
    for name, block in garbage.items():
        content = behind_start(PLAIN, segment(0xE1, block))
        yield Case(name=f"exif_{name}.jpg", content=content, right="answer", pixels=PIXELS, tolerance=NEAR)


def _refused() -> Iterator[Case]:
    """Damage, and what keeps a decoder busy or fills the memory."""
    scans = PROGRESSIVE[PROGRESSIVE.index(b"\xff\xda") : -2]
    refused = {
        "header_only.jpg": PLAIN[: SCAN + 14],
        "start_only.jpg": b"\xff\xd8\xff\xe0",
        "last_marker_lost.jpg": PLAIN[:-2],
        "no_frame.jpg": PLAIN[:FRAME] + PLAIN[SCAN:],
        "empty_frame.jpg": sized(0, 0),
        "line_that_lies.jpg": sized(65_500, 1),
        "column_that_lies.jpg": sized(1, 65_500),
        "lossless.jpg": PLAIN.replace(b"\xff\xc0", b"\xff\xc3", 1),
        "hierarchical.jpg": PLAIN.replace(b"\xff\xc0", b"\xff\xc5", 1),
        "twelve_bits.jpg": PLAIN[: FRAME + 4] + b"\x0c" + PLAIN[FRAME + 5 :],
        "endless_scans.jpg": PROGRESSIVE[:-2] + scans * 100 + b"\xff\xd9",
        "endless_segments.jpg": behind_start(PLAIN, segment(0xE2, b"") * 50_000),
        "endless_fill.jpg": b"\xff\xd8" + b"\xff" * 1_000_000,
    }
    for name, content in refused.items():
        yield Case(name=name, content=content, right="error")
    for width, height in ((65_535, 65_535), (65_500, 65_500), (30_000, 30_000)):
        yield Case(
            name=f"bomb_{width}x{height}.jpg", content=sized(width, height), right="error", says="pixels are more than"
        )
