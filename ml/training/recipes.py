"""Recipes as data: how a network is trained, in which order and at which rates; the built-in ones."""

import math
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ml.errors import RecipeError
from ml.images.augmentation import Augmentation
from ml.networks.description import BranchStart, Shape
from ml.spec import MAGNIFIED, RANKS, NetworkName, Rank

OptimiserName = Literal["tf_adam", "adamw"]

Strength = Annotated[float, Field(ge=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Probe(_Frozen):
    """A head fitted on the embeddings of the frozen backbone, before the backbone may change, or instead of that.

    Source: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features": a head that already fits keeps the
    first steps of fine-tuning from spoiling what ImageNet taught. `Shape.head` says what kind of head it is.
    """

    views: int = Field(ge=1)
    """Passes over the photographs: the centre first, the others flipped and cropped at random."""
    weight_decay: Strength | tuple[Strength, ...]
    """L2 on the head's rows over standardised features; for a cosine head, on their distance from the class means. Of
    several values, cross-validation on the training side chooses one."""
    iterations: int = Field(ge=1)
    """Of L-BFGS, where the problem fits in memory (`ml.training.head_fit.EXACT_BYTES`)."""
    passes: int = Field(default=20, ge=1)
    """Over the embeddings in mini-batches, where it does not."""
    scale: float | None = Field(default=None, gt=0)
    """Of the cosines of a cosine or prototype head; None to learn it from held-out photographs of the training side."""
    shrink: Strength | tuple[Strength, ...] = 0.0
    """Photographs that the mean of the taxon above counts as in each prototype; of several values, one is chosen as for
    `weight_decay`."""

    @field_validator("weight_decay", "shrink")
    @classmethod
    def _one_at_least(cls, value: float | tuple[float, ...]) -> float | tuple[float, ...]:
        if value == ():
            raise ValueError("it must name one value at least")
        return value


class Segment(_Frozen):
    """A stretch of training at one learning rate, or falling from it along a half cosine."""

    epochs: float = Field(gt=0)
    rate: float = Field(gt=0)
    cosine: bool = False


class Recipe(Shape):
    """How one network is trained."""

    name: str
    rank: Rank = "species"
    """What is learnt: species, or the taxa of a higher rank that a later stage goes on from."""
    branches: BranchStart = "random"
    """First weights of the branches of further views: random (the paper), or copies of the whole view's."""
    batch: int = Field(ge=1)
    """Photographs per step, over all processes."""
    optimiser: OptimiserName
    eps: float
    """Epsilon of the optimiser."""
    weight_decay: float
    """With `tf_adam` of convolutions and linear layers, batch norms spared; else norms, biases, tokens and position
    embeddings are spared (`ml.training.parameter_groups`)."""
    batch_norm_frozen: bool
    """Normalise with the pretrained statistics: small batches of few species would spoil them."""
    trainable: float = Field(default=1.0, gt=0, le=1)
    """Share of the backbone's steps that fine-tuning changes, counted from the output; random branches always."""
    reuse_frozen: bool = False
    """Keep on disk what the frozen steps make of each pass over the photographs (`ml.networks.frozen`), and share it
    with the networks that begin alike. For small datasets on a processor: a GPU computes faster than a disk is read."""
    head_scale: float = 1.0
    """Learning rate of the head as a multiple of the backbone's."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Learning rate of each layer of the pretrained backbone as a multiple of that of the layer above it; what is new
    learns at the full rate. 0.65 to 0.8 suits transformers; 1: all layers alike."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of all steps over which the rate rises from zero."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, updated after each step: it is what is evaluated and kept.
    It begins with a short memory, min(ema, (1 + t) / (10 + t)) after t steps, as in TensorFlow. None: no average."""
    patience: float | None = Field(default=None, gt=0)
    """Epochs after which training ends when the loss on the photographs it looks at (`ml.training.validation`) is not
    below its least. Kept is then the network of the epoch with the least loss; without patience, the last."""
    probe: Probe | None
    segments: tuple[Segment, ...]
    augmentation: Augmentation
    label_smoothing: float = 0.0
    auxiliary_weight: float = Field(default=0.0, ge=0)
    """Weight of the auxiliary classifier's loss, where the architecture has one; 0 for none."""
    logit_adjustment: float = Field(default=0.0, ge=0)
    """Tau of Menon et al. 2021: the loss is taken of logits + tau * log(share of the class among the photographs
    drawn), answers of the logits alone. With 1, probabilities are those of a world in which all classes are as
    frequent: mean accuracy over classes is best so. See `ml.training.losses` and `restore_prior`."""
    sampling: float = Field(default=1.0, ge=0, le=1)
    """A class is drawn in proportion to (its training photographs) ** sampling. 1: each photograph once per epoch; 0.5:
    the square root (Mahajan et al. 2018); 0: all classes equally often. See `ml.training.sampling`."""
    restore_prior: bool = False
    """When training ends, give the head's bias what `logit_adjustment` and `sampling` took from frequent classes.
    Accuracy over photographs, of which rare classes have few, is best with it, mean accuracy over classes without."""
    mixup: float = Field(default=0.0, ge=0)
    """Alpha of mixup (Zhang et al. 2018): each photograph is blended with another of its batch. 0 blends none."""
    cutmix: float = Field(default=0.0, ge=0)
    """Alpha of cutmix (Yun et al. 2019): a box of each photograph shows another of its batch. With `mixup` too, each is
    done in every other batch, by chance. See `ml.training.mixing`."""
    hierarchy: dict[Rank, Annotated[float, Field(gt=0)]] = Field(default={})
    """Weight of the loss at ranks above the classes' own: -log(probability of the true taxon of that rank, summed over
    the classes below it), beside that of the classes with weight 1. See `ml.training.losses`."""

    @model_validator(mode="after")
    def _possible_together(self) -> Self:
        if self.sampling == 0 and self.logit_adjustment:
            raise ValueError(
                "sampling 0 draws all classes equally often: no prior is left for logit_adjustment; leave one out"
            )
        if self.restore_prior and self.sampling == 1 and not self.logit_adjustment:
            raise ValueError("restore_prior has nothing to restore without logit_adjustment or a sampling below 1")
        if self.reuse_frozen and (self.mixup or self.cutmix):
            raise ValueError(
                "mixup and cutmix mix the pixels of photographs, but reuse_frozen keeps what frozen layers make of "
                "unmixed ones; set reuse_frozen to false"
            )
        if below := [rank for rank in self.hierarchy if RANKS.index(rank) >= RANKS.index(self.rank)]:
            raise ValueError(
                f"hierarchy weighs ranks above what is learnt, which is {self.rank}; leave out {', '.join(below)}"
            )
        return self

    def at(self, rank: Rank) -> "Recipe":
        """The recipe for learning taxa of `rank`: ranks that are not above it leave the hierarchy."""
        above = {each: weight for each, weight in self.hierarchy.items() if RANKS.index(each) < RANKS.index(rank)}
        return self.model_copy(update={"rank": rank, "hierarchy": above})

    @model_validator(mode="after")
    def _prototypes_are_measured(self) -> Self:
        if self.head == "prototype" and self.probe is None:
            raise ValueError("a prototype head needs a probe, which measures the class means")
        if self.head == "prototype" and not self.segments and (self.sampling != 1 or self.logit_adjustment):
            raise ValueError(
                "class means hold no prior: with a prototype head, sampling and logit_adjustment need segments, which "
                "train it further"
            )
        return self

    @property
    def frozen(self) -> bool:
        """Whether nothing but the head is trained, on embeddings."""
        return self.probe is not None and not self.segments

    @property
    def stage(self) -> str:
        """Part of every seed: the stages of one knowledge transfer draw different crops, orders and first weights.

        Networks of the same rank draw the same ones, so that they are compared on equal terms.
        """
        return self.rank

    @property
    def epochs(self) -> float:
        """Passes over the training photographs, the probe's not counted."""
        return sum(segment.epochs for segment in self.segments)


PAPER = Recipe(
    name="paper/baseline",
    batch=32,
    optimiser="tf_adam",
    eps=1.0,
    weight_decay=4e-5,
    dropout=0.2,
    batch_norm_momentum=0.0003,
    batch_norm_eps=1e-3,
    batch_norm_frozen=False,
    probe=None,
    segments=(Segment(epochs=3, rate=0.01), Segment(epochs=2, rate=0.001), Segment(epochs=1, rate=0.0001)),
    augmentation=Augmentation(resize="tf_slim"),
    auxiliary_weight=0.4,
)
"""The first experiment as printed (section 5); what is not printed follows TF-slim's defaults."""

PAPER_MATCHED = PAPER.model_copy(
    update={
        "name": "paper/baseline_matched",
        "batch": 16,
        "segments": (
            Segment(epochs=2, rate=0.1),
            Segment(epochs=1.5, rate=0.01),
            Segment(epochs=0.5, rate=0.001),
            Segment(epochs=0.5, rate=0.0001),
        ),
    }
)
"""One view under the second experiment's schedule: what the views alone bring, which the paper does not tell apart."""

PAPER_VIEWS = PAPER_MATCHED.model_copy(update={"name": "paper/multi_view", "views": (1.0, MAGNIFIED)})
"""The second experiment as printed: "four epochs", which its segments sum up to 4.5."""

PAPER_GENUS = PAPER_VIEWS.model_copy(
    update={"name": "paper/genus_stage", "rank": "genus", "segments": (Segment(epochs=1.5, rate=0.1),)}
)
"""The third experiment's first stage."""

PAPER_TRANSFER = PAPER_VIEWS.model_copy(
    update={
        "name": "paper/knowledge_transfer",
        "segments": (
            Segment(epochs=1, rate=0.1),
            Segment(epochs=1, rate=0.01),
            Segment(epochs=0.5, rate=0.001),
            Segment(epochs=0.5, rate=0.0001),
        ),
    }
)
"""The third experiment's second stage. The last segment is printed as 0.001 again: `literal` trains it so."""

SAMPLE = Recipe(
    name="sample/baseline_matched",
    batch=32,
    optimiser="adamw",
    eps=1e-8,
    weight_decay=0.02,
    dropout=0.2,
    batch_norm_momentum=None,
    batch_norm_eps=None,
    batch_norm_frozen=True,
    trainable=0.25,
    reuse_frozen=True,
    warmup=0.1,
    probe=Probe(views=1, weight_decay=0.01, iterations=30),
    segments=(Segment(epochs=3, rate=3e-4, cosine=True),),
    augmentation=Augmentation(area=(0.4, 1.0), brightness=0.125, contrast=0.25, saturation=0.25, hue=0.03),
    label_smoothing=0.1,
)
"""For a thousand photographs on two cores: the head is fitted first, then the last quarter of the backbone follows."""

SAMPLE_VIEWS = SAMPLE.model_copy(
    update={"name": "sample/multi_view", "views": (1.0, MAGNIFIED), "branches": "pretrained", "fusion": "average"}
)
"""With as few photographs a random branch learns little, and the mean of two pretrained ones is the best start."""

FROZEN = Recipe(
    name="frozen/baseline_matched",
    batch=64,
    optimiser="adamw",
    eps=1e-8,
    weight_decay=0.0,
    dropout=0.0,
    batch_norm_momentum=None,
    batch_norm_eps=None,
    batch_norm_frozen=True,
    probe=Probe(views=1, weight_decay=(0.0003, 0.001, 0.003, 0.01), iterations=40),
    segments=(),
    augmentation=Augmentation(),
)
"""Nothing but the head is trained, on embeddings that are computed once: minutes where fine-tuning takes hours."""

FROZEN_VIEWS = FROZEN.model_copy(
    update={"name": "frozen/multi_view", "views": (1.0, MAGNIFIED), "branches": "pretrained", "fusion": "average"}
)
"""Two pretrained branches, averaged where they join."""

RECIPES: Final[dict[str, dict[NetworkName, Recipe]]] = {
    "paper": {
        "baseline": PAPER,
        "baseline_matched": PAPER_MATCHED,
        "multi_view": PAPER_VIEWS,
        "genus_stage": PAPER_GENUS,
        "knowledge_transfer": PAPER_TRANSFER,
    },
    "sample": {
        # At a lower rate than the others, as in the paper.
        "baseline": SAMPLE.model_copy(
            update={"name": "sample/baseline", "segments": (Segment(epochs=3, rate=1e-4, cosine=True),)}
        ),
        "baseline_matched": SAMPLE,
        "multi_view": SAMPLE_VIEWS,
        "genus_stage": SAMPLE_VIEWS.model_copy(
            update={
                "name": "sample/genus_stage",
                "rank": "genus",
                "segments": (Segment(epochs=1, rate=3e-4, cosine=True),),
            }
        ),
        "knowledge_transfer": SAMPLE_VIEWS.model_copy(
            update={
                "name": "sample/knowledge_transfer",
                "segments": (Segment(epochs=2, rate=3e-4, cosine=True),),
            }
        ),
    },
    "frozen": {
        "baseline": FROZEN.model_copy(update={"name": "frozen/baseline"}),
        "baseline_matched": FROZEN,
        "multi_view": FROZEN_VIEWS,
        "genus_stage": FROZEN_VIEWS.model_copy(update={"name": "frozen/genus_stage", "rank": "genus"}),
        "knowledge_transfer": FROZEN_VIEWS.model_copy(update={"name": "frozen/knowledge_transfer"}),
    },
}


def recipe_of(name: str, network: NetworkName, *, literal: bool = False, rank: Rank | None = None) -> Recipe:
    """How `network` is trained by the recipes of `name`.

    Args:
        name: One of `RECIPES`, or the path of a YAML or JSON file with a recipe for each network that it trains.
        network: The network or stage.
        literal: Train the last half epoch of the paper's knowledge transfer at 0.001, as printed, instead of 0.0001.
        rank: What is learnt instead of the recipe's own rank; see `Recipe.at`.

    Raises:
        RecipeError: the file cannot be read, or has no such recipe; or `literal` was asked of a recipe that the paper
            does not print.
    """
    recipe = RECIPES[name][network] if name in RECIPES else _of_file(Path(name), network)
    if literal:
        if recipe is not PAPER_TRANSFER:
            raise RecipeError(
                f"the recipe {recipe.name} of {network} has no other reading: literal is about the last half epoch of "
                f"{PAPER_TRANSFER.name}; write the rate into the last segment of your own recipe"
            )
        segments = (*recipe.segments[:-1], Segment(epochs=0.5, rate=0.001))
        recipe = recipe.model_copy(update={"segments": segments})
    return recipe if rank is None else recipe.at(rank)


def _of_file(path: Path, network: NetworkName) -> Recipe:
    try:
        recipes = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Recipe.model_validate(recipes[network])
    except (OSError, yaml.YAMLError, TypeError, KeyError, ValidationError) as error:
        known = ", ".join(RECIPES)
        raise RecipeError(
            f"the recipe {path} is neither one of {known} nor a file with a recipe for {network}: {error!r}"
        ) from error


def rate_at(recipe: Recipe, *, done: float) -> float:
    """The learning rate after `done` epochs (a fraction counts the part of the epoch that is over).

    Raises:
        ValueError: `done` is beyond the last segment.
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
