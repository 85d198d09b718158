"""What the gate concluded of one metric, as a sentence with its interval."""

from collections.abc import Mapping
from typing import Any, Final

from ml.spec import Case
from pipeline.comparison.wording import counted, percent, plain_percent, points, points_between

TITLES: Final = {
    "top1": "top-1",
    "macro_top1": "mean top-1 of species",
    "depth": "mean depth of the answers",
    "promise": "right answers",
    "earlier_names": "top-1 by the names of before",
    "group": "top-1",
}
"""The metrics of the gate for people."""


TOLD: Final = {"neither": "", "place": "told the place: ", "place_and_date": "told place and date: "}
"""What the versions were told beside the photographs, as the beginning of a title."""


def title_of(kind: str, group: str, *, target: float, case: Case = "neither") -> str:
    """A metric in words: `top-1`, `right answers (target 90 %)`, `Aves: top-1`, `told the place: top-1`."""
    if kind == "group":
        return f"{group}: {TITLES[kind]}"
    at = f" (target {plain_percent(target)})" if kind in {"depth", "promise"} else ""
    return f"{TOLD[case]}{TITLES[kind]}{at}"


def number(kind: str, value: float | None) -> str:
    """`72.1 %`; a depth as `5.93`; `not measured`."""
    if value is None:
        return "not measured"
    return f"{value:.2f}" if kind == "depth" else percent(value)


def change(kind: str, value: float | None) -> str:
    """`-1.9 points`, `-0.09 ranks`."""
    if value is None:
        return "not measured"
    return f"{value:+.2f} ranks" if kind == "depth" else f"{points(value)} points"


def interval(kind: str, low: float | None, high: float | None) -> str:
    """`-3.0 to -0.8`; empty where there is none."""
    if low is None or high is None:
        return ""
    return f"{low:+.2f} to {high:+.2f}" if kind == "depth" else points_between(low, high)


def allowed(kind: str, least: float) -> str:
    """What a change may be: `at most 1.0 may be lost`."""
    size = f"{abs(least):.2f}" if kind == "depth" else f"{100 * abs(least):.1f}"
    if least > 0:
        return f"at least {size} must be gained"
    return f"at most {size} may be lost" if least < 0 else "nothing may be lost"


def judged(numbers: Mapping[str, Any], *, other: str | None, target: float) -> str:
    """A verdict in words.

    Args:
        numbers: The fields of `pipeline.exam.decision.Verdict`.
        other: Number of the other version; None where there is none.
        target: The accuracy that was asked for.
    """
    kind, threshold, least = numbers["metric"], numbers["threshold"], numbers["min_absolute_change"]
    value = numbers["challenger"]
    said = f"{title_of(kind, numbers['title'], target=target, case=numbers['case'])} {number(kind, value)}"
    photographs = counted(numbers["photos"], "photograph")
    if other is None:
        said += f" ({photographs})"
    else:
        said += f" against {number(kind, numbers['other'])} of version {other}: {change(kind, numbers['change'])}"
        ends = interval(kind, numbers["low"], numbers["high"])
        said += f" (95 % interval {ends}, {photographs})" if ends else f" ({photographs})"
        if least is not None:
            said += f", and {allowed(kind, least)}"
            if kind == "group" and numbers["passed"] and numbers["change"] < least:
                said += " unless chance explains it, as here"
    if threshold is not None:
        said += f", and at least {number(kind, threshold)} is wanted"
    return said


def nothing_in_common(one: str, other: str) -> str:
    """Why two versions cannot be compared."""
    return f"version {one} and version {other} have answered no photograph of the exam of a species that both know"
