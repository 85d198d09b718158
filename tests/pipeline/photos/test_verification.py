"""Whether bytes are a whole JPEG photograph."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from ml.images.jpeg import MOST_SCANS
from pipeline.paths import PROJECT_ROOT
from pipeline.photos.verification import verify
from tests.pipeline.photo_server import jpeg, png

PIXELS = 1_000_000
EXIF = Image.Exif()
EXIF[0x0112] = 6
ROTATED = EXIF.tobytes()
"""EXIF that says: turn by 90 degrees."""


def encoded(mode: str, size: tuple[int, int], **options: bool | int | bytes) -> bytes:
    """A plain JPEG of a colour mode."""
    stream = io.BytesIO()
    Image.new(mode, size, 77).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (jpeg(1), (64, 48)),
        (jpeg(1, progressive=True), (64, 48)),
        (jpeg(1, subsampling=0), (64, 48)),
        (jpeg(1, size=(17, 999)), (17, 999)),
        (encoded("L", (40, 30)), (40, 30)),
        (encoded("CMYK", (40, 30)), (40, 30)),
        (encoded("RGB", (1, 1)), (1, 1)),
        (
            encoded(
                "L", (40, 30), exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06"
            ),
            (40, 30),
        ),
        (jpeg(1) + b"maker's notes after the end", (64, 48)),
    ],
    ids=["baseline", "progressive", "444", "narrow", "grey", "cmyk", "one-pixel", "rotated", "trailing"],
)
def test_whole_photographs_pass(content: bytes, size: tuple[int, int]) -> None:
    verdict = verify(content, max_pixels=PIXELS)
    assert (verdict.status, verdict.error) == ("ok", None)
    assert (verdict.width, verdict.height) == size


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty"),
        (b" \r\n\t", "blank"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"\xef\xbb\xbf\n<html>", "HTML"),
        (b'<?xml version="1.0"?><Error>', "XML"),
        (b'{"error": "busy"}', "JSON"),
        (png(), "PNG"),
        (b"GIF89a...", "GIF"),
        (b"RIFF....WEBPVP8 ", "WebP"),
        (b"RIFF....WAVEfmt ", "RIFF"),
        (b"BM......", "BMP"),
        (b"MM\x00*....", "TIFF"),
        (b"\x00\x00\x00\x18ftypheic....mif1", "HEIC"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avif", "AVIF"),
        (b"\x00\x00\x00\x18ftypmp42....isom", "MP4"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"Too many requests\r\n", "plain text"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\xff\xd8", "unknown"),
        (bytes(100), "unknown"),
    ],
)
def test_what_is_no_jpeg_is_named(content: bytes, kind: str) -> None:
    verdict = verify(content, max_pixels=PIXELS)
    assert verdict.status == "not_jpeg"
    assert kind in (verdict.error or "")


@pytest.mark.parametrize("progressive", [False, True])
@given(share=st.floats(min_value=0, max_value=1, exclude_max=True))
@hypothesis_settings(max_examples=60, deadline=None)
def test_no_truncated_photograph_passes(share: float, *, progressive: bool) -> None:
    content = jpeg(3, size=(200, 150), progressive=progressive)
    assert verify(content[: int(len(content) * share)], max_pixels=PIXELS).status in {"corrupt", "not_jpeg"}


@pytest.mark.parametrize("missing", [1, 2, 3, 10])
def test_a_photograph_without_its_last_bytes_is_corrupt(missing: int) -> None:
    assert verify(jpeg(3)[:-missing], max_pixels=PIXELS).status == "corrupt"


@given(st.binary(max_size=200))
@hypothesis_settings(deadline=None)
def test_no_bytes_break_the_verdict(content: bytes) -> None:
    assert verify(content, max_pixels=PIXELS).status in {"not_jpeg", "corrupt"}
    assert verify(b"\xff\xd8\xff" + content, max_pixels=PIXELS).status in {"corrupt", "too_large", "ok"}


def test_a_bomb_is_refused_by_its_header() -> None:
    content = bytearray(jpeg(1))
    start = content.index(b"\xff\xc0")
    content[start + 5 : start + 9] = b"\xea\x60\xea\x60"
    verdict = verify(bytes(content), max_pixels=PIXELS)
    assert (verdict.status, verdict.width, verdict.height) == ("too_large", 60000, 60000)


def test_the_limit_itself_is_accepted() -> None:
    assert verify(jpeg(1), max_pixels=64 * 48).status == "ok"
    assert verify(jpeg(1), max_pixels=64 * 48 - 1).status == "too_large"


def test_endless_scans_are_not_decoded() -> None:
    content = jpeg(1, progressive=True)
    scan = content.rindex(b"\xff\xda")
    bomb = content[:scan] + content[scan:-2] * (MOST_SCANS + 1) + content[-2:]
    verdict = verify(bomb, max_pixels=PIXELS)
    assert verdict.status == "corrupt"
    assert "scans" in (verdict.error or "")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("padding", [bytes(40), bytes(100_000), b"\xff" * 40, b" " * 40])
def test_padding_before_the_end_takes_no_pixel_away(padding: bytes, *, progressive: bool) -> None:
    content = jpeg(1, progressive=progressive)
    verdict = verify(content[:-2] + padding + content[-2:], max_pixels=PIXELS)
    assert (verdict.status, verdict.error, verdict.width, verdict.height) == ("ok", None, 64, 48)


def test_padding_does_not_make_up_for_pixels() -> None:
    content = jpeg(3, size=(200, 150))
    assert verify(content[: len(content) // 2] + bytes(5000) + content[-2:], max_pixels=PIXELS).status == "corrupt"


def test_a_worker_that_verifies_loads_little() -> None:
    heavy = "{'torch', 'timm', 'PIL', 'dagster', 'pyarrow', 'duckdb', 'aiohttp', 'pydantic'}"
    code = f"import sys, pipeline.photos.verification; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_real_photographs_pass(shared: Path) -> None:
    with (shared / "photos_small.csv").open(encoding="utf-8") as stream:
        paths = [shared / row["path"] for row in csv.DictReader(stream)]
    refused = {path: verdict for path in paths if (verdict := verify(path.read_bytes(), max_pixels=PIXELS)).error}
    assert refused == {}
