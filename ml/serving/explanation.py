"""Why an answer is what it is, in plain sentences: where it stops, and what to be wary of. Imports nothing heavy.

An answer at a threshold t is the deepest entry of its `path` whose score is at least t, both rounded to 12 decimals.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

UNLIKE: Final = 0.05
"""Share of known species' photographs that are told to be unlike them."""
SMALL: Final = 0.1
"""Of the probability: where less lies within the taxa that a photograph is said to be in, the network contradicts."""
FINEST: Final = 6
"""Decimals of a percentage, at most."""

Reason = Literal["species", "threshold", "unsure"]
Entry = dict[str, Any]


def percent(value: float, *, decimals: int = 0) -> str:
    """A probability as a percentage; what is not certain is never shown as 0 % or 100 %."""
    least = 10.0**-decimals
    shown = f"{100 * value:.{decimals}f}"
    if value < 1 and float(shown) >= 100:
        shown = f">{100 - least:.{decimals}f}"
    elif value > 0 and float(shown) <= 0:
        shown = f"<{least:.{decimals}f}"
    return f"{shown} %"


def small_percent(value: float) -> str:
    """A probability that may be small and still matter, to two digits: `0.37 %`, `2.5 %`, `94 %`."""
    if value >= 0.1 or value == 0:
        return percent(value)
    if value >= 0.01:
        return percent(value, decimals=1)
    return percent(value, decimals=3) if value < 1e-5 else f"{100 * value:.2g} %"


def apart(first: float, second: float) -> tuple[str, str]:
    """Two probabilities as percentages, with as many decimals as tell them apart."""
    for decimals in range(FINEST):
        shown = percent(first, decimals=decimals), percent(second, decimals=decimals)
        if shown[0] != shown[1]:
            return shown
    return percent(first, decimals=FINEST), percent(second, decimals=FINEST)


def stop(path: Sequence[Entry], depth: int, *, leaf: bool, threshold: float, rule: str) -> dict[str, Any]:
    """Where an answer stops, and why.

    Args:
        path: The candidates of depth 1, 2, ...
        depth: Of the answer; 0 for the root.
        leaf: Whether the answer is a species, below which nothing is.
        threshold: What the scores were compared with.
        rule: Whose scores they are.

    Returns:
        `reason`: `species`, `threshold`, or `unsure` where nothing is answered; `next`: the entry of `path` that would
        have followed, or None; `text`: one sentence.
    """
    if leaf:
        here = path[depth - 1]
        text = f"reaches the {here['rank']}: {_has(here, threshold, rule=rule)}"
        return {"reason": "species", "next": None, "text": text}
    following = path[depth]
    if depth == 0:
        text = f"names nothing: the {following['rank']} {_has(following, threshold, rule=rule)}"
        return {"reason": "unsure", "next": following, "text": text}
    here = path[depth - 1]["rank"]
    # Below one half the most probable taxon of the next depth need not be one of those below the answer.
    other = "" if following["follows"] else f"the {following['rank']}, of another {here}, "
    text = f"stops at the {here}: {other}{_has(following, threshold, rule=rule)}"
    return {"reason": "threshold", "next": following, "text": text}


def _has(entry: Entry, threshold: float, *, rule: str) -> str:
    if rule == "threshold":
        found, asked = apart(entry["probability"], threshold)
        return f"{entry['name']} has {found}, and {asked} {'is' if asked == '1 %' else 'are'} asked for"
    if entry["score"] < 0:
        return f"{entry['name']} is preferred by the {rule} rule at no setting"
    return f"{entry['name']} scores {entry['score']:.4g} by the {rule} rule, and {threshold:.4g} is asked for"


def outside(within: Sequence[str], inside: float, instead: str | None, probability: float) -> str:
    """That the network contradicts what is known, or said to be known.

    Args:
        within: The taxa, one of which is said to hold the photograph.
        inside: Calibrated probability of all of them.
        instead: What would have been answered without them; None: nothing.
        probability: Of that.
    """
    said = "would have named nothing" if instead is None else f"would have said {instead} ({percent(probability)})"
    return (
        f"the network contradicts that this lies within {' or '.join(within)}: it gives {percent(inside)} to that, and "
        f"{said}"
    )


def unlike(novelty: Mapping[str, Any]) -> str | None:
    """That a photograph looks less like any known species than nearly all photographs of these do, where it does."""
    if novelty["known"] > UNLIKE:
        return None
    found = "" if novelty["novel"] is None else f" and {percent(novelty['novel'])} of those of unknown genera"
    return (
        f"maybe a species that the model does not know: only {small_percent(novelty['known'])} of photographs of "
        f"known species{found} look so unlike them"
    )


def alarm(watched: Mapping[str, Any]) -> str:
    """That a watched taxon is probable enough to be looked at."""
    guess = ", which was not calibrated" if watched["basis"] == "asked" else ""
    return (
        f"ALARM, watched: {watched['lineage']} has {small_percent(watched['probability'])} "
        f"(alarm from {small_percent(watched['threshold'])}{guess})"
    )


def warnings(
    watched: Sequence[Mapping[str, Any]], contradiction: str | None, novelty: Mapping[str, Any] | None, *,
    nowhere: str | None = None,
) -> list[dict[str, str]]:  # fmt: skip
    """What must not be overlooked, each with its `kind` and `text`.

    Alarms, a contradiction, a place that changed nothing (`nowhere`), a strange photograph.
    """
    found = [{"kind": "watch", "text": alarm(taxon)} for taxon in watched if taxon["alarm"]]
    if contradiction is not None:
        found.append({"kind": "within", "text": contradiction})
    if nowhere is not None:
        found.append({"kind": "place", "text": nowhere})
    strange = None if novelty is None else unlike(novelty)
    if strange is not None:
        found.append({"kind": "novelty", "text": strange})
    return found
