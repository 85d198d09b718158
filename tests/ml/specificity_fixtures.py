"""Trees and probability rows for the tests of taxonomy, specificity, calibration and serving."""

import atexit
import functools
import io
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient
from PIL import ExifTags, Image
from safetensors.torch import save_file

from ml.child.pipes import Reporter
from ml.evaluation.class_sums import ClassSums
from ml.networks.description import NetworkSpec
from ml.networks.network import create
from ml.serving.register import run as register_run
from ml.serving.register import unusable
from ml.spec import RANKS, RESULT_FILE, CalibrateSpec, RegisterResult, RegisterSpec, TrackingSpec
from ml.specificity.stage import run as calibrate_run
from ml.taxonomy import Floats, Taxonomy
from pipeline.tracking.store import relocate
from tests.ml.placed import write_places
from tests.mlflow_stores import EXPERIMENT, empty_store

QUIET = Reporter(lambda _: None)

Row = dict[str, Any]
Nested = dict[str, Any]
"""Names of nodes to their children; a leaf's value is an empty dictionary."""


def rows_of(tree: Nested) -> list[Row]:
    """The rows of `taxonomy.parquet` for the taxa of `tree`, which hang below a root."""
    rows: list[Row] = []
    classes = 0

    def visit(name: str, below: Nested, parent: int | None, depth: int) -> None:
        nonlocal classes
        node, begin = len(rows), classes
        row: Row = {
            "node_id": node,
            "parent_id": parent,
            "depth": depth,
            "rank": "root" if parent is None else RANKS[min(depth, len(RANKS)) - 1],
            "name": name,
            "taxon_key": None if parent is None else f"K{node}",
            "checklist_key": "checklist",
            "placeholder": False,
            "class_id": None if below else begin,
            "photos": 10,
        }
        rows.append(row)
        if not below:
            classes += 1
        for child, grandchildren in below.items():
            visit(child, grandchildren, node, depth + 1)
        row["leaf_begin"], row["leaf_end"] = begin, classes

    visit("Life", tree, None, 0)
    return rows


def write_taxonomy(path: Path, rows: list[Row]) -> Path:
    """Write rows as `taxonomy.parquet`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def random_tree(generator: np.random.Generator, *, depth: int = 7, leaves: int = 30, uneven: bool = False) -> Taxonomy:
    """A tree with many single-child chains; `uneven` lets leaves end above the last depth."""
    tree: Nested = {}
    for _ in range(leaves):
        level, stop = tree, depth if not uneven else int(generator.integers(2, depth + 1))
        for step in range(stop):
            name = f"{step}-{generator.integers(1 + step // 2)}" if step < stop - 1 else f"leaf-{generator.random()}"
            level = level.setdefault(name, {})
    return Taxonomy.of_rows(rows_of(tree))


def random_rows(generator: np.random.Generator, *, photos: int, classes: int, sharpness: float = 3.0) -> Floats:
    """Softmax rows, from flat to certain."""
    logits = generator.normal(size=(photos, classes)) * generator.uniform(0, sharpness * 2, size=(photos, 1))
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    rows: Floats = exponential / exponential.sum(axis=1, keepdims=True)
    return rows


BIRDS: Nested = {
    "Animalia": {
        "Chordata": {
            "Aves": {
                "Psittaciformes": {
                    "Strigopidae": {"Nestor": {"Nestor notabilis": {}, "Nestor meridionalis": {}}},
                },
                "Suliformes": {"Sulidae": {"Morus": {"Morus serrator": {}}}},
            },
        },
    },
    "Plantae": {
        "Tracheophyta": {"Magnoliopsida": {"Rosales": {"Moraceae": {"Morus": {"Morus alba": {}}}}}},
    },
}
"""Two parrots, a gannet and a mulberry; the genus Morus is a homonym."""


def photograph_bytes(
    *, mode: str = "RGB", size: tuple[int, int] = (96, 64), orientation: int | None = None, form: str = "JPEG"
) -> bytes:
    """A real encoded picture: a red left half and a blue right half, or the like in other colour modes."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    converted, exif, stream = image.convert(mode), Image.Exif(), io.BytesIO()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    converted.save(stream, format=form, exif=exif, quality=95)
    return stream.getvalue()


def tracking_in(folder: Path, *, stage: str) -> TrackingSpec:
    """MLflow on SQLite in `folder`, with a parent run."""
    database = folder / "mlflow.db"
    if not database.exists():
        relocate(empty_store(database), folder / "mlartifacts")
    uri = f"sqlite:///{database}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    parent = client.create_run(experiment.experiment_id, run_name="dataset")
    return TrackingSpec(uri=uri, experiment=EXPERIMENT, parent_run_id=parent.info.run_id, stage=stage)


