"""What `naturewatch prune` prints: what goes, by kind, and what stays."""

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.comparison.wording import counted
from pipeline.config.settings import Settings
from pipeline.retention.removals import Plan

WIDTH: Final = 100
"""Columns where there is no terminal."""
UNITS: Final = ("B", "kB", "MB", "GB", "TB")
OTHERS: Final = 48
"""Columns that the first three of the table take."""
KEPT: Final = 12
"""Lines about what stays."""


def show(plan: Plan, settings: Settings, *, console: Console, removing: bool) -> None:
    """Print what goes, by kind, and what stays, and why.

    Args:
        plan: What would be, or is, removed.
        settings: The configuration.
        console: Where to.
        removing: Whether this is no dry run.
    """
    root = settings.paths.data_root
    if plan.number:
        console.print(_going(plan, width=console.width, removing=removing))
    else:
        _say(console, f"Nothing goes: all in {root} is needed, or too young.")
    staying = _staying(plan)
    if staying.row_count:
        console.print(staying)
    for note in plan.notes:
        _say(console, note)
    _say(console, "The credits of every dataset version (datasets/) are kept for good: they are owed to others.")
    if plan.number:
        total = f"{counted(plan.number, 'item')}, {size(plan.bytes)}, in {root}"
        _say(console, f"Removing {total}:" if removing else f"{total} would go. Nothing was removed: --yes removes it.")


def size(number: int) -> str:
    """Bytes for people: `512 B`, `1.2 MB`, `340 GB`."""
    amount, unit = float(number), 0
    while amount >= 999.5 and unit < len(UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {UNITS[unit]}" if unit == 0 or amount >= 9.95 else f"{amount:.1f} {UNITS[unit]}"


def _going(plan: Plan, *, width: int, removing: bool) -> Table:
    table = _table("What is removed" if removing else "What would be removed")
    table.add_column("what", no_wrap=True)
    table.add_column("number", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("why, and the largest", ratio=1)
    for line in plan.lines(examples=3 if width >= WIDTH else 1):
        about = Text("; ".join(line.reasons))
        for example in line.examples:
            about.append(f"\n{_shortened(example, most=max(width - OTHERS, 20))}", style="dim")
        table.add_row(line.kind.value, f"{line.number:,}", size(line.bytes), about)
    return table


def _staying(plan: Plan) -> Table:
    table = _table("What stays of versions and raw downloads")
    table.add_column("what", no_wrap=True)
    table.add_column("why", ratio=1)
    for kept in plan.kept[:KEPT]:
        table.add_row(_shortened(kept.name, most=48), kept.reason)
    if len(plan.kept) > KEPT:
        table.add_row(f"and {len(plan.kept) - KEPT} more", "")
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _shortened(name: str, *, most: int) -> str:
    """A name without its middle, where it is long: both ends tell paths and hashes apart."""
    if len(name) <= most:
        return name
    head = most // 2
    return f"{name[:head]}\N{HORIZONTAL ELLIPSIS}{name[len(name) - (most - head - 1) :]}"


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=False)
