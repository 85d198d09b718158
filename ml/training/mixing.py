"""Mixup and cutmix: photographs of a batch mixed with one another, and their labels in the same shares.

Sources: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization"; Yun et al. 2019, "CutMix"; in the variant of
`timm.data.Mixup` with one draw for a batch, each photograph paired with its counterpart in the reversed batch. timm's
own draws from numpy's global state, which a resumed training cannot repeat, and knows one view of a photograph.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ml.training.recipes import Recipe

Edges = tuple[int, int, int, int]
"""Upper, lower, left and right edge of a box in whole pixels, half-open."""


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """How batches are mixed."""

    mixup: float
    """Alpha of mixup, 0 for none."""
    cutmix: float
    """Alpha of cutmix, 0 for none; with both, each batch is given to one of them, by an even chance."""
    classes: int
    views: tuple[float, ...]
    """Share of each side that each view shows, around the centre."""

    def __call__(self, inputs: Tensor, targets: Tensor, *, draws: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Mix a batch.

        The numbers that decide are drawn on the processor: nothing waits for a GPU.

        Args:
            inputs: Standardised pixels (N, views, 3, H, W), changed in place; N may be odd, or 0.
            targets: Class ids (N).
            draws: What is drawn comes from here.

        Returns:
            The inputs, and for each photograph its share of each class (N, classes) in float32. Labels are not yet
            smoothed: the loss does it, which is the same, since smoothing and mixing are both linear.
        """
        cut = self.cutmix > 0 and (self.mixup == 0 or draws.random() < 0.5)
        alpha = self.cutmix if cut else self.mixup
        kept = float(draws.beta(alpha, alpha))
        if cut:
            kept = paste(inputs, box=draw_box(inputs.shape[-2:], kept=kept, draws=draws), views=self.views)
        else:
            for view in inputs.unbind(1):
                view.lerp_(view.flip(0), 1 - kept)
        return inputs, mixed(targets, kept=kept, classes=self.classes)


def create(recipe: Recipe, *, classes: int) -> Mixing | None:
    """The mixing that `recipe` asks for; None where it asks for none."""
    if not recipe.mixup and not recipe.cutmix:
        return None
    return Mixing(mixup=recipe.mixup, cutmix=recipe.cutmix, classes=classes, views=recipe.views)


def mixed(targets: Tensor, *, kept: float, classes: int) -> Tensor:
    """Shares of each class (N, classes): `kept` of a photograph's own class, the rest of its counterpart's.

    Args:
        targets: Class ids (N).
        kept: Share that remains of each photograph.
        classes: Number of classes.
    """
    own = (targets[:, None] == torch.arange(classes, device=targets.device)).float()
    return own.lerp(own.flip(0), 1 - kept)


def draw_box(size: Sequence[int], *, kept: float, draws: np.random.Generator) -> Edges:
    """A box of the whole view, of a share 1 - `kept` of its area, about a uniform centre; what is outside is cut off.

    Args:
        size: Height and width in pixels.
        kept: Share that remains.
        draws: What is drawn comes from here.
    """
    height, width = size
    side = math.sqrt(1 - kept)
    tall, wide = int(height * side), int(width * side)
    down, across = int(draws.integers(height)), int(draws.integers(width))
    return (
        max(0, down - tall // 2), min(height, down + (tall + 1) // 2),
        max(0, across - wide // 2), min(width, across + (wide + 1) // 2),
    )  # fmt: skip


def paste(inputs: Tensor, *, box: Edges, views: Sequence[float]) -> float:
    """Show in a box of each photograph what its counterpart has there, as if the photographs had been cut themselves.

    A magnified view shows the middle of the whole view: the box has its place there too, larger and moved, or none.

    Args:
        inputs: (N, views, 3, H, W), changed in place.
        box: In the whole view.
        views: Share of each side that each view shows.

    Returns:
        The share of each photograph that remains, of all pixels that the network is given, those of all views.
    """
    height, width = inputs.shape[-2:]
    covered = 0
    for view, share in zip(inputs.unbind(1), views, strict=True):
        upper, lower = (magnified(edge, side=height, share=share) for edge in box[:2])
        left, right = (magnified(edge, side=width, share=share) for edge in box[2:])
        part = view[:, :, upper:lower, left:right]
        part.copy_(part.flip(0))
        covered += (lower - upper) * (right - left)
    return 1 - covered / (len(views) * height * width)


def magnified(edge: int, *, side: int, share: float) -> int:
    """Where an edge of the whole view lies in a view that shows its central `share`; at the border if it is outside.

    Args:
        edge: In pixels, from 0 to `side`.
        side: Pixels of either view.
        share: In (0, 1].
    """
    return min(side, max(0, round((edge - side / 2) / share + side / 2)))
