"""What the photographs of two snapshots are of, and how far that is apart."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config.settings import Settings
from pipeline.defs import checks
from pipeline.defs.scope_resource import Scope
from pipeline.files import write_json
from pipeline.history.changes import build_changes
from pipeline.history.drift import KINDS, MOST_DRIFT, build_drift, distances, last_distances, moves
from pipeline.query import rows
from pipeline.table_checks import check_table
from tests.pipeline import tiny
from tests.pipeline.history.test_changes import receive

KIWI = {"species": "Apteryx mantelli", "species_key": "k", "class": "Aves"}
FERN = {"species": "Cyathea dealbata", "species_key": "f", "class": "Polypodiopsida", "event_date": "2023"}
NOWHERE = {"decimal_latitude": None, "decimal_longitude": None, "country": None, "event_date": None, "class": None}


def snapshot(settings: Settings, content: str, *occurrences: dict[str, Any]) -> None:
    """A snapshot of so many photographs, one of each occurrence, is indexed and compared."""
    receive(settings, content, {str(number): (str(number), "6171845", "CC-BY") for number in range(len(occurrences))})
    paths = settings.paths
    tiny.write(
        paths, "clean_occurrences", [tiny.occurrence(str(key), **changes) for key, changes in enumerate(occurrences)]
    )
    build_changes(paths, settings)
    assert check_table("drift", build_drift(paths)) == []


def shares(settings: Settings, kind: str) -> dict[str, tuple[float | None, float]]:
    found = tiny.read(settings.paths.table("drift"))
    return {row["value"]: (row["share_before"], row["share"]) for row in found if row["kind"] == kind}


def test_a_first_snapshot_has_shares_and_no_distance(settings: Settings) -> None:
    snapshot(settings, "one", KIWI, KIWI, KIWI, FERN, NOWHERE)
    assert shares(settings, "class") == {"Aves": (None, 0.6), "Polypodiopsida": (None, 0.2), "unknown": (None, 0.2)}
    assert shares(settings, "month") == {"05": (None, 0.6), "unknown": (None, 0.4)}
    assert shares(settings, "year") == {"2024": (None, 0.6), "2023": (None, 0.2), "unknown": (None, 0.2)}
    assert shares(settings, "cell") == {"-40, 170": (None, 0.8), "unknown": (None, 0.2)}
    assert shares(settings, "country") == {"NZ": (None, 0.8), "unknown": (None, 0.2)}
    assert shares(settings, "licence") == {"CC-BY": (None, 1.0)}
    assert last_distances(settings.paths) == {}
    assert moves(settings.paths, most=5) == []


def test_the_distance_is_the_share_that_would_have_to_be_exchanged(settings: Settings) -> None:
    snapshot(settings, "one", KIWI, KIWI, KIWI, FERN)
    snapshot(settings, "two", KIWI, KIWI, FERN, FERN)
    found = last_distances(settings.paths)
    assert list(found) == list(KINDS)
    assert found["class"] == found["species"] == found["year"] == found["month"] == pytest.approx(0.25)
    assert found["country"] == found["licence"] == found["cell"] == 0
    assert [(row["value"], round(row["difference"], 2)) for row in moves(settings.paths, most=5)[:2]] == [
        ("Aves", -0.25),
        ("Polypodiopsida", 0.25),
    ]


def test_the_same_snapshot_has_the_same_predecessor_and_all_distances_are_kept(settings: Settings) -> None:
    snapshot(settings, "one", KIWI)
    snapshot(settings, "two", KIWI, FERN)
    table = settings.paths.table("drift").read_bytes()
    snapshot(settings, "two", KIWI, FERN)
    assert settings.paths.table("drift").read_bytes() == table
    snapshot(settings, "three", FERN)
    history = [(row["snapshot"], row["distance"]) for row in distances(settings.paths) if row["kind"] == "species"]
    assert history == [(2, 0.5), (3, 0.5)]


def test_a_predecessor_of_a_version_without_shares_is_not_compared(settings: Settings) -> None:
    snapshot(settings, "one", KIWI)
    snapshot(settings, "two", FERN)
    (settings.paths.snapshot_shares / "000002.parquet").unlink()
    snapshot(settings, "three", FERN)
    assert last_distances(settings.paths) == {}


@given(counts=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6))
@hypothesis_settings(max_examples=25, deadline=None)
def test_it_is_half_the_sum_of_the_differences(counts: list[tuple[int, int]]) -> None:
    before, after = np.array(counts).T + np.eye(len(counts), dtype=int)[0]
    shares = [
        {"snapshot": number, "kind": "class", "value": str(value), "photographs": int(photographs)}
        for number, own in ((3, before), (7, after))
        for value, photographs in enumerate(own)
        if photographs
    ]
    (found,) = rows("drift_distances", inputs={"shares": pa.Table.from_pylist(shares)}, snapshots=[3, 7])
    expected = np.abs(before / before.sum() - after / after.sum()).sum() / 2
    assert found["distance"] == pytest.approx(expected)
    assert 0 <= found["distance"] <= 1


def test_a_large_distance_is_a_warning(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = tmp_path / "scope.yaml"
    write_json(scope, {"name": "birds", "data_root": str(settings.data_root)})
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(scope))
    snapshot(settings, "one", *[KIWI] * 20)
    snapshot(settings, "two", *[KIWI] * 18, FERN, FERN)
    result = checks.drift_is_small(Scope())
    assert isinstance(result, dg.AssetCheckResult)
    assert result.passed, f"{MOST_DRIFT} is not above the limit"
    snapshot(settings, "three", *[KIWI] * 10, *[FERN] * 10)
    result = checks.drift_is_small(Scope())
    assert isinstance(result, dg.AssetCheckResult)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.metadata["large"].value == "class: 40.0%, species: 40.0%, month: 40.0%, year: 40.0%"
