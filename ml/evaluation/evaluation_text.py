"""`evaluation.md`: the numbers of a trained network in words, for MLflow and a terminal. Text only."""

from collections.abc import Mapping, Sequence
from typing import Final

from ml.evaluation.metrics import Measured, Pair
from ml.spec import RANKS, SIZE_METRIC, size_title

SHOWN: Final = 20
"""Confused pairs that are listed; `confusions.parquet` has more."""


def evaluation_text(
    sides: Mapping[str, Sequence[Measured]], pairs: Sequence[Pair], *, names: Sequence[str], rank: str, title: str
) -> str:
    """The page of one training.

    Args:
        sides: Numbers of `validation` and `train`.
        pairs: The classes that are most often taken for each other on the validation side.
        names: Of the classes.
        rank: The classes' rank.
        title: What was trained.
    """
    found = {side: {one.name: one for one in rows} for side, rows in sides.items()}
    validation = found["validation"]
    top1 = validation["top1"]
    parts = [
        f"{title}: {_percent(top1.value)} of {top1.photos:,} validation photographs are given the right {rank}.",
        "## How often it is right",
        _table((f"share of photographs whose {rank} is right", "validation", "training"), _rows(found, rank)),
        _meanings(rank),
        "## What it confuses",
    ]
    if not pairs:
        return "\n\n".join([*parts, "No validation photograph was taken for another one."]) + "\n"
    rows = [
        (
            names[pair.class_id], names[pair.other_class_id], f"{pair.taken_for_other:,}",
            f"{pair.other_taken_for_it:,}", f"the {pair.rank}" if pair.rank else "nothing",
        )
        for pair in pairs[:SHOWN]
    ]  # fmt: skip
    heads = (rank, "confused with", "photographs taken for it", "the other way round", "they share")
    return "\n\n".join([*parts, _table(heads, rows)]) + "\n"


def _meanings(rank: str) -> str:
    return (
        f"Top-1: the most probable {rank} is the right one. Top-5: the right one is among the five most probable. Mean "
        f"over the {_plural(rank)}: top-1 of each {rank} first, so that rare ones count as much as common ones. "
        "Calibration error: how far the stated probability is from the share that is right, on average. The training "
        "column is of photographs that it learnt from: the distance between the columns is what it learnt by heart."
    )


def _rows(found: Mapping[str, Mapping[str, Measured]], rank: str) -> list[tuple[str, ...]]:
    titles = {"top1": "top-1", "top5": "top-5", "macro_top1": f"mean over the {_plural(rank)}"}
    titles |= {f"accuracy_{each}": f"its {each} is right" for each in RANKS if each != rank}
    sizes = [one for one in found["validation"].values() if one.metric == SIZE_METRIC]
    titles |= {one.name: f"top-1, {size_title(one.group)} training photographs of it" for one in sizes}
    titles["ece"] = "calibration error"
    return [
        (title, *(_percent(side[name].value) if name in side else "" for side in found.values()))
        for name, title in titles.items()
        if name in found["validation"]
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    lines.insert(1, f"|---|{'---:|' * (len(heads) - 1)}")
    return "\n".join(lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _plural(rank: str) -> str:
    return {"genus": "genera", "family": "families", "phylum": "phyla", "class": "classes", "species": "species"}.get(
        rank, f"{rank}s"
    )
