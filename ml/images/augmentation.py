"""Random changes of training photographs, drawn from (seed, stage, epoch, photograph): a resumed run repeats them.

Source: TF-slim `inception_preprocessing.py` with `fast_mode=False`, which the paper's section 4 describes. Crops and
mirroring are done while decoding (`ml.images.views`), colours in batched torch operations here.
"""

import hashlib
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from ml.devices import to_device
from ml.images import crops
from ml.images.crops import random_crop
from ml.images.resizing import TF_SLIM, Method
from ml.images.views import Box

ORDERS = (
    ("brightness", "saturation", "hue", "contrast"),
    ("saturation", "brightness", "contrast", "hue"),
    ("contrast", "hue", "brightness", "saturation"),
    ("hue", "saturation", "contrast", "brightness"),
)
"""The four orders in which TF-slim's `distort_color` applies the changes."""


_MIRROR: Final = 0
_RESIZING: Final = 1
_COLOURS: Final = 10
"""Draws before those of the crop; the last five of them change the colours."""


class Augmentation(BaseModel):
    """Ranges of the random changes; the defaults are the paper's, but for `resize`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    area: tuple[float, float] = (0.05, 1.0)
    """Share of the photograph's area that a crop keeps."""
    aspect: tuple[float, float] = (0.75, 1.33)
    """Width by height of a crop, in pixels."""
    covered: float = 0.1
    """Least share of the photograph's area that a crop keeps, whatever `area` says (TF-slim: `min_object_covered`)."""
    resize: Literal["tf_slim", "antialias"] = "antialias"
    """How crops are resized: by one of TF-slim's four methods at random, or always bilinear with antialiasing, as in
    evaluation."""
    flip: float = 0.5
    """Probability of mirroring left and right."""
    brightness: float = 32 / 255
    """Largest value added to or taken from every channel, of 1."""
    contrast: float = 0.5
    """Largest relative change of the distance from each channel's mean."""
    saturation: float = 0.5
    """Largest relative change of HSV's saturation."""
    hue: float = 0.2
    """Largest turn of HSV's hue, of a full circle."""


def key(*, seed: int, stage: str, epoch: int) -> tuple[int, int, int]:
    """What all that is drawn for one epoch of one stage begins with, for `numpy.random.default_rng`."""
    name = int.from_bytes(hashlib.sha256(stage.encode()).digest()[:4], "big")
    return seed, name, epoch


class RandomChanges:
    """The random changes of one epoch: each photograph's depend on seed, stage, epoch and its position only."""

    def __init__(self, augmentation: Augmentation, *, seed: int, stage: str, epoch: int) -> None:
        """Draw from the ranges of `augmentation`.

        Args:
            augmentation: The ranges.
            seed: Of the training.
            stage: What is learnt. Stages that follow one another see other crops and colours, however their epochs are
                numbered: a second look at the same ones would add nothing.
            epoch: Counted from 0.
        """
        self.augmentation = augmentation
        self._key = key(seed=seed, stage=stage, epoch=epoch)

    def draws(self, position: int) -> NDArray[np.float64]:
        """The uniform numbers in [0, 1) of the photograph at `position`; they decide everything.

        Returns:
            (410): mirroring, the way of resizing, three that nothing uses, five for the colours; then four for each
            attempt at a crop.
        """
        return np.random.default_rng((*self._key, position)).random(_COLOURS + crops.ATTEMPTS * crops.DRAWS)

    def crop(self, position: int, *, width: int, height: int) -> tuple[Box, Method]:
        """The part of the photograph at `position` that is shown, and how it is resized.

        Args:
            position: Of the photograph.
            width: Of the photograph, in pixels.
            height: Of the photograph, in pixels.
        """
        draws, augmentation = self.draws(position), self.augmentation
        method = TF_SLIM[int(draws[_RESIZING] * len(TF_SLIM))] if augmentation.resize == "tf_slim" else "antialias"
        return crop_box(draws, width=width, height=height, augmentation=augmentation), method

    def colours(self, pixels: Tensor, *, positions: NDArray[np.int64]) -> Tensor:
        """Change the colours of the photographs at `positions` (N): pixels (N, views, 3, H, W) in [0, 1]."""
        draws = np.array([self.draws(int(position))[:_COLOURS] for position in positions]).reshape(-1, _COLOURS)
        return change_colours(pixels, draws=draws, augmentation=self.augmentation)


