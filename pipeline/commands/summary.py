"""What ends `naturewatch run`: what was made, how far it can be trusted, and where to look next."""

import os
import shlex
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ml.spec import RESULT_FILE, CalibrateResult, NetworkName, TrainResult
from pipeline.commands.findings import changes, finding, trees
from pipeline.commands.last_scope import deciding_variables
from pipeline.commands.release_lines import gate_lines, production_lines
from pipeline.commands.run_state import duration
from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.wording import counted
from pipeline.config.problems import CONFIG_VARIABLE
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import ChildError
from pipeline.history.changes import changed_species
from pipeline.history.snapshots import read_snapshots
from pipeline.launching.specs import calibrated, result_of, train_hash
from pipeline.production.production_specs import calibration_folder
from pipeline.production.record import How
from pipeline.project_folder import SAMPLE, project_folder
from pipeline.rejections import counts
from pipeline.tracking import tags

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

WIDTH: Final = 100
"""Columns where there is no terminal."""
SPECIES: Final = 3
"""Species that gained or lost photographs, and are named."""
STEPS: Final = {
    "occurrences": ("occurrences", "record"),
    "clean_occurrences": ("clean_occurrences", "record"),
    "photo_index": ("photo_index", "photograph"),
    "photos_ok": ("photos", "photograph"),
    "split": ("species", "photograph"),
}
"""What is counted of a dataset: the stage whose rules removed rows before it, and the unit."""


def print_summary(
    settings: Settings, *, assets: Collection[str], seconds: float, console: Console | None = None
) -> None:
    """Print what this run made; of what it did not touch, nothing is said.

    Args:
        settings: The configuration of the run.
        assets: The assets that were materialised.
        seconds: How long it took.
        console: Where to; default standard output.
    """
    if console is None:
        console = Console(highlight=False) if sys.stdout.isatty() else Console(width=WIDTH, highlight=False)
    made = set(assets)
    console.print()
    if "manifest" in made:
        manifest = DatasetManifest.read(settings.paths)
        console.print(_counts_table(settings, manifest))
    if "changes" in made:
        _print(console, _news(settings))
    whole = settings.paths.dataset_manifest.exists()
    if whole:
        manifest = DatasetManifest.read(settings.paths)
        trainings = [name for name in NETWORKS if made & {name, f"specificity_{name}"}]
        networks = _networks_table(settings, manifest, names=trainings)
        if networks.row_count:
            console.print(networks)
    if "production" in made:
        _print(console, production_lines(settings))
    if "exam_answers" in made:
        _print(console, gate_lines(settings))
    if "champion" in made and whole:
        _print(console, _champion(settings, DatasetManifest.read(settings.paths)))
    _print(console, _links(settings, made=made, seconds=seconds))


def _print(console: Console, lines: Iterator[str]) -> None:
    """Lines as they are: a path or an address is neither wrapped nor read as markup."""
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def command(name: str, *, environment: Mapping[str, str], program: str = "naturewatch") -> str:
    """How to call a command on the results of the last run, with the same configuration and from the same folder.

    Args:
        name: `ui` or `identify`.
        environment: The variables of this process; those that decide where data and models are get repeated.
        program: How the shell finds the command.
    """
    words = [f"{variable}={shlex.quote(value)}" for variable, value in deciding_variables(environment).items()]
    words += [shlex.quote(program), name]
    # What a command without `--config` reads.
    default = project_folder() / SAMPLE
    file = Path(environment.get(CONFIG_VARIABLE, default)).absolute()
    if file != default:
        words += ["--config", shlex.quote(_from_here(file))]
    return " ".join(words)


def called() -> str:
    """How the shell finds this command: its name, or its path where the folder is not searched."""
    program = Path(sys.executable).parent / "naturewatch"
    found = shutil.which("naturewatch")
    if (found is not None and Path(found).resolve() == program.resolve()) or not program.exists():
        return "naturewatch"
    return _from_here(program)


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _counts_table(settings: Settings, manifest: DatasetManifest) -> Table:
    table = _table(f"Dataset {manifest.dataset_version}")
    table.add_column("asset", no_wrap=True)
    table.add_column("holds", justify="right", no_wrap=True)
    table.add_column("left out, by rule")
    rejected = counts(settings.paths)
    for step, (stage, unit) in STEPS.items():
        rules = ", ".join(f"{rule.replace('_', ' ')} {n:,}" for rule, n in sorted(rejected.get(stage, {}).items()))
        table.add_row(step.removesuffix("_ok"), counted(manifest.counts[step], unit), rules)
    table.add_row("species", counted(manifest.counts["species"], "species", "species"), "")
    return table


