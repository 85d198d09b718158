"""The table of results that ends `naturewatch run`, and where to look next."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from ml.spec import RESULT_FILE, TrainResult
from pipeline.comparison.networks import NETWORKS
from pipeline.config.problems import CONFIG_VARIABLE
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import ChildError
from pipeline.launching.specs import calibrated, result_of, train_hash
from pipeline.paths import PROJECT_ROOT
from pipeline.rejections import counts

DEFAULT: Final = PROJECT_ROOT / "conf" / "sample.yaml"
"""The configuration of a command without `--config`."""


def print_summary(settings: Settings, *, seconds: float) -> None:
    """Print the current tables and models of this scope; what does not exist yet is left out."""
    # Without a terminal 80 columns are assumed; a log file is read on wider screens.
    console = Console() if sys.stdout.isatty() else Console(width=120)
    if settings.paths.dataset_manifest.exists():
        manifest = DatasetManifest.read(settings.paths)
        console.print(_counts_table(settings, manifest))
        console.print(_networks_table(settings, manifest))
    # A path must be printed as it is: neither wrapped nor read as markup.
    plain: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}
    console.print(f"Done in {seconds:.0f} s.")
    console.print(f"  tables     {settings.paths.tables}", **plain)
    console.print(f"  reports    {settings.paths.reports}", **plain)
    console.print(f"  runs       {settings.tracking_uri}", **plain)
    console.print(f"  look       {command('ui', environment=os.environ)}", **plain)
    console.print(f"  identify   {command('identify', environment=os.environ)} PHOTO.jpg", **plain)


def command(name: str, *, environment: Mapping[str, str]) -> str:
    """How to call a command on the results of the last run, with the same configuration and from the same folder.

    Args:
        name: `ui` or `identify`.
        environment: The variables of this process; those that decide where data and models are get repeated.
    """
    deciding = ("NATUREWATCH__NAME", "NATUREWATCH__DATA_ROOT", "NATUREWATCH__REGISTRY__")
    words = [
        f"{variable}={shlex.quote(value)}"
        for variable, value in sorted(environment.items())
        if variable.upper().startswith(deciding)
    ]
    words += ["naturewatch", name]
    file = Path(environment.get(CONFIG_VARIABLE, DEFAULT)).absolute()
    if file != DEFAULT:
        here = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
        words += ["--config", shlex.quote(str(here))]
    return " ".join(words)


def _counts_table(settings: Settings, manifest: DatasetManifest) -> Table:
    table = Table(title=f"Dataset {manifest.dataset_version}", title_justify="left")
    table.add_column("step")
    table.add_column("rows", justify="right")
    table.add_column("removed, by rule")
    rejected = counts(settings.paths)
    steps = {
        "occurrences": "occurrences",
        "clean_occurrences": "clean_occurrences",
        "photo_index": "photo_index",
        "photos_ok": "photos",
        "split": "species",
        "species": "",
        "train": "",
        "validation": "",
    }
    for step, stage in steps.items():
        rules = ", ".join(f"{rule} {number}" for rule, number in sorted(rejected.get(stage, {}).items()))
        table.add_row(step, f"{manifest.counts[step]:,}", rules)
    return table


def _networks_table(settings: Settings, manifest: DatasetManifest) -> Table:
    target = settings.specificity.target
    table = Table(title=f"Networks, specificity target {target:.0%}", title_justify="left")
    for column in (
        "network",
        "top-1",
        "top-5",
        "genus",
        "accuracy at target",
        "95 % interval",
        "depth",
        "threshold",
    ):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name, network in NETWORKS.items():
        title = network.title
        folder = settings.paths.model(name, train_hash(settings, manifest, network=name))
        if not (folder / RESULT_FILE).exists():
            continue
        try:
            metrics = result_of(TrainResult, folder / RESULT_FILE).metrics
        except ChildError:
            table.add_row(title, "of another version", *[""] * 6)
            continue
        row = [title, f"{metrics['top1']:.1%}", f"{metrics['top5']:.1%}", f"{metrics['accuracy_genus']:.1%}"]
        try:
            specificity = calibrated(settings, manifest, network=name)
        except ChildError:
            table.add_row(*row, "not calibrated", "", "", "")
            continue
        low, high = specificity.evaluation_accuracy_low, specificity.evaluation_accuracy_high
        table.add_row(
            *row,
            f"{specificity.evaluation_accuracy:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{specificity.evaluation_depth:.2f}",
            f"{specificity.threshold:.4f}",
        )
    return table
