"""The one reader of JPEGs: every pixel, upright, or an error; and which complaints of a decoder matter."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ml.images.jpeg import MOST_SCANS, MOST_SEGMENTS, Jpeg, PhotoError

END = b"\xff\xd9"
SCAN = b"\xff\xda"
TABLE = b"\xff\xc4"


def picture(mode: str = "RGB", *, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Colours in no symmetry whatever."""
    across, down = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 200, size[1]))
    pixels = np.stack([across, down, 255 - (across + down) / 2], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, **options: int | bool | bytes) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **{"quality": 90, **options})
    return stream.getvalue()


PLAIN = encoded(picture())
PROGRESSIVE = encoded(picture(), progressive=True)


def flat(
    *,
    size: tuple[int, int] = (16, 16),
    sampling: Sequence[int] = (0x11, 0x11, 0x11),
    frame: int = 0xC0,
    precision: int = 8,
    data: int = 64,
    scan: bytes = b"\x00\x3f\x00",
    padding: bytes = b"",
) -> bytes:
    """A grey JPEG by hand: both Huffman tables know one code, a zero bit, so that zero bytes are its blocks."""
    header = (
        bytes([precision, *size[1].to_bytes(2), *size[0].to_bytes(2), len(sampling)]),
        *(bytes([number + 1, factors, 0]) for number, factors in enumerate(sampling)),
    )
    components = b"".join(bytes([number + 1, 0]) for number in range(len(sampling)))

    def segment(marker: int, *parts: bytes) -> bytes:
        return bytes([0xFF, marker]) + (2 + len(b"".join(parts))).to_bytes(2) + b"".join(parts)

    return b"".join(
        (
            b"\xff\xd8",
            segment(0xDB, b"\x00", bytes([1]) * 64),
            segment(frame, *header),
            segment(0xC4, b"\x00", b"\x01", bytes(15), b"\x00"),
            segment(0xC4, b"\x10", b"\x01", bytes(15), b"\x00"),
            segment(0xDA, bytes([len(sampling)]), components, scan),
            bytes(data),
            padding,
            END,
        )
    )


def before(marker: bytes, inserted: bytes, content: bytes = PLAIN) -> bytes:
    """The JPEG with something before the last marker of a kind."""
    place = content.rindex(marker)
    return content[:place] + inserted + content[place:]


def with_byte(content: bytes, after: bytes, offset: int, value: int) -> bytes:
    """The JPEG with another byte at an offset from the begin of something."""
    changed = bytearray(content)
    changed[content.index(after) + offset] = value
    return bytes(changed)


def rgb(content: bytes) -> NDArray[np.uint8]:
    return Jpeg.read(content).rgb()


