"""What the experiments train: each row a chain of stages, each stage a recipe. Data only.

Two questions. *The paper's setting*: the head starts at random and all layers learn; does knowledge transfer pay there?
*The best that these photographs allow*: the head is fitted first, and what today's practice adds.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from ml.spec import MAGNIFIED, PACKAGE_BACKBONE, NetworkName, Rank
from ml.training.recipes import FROZEN, SAMPLE, Probe, Recipe, Segment

IMAGE_SIZE: Final = 224
LITE2, LITE2_SIZE = "tf_efficientnet_lite2", 260
"""The larger backbone, at the image size that it was made for."""
EPOCHS: Final = 8.0
"""Passes over the training photographs that each row of the paper's setting takes, all its stages together."""
GENUS_SHARE: Final = 1.5 / 4.5
"""Of these, before species are learnt: the paper's share."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training."""

    network: NetworkName
    recipe: Recipe
    mixing: float = 0.5
    """The paper's a, where a stage goes before."""
    rare: bool = False
    """Whether photographs of species too rare to be classes are learnt, too (stages of a higher rank only)."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table."""

    name: str
    title: str
    stages: tuple[Stage, ...]
    backbone: str = PACKAGE_BACKBONE
    image_size: int = IMAGE_SIZE
    options: tuple[tuple[str, Any], ...] = ()
    """Further fields of the specification, by name."""


def of(recipe: Recipe, name: str, **changes: Any) -> Recipe:  # noqa: ANN401 (fields of a recipe)
    """`recipe` under another name, with changes."""
    return Recipe.model_validate(recipe.model_dump() | {"name": name} | changes)


def falling(*, epochs: float, rate: float) -> tuple[Segment, ...]:
    """A rate that falls along a half cosine."""
    return (Segment(epochs=epochs, rate=rate, cosine=True),)


def longer(row: Row, *, times: float) -> Row:
    """A row whose stages all take `times` the passes, their rates falling as before over the longer time."""
    stages = [
        replace(
            stage,
            recipe=of(
                stage.recipe,
                stage.recipe.name,
                segments=[each.model_copy(update={"epochs": each.epochs * times}) for each in stage.recipe.segments],
            ),
        )
        for stage in row.stages
    ]
    return replace(row, stages=tuple(stages))


RATE: Final = 1e-3
PLAIN: Final = of(
    SAMPLE, "all layers from a random head", probe=None, trainable=1.0, batch_norm_frozen=False, reuse_frozen=False,
    label_smoothing=0.0, segments=falling(epochs=EPOCHS, rate=RATE),
)  # fmt: skip
"""The paper's setting, with AdamW and a falling rate for the few steps there are."""
PLAIN_VIEWS: Final = of(
    PLAIN, "two views, all layers from a random head, branch and fusion", views=(1.0, MAGNIFIED),
)  # fmt: skip
"""The crop branch and the fusion start at random, as in the paper."""


def transferred(
    recipe: Recipe, *, mixing: float = 0.5, rare: bool = True, above: tuple[Rank, ...] = ("genus",)
) -> tuple[Stage, ...]:
    """The stages of knowledge transfer that end in `recipe`'s network, within the same number of steps.

    Args:
        recipe: How the network is trained without transfer, with one falling rate.
        mixing: The paper's a.
        rare: Whether rare species' photographs are learnt at the higher ranks.
        above: The ranks that are learnt before species, from the highest down; they share the paper's share of steps.
    """
    rate, epochs = recipe.segments[0].rate, recipe.epochs
    each = epochs * GENUS_SHARE / len(above)
    stages = [
        Stage(
            network="genus_stage",
            recipe=of(recipe, f"{recipe.name}, {rank}", rank=rank, segments=falling(epochs=each, rate=rate)),
            mixing=mixing,
            rare=rare,
        )
        for rank in above
    ]
    last = of(recipe, f"{recipe.name}, species", segments=falling(epochs=epochs * (1 - GENUS_SHARE), rate=rate))
    return (*stages, Stage(network="knowledge_transfer", recipe=last, mixing=mixing))


