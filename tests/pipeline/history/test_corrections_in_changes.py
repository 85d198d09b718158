"""A person's corrections are told from GBIF's changes."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from pipeline.config.settings import Settings
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.files import write_json
from pipeline.history.changes import build_changes
from pipeline.photos.index import build_photo_index
from pipeline.table_checks import check_table
from tests.pipeline.tiny import occurrence, read, write

THRUSH = {"species": "Turdus philomelos", "species_key": "2490719", "taxon_key": "2490719"}


def received(settings: Settings, content: str, *, moved: tuple[str, ...] = ()) -> dict[str, tuple[str, str | None]]:
    """The photographs that changed: change and note. Of `moved` records GBIF itself says that they are thrushes."""
    paths = settings.paths
    records = [occurrence(str(key), **(THRUSH if key > 6 or str(key) in moved else {})) for key in range(1, 9)]
    write(paths, "occurrences", records)
    media = [
        {"occurrence_key": str(key), "position": 0, "url": f"https://photos.replica.test/photos/{10 + key}/large.jpg",
         "format": "image/jpeg", "type": "StillImage", "licence": "CC-BY"}
        for key in range(1, 9)
    ]  # fmt: skip
    write(paths, "media", media)
    write_json(paths.current_download, {
        "mode": "download", "key": content, "predicate": {}, "checklist_key": None, "archive": "a.zip",
        "sha256": content,
    })  # fmt: skip
    build_clean_occurrences(paths, settings)
    build_photo_index(paths, settings)
    build_changes(paths, settings)
    assert check_table("changes", paths.table("changes")) == []
    return {row["photo_id"]: (row["change"], row["note"]) for row in read(paths.table("changes"))}


def test_what_a_correction_did_has_a_note_and_what_gbif_did_has_none(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    file = tmp_path / "corrections.csv"
    file.write_text(
        "photo_id,occurrence_key,action,species,who\n"
        ",1,identify,Turdus philomelos,A. Ngata\n"
        "12,2,drop,,A. Ngata\n"
        ",3,drop,,A. Ngata\n"
        ",5,identify,Moa moa,A. Ngata\n"
    )
    before, after = make_settings(), make_settings(labels={"corrections": file})
    received(before, "a")
    assert received(after, "a", moved=("4",)) == {
        "11": ("re-identified", "correction"),
        "12": ("gone", "correction"),
        "13": ("gone", "correction"),
        "14": ("re-identified", None),
    }
    snapshot = after.paths.snapshot_record(2).read_text()
    assert "labels.corrections" in snapshot, "each state of the file is a snapshot of its own"


def test_without_a_file_of_corrections_a_snapshot_is_what_it_was(settings: Settings) -> None:
    received(settings, "a")
    assert "labels.corrections" not in settings.paths.snapshot_record(1).read_text()
    assert pa.array([row["note"] for row in read(settings.paths.table("changes"))]).null_count == 8
