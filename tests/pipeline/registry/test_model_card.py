"""The card says where the photographs come from, and invents no citation."""

from pathlib import Path
from typing import Any

import pytest

from ml.spec import RANKS, CalibrateResult
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.registry.model_card import model_card

GBIF = "GBIF.org (1 May 2026) GBIF Occurrence Download https://doi.org/10.15468/dl.x"
SAMPLE = "the embedded sample of NatureWatch: organisms and records drawn in code, nothing of GBIF"
OWN = "own photographs listed in mine.csv (SHA-256 abc)"


@pytest.mark.parametrize(
    ("facts", "source"),
    [
        ({"doi": "10.15468/dl.x", "citation": GBIF}, GBIF),
        ({"doi": "10.21373/dl.x", "citation": GBIF, "origin": SAMPLE}, SAMPLE),
        ({"origin": OWN}, OWN),
        ({}, "a source that does not say how to cite it"),
    ],
)
def test_the_source_is_what_the_data_are(
    settings: Settings, tmp_path: Path, facts: dict[str, Any], source: str
) -> None:
    manifest = DatasetManifest(
        scope="test", dataset_version="d", split_hash="s", taxonomy_hash="t", table_hashes={}, rejections={},
        counts={"species": 2, "train": 8, "validation": 2}, **facts,
    )  # fmt: skip
    (tmp_path / "points.md").write_text("no points")
    numbers: dict[str, Any] = {
        name: 0.5
        for name, field in CalibrateResult.model_fields.items()
        if field.annotation in {float, int} and field.is_required()
    }
    calibration = CalibrateResult.model_construct(**numbers, report=tmp_path / "points.md")
    metrics = {"top1": 0.5, "top5": 0.6, "macro_top1": 0.4, **{f"accuracy_{rank}": 0.5 for rank in RANKS}}
    card = model_card(settings, manifest, network="one view", metrics=metrics, calibration=calibration)
    assert f"Source: {source}. Licences" in card
    assert ("doi.org" in card) == (source == GBIF)
