"""A small dataset version with all that its description reads: four photographs of two species, one more by genus."""

from typing import Any

from pipeline.config.settings import Settings
from pipeline.dataset.attribution import build_attribution, keep_attribution
from pipeline.dataset.manifest import TABLES, DatasetManifest
from pipeline.files import write_json
from tests.pipeline.tiny import Row, occurrence, photo, write

VERSION = "0123456789abcdef"
DOI = "10.15468/dl.abcdef"
CITATION = f"GBIF.org (1 May 2026) GBIF Occurrence Download https://doi.org/{DOI}"
GBIF: Row = {
    "mode": "download", "key": "0000001-260501000000000", "doi": DOI, "citation": CITATION,
    "created": "2026-05-01T06:00:00.000+00:00",
}  # fmt: skip
LICENCES = ("CC-BY-NC", "CC-BY-NC", "CC0", "all rights reserved", "CC-BY-NC")


def dataset(settings: Settings, *, version: str = VERSION, **source: Any) -> DatasetManifest:  # noqa: ANN401
    """Write tables, `download.json` and `dataset.json`, and keep the version; the source is GBIF's unless told."""
    paths = settings.paths
    told: Row = {"predicate": {}, "checklist_key": "backbone", "archive": "a.zip", "sha256": "s", **(source or GBIF)}
    write_json(paths.current_download, told)
    dates = ("2024-01-05", "2024-01-20", "2023-07-01", "2022-12-31", "2024-02-02")
    write(
        paths,
        "clean_occurrences",
        [occurrence(f"{n}", event_date=date, country="NZ" if n else "AU") for n, date in enumerate(dates)],
    )
    photos = [photo(f"p{n}", of=f"{n}", licence=licence) for n, licence in enumerate(LICENCES)]
    write(paths, "photos", photos)
    lineage: list[Row] = [
        {"node_id": 0, "parent_id": None, "depth": 0, "rank": "root", "name": "Life", "leaf_begin": 0, "leaf_end": 2},
        *(
            {"node_id": n + 1, "parent_id": 0, "depth": 7, "rank": "species", "name": name, "taxon_key": key,
             "class_id": n, "leaf_begin": n, "leaf_end": n + 1}
            for n, (name, key) in enumerate((("Turdus merula", "6171845"), ("Turdus philomelos", "2490804")))
        ),
    ]  # fmt: skip
    write(paths, "taxonomy", [{"placeholder": False, "photos": 2} | node for node in lineage])
    used = [
        {"photo_id": row["photo_id"], "occurrence_key": row["occurrence_key"],
         "observation_id": f"o{row['occurrence_key']}", "path": row["path"]}
        for row in photos
    ]  # fmt: skip
    sides = [("train", None), ("train", None), ("train", None), ("validation", "evaluation")]
    write(
        paths,
        "split",
        [
            {**row, "class_id": n // 2, "split": side, "half": half}
            for n, (row, (side, half)) in enumerate(zip(used[:4], sides, strict=True))
        ],
    )
    write(paths, "genus_photos", [{**used[4], "taxon_key": "r", "species": "Turdus rarus", "node_id": 0}])
    build_attribution(paths)
    manifest = DatasetManifest(
        scope=settings.name, dataset_version=version, split_hash="s" * 32, taxonomy_hash="t" * 32,
        table_hashes={name: f"{name}-hash" for name in TABLES},
        counts={"species": 2, "split": 4, "train": 3, "validation": 1, "photos_ok": 5, "genus_photos": 1},
        rejections={}, gaps={"observation": {"without_validation": ("Turdus merula",), "without_training": ()}},
        download_key=None if told["mode"] == "folder" else told["key"],
        **{name: told.get(name) for name in ("doi", "citation", "origin", "checklist_key")},
    )  # fmt: skip
    write_json(paths.dataset_manifest, manifest.model_dump(mode="json"))
    keep_attribution(paths, version=version)
    return manifest
