"""What the prior of place and season did to an answer, or why it did nothing: plain values and one sentence."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from ml.places.sites import Case, Sites
from ml.serving.cases import Placed
from ml.serving.explanation import apart, percent

KIND: Final = "place"
"""Of the warnings that a place changed nothing."""
Entry = Mapping[str, Any]

NAMES: Final[Mapping[Case, str]] = {"place": "place", "place_and_date": "place and season"}
UNKNOWING: Final = "this version knows no places: what was said about the place changed nothing"


def place_effect(
    sites: Sites | None, placed: Placed, row: int, *, alone: Entry, changed: bool, leaves: tuple[int, int],
    best: Sequence[Entry], cases: Sequence[Case],
) -> dict[str, Any]:  # fmt: skip
    """The field `prior` of an answer.

    Args:
        sites: Where and when the photographs were taken; None: nothing was said.
        placed: What the version makes of that.
        row: Which photograph.
        alone: What it alone would have been answered: `taxon`, `rank`, `probability` and `common_name`.
        changed: Whether another taxon is answered.
        leaves: The first class of the answer, and the one after its last; two equal numbers where there is none.
        best: The most probable species, and that of the photograph alone: `name`, `taxon_key`, `probability`,
            `probability_alone`.
        cases: The cases that the version was calibrated for.

    Returns:
        See `ml.serving.answering.Answering.answers`.
    """
    case, look = placed.case(row), placed.look
    given = sites is not None and bool(sites.placed[row])
    nearest = None if look is None or not given else float(look.nearest_km[row])
    dated = sites is not None and not np.isnan(sites.day[row])
    used = case != "neither"
    occurrences = 0
    if used and look is not None:
        near = look.classes[row]
        occurrences = int(look.counts[row][(near >= leaves[0]) & (near < leaves[1])].sum())
    return {
        "case": case,
        "used": used,
        "place": [float(sites.latitude[row]), float(sites.longitude[row])] if sites is not None and given else None,
        "day": int(sites.day[row]) if sites is not None and dated else None,
        "nearest_km": nearest,
        "text": _did(case, alone, changed=changed, best=best) if used else _nothing(nearest, dated=dated, cases=cases),
        "alone": {name: alone[name] for name in ("taxon", "rank", "probability", "common_name")},
        "changed": changed,
        "occurrences": occurrences,
    }


def no_effect(prior: Entry | None, sites: Sites | None, row: int) -> str | None:
    """What to warn of where a place was given that changed nothing; None where it changed something, or none was given.

    Args:
        prior: The field `prior` of the answer.
        sites: As above.
        row: Which photograph.
    """
    if sites is None:
        return None
    if prior is None:
        return UNKNOWING if sites.placed[row] or not np.isnan(sites.day[row]) else None
    said = bool(sites.placed[row]) and not prior["used"]
    return str(prior["text"]) if said else None


def _did(case: Case, alone: Entry, *, changed: bool, best: Sequence[Entry]) -> str:
    """What place, or place and season, did: to the most probable species, and to the answer."""
    (first, before), one = best, case == "place"
    if first != before:
        effect = f"raised {first['name']} ({_moved(first)}) above {before['name']} ({_moved(before)})"
    else:
        side = "for" if first["probability"] >= first["probability_alone"] else "against"
        effect = f"{'speaks' if one else 'speak'} {side} {first['name']} ({_moved(first)})"
    if not changed:
        return f"{NAMES[case]} {effect}; the answer is the same without {'it' if one else 'them'}"
    answered = f"said {alone['rank']} {alone['taxon']} ({percent(alone['probability'])})"
    return f"{NAMES[case]} {effect}; the photograph alone {'named nothing' if alone['rank'] == 'root' else answered}"


def _moved(species: Entry) -> str:
    before, after = apart(species["probability_alone"], species["probability"])
    return f"from {before} to {after}" if before != after else f"{after} as before"


def _nothing(nearest: float | None, *, dated: bool, cases: Sequence[Case]) -> str:
    if "place" not in cases and "place_and_date" not in cases:
        return "too few photographs of this version's calibration had a place: places change nothing"
    if nearest is not None:
        return f"the place changed nothing: it is {nearest:,.0f} km from the nearest occurrence that this version knows"
    if dated:
        return "a date without a place changes nothing: seasons differ from place to place"
    return "no place was given"
