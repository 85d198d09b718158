"""A small data root that has lived: four registered versions of a tiny network, and all that they were made of."""

import atexit
import datetime as dt
import functools
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

import dagster as dg
import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.tracking import MlflowClient

from ml.networks.network import load
from ml.serving.answering import Answering
from ml.serving.versions import files_of, find_version
from pipeline.config.settings import Settings
from pipeline.files import write_bytes, write_json
from pipeline.paths import Paths
from pipeline.photos.bodies import path_of, store
from pipeline.photos.journal import SEALED
from pipeline.tracking import tags
from pipeline.tracking.runs import client as connect
from tests.ml.specificity_fixtures import Copied
from tests.mlflow_stores import EXPERIMENT
from tests.pipeline import tiny

MODEL: Final = "tiny"
DATASETS: Final = {number: str(number) * 16 for number in (1, 2, 3, 4)}
"""The dataset version that each version was trained on; that of version 4 is the present one."""
LARGE: Final = 1_000_000
"""Bytes of a file that is not copied."""
PRESENT: Final = DATASETS[4]
LONG_AGO: Final = dt.datetime.now(tz=dt.UTC) - dt.timedelta(days=1000)
"""When everything but the present dataset was made."""


def settings_of(root: Path, **retention: Any) -> Settings:  # noqa: ANN401
    """Settings whose policy keeps as little as it may."""
    policy = {"versions": 1, "champions": 1, "downloads": 1, **retention}
    return Settings(
        name="test", data_root=root, registry={"model_name": MODEL, "experiment": EXPERIMENT}, retention=policy
    )


def lived_in(root: Path) -> Settings:
    """Copy the data root: version 1 is needed by nobody, 2 was the champion before 3, 4 is the challenger."""
    shutil.copytree(_made(), root, copy_function=_copy)
    return settings_of(root)


def _copy(source: str, target: str) -> str:
    """Copy a file; a large one, which nothing writes to, is linked."""
    if Path(source).stat().st_size > LARGE and not source.endswith(".db"):
        os.link(source, target)
        return target
    return shutil.copy2(source, target)


@functools.cache
def _made() -> Path:
    """The data root that all tests of this process copy: making it takes seconds."""
    root = Path(tempfile.mkdtemp(prefix="naturewatch-lived-in-")) / "data"
    atexit.register(shutil.rmtree, root.parent, ignore_errors=True)
    copied = Copied(root)
    settings = settings_of(root)
    _versions(copied, connected=connect(settings))
    for number, dataset in DATASETS.items():
        _of_dataset(settings.paths, number, dataset)
    _photographs(settings.paths)
    with instance_in(root) as instance:
        instance.get_run_records()
        instance.get_asset_keys()
    return root


def training_of(number: int) -> str:
    """The hash of the training that a version was made of."""
    return f"{number:016x}"


def body_of(photo_id: str) -> str:
    """The SHA-256 of a photograph."""
    return hashlib.sha256(photo_id.encode()).hexdigest()


def photographs(paths: Paths) -> set[str]:
    """The photographs of `p0` to `p4` whose files are there."""
    return {f"p{number}" for number in range(5) if path_of(paths.photos, body_of(f"p{number}")).exists()}


def load_version(settings: Settings, alias: str) -> str:
    """Load a version as a server does, and return its number.

    Raises:
        ModelError: it cannot be loaded.
    """
    version = find_version(uri=settings.tracking_uri, name=MODEL, alias=alias)
    with files_of(version, uri=settings.tracking_uri) as artifacts:
        Answering.read(artifacts)
        load(Path(artifacts["network"]), Path(artifacts["weights"]))
    return version.number


def instance_in(root: Path) -> dg.DagsterInstance:
    """Dagster's instance of a data root."""
    home = root / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    return dg.DagsterInstance.local_temp(str(home))


def age(path: Path, *, moment: dt.datetime = LONG_AGO) -> None:
    """Let a file, or all files of a folder, look as old as that."""
    for each in [path, *path.rglob("*")]:
        os.utime(each, (moment.timestamp(), moment.timestamp()))


def version_of(client: MlflowClient, *, model_id: str, run_id: str, number: int, name: str = MODEL) -> None:
    """Register a logged model."""
    before = mlflow.get_tracking_uri()
    # MLflow looks a logged model up where this says, whatever the client's own address is.
    mlflow.set_tracking_uri(client.tracking_uri)
    try:
        client.create_model_version(name, f"models:/{model_id}", run_id, tags=_version_tags(number), model_id=model_id)
    finally:
        mlflow.set_tracking_uri(before)