def calibrate_spec(
    folder: Path, *, photos: int = 400, target: float = 0.9, embeddings: int = 0, places: bool = False
) -> CalibrateSpec:
    """Predictions of a noisy classifier over the taxa of BIRDS, as training would leave them.

    `embeddings` is how many numbers the embedding of a photograph has, if it has one: about 1 in the direction of
    its species, and noise in all others. With `places` each species has a range and a season (`tests.ml.placed`).
    """
    generator = np.random.default_rng(5)
    labels = generator.integers(4, size=photos)
    logits = generator.normal(size=(photos, 4)) * 2
    logits[np.arange(photos), labels] += 3
    exponential = np.exp(logits)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "p.npy", (exponential / exponential.sum(axis=1, keepdims=True)).astype(np.float16))
    halves = ["calibration" if row % 2 else "evaluation" for row in range(photos)]
    columns = {
        "photo_id": [str(row) for row in range(photos)],
        "class_id": pa.array(labels, pa.int32()),
        "half": halves,
        "predicted_class_id": pa.array(logits.argmax(axis=1), pa.int32()),
    }
    table, prototypes = pa.table(columns), None
    if embeddings:
        numbers = generator.normal(size=(2 * photos, embeddings), scale=0.3).astype(np.float32)
        numbers[np.arange(2 * photos), np.tile(labels, 2)] += 1
        column = pa.FixedSizeListArray.from_arrays(pa.array(numbers[:photos].ravel()), embeddings)
        table = table.append_column("embedding", column)
        sums = ClassSums(4)
        sums.add(torch.from_numpy(numbers[photos:]), torch.from_numpy(labels))
        prototypes = sums.means().write(folder / "prototypes.safetensors")
    pq.write_table(table, folder / "validation.parquet")
    split, sites = write_places(folder, labels) if places else (None, None)
    return CalibrateSpec(
        prototypes=prototypes,
        split=split,
        places=sites,
        network="baseline",
        probabilities=folder / "p.npy",
        predictions=folder / "validation.parquet",
        taxonomy=write_taxonomy(folder / "taxonomy.parquet", rows_of(BIRDS)),
        output=folder / "evaluation",
        spec_hash="c0ffee",
        target=target,
        method="exact",
        watch_list=("Plantae > Morus", "Dodo"),
        seed=7,
        tracking=tracking_in(folder, stage="specificity_baseline"),
    )


def register_spec(folder: Path, *, places: bool = False) -> RegisterSpec:
    """A tiny random network over the taxa of BIRDS, calibrated, with all that a version carries.

    With `places` it knows a prior of place and season, and thresholds for all three cases.
    """
    calibration = calibrate_spec(folder, embeddings=1280, places=places)
    calibrate_run(calibration, reporter=QUIET)
    torch.manual_seed(3)
    spec = NetworkSpec(backbone="tf_efficientnet_lite0", image_size=64)
    network = create(spec, Taxonomy.read(calibration.taxonomy))
    save_file(network.state_dict(), folder / "weights.safetensors")
    network.spec.write(folder / "network.json")
    (folder / "card.md").write_text("---\nlibrary_name: mlflow\n---\n\n# A tiny network\n", encoding="utf-8")
    (folder / "configuration.yaml").write_text("name: tiny\n", encoding="utf-8")
    (folder / "card.html").write_text("<!doctype html><title>A tiny network</title>", encoding="utf-8")
    (folder / "example.jpg").write_bytes(photograph_bytes())
    pq.write_table(pa.table({"photo_id": ["1"], "licence": ["CC0"]}), folder / "attribution.parquet")
    assert calibration.tracking is not None
    return RegisterSpec(
        weights=folder / "weights.safetensors",
        network=folder / "network.json",
        taxonomy=calibration.taxonomy,
        specificity=calibration.output / RESULT_FILE,
        model_card=folder / "card.md",
        model_page=folder / "card.html",
        attribution=folder / "attribution.parquet",
        documents={"configuration": folder / "configuration.yaml"},
        figures={"Depth": calibration.output / "depth_against_target.png"},
        example=folder / "example.jpg",
        output=folder / "release",
        spec_hash="5eed",
        model_name="tiny",
        version_tags={"gbif.doi": "", "naturewatch.network": "baseline"},
        metrics={"top1": 0.5},
        tracking=calibration.tracking.model_copy(update={"stage": "candidate"}),
    )


@functools.cache
def release(*, places: bool = False) -> tuple[RegisterSpec, RegisterResult]:
    """One registered version for all tests of this process: making it takes seconds; another one with `places`."""
    folder = Path(tempfile.mkdtemp(prefix="naturewatch-release-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    spec = register_spec(folder, places=places)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, from logging a model
        return spec, register_run(spec, reporter=QUIET)


class Copied:
    """A copy of the released store, as `cp -r` makes it: its database still names the place it came from."""

    def __init__(self, folder: Path) -> None:
        spec, result = release()
        shutil.copytree(spec.output.parent, folder, copy_function=shutil.copy2)
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.spec: RegisterSpec = spec.model_copy(
            update={"tracking": spec.tracking.model_copy(update={"uri": self.uri})}
        )
        self.client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        self.version: ModelVersion = self.client.get_model_version(spec.model_name, result.version)
        (self.model,) = (folder / "mlartifacts" / "models").iterdir()

    @property
    def weights(self) -> Path:
        return self.model / "artifacts" / "artifacts" / "weights.safetensors"

    def problem(self) -> str | None:
        """Why the version cannot be used."""
        return unusable(self.client, self.version, spec=self.spec)
