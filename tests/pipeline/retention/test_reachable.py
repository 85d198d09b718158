"""For any graph of versions, datasets, runs, folders and photographs: nothing that a kept version reaches goes."""

import datetime as dt

import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from pipeline.paths import Paths
from pipeline.photos.bodies import path_of, store
from pipeline.photos.journal import SEALED
from pipeline.retention.folders import Folder, needed_folders
from pipeline.retention.mlflow_store import TrackedRun, needed_runs
from pipeline.retention.orphans import SLICE, find_bodies, remove_bodies, unreadable
from tests.pipeline import tiny
from tests.pipeline.retention.lived_in import body_of

NAMES = [f"{kind}/{number:016x}" for kind in ("models/n", "evaluation/n", "release") for number in range(6)]
DAY = dt.timedelta(days=1)
NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)


@st.composite
def graphs(draw: st.DrawFn) -> list[Folder]:
    """Folders that name any others, of any dataset."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    return [
        Folder(
            name=name,
            dataset=draw(st.sampled_from(["d1", "d2", "d3", None])),
            written=draw(st.sampled_from([0.0, 10.0])),
            made_from=frozenset(draw(st.lists(st.sampled_from(NAMES), max_size=3))),
        )
        for name in names
    ]


@hypothesis.given(folders=graphs(), kept=st.sets(st.sampled_from([f"{number:016x}" for number in range(6)])))
@hypothesis.settings(max_examples=60)
def test_no_folder_goes_that_is_reached_from_one_that_stays(folders: list[Folder], kept: set[str]) -> None:
    known = {folder.name: folder for folder in folders}
    needed = needed_folders(
        folders, versions=dict.fromkeys(kept, "7"), dataset="d1", next_release={f"{5:016x}"}, since=5.0
    )
    for name in needed:
        assert known[name].made_from & known.keys() <= needed.keys()
    for name, folder in known.items():
        if name.rpartition("/")[2] in {*kept, f"{5:016x}"} or folder.dataset in {"d1", None} or folder.written > 5:
            assert name in needed
    # The rest is reached from nowhere: it goes.
    reached = {other for name in needed for other in known[name].made_from}
    roots = {
        name for name, each in known.items()
        if name.rpartition("/")[2] in {*kept, f"{5:016x}"} or each.dataset in {"d1", None} or each.written > 5
    }  # fmt: skip
    assert needed.keys() <= roots | reached


@hypothesis.given(
    shape=st.lists(
        st.tuples(
            st.sampled_from(["candidate", "baseline", "dataset"]),
            st.sampled_from(["d1", "d2", None]),
            st.booleans(),
            st.booleans(),
            st.none() | st.integers(0, 9),
            st.sampled_from([1, 500]),
        ),
        min_size=1,
        max_size=10,
    ),
    with_version=st.sets(st.integers(0, 9)),
)
@hypothesis.settings(max_examples=60)
def test_no_run_goes_that_a_kept_version_or_its_dataset_has(
    shape: list[tuple[str, str | None, bool, bool, int | None, int]], with_version: set[int]
) -> None:
    runs = [
        TrackedRun(
            run_id=str(number), started=NOW - days * DAY, finished=finished, stage=stage, dataset=dataset, keep=keep,
            parent=None if parent is None else str(parent),
        )
        for number, (stage, dataset, finished, keep, parent, days) in enumerate(shape)
    ]  # fmt: skip
    versions = {str(number): "version 1" for number in with_version}
    needed = needed_runs(runs, versions=versions, datasets={"d1"}, since=NOW - 100 * DAY)
    known = {run.run_id: run for run in runs}
    for run in runs:
        registered = run.stage == "candidate" and run.finished
        if run.run_id in versions or run.keep or (run.dataset in {"d1", None} and not registered):
            assert run.run_id in needed
        if run.run_id in needed and run.parent in known:
            assert run.parent in needed
        if run.run_id not in needed:
            assert registered or (run.dataset == "d2" and run.started < NOW - 100 * DAY)


PHOTOS = [f"p{number}" for number in range(8)]
some = st.sets(st.sampled_from(PHOTOS))


@hypothesis.given(stored=some, ledger=some, split=some, exam=some, credited=some, late=some)
@hypothesis.settings(max_examples=12, suppress_health_check=[hypothesis.HealthCheck.too_slow])
def test_exactly_the_photographs_go_that_nothing_names(
    tmp_path_factory: pytest.TempPathFactory, stored: set[str], ledger: set[str], split: set[str], exam: set[str],
    credited: set[str], late: set[str],
) -> None:  # fmt: skip
    paths = Paths(data_root=tmp_path_factory.mktemp("photographs"))
    for photo in stored:
        store(paths.photos, sha256=body_of(photo), content=photo.encode())
    _write(paths, ledger=ledger, split=split, exam=exam, late=late)
    folder = paths.dataset_version("d")
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"photo_id": pa.array(sorted(credited), pa.string())}), folder / "attribution.parquet")
    assert unreadable(paths, datasets=["d"]) is None
    work = paths.work("prune")
    work.mkdir(parents=True)
    bodies, half = find_bodies(paths, datasets=["d"], work=work)
    # While the ledger is empty, every fetch is later than what it knows.
    orphans = stored - ledger - split - exam - credited - (late if ledger else stored)
    assert (bodies.number, bodies.bytes, half) == (len(orphans), 2 * len(orphans), [])
    asked = list[int]()
    assert remove_bodies(paths, bodies, before_each=lambda: asked.append(1)) == bodies.bytes
    assert len(asked) == -(-len(orphans) // SLICE)
    assert {photo for photo in PHOTOS if path_of(paths.photos, body_of(photo)).exists()} == stored - orphans


def _write(paths: Paths, *, ledger: set[str], split: set[str], exam: set[str], late: set[str]) -> None:
    """The tables that name photographs; those of `late` were fetched after the ledger was made."""
    fetched = dt.datetime(2026, 1, 1)  # noqa: DTZ001 (as the ledger has it)
    tiny.write(paths, "photos", [
        tiny.photo(photo, of="1", sha256=body_of(photo), fetched_at=fetched) for photo in sorted(ledger)
    ])  # fmt: skip
    for name, photos in (("split", split), ("exam", exam), ("genus_photos", set[str]())):
        places = [str(path_of(paths.photos, body_of(photo)).relative_to(paths.data_root)) for photo in sorted(photos)]
        pq.write_table(pa.table({"path": pa.array(places, pa.string())}), paths.table(name))
    attempts = [
        {
            **dict.fromkeys(SEALED.names), "photo_id": photo, "status": "ok", "sha256": body_of(photo), "line": line,
            "fetched_at": "2026-01-02T00:00:00" if photo in late else "2025-01-01T00:00:00",
        }
        for line, photo in enumerate(PHOTOS)
    ]  # fmt: skip
    paths.attempts.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(attempts, schema=SEALED), paths.attempts / "000001.parquet")
