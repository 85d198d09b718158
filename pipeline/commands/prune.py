"""`naturewatch prune`: says what goes and what stays, and removes it where that is asked for."""

import argparse
import sys
from typing import TYPE_CHECKING

from pipeline.errors import RetentionError

if TYPE_CHECKING:
    from pipeline.config.settings import Settings


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--yes", action="store_true", help="remove it (default: only say what would go)")


def run(settings: "Settings", options: argparse.Namespace) -> int:
    """Print the plan, and carry it out where asked.

    Raises:
        RetentionError: there is no data root, or something became needed meanwhile.
        LockedError: a run of the scope is under way.
    """
    if not settings.paths.data_root.is_dir():
        raise RetentionError(f"there is nothing to prune: {settings.paths.data_root} does not exist")
    from pipeline.commands.dagster_home import prepare_dagster_home  # noqa: PLC0415 (before Dagster is loaded)

    prepare_dagster_home(settings.paths)
    import dagster as dg  # noqa: PLC0415 (takes a second)
    from rich.console import Console  # noqa: PLC0415

    from pipeline.commands.prune_table import WIDTH, show, size  # noqa: PLC0415
    from pipeline.retention.pruning import carry_out, planned  # noqa: PLC0415 (loads MLflow)

    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=WIDTH, highlight=False)
    with dg.DagsterInstance.get() as instance, planned(settings, instance) as plan:
        show(plan, settings, console=console, removing=options.yes)
        if options.yes and plan.number:
            carry_out(settings, instance, plan, log=lambda line: console.print(f"  {line}", markup=False))
            console.print(f"Done: {size(plan.bytes)} freed.", markup=False)
    return 0