def _news(settings: Settings) -> Iterator[str]:
    """What the snapshot changed, where there was one before."""
    snapshots = read_snapshots(settings.paths)
    if len(snapshots) < 2:
        return
    yield f"Photographs of this snapshot: {changes(settings)}"
    found = changed_species(settings.paths, most=SPECIES)
    for verb, column in (("more", "gained"), ("fewer", "lost")):
        most = sorted((one for one in found if one[column]), key=lambda one: -int(one[column]))[:SPECIES]
        named = [f"{one['species']} ({one[column]:,})" for one in most]
        if named:
            yield f"  {verb} of {', '.join(named)}"
    if len(trees(settings)) > 1:
        yield f"  {finding(settings, 'class_map')}"
    yield ""


def _networks_table(settings: Settings, manifest: DatasetManifest, *, names: Collection[NetworkName]) -> Table:
    target = settings.specificity.target
    table = _table(f"Networks, on validation photographs; answers shall be right in {target:.0%}")
    for column in ("network", "species", "genus", "right", "95% interval", "depth"):
        table.add_column(column, justify="left" if column == "network" else "right", no_wrap=True)
    for name in names:
        folder = settings.paths.model(name, train_hash(settings, manifest, network=name))
        if not (folder / RESULT_FILE).exists():
            continue
        try:
            metrics = result_of(TrainResult, folder / RESULT_FILE).metrics
        except ChildError:
            table.add_row(name, "of another version", *[""] * 4)
            continue
        row = [name, f"{metrics['top1']:.1%}", f"{metrics['accuracy_genus']:.1%}"]
        try:
            found = calibrated(settings, manifest, network=name)
        except ChildError:
            table.add_row(*row, "not calibrated", "", "")
            continue
        depth = f"{found.evaluation_depth:.2f}"
        table.add_row(*row, f"{found.evaluation_accuracy:.1%}", _interval(found), depth)
    return table


def _interval(found: CalibrateResult) -> str:
    return f"{found.evaluation_accuracy_low:.1%} to {found.evaluation_accuracy_high:.1%}"


def _champion(settings: Settings, manifest: DatasetManifest) -> Iterator[str]:
    """The version that is served, what it promises, and a few of its answers."""
    from pipeline.registry.promotion import champion_of  # noqa: PLC0415 (MLflow is loaded where a champion was made)

    version = champion_of(settings)
    if version is None:
        return
    name = version.tags.get(tags.NETWORK, "")
    yield f"Champion: {version.name} version {version.version}, the network {name or 'of unknown name'}"
    if name in NETWORKS and version.tags.get(tags.DATA_VERSION) == manifest.dataset_version:
        yield from _promise(settings, manifest, version, network=name)
    else:
        yield from _older(version, manifest)
    yield ""


def _promise(
    settings: Settings, manifest: DatasetManifest, version: "ModelVersion", *, network: NetworkName
) -> Iterator[str]:
    # A version of earlier code does not name its training, and was one of the compared networks.
    training = version.tags.get(tags.TRAINING) or train_hash(settings, manifest, network=network)
    how = cast("How", version.tags.get(tags.HOW, "adopted"))
    try:
        folder = calibration_folder(settings, network=network, training=training, how=how)
        found = result_of(CalibrateResult, folder / RESULT_FILE)
    except ChildError as error:
        yield f"  its results cannot be read: {error}"
        return
    yield (
        f"  Asked to be right in {found.target:.0%}, it was in {found.evaluation_accuracy:.1%} "
        f"(95% interval {_interval(found)})"
    )
    yield f"  of {found.evaluation_photos:,} photographs that decided nothing before, at a mean depth of"
    yield f"  {found.evaluation_depth:.1f} of 7 ranks; {found.abstention_rate:.0%} got no answer."
    if found.examples:
        yield "  For example:"
    for one in found.examples:
        answer = f"{one.rank} {one.taxon} ({one.probability:.0%} sure)" if one.taxon else "not sure of any kingdom"
        yield f"    {'✓' if one.right else '✗'} {answer:<44}  it is {one.species}"


def _older(version: "ModelVersion", manifest: DatasetManifest) -> Iterator[str]:
    data = version.tags.get(tags.DATA_VERSION, "unknown")
    yield f"  It was trained on dataset {data}, and the present one is {manifest.dataset_version};"
    yield "  its model card in the registry says what it promises."


def _links(settings: Settings, *, made: set[str], seconds: float) -> Iterator[str]:
    environment, program = os.environ, called()
    reports = settings.paths.reports
    yield f"Done in {duration(seconds)}."
    pages = {
        "dataset page": ("dataset_page", reports / "dataset" / "index.html"),
        "comparison": ("comparison", reports / "comparison.html"),
        "report": ("report", reports / "report.html"),
    }
    for label, (asset, page) in pages.items():
        # Of an earlier dataset, where it was not made by this run.
        if asset in made and page.exists():
            yield f"  {label:<14}{page.as_uri()}"
    yield f"  {'tables':<14}{settings.paths.tables}"
    yield f"  {'open':<14}{command('ui', environment=environment, program=program)}"
    if "champion" in made:
        yield f"  {'identify':<14}{command('identify', environment=environment, program=program)} PHOTO.jpg"
