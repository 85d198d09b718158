"""Fetch, dataset and identification read one photograph alike, whatever else its file holds."""

import io
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.errors import PhotoError
from ml.images.photograph import upright_pixels
from ml.images.views import decode, resize
from pipeline.dataset.fingerprint import fingerprint
from pipeline.dataset.small_jpeg import shrink
from pipeline.photos.verification import verify

SIZE = (40, 24)
LIMIT = 1_000_000


def picture(mode: str = "RGB") -> bytes:
    """A small JPEG without any symmetry, and without EXIF."""
    across, down = np.meshgrid(np.linspace(0, 255, SIZE[0]), np.linspace(0, 255, SIZE[1]))
    pixels = np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "JPEG", quality=95)
    return stream.getvalue()


PLAIN = picture()


def with_exif(block: bytes, content: bytes = PLAIN) -> bytes:
    """The JPEG with a block of EXIF as its first segment."""
    return content[:2] + b"\xff\xe1" + (2 + len(block)).to_bytes(2) + block + content[2:]


def odd_block(dice: random.Random) -> bytes:
    """A block of EXIF as no camera writes it: odd types, counts and offsets, loops, then damage at a few places."""
    order = dice.choice("<>")
    entries = dice.randrange(4)
    tags = [*[0x0112] * 6, 0x0100, 0x010F, 0x011A, 0x0128, 0x0132, 0x8769, 0x8825, dice.randrange(2**16)]
    block = bytearray(b"Exif\x00\x00" + (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}I", 8))
    block += struct.pack(f"{order}H", dice.choice([entries, entries, 0xFFFF]))
    for _ in range(entries):
        value = dice.choice([0, 1, 3, 6, 8, 26, 65537, 2**32 - 1, dice.randrange(2**32)])
        short = dice.choice([struct.pack(f"{order}I", value), struct.pack(f"{order}HH", value % 9, 0)])
        count = dice.choice([0, 1, 1, 1, 2, 3, 2**31])
        block += struct.pack(f"{order}HHI", dice.choice(tags), dice.randrange(14), count) + short
    block += struct.pack(f"{order}I", dice.choice([0, 8, 2**32 - 1])) + dice.randbytes(dice.randrange(40))
    for _ in range(dice.choice([0, 0, 1, 3, 10])):
        block[dice.randrange(len(block))] = dice.choice([0, 1, 255, dice.randrange(256)])
    return bytes(block[: dice.choice([len(block), len(block), dice.randrange(len(block) + 1)])])


def assert_read_alike(content: bytes, *, name: object) -> tuple[int, ...]:
    """All readers give the same upright picture; returns its shape."""
    assert verify(content, max_pixels=LIMIT).status == "ok", name
    pixels = upright_pixels(content)
    shrunk = shrink(content, side=min(pixels.shape[:2]))
    assert (shrunk.height, shrunk.width) == pixels.shape[:2], name
    (trained,) = resize(decode(shrunk.content), boxes=[(0, 0, 1, 1)], image_size=16)
    whole = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BILINEAR)
    assert np.abs(trained.astype(int) - np.asarray(whole)).mean() < 10, name
    assert isinstance(fingerprint(shrunk.content), int)
    return pixels.shape


def test_no_block_of_exif_parts_the_readers() -> None:
    dice = random.Random(13)
    upright: dict[tuple[int, ...], int] = {(24, 40, 3): 0, (40, 24, 3): 0}
    for number in range(2000):
        block = odd_block(dice)
        upright[assert_read_alike(with_exif(block), name=(number, block))] += 1
    assert min(upright.values()) >= 10, "some of them must be turned"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("number", [1, 3, 6, 7])
def test_every_orientation_and_colour_is_trained_on_as_it_is_identified(mode: str, number: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = number
    assert_read_alike(with_exif(exif.tobytes(), picture(mode)), name=(mode, number))


@pytest.mark.parametrize("cut", range(0, len(PLAIN), 7))
def test_what_is_refused_at_the_fetch_is_refused_everywhere(cut: int) -> None:
    content = PLAIN[:cut]
    assert verify(content, max_pixels=LIMIT).status != "ok"
    for read in (upright_pixels, fingerprint, lambda content: shrink(content, side=10)):
        with pytest.raises(PhotoError):
            read(content)


def test_what_damage_leaves_is_judged_alike() -> None:
    dice = random.Random(5)
    ok = 0
    for number in range(300):
        damaged = bytearray(PLAIN)
        for _ in range(dice.choice([1, 1, 4])):
            damaged[dice.randrange(3, len(damaged))] = dice.choice([0, 255, dice.randrange(256)])
        content = bytes(damaged)
        verdict = verify(content, max_pixels=LIMIT)
        if verdict.status == "ok":
            ok += 1
            assert verdict.width is not None
            assert verdict.height is not None
            assert sorted(upright_pixels(content).shape[:2]) == sorted((verdict.width, verdict.height)), number
            shrink(content, side=10)
        else:
            with pytest.raises(PhotoError):
                upright_pixels(content, max_pixels=LIMIT)
    assert 10 < ok < 290, "some of them must pass"


def test_unusual_photographs_of_the_field_are_read_alike(shared: Path) -> None:
    folder = shared / "cases"
    paths = [path for name in ("jpeg_zoo", "exif_zeroed", "exif_orientation_type", "exif_others")
             for path in sorted((folder / name).glob("*.jpg"))]  # fmt: skip
    assert len(paths) >= 21
    for path in paths:
        assert_read_alike(path.read_bytes(), name=path.name)
    turned = upright_pixels((folder / "exif_orientation_type" / "byte.jpg").read_bytes())
    assert turned.shape == (240, 180, 3)
