"""Two snapshots are compared photograph by photograph, and the same snapshot always with the same predecessor."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config.licence_names import OPEN
from pipeline.config.settings import Settings
from pipeline.errors import GbifError, TableError
from pipeline.files import write_json
from pipeline.history import changes
from pipeline.history.changes import (
    KINDS,
    NOTHING,
    UNCORRECTED,
    Comparison,
    build_changes,
    changed_species,
    history,
    replaced,
)
from pipeline.history.snapshots import read_snapshots
from pipeline.pages.charts import changes_chart
from pipeline.query import rows
from pipeline.rejections import write_rejections
from pipeline.table_checks import check_table
from tests.pipeline import tiny

Make = Callable[..., Settings]
Index = Mapping[str, tuple[str, str, str]]
"""photo_id -> (occurrence, species key, licence)."""

MERULA, PHILOMELOS, TORQUATUS = "6171845", "2490834", "2490719"
NAMES = {MERULA: "Turdus merula", PHILOMELOS: "Turdus philomelos", TORQUATUS: "Turdus torquatus"}

FIRST: Index = {
    "1": ("10", MERULA, "CC-BY"),
    "2": ("10", MERULA, "CC-BY"),
    "3": ("30", PHILOMELOS, "CC0"),
    "4": ("40", PHILOMELOS, "CC0"),
}
SECOND: Index = {
    "1": ("10", TORQUATUS, "CC-BY-NC"),
    "2": ("10", TORQUATUS, "CC-BY"),
    "4": ("44", PHILOMELOS, "CC-BY"),
    "5": ("50", PHILOMELOS, "CC0"),
}


def write_index(settings: Settings, photographs: Index, *, checklist: str = "backbone") -> None:
    """The tables of an indexed snapshot."""
    index = {photo: row for photo, row in photographs.items() if row[2] in OPEN}
    kept_out = {photo: licence for photo, (_, _, licence) in photographs.items() if photo not in index}
    lines = {
        "key": [*kept_out, "9"],
        "rule": [*("licence" for _ in kept_out), "not_jpeg"],
        "detail": [*kept_out.values(), "png"],
    }
    write_rejections(settings.paths, "photo_index", pa.table(lines))
    species = {occurrence: key for occurrence, key, _ in photographs.values()}
    tiny.write(
        settings.paths,
        "clean_occurrences",
        [
            tiny.occurrence(one, species_key=key, species=NAMES.get(key, key), checklist_key=checklist)
            for one, key in species.items()
        ],
    )
    tiny.write(
        settings.paths,
        "photo_index",
        [
            {
                "photo_id": photo,
                "occurrence_key": occurrence,
                "observation_id": f"o{occurrence}",
                "url": f"http://photos.test/photos/{photo}/large.jpg",
                "licence": licence,
            }
            for photo, (occurrence, _, licence) in index.items()
        ],
    )


def receive(settings: Settings, content: str, index: Index, *, checklist: str = "backbone") -> Comparison:
    """A snapshot arrives, is indexed and compared."""
    write_json(
        settings.paths.current_download,
        {
            "mode": settings.source.mode,
            "key": f"key-{content}",
            "doi": f"10.0/{content}",
            "created": "2026-11-20T10:00:00.000+00:00",
            "predicate": {"country": settings.source.country or "all"},
            "checklist_key": None,
            "archive": "downloads/archive.zip",
            "sha256": content,
        },
    )
    write_index(settings, index, checklist=checklist)
    comparison = build_changes(settings.paths, settings)
    assert check_table("changes", settings.paths.table("changes")) == []
    return comparison


def table(settings: Settings) -> list[dict[str, Any]]:
    return tiny.read(settings.paths.table("changes"))


def kinds(settings: Settings) -> list[tuple[str, str]]:
    return [(row["photo_id"], row["change"]) for row in table(settings)]


def test_every_kind_of_change_is_one_row(settings: Settings) -> None:
    receive(settings, "a", FIRST)
    comparison = receive(settings, "b", SECOND)
    assert kinds(settings) == [
        ("1", "re-identified"),
        ("1", "relicensed"),
        ("2", "re-identified"),
        ("3", "gone"),
        ("4", "relicensed"),
        ("5", "new"),
    ]
    assert comparison.counts == {"new": 1, "gone": 1, "re-identified": 2, "relicensed": 2}
    found = {(row["photo_id"], row["change"]): row for row in table(settings)}
    assert found["1", "re-identified"] == {
        "change": "re-identified",
        "photo_id": "1",
        "occurrence_key_before": "10",
        "occurrence_key_after": "10",
        "species_key_before": MERULA,
        "species_key_after": TORQUATUS,
        "species_before": "Turdus merula",
        "species_after": "Turdus torquatus",
        "licence_before": "CC-BY",
        "licence_after": "CC-BY-NC",
        "url_before": "http://photos.test/photos/1/large.jpg",
        "url_after": "http://photos.test/photos/1/large.jpg",
        "note": None,
    }
    assert {name for name, value in found["3", "gone"].items() if value is None} == {
        "occurrence_key_after", "species_key_after", "species_after", "licence_after", "url_after", "note",
    }  # fmt: skip
    assert {name for name, value in found["5", "new"].items() if value is None} == {
        "occurrence_key_before", "species_key_before", "species_before", "licence_before", "url_before", "note",
    }  # fmt: skip


def test_a_photograph_that_moved_within_its_species_is_the_same_photograph(settings: Settings) -> None:
    receive(settings, "a", {"1": ("10", MERULA, "CC0")})
    receive(settings, "b", {"1": ("11", MERULA, "CC0")})
    assert table(settings) == []


def test_the_first_snapshot_is_all_new_and_says_so(settings: Settings) -> None:
    comparison = receive(settings, "a", FIRST)
    assert comparison.counts == {"new": 4, "gone": 0, "re-identified": 0, "relicensed": 0}
    assert comparison.previous is None
    assert "first snapshot" in comparison.compared_with()
    assert comparison.scope_sentences() == []
    assert "4 photographs, download key-a, DOI 10.0/a, made 2026-11-20" in comparison.snapshot.named()


def test_a_repeated_run_compares_with_the_same_snapshot_again(settings: Settings) -> None:
    receive(settings, "a", FIRST)
    once = receive(settings, "b", SECOND)
    written = settings.paths.table("changes").read_bytes()
    again = receive(settings, "b", SECOND)
    assert again == once
    assert settings.paths.table("changes").read_bytes() == written
    assert [snapshot.number for snapshot in read_snapshots(settings.paths)] == [1, 2]


def test_a_repeated_first_snapshot_stays_the_first(settings: Settings) -> None:
    receive(settings, "a", FIRST)
    assert receive(settings, "a", FIRST).previous is None
    assert {change for _, change in kinds(settings)} == {"new"}


def test_a_run_that_failed_half_way_leaves_the_comparison_to_the_next(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(settings, "a", FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(changes, "tally", _killed)
        with pytest.raises(KeyboardInterrupt):
            receive(settings, "b", {"9": ("90", MERULA, "CC0")})
    assert [snapshot.number for snapshot in read_snapshots(settings.paths)] == [1]
    # The index was mended since: what the killed run copied does not count.
    assert receive(settings, "b", SECOND).counts["re-identified"] == 2
    assert [snapshot.number for snapshot in read_snapshots(settings.paths)] == [1, 2]


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_index_that_was_built_anew_for_the_same_snapshot_replaces_the_copy(settings: Settings) -> None:
    receive(settings, "a", FIRST)
    receive(settings, "b", FIRST)
    assert receive(settings, "b", SECOND).counts["new"] == 1
    assert receive(settings, "c", SECOND).counts == dict.fromkeys(KINDS, 0)


def test_going_back_is_a_snapshot_of_its_own_that_undoes_the_changes(settings: Settings) -> None:
    receive(settings, "a", FIRST)
    forth = receive(settings, "b", SECOND)
    back = receive(settings, "a", FIRST)
    assert (back.snapshot.number, back.snapshot.identity) == (3, read_snapshots(settings.paths)[0].identity)
    assert back.previous is not None
    assert back.previous.number == 2
    assert back.counts == {**forth.counts, "new": forth.counts["gone"], "gone": forth.counts["new"]}


def test_records_stay_and_indices_go_that_no_comparison_needs(settings: Settings) -> None:
    for content, index in (("a", FIRST), ("b", SECOND), ("c", FIRST), ("d", SECOND)):
        receive(settings, content, index)
    assert [path.parent.name for path in sorted(settings.paths.snapshots.glob("*/index.parquet"))] == ["3", "4"]
    assert [(row["snapshot"], row["new"], row["photographs"]) for row in history(settings.paths)] == [
        (4, 1, 4), (3, 1, 4), (2, 1, 4), (1, 4, 4),
    ]  # fmt: skip


def test_a_change_of_the_scope_is_a_snapshot_and_is_told_apart_from_growth(make_settings: Make) -> None:
    receive(make_settings(), "a", FIRST)
    narrower = make_settings(photos={"licences": ["CC0"], "size": "medium"}, source={"country": "NZ"})
    comparison = receive(narrower, "a", {"4": FIRST["4"]})
    assert comparison.counts["gone"] == 3
    assert comparison.scope_sentences() == [
        "The scope changed: what is gone may only have left it, what is new may only have entered it.",
        "photos.licences was open and is CC0.",
        "photos.size was large and is medium.",
        'source was {"country": "all"} and is {"country": "NZ"}.',
    ]


def test_min_images_belongs_to_the_scope_only_where_rare_species_are_skipped(make_settings: Make) -> None:
    receive(make_settings(), "a", FIRST)
    assert receive(make_settings(split={"min_images": 9}), "a", FIRST).previous is None
    skipping = make_settings(split={"min_images": 2}, photos={"skip_rare": True})
    assert receive(skipping, "a", FIRST).scope_sentences()[1:] == ["photos.skip_rare was 0 and is 2."]


def test_species_of_another_checklist_are_compared_by_name(settings: Settings) -> None:
    # An archive follows the checklist of its keys, whatever is configured.
    receive(settings, "a", FIRST, checklist="backbone")
    renumbered = {photo: (one, f"COL{key}", licence) for photo, (one, key, licence) in FIRST.items()}
    names = {f"COL{key}": name for key, name in NAMES.items()}
    with pytest.MonkeyPatch.context() as patch:
        for key, name in names.items():
            patch.setitem(NAMES, key, name)
        comparison = receive(settings, "b", renumbered, checklist="xr")
    assert comparison.counts == dict.fromkeys(KINDS, 0)
    assert comparison.scope_sentences()[1:] == ["source.checklist_key was backbone and is xr."]


def test_what_decides_about_names_belongs_to_the_scope(make_settings: Make, tmp_path: Path) -> None:
    receive(make_settings(), "a", FIRST)
    crosswalk = tmp_path / "crosswalk.csv"
    crosswalk.write_text("from_checklist,from_key,to_checklist,to_key\n")
    changed = make_settings(taxonomy={"fuzzy": "drop", "crosswalk": str(crosswalk)})
    sentences = receive(changed, "a", FIRST).scope_sentences()[1:]
    assert [sentence.split()[0] for sentence in sentences] == ["taxonomy.crosswalk", "taxonomy.fuzzy"]


def test_a_photo_index_of_other_occurrences_is_refused(settings: Settings) -> None:
    receive(settings, "a", FIRST)
    tiny.write(settings.paths, "clean_occurrences", [tiny.occurrence("10")])
    with pytest.raises(TableError, match="materialise photo_index"):
        build_changes(settings.paths, settings)


def test_without_a_download_there_is_no_snapshot(settings: Settings) -> None:
    with pytest.raises(GbifError, match="gbif_download"):
        build_changes(settings.paths, settings)


def test_a_lost_copy_and_a_damaged_record_are_named(settings: Settings) -> None:
    receive(settings, "a", FIRST)
    settings.paths.snapshot_index(1).unlink()
    with pytest.raises(TableError, match=r"1/index\.parquet is missing"):
        receive(settings, "b", SECOND)
    settings.paths.snapshot_record(1).write_text("{}")
    with pytest.raises(TableError, match=r"1/release\.json"):
        receive(settings, "b", SECOND)


def test_the_page_answers_who_gained_and_lost_and_what_became_what(settings: Settings) -> None:
    receive(settings, "a", FIRST)
    comparison = receive(settings, "b", SECOND)
    assert [(row["species"], row["gained"], row["lost"]) for row in changed_species(settings.paths, most=10)] == [
        ("Turdus torquatus", 2, 0),
        ("Turdus merula", 0, 2),
    ]
    assert replaced(settings.paths, "re-identified", most=5) == [
        {"before": "Turdus merula", "after": "Turdus torquatus", "photographs": 2}
    ]
    assert replaced(settings.paths, "relicensed", most=5) == [
        {"before": "CC-BY", "after": "CC-BY-NC", "photographs": 1},
        {"before": "CC0", "after": "CC-BY", "photographs": 1},
    ]
    assert changes_chart(settings.paths, comparison).read_bytes().startswith(b"\x89PNG")


def test_species_are_ranked_on_both_sides(settings: Settings) -> None:
    many = {str(number): (str(number), f"{number % 9}", "CC0") for number in range(45)}
    receive(settings, "a", {photo: row for photo, row in many.items() if int(row[1]) < 5})
    receive(settings, "b", {photo: row for photo, row in many.items() if int(row[1]) > 2})
    found = [(row["species"], row["gained"] - row["lost"]) for row in changed_species(settings.paths, most=2)]
    assert found == [("5", 5), ("6", 5), ("0", -5), ("1", -5)]


def test_nothing_changed_is_drawn_too(settings: Settings) -> None:
    receive(settings, "a", FIRST)
    comparison = receive(settings, "b", FIRST)
    assert changes_chart(settings.paths, comparison).read_bytes().startswith(b"\x89PNG")
    assert changed_species(settings.paths, most=5) == []


CLOSED = "all rights reserved"


indices = st.dictionaries(
    st.integers(0, 12).map(str),
    st.tuples(
        st.sampled_from("abcd"), st.sampled_from([MERULA, PHILOMELOS]), st.sampled_from(["CC0", "CC-BY", CLOSED])
    ),
)


def _snapshot(index: Index) -> pa.Table:
    records: list[dict[str, str | None]] = [
        {
            "photo_id": photo,
            "occurrence_key": occurrence,
            "species_key": key,
            "species": NAMES[key],
            "licence": licence,
            "url": f"http://photos.test/{photo}",
        }
        for photo, (occurrence, key, licence) in index.items()
    ]
    for record in records:
        if record["licence"] == CLOSED:
            record.update(dict.fromkeys(("occurrence_key", "species_key", "species", "url")))
    return pa.Table.from_pylist(records, schema=NOTHING.schema)


@given(before=indices, after=indices)
@hypothesis_settings(max_examples=30, deadline=None)
def test_the_changes_applied_to_the_old_index_give_the_new_one(before: Index, after: Index) -> None:
    compared = {"earlier": _snapshot(before), "later": _snapshot(after)}
    found = rows("changes", inputs={**compared, "corrected": UNCORRECTED}, same_checklist=True)
    state = {
        photo: {"species_key": key, "licence": licence}
        for photo, (_, key, licence) in before.items()
        if licence != CLOSED
    }
    for row in found:
        photo = row["photo_id"]
        match row["change"]:
            case "new":
                assert photo not in state
                state[photo] = {"species_key": row["species_key_after"], "licence": row["licence_after"]}
            case "gone":
                del state[photo]
            case "re-identified":
                assert state[photo]["species_key"] == row["species_key_before"] != row["species_key_after"]
                state[photo]["species_key"] = row["species_key_after"]
            case "relicensed":
                assert before[photo][2] == row["licence_before"] != row["licence_after"] == after[photo][2]
                if row["licence_after"] == CLOSED:
                    assert photo not in state, "gone stands before it"
                else:
                    state[photo]["licence"] = row["licence_after"]
    assert state == {
        photo: {"species_key": key, "licence": licence}
        for photo, (_, key, licence) in after.items()
        if licence != CLOSED
    }
    assert {row["note"] for row in found} <= {None}
    # Nothing is said twice, and nothing that did not happen.
    assert len({(row["photo_id"], row["change"]) for row in found}) == len(found)


def test_copies_are_compressed(settings: Settings) -> None:
    receive(settings, "a", FIRST)
    metadata = pq.ParquetFile(settings.paths.snapshot_index(1)).metadata
    assert metadata.row_group(0).column(0).compression == "ZSTD"
