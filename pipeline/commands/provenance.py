"""`naturewatch provenance`: says what a model version was made from, and rebuilds its dataset to prove it."""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.config.settings import Settings
    from pipeline.provenance.account import Account

WIDTH: Final = 100
"""Columns where there is no terminal."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "version", help="number of a version, `previous` for the one that the champion replaced, or an alias"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, with every value; null is unknown")
    parser.add_argument(
        "--rebuild", metavar="FOLDER", type=Path, help="build its dataset again in FOLDER, and compare the two"
    )


def run(settings: "Settings", options: argparse.Namespace) -> int:
    """Print the provenance of a version, or rebuild its dataset.

    Raises:
        RegistryError: there is no such version, or it does not say on which dataset it was trained.
        TableError: a record of the version is damaged.
        ConfigurationError: the folder for the rebuilt dataset is not empty.
        RunError: the rebuild did not come to its end.
    """
    from pipeline.provenance.account import account  # noqa: PLC0415 (loads MLflow)
    from pipeline.provenance.versions import model_version  # noqa: PLC0415
    from pipeline.tracking.runs import client  # noqa: PLC0415

    version = model_version(settings, options.version)
    with TemporaryDirectory(prefix="naturewatch-") as scratch:
        found = account(settings, client(settings), version, scratch=Path(scratch))
        if options.rebuild is not None:
            return _rebuild(settings, found, folder=options.rebuild.absolute(), as_json=options.json)
    if options.json:
        print(json.dumps(found.json(), indent=2, ensure_ascii=False))
        return 0
    from rich.console import Console  # noqa: PLC0415

    show(found, Console(highlight=False) if sys.stdout.isatty() else Console(width=WIDTH, highlight=False))
    return 0


def show(account: "Account", console: "Console") -> None:
    """Print what is known, a table for each section, in the width of the console."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console.print(Text(f"{account.version.name} version {account.version.version}", style="bold"))
    for section in account.sections:
        console.print()
        console.print(Text(section.key, style="bold"))
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, min_width=17)
        table.add_column(overflow="fold")
        for fact in section.facts:
            table.add_row(Text(f"  {fact.title}"), Text(fact.text))
        console.print(table)


def _rebuild(settings: "Settings", account: "Account", *, folder: Path, as_json: bool) -> int:
    from pipeline.provenance.rebuild import rebuild  # noqa: PLC0415

    outcome = rebuild(settings, account, folder=folder, say=lambda line: print(line, file=sys.stderr, flush=True))
    if as_json:
        print(json.dumps(outcome.json(), indent=2, ensure_ascii=False))
    else:
        for line in outcome.lines():
            print(line)
    if not outcome.equal:
        print(f"naturewatch: the rebuilt dataset differs from {outcome.expected}", file=sys.stderr)
    return 0 if outcome.equal else 1