def crop_box(draws: NDArray[np.float64], *, width: int, height: int, augmentation: Augmentation) -> Box:
    """A random part of a photograph of `width` x `height` pixels, mirrored or not (`ml.images.crops`).

    Returns:
        Left, upper, right and lower edge as fractions; of a mirrored part left and right are exchanged.
    """
    left, upper, right, lower = random_crop(
        draws[_COLOURS:].reshape(-1, crops.DRAWS), width=width, height=height, area=augmentation.area,
        aspect=augmentation.aspect, covered=augmentation.covered,
    )  # fmt: skip
    if draws[_MIRROR] < augmentation.flip:
        left, right = right, left
    return left / width, upper / height, right / width, lower / height


def change_colours(pixels: Tensor, *, draws: NDArray[np.float64], augmentation: Augmentation) -> Tensor:
    """Change the colours of a batch: brightness, contrast, saturation and hue in one of four orders.

    All views of a photograph are changed alike: contrast is scaled about the whole view's mean in each of them, so
    that what several views show keeps the same colour in all.

    Args:
        pixels: (N, views, 3, H, W) in [0, 1], the whole view first.
        draws: (N, 10); columns 5 to 9 are used.
        augmentation: The ranges.

    Returns:
        (N, views, 3, H, W), clipped to [0, 1]; all photographs' first views come first in memory.
    """
    changed = torch.empty_like(pixels.transpose(0, 1), memory_format=torch.contiguous_format).transpose(0, 1)
    order = (draws[:, 5] * len(ORDERS)).astype(int)
    limits = (augmentation.brightness, augmentation.contrast, augmentation.saturation, augmentation.hue)
    amounts = np.array((0, 1, 1, 0)) + (2 * draws[:, 6:] - 1) * np.array(limits)
    if pixels.device.type == "cpu":
        # One photograph at a time stays in the processor's cache.
        scratch = torch.empty(4, 1, *pixels.shape[1:2], *pixels.shape[3:])
        for photo in range(len(pixels)):
            part = changed[photo : photo + 1].copy_(pixels[photo : photo + 1])
            _distort(part, order=order[photo], amounts=torch.from_numpy(amounts[[photo]]).to(pixels), scratch=scratch)
        return changed
    return distort_together(pixels, order=order, amounts=amounts, changed=changed)


def distort_together(
    pixels: Tensor, *, order: NDArray[np.int64], amounts: NDArray[np.float64], changed: Tensor
) -> Tensor:
    """Change all photographs of one order together, as a GPU does it best, in two copies that wait for nothing.

    Args:
        pixels: (N, views, 3, H, W) in [0, 1].
        order: Which of `ORDERS` for each photograph (N).
        amounts: Brightness, contrast, saturation, hue of each photograph (N, 4).
        changed: Where the result goes, of the shape of `pixels`.
    """
    sorted_by_order = np.argsort(order, kind="stable")
    places = to_device(torch.from_numpy(sorted_by_order), pixels.device)
    numbers = to_device(torch.from_numpy(amounts[sorted_by_order]).to(pixels.dtype), pixels.device)
    begin = 0
    for each, count in enumerate(np.bincount(order, minlength=len(ORDERS)).tolist()):
        if not count:
            continue
        chosen = slice(begin, begin + count)
        part = pixels.index_select(0, places[chosen])
        scratch = part.new_empty(4, *part.shape[:2], *part.shape[3:])
        _distort(part, order=each, amounts=numbers[chosen], scratch=scratch)
        changed.index_copy_(0, places[chosen], part)
        begin += count
    return changed


