"""The path of every file of the pipeline. Paths are made here and nowhere else; nothing is read or written here."""

from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds the packages: the checkout, or where they are installed."""


@dataclass(frozen=True, kw_only=True)
class Paths:
    """The layout below one `data_root`."""

    data_root: Path

    @property
    def downloads(self) -> Path:
        """Raw answers of GBIF: one folder per download key or search."""
        return self.data_root / "downloads"

    @property
    def current_download(self) -> Path:
        """`download.json`: which raw answer the tables are built from (see `pipeline.gbif.source`)."""
        return self.downloads / "download.json"

    def work(self, asset: str) -> Path:
        """What an asset needs while it runs, and removes; on the disk that has room for tables."""
        return self.data_root / "work" / asset

    @property
    def replica_state(self) -> Path:
        """Where the embedded replica keeps the downloads that it was asked for."""
        return self.data_root / "replica"

    @property
    def tables(self) -> Path:
        """The Parquet tables of the data contract."""
        return self.data_root / "tables"

    def table(self, name: str) -> Path:
        """The Parquet file of the table `name`."""
        return self.tables / f"{name}.parquet"

    def rejections_of(self, stage: str) -> Path:
        """The rejections of one stage; `rejections.parquet` is the union of all stages."""
        return self.tables / "rejections" / f"{stage}.parquet"

    @property
    def dataset_manifest(self) -> Path:
        """`dataset.json`: version, hashes, counts and citation of the current dataset."""
        return self.tables / "dataset.json"

    @property
    def snapshots(self) -> Path:
        """One folder per snapshot of GBIF that was indexed, numbered from 1. On disk it is called `releases`."""
        return self.data_root / "releases"

    def snapshot_record(self, number: int) -> Path:
        """`release.json`: where a snapshot came from; written last."""
        return self.snapshots / str(number) / "release.json"

    def snapshot_index(self, number: int) -> Path:
        """What is remembered of the photo index of a snapshot."""
        return self.snapshots / str(number) / "index.parquet"

    @property
    def snapshot_shares(self) -> Path:
        """How the photographs of each snapshot are distributed: one Parquet file each; see `pipeline.history.drift`."""
        return self.snapshots / "shares"

    @property
    def photos(self) -> Path:
        """Fetched photographs under their SHA-256."""
        return self.data_root / "photos"

    @property
    def fetch_journal(self) -> Path:
        """Append-only record of every fetch attempt of the running or killed fetch."""
        return self.data_root / "fetch" / "journal.jsonl"

    @property
    def attempts(self) -> Path:
        """The journals of all fetches, sealed as Parquet; folded into the ledger `photos.parquet`."""
        return self.data_root / "fetch" / "attempts"

    @property
    def incomplete_fetch(self) -> Path:
        """`incomplete.json`: why the last fetch is incomplete, and when to try again (`photos.incomplete`)."""
        return self.data_root / "fetch" / "incomplete.json"

    @property
    def training_photos(self) -> Path:
        """The pack of pre-resized JPEGs that training reads."""
        return self.data_root / "training_photos"

    @property
    def pack_index(self) -> Path:
        """The place of each photograph in the pack."""
        return self.training_photos / "index.parquet"

    def kept_taxonomy(self, digest: str) -> Path:
        """One earlier or present tree, under the hash of its content."""
        return self.data_root / "taxonomies" / digest

    @property
    def taxonomies_order(self) -> Path:
        """The hashes of the trees in the order in which they came."""
        return self.data_root / "taxonomies" / "releases.json"

    def dataset_version(self, version: str) -> Path:
        """What a dataset version owes to others: manifest, attribution, source counts. Kept for good."""
        return self.data_root / "datasets" / version

    @property
    def losses_record(self) -> Path:
        """`losses.json`: whether the next dataset may be built although it loses photographs; see `history.losses`."""
        return self.data_root / "losses" / "losses.json"

    def kept_photographs(self, identity: str) -> Path:
        """The photographs of a dataset that passed, for the comparison with the next one."""
        return self.data_root / "losses" / f"{identity}.parquet"

    @property
    def features(self) -> Path:
        """What frozen layers make of photographs; files here may be removed at any time."""
        return self.data_root / "features"

    def model(self, network: str, version: str) -> Path:
        """Everything one training stage wrote, for one content version of its inputs."""
        return self.data_root / "models" / network / version

    @property
    def production(self) -> Path:
        """`production.json`: which training is released next, and why; see `pipeline.production`."""
        return self.data_root / "models" / "production.json"

    @property
    def exam_answers(self) -> Path:
        """What each model version answered in the exam, one file per version, and what was concluded."""
        return self.data_root / "exam"

    @property
    def exam_decision(self) -> Path:
        """`decision.json`: whether the last challenger passed the gate, and why."""
        return self.exam_answers / "decision.json"

    @property
    def exam_splits(self) -> Path:
        """Species that were one to older model versions and are several now."""
        return self.data_root / "exam" / "splits.parquet"

    @property
    def exam_renames(self) -> Path:
        """Present names of species that older model versions know under other keys."""
        return self.exam_answers / "renames.parquet"

    def label_quality(self, version: str) -> Path:
        """How well the name of each photograph fits, for one content version of what was judged."""
        return self.data_root / "labels" / version

    def evaluation(self, network: str, version: str) -> Path:
        """Calibration of one trained network, for one content version of its inputs."""
        return self.data_root / "evaluation" / network / version

    @property
    def reports(self) -> Path:
        """Pictures and Markdown for people."""
        return self.data_root / "reports"

    @property
    def page_examples(self) -> Path:
        """Photographs of each species for the page that identifies; made anew by `naturewatch page`."""
        return self.data_root / "page" / "examples.parquet"

    @property
    def release(self) -> Path:
        """What the last candidate and champion were made of."""
        return self.data_root / "release"

    @property
    def running_page(self) -> Path:
        """`page.json`: where the page that identifies photographs answers, while it runs."""
        return self.data_root / "page.json"

    @property
    def promotion_lock(self) -> Path:
        """Held by whoever moves the alias of the champion, and by whoever removes versions."""
        return self.release / ".promotion.lock"

    @property
    def logs(self) -> Path:
        """One file per `naturewatch run`: all that its steps, their children and their libraries print."""
        return self.data_root / "logs"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance of this scope: its runs, their events and logs."""
        return self.data_root / "dagster"

    @property
    def mlflow_database(self) -> Path:
        """The default MLflow store: SQLite."""
        return self.data_root / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """Artifacts of the default MLflow store."""
        return self.data_root / "mlartifacts"