ADOBE = encoded(picture("CMYK"))
HARMLESS = {
    "zeros before the end": (before(END, bytes(40)), PLAIN),
    "many zeros before the end": (before(END, bytes(5000)), PLAIN),
    "blanks before the end": (before(END, b" " * 100), PLAIN),
    "fill bytes before the end": (before(END, b"\xff" * 100), PLAIN),
    "zeros and fill bytes before the end": (before(END, bytes(40) + b"\xff\xff"), PLAIN),
    "a byte before the end": (before(END, b"\x17"), PLAIN),
    "zeros before the end of a progressive one": (before(END, bytes(40), PROGRESSIVE), PROGRESSIVE),
    "zeros before a later scan": (before(SCAN, bytes(40), PROGRESSIVE), PROGRESSIVE),
    "zeros before a later table": (before(TABLE, bytes(40), PROGRESSIVE), PROGRESSIVE),
    "zeros before each part": (before(END, bytes(50), before(SCAN, bytes(40), PROGRESSIVE)), PROGRESSIVE),
    "zeros between segments": (before(b"\xff\xc0", bytes(40)), PLAIN),
    "letters between segments": (before(b"\xff\xc0", b"stray letters"), PLAIN),
    "zeros in the header and before the end": (before(b"\xff\xc0", bytes(40), before(END, bytes(60))), PLAIN),
    "an unknown version of JFIF": (with_byte(PLAIN, b"JFIF\x00", 5, 3), PLAIN),
    "an unknown Adobe transformation": (
        with_byte(ADOBE, b"Adobe", 11, 7),
        with_byte(ADOBE, b"Adobe", 11, 2),
    ),
    "parameters that a sequential scan ignores": (with_byte(PLAIN, SCAN, 12, 0), PLAIN),
    "the customary tables left out, as films do": (PLAIN.replace(TABLE, b"\xff\xfe"), PLAIN),
    "data after the end": (PLAIN + bytes(1000) + PLAIN[300:], PLAIN),
    "zeros after blocks of zeros": (flat(data=3, padding=bytes(60)), flat(data=3)),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_a_photograph_whose_pixels_are_all_there_is_whole(case: str) -> None:
    content, same = HARMLESS[case]
    Jpeg.read(content).check()
    assert np.array_equal(rgb(content), rgb(same))
    assert Jpeg.read(content).grey(least=8).shape == Jpeg.read(same).grey(least=8).shape


DAMAGED = {
    "without its end": PLAIN[:-2],
    "without its last byte": PLAIN[:-1],
    "without its last rows": PLAIN[:-30],
    "half": PLAIN[: len(PLAIN) // 2],
    "half, with an end": PLAIN[: len(PLAIN) // 2] + END,
    "half, with padding and an end": PLAIN[: len(PLAIN) // 2] + bytes(40) + END,
    "a lost scan, with an end": PROGRESSIVE[: PROGRESSIVE.rindex(SCAN) + 16] + END,
    "without its end, after an unknown version": with_byte(PLAIN, b"JFIF\x00", 5, 3)[:-2],
    "half, after zeros between segments": before(b"\xff\xc0", bytes(40))[: len(PLAIN) // 2] + END,
    "surplus of a scan out of step": before(END, bytes(range(1, 60))),
    "a header only": PLAIN[:20],
    "a size of nothing": with_byte(PLAIN, b"\xff\xc0", 6, 0),
    "no pixels": b"\xff\xd8\xff\xd9",
    "12 bits": flat(precision=12),
    "two components": flat(sampling=(0x11, 0x11)),
    "lossless": flat(frame=0xC3, sampling=(0x11,), scan=b"\x01\x00\x00"),
    "lossless, of 16 bits": flat(frame=0xC3, sampling=(0x11,), scan=b"\x01\x00\x00", precision=16),
    "lossless, in colour": flat(frame=0xC3, scan=b"\x01\x00\x00"),
    "lossless and arithmetic": flat(frame=0xCB, sampling=(0x11,), scan=b"\x01\x00\x00"),
    "hierarchical": flat(frame=0xC5),
    "JPEG-LS": flat(frame=0xF7),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_photograph_that_lacks_pixels_is_refused_by_all_ways_to_decode_it(case: str) -> None:
    def read(decode: Callable[[Jpeg], object]) -> None:
        decode(Jpeg.read(DAMAGED[case]))

    with pytest.raises(PhotoError):
        read(Jpeg.check)
    with pytest.raises(PhotoError):
        read(Jpeg.rgb)
    with pytest.raises(PhotoError):
        read(lambda photo: photo.rgb(least_width=10, least_height=10))
    with pytest.raises(PhotoError):
        read(lambda photo: photo.grey(least=10))


@given(st.integers(0, len(PLAIN) - 1), st.integers(0, 255), st.booleans())
@hypothesis_settings(deadline=None, max_examples=200)
def test_all_ways_to_decode_agree_on_what_is_whole(place: int, value: int, progressive: bool) -> None:  # noqa: FBT001
    content = PROGRESSIVE if progressive else PLAIN
    place = min(place, len(content) - 1)
    content = content[:place] + bytes([value]) + content[place + 1 :]
    found = []
    for decode in (Jpeg.check, Jpeg.rgb, lambda photo: photo.grey(least=8)):
        try:
            photo = Jpeg.read(content)
            if photo.width * photo.height < 10**6:
                decode(photo)
            found.append(True)
        except PhotoError:
            found.append(False)
    assert len(set(found)) == 1


@pytest.mark.parametrize("number", range(1, 9))
def test_each_orientation_is_turned_upright(number: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = number
    content = encoded(picture(), exif=exif.tobytes())
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    photo = Jpeg.read(content)
    assert photo.orientation == number
    assert np.array_equal(photo.upright(), expected)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_colours_are_those_of_other_programs(mode: str, *, progressive: bool) -> None:
    content = encoded(picture(mode), progressive=progressive)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(rgb(content) - expected).max() <= 2


@pytest.mark.parametrize("transform", [0, 2])
def test_prints_are_read_with_and_without_adobes_marker(transform: int) -> None:
    content = with_byte(ADOBE, b"Adobe", 11, transform)
    for one in (content, content.replace(b"Adobe", b"Abode")):
        with Image.open(io.BytesIO(one)) as image:
            expected = np.asarray(image.convert("RGB")).astype(int)
        assert np.abs(rgb(one) - expected).max() <= 2


@pytest.mark.parametrize(
    "sampling", [(0x11,), (0x22, 0x21, 0x12), (0x31, 0x11, 0x11), (0x11, 0x21, 0x11), (0x41, 0x11, 0x11), (0x11,) * 4]
)
def test_every_sampling_is_read(sampling: tuple[int, ...]) -> None:
    photo = Jpeg.read(flat(sampling=sampling))
    photo.check()
    assert photo.upright().shape == (16, 16, 3)
    assert photo.grey(least=4).ndim == 2
    with pytest.raises(PhotoError):
        Jpeg.read(flat(sampling=sampling, size=(160, 160), data=40)[:-2]).check()


@pytest.mark.parametrize(("frame", "scan"), [(0xC1, b"\x00\x3f\x00"), (0xC9, b"\x00\x3f\x00"), (0xCA, bytes(3))])
def test_extended_and_arithmetic_processes_are_read(frame: int, scan: bytes) -> None:
    photo = Jpeg.read(flat(frame=frame, scan=scan))
    photo.check()
    assert photo.rgb().shape == (16, 16, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (65_500, 2), (17, 9)])
def test_photographs_of_any_shape_are_read(size: tuple[int, int]) -> None:
    content = encoded(Image.new("RGB", size, "green"))
    photo = Jpeg.read(content)
    assert (photo.width, photo.height) == size
    photo.check()
    assert photo.rgb().shape == (size[1], size[0], 3)


def test_a_reduced_photograph_is_the_same_picture() -> None:
    content = encoded(picture(size=(640, 480)))
    small = Jpeg.read(content).rgb(least_width=100, least_height=60)
    assert 100 <= small.shape[1] < 640
    expected = np.asarray(Image.fromarray(rgb(content)).resize((small.shape[1], small.shape[0]), Image.Resampling.BOX))
    assert np.abs(small.astype(int) - expected).mean() < 3


def test_scans_are_counted_and_endless_ones_are_not_decoded() -> None:
    assert Jpeg.read(PLAIN).scans == 1
    place = PROGRESSIVE.rindex(SCAN)
    assert Jpeg.read(PROGRESSIVE).scans == PROGRESSIVE.count(SCAN)
    bomb = PROGRESSIVE[:place] + PROGRESSIVE[place:-2] * (MOST_SCANS + 1) + END
    with pytest.raises(PhotoError, match="scans"):
        Jpeg.read(bomb).check()


def test_many_scans_of_a_large_photograph_are_not_decoded() -> None:
    place = PROGRESSIVE.rindex(SCAN)
    many = PROGRESSIVE[:place] + PROGRESSIVE[place:-2] * 100 + END
    frame = many.index(b"\xff\xc2") + 5
    large = many[:frame] + (9000).to_bytes(2) * 2 + many[frame + 4 :]
    with pytest.raises(PhotoError, match="scans of 9000 x 9000 pixels"):
        Jpeg.read(large).check()


def test_scans_of_other_pictures_in_the_same_file_do_not_count() -> None:
    thumbnail = b"\xff\xe2" + (2 + 4 * 9000).to_bytes(2) + (SCAN + END) * 9000
    content = before(b"\xff\xc0", thumbnail) + SCAN * (MOST_SCANS + 1)
    assert Jpeg.read(content).scans == 1
    Jpeg.read(content).check()


def test_endless_segments_are_not_read() -> None:
    comments = b"\xff\xfe\x00\x02" * (MOST_SEGMENTS + 1)
    with pytest.raises(PhotoError, match="segments"):
        Jpeg.read(before(b"\xff\xc0", comments))
    Jpeg.read(before(b"\xff\xc0", comments[:4000])).check()


@given(st.binary(max_size=300))
@hypothesis_settings(deadline=None)
def test_no_bytes_break_the_reader(content: bytes) -> None:
    for start in (b"", b"\xff\xd8\xff", PLAIN[:200], PLAIN[:-300]):
        try:
            photo = Jpeg.read(start + content)
            if photo.width * photo.height < 10**6:
                photo.check()
        except PhotoError:
            pass
