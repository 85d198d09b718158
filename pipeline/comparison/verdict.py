"""The comparison in one sentence: which network recognises the most species, and whether that is beyond chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml.spec import NetworkName
from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.wording import percent, points_between

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Which network is the best, in words."""

    winner: NetworkName
    """With the highest validation top-1, the mean over the seeds; the first in the pipeline on a tie."""
    sentence: str
    """Names it, and says of its lead over the second and over the baseline whether chance alone would explain it."""


def ranking(summary: Sequence[Row]) -> list[NetworkName]:
    """The networks by validation top-1, the best first; equals stay in the order of the pipeline.

    Args:
        summary: Rows of `measures.SUMMARY`.
    """
    top1 = {row["network"]: row["value"] for row in summary if row["quantity"] == "top1"}
    return sorted(NETWORKS, key=lambda name: -top1[name])


def rivals(order: Sequence[NetworkName]) -> list[tuple[NetworkName, NetworkName]]:
    """The pairs that the verdict is about: the best against the second, and against the baseline."""
    return [(order[0], other) for other in dict.fromkeys((order[1], "baseline")) if other != order[0]]


def beyond_chance(row: Row) -> bool:
    """Whether every 95 % interval of a difference, over photographs and where there is one over seeds, leaves out 0."""
    intervals = [(row["low"], row["high"]), (row["low_over_seeds"], row["high_over_seeds"])]
    return all(low > 0 or high < 0 for low, high in intervals if low is not None and high is not None)


def verdict(summary: Sequence[Row], differences: Sequence[Row]) -> Verdict:
    """Name the winner and judge its lead.

    Args:
        summary: Rows of `measures.SUMMARY`.
        differences: Rows of `measures.DIFFERENCES` that hold the pairs of `rivals`.
    """
    order = ranking(summary)
    found = {(row["network"], row["other"]): row for row in differences}
    leads = [found[pair] for pair in rivals(order)]
    top1 = next(row["value"] for row in summary if (row["network"], row["quantity"]) == (order[0], "top1"))
    photos, told = leads[0]["photos"], " and ".join(_lead(row) for row in leads)
    return Verdict(
        winner=order[0],
        sentence=(
            f"The best network is \u201c{NETWORKS[order[0]].title}\u201d: it recognises the species on {percent(top1)} "
            f"of the {photos:,} validation photographs, {told}."
        ),
    )


def _lead(row: Row) -> str:
    gained, other = 100 * row["difference"], f"\u201c{NETWORKS[row['other']].title}\u201d"
    more = "as many as" if round(gained, 1) == 0 else f"{gained:.1f} points more than"
    chance = "beyond chance" if beyond_chance(row) else "within chance"
    return f"{more} {other}, a difference {chance} ({points_between(row['low'], row['high'])})"
