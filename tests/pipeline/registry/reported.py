"""A small dataset with all that a report reads: photographs, suspects, and the answers of a version in the exam."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ml.spec import RESULT_FILE, LabelQualityResult, NetworkName
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.files import write_json
from pipeline.label_quality.judging import label_quality_spec
from pipeline.label_quality.suspects import build_suspects
from pipeline.registry.report_page import Report, build_report
from pipeline.registry.reported_version import ReportedVersion
from tests.pipeline import trained
from tests.pipeline.dataset.test_pack import jpeg
from tests.pipeline.label_quality.test_suspects import SCORES
from tests.pipeline.tiny import occurrence, photo, read, write

NETWORK: NetworkName = "multi_view"
REJECTED = {"clean_occurrences": {"hybrid": 2}, "photo_index": {"licence": 1}}
VERSION = ReportedVersion(
    number="3", run_id="abc", identity="MLflow run abc", registered=dt.date(2026, 11, 26), champion="3", gate="passed",
    reasons=("top-1 80.0 % against 78.0 % of version 2",), exam="4", commit="0123abcd",
)  # fmt: skip
CLOSED = "all rights reserved"


def photographed(settings: Settings) -> DatasetManifest:
    """The dataset of `trained` with its photographs: those of the last species are under no open licence."""
    paths = settings.paths
    manifest = trained.dataset(paths).model_copy(update={"rejections": REJECTED, "citation": "GBIF.org, a download"})
    write_json(paths.dataset_manifest, manifest.model_dump(mode="json"))
    split = [
        {**row, "occurrence_key": f"g{row['observation_id']}", "path": f"photos/{row['photo_id']}.jpg",
         "half": "evaluation" if row["split"] == "validation" else None}
        for row in read(paths.table("split"))
    ]  # fmt: skip
    write(paths, "split", split)
    address = "https://inaturalist-open-data.s3.amazonaws.com/photos/{}/large.jpg"
    photos = [
        photo(row["photo_id"], of=row["occurrence_key"], url=address.format(number),
              licence=CLOSED if row["class_id"] == 3 else "CC-BY-NC", rights_holder=f"Holder {row['class_id']}")
        for number, row in enumerate(split)
    ]  # fmt: skip
    write(paths, "photos", photos)
    write(
        paths, "clean_occurrences", [occurrence(key) for key in sorted({row["occurrence_key"] for row in split})[:50]]
    )
    (paths.data_root / "photos").mkdir()
    for row in split:
        if row["class_id"] < 3:
            (paths.data_root / row["path"]).write_bytes(jpeg(64, 48, seed=row["class_id"]))
    return manifest


def judged(settings: Settings, manifest: DatasetManifest) -> None:
    """The first photograph of the dataset is suspected."""
    paths, spec = settings.paths, label_quality_spec(settings, manifest)
    split = read(paths.table("split"))
    rows: list[dict[str, Any]] = [
        {"photo_id": row["photo_id"], "class_id": row["class_id"], "fold": 0, "rank": place + 1, "suspicion": 1.0,
         "self_confidence": 0.9 if place else 0.1, "margin": 0.5, "suggested_class_id": (row["class_id"] + 1) % 3,
         "suggested_probability": 0.05 if place else 0.85, "is_issue": place == 0}
        for place, row in enumerate(split)
    ]  # fmt: skip
    spec.output.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCORES), spec.output / "scores.parquet")
    paths.training_photos.mkdir(parents=True)
    prints = [{"photo_id": row["photo_id"], "fingerprint": 1 << place % 60} for place, row in enumerate(split)]
    pq.write_table(pa.Table.from_pylist(prints), paths.pack_index)
    build_suspects(paths, spec.output / "scores.parquet")
    result = LabelQualityResult(
        scores=spec.output / "scores.parquet", photos=len(rows), judged=len(rows), issues=1, accuracy=0.9, seconds=1.0
    )
    result.write(spec.output / RESULT_FILE)


def examined(settings: Settings, version: ReportedVersion, *, identity: str | None = None) -> None:
    """The answers of a version: species for the photographs of the first species, genus for all others."""
    folder = settings.paths.exam_answers / "answers" / version.number
    folder.mkdir(parents=True)
    labels = trained.truth().tolist()
    answers = {
        "photo_id": trained.photo_ids(),
        "depth": pa.array([7 if label == 0 else 6 for label in labels], pa.int32()),
        "answer_right": [label != 2 for label in labels],
    }
    pq.write_table(pa.table(answers), folder / "answers.parquet")
    facts = {"naturewatch.identity": identity or version.identity}
    pq.write_table(pa.table({"photo_id": ["p000"]}).replace_schema_metadata(facts), folder / "raw.parquet")


def reported(settings: Settings, manifest: DatasetManifest, version: ReportedVersion = VERSION) -> Report:
    """The report on the training of research that is released."""
    production = trained.adopted(settings, manifest, network=NETWORK)
    return build_report(settings, manifest, production=production, version=version)
