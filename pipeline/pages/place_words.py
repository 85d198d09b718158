"""The list of a place in words: what it is of, how complete it is, and what to say where nothing was recorded."""

import calendar
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.pages.place_circle import kilometres, written
from pipeline.pages.place_list import PlaceList

GROUP_RANKS: Final = ("class", "order", "family", "genus")
"""A list is grouped by the first of these of which it has several taxa."""
MONTH_NAMES: Final = tuple(calendar.month_name)[1:]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The species of one taxon in a list, the one with most records first."""

    name: str
    rank: str
    rows: list[dict[str, Any]]

    @property
    def records(self) -> int:
        """Records of its species, in the months that count."""
        return sum(row["records_in_season"] for row in self.rows)


def in_groups(rows: Sequence[dict[str, Any]]) -> list[Group]:
    """The species by class; where all are of one class, by order, and so on. The group with most records is first."""
    rank = next((rank for rank in GROUP_RANKS if len({row[rank] for row in rows}) > 1), "genus")
    grouped: dict[str | None, list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row[rank], []).append(row)
    groups = [Group(name=name or f"no {rank}", rank=rank, rows=found) for name, found in grouped.items()]
    return sorted(groups, key=lambda group: (-group.records, group.name))


def species_by(rank: str, rows: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    """How many species each taxon of a rank has, most first."""
    counts = Counter(row[rank] or f"no {rank}" for row in rows)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def season(months: Sequence[int]) -> str:
    """The months that count: `December, January and February`."""
    *others, last = (MONTH_NAMES[month - 1] for month in months)
    return f"{', '.join(others)} and {last}"


def months_said(counts: Sequence[int]) -> str:
    """Records of twelve months in words: `January 2, May 1`."""
    said = ", ".join(f"{name} {number:,}" for name, number in zip(MONTH_NAMES, counts, strict=True) if number)
    return said or "no month known"


def namable(row: Mapping[str, Any]) -> str:
    """Whether the model can name a species of a list, and else what is missing."""
    if row["named"]:
        return "yes"
    missing = row["photographs_missing"]
    if missing is None:
        return "not this version"
    return f"no: {missing:,} more photograph{'' if missing == 1 else 's'} needed"


def heading(found: PlaceList) -> str:
    """What the list is of."""
    place = written(found.circle.latitude, found.circle.longitude)
    months = f", in {season(found.months)}" if found.months else ""
    within = f" of {_taxa(found)}" if found.within else ""
    return f"Species{within} recorded within {kilometres(found.circle.radius_km)} of {place}{months}"


def about_completeness(found: PlaceList) -> str:
    """How many species were recorded, and how many more there are to record."""
    species, records = len(found.here), f"{found.records:,} record{'' if found.records == 1 else 's'}"
    text = f"{species:,} species in {records}."
    told = found.completeness
    if told is None:
        return text
    if told.estimated is None or told.unseen is None:
        return f"{text} Each was recorded once: far too little to tell how many there are."
    if not told.once:
        return f"{text} Each was recorded more than once: the list is about as complete as these records can make it."
    return (
        f"{text} {told.once:,} of the species were recorded once, which points to {told.estimated:,.0f} or more "
        f"that can be recorded here (Chao1); about {told.unseen:.0%} of further records would be of species not listed."
    ).replace("%", " %")


def about_nothing(found: PlaceList) -> str:
    """What to say of a place where nothing was recorded: how far the nearest record is, and where."""
    of = f" of {_taxa(found)}" if found.within else ""
    radius = kilometres(found.circle.radius_km)
    if found.other_months:
        return f"No record{of} within {radius} is of {season(found.months)}."
    if found.nearest is None:
        return f"No record{of} within {radius}, nor anywhere else among the records."
    return (
        f"No record{of} within {radius}. The nearest, of {found.nearest.species}, is "
        f"{kilometres(found.nearest.distance_km)} to the {found.nearest.direction}."
    )


def _taxa(found: PlaceList) -> str:
    """The taxa that the list is narrowed to, without those above them."""
    return " or ".join(taxon.rpartition(" > ")[2] for taxon in found.within)