PAPERS_SETTING: Final = (
    Row(name="one", title="one view", stages=(Stage(network="baseline_matched", recipe=PLAIN),)),
    Row(name="one_transfer", title="one view, knowledge transfer, a = 0.5", stages=transferred(PLAIN)),
    Row(name="two", title="two views", stages=(Stage(network="multi_view", recipe=PLAIN_VIEWS),)),
    Row(name="two_transfer", title="two views, knowledge transfer, a = 0.5", stages=transferred(PLAIN_VIEWS)),
    Row(name="one_a1", title="one view, knowledge transfer, a = 1", stages=transferred(PLAIN, mixing=1.0)),
    Row(name="one_a0", title="one view, knowledge transfer, a = 0", stages=transferred(PLAIN, mixing=0.0)),
    Row(
        name="one_family", title="one view, knowledge transfer from the family on",
        stages=transferred(PLAIN, above=("family", "genus")),
    ),
    Row(
        name="one_not_rare", title="one view, knowledge transfer without rare species",
        stages=transferred(PLAIN, rare=False),
    ),
)  # fmt: skip
"""The first table, the most important rows first."""

PROBE: Final = of(
    SAMPLE, "linear probe", probe=Probe(views=1, weight_decay=0.01, iterations=60), segments=(), reuse_frozen=False,
)  # fmt: skip
BEST: Final = of(
    PROBE, "head first, then the upper half", trainable=0.5, label_smoothing=0.1,
    segments=falling(epochs=8.0, rate=3e-4),
)  # fmt: skip
BEST_VIEWS: Final = of(
    BEST, "two views, head first, then the upper half", views=(1.0, MAGNIFIED), branches="pretrained", fusion="average",
)  # fmt: skip

FROZEN_HEADS: Final = {
    "linear": of(FROZEN, "linear head, penalty by cross-validation"),
    "cosine": of(FROZEN, "cosine head, penalty by cross-validation", head="cosine"),
    "prototype": of(FROZEN, "class means, shrunk towards relatives", head="prototype"),
}
FROZEN_VIEWS: Final = of(
    FROZEN, "linear head, two views", views=(1.0, MAGNIFIED), branches="pretrained", fusion="average",
)  # fmt: skip
MIRRORED: Final = (("test_time", "mirror"),)


def best(name: str, title: str, **changes: Any) -> Row:  # noqa: ANN401 (fields of a recipe)
    """Two views, the head first, then the upper half, with changes."""
    recipe = of(BEST_VIEWS, f"two views, {title}", **changes)
    return Row(name=name, title=recipe.name, stages=(Stage(network="multi_view", recipe=recipe),))


BEST_OF_ALL: Final = (
    Row(name="probe", title="linear probe on frozen features", stages=(Stage(network="baseline", recipe=PROBE),)),
    *(
        Row(name=f"frozen_{head}", title=recipe.name, stages=(Stage(network="baseline", recipe=recipe),))
        for head, recipe in FROZEN_HEADS.items()
    ),
    Row(
        name="frozen_two", title=FROZEN_VIEWS.name, stages=(Stage(network="multi_view", recipe=FROZEN_VIEWS),),
        options=MIRRORED,
    ),
    Row(name="best_one", title=BEST.name, stages=(Stage(network="baseline_matched", recipe=BEST),)),
    Row(name="best_two", title=BEST_VIEWS.name, stages=(Stage(network="multi_view", recipe=BEST_VIEWS),)),
    Row(
        name="best_mirror", title=f"{BEST_VIEWS.name}, mirror images averaged",
        stages=(Stage(network="multi_view", recipe=BEST_VIEWS),), options=MIRRORED,
    ),
    Row(
        name="best_transfer", title=f"{BEST_VIEWS.name}, knowledge transfer, a = 1",
        stages=transferred(BEST_VIEWS, mixing=1.0),
    ),
    best("best_ema", "average of the weights", ema=0.998),
    best("best_layers", "all layers, rates falling by layer", trainable=1.0, layer_decay=0.75),
    best("best_hierarchy", "loss at genus and family", hierarchy={"genus": 0.5, "family": 0.25}),
    best("best_prior", "logit adjustment, prior given back", logit_adjustment=1.0, restore_prior=True),
    best("best_root", "square-root sampling", sampling=0.5),
    best("best_mixed", "mixup and cutmix", mixup=0.2, cutmix=1.0),
    Row(
        name="frozen_lite2", title=f"EfficientNet-Lite2, {FROZEN_HEADS['linear'].name}", backbone=LITE2,
        image_size=LITE2_SIZE, stages=(Stage(network="baseline", recipe=FROZEN_HEADS["linear"]),),
    ),
    Row(
        name="best_lite2", title=f"EfficientNet-Lite2, {BEST_VIEWS.name}", backbone=LITE2, image_size=LITE2_SIZE,
        stages=(Stage(network="multi_view", recipe=BEST_VIEWS),),
    ),
)  # fmt: skip
"""The second table."""
