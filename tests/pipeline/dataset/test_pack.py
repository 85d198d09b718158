"""The pack: small upright RGB JPEGs, appended, never lost by a kill."""

import io
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import simplejpeg
from PIL import Image

from ml.images.jpeg import PhotoError
from ml.spec import MAGNIFIED
from ml.training.recipes import PAPER
from pipeline.config.settings import Settings
from pipeline.dataset.pack import INDEX, RECIPE, build_training_photos
from pipeline.dataset.small_jpeg import SMALLEST_CROP, short_side, shrink, whole_view_side
from pipeline.errors import TableError
from pipeline.files import sha256_of
from pipeline.rejections import write_rejections
from pipeline.table_checks import check_table
from tests.pipeline.tiny import Row, photo, read, write


def jpeg(width: int, height: int, *, mode: str = "RGB", seed: int = 0, **options: object) -> bytes:
    """A smooth JPEG, red in its left half where it has colours."""
    dice = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), dice.integers(0, 90), dtype=np.uint8)
    pixels[:, : width // 2, 0] = 220
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, format="JPEG", quality=95, **options)
    return stream.getvalue()


def rotated(width: int, height: int, *, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(width, height, exif=exif)


class TestShrink:
    """One photograph."""

    def test_the_short_side_shows_the_magnified_view_of_the_smallest_crop_pixel_by_pixel(self) -> None:
        assert [short_side(size) for size in (224, 299, 112)] == [1417, 1892, 709]
        for size in (112, 224, 299):
            smallest_crop = math.sqrt(SMALLEST_CROP) * short_side(size)
            assert size <= smallest_crop * MAGNIFIED < size + 1
        assert PAPER.augmentation.covered == SMALLEST_CROP

    def test_the_customary_margin_is_256_for_224_in_each_view(self) -> None:
        assert [whole_view_side(size) for size in (224, 299, 128)] == [512, 684, 293]

    @pytest.mark.parametrize(("width", "height", "small"), [(800, 600, (133, 100)), (600, 1200, (100, 200))])
    def test_a_large_photograph_is_reduced(self, width: int, height: int, small: tuple[int, int]) -> None:
        shrunk = shrink(jpeg(width, height), side=100)
        assert (shrunk.width, shrunk.height) == small
        assert simplejpeg.decode_jpeg_header(shrunk.content)[:2] == small[::-1]

    @pytest.mark.parametrize("size", [(115, 130), (100, 300), (20, 30), (1, 1)])
    def test_a_small_photograph_stays_byte_for_byte(self, size: tuple[int, int]) -> None:
        content = jpeg(*size)
        assert shrink(content, side=100).content == content

    def test_a_rotated_photograph_is_turned_upright(self) -> None:
        shrunk = shrink(rotated(400, 200, orientation=6), side=100)
        assert (shrunk.width, shrunk.height) == (100, 200)
        pixels = simplejpeg.decode_jpeg(shrunk.content)
        assert [int(pixels[y, 50, 0]) > 150 for y in (20, 180)] == [True, False], (
            "the left half is on top after turning right"
        )

    def test_a_small_rotated_photograph_is_turned_but_not_enlarged(self) -> None:
        shrunk = shrink(rotated(40, 20, orientation=8), side=100)
        assert (shrunk.width, shrunk.height) == (20, 40)

    @pytest.mark.parametrize("mode", ["CMYK", "L"])
    @pytest.mark.parametrize("size", [(400, 300), (60, 50)])
    def test_every_photograph_can_be_read_as_rgb(self, mode: str, size: tuple[int, int]) -> None:
        shrunk = shrink(jpeg(*size, mode=mode), side=100)
        pixels = simplejpeg.decode_jpeg(shrunk.content, colorspace="RGB")
        assert pixels.shape == (shrunk.height, shrunk.width, 3)
        if mode == "CMYK":
            assert pixels[20, 5, 0] > 180

    def test_padding_and_odd_notes_are_no_hindrance(self) -> None:
        content = jpeg(60, 50)
        odd = content[:-2] + bytes(60) + content[-2:]
        assert shrink(odd, side=100).content == odd
        assert shrink(odd, side=20).content == shrink(content, side=20).content
        zeros = b"\xff\xe1\x00\x40Exif" + bytes(58)
        assert shrink(content[:2] + zeros + content[2:], side=20).content == shrink(content, side=20).content

    @pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xd8\xff\xe0broken"])
    def test_what_is_no_jpeg_is_an_error(self, content: bytes) -> None:
        with pytest.raises(PhotoError, match="JPEG"):
            shrink(content, side=100)


def place(settings: Settings, photos: dict[str, bytes], *, closed: Sequence[str] = ()) -> None:
    """Put photographs where the ledger and the split say; `closed` are kept out by their licence."""
    lines = {"key": [*closed, "q"], "rule": [*("licence" for _ in closed), "not_jpeg"], "detail": ["x", *closed]}
    write_rejections(settings.paths, "photo_index", pa.table(lines))
    index = [{"photo_id": each, "occurrence_key": "1", "observation_id": "o1", "url": each} for each in photos]
    write(settings.paths, "photo_index", index)
    ledger: list[Row] = []
    for photo_id, content in photos.items():
        path = settings.data_root / "photos" / f"{photo_id}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        ledger.append(photo(photo_id, of="1", sha256=sha256_of(path)))
    write(settings.paths, "photos", ledger)
    rows = [
        {
            "photo_id": row["photo_id"],
            "occurrence_key": "1",
            "observation_id": "o1",
            "class_id": 0,
            "split": "train",
            "half": None,
            "path": row["path"],
        }
        for row in ledger
    ]
    write(settings.paths, "split", rows)
    write(settings.paths, "genus_photos", [])


def build(settings: Settings) -> dict[str, Row]:
    """The index by photo_id."""
    index = build_training_photos(settings.paths, settings, log=lambda _: None)
    assert check_table("training_photos", index) == []
    return {row["photo_id"]: row for row in read(index)}


def packed(settings: Settings, row: Row) -> bytes:
    """What the pack holds for a row of the index."""
    content = (settings.paths.training_photos / str(row["pack"])).read_bytes()
    begin, length = int(row["offset"]), int(row["length"])
    return content[begin : begin + length]


def folder_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.fixture
def small(make_settings: Callable[..., Settings]) -> Settings:
    """Photographs of a short side of 147 pixels."""
    return make_settings(training={"image_size": 64, "pack_side": 147})


PHOTOS = {f"p{number}": jpeg(300 + number, 200, seed=number) for number in range(8)}


def test_every_photograph_of_the_split_is_in_the_pack(small: Settings) -> None:
    place(small, PHOTOS)
    index = build(small)
    assert set(index) == set(PHOTOS)
    for row in index.values():
        assert simplejpeg.decode_jpeg_header(packed(small, row))[:2] == (row["height"], row["width"])
        assert min(row["height"], row["width"]) == 147


def test_photographs_for_the_genus_stage_are_packed_too(small: Settings) -> None:
    place(small, PHOTOS)
    ledger = read(small.paths.table("photos"))
    rare = [
        {
            "photo_id": row["photo_id"],
            "occurrence_key": "1",
            "observation_id": "o1",
            "taxon_key": "7",
            "species": "Turdus rarus",
            "node_id": 6,
            "path": row["path"],
        }
        for row in ledger[:3]
    ]
    write(small.paths, "genus_photos", rare)
    write(small.paths, "split", read(small.paths.table("split"))[3:])
    assert set(build(small)) == set(PHOTOS)


def test_growth_appends_and_leaves_the_rest_alone(small: Settings) -> None:
    place(small, dict(list(PHOTOS.items())[2:]))
    before = build(small)
    old = folder_bytes(small.paths.training_photos)
    assert build(small) == before
    assert folder_bytes(small.paths.training_photos) == old, "nothing to do changes no byte"
    place(small, PHOTOS)
    after = build(small)
    assert {key: after[key] for key in before} == before
    assert set(after) == set(PHOTOS)
    new = folder_bytes(small.paths.training_photos)
    assert new["pack-00000.bin"].startswith(old["pack-00000.bin"])


def test_a_photograph_that_left_the_split_stays_in_the_pack(small: Settings) -> None:
    place(small, PHOTOS)
    before = build(small)
    place(small, {"p0": PHOTOS["p0"]})
    assert build(small) == before


def test_a_photograph_whose_licence_no_longer_allows_it_is_erased(
    small: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.dataset.pack.PACK_BYTES", 2000)
    place(small, PHOTOS)
    before = build(small)
    place(
        small, {key: PHOTOS[key] for key in PHOTOS if key not in {"p1", "p2", "p6"}}, closed=["p1", "p6", "p0", "new"]
    )
    after = build(small)
    # p2 has left without a reason to erase it, and p0 is there under another licence, too.
    assert after == {key: row for key, row in before.items() if key not in {"p1", "p6"}}
    for key in after:
        assert simplejpeg.decode_jpeg_header(packed(small, after[key]))[0] == after[key]["height"]
    for key in ("p1", "p6"):
        pack = small.paths.training_photos / str(before[key]["pack"])
        assert not pack.exists() or not any(packed(small, before[key]))
    assert build(small) == after
    # Opened again, it is packed again, from the file that was fetched before.
    place(small, PHOTOS)
    assert set(build(small)) == set(PHOTOS)


def test_a_kill_while_photographs_are_erased_leaves_what_is_erased_again(
    small: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(small, PHOTOS)
    before = build(small)
    place(small, {key: PHOTOS[key] for key in PHOTOS if key != "p1"}, closed=["p1"])
    with monkeypatch.context() as killed:
        killed.setattr("pipeline.dataset.pack.atomic_path", lambda _: sys.exit(1))
        with pytest.raises(SystemExit):
            build(small)
    assert not any(packed(small, before["p1"])), "the bytes go first: without their row nobody would find them"
    assert set(build(small)) == set(PHOTOS) - {"p1"}


def test_a_photograph_with_other_bytes_is_packed_again(small: Settings) -> None:
    place(small, PHOTOS)
    before = build(small)
    changed = jpeg(90, 80, seed=9)
    place(small, {**PHOTOS, "p3": changed})
    after = build(small)
    assert set(after) == set(before)
    assert {key for key in after if after[key] != before[key]} == {"p3"}
    assert (after["p3"]["width"], after["p3"]["height"]) == (90, 80)


def test_a_kill_loses_nothing_and_ends_in_the_same_bytes(
    small: Settings, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    whole = make_settings(training={"image_size": 64, "pack_side": 147}, data_root=tmp_path / "whole")
    place(whole, PHOTOS)
    build(whole)
    place(small, dict(list(PHOTOS.items())[:4]))
    build(small)
    place(small, PHOTOS)
    # The run is killed after it has written bytes and before it has named them.
    with (small.paths.training_photos / "pack-00000.bin").open("ab") as stream:
        stream.write(b"half a photograph")
    (small.paths.training_photos / "pack-00001.bin").write_bytes(b"a pack without rows")
    build(small)
    assert folder_bytes(small.paths.training_photos) == folder_bytes(whole.paths.training_photos)


def test_an_error_keeps_what_was_packed_before_it(small: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.dataset.pack._CHUNK", 2)
    place(small, PHOTOS)
    broken = small.data_root / "photos" / "p5.jpg"
    broken.write_bytes(b"not a photograph")
    with pytest.raises(TableError, match=r"photograph p5 at .*p5\.jpg cannot be packed"):
        build(small)
    assert {row["photo_id"] for row in read(small.paths.training_photos / INDEX)} >= {"p0", "p1", "p2", "p3"}
    broken.write_bytes(PHOTOS["p5"])
    assert set(build(small)) == set(PHOTOS)


def test_large_packs_are_followed_by_others(small: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.dataset.pack.PACK_BYTES", 2000)
    place(small, PHOTOS)
    index = build(small)
    assert len({row["pack"] for row in index.values()}) > 1
    for row in index.values():
        assert simplejpeg.decode_jpeg_header(packed(small, row))[:2] == (row["height"], row["width"])
    assert build(small) == index


def test_another_image_size_builds_the_pack_anew(make_settings: Callable[..., Settings]) -> None:
    photographs = {f"p{number}": jpeg(700 + number, 500, seed=number) for number in range(3)}
    place(make_settings(), photographs)
    build(make_settings(training={"image_size": 32}))
    index = build(make_settings(training={"image_size": 40}))
    assert {min(row["height"], row["width"]) for row in index.values()} == {short_side(40)}
    folder = make_settings().paths.training_photos
    assert (folder / "pack-00000.bin").stat().st_size == sum(row["length"] for row in index.values())
    assert f'"short_side": {short_side(40)}' in (folder / RECIPE).read_text()


def test_photographs_of_the_usual_size_are_packed_as_they_were_fetched(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(training={"image_size": 299})
    photographs = {"wide": jpeg(1024, 768), "square": jpeg(1024, 1024), "turned": rotated(1024, 768, orientation=6)}
    place(settings, photographs)
    index = build(settings)
    assert packed(settings, index["wide"]) == photographs["wide"]
    assert packed(settings, index["square"]) == photographs["square"]
    assert (index["turned"]["width"], index["turned"]["height"]) == (768, 1024)


def test_a_pack_with_the_customary_margin_is_kept_until_a_side_is_asked_for(
    make_settings: Callable[..., Settings],
) -> None:
    photographs = {f"p{number}": jpeg(300 + number, 300, seed=number) for number in range(3)}
    earlier = make_settings(training={"image_size": 64, "pack_side": whole_view_side(64)})
    place(earlier, photographs)
    before = build(earlier)
    plain, said = make_settings(training={"image_size": 64}), list[str]()
    old = folder_bytes(plain.paths.training_photos)
    build_training_photos(plain.paths, plain, log=said.append)
    assert folder_bytes(plain.paths.training_photos) == old
    assert any(f"training.pack_side: {short_side(64)} builds it again" in line for line in said)
    # What is fetched later is packed like the rest.
    place(plain, {**photographs, "q": jpeg(400, 320)})
    after = build(plain)
    assert {key: after[key] for key in before} == before
    assert after["q"]["height"] == whole_view_side(64)
    asked = make_settings(training={"image_size": 64, "pack_side": short_side(64)})
    assert {row["height"] for row in build(asked).values()} == {300, 320}
    # A pack of that side does not go back by itself.
    assert {row["height"] for row in build(plain).values()} == {300, 320}


def test_a_pack_that_lost_bytes_says_what_to_do(small: Settings) -> None:
    place(small, PHOTOS)
    build(small)
    (small.paths.training_photos / "pack-00000.bin").write_bytes(b"")
    with pytest.raises(TableError, match=r"has 0 bytes, its index names .* to build it again"):
        build(small)
