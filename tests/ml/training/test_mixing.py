"""Mixup and cutmix against timm's, and what cutting a photograph shows of it at every magnification."""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm.data.mixup
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from ml.images.views import resize, view_boxes
from ml.training.mixing import Mixing, create, draw_box, magnified, mixed, paste
from tests.ml.world import STEADY

CLASSES = 5
SIDE = 24


def mixing(*, mixup: float = 0.0, cutmix: float = 0.0, views: tuple[float, ...] = (1.0,)) -> Mixing:
    found = create(STEADY.model_copy(update={"mixup": mixup, "cutmix": cutmix, "views": views}), classes=CLASSES)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.2, 1.0)])
def test_one_view_is_mixed_as_timm_does(
    monkeypatch: pytest.MonkeyPatch, seed: int, mixup: float, cutmix: float
) -> None:
    pixels, labels = torch.randn(6, 1, 3, SIDE, SIDE), torch.tensor([0, 1, 2, 3, 4, 0])
    draws = np.random.default_rng(seed)
    # timm first draws whether to mix at all.
    chances = itertools.chain([0.0], iter(draws.random, None))
    numbers = SimpleNamespace(rand=lambda: next(chances), beta=draws.beta, randint=draws.integers)
    monkeypatch.setattr(timm.data.mixup, "np", SimpleNamespace(random=numbers, sqrt=np.sqrt, clip=np.clip))
    theirs = timm.data.mixup.Mixup(  # type: ignore[no-untyped-call]
        mixup_alpha=mixup, cutmix_alpha=cutmix, label_smoothing=0.1, num_classes=CLASSES
    )
    expected, shares = theirs(pixels[:, 0].clone(), labels)
    inputs, targets = mixing(mixup=mixup, cutmix=cutmix)(pixels, labels, draws=np.random.default_rng(seed))
    assert torch.allclose(inputs[:, 0], expected, atol=1e-6)
    logits = torch.randn(6, CLASSES)
    ours = functional.cross_entropy(logits, targets, label_smoothing=0.1)
    assert ours.item() == pytest.approx(functional.cross_entropy(logits, shares).item(), rel=1e-5)


@pytest.mark.parametrize("photos", [0, 1, 3])
@pytest.mark.parametrize("options", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_any_number_of_photographs_is_mixed(photos: int, options: dict[str, Any]) -> None:
    """Unreadable ones leave a batch. The middle one of an odd number is its own counterpart."""
    pixels, labels = torch.randn(photos, 1, 3, SIDE, SIDE), torch.arange(photos)
    middle = pixels[photos // 2].clone() if photos else None
    inputs, targets = mixing(**options)(pixels, labels, draws=np.random.default_rng(1))
    assert targets.shape == (photos, CLASSES)
    assert targets.dtype == torch.float32
    assert torch.allclose(targets.sum(1), torch.ones(photos))
    if middle is not None:
        assert torch.allclose(inputs[photos // 2], middle, atol=1e-6)
        assert targets[photos // 2, photos // 2] == 1


def test_the_same_draws_mix_in_the_same_way() -> None:
    pixels, labels = torch.randn(4, 2, 3, SIDE, SIDE), torch.arange(4)
    chosen = mixing(mixup=0.4, cutmix=1.0, views=(1.0, 0.5))
    (first, shares), (second, again), (other, _) = (
        chosen(pixels.clone(), labels, draws=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert torch.equal(shares, again)
    assert not torch.equal(first, other)


def test_mixup_blends_all_views_and_labels_alike() -> None:
    pixels = torch.randn(2, 2, 3, SIDE, SIDE)
    inputs, targets = mixing(mixup=0.4, views=(1.0, 0.5))(
        pixels.clone(), torch.tensor([0, 3]), draws=np.random.default_rng(4)
    )
    kept = targets[0, 0].item()
    assert 0 < kept < 1
    assert torch.allclose(inputs, kept * pixels + (1 - kept) * pixels.flip(0), atol=1e-6)
    assert targets.tolist() == [
        pytest.approx([kept, 0, 0, 1 - kept, 0], abs=1e-6), pytest.approx([1 - kept, 0, 0, kept, 0], abs=1e-6)
    ]  # fmt: skip


def test_photographs_of_one_class_keep_their_label() -> None:
    assert torch.equal(mixed(torch.tensor([2, 2]), kept=0.3, classes=3), torch.tensor([[0.0, 0, 1], [0, 0, 1]]))


@given(seed=st.integers(0, 10_000), kept=st.floats(0, 1), height=st.integers(8, 64), width=st.integers(8, 64))
def test_a_box_lies_in_the_view_and_covers_at_most_its_share(seed: int, kept: float, height: int, width: int) -> None:
    upper, lower, left, right = draw_box((height, width), kept=kept, draws=np.random.default_rng(seed))
    assert 0 <= upper <= lower <= height
    assert 0 <= left <= right <= width
    assert (lower - upper) * (right - left) <= (1 - kept) * height * width + 1e-6


@given(box=st.tuples(*[st.integers(0, 16)] * 4))
def test_all_views_show_the_same_cut_photograph(box: tuple[int, int, int, int]) -> None:
    """Cutting the views is cutting the photographs, and then viewing them at both magnifications."""
    upper, lower, left, right = sorted(box[:2]) + sorted(box[2:])
    # Photographs of 64 pixels: one of the whole view is four, one of the magnified view two.
    photos = [np.full((64, 64, 3), colour, dtype=np.uint8) for colour in (0, 200)]
    boxes = view_boxes((0.0, 0.0, 1.0, 1.0), views=(1.0, 0.5))

    def seen(photo: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(resize(photo, boxes=boxes, image_size=16)).permute(0, 3, 1, 2).float()

    views = torch.stack([seen(photo) for photo in photos])
    kept = paste(views, box=(upper, lower, left, right), views=(1.0, 0.5))
    cut = photos[0].copy()
    cut[4 * upper : 4 * lower, 4 * left : 4 * right] = 200
    expected = seen(cut)
    # Antialiasing blends an edge over the pixels beside it.
    assert ((views[0] - expected).abs() > 100).sum() == 0
    assert kept == pytest.approx(1 - (views[0] == 200).float().mean().item(), abs=1e-6), "a share of all pixels given"


def test_what_lies_outside_a_magnified_view_does_not_show_in_it() -> None:
    views = torch.stack([torch.zeros(2, 3, 16, 16), torch.ones(2, 3, 16, 16)])
    assert paste(views, box=(0, 4, 0, 16), views=(1.0, 0.5)) == 1 - (4 * 16 / 256) / 2
    assert views[0, 1].sum() == 0
    assert views[0, 0].sum() == 3 * 4 * 16
    assert [magnified(edge, side=16, share=0.5) for edge in (0, 4, 6, 8, 12, 16)] == [0, 0, 4, 8, 16, 16]


def test_nothing_is_mixed_without_being_asked() -> None:
    assert create(STEADY, classes=3) is None


def test_nothing_is_read_back_from_the_device() -> None:
    """On the device `meta` nothing has a value: whatever copies one, or depends on one, fails."""
    for options in ({"mixup": 0.4}, {"cutmix": 1.0}):
        pixels = torch.empty(4, 2, 3, SIDE, SIDE, device="meta")
        labels = torch.zeros(4, dtype=torch.int64, device="meta")
        inputs, targets = mixing(views=(1.0, 0.5), **options)(pixels, labels, draws=np.random.default_rng(1))
        assert (inputs.shape, targets.shape) == (pixels.shape, (4, CLASSES))
