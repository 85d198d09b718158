"""The tables of the comparison for people, without markup: `comparison_text` and `comparison_page` write them out."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pipeline.comparison.networks import CONTRASTS, NETWORKS
from pipeline.comparison.wording import between, percent, plain_percent, points, points_between

Row = dict[str, Any]


class Cell(NamedTuple):
    """A number in words, with its interval where it has one."""

    value: str
    interval: str = ""


class Shown(NamedTuple):
    """A table with a text that says what is in it."""

    title: str
    """Heads the section."""
    caption: str
    """What the rows are."""
    heads: tuple[str, ...]
    rows: list[list[Cell]]
    """Cells by row; the first of each names the row."""
    words: int = 1
    """Columns of words, from the left; the others are numbers."""


RECOGNISED: Final = {
    "top1": "validation top-1", "train_top1": "training top-1", "gap": "gap", "top5": "top-5",
    "macro_top1": "mean over species",
}  # fmt: skip
"""Quantities of `measures.SUMMARY` in the first part of Table 1, with their heads."""

HELP: Final = (
    ("top-1", "the share of photographs whose most probable species is the right one"),
    ("top-5", "the share whose right species is among the five most probable"),
    ("gap", "how much better the network does on the photographs that it learnt from: what it has learnt by heart"),
    ("mean over species", "top-1 of each species first, then the mean: rare species count as much as common ones"),
    ("right", "the share of answers that name the right species, or a higher taxon that it belongs to"),
    ("mean depth", "how precise the answers are: kingdom 1, phylum 2 ... species 7; no answer counts as 0"),
    ("points", "percentage points"),
)
"""What the heads mean."""


def recognised(summary: Sequence[Row]) -> Shown:
    """The first part of Table 1: how often each network recognises the species."""
    found = _by_network(summary)
    rows = [
        [Cell(network.title), *(_percent(found[name, quantity]) for quantity in RECOGNISED)]
        for name, network in NETWORKS.items()
    ]
    caption = "Table 1, first part: the right species, as a share of photographs"
    return Shown("How often the species is recognised", caption, ("network", *RECOGNISED.values()), rows)


def controlled(summary: Sequence[Row], *, target: float) -> Shown:
    """The second part of Table 1: accuracy and depth of the answers at the target."""
    found = _by_network(summary)
    rows = []
    for name, network in NETWORKS.items():
        right, depth = found[name, "specificity_accuracy"], found[name, "specificity_depth"]
        span = "" if depth["low"] is None else f"{depth['low']:.2f} to {depth['high']:.2f}"
        unanswered = percent(found[name, "abstention"]["value"])
        rows.append([Cell(network.title), _percent(right), Cell(f"{depth['value']:.2f}", span), Cell(unanswered)])
    heads = ("network", "right", "mean depth", "no answer")
    caption = "Table 1, second part: answers for the half that did not choose the threshold"
    return Shown(f"What it answers when {plain_percent(target)} should be right", caption, heads, rows)


def changed(differences: Sequence[Row]) -> Shown:
    """What each change of the method brings: the contrasts, and the photographs that only one network gets right."""
    found = {(row["network"], row["other"]): row for row in differences}
    rows = []
    for one, other in CONTRASTS:
        row = found[one, other]
        over_seeds = points_between(row["low_over_seeds"], row["high_over_seeds"])
        rows.append(
            [
                Cell(NETWORKS[one].title), Cell(NETWORKS[other].title),
                Cell(points(row["difference"]), points_between(row["low"], row["high"])), Cell(over_seeds),
                Cell(percent(row["gained"])), Cell(percent(row["lost"])),
            ]
        )  # fmt: skip
    heads = ["network", "instead of", "points", "over seeds", "gained", "lost"]
    if not any(row[3].value for row in rows):
        del heads[3]
        rows = [row[:3] + row[4:] for row in rows]
    caption = "Differences of validation top-1, in percentage points"
    return Shown("What each change brings", caption, tuple(heads), rows, words=2)


def printed() -> Shown:
    """What the paper's own Table 1 says of its three networks."""
    rows = []
    for network in NETWORKS.values():
        if paper := network.paper:
            shares = [
                Cell(percent(paper[name])) if name in paper else Cell("") for name in ("top1", "train_top1", "gap")
            ]
            accuracy, depth = percent(paper["specificity_accuracy"]), f"{paper['specificity_depth']:.2f}"
            rows.append([Cell(network.title), *shares, Cell(accuracy), Cell(depth)])
    heads = ("network", "validation top-1", "training top-1", "gap", "right", "mean depth")
    return Shown("What the paper reports", "The paper's Table 1", heads, rows)


def _by_network(summary: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row["network"], row["quantity"]): row for row in summary}


def _percent(row: Row) -> Cell:
    return Cell(percent(row["value"]), between(row["low"], row["high"]))
