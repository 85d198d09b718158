"""WebP: chunks of RIFF that are damaged, that lie about sizes, and films of which only the first picture counts."""

import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.malformed import Case, Pixels
from tests.malformed_pieces import PIXELS, SIZE, cut, exif, flipped, picture, saved, turned


def webp(image: Image.Image, **options: object) -> bytes:
    """A WebP without loss."""
    return saved(image, "WebP", lossless=True, **options)


def riff(*chunks: bytes) -> bytes:
    """A file of chunks."""
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(content).to_bytes(4, "little") + content


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk, padded to an even length."""
    return kind + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)


def canvas(width: int, height: int, flags: int = 0) -> bytes:
    """The chunk that says how large the picture is to be."""
    return chunk(
        b"VP8X", struct.pack("<I", flags) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )


def cases() -> Iterator[Case]:
    """All cases of WebP."""
    plain, lossy = webp(picture()), saved(picture(), "WebP", quality=90)
    yield from cut("page.webp", plain)
    yield from cut("lossy.webp", lossy, (0.1, 0.5, 0.9))
    yield from flipped("page.webp", plain, begin=12)
    yield from flipped("lossy.webp", lossy, begin=12)
    red = Image.new("RGB", SIZE, "red")
    film = webp(picture(), save_all=True, append_images=[red, red])
    read: dict[str, tuple[bytes, Pixels, float]] = {
        "plain.webp": (plain, PIXELS, 0),
        "lossy.webp": (lossy, PIXELS, 4),
        "webp_named.jpg": (plain, PIXELS, 0),
        "film.webp": (film, PIXELS, 0),
        "opaque.webp": (webp(picture("RGBA")), PIXELS, 0),
        "clear.webp": (webp(Image.new("RGBA", SIZE, (255, 0, 0, 0)), exact=True), np.full_like(PIXELS, 255), 0),
        "turned.webp": (webp(picture(), exif=exif(6)), turned(6), 0),
        "exif_garbage.webp": (webp(picture(), exif=b"GARBAGE!" * 9), PIXELS, 0),
        "dot.webp": (webp(Image.new("RGB", (1, 1), "lime")), np.full((1, 1, 3), (0, 255, 0), np.uint8), 0),
        "trailer.webp": (plain + b"made by a program" * 9, PIXELS, 0),
    }
    for name, (content, pixels, tolerance) in read.items():
        yield Case(name=name, content=content, right="answer", pixels=pixels, tolerance=tolerance)
    frame = film[film.index(b"ANMF") :]
    refused = {
        "header_only.webp": plain[:12],
        "no_pixels.webp": riff(canvas(96, 64)),
        "unknown_chunk.webp": riff(chunk(b"junk", bytes(99))),
        "canvas_of_another_size.webp": riff(canvas(500, 500), plain[12:]),
        "length_that_lies.webp": plain[:4] + b"\xff\xff\xff\x7f" + plain[8:],
        "frame_beyond_the_canvas.webp": riff(canvas(16, 16, 2), chunk(b"ANIM", bytes(6)), frame),
    }
    for name, content in refused.items():
        yield Case(name=name, content=content, right="error")
    # A film's pixels all lie on its canvas, however small the first picture is.
    yield Case(name="bomb.webp", content=riff(canvas(2**24, 2**24)), right="error", says="pixels")
    moving = riff(canvas(16_383, 16_383, 2), chunk(b"ANIM", bytes(6)), frame)
    yield Case(name="bomb_film.webp", content=moving, right="error", says="pixels")
