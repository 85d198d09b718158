"""What a network sees of a photograph: the asked parts, decoded, resized and standardised."""

import io

import numpy as np
import pytest
import simplejpeg
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from ml.errors import PhotoError
from ml.images.jpeg import Jpeg
from ml.images.views import CENTRE, Box, decode, region_boxes, resize, standardise, view_boxes
from tests.ml.world import photograph

WHOLE = (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("size", [(640, 480), (481, 1000), (40, 30), (1, 1)])
def test_decoding_equals_resizing_the_whole_photograph(size: tuple[int, int]) -> None:
    ramp = np.linspace(0, 255, size[0])[None, :, None] * np.ones((size[1], 1, 3))
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(ramp.astype(np.uint8)), quality=95)
    (ours,) = resize(decode(jpeg), boxes=[WHOLE], image_size=64)
    plain = Image.open(io.BytesIO(jpeg)).resize((64, 64), Image.Resampling.BILINEAR)
    assert ours.shape == (64, 64, 3)
    assert np.abs(ours.astype(int) - np.asarray(plain).astype(int)).max() <= 6


def test_evaluation_sees_the_centre() -> None:
    pixels = np.zeros((160, 160, 3), dtype=np.uint8)
    pixels[10:-10, 10:-10] = 255  # the outer sixteenth of each side is not seen
    (seen,) = resize(decode(simplejpeg.encode_jpeg(pixels, quality=100)), boxes=[CENTRE], image_size=32)
    assert seen[1:-1, 1:-1].min() > 250, "the resampling may blend the border into the outermost pixel only"
    assert CENTRE == (0.0625, 0.0625, 0.9375, 0.9375)


def test_pixels_become_minus_one_to_one() -> None:
    pixels = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).repeat(1, 3, 1, 1)
    assert standardise(pixels, (0.5,) * 3, (0.5,) * 3).flatten(1).mean(1).tolist() == [-1, 0, 1]


def test_views_are_central_parts_at_the_same_resolution() -> None:
    boxes = view_boxes((0.2, 0.0, 1.0, 0.4), views=(1.0, 0.5))
    np.testing.assert_allclose(boxes, [(0.2, 0.0, 1.0, 0.4), (0.4, 0.1, 0.8, 0.3)])
    rings = np.zeros((120, 120, 3), dtype=np.uint8)
    rings[30:90, 30:90] = 255  # the central half of each side
    whole, crop = resize(
        decode(simplejpeg.encode_jpeg(rings, quality=100)), boxes=view_boxes(WHOLE, views=(1.0, 0.5)), image_size=30
    )
    assert whole.shape == crop.shape == (30, 30, 3)
    assert crop[1:-1, 1:-1].min() > 250
    assert whole.mean() == pytest.approx(255 / 4, abs=8)


@pytest.mark.parametrize("box", [WHOLE, CENTRE, (0.9, 0.1, 0.15, 0.8)])
def test_the_pixels_of_a_view_do_not_depend_on_the_other_views(box: Box) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (256, 341, 3), dtype=np.uint8)
    jpeg = simplejpeg.encode_jpeg(pixels, quality=90)
    together = resize(decode(jpeg), boxes=view_boxes(box, views=(1.0, 0.5, 0.2)), image_size=32)
    alone = [resize(decode(jpeg), boxes=view_boxes(box, views=(view,)), image_size=32) for view in (1.0, 0.5, 0.2)]
    assert np.array_equal(together, np.concatenate(alone))
    assert np.array_equal(together, resize(Jpeg.read(jpeg).rgb(), boxes=view_boxes(box, views=(1.0, 0.5, 0.2)),
                                           image_size=32)), "as a served model sees them"  # fmt: skip


edges = st.floats(0, 1)