def _distort(pixels: Tensor, *, order: int, amounts: Tensor, scratch: Tensor) -> None:
    """Change (N, views, 3, H, W) in place by `amounts` (N, 4) in one of `ORDERS`.

    Brightness commutes with contrast and with hue, and hue with saturation, which allows for fewer passes.

    Args:
        pixels: What is changed.
        order: Which of `ORDERS`.
        amounts: Brightness, contrast, saturation, hue.
        scratch: Memory (4, N, views, H, W) for intermediate results.
    """
    brightness, contrast, saturation, hue = amounts.view(-1, 4, 1, 1, 1, 1).unbind(1)
    if order == 0:
        pixels.add_(brightness)
        _hue(pixels, hue, saturation=saturation, scratch=scratch)
        _contrast(pixels, contrast, brightness=0)
    elif order == 1:
        _saturation(pixels, saturation, scratch=scratch)
        _contrast(pixels, contrast, brightness=brightness)
        _hue(pixels, hue, saturation=None, scratch=scratch)
    elif order == 2:
        _contrast(pixels, contrast, brightness=brightness)
        _hue(pixels, hue, saturation=saturation, scratch=scratch)
    else:
        _hue(pixels, hue, saturation=saturation, scratch=scratch)
        _contrast(pixels, contrast, brightness=brightness)
    pixels.clamp_(0, 1)


def _contrast(pixels: Tensor, factor: Tensor, *, brightness: Tensor | float) -> None:
    """Scale the distance from each channel's mean over the whole view (TF `adjust_contrast`), and add `brightness`."""
    mean = pixels[:, :1].mean(dim=(3, 4), keepdim=True)
    pixels.mul_(factor).add_(mean * (1 - factor) + brightness)


def _saturation(pixels: Tensor, factor: Tensor, *, scratch: Tensor) -> None:
    """Scale HSV's saturation, at most to 1 (TF `adjust_saturation`); hue and value stay.

    At fixed hue and value, each channel's distance below the largest is proportional to the saturation.
    """
    value, chroma = _value_and_chroma(pixels, scratch=scratch)
    scale = torch.clamp(value, min=0, out=scratch[2]).div_(chroma.clamp_min_(1e-12))
    torch.minimum(scale, factor[:, 0], out=scale)
    torch.lerp(value.unsqueeze(2), pixels, scale.unsqueeze(2), out=pixels)


def _hue(pixels: Tensor, turn: Tensor, *, saturation: Tensor | None, scratch: Tensor) -> None:
    """Turn HSV's hue by a share of the circle (TF `adjust_hue`), and scale its saturation, at most to 1, if asked.

    Closed form, with hue in sixths of the circle, between -3 and 3 with red at 0: each channel is a trapezoid of it,
    value - chroma * (min(max(|hue|, 1), 2) - 1) for red. Green and blue have the same form, lowest around -1 and 1.
    """
    red, green, blue = pixels.unbind(2)
    value, chroma = _value_and_chroma(pixels, scratch=scratch)
    hue, spare = scratch[2:]
    # The distance of the hue from red is 1 + (green + blue - red - least) / chroma, where least = value - chroma.
    torch.add(green, blue, out=hue).sub_(red).sub_(value).add_(chroma)
    hue.div_(torch.clamp(chroma, min=1e-12, out=spare)).add_(1)
    hue.copysign_(torch.sub(green, blue, out=spare)).add_(6 * turn[:, 0])
    hue.sub_(torch.mul(hue, 1 / 6, out=spare).round_(), alpha=6)
    if saturation is not None:
        chroma.mul_(saturation[:, 0])
        torch.minimum(chroma, torch.clamp(value, min=0, out=spare), out=chroma)
    torch.abs(hue, out=spare).clamp_(1, 2)
    torch.addcmul(torch.add(value, chroma, out=red), chroma, spare, value=-1, out=red)
    value.sub_(chroma, alpha=2)
    for channel, lowest in ((green, -1), (blue, 1)):
        torch.sub(hue, lowest, out=spare).abs_().clamp_(1, 2)
        torch.addcmul(value, chroma, spare, out=channel)


def _value_and_chroma(pixels: Tensor, *, scratch: Tensor) -> tuple[Tensor, Tensor]:
    """The largest channel, and how far it is above the smallest: (N, views, H, W) in the first two of `scratch`."""
    red, green, blue = pixels.unbind(2)
    value, least = scratch[:2]
    torch.maximum(torch.maximum(red, green, out=value), blue, out=value)
    torch.minimum(torch.minimum(red, green, out=least), blue, out=least)
    return value, torch.sub(value, least, out=least)
