"""Photographs whose licence changed: which leave, which enter, and what a narrower scope is not."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.settings import Settings
from pipeline.history.changes import NOTHING, relicensed
from pipeline.history.snapshots import read_snapshots
from tests.pipeline import tiny
from tests.pipeline.history.test_changes import CLOSED, FIRST, MERULA, PHILOMELOS, Make, kinds, receive, table


def test_a_photograph_that_is_no_longer_open_leaves_and_is_named(settings: Settings) -> None:
    receive(settings, "a", FIRST)
    comparison = receive(settings, "b", {**FIRST, "2": ("10", MERULA, CLOSED), "3": ("30", PHILOMELOS, "CC-BY")})
    assert kinds(settings) == [("2", "gone"), ("2", "relicensed"), ("3", "relicensed")]
    assert comparison.counts == {"new": 0, "gone": 1, "re-identified": 0, "relicensed": 2}
    assert comparison.snapshot.photographs == 3
    common = {"photo_id": "2", "occurrence_key": "10", "observation_id": "o10", "species": "Turdus merula"}
    left = {"effect": "left", **common, "licence_before": "CC-BY", "licence_after": CLOSED}
    assert relicensed(settings.paths, most=1) == [left]
    assert [(row["effect"], row["photo_id"]) for row in relicensed(settings.paths)] == [("left", "2"), ("stays", "3")]


def test_a_photograph_that_became_open_enters_and_one_that_stays_closed_is_not_heard_of(settings: Settings) -> None:
    receive(settings, "a", {**FIRST, "6": ("40", PHILOMELOS, CLOSED), "7": ("40", PHILOMELOS, CLOSED)})
    receive(settings, "b", {**FIRST, "6": ("40", PHILOMELOS, "CC0"), "7": ("40", PHILOMELOS, "unknown")})
    assert kinds(settings) == [("6", "new"), ("6", "relicensed")]
    (row,) = relicensed(settings.paths)
    assert (row["effect"], row["licence_before"], row["licence_after"]) == ("entered", CLOSED, "CC0")


def test_a_scope_that_becomes_narrower_takes_photographs_away_and_relicenses_none(make_settings: Make) -> None:
    # As an index was copied when every licence was used, too.
    wide, narrow = make_settings(photos={"licences": ["all"]}), make_settings()
    receive(wide, "a", FIRST)
    index = tiny.read(wide.paths.snapshot_index(1))
    index[1]["licence"] = CLOSED
    pq.write_table(pa.Table.from_pylist(index, schema=NOTHING.schema), wide.paths.snapshot_index(1))
    comparison = receive(narrow, "a", {**FIRST, "2": ("10", MERULA, CLOSED)})
    assert comparison.scope_sentences()[1:] == ["photos.licences was all and is open."]
    (gone,) = table(narrow)
    assert (gone["change"], gone["licence_before"], gone["licence_after"]) == ("gone", CLOSED, CLOSED)
    assert relicensed(narrow.paths) == []


def test_every_licence_is_the_same_scope_however_it_is_said(make_settings: Make, tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("path\n")
    own = {"mode": "folder", "folder": str(tmp_path / "photos.csv")}
    receive(make_settings(source=own), "a", FIRST)
    assert receive(make_settings(source=own, photos={"licences": ["all"]}), "a", FIRST).snapshot.number == 1
    assert read_snapshots(make_settings().paths)[0].scope["photos.licences"] == []
