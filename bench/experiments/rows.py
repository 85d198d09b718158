"""What the experiments train: each row a chain of stages, each stage a recipe. Data only.

Every fine-tuned row sees the same photographs of a seed and takes the same number of gradient steps.
"""

from dataclasses import dataclass
from typing import Any, Final

from ml.spec import MAGNIFIED, NetworkName, Rank
from ml.training.recipes import SAMPLE, Probe, Recipe, Segment

IMAGE_SIZE: Final = 128
EPOCHS: Final = 3.0
"""Passes over the training photographs that each fine-tuned row takes, all its stages together."""
GENUS_EPOCHS: Final = 1.0
"""Of these, at the genus level: the paper's share, 1.5 of 4.5."""


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
    """One line of the table."""

    name: str
    title: str
    stages: tuple[Stage, ...]


def of(recipe: Recipe, name: str, **changes: Any) -> Recipe:  # noqa: ANN401 (fields of a recipe)
    """`recipe` under another name, with changes."""
    return Recipe.model_validate(recipe.model_dump() | {"name": name} | changes)


def falling(*, epochs: float, rate: float = 3e-4) -> tuple[Segment, ...]:
    """A rate that falls along a half cosine."""
    return (Segment(epochs=epochs, rate=rate, cosine=True),)


MATCHED: Final = of(
    SAMPLE,
    "baseline_matched",
    trainable=0.5,
    reuse_frozen=False,
    probe=Probe(views=1, weight_decay=0.01, iterations=60),
    segments=falling(epochs=EPOCHS),
)
"""One view, by the sample's recipe with more of the backbone trained; the head is fitted first."""
BASELINE: Final = of(MATCHED, "baseline", segments=falling(epochs=EPOCHS, rate=1e-4))
"""One view at a lower rate than the others have, as in the paper."""
RANDOM: Final = of(
    MATCHED, "multi_view, random", views=(1.0, MAGNIFIED), split_after="blocks.2", merge_after="blocks.6",
    fusion="identity",
)  # fmt: skip
"""The crop branch starts at random, as in the paper. The whole view is passed on at first: the head is fitted on its
features, and what a random branch adds to them, by statistics that it has not gathered yet, would be noise."""
PRETRAINED: Final = of(RANDOM, "multi_view, pretrained", branches="pretrained", fusion="average")


def transferred(
    recipe: Recipe,
    *,
    mixing: float = 0.5,
    rare: bool = True,
    above: tuple[Rank, ...] = ("genus",),
    epochs: float = GENUS_EPOCHS,
) -> tuple[Stage, ...]:
    """The stages of knowledge transfer that end in `recipe`'s network, within the same number of steps.

    Args:
        recipe: How the network is trained without transfer.
        mixing: The paper's a.
        rare: Whether rare species' photographs are learnt at the higher ranks.
        above: The ranks that are learnt before species, from the highest down.
        epochs: Passes at each of them; none fits their heads alone.
    """
    stages = [
        Stage(
            network="genus_stage",
            recipe=of(
                recipe, f"{recipe.name}, {rank}", rank=rank, segments=falling(epochs=epochs) if epochs else (),
            ),
            mixing=mixing,
            rare=rare,
        )
        for rank in above
    ]  # fmt: skip
    last = of(recipe, f"{recipe.name}, species", segments=falling(epochs=EPOCHS - epochs * len(above)))
    return (*stages, Stage(network="knowledge_transfer", recipe=last, mixing=mixing))


ROWS: Final = (
    Row(
        name="probe", title="linear probe on frozen features",
        stages=(Stage(network="baseline", recipe=of(BASELINE, "probe", segments=())),),
    ),
    Row(
        name="probe_views", title="linear probe, two views joined by averaging",
        stages=(Stage(network="multi_view", recipe=of(PRETRAINED, "probe, two views", segments=())),),
    ),
    Row(
        name="fine_tuning", title="plain fine-tuning, all layers",
        stages=(
            Stage(
                network="baseline",
                recipe=of(
                    BASELINE, "fine_tuning", probe=None, trainable=1.0, batch_norm_frozen=False,
                    segments=falling(epochs=EPOCHS, rate=1e-3), label_smoothing=0.0,
                ),
            ),
        ),
    ),
    Row(name="baseline", title="baseline", stages=(Stage(network="baseline", recipe=BASELINE),)),
    Row(
        name="baseline_matched", title="baseline_matched",
        stages=(Stage(network="baseline_matched", recipe=MATCHED),),
    ),
    Row(
        name="views_random", title="multi_view, crop branch random",
        stages=(Stage(network="multi_view", recipe=RANDOM),),
    ),
    Row(
        name="views_pretrained", title="multi_view, crop branch pretrained",
        stages=(Stage(network="multi_view", recipe=PRETRAINED),),
    ),
    Row(
        name="transfer_random", title="knowledge_transfer, crop branch random",
        stages=transferred(RANDOM),
    ),
    Row(
        name="transfer_pretrained", title="knowledge_transfer, crop branch pretrained",
        stages=transferred(PRETRAINED),
    ),
    Row(
        name="transfer_heads", title="knowledge_transfer, crop branch pretrained, of the genus head alone, a = 1",
        stages=transferred(PRETRAINED, mixing=1.0, epochs=0.0),
    ),
)  # fmt: skip
"""The table."""

JOINED_AT_RANDOM: Final = of(RANDOM, "multi_view, joined at random", fusion="random")
"""The fusion, too, starts at random, as in the paper."""

REMEDIES: Final = (
    Row(name="transfer", title="knowledge transfer, a = 0.5", stages=transferred(MATCHED)),
    Row(name="mixing_1", title="knowledge transfer, a = 1", stages=transferred(MATCHED, mixing=1.0)),
    Row(
        name="from_family", title="knowledge transfer from the family on",
        stages=transferred(MATCHED, above=("family", "genus"), epochs=0.5),
    ),
    Row(name="not_rare", title="knowledge transfer without rare species", stages=transferred(MATCHED, rare=False)),
    Row(
        name="heads", title="knowledge transfer of the genus head alone, a = 1",
        stages=transferred(MATCHED, mixing=1.0, epochs=0.0),
    ),
    Row(
        name="regularised", title="weight decay 0.1, dropout 0.5",
        stages=(
            Stage(
                network="baseline_matched",
                recipe=of(MATCHED, "regularised", weight_decay=0.1, dropout=0.5),
            ),
        ),
    ),
    Row(
        name="joined_at_random", title="two views, crop branch and fusion random",
        stages=(Stage(network="multi_view", recipe=JOINED_AT_RANDOM),),
    ),
)  # fmt: skip
"""What was tried to make transfer pay, and against learning by heart; with one view, which is cheaper."""
