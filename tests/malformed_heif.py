"""HEIC and AVIF, which share a container of nested boxes: odd ones, damaged ones, and boxes that lie about the work."""

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

from tests.malformed import Case, Pixels
from tests.malformed_pieces import GREY, PIXELS, SIZE, cut, exif, flipped, picture, saved, turned

NEAR = 4.0
TOO_LARGE = "pixels are more than|pixels, more than"


def heic(*images: Image.Image, **options: Any) -> bytes:  # noqa: ANN401 (of pillow-heif)
    """The HEIC of pictures."""
    file = pillow_heif.from_pillow(images[0])
    for image in images[1:]:
        file.add_from_pillow(image)
    return written(file, **options)


def written(file: pillow_heif.HeifFile, **options: Any) -> bytes:  # noqa: ANN401 (as above)
    """What the library writes."""
    stream = io.BytesIO()
    file.save(stream, **{"quality": 90, "chroma": 444, "enc_params": {"preset": "ultrafast"}, **options})
    return stream.getvalue()


def deep(*, bits: int) -> bytes:
    """A HEIC of more than 8 bits."""
    values = (PIXELS.astype(np.uint16) * 257).tobytes()
    before, pillow_heif.options.SAVE_HDR_TO_12_BIT = pillow_heif.options.SAVE_HDR_TO_12_BIT, bits == 12
    try:
        return written(pillow_heif.from_bytes(mode="RGB;16", size=SIZE, data=values))
    finally:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = before


def box(kind: bytes, content: bytes) -> bytes:
    """A box of ISO's base media file format."""
    return (8 + len(content)).to_bytes(4) + kind + content


def sized(content: bytes, width: int, height: int) -> bytes:
    """The file whose boxes claim another size."""
    place = -1
    while (place := content.find(b"ispe", place + 1)) >= 0:
        content = content[: place + 8] + struct.pack(">II", width, height) + content[place + 16 :]
    return content


def repeated_tile(rows: int, columns: int) -> bytes:
    """A small picture that says it is a grid of one tile, which it names thousands of times."""
    content = heic(Image.new("RGB", (1024, 512), "green"), tile_size=512)
    tile = content.index(b"dimg") + 8
    wanted = struct.pack(">H", rows * columns) + content[tile : tile + 2] * (rows * columns)
    content = _grown(content, tile - 2, tile + 4, wanted)
    grid = content.index(b"idat") + 6
    return content[:grid] + bytes([rows - 1, columns - 1]) + content[grid + 2 :]


def _grown(content: bytes, begin: int, end: int, by: bytes) -> bytes:
    """The file with other bytes in its references, and sizes and offsets that fit."""
    more = len(by) - (end - begin)
    longer = bytearray(content[:begin] + by + content[end:])
    for kind in (b"dimg", b"iref", b"meta"):
        place = longer.index(kind) - 4
        longer[place : place + 4] = (int.from_bytes(longer[place : place + 4]) + more).to_bytes(4)
    offset = content.index(b"mdat") + 4
    place = content.index(b"iloc")
    while (place := content.find(offset.to_bytes(4), place)) >= 0:
        # Items lie in `mdat` one behind the other: their length follows their offset.
        length = int.from_bytes(content[place + 4 : place + 8])
        longer[place : place + 4] = (offset + more).to_bytes(4)
        offset, place = offset + length, place + 8
    return bytes(longer)


def cases() -> Iterator[Case]:
    """All cases of HEIC and AVIF."""
    plain, avif = heic(picture()), saved(picture(), "AVIF", quality=95, speed=10)
    yield from cut("phone.heic", plain)
    yield from cut("phone.avif", avif)
    yield from flipped("phone.heic", plain, begin=24, times=6)
    yield from flipped("phone.avif", avif, begin=24, times=6)
    yield from _read(plain, avif)
    yield from _turned()
    yield from _refused(plain, avif)


