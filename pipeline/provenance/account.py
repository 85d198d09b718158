"""The provenance of a model version: gathered from the registry's tags, its files, and what the data root keeps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ml.spec import NETWORK_TITLES
from pipeline.comparison.wording import counted, duration
from pipeline.config.settings import Settings
from pipeline.config.yaml_file import read_mapping
from pipeline.dataset.attribution import licence_counts
from pipeline.dataset.manifest import DatasetManifest
from pipeline.dataset.registration import Registration
from pipeline.errors import TableError
from pipeline.history.snapshots import Snapshot, read_snapshots
from pipeline.paths import Paths
from pipeline.provenance.artifacts import REQUIREMENTS, Artifacts
from pipeline.provenance.citing import how_to_cite
from pipeline.provenance.facts import UNKNOWN, Fact, Section, Value, moment
from pipeline.provenance.kept import Kept
from pipeline.provenance.lineage import ancestry
from pipeline.registry.version_record import CONFIGURATION, DATASET, RECORD, VersionRecord
from pipeline.tracking import tags as names

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

SPLIT: Final = {"unit": "split_unit", "seed": "split_seed", "validation": "", "min_images": "min_images"}
"""Keys of the section `split`, and the parameters of the dataset's run that held them before a version did."""
PACKAGES: Final = ("python", "torch", "timm", "mlflow", "duckdb", "dagster")
"""Of the environment, what people are shown; JSON has all."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """Everything that is known of one version."""

    version: "ModelVersion"
    dataset: str | None
    """The dataset version that it was trained on."""
    manifest: DatasetManifest | None
    record: VersionRecord | None
    configuration: dict[str, Any] | None
    """As `configuration.yaml` holds it, every value as text."""
    attribution: Path | None
    """The table of its photographs, as the version has it."""
    sections: tuple[Section, ...]

    def json(self) -> dict[str, Value]:
        """Section -> fact -> value; null is unknown."""
        return {section.key: section.json() for section in self.sections}


def account(settings: Settings, connected: "MlflowClient", version: "ModelVersion", *, scratch: Path) -> Account:
    """Gather all that is known of a version.

    Args:
        settings: The configuration.
        connected: A client of the registry.
        version: The version.
        scratch: A folder for files of a distant store.

    Raises:
        TableError: a record is damaged.
    """
    artifacts = Artifacts(settings, connected, version, scratch=scratch)
    dataset = version.tags.get(names.DATA_VERSION)
    manifest = _manifest(settings.paths, artifacts, dataset)
    kept = artifacts.named(RECORD)
    record = None if kept is None else VersionRecord.read(kept)
    file = artifacts.named(CONFIGURATION)
    configured = None if file is None else read_mapping(file)
    told = _Told(
        settings=settings, version=version, artifacts=artifacts, dataset=dataset, manifest=manifest, record=record,
        configuration=configured, parameters=_parameters(connected, version),
    )  # fmt: skip
    return Account(
        version=version,
        dataset=dataset,
        manifest=manifest,
        record=record,
        configuration=configured,
        attribution=artifacts.named("attribution.parquet"),
        sections=(
            Section(key="model", facts=tuple(told.model())),
            Section(key="training", facts=tuple(told.training())),
            Section(key="ancestry", facts=tuple(ancestry(connected, version))),
            Section(key="source", facts=tuple(told.source())),
            Section(key="licences", facts=tuple(told.licences())),
            Section(key="dataset", facts=tuple(told.data())),
            Section(key="exam", facts=tuple(told.exam())),
            Section(key="promotion", facts=tuple(told.promotion())),
            Section(key="code", facts=tuple(told.code())),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Told:
    settings: Settings
    version: "ModelVersion"
    artifacts: Artifacts
    dataset: str | None
    manifest: DatasetManifest | None
    record: VersionRecord | None
    configuration: dict[str, Any] | None
    parameters: Mapping[str, str]
    """Of the MLflow run of its dataset version."""

    @property
    def tags(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.version.tags
        return found

    def _configured(self, section: str, key: str) -> str | None:
        """A value of the configuration as text; None where it is empty, too."""
        values = (self.configuration or {}).get(section)
        found = values.get(key) if isinstance(values, dict) else None
        return None if found is None else str(found)

    def model(self) -> Iterator[Fact]:
        yield Fact(key="name", value=self.version.name)
        yield Fact(key="version", value=str(self.version.version))
        yield Fact(key="registered", value=moment(self.version.creation_timestamp))
        aliases = sorted(self.version.aliases)
        yield Fact(key="aliases", value=[*aliases], words=None if aliases else "none")
        if self.artifacts.lost:
            yield Fact(key="files", value="gone", words="gone: the version can be explained, but not served")

    def training(self) -> Iterator[Fact]:
        network = self.tags.get(names.NETWORK)
        title = dict(NETWORK_TITLES).get(network)  # type: ignore[call-overload]
        yield Fact(key="network", value=network, words=title)
        yield Fact(key="backbone", value=self.tags.get(names.BACKBONE))
        weights = self.tags.get(names.FIRST_WEIGHTS) or self._configured("training", "weights")
        yield Fact(key="first_weights", value=weights)
        yield Fact(key="recipe", value=self.tags.get(names.RECIPE))
        yield Fact(key="image_size", value=self._configured("training", "image_size"))
        record = self.record
        yield Fact(key="why", value=None if record is None else record.reason)
        yield Fact(
            key="seed",
            value=None if record is None else record.seed,
            words=None if record is None else f"{record.seed}",
        )
        yield Fact(key="hardware", value=None if record is None else record.hardware)
        seconds = None if record is None else record.seconds
        yield Fact(key="seconds", label="time", value=seconds, words=None if seconds is None else duration(seconds))

    def source(self) -> Iterator[Fact]:
        manifest, record = self.manifest, self.record
        told = {} if record is None else record.source
        yield Fact(key="mode", value=told.get("mode"))
        own = self.tags.get("gbif.download_key") == "" or told.get("mode") == "folder"
        none = "none: own photographs, which GBIF does not know" if own else None
        key, doi = self.tags.get("gbif.download_key") or None, self.tags.get("gbif.doi") or None
        yield Fact(key="download_key", value=key, words=none)
        yield Fact(key="doi", value=doi, words=none or doi or "none: the source has no DOI")
        words = self.tags.get("naturewatch.source")
        citation = manifest.citation if manifest is not None and not manifest.origin else None
        source = words or (None if manifest is None else manifest.source)
        if source is not None and source != citation:
            yield Fact(key="description", value=source)
        cite = None if source is None else how_to_cite(source=source, citation=citation, doi=doi, own=own)
        yield Fact(key="citation", value=citation, words=cite)
        yield Fact(key="downloaded", value=told.get("created"), words=self._absent(told, "created"))
        yield Fact(key="records", value=told.get("total_records"), words=self._absent(told, "total_records"))
        yield Fact(key="records_licence", value=told.get("licence"), words=self._absent(told, "licence"))
        yield Fact(key="checklist", value=self.tags.get("gbif.checklist_key") or None)
        yield from self._snapshot()
        registered = None if self.dataset is None else Registration.find(self.settings.paths, self.dataset)
        derived = registered.doi if registered is not None else self.tags.get(names.DERIVED_DOI)
        yield Fact(
            key="derived_dataset",
            value=derived,
            words=None if derived else none or "not registered (`naturewatch derived-dataset` does)",
        )

    def _absent(self, told: Mapping[str, Any], key: str) -> str | None:
        """What a source that was recorded does not say is no gap in the records."""
        return "the source does not say" if told and told.get(key) is None else None

    def _snapshot(self) -> Iterator[Fact]:
        snapshot = self._recorded_snapshot()
        if snapshot is None:
            yield Fact(key="snapshot", value=None)
            return
        made = f", made {snapshot.created[:10]}" if snapshot.created else ""
        yield Fact(
            key="snapshot",
            value={"number": snapshot.number, "indexed": snapshot.recorded, "made": snapshot.created},
            words=f"{snapshot.number}, indexed {snapshot.recorded[:10]}{made}",
        )
        yield Fact(key="scope", value=snapshot.scope, words="\n".join(_scope(snapshot.scope)))

    def _recorded_snapshot(self) -> Snapshot | None:
        """The snapshot that the version recorded; for earlier ones, that of its download in this data root."""
        if self.record is not None:
            return None if self.record.snapshot is None else Snapshot.model_validate(self.record.snapshot)
        key = self.tags.get("gbif.download_key")
        found = [each for each in read_snapshots(self.settings.paths) if key and each.key == key]
        return found[-1] if found else None

    def licences(self) -> Iterator[Fact]:
        found = Kept.of(self.settings.paths, self.dataset).licences() if self.dataset else None
        table = self.artifacts.named("attribution.parquet") if found is None else None
        found = licence_counts(table) if table is not None else found
        if found is None:
            yield Fact(key="photographs", value=None)
        for licence, number in (found or {}).items():
            yield Fact(key=licence, value=number)

    def data(self) -> Iterator[Fact]:
        counts = {} if self.manifest is None else self.manifest.counts
        yield Fact(key="version", value=self.dataset)
        yield Fact(key="species", value=counts.get("species"))
        yield Fact(key="train", value=counts.get("train"))
        yield Fact(key="validation", value=counts.get("validation"))
        yield Fact(key="split_hash", value=self.tags.get(names.SPLIT_HASH))
        yield Fact(key="taxonomy_hash", value=self.tags.get(names.TAXONOMY_HASH))
        for key, earlier in SPLIT.items():
            yield Fact(key=f"split_{key}", value=self._configured("split", key) or self.parameters.get(earlier))

    def exam(self) -> Iterator[Fact]:
        gate, reasons = self.tags.get(names.GATE), self.tags.get(names.GATE_REASONS)
        yield Fact(key="gate", value=gate, words=gate or "never judged on an exam")
        if gate:
            yield Fact(key="version", value=self.tags.get(names.EXAM))
            yield Fact(key="reasons", value=reasons)

    def promotion(self) -> Iterator[Fact]:
        at = self.tags.get(names.PROMOTED_AT)
        if at is None:
            served = "champion" in self.version.aliases
            yield Fact(key="promoted", value=None, words=UNKNOWN if served else "never recorded as the champion")
            return
        yield Fact(key="promoted", value=at)
        yield Fact(key="by", value=self.tags.get(names.PROMOTED_BY))
        yield Fact(key="why", value=self.tags.get(names.PROMOTED_WHY))
        replaced = self.tags.get(names.REPLACED)
        yield Fact(
            key="replaced", value=replaced, words=f"version {replaced}" if replaced else "none: it was the first"
        )

    def code(self) -> Iterator[Fact]:
        commit = self.tags.get("git.commit")
        unknown = "unknown: it was not made in a git checkout" if commit == "unknown" else None
        yield Fact(key="commit", value=None if unknown else commit, words=unknown)
        environment = self._environment()
        shown = [f"{name} {environment[name]}" for name in PACKAGES if name in environment]
        yield Fact(key="environment", value={**environment} or None, words=", ".join(shown) or None)
        where = None if self.configuration is None else self.artifacts.address(CONFIGURATION)
        yield Fact(key="configuration", value=self.configuration, words=where)

    def _environment(self) -> dict[str, str]:
        """Versions of packages; of earlier versions those that MLflow noted at registration."""
        if self.record is not None:
            return self.record.environment
        file = self.artifacts.file(REQUIREMENTS)
        lines = [] if file is None else file.read_text(encoding="utf-8").splitlines()
        return {name: version for name, _, version in (line.partition("==") for line in lines) if version}


def _parameters(connected: "MlflowClient", version: "ModelVersion") -> Mapping[str, str]:
    """What the run of the dataset version noted; empty where it is gone."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)

    try:
        run = connected.get_run(version.run_id) if version.run_id else None
        parent = None if run is None else run.data.tags.get("mlflow.parentRunId")
        return {} if parent is None else dict(connected.get_run(parent).data.params)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def _manifest(paths: Paths, artifacts: Artifacts, dataset: str | None) -> DatasetManifest | None:
    """What the version itself keeps of its dataset, else what the data root keeps of it."""
    file = artifacts.named(DATASET)
    if file is not None:
        return DatasetManifest.model_validate_json(file.read_bytes())
    if dataset is None or not (paths.dataset_version(dataset) / DATASET).exists():
        return None
    try:
        return Kept.of(paths, dataset).manifest()
    except TableError:
        # Of other code: what it says cannot be understood.
        return None


def _scope(scope: Mapping[str, Any]) -> Iterator[str]:
    """What decided which records were taken, a line for each key that is not empty."""
    for key, value in scope.items():
        if key == "source":
            yield from _predicate(value)
        elif value not in (None, [], 0, ""):
            yield f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}"


def _predicate(value: Mapping[str, Any]) -> Iterator[str]:
    """GBIF's predicate, one condition a line; the parameters of a search as they are."""
    parts = value.get("predicates", [value] if "key" in value else [])
    for part in parts:
        if "key" in part:
            yield f"{part['key']} {part.get('type', 'equals')} {part.get('value', part.get('values', ''))}"
        else:
            yield counted(len(part.get("predicates", [])), "condition") + f" joined by {part.get('type')}"
    if not parts:
        yield from (f"{key} = {each}" for key, each in value.items())
