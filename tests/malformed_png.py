"""PNGs: every depth and colour, chunks that are damaged, lie, swell or never end."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, PngImagePlugin

from tests.malformed import Case, Pixels
from tests.malformed_pieces import GREY, PIXELS, SIZE, cut, exif, flipped, picture, saved, turned

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PLAIN = saved(picture(), "PNG")


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def png(
    pixels: np.ndarray,
    *,
    depth: int,
    colour: int,
    before: bytes = b"",
    size: tuple[int, int] = SIZE,
    interlaced: int = 0,
) -> bytes:
    """A PNG by hand: rows of bytes as they are stored."""
    rows = b"".join(b"\x00" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced)
    return b"".join(
        (SIGNATURE, chunk(b"IHDR", header), before, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    )


def with_chunks(*chunks: bytes, content: bytes = PLAIN) -> bytes:
    """The file with chunks before its pixels."""
    place = content.index(b"IDAT") - 4
    return content[:place] + b"".join(chunks) + content[place:]


def cases() -> Iterator[Case]:
    """All cases of PNGs."""
    yield from cut("screenshot.png", PLAIN, (0.02, 0.1, 0.3, 0.6, 0.9))
    yield from flipped("screenshot.png", PLAIN, begin=8, times=6)
    yield from _depths()
    yield from _read()
    yield from _refused()


def _depths() -> Iterator[Case]:
    """More and fewer than 8 bits, grey, colour and transparency."""
    wide = PIXELS.astype(np.uint16) * 256 + 77
    grey = GREY[:, :, :1].astype(np.uint16) * 256 + 77
    clear = np.zeros((64, 96, 1), np.uint16)
    opaque = clear + 65_535
    white: Pixels = np.full_like(PIXELS, 255)
    palette = picture().quantize(64)
    bits = picture("1")
    read: dict[str, tuple[bytes, Pixels]] = {
        "sixteen_colour.png": (png(wide, depth=16, colour=2), PIXELS),
        "sixteen_grey.png": (png(grey, depth=16, colour=0), GREY),
        "sixteen_opaque.png": (png(np.dstack([wide, opaque]), depth=16, colour=6), PIXELS),
        "sixteen_clear.png": (png(np.dstack([wide, clear]), depth=16, colour=6), white),
        "sixteen_grey_clear.png": (png(np.dstack([grey, clear]), depth=16, colour=4), white),
        "sixteen_grey_opaque.png": (png(np.dstack([grey, opaque]), depth=16, colour=4), GREY),
        "grey.png": (saved(picture("L"), "PNG"), GREY),
        "palette.png": (saved(palette, "PNG"), np.asarray(palette.convert("RGB"))),
        "one_bit.png": (saved(bits, "PNG"), np.asarray(bits.convert("RGB"))),
        "opaque.png": (saved(picture("RGBA"), "PNG"), PIXELS),
        "clear.png": (saved(Image.new("RGBA", SIZE, (255, 0, 0, 0)), "PNG"), white),
        "clear_palette.png": (saved(palette, "PNG", transparency=bytes(64)), white),
        "grey_one_clear.png": (
            saved(Image.new("L", SIZE, 7), "PNG", transparency=7), white
        ),
    }  # fmt: skip
    for name, (content, pixels) in read.items():
        yield Case(name=name, content=content, right="answer", pixels=pixels, tolerance=0.5)


def _read() -> Iterator[Case]:
    """Odd ones that every program reads."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(exif(6))}\n{exif(6).hex()}\n")
    red = Image.new("RGB", SIZE, "red")
    read: dict[str, tuple[bytes, Pixels]] = {
        "plain.png": (PLAIN, PIXELS),
        "png_named.jpg": (PLAIN, PIXELS),
        "moving.png": (saved(picture(), "PNG", save_all=True, append_images=[red, red]), PIXELS),
        "trailer.png": (PLAIN + b"made by a program" * 99, PIXELS),
        "unknown_chunk.png": (with_chunks(chunk(b"prIv", bytes(999))), PIXELS),
        "damaged_profile.png": (with_chunks(chunk(b"iCCP", b"icc\x00\x00not compressed")), PIXELS),
        "exif.png": (with_chunks(chunk(b"eXIf", exif(6)[6:])), turned(6)),
        "exif_as_text.png": (saved(picture(), "PNG", pnginfo=text), turned(6)),
        "exif_garbage.png": (with_chunks(chunk(b"eXIf", b"GARBAGE!" * 9)), PIXELS),
        "dot.png": (saved(Image.new("RGB", (1, 1), "green"), "PNG"), np.full((1, 1, 3), (0, 128, 0), np.uint8)),
        "line.png": (saved(Image.new("RGB", (65_535, 1), "white"), "PNG"), np.full((1, 65_535, 3), 255, np.uint8)),
        "column.png": (saved(Image.new("RGB", (1, 65_535), "white"), "PNG"), np.full((65_535, 1, 3), 255, np.uint8)),
    }
    for name, (content, pixels) in read.items():
        yield Case(name=name, content=content, right="answer", pixels=pixels)
    swelling = b"\x00\x00" + zlib.compress(bytes(30_000_000))
    either = {
        "swelling_text.png": with_chunks(chunk(b"zTXt", b"Comment" + swelling)),
        "swelling_profile.png": with_chunks(chunk(b"iCCP", b"icc" + swelling)),
        "endless_film.png": with_chunks(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
        "no_frames.png": with_chunks(chunk(b"acTL", bytes(8))),
        "wrong_transparency.png": with_chunks(chunk(b"tRNS", bytes(1))),
        "end_lost.png": PLAIN[:-12],
    }
    for name, content in either.items():
        yield Case(name=name, content=content, right="either", pixels=PIXELS)


def _refused() -> Iterator[Case]:
    """Damage, and what fills memory or never ends."""
    few = chunk(b"IDAT", zlib.compress(bytes(3000))) + chunk(b"IEND", b"")

    def claims(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
        return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) + few

    refused = {
        "signature_only.png": SIGNATURE,
        "header_only.png": PLAIN[:33],
        "no_pixels.png": PLAIN.replace(b"IDAT", b"prIv"),
        "no_width.png": claims(0, 64),
        "few_pixels.png": claims(96, 64),
        "line_that_lies.png": claims(65_535, 1),
        "unknown_colour.png": claims(96, 64, 8, 9),
        "unknown_depth.png": claims(96, 64, 3, 0),
        "no_palette.png": claims(96, 64, 8, 3)[:33] + chunk(b"prIv", b"") + few,
        "wrong_checksum.png": PLAIN[:29] + b"\x00\x00\x00\x00" + PLAIN[33:],
        "longer_than_the_file.png": SIGNATURE + b"\x7f\xff\xff\xffIHDR" + bytes(100),
        "pixels_that_are_none.png": SIGNATURE + PLAIN[8:33] + chunk(b"IDAT", b"not compressed") + chunk(b"IEND", b""),
        "endless_chunks.png": with_chunks(chunk(b"prIv", b"") * 300_000),
    }
    for name, content in refused.items():
        yield Case(name=name, content=content, right="error")
    for width, height in ((30_000, 30_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1)):
        yield Case(
            name=f"bomb_{width}x{height}.png", content=claims(width, height), right="error", says="pixels are more than"
        )
    # All the pixels are there: 112 megabytes in a hundred kilobytes.
    full = zlib.compressobj(1)
    rows = b"".join(full.compress(bytes(3751 * 1000)) for _ in range(30)) + full.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0))
    content = SIGNATURE + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    yield Case(name="bomb_with_pixels.png", content=content, right="error", says="pixels are more than")
