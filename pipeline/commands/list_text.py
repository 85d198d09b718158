"""What `naturewatch list` prints: the species of a place in groups of taxa, with their seasons in twelve letters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.comparison.wording import counted
from pipeline.pages.place_list import PlaceList
from pipeline.pages.place_words import about_completeness, about_nothing, heading, in_groups, season

BLOCKS: Final = "▁▂▃▄▅▆▇█"
NONE: Final = "·"
"""A month without a record."""
MONTHS: Final = "JFMAMJJASOND"
INDENT: Final = "  "
PERHAPS: Final = "~"
"""All records of a species may lie outside the radius."""


def show(found: PlaceList, *, console: Console, top: int, model: str, cite: str) -> None:
    """Print the list.

    Args:
        found: The list.
        console: Where to.
        top: Species of each part of the list at most.
        model: Which species are marked as those that the model can name, in a sentence.
        cite: Where the records are from, in a sentence.
    """
    console.print(Text(heading(found), style="bold"))
    for line in _facts(found):
        _say(console, line)
    if found.here:
        console.print()
        console.print(_grouped(found.here, top=top))
        _tell_more(console, found.here, top)
    if found.other_months:
        console.print(Text(f"\nIn other months than {season(found.months)}", style="bold"))
        console.print(_listed(found.other_months[:top], "records"))
        _tell_more(console, found.other_months, top)
    if found.near:
        console.print(Text(f"\nNear by only, within {found.near_km:g} km", style="bold"))
        console.print(_listed(found.near[:top], "nearest"))
        _tell_more(console, found.near, top)
    console.print()
    for line in (*_legend((*found.here, *found.other_months, *found.near)), model, cite):
        _say(console, line)


def bars(months: Sequence[int]) -> str:
    """Records of twelve months as blocks; the month with most has the highest, one without any a dot."""
    most = max(months, default=0)
    return "".join(BLOCKS[round(number / most * (len(BLOCKS) - 1))] if number else NONE for number in months)


def _facts(found: PlaceList) -> Iterator[str]:
    if found.here:
        yield about_completeness(found)
        dated = f", {found.undated:,} of no known month" if found.undated else ""
        yield f"All records here by month, January first: {bars(found.by_month)}{dated}."
        yield "Records say where people went and what they photographed, not how common a species is."
    else:
        yield about_nothing(found)


def _grouped(rows: Sequence[dict[str, Any]], *, top: int) -> Table:
    """The species in groups, each with its numbers; of a long list the species with most records."""
    shown = {id(row) for row in rows[:top]}
    table = _table("records", "share", "model")
    for group in in_groups(rows):
        number = counted(len(group.rows), "species", "species")
        kept = [row for row in group.rows if id(row) in shown]
        table.add_row(Text.assemble((group.name, "bold"), f"  {number}"), f"{group.records:,}", end_section=not kept)
        for row in kept:
            share = f"{row['share']:.1%}".replace("%", " %")
            table.add_row(_name(row), _records(row), share, bars(row["months"]), _named(row),
                          end_section=row is kept[-1])  # fmt: skip
    return table


def _listed(rows: Sequence[Mapping[str, Any]], number: str) -> Table:
    """Species without groups, with their records or with how far the nearest one is."""
    table = _table(number, "model")
    for row in rows:
        told = _records(row) if number == "records" else f"{row['nearest_km']:,.0f} km"
        table.add_row(_name(row), told, bars(row["months"]), _named(row))
    return table


def _table(*columns: str) -> Table:
    """A table that begins with the species and ends with the months and what the model makes of the species."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("species", ratio=1, overflow="fold")
    for column in columns[:-1]:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(MONTHS, no_wrap=True)
    table.add_column(columns[-1], no_wrap=True)
    return table


def _name(row: Mapping[str, Any]) -> Text:
    name = Text.assemble(INDENT, (row["species"], "italic"))
    return name.append(f"  {row['common_name']}") if row["common_name"] else name


def _records(row: Mapping[str, Any]) -> str:
    mark = PERHAPS if row["perhaps_outside"] == row["records"] else ""
    return f"{mark}{row['records_in_season'] or row['records']:,}"


def _named(row: Mapping[str, Any]) -> str:
    """Whether the model can name a species, and else what is missing."""
    missing = row["photographs_missing"]
    return "yes" if row["named"] else "no" if missing is None else f"no, lacks {missing:,}"


def _legend(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the signs of the tables mean, as far as there are any."""
    if any(_records(row).startswith(PERHAPS) for row in rows):
        yield f"{PERHAPS} perhaps outside: the places of these records are obscured, or not exact enough to tell."
    if any(not row["named"] and row["photographs_missing"] for row in rows):
        yield "lacks 3: the model cannot name the species, since so many photographs are missing to learn it."


def _tell_more(console: Console, rows: Sequence[object], top: int) -> None:
    if len(rows) > top:
        all_of = f"--top {len(rows)} lists all, --output FILE.csv writes all"
        _say(console, f"and {len(rows) - top:,} more species: {all_of}")


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False)