def _read(plain: bytes, avif: bytes) -> Iterator[Case]:
    red, white = Image.new("RGB", (50, 40), "red"), np.full_like(PIXELS, 255)
    large, odd = picture(size=(300, 200)), picture(size=(95, 63))
    read: dict[str, tuple[bytes, Pixels]] = {
        "plain.heic": (plain, PIXELS),
        "heic_named.jpg": (plain, PIXELS),
        "halved_colours.heic": (heic(picture(), chroma=420), PIXELS),
        "grey.heic": (heic(picture("L")), GREY),
        "ten_bits.heic": (deep(bits=10), PIXELS),
        "twelve_bits.heic": (deep(bits=12), PIXELS),
        "opaque.heic": (heic(picture("RGBA")), PIXELS),
        "clear.heic": (heic(Image.new("RGBA", SIZE, (255, 0, 0, 0))), white),
        "second_is_primary.heic": (heic(red, picture(), primary_index=1), PIXELS),
        "burst.heic": (heic(picture(), red, red, primary_index=0), PIXELS),
        "tiles.heic": (heic(large, tile_size=128), np.asarray(large)),
        "odd_size.heic": (heic(odd), np.asarray(odd)),
        "with_thumbnail.heic": (heic(picture(), thumbnails=[32]), PIXELS),
        "trailer.heic": (plain + b"made by a program" * 99, PIXELS),
        "general_brand.heic": (plain.replace(b"ftypheic", b"ftypmif1", 1), PIXELS),
        "plain.avif": (avif, PIXELS),
        "avif_named.jpg": (avif, PIXELS),
        "grey.avif": (saved(picture("L"), "AVIF", quality=95, speed=10), GREY),
        "clear.avif": (saved(Image.new("RGBA", SIZE, (255, 0, 0, 0)), "AVIF"), white),
        "film.avif": (
            saved(picture(), "AVIF", quality=95, speed=10, save_all=True, append_images=[red.resize(SIZE)]),
            PIXELS,
        ),
        "general_brand.avif": (avif.replace(b"ftypavif", b"ftypmif1", 1), PIXELS),
    }
    for name, (content, pixels) in read.items():
        yield Case(name=name, content=content, right="answer", pixels=pixels, tolerance=NEAR)


def _turned() -> Iterator[Case]:
    """The container and EXIF say the same, and the picture is turned once; the container alone counts."""
    for orientation in (3, 6, 7, 8):
        pixels = turned(orientation)
        heif = heic(picture(), exif=exif(orientation))
        yield Case(name=f"turned_{orientation}.heic", content=heif, right="answer", pixels=pixels, tolerance=NEAR)
        avif = saved(picture(), "AVIF", quality=95, speed=10, exif=exif(orientation))
        yield Case(name=f"turned_{orientation}.avif", content=avif, right="answer", pixels=pixels, tolerance=NEAR)
    for kind, content in (
        ("heic", heic(picture(), exif=exif(1))),
        ("avif", saved(picture(), "AVIF", quality=95, speed=10, exif=exif(2).replace(b"\x12\x01", b"\x13\x01"))),
    ):
        block = content.index(b"II*\x00")
        for name, damage in (("garbage", b"GARBAGE!" * 3), ("says_6", exif(6)[6:30])):
            damaged = content[:block] + damage + content[block + 24 :]
            yield Case(name=f"exif_{name}.{kind}", content=damaged, right="answer", pixels=PIXELS, tolerance=NEAR)


def _refused(plain: bytes, avif: bytes) -> Iterator[Case]:
    """Boxes without a picture, without an end, and with more work than pixels."""
    nested = b""
    for _ in range(2000):
        nested = box(b"meta", bytes(4) + nested)
    header = plain[: int.from_bytes(plain[:4])]
    meta = plain[len(header) : plain.index(b"mdat") - 4]
    refused = {
        "brand_only.heic": header,
        "brand_only.avif": avif[: int.from_bytes(avif[:4])],
        "nested_boxes.heic": header + nested,
        "nested_boxes.avif": avif[: int.from_bytes(avif[:4])] + nested,
        "endless_boxes.heic": header + box(b"free", b"") * 200_000,
        "two_pictures_of_one_name.heic": header + meta + meta + plain[len(header) + len(meta) :],
        "smaller_than_said.heic": sized(plain, 900, 900),
        "larger_than_said.heic": sized(plain, 8, 8),
        "bomb.avif": sized(avif, 60_000, 60_000),
        "one_tile_65025_times.heic": repeated_tile(255, 255),
        "no_size.heic": sized(plain, 0, 0),
        "no_pixels.heic": plain[: plain.index(b"mdat") + 4] + bytes(len(plain) - plain.index(b"mdat") - 4),
        "no_pixels.avif": avif[: avif.index(b"mdat") + 4] + bytes(len(avif) - avif.index(b"mdat") - 4),
        "film_of_a_phone.heic": box(b"ftyp", b"hevc\x00\x00\x00\x00msf1hevc") + box(b"moov", bytes(200)),
    }
    for name, content in refused.items():
        yield Case(name=name, content=content, right="error")
    bombs = {
        "bomb.heic": sized(plain, 60_000, 60_000),
        "bomb_line.heic": sized(plain, 2**32 - 1, 1),
        "bomb_in_reach.avif": sized(avif, 16_000, 16_000),
        "one_tile_990_times.heic": repeated_tile(30, 33),
    }
    for name, content in bombs.items():
        yield Case(name=name, content=content, right="error", says=TOO_LARGE)
