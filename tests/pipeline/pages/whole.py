"""The tiny dataset with all that its pages read, and a second snapshot of it."""

import json

import pyarrow as pa
import pytest

from pipeline.config.settings import Settings
from pipeline.dataset.attribution import build_attribution
from pipeline.dataset.manifest import build_manifest
from pipeline.files import write_json
from pipeline.history.changes import build_changes
from pipeline.history.drift import build_drift
from pipeline.history.taxonomy_history import build_taxonomy_history
from pipeline.paths import Paths
from pipeline.rejections import write_rejections
from tests.pipeline.tiny import read, write


@pytest.fixture
def whole(built: Settings) -> Settings:
    """The dataset of `test_manifest` after its first snapshot."""
    photos = read(built.paths.table("photos"))
    write(built.paths, "photos", [{**row, "licence": "CC-BY", "rights_holder": "Mary Smith"} for row in photos])
    index = read(built.paths.table("photo_index"))
    write(built.paths, "photo_index", [{**row, "licence": "CC-BY"} for row in index])
    build_changes(built.paths, built)
    build_drift(built.paths)
    build_taxonomy_history(built.paths, built)
    build_attribution(built.paths)
    build_manifest(built.paths, built)
    return built


def leak(paths: Paths) -> None:
    """One pair of near-identical photographs on both sides."""
    sides = {row["split"]: row for row in read(paths.table("split"))}
    fields = (("photo", "photo_id"), ("class", "class_id"))
    pair = {f"{side}_{name}": row[key] for side, row in sides.items() for name, key in fields}
    write(paths, "leakage", [{**pair, "distance": 3}])


def second_snapshot(settings: Settings) -> None:
    """The next snapshot: p2 is gone, p3 another species, p4 another licence, p5 none that is allowed, p99 is new."""
    paths = settings.paths
    record = json.loads(paths.current_download.read_text())
    write_json(paths.current_download, {**record, "key": "0002-2", "sha256": "1"})
    index = {row["photo_id"]: row for row in read(paths.table("photo_index"))}
    del index["p2"], index["p5"]
    index["p3"]["occurrence_key"] = "0"
    index["p4"]["licence"] = "CC0"
    index["p99"] = {**index["p1"], "photo_id": "p99"}
    write(paths, "photo_index", list(index.values()))
    lines = {"key": ["p5", "p39"], "rule": ["licence"] * 2, "detail": ["all rights reserved", "not allowed"]}
    write_rejections(paths, "photo_index", pa.table(lines))
    build_changes(paths, settings)
    build_drift(paths)