def _versions(copied: Copied, *, connected: MlflowClient) -> None:
    """Version 1 is the one that was really registered; the others are it, under their own runs."""
    client, first = connected, copied.version
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    _tag_run(client, str(first.run_id), 1)
    for name, value in _version_tags(1).items():
        client.set_model_version_tag(MODEL, "1", name, value)
    client.delete_registered_model_alias(MODEL, "challenger")
    began = int(LONG_AGO.timestamp() * 1000)
    for number in (2, 3, 4):
        run = client.create_run(experiment.experiment_id, start_time=began)
        client.set_terminated(run.info.run_id)
        _tag_run(client, run.info.run_id, number)
        model = client.create_logged_model(experiment.experiment_id, name="candidate", source_run_id=run.info.run_id)
        target = copied.model.parent / model.model_id / "artifacts"
        shutil.copytree(copied.model / "artifacts", target, copy_function=os.link)
        version_of(client, model_id=model.model_id, run_id=run.info.run_id, number=number)
    client.set_registered_model_alias(MODEL, "champion", "3")
    client.set_registered_model_alias(MODEL, "challenger", "4")


def _tag_run(client: MlflowClient, run_id: str, number: int) -> None:
    own = {
        "naturewatch.scope": "test",
        "naturewatch.stage": "candidate",
        "naturewatch.dataset_version": DATASETS[number],
    }
    for name, value in own.items():
        client.set_tag(run_id, name, value)


def _version_tags(number: int) -> dict[str, str]:
    found = {
        tags.DATA_VERSION: DATASETS[number],
        tags.TRAINING: training_of(number),
        tags.SPEC_HASH: f"a{training_of(number)[1:]}",
        "gbif.download_key": _key(number),
    }
    if number == 3:
        found |= {tags.PROMOTED_AT: LONG_AGO.isoformat(), tags.REPLACED: "2"}
    return found


def _key(number: int) -> str:
    return f"000000{number}-250519326858825"


def _of_dataset(paths: Paths, number: int, dataset: str) -> None:
    """Credits, raw download, training, calibration and candidate."""
    credits_ = paths.dataset_version(dataset) / "attribution.parquet"
    credits_.parent.mkdir(parents=True)
    pq.write_table(pa.table({"photo_id": [f"p{number}"]}), credits_)
    archive = paths.downloads / "scope" / f"{_key(number)}.zip"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("meta.xml", "<archive/>")
    write_bytes(archive.with_name(f"{archive.name}.validator"), b"")
    training = paths.model("baseline", training_of(number))
    calibration = paths.evaluation("baseline", f"c{training_of(number)[1:]}")
    candidate = paths.release / f"a{training_of(number)[1:]}"
    tracking = {"tracking": {"tags": {"naturewatch.dataset_version": dataset}}}
    write_json(training / "spec.json", tracking)
    write_bytes(training / "weights.safetensors", b"weights")
    write_json(calibration / "spec.json", tracking | {"predictions": f"/elsewhere/models/baseline/{training.name}/p"})
    write_json(candidate / "spec.json", tracking | {"specificity": f"{calibration}/result.json"})
    write_json(candidate / "result.json", {})
    write_bytes(paths.exam_answers / "answers" / str(number) / "answers.parquet", b"answers")
    for folder in (training, calibration, candidate):
        age(folder)
    age(archive, moment=LONG_AGO + dt.timedelta(days=number))


def _photographs(paths: Paths) -> None:
    """A photograph for each dataset version, and `p0` for none; the ledger knows that of the present one."""
    attempts = []
    for number in range(5):
        content = f"p{number}".encode()
        store(paths.photos, sha256=body_of(f"p{number}"), content=content)
        row = {"photo_id": f"p{number}", "status": "ok", "sha256": body_of(f"p{number}")}
        attempts.append({**dict.fromkeys(SEALED.names), **row, "fetched_at": "2020-01-01T00:00:00", "line": number})
    paths.attempts.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(attempts, schema=SEALED), paths.attempts / "000001.parquet")
    path = f"photos/{body_of('p4')[:2]}/{body_of('p4')}.jpg"
    fetched = dt.datetime(2020, 1, 1)  # noqa: DTZ001 (as the ledger has it)
    tiny.write(paths, "photos", [tiny.photo("p4", of="1", sha256=body_of("p4"), path=path, fetched_at=fetched)])
    pq.write_table(pa.table({"photo_id": ["p4"], "path": [path]}), paths.table("split"))
    pq.write_table(pa.table({"photo_id": pa.array([], pa.string()), "path": pa.array([], pa.string())}),
                   paths.table("genus_photos"))  # fmt: skip
    manifest = {
        "scope": "test", "dataset_version": PRESENT, "split_hash": "s", "taxonomy_hash": "t",
        "table_hashes": {}, "counts": {}, "rejections": {},
    }  # fmt: skip
    write_json(paths.dataset_manifest, manifest)
    record: dict[str, object] = {
        "mode": "download", "key": _key(4), "predicate": {}, "checklist_key": None, "sha256": "s",
        "archive": f"downloads/scope/{_key(4)}.zip",
    }  # fmt: skip
    write_bytes(paths.current_download, json.dumps(record).encode())
