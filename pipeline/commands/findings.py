"""What an asset holds, in one sentence with units: what `naturewatch run` says when an asset is made.

Every number is read from the files of the scope, so that it is right however the asset was made, and whenever.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ml.spec import RESULT_FILE, CalibrateResult, NetworkName, RegisterResult
from pipeline.comparison.networks import NETWORKS, best_network
from pipeline.comparison.wording import counted
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.dataset.places import places
from pipeline.errors import NatureWatchError
from pipeline.exam.decision import read_decision
from pipeline.exam.observations import exam_version
from pipeline.gbif.source import SourceRecord
from pipeline.history.changes import KINDS
from pipeline.history.drift import KINDS as KINDS_OF_DRIFT
from pipeline.history.drift import last_distances
from pipeline.history.losses import LossRecord
from pipeline.history.snapshots import read_snapshots
from pipeline.label_quality.suspects import counted as suspects_counted
from pipeline.launching.specs import calibrated, result_of, trained
from pipeline.production.production_specs import production_calibration
from pipeline.production.record import Production
from pipeline.query import count, rows, tally
from pipeline.rejections import removed_by

Finding = Callable[[Settings], str]


def finding(settings: Settings, asset: str, *, message: str = "") -> str:
    """One sentence about an asset that was just made.

    Args:
        settings: The configuration of the run.
        asset: Its name.
        message: What its step said last: the sentence about an asset that has none of its own.

    Raises:
        NatureWatchError: a file of the asset cannot be read.
    """
    if asset in NETWORKS or asset == "genus_stage":
        return _network(settings, asset)
    if asset.startswith("specificity_") and asset not in SENTENCES:
        return _promise(settings, asset.removeprefix("specificity_"))
    return SENTENCES[asset](settings) if asset in SENTENCES else message


def _left_out(settings: Settings, stage: str) -> str:
    removed = sum(removed_by(settings.paths, stage).values())
    return f"; {removed:,} left out" if removed else ""


def _source(settings: Settings) -> str:
    record = SourceRecord.read(settings.paths)
    kind = "photographs listed" if record.mode == "folder" else "records"
    total = "" if record.total_records is None else f"{record.total_records:,} {kind}"
    where = {
        "replica": "of the embedded server", "folder": "in your table", "search": "of GBIF's search",
        "archive": "in the archive", "download": f"in GBIF's download, DOI {record.doi or 'none'}",
    }  # fmt: skip
    return f"{total or 'records'} {where[record.mode]}"


def _occurrences(settings: Settings) -> str:
    return counted(count(settings.paths.table("occurrences")), "record") + _left_out(settings, "occurrences")


def _clean(settings: Settings) -> str:
    table = settings.paths.table("clean_occurrences")
    species = len(tally(table, "species_key"))
    return f"{counted(count(table), 'record')} of {species:,} species" + _left_out(settings, "clean_occurrences")


def _index(settings: Settings) -> str:
    paths = settings.paths
    inputs = {name: paths.table(name) for name in ("photo_index", "clean_occurrences")}
    (found,) = rows("indexed_species", inputs=inputs)
    words = f"{counted(count(paths.table('photo_index')), 'photograph')} of {found['species']:,} species"
    return words + _left_out(settings, "photo_index")


def _photos(settings: Settings) -> str:
    statuses = {str(status): number for (status,), number in tally(settings.paths.table("photos"), "status").items()}
    others = [f"{number:,} {status.replace('_', ' ')}" for status, number in statuses.items() if status != "ok"]
    return "; ".join([counted(statuses.get("ok", 0), "usable photograph"), *others])


def changes(settings: Settings) -> str:
    """What the last snapshot brought and took away."""
    *before, last = read_snapshots(settings.paths)
    if not before:
        return f"the first snapshot: {counted(last.photographs, 'photograph')}"
    news = [f"{last.changes[kind]:,} {kind}" for kind in KINDS if last.changes.get(kind)]
    return f"{', '.join(news)} since snapshot {before[-1].number}" if news else "the same photographs as before"


def _species(settings: Settings) -> str:
    removed = sum(removed_by(settings.paths, "species").values())
    rest = f"; {counted(removed, 'photograph')} of rarer ones left out" if removed else ""
    return f"{count(settings.paths.table('species')):,} species" + rest


def _changed(table: str, what: str) -> Finding:
    def told(settings: Settings) -> str:
        found = {str(change): number for (change,), number in tally(settings.paths.table(table), "change").items()}
        if len(trees(settings)) < 2:
            return f"{sum(found.values()):,} {what}: the first taxonomy"
        parts = [f"{number:,} {change}" for change, number in found.items() if change != "same"]
        return f"{what}: {', '.join(parts)} since the taxonomy before" if parts else f"{what}: as before"

    return told


def trees(settings: Settings) -> list[str]:
    """The hashes of the taxonomies that were made so far, the first first."""
    order = settings.paths.taxonomies_order
    return list(json.loads(order.read_text(encoding="utf-8"))) if order.exists() else []


def _split(settings: Settings) -> str:
    sides = {str(side): number for (side,), number in tally(settings.paths.table("split"), "split").items()}
    return f"{counted(sides.get('train', 0), 'photograph')} to train, {sides.get('validation', 0):,} to validate"


def _places(settings: Settings) -> str:
    found = places(settings.paths)
    return (
        f"{found.placed:,} of {counted(found.occurrences, 'occurrence')} have a place that counts "
        f"({found.obscured:,} obscured), {found.dated:,} of these a day"
    )


def _pack(settings: Settings) -> str:
    folder = settings.paths.training_photos
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    return f"{counted(count(settings.paths.pack_index), 'photograph')} packed, {bytes_in_words(size)}"


def _leakage(settings: Settings) -> str:
    pairs = count(settings.paths.table("leakage"))
    if not pairs:
        return "no near-identical photographs across the split"
    return f"{counted(pairs, 'pair')} of near-identical photographs across the split"


def _drifted(settings: Settings) -> str:
    found = last_distances(settings.paths)
    if not found:
        return "no snapshot before to compare shares with"
    kind = max(found, key=lambda name: found[name])
    return f"at most {found[kind]:.1%} from the snapshot before ({KINDS_OF_DRIFT[kind]})"


def _lost(settings: Settings) -> str:
    record = LossRecord.read(settings.paths)
    if record is None or record.last is None:
        return "no dataset before to compare with"
    words = f"{counted(record.photos_lost, 'photograph')} and {record.species_lost:,} species of the last dataset lost"
    return f"{words}, let pass: {record.accepted}" if record.accepted else words


def _network(settings: Settings, asset: str) -> str:
    name: NetworkName = asset  # type: ignore[assignment]
    metrics = trained(settings, DatasetManifest.read(settings.paths), network=name).metrics
    if asset == "genus_stage":
        return f"genus right in {metrics['top1']:.1%} of validation photographs"
    return f"species right in {metrics['top1']:.1%}, genus in {metrics['accuracy_genus']:.1%}"


def _promise(settings: Settings, network: str) -> str:
    name: NetworkName = network  # type: ignore[assignment]
    return _kept(calibrated(settings, DatasetManifest.read(settings.paths), network=name))


def _kept(found: CalibrateResult) -> str:
    """How far a promise is kept."""
    interval = f"{found.evaluation_accuracy_low * 100:.0f}-{found.evaluation_accuracy_high:.0%}"
    return f"{found.evaluation_accuracy:.1%} right ({interval}), depth {found.evaluation_depth:.1f}"


def _production(settings: Settings) -> str:
    record = Production.read(settings.paths)
    began = {"adopted": "of the comparison", "continued": f"from version {record.ancestor}", "full": "from nothing"}
    return f"{record.network} {began[record.how]}, {record.training(settings.paths).metrics['top1']:.1%}"


def _best(settings: Settings) -> str:
    manifest = DatasetManifest.read(settings.paths)
    name = best_network(settings, manifest)
    top1 = trained(settings, manifest, network=name).metrics["top1"]
    return f"best: {name}, {top1:.1%}"


def _exam(settings: Settings) -> str:
    table = settings.paths.table("exam")
    shown = tally(table, "withdrawn").get((None,), 0)
    return f"version {exam_version(table)} of the exam, {counted(shown, 'photograph')}"


def _judged(settings: Settings) -> str:
    decision = read_decision(settings)
    failed = "" if decision.passed else f": {decision.failed[0]}"
    return f"version {decision.challenger} {'passed' if decision.passed else 'refused'}{failed}"


def _registered(settings: Settings) -> str:
    files = settings.paths.release.glob(f"*/{RESULT_FILE}")
    result = result_of(RegisterResult, max(files, key=lambda path: path.stat().st_mtime))
    return f"version {result.version} of {result.model_name}"


def _rows(table: str, one: str, many: str, *, after: str = "") -> Finding:
    return lambda settings: counted(count(settings.paths.table(table)), one, many) + after


def _suspects(settings: Settings) -> str:
    found = suspects_counted(settings.paths)
    return f"{found['issues']:,} of {counted(found['photographs'], 'photograph')} may have the wrong name"


SENTENCES: Final[Mapping[str, Finding]] = {
    "gbif_download": _source,
    "occurrences": _occurrences,
    "media": _rows("media", "photograph, sound or film", "photographs, sounds and films"),
    "clean_occurrences": _clean,
    "photo_index": _index,
    "changes": changes,
    "photos": _photos,
    "drift": _drifted,
    "losses": _lost,
    "species": _species,
    "rejections": _rows("rejections", "row", "rows", after=" left out so far, each with its reason"),
    "taxonomy": _rows("taxonomy", "taxon", "taxa", after=" in seven ranks"),
    "class_map": _changed("class_map", "species"),
    "taxonomy_diff": _changed("taxonomy_diff", "taxa"),
    "split": _split,
    "exam": _exam,
    "places": _places,
    "genus_photos": _rows("genus_photos", "photograph", "photographs", after=" of rare species"),
    "attribution": _rows("attribution", "photograph", "photographs", after=" with licence and holder"),
    "training_photos": _pack,
    "leakage": _leakage,
    "manifest": lambda settings: f"dataset version {DatasetManifest.read(settings.paths).dataset_version}",
    "dataset_page": lambda settings: _below(settings, settings.paths.reports / "dataset" / "index.html"),
    "report": lambda settings: _below(settings, settings.paths.reports / "report.html"),
    "suspects": _suspects,
    "comparison": _best,
    "production": _production,
    "specificity_production": lambda settings: _kept(production_calibration(settings, Production.read(settings.paths))),
    "candidate": _registered,
    "exam_answers": _judged,
}
"""The sentence of each asset that is no network of research and no calibration of one."""


def bytes_in_words(size: float) -> str:
    """A size on disk: `41 MB`, `1.2 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _below(settings: Settings, path: Path) -> str:
    return str(path.relative_to(settings.paths.data_root))


def finding_or_nothing(settings: Settings, asset: str, message: str) -> str:
    """As `finding`; a file that cannot be read is told on standard error, which is the log, and ends nothing."""
    try:
        return finding(settings, asset, message=message)
    except (NatureWatchError, OSError, KeyError, ValueError) as error:
        sys.stderr.write(f"no sentence about {asset}: {error}\n")
        return ""