@given(left=edges, upper=edges, right=edges, lower=edges, share=st.floats(0.05, 1))
def test_views_lie_around_one_centre_and_are_mirrored_with_their_part(
    left: float, upper: float, right: float, lower: float, share: float
) -> None:
    whole, part = view_boxes((left, upper, right, lower), views=(1.0, share))
    assert whole == pytest.approx((left, upper, right, lower))
    assert (part[0] + part[2], part[1] + part[3]) == pytest.approx((left + right, upper + lower))
    assert (part[2] - part[0], part[3] - part[1]) == pytest.approx((share * (right - left), share * (lower - upper)))


@given(left=edges, upper=edges, width=edges, height=edges, size=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_any_part_of_any_photograph_can_be_cut(
    left: float, upper: float, width: float, height: float, size: tuple[int, int]
) -> None:
    box = (left, upper, min(1.0, left + width), min(1.0, upper + height))
    pixels = np.arange(size[0] * size[1] * 3, dtype=np.uint8).reshape(*size, 3)
    (seen,) = resize(pixels, boxes=[box], image_size=4)
    assert pixels.min() <= seen.min() <= seen.max() <= pixels.max()


def test_a_part_from_right_to_left_is_mirrored() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    jpeg = simplejpeg.encode_jpeg(pixels, quality=95)
    plain, mirrored = resize(decode(jpeg), boxes=[(0.1, 0.2, 0.8, 0.9), (0.8, 0.2, 0.1, 0.9)], image_size=32)
    assert np.array_equal(mirrored, plain[:, ::-1])
    assert not np.array_equal(mirrored, plain)


def test_pixels_can_be_written_where_they_are_wanted() -> None:
    rows = np.zeros((2, 3, 32, 32, 3), dtype=np.uint8)
    boxes = view_boxes(WHOLE, views=(1.0, 0.5))
    pixels = decode(photograph(1, 1))
    resize(pixels, boxes=boxes, image_size=32, out=rows[:, 1])
    assert np.array_equal(rows[:, 1], resize(pixels, boxes=boxes, image_size=32))
    assert not rows[:, [0, 2]].any()


@given(edges=st.tuples(*[st.floats(0, 1)] * 4), views=st.sampled_from([(1.0,), (1.0, 0.5), (1.0, 0.6, 0.3)]))
@example(edges=(0.0, 0.0, 1.0, 5e-324), views=(1.0, 0.5))
def test_the_most_magnified_view_shows_the_region_of_interest(edges: Box, views: tuple[float, ...]) -> None:
    left, right = sorted(edges[::2])
    upper, lower = sorted(edges[1::2])
    region = (left, upper, right, lower)
    if left == right or upper == lower:
        with pytest.raises(ValueError, match="a region of interest is left, upper, right, lower"):
            region_boxes(region, views=views)
        return
    boxes = region_boxes(region, views=views)
    assert len(boxes) == len(views)
    assert boxes[-1] == region
    assert all(0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1 for box in boxes)
    assert len(views) == 1 or boxes[0] == CENTRE


@pytest.mark.parametrize("region", [(0.5, 0.0, 0.4, 1.0), (-0.1, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.1)])
def test_a_region_outside_the_photograph_is_refused(region: Box) -> None:
    with pytest.raises(ValueError, match="as fractions of the photograph"):
        region_boxes(region, views=(1.0, 0.5))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_print_photographs_are_read_as_colour(mode: str) -> None:
    stream = io.BytesIO()
    Image.new(mode, (50, 40)).save(stream, "JPEG")
    assert decode(stream.getvalue()).shape == (40, 50, 3)


def test_padding_before_the_end_of_a_photograph_takes_no_pixel_away() -> None:
    content = photograph(1, 1)
    padded = content[:-2] + bytes(60) + content[-2:]
    plain, same = (decode(one) for one in (content, padded))
    assert np.array_equal(plain, same)


@pytest.mark.parametrize("content", [b"", b"<html>", photograph(0, 0)[:200], photograph(0, 0)[:-400]])
def test_what_is_no_whole_jpeg_is_refused(content: bytes) -> None:
    with pytest.raises(PhotoError, match="not a readable JPEG"):
        decode(content)
