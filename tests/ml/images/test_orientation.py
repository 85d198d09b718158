"""Which way up a photograph is: by EXIF, else by XMP, whatever else is in them."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.images.orientation import orientation

TAG = 0x0112
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def exif(
    kind: int, value: bytes, *, order: str = "<", count: int = 1, tag: int = TAG, begin: int = 8, after: bytes = b""
) -> bytes:
    """A block with one entry; `value` is the four bytes that hold it or its offset."""
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}I", begin)
    entry = struct.pack(f"{order}HHHI", 1, tag, kind, count) + value.ljust(4, b"\x00")
    return b"Exif\x00\x00" + head + entry + bytes(4) + after


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("kind", "code"), [(1, "B"), (3, "H"), (4, "I"), (6, "b"), (8, "h"), (9, "i")])
@pytest.mark.parametrize("number", [1, 6, 8])
def test_an_orientation_of_any_integer_type_is_obeyed(order: str, kind: int, code: str, number: int) -> None:
    block = exif(kind, struct.pack(order + code, number), order=order)
    assert orientation(exif=block, xmp=None) == number
    assert orientation(exif=block.removeprefix(b"Exif\x00\x00"), xmp=None) == number


@pytest.mark.parametrize("number", [0, 9, 255, 65535])
def test_a_number_that_is_no_orientation_says_nothing(number: int) -> None:
    assert orientation(exif=exif(3, struct.pack("<H", number)), xmp=None) == 1
    assert orientation(exif=exif(4, struct.pack("<I", number + 2**16)), xmp=None) == 1
    assert orientation(exif=exif(3, struct.pack("<H", number)), xmp=XMP) == 6


DAMAGED = {
    "nothing": b"",
    "a name only": b"Exif\x00\x00",
    "zeros": b"Exif\x00\x00" + bytes(64),
    "garbage": b"Exif\x00\x00" + b"GARBAGE!" * 4,
    "a text": exif(2, b"6\x00"),
    "a fraction of nothing": exif(5, b"\x1a\x00\x00\x00", after=bytes(8)),
    "a type that is none": exif(99, b"\x06"),
    "no value": exif(3, b"\x06", count=0),
    "more values than can be": exif(3, b"\x1a\x00\x00\x00", count=2**32 - 1),
    "values far away": exif(3, b"\xff\xff\xff\xff", count=9),
    "a directory far away": exif(3, b"\x06", begin=2**31),
    "a directory at the last byte": exif(3, b"\x06", begin=25),
    "a directory within the header": exif(3, b"\x06", begin=0),
    "another tag": exif(3, b"\x06", tag=0x0100),
    "half an entry": exif(3, b"\x06")[:22],
    "a count of entries only": exif(3, b"\x06")[:16],
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_block_is_no_error_and_says_upright(case: str) -> None:
    assert orientation(exif=DAMAGED[case], xmp=None) == 1
    assert orientation(exif=DAMAGED[case], xmp=XMP) == 6


def test_several_values_lie_where_the_entry_says_and_the_first_counts() -> None:
    assert orientation(exif=exif(3, struct.pack("<I", 26), count=3, after=b"\x08\x00\x03\x00\x03\x00"), xmp=None) == 8


def test_what_follows_the_orientation_does_not_matter() -> None:
    block = bytearray(exif(3, b"\x06"))
    block[14:16] = b"\xff\xff"
    assert orientation(exif=bytes(block), xmp=None) == 6, "the directory claims more entries than there are"


@pytest.mark.parametrize(
    ("xmp", "number"),
    [
        (b'tiff:Orientation="8"', 8),
        (b"tiff:Orientation='3'", 3),
        (b"<tiff:Orientation>5</tiff:Orientation>", 5),
        (b'tiff:Orientation="9"', 1),
        (b'tiff:Orientation="0"', 1),
        (b"tiff:Orientation", 1),
        (b"\xff\xfe\x00", 1),
        (b"", 1),
    ],
)
def test_xmp_is_asked_where_exif_says_nothing(xmp: bytes, number: int) -> None:
    assert orientation(exif=None, xmp=xmp) == number
    assert orientation(exif=exif(3, b"\x02"), xmp=xmp) == 2


@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\x00", b"MM\x00*", b"Exif\x00\x00II*\x00\x08\x00\x00\x00"]))
def test_no_bytes_break_it(content: bytes, start: bytes) -> None:
    assert orientation(exif=start + content, xmp=content) in range(1, 9)


def test_damage_anywhere_in_a_block_is_no_error() -> None:
    dice = random.Random(7)
    whole = exif(3, b"\x06", after=bytes(range(60)))
    for _ in range(3000):
        block = bytearray(whole)
        for _ in range(dice.randrange(1, 6)):
            block[dice.randrange(len(block))] = dice.choice([0, 1, 255, dice.randrange(256)])
        assert orientation(exif=bytes(block[: dice.randrange(len(block) + 1)]), xmp=None) in range(1, 9)
