"""When a photograph was taken is what its camera said, or nothing."""

import io

import pillow_heif
import pytest
from PIL import ExifTags, Image

from ml.images.capture_time import captured_at
from tests.malformed import cases

MOMENT = "2026:11:02 06:07:08"


def dated(form: str, when: str | None, offset: str | None = None, *, changed: str | None = None) -> bytes:
    """A photograph with dates in its EXIF."""
    exif, stream = Image.Exif(), io.BytesIO()
    tags = exif.get_ifd(ExifTags.IFD.Exif)
    for tag, value in ((ExifTags.Base.DateTimeOriginal, when), (ExifTags.Base.OffsetTimeOriginal, offset)):
        if value is not None:
            tags[tag] = value
    if changed is not None:
        exif[ExifTags.Base.DateTime] = changed
    image = Image.new("RGB", (64, 64), "green")
    if form == "HEIC":
        pillow_heif.from_pillow(image).save(stream, exif=exif.tobytes(), quality=50)
    else:
        image.save(stream, form, exif=exif.tobytes())
    return stream.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WebP", "HEIC"])
def test_the_time_is_read_from_every_format_with_its_offset_where_there_is_one(form: str) -> None:
    assert captured_at(dated(form, MOMENT)) == "2026-11-02T06:07:08"
    assert captured_at(dated(form, MOMENT, "+13:00")) == "2026-11-02T06:07:08+13:00"


@pytest.mark.parametrize("when", [None, "0000:00:00 00:00:00", "2026:13:02 06:07:08", "    :  :     :  :  ", "now", ""])
def test_what_is_no_time_says_nothing(when: str | None) -> None:
    assert captured_at(dated("JPEG", when)) is None


def test_a_wrong_offset_says_nothing_and_when_the_file_was_changed_is_not_when_it_was_taken() -> None:
    assert captured_at(dated("JPEG", MOMENT, "NZDT")) == "2026-11-02T06:07:08"
    assert captured_at(dated("JPEG", None, changed=MOMENT)) is None


def test_malformed_files_say_nothing() -> None:
    assert {captured_at(case.content) for case in cases()} == {None}
    block = dated("JPEG", MOMENT)
    for end in range(20, 120, 3):
        assert captured_at(block[:end] + b"\xff" * 40) in {None, "2026-11-02T06:07:08"}
