"""Random changes of training photographs, drawn from (seed, epoch, photograph) so that a resumed run repeats them.

Source: TF-slim `inception_preprocessing.py` with `fast_mode=False`, which the paper's section 3.1.1 follows. The crop
is done while decoding (`ml.data`), colours in batched torch operations here.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from ml.data import Box

ORDERS = (
    ("brightness", "saturation", "hue", "contrast"),
    ("saturation", "brightness", "contrast", "hue"),
    ("contrast", "hue", "brightness", "saturation"),
    ("hue", "saturation", "contrast", "brightness"),
)
"""The four orders in which TF-slim's `distort_color` applies the changes."""


class Augmentation(BaseModel):
    """Ranges of the random changes; the defaults are the paper's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    area: tuple[float, float] = (0.05, 1.0)
    """Share of the photograph's area that a crop keeps."""
    aspect: tuple[float, float] = (0.75, 1.33)
    """Width by height of a crop, relative to the photograph's own shape."""
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


class Draws:
    """The random numbers of one epoch: each photograph's depend on seed, epoch and its position only."""

    def __init__(self, *, seed: int, epoch: int) -> None:
        """Draw for this seed and epoch."""
        self._key = (seed, epoch)

    def of(self, position: int) -> NDArray[np.float64]:
        """Ten uniform numbers in [0, 1) for the photograph at `position`."""
        return np.random.default_rng((*self._key, position)).random(10)


def crop_box(draws: NDArray[np.float64], *, augmentation: Augmentation) -> Box:
    """A random part of the photograph: area, aspect ratio and place from the first four draws.

    Returns:
        Left, upper, right and lower edge as fractions.
    """
    low, high = augmentation.area
    area = low + (high - low) * draws[0]
    logarithms = np.log(augmentation.aspect)
    aspect = float(np.exp(logarithms[0] + (logarithms[1] - logarithms[0]) * draws[1]))
    # A crop of nearly the whole photograph cannot be of another shape: the side is cut off at one.
    width = min(1.0, float(np.sqrt(area * aspect)))
    height = min(1.0, area / width)
    left, upper = (1 - width) * float(draws[2]), (1 - height) * float(draws[3])
    return left, upper, left + width, upper + height


def change_colours(pixels: Tensor, *, draws: NDArray[np.float64], augmentation: Augmentation) -> Tensor:
    """Flip and change the colours of a batch.

    Args:
        pixels: (N, views, 3, H, W) in [0, 1]; a photograph's views are changed alike.
        draws: (N, 10); columns 4 to 9 are used.
        augmentation: The ranges.

    Returns:
        (N, views, 3, H, W), clipped to [0, 1].
    """
    photos, views = pixels.shape[:2]
    together = pixels.transpose(0, 1).flatten(0, 1)
    changed = _change(together, draws=np.tile(draws, (views, 1)), augmentation=augmentation)
    return changed.view(views, photos, *pixels.shape[2:]).transpose(0, 1)


def _change(pixels: Tensor, *, draws: NDArray[np.float64], augmentation: Augmentation) -> Tensor:
    flipped = torch.from_numpy(draws[:, 4] < augmentation.flip).to(pixels.device)
    pixels = torch.where(flipped.view(-1, 1, 1, 1), pixels.flip(3), pixels)
    order = (draws[:, 5] * len(ORDERS)).astype(int)
    signed = torch.from_numpy(2 * draws[:, 6:10] - 1).to(pixels)
    amounts = {
        "brightness": signed[:, 0] * augmentation.brightness,
        "contrast": 1 + signed[:, 1] * augmentation.contrast,
        "saturation": 1 + signed[:, 2] * augmentation.saturation,
        "hue": signed[:, 3] * augmentation.hue,
    }
    result = torch.empty_like(pixels)
    for index, names in enumerate(ORDERS):
        members = torch.from_numpy(np.flatnonzero(order == index)).to(pixels.device)
        if len(members):
            part = pixels[members]
            for name in names:
                part = CHANGES[name](part, amounts[name][members].view(-1, 1, 1, 1))
            result[members] = part
    return result.clamp_(0, 1)


def brightness(pixels: Tensor, delta: Tensor) -> Tensor:
    """Add `delta` to every channel (TF `adjust_brightness`)."""
    return pixels + delta


def contrast(pixels: Tensor, factor: Tensor) -> Tensor:
    """Scale the distance from each channel's mean over the photograph (TF `adjust_contrast`)."""
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    return (pixels - mean) * factor + mean


def saturation(pixels: Tensor, factor: Tensor) -> Tensor:
    """Scale HSV's saturation, at most to 1 (TF `adjust_saturation`); hue and value stay.

    In HSV at fixed hue and value, each channel's distance below the maximum is proportional to the saturation, so
    the conversion there and back reduces to one scaling.
    """
    value = pixels.amax(dim=1, keepdim=True)
    reach = value - pixels.amin(dim=1, keepdim=True)
    limit = torch.where(reach > 0, value / reach.clamp_min(1e-12), torch.ones_like(reach)).clamp_min(0)
    return value - (value - pixels) * torch.minimum(factor, limit)


def hue(pixels: Tensor, delta: Tensor) -> Tensor:
    """Turn HSV's hue by `delta` of a full circle (TF `adjust_hue`); saturation and value stay."""
    value = pixels.amax(dim=1, keepdim=True)
    reach = value - pixels.amin(dim=1, keepdim=True)
    red, green, blue = pixels.unbind(1)
    safe = reach.squeeze(1).clamp_min(1e-12)
    top = value.squeeze(1)
    sixth = torch.where(
        top == red,
        (green - blue) / safe,
        torch.where(top == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    turned = (sixth[:, None] + 6 * delta) % 6
    # Each channel is the value minus the reach times a trapezoid of the hue (the closed form of HSV to RGB).
    phase = torch.tensor([5.0, 3.0, 1.0], device=pixels.device).view(1, 3, 1, 1)
    place = (phase + turned) % 6
    return value - reach * torch.minimum(place, 4 - place).clamp(0, 1)


CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": brightness,
    "contrast": contrast,
    "saturation": saturation,
    "hue": hue,
}
"""The colour changes by name."""
