"""What place and season add to a network, from its `place_accuracy.parquet`: tables and sentences for people."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow.parquet as pq

from ml.spec import CASE_TITLES, CalibrateResult, NetworkName
from pipeline.comparison.comparison_tables import Cell, Shown
from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.wording import between, percent, plain_percent, points, points_between

Row = dict[str, Any]

FAR: Final = 50.0
"""Kilometres within which records are left out to see how local the gain is."""
FEW: Final = 30
"""A sentence names no group with fewer photographs."""


def place_rows(calibration: CalibrateResult) -> list[Row]:
    """The rows of `place_accuracy.parquet`; none where the network knows no places."""
    if calibration.place_accuracy is None:
        return []
    rows: list[Row] = pq.read_table(calibration.place_accuracy).to_pylist()
    return rows


def cases(rows: Sequence[Row]) -> list[Row]:
    """What each case is worth on all photographs, the least known first."""
    return [row for row in rows if row["grouping"] == "all"]


def left_out(rows: Sequence[Row], *, km: float = FAR) -> Row | None:
    """The case that knows the most, with records within `km` left out."""
    found = [
        row for row in rows if row["grouping"] == "left_out" and row["left_out_km"] == km and row["gain"] is not None
    ]
    return found[-1] if found else None


def placed_networks(found: Mapping[NetworkName, Sequence[Row]], *, target: float) -> Shown:
    """The three cases of each network that knows places."""
    rows = [
        [Cell(NETWORKS[name].title), *cells]
        for name, table in found.items()
        for cells in _cells(cases(table))
    ]  # fmt: skip
    heads = ("network", "known", "top-1", "points", "right", "mean depth")
    caption = f"Answers by what is known of a photograph, when {plain_percent(target)} should be right"
    return Shown("Place and season", caption, heads, rows, words=2)


def placed(rows: Sequence[Row], *, target: float) -> Shown:
    """The three cases of one network."""
    heads = ("known", "top-1", "points", "right", "mean depth")
    caption = f"Answers by what is known of a photograph, when {plain_percent(target)} should be right"
    return Shown("Place and season", caption, heads, _cells(cases(rows)))


def gain_sentence(rows: Sequence[Row]) -> str:
    """What a place adds, and a date."""
    alone, *known = cases(rows)
    told = [
        f"{percent(row['top1'])} {CASE_TITLES[row['case']]} ({points(row['gain'])} points, 95 % interval "
        f"{points_between(row['gain_low'], row['gain_high'])})"
        for row in known
    ]
    return (
        f"Of {alone['photos']:,} photographs that chose nothing, the most probable species is right for "
        f"{percent(alone['top1'])} by the photograph alone, for {', and for '.join(told)}."
    )


def local_sentence(rows: Sequence[Row]) -> str:
    """How local the gain is: the curve of records left out, in one sentence."""
    far, near = left_out(rows), left_out(rows, km=0.0)
    if far is None or near is None:
        return ""
    spread = points_between(far["gain_low"], far["gain_high"])
    told = (
        f"With all records within {far['left_out_km']:g} km of each photograph left out, {points(far['gain'])} points "
        f"({spread}) remain of {points(near['gain'])}"
    )
    if near["gain_low"] <= 0:
        return f"{told}; what it adds is within chance here."
    if far["gain_low"] <= 0:
        return f"{told}: the gain comes from records nearby, and where there are none it may be nothing."
    if far["gain"] >= 0.8 * near["gain"]:
        return f"{told}: the gain comes from where and when species live, not from records of the same spot."
    return f"{told}: part of the gain comes from records of the same spot, the rest from the region."


def group_sentence(rows: Sequence[Row]) -> str:
    """Where a place adds the most and the least among classes and countries; empty where there are no two."""
    most = cases(rows)[-1]["case"]
    told = []
    for grouping, what in (("class", "classes"), ("region", "countries")):
        own = [row for row in rows if (row["grouping"], row["case"]) == (grouping, most) and row["photos"] >= FEW]
        if len(own) > 1:
            own.sort(key=lambda row: float(row["gain"]))
            told.append(f"Among {what} it adds most to {_group(own[-1])} and least to {_group(own[0])}.")
    return " ".join(told)


def _group(row: Row) -> str:
    """A group with its gain."""
    return f"{row['group']} ({points(row['gain'])} points, {points_between(row['gain_low'], row['gain_high'])})"


def _cells(rows: Sequence[Row]) -> list[list[Cell]]:
    return [
        [
            Cell(CASE_TITLES[row["case"]]),
            Cell(percent(row["top1"]), between(row["top1_low"], row["top1_high"])),
            Cell("") if row["gain"] is None
            else Cell(points(row["gain"]), points_between(row["gain_low"], row["gain_high"])),
            Cell(percent(row["accuracy"]), between(row["accuracy_low"], row["accuracy_high"])),
            Cell(f"{row['depth']:.2f}"),
        ]
        for row in rows
    ]  # fmt: skip
