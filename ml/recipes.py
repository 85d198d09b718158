"""Recipes as data: what is done with a network, in which order, at which rates. Nothing is computed here."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ml.augment import Augmentation

OptimiserName = Literal["tf_adam", "adamw"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Probe(_Frozen):
    """A linear classifier on frozen features, before the backbone may change.

    Source: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features": a head that already fits keeps the
    first steps of fine-tuning from spoiling what ImageNet taught.
    """

    views: int = Field(ge=1)
    """Passes over the photographs: the centre first, the others flipped and cropped at random."""
    weight_decay: float
    """L2 on the head's weights over standardised features."""
    iterations: int
    """Of L-BFGS."""


class Segment(_Frozen):
    """A stretch of training at one learning rate, or falling from it along a half cosine."""

    epochs: float = Field(gt=0)
    rate: float = Field(gt=0)
    cosine: bool = False


class Recipe(_Frozen):
    """How one network is trained."""

    name: str
    batch: int = Field(ge=1)
    """Photographs per step, over all processes."""
    optimiser: OptimiserName
    eps: float
    weight_decay: float
    dropout: float
    batch_norm_momentum: float | None
    batch_norm_eps: float | None
    batch_norm_frozen: bool
    """Normalise with the pretrained statistics: small batches of few species would spoil them."""
    trainable: float = Field(gt=0, le=1)
    """Share of the backbone's sections that fine-tuning changes, counted from the output."""
    head_scale: float = 1.0
    """Learning rate of the head as a multiple of the backbone's."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of all steps over which the rate rises from zero."""
    probe: Probe | None
    segments: tuple[Segment, ...]
    augmentation: Augmentation
    label_smoothing: float = 0.0

    @property
    def epochs(self) -> float:
        """Passes over the training photographs, the probe's not counted."""
        return sum(segment.epochs for segment in self.segments)


PAPER = Recipe(
    name="paper",
    batch=32,
    optimiser="tf_adam",
    eps=1.0,
    weight_decay=4e-5,
    dropout=0.2,
    batch_norm_momentum=0.0003,
    batch_norm_eps=1e-3,
    batch_norm_frozen=False,
    trainable=1.0,
    probe=None,
    segments=(Segment(epochs=3, rate=0.01), Segment(epochs=2, rate=0.001), Segment(epochs=1, rate=0.0001)),
    augmentation=Augmentation(),
)
"""The baseline as printed (section 4.1): batch 32, 6 epochs; what is not printed follows TF-slim's defaults."""

SAMPLE = Recipe(
    name="sample",
    batch=32,
    optimiser="adamw",
    eps=1e-8,
    weight_decay=0.02,
    dropout=0.2,
    batch_norm_momentum=None,
    batch_norm_eps=None,
    batch_norm_frozen=True,
    trainable=0.5,
    head_scale=1.0,
    warmup=0.1,
    probe=Probe(views=2, weight_decay=0.01, iterations=60),
    segments=(Segment(epochs=3, rate=3e-4, cosine=True),),
    augmentation=Augmentation(area=(0.4, 1.0), brightness=0.125, contrast=0.25, saturation=0.25, hue=0.03),
    label_smoothing=0.1,
)
"""For a thousand photographs on two cores: the head is fitted first, then the upper half of the backbone follows."""

RECIPES: dict[str, Recipe] = {"paper": PAPER, "sample": SAMPLE}


def rate_at(recipe: Recipe, *, done: float) -> float:
    """The learning rate after `done` epochs (a fraction counts the part of the epoch that is over).

    Raises:
        ValueError: `done` lies beyond the last segment.
    """
    warm = recipe.warmup * recipe.epochs
    rise = min(1.0, done / warm) if warm else 1.0
    begin = 0.0
    for segment in recipe.segments:
        if done < begin + segment.epochs:
            share = (done - begin) / segment.epochs
            fall = 0.5 * (1 + math.cos(math.pi * share)) if segment.cosine else 1.0
            return segment.rate * fall * rise
        begin += segment.epochs
    raise ValueError(f"recipe {recipe.name} ends after {recipe.epochs} epochs, not {done}")
