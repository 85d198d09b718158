"""HEIC: the primary picture, upright, and no more work than its pixels allow."""

import random
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import pytest
from PIL import Image

from ml.errors import PhotoError
from ml.images import heic, photograph
from ml.images.heif_boxes import MOST_BOXES, Items, boxes
from ml.images.photograph import upright_pixels
from ml.serving.register import DISTRIBUTIONS
from tests.malformed_heif import box, repeated_tile
from tests.malformed_heif import heic as written
from tests.malformed_pieces import PIXELS, exif, picture


def items(*, sizes: dict[int, int], parts: dict[int, list[int]], helpers: dict[int, list[int]] | None = None) -> Items:
    return Items(primary=1, sizes=sizes, parts=parts, helpers=helpers or {})


def test_a_picture_costs_what_its_tiles_and_its_transparency_cost_as_often_as_they_are_used() -> None:
    assert items(sizes={1: 100}, parts={}).pixels_to_decode() == 100
    assert items(sizes={1: 100}, parts={}, helpers={1: [2]}).pixels_to_decode() == 100
    assert items(sizes={1: 100, 2: 30}, parts={}, helpers={1: [2]}).pixels_to_decode() == 130
    assert items(sizes={1: 100, 2: 30}, parts={1: [2, 2, 2]}).pixels_to_decode() == 90
    grids_of_grids = {1: [2] * 50, 2: [3] * 50, 3: [4] * 50}
    assert items(sizes={4: 10}, parts=grids_of_grids).pixels_to_decode() == 50**3 * 10


@pytest.mark.parametrize("parts", [{1: [1]}, {1: [2], 2: [1]}, {number: [number + 1] for number in range(1, 9)}])
def test_a_picture_of_itself_and_pictures_within_pictures_without_end_are_refused(parts: dict[int, list[int]]) -> None:
    with pytest.raises(PhotoError, match="pictures within pictures"):
        items(sizes={}, parts=parts).pixels_to_decode()


def test_the_work_is_read_from_the_boxes_of_a_file() -> None:
    assert Items.read(written(picture())).pixels_to_decode() == 96 * 64
    assert Items.read(written(picture("RGBA"))).pixels_to_decode() == 2 * 96 * 64
    # Of three by two tiles.
    assert Items.read(written(picture(size=(300, 200)), tile_size=128)).pixels_to_decode() == 6 * 128 * 128
    assert Items.read(repeated_tile(30, 33)).pixels_to_decode() == 30 * 33 * 512 * 512


def test_one_tile_that_is_named_often_is_refused_before_it_is_decoded() -> None:
    content = repeated_tile(2, 4)
    assert Items.read(content).pixels_to_decode() == 8 * 512 * 512
    with pytest.raises(PhotoError, match=r"2,097,152 pixels, more than the 524,288|double references"):
        upright_pixels(content, max_pixels=1024 * 512)


def test_boxes_end_where_they_say_and_are_counted() -> None:
    large = (1).to_bytes(4) + b"skip" + (20).to_bytes(8) + b"four"
    last = (0).to_bytes(4) + b"mdat" + b"to the end"
    assert list(boxes(box(b"free", b"abc") + large + last)) == [
        (b"free", b"abc"), (b"skip", b"four"), (b"mdat", b"to the end"),
    ]  # fmt: skip
    for wrong in (b"\x00\x00\x00\x07freeabc", b"\x00\x00\x00\x99freeabc", (1).to_bytes(4) + b"skip" + bytes(8)):
        with pytest.raises(PhotoError, match="damaged"):
            list(boxes(wrong))
        assert list(boxes(wrong, lenient=True)) == []
    with pytest.raises(PhotoError, match="20,000 boxes"):
        list(boxes(box(b"free", b"") * (MOST_BOXES + 1)))


def test_no_damage_to_the_boxes_does_more_than_to_refuse_or_to_change_the_picture() -> None:
    content = written(picture(size=(300, 200)), tile_size=128)
    end, dice = content.index(b"mdat"), random.Random(18)
    outcomes = set()
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(dice.choice([1, 2, 5])):
            damaged[dice.randrange(20, end)] = dice.choice([0, 1, 127, 255, dice.randrange(256)])
        try:
            outcomes.add(upright_pixels(bytes(damaged), max_pixels=10**6).ndim)
        except PhotoError as error:
            assert "\n" not in str(error)  # noqa: PT017 (either will do)
            outcomes.add(0)
    assert outcomes == {0, 3}


def test_a_picture_may_be_as_large_as_the_limit_and_no_larger() -> None:
    content = written(picture())
    assert np.abs(upright_pixels(content, max_pixels=96 * 64).astype(int) - PIXELS).mean() < 4
    with pytest.raises(PhotoError, match="96 x 64 pixels are more than the 6,143"):
        upright_pixels(content, max_pixels=96 * 64 - 1)


def test_without_a_library_the_format_is_not_among_those_that_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photograph, "FORMATS", tuple(kind for kind in photograph.FORMATS if kind != "HEIC"))
    with pytest.raises(PhotoError, match="JPEG, PNG, WebP, AVIF: the file is HEIC"):
        upright_pixels(written(picture()))


@pytest.mark.parametrize(
    "changed",
    [
        lambda content: content.replace(b"pitm", b"free"),
        lambda content: content.replace(b"iprp", b"free"),
        lambda content: content.replace(b"ipma", b"free"),
        lambda content: content.replace(b"ipco", b"free"),
        lambda content: content.replace(b"hvcC", b"free"),
    ],
)
def test_a_box_that_is_missing_is_damage(changed: Callable[[bytes], bytes]) -> None:
    with pytest.raises(PhotoError, match="a damaged photograph: "):
        upright_pixels(changed(written(picture())))


def test_the_library_is_installed_and_required_by_registered_versions() -> None:
    assert heic.READABLE
    assert heic.DISTRIBUTION is not None
    assert version(heic.DISTRIBUTION)
    assert heic.DISTRIBUTION in DISTRIBUTIONS


def test_a_picture_is_turned_once_and_its_size_is_that_of_the_turned_one() -> None:
    photo = heic.Heic(written(Image.new("RGB", (128, 64), "red"), exif=exif(6)))
    assert (photo.width, photo.height, photo.work) == (64, 128, 64 * 128)
    assert photo.image().size == (64, 128)
