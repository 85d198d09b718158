"""Anybody's file becomes upright RGB pixels, or one sentence says why not."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ml.errors import PhotoError
from ml.images.photograph import MAX_PIXELS, upright_pixels
from tests.ml.images.test_jpeg import PLAIN, before, encoded, picture
from tests.ml.images.test_orientation import DAMAGED, XMP, exif
from tests.ml.specificity_fixtures import photograph_bytes

SIZE = (64, 48)
TURN = exif(3, b"\x06")
PIXELS = np.asarray(picture())


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)


def png_with(name: bytes, content: bytes, *, behind: bool = False) -> bytes:
    """The picture with a chunk before or behind its pixels."""
    png = saved(picture(), "PNG")
    place = png.index(b"IEND") - 4 if behind else png.index(b"IDAT") - 4
    return png[:place] + chunk(name, content) + png[place:]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and brings few pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(5000))) + chunk(b"IEND", b"")


def jpeg_header(width: int, height: int) -> bytes:
    """A JPEG that claims a size and brings few pixels."""
    place = PLAIN.index(b"\xff\xc0") + 5
    return PLAIN[:place] + height.to_bytes(2) + width.to_bytes(2) + PLAIN[place + 4 :]


def sixteen_bits() -> Image.Image:
    return Image.fromarray((np.asarray(picture("L")).astype(np.uint16) << 8) + 77)


def animated(kind: str) -> bytes:
    return saved(picture(), kind, save_all=True, append_images=[Image.new("RGB", SIZE, "red")], lossless=True)


GREY = np.asarray(picture("L").convert("RGB"))
PALETTE = picture().quantize(64)
READ: dict[str, tuple[bytes, np.ndarray, float]] = {
    "JPEG": (PLAIN, PIXELS, 8),
    "grey JPEG": (encoded(picture("L")), GREY, 8),
    "CMYK JPEG": (encoded(picture("CMYK"), quality=100), PIXELS, 12),
    "progressive JPEG": (encoded(picture(), progressive=True), PIXELS, 8),
    "JPEG with padding before its end": (before(b"\xff\xd9", bytes(50)), PIXELS, 8),
    "JPEG with a film behind it": (PLAIN + b"\x00\x00\x00\x18ftypmp42" + bytes(9000), PIXELS, 8),
    "MPO": (saved(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", SIZE)], quality=90), PIXELS, 8),
    "PNG": (saved(picture(), "PNG"), PIXELS, 0),
    "grey PNG": (saved(picture("L"), "PNG"), GREY, 0),
    "PNG of 16 bits": (saved(sixteen_bits(), "PNG"), GREY, 0),
    "PNG of one bit": (saved(picture("1"), "PNG"), np.asarray(picture("1").convert("RGB")), 0),
    "PNG with a palette": (saved(PALETTE, "PNG"), np.asarray(PALETTE.convert("RGB")), 0),
    "opaque PNG": (saved(picture("RGBA"), "PNG"), PIXELS, 0),
    "animated PNG": (animated("PNG"), PIXELS, 0),
    "WebP": (saved(picture(), "WebP", lossless=True), PIXELS, 0),
    "animated WebP": (animated("WebP"), PIXELS, 0),
    "AVIF": (saved(picture(), "AVIF", quality=95), PIXELS, 12),
    "PNG with a damaged profile": (png_with(b"iCCP", b"icc\x00\x00not compressed"), PIXELS, 0),
    "PNG with an unknown chunk behind": (png_with(b"prIv", bytes(100), behind=True), PIXELS, 0),
    "PNG with notes behind": (png_with(b"tEXt", b"Comment\x00said", behind=True), PIXELS, 0),
}


@pytest.mark.parametrize("case", READ)
def test_a_photograph_of_any_kind_is_read_as_people_see_it(case: str) -> None:
    content, expected, most = READ[case]
    pixels = upright_pixels(content)
    assert pixels.shape == expected.shape
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - expected).max() <= most
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous


def with_notes(kind: str, *, block: bytes, xmp: bytes) -> bytes:
    notes = PngImagePlugin.PngInfo()
    if xmp:
        notes.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return saved(picture(), kind, exif=block, xmp=xmp, pnginfo=notes, lossless=True, quality=90)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
def test_every_format_is_turned_upright_by_the_same_rule(kind: str) -> None:
    turned = np.rot90(upright_pixels(saved(picture(), kind, lossless=True, quality=90)), -1)
    for block, xmp in ((TURN, b""), (TURN, XMP.replace(b"6", b"3")), (b"", XMP), (exif(1, b"\x06"), b"")):
        assert np.array_equal(upright_pixels(with_notes(kind, block=block, xmp=xmp)), turned)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_block_of_exif_leaves_a_photograph_as_it_is(kind: str, case: str) -> None:
    plain = upright_pixels(saved(picture(), kind, lossless=True, quality=90))
    assert np.array_equal(upright_pixels(with_notes(kind, block=DAMAGED[case], xmp=b"")), plain)


def test_the_container_of_an_avif_says_how_to_turn_it_whatever_its_exif() -> None:
    turned = upright_pixels(saved(picture(), "AVIF", exif=exif(3, b"\x06"), quality=90))
    assert turned.shape == (64, 48, 3)
    sound = saved(picture(), "AVIF", exif=exif(3, b"\x06", tag=0x0100), quality=90)
    assert upright_pixels(sound).shape == (48, 64, 3)
    for wrong in (b"GARB", bytes(4)):
        assert b"II*\x00" in sound
        assert upright_pixels(sound.replace(b"II*\x00", wrong)).shape == (48, 64, 3)


def test_exif_as_text_in_a_png_is_obeyed_and_its_damage_is_not() -> None:
    def png(text: str) -> bytes:
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Raw profile type exif", text)
        return saved(picture(), "PNG", pnginfo=notes)

    assert upright_pixels(png(f"\nexif\n{len(TURN)}\n{TURN.hex()}\n")).shape == (64, 48, 3)
    for text in ("", "\n\n\nno hexadecimal", "\nexif\n9\nabc"):
        assert upright_pixels(png(text)).shape == (48, 64, 3)


def test_transparency_lies_on_white_in_every_mode() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0] * 256)
    for content in (
        saved(clear, "PNG"),
        saved(clear.convert("LA"), "PNG"),
        saved(palette, "PNG", transparency=0),
        saved(clear, "WebP", lossless=True, exact=True),
    ):
        assert (upright_pixels(content) == 255).all()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (saved(picture(), "GIF"), "GIF"),
        (saved(picture(), "BMP"), "BMP"),
        (saved(picture(), "TIFF"), "TIFF"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isom" + bytes(100), "MP4 video"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(100), "JPEG 2000"),
        (b"%PDF-1.7", "PDF"),
        (b"<html></html>", "HTML"),
        (b"this is not a photograph", "plain text"),
        (bytes(range(9, 200)), "unknown kind"),
    ],
)
def test_what_is_no_photograph_is_named_by_its_content(content: bytes, kind: str) -> None:
    with pytest.raises(PhotoError, match=rf"JPEG, PNG, WebP, AVIF, HEIC: the file is .*{kind}"):
        upright_pixels(content)


def test_an_empty_file_is_called_empty() -> None:
    with pytest.raises(PhotoError, match="is empty"):
        upright_pixels(b"")


def cut(kind: str) -> bytes:
    content = saved(picture(size=(300, 200)), kind)
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN[:-2],
        cut("JPEG"),
        cut("PNG"),
        cut("WebP"),
        cut("AVIF"),
        saved(picture(), "PNG")[:30],
        saved(picture(), "PNG").replace(b"IDAT", b"IDAX"),
        png_header(64, 64),
        png_header(0, 64),
        b"RIFF\x10\x00\x00\x00WEBPVP8 ",
        b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif" + bytes(100),
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100),
    ],
)
def test_a_damaged_photograph_is_called_damaged(content: bytes) -> None:
    with pytest.raises(PhotoError, match="damaged photograph: ") as caught:
        upright_pixels(content)
    assert "\n" not in str(caught.value)


BOMBS: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: jpeg_header(20_000, 20_000),
    "PNG": lambda: png_header(20_000, 20_000),
    "PNG of the largest size": lambda: png_header(2**31 - 1, 2**31 - 1),
    "WebP": lambda: b"RIFF\x1e\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00" + b"\xff\xff\x3f" * 2,
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_bomb_is_called_too_large_and_is_not_decoded(case: str) -> None:
    with pytest.raises(PhotoError, match=r"pixels .*than the 100,000,000 that are decoded") as caught:
        upright_pixels(BOMBS[case]())
    assert "damaged" not in str(caught.value)


def test_the_limit_itself_is_decoded() -> None:
    assert MAX_PIXELS == 100_000_000
    for kind in ("JPEG", "PNG", "WebP", "AVIF"):
        content = saved(picture(), kind)
        assert upright_pixels(content, max_pixels=64 * 48).shape == (48, 64, 3)
        with pytest.raises(PhotoError, match="64 x 48 pixels are more than the 3,071"):
            upright_pixels(content, max_pixels=64 * 48 - 1)


@pytest.mark.parametrize(
    "notes", [png_with(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(50_000_000))),
              png_with(b"iCCP", b"icc\x00\x00" + zlib.compress(bytes(50_000_000))),
              png_with(b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(bytes(50_000_000)))]
)  # fmt: skip
def test_notes_that_swell_are_an_answer_or_a_sentence(notes: bytes) -> None:
    try:
        assert upright_pixels(notes).shape == (48, 64, 3)
    except PhotoError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either will do)


PLAIN_NAMES = {
    "UPPER.JPG", "animated.webp", "apng.png", "avif_named.jpg", "cmyk.jpg", "exif_header_garbage.jpg",
    "exif_orientation_0.jpg", "exif_orientation_text.jpg", "lossless.webp", "mpo.jpg", "p.png", "p_transparent.png",
    "photo.avif", "plain.jpg", "plain.webp", "progressive.jpg", "rgba.png", "trailer.jpg",
}  # fmt: skip
TURNED_NAMES = {
    "exif_byte_int.jpg", "exif_orientation_many.jpg", "exif_pointer_pair.jpg", "exif_pointer_text.jpg",
    "exif_rotated.jpg", "exif_srational_zero.jpg", "exif_text_as_numbers.jpg", "exif_unit_long.jpg", "magick_exif.png",
    "xmp_orientation.jpg", "xmp_orientation.png",
}  # fmt: skip
GREY_NAMES = {"grey.jpg", "la.png", "one_bit.png", "sixteen.png"}
SMALL_NAMES = {"one_pixel.jpg", "one_pixel.png", "sliver.png"}
REFUSED_NAMES = {
    "animated.gif", "header_only.jpg", "heic_named.jpg", "html.jpg", "last_row_lost.jpg", "no_eoi.jpg", "photo.bmp",
    "photo.heic", "photo.jp2", "photo.tif", "text.jpg", "truncated_half.jpg", "zero.jpg",
}  # fmt: skip


def test_files_of_phones_cameras_and_programs_come_out_right(shared: Path) -> None:
    folder = shared / "cases" / "photographs"
    plain = upright_pixels((folder / "plain.jpg").read_bytes()).astype(int)
    names = {path.name for path in folder.iterdir()} - {"README.md"}
    assert names == PLAIN_NAMES | TURNED_NAMES | GREY_NAMES | SMALL_NAMES | REFUSED_NAMES
    for name in sorted(names):
        content = (folder / name).read_bytes()
        if name in REFUSED_NAMES:
            with pytest.raises(PhotoError) as caught:
                upright_pixels(content)
            assert "\n" not in str(caught.value), name
            continue
        pixels = upright_pixels(content).astype(int)
        if name in PLAIN_NAMES:
            assert np.abs(pixels - plain).mean() < 20, name
        elif name in TURNED_NAMES:
            assert np.abs(pixels - np.rot90(plain, -1)).mean() < 20, name
        elif name in GREY_NAMES:
            assert pixels.shape == plain.shape, name
            assert (pixels.min(axis=2) == pixels.max(axis=2)).all(), name


def test_sixteen_bits_are_scaled_and_transparency_lies_on_white() -> None:
    grey = Image.fromarray(np.full((4, 4), 0x8000, dtype=np.uint16))
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    streams = [io.BytesIO(), io.BytesIO()]
    for image, stream in zip((grey, clear), streams, strict=True):
        image.save(stream, format="PNG")
    middle, white = (upright_pixels(stream.getvalue()) for stream in streams)
    assert middle.shape == white.shape == (4, 4, 3)
    assert (middle == 0x80).all()
    assert (white == 255).all()


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_pixels_may_be_handed_to_torch(mode: str) -> None:
    # torch says so once in a process, which whoever is first may swallow.
    assert upright_pixels(photograph_bytes(mode=mode)).flags.writeable


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(PhotoError, match="more than the 100"):
        upright_pixels(photograph_bytes(size=(20, 20)), max_pixels=100)
