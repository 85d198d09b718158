"""The manifest states the dataset; the accounting finds every row that left without a line."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.settings import Settings
from pipeline.dataset import manifest as manifest_module
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.dataset.manifest import DatasetManifest, balance, build_manifest, content_hash
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_genus_photos, build_split
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.errors import TableError
from pipeline.files import write_json
from pipeline.rejections import write_rejections
from tests.pipeline.dataset.test_pack import jpeg
from tests.pipeline.tiny import Row, occurrence, photo, write


@pytest.fixture
def built(settings: Settings) -> Settings:
    """A whole dataset: 40 occurrences, two of them rejected, one photograph gone, another not indexed."""
    paths = settings.paths
    occurrences = [occurrence(str(key), species=f"Turdus s{key % 2}", species_key=f"k{key % 2}") for key in range(40)]
    occurrences += [occurrence("40", taxon_rank="GENUS", species=None, species_key=None), occurrence("39")]
    write(paths, "occurrences", occurrences)
    build_clean_occurrences(paths, settings)
    write(paths, "media", [{"occurrence_key": str(key), "position": 0} for key in range(41)])
    index: list[Row] = [
        {"photo_id": f"p{key}", "occurrence_key": str(key), "observation_id": f"o{key}", "url": "http://photos.test/"}
        for key in range(39)
    ]
    write(paths, "photo_index", index)
    lines = [("p39", "licence", "not allowed"), ("7", "no_photo", "")]
    write_rejections(
        paths, "photo_index", pa.table(dict(zip(("key", "rule", "detail"), zip(*lines, strict=True), strict=True)))
    )
    ledger = [photo(f"p{key}", of=str(key)) for key in range(39)]
    ledger[0]["status"] = "gone"
    for row in ledger:
        path = settings.data_root / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(64, 48, seed=len(row["photo_id"])))
    write(paths, "photos", ledger)
    write_rejections(paths, "photos", pa.table({"key": ["p0"], "rule": ["gone"], "detail": ["HTTP 404"]}))
    build_species(paths, settings)
    build_taxonomy(paths, settings)
    build_split(paths, settings)
    build_genus_photos(paths, settings)
    write(paths, "leakage", [])
    source = {"mode": "download", "key": "0001-2", "doi": "10.15468/dl.x", "citation": "GBIF.org", "predicate": {}}
    write_json(paths.current_download, {**source, "checklist_key": None, "archive": "a.zip", "sha256": "0"})
    return settings


def test_the_manifest_states_counts_hashes_and_citation(built: Settings) -> None:
    manifest = build_manifest(built.paths, built)
    assert DatasetManifest.read(built.paths) == manifest
    expected = {"occurrences": 42, "clean_occurrences": 40, "media": 41, "photo_index": 39, "photos_ok": 38}
    assert {name: manifest.counts[name] for name in expected} == expected
    assert manifest.counts["species"] == 2
    assert manifest.counts["split"] == manifest.counts["train"] + manifest.counts["validation"] == 38
    assert manifest.rejections["clean_occurrences"] == {"above_species": 1, "duplicate_occurrence": 1}
    assert manifest.metrics()["rejected/photos/gone"] == 1
    assert (manifest.download_key, manifest.doi, manifest.citation, manifest.checklist_key) == (
        "0001-2",
        "10.15468/dl.x",
        "GBIF.org",
        "backbone",
    )


def test_the_same_data_make_the_same_file_and_others_another_version(built: Settings) -> None:
    one = build_manifest(built.paths, built)
    first = built.paths.dataset_manifest.read_bytes()
    build_split(built.paths, built)
    build_manifest(built.paths, built)
    assert built.paths.dataset_manifest.read_bytes() == first
    other = built.model_copy(update={"split": built.split.model_copy(update={"seed": 1})})
    build_split(built.paths, other)
    two = build_manifest(built.paths, other)
    assert one.dataset_version != two.dataset_version
    assert one.taxonomy_hash == two.taxonomy_hash


def test_counts_add_up(built: Settings) -> None:
    assert balance(built.paths) == []


@pytest.mark.parametrize(
    ("table", "broken"),
    [
        ("clean_occurrences", "occurrences 42 is not clean_occurrences 39"),
        ("photo_index", "clean_media 40 is not photo_index 38"),
        ("photos", "photo_index 39 is not photos_ok 37"),
        ("split", "photos_ok 38 is not split 37"),
    ],
)
def test_a_row_that_left_without_a_line_is_found(built: Settings, table: str, broken: str) -> None:
    path = built.paths.table(table)
    rows = pq.read_table(path)
    pq.write_table(rows.slice(0, rows.num_rows - 1), path)
    assert any(line.startswith(broken) for line in balance(built.paths))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cut short or no JSON"),
        (b'{"scope": "te', "cut short or no JSON"),
        (b"\xff\xfe", "cut short or no JSON"),
        (b"[]", "another version wrote it"),
        (b'{"scope": "test", "paths": 1}', "without dataset_version, without split_hash, .*, ..."),
    ],
)
def test_a_manifest_of_another_version_or_cut_short_says_how_to_make_it_anew(
    settings: Settings, content: bytes, said: str
) -> None:
    settings.paths.dataset_manifest.parent.mkdir(parents=True)
    settings.paths.dataset_manifest.write_bytes(content)
    advice = "materialise the asset manifest again"
    with pytest.raises(TableError, match=rf"dataset\.json: .*{said}.*; {advice}") as refused:
        DatasetManifest.read(settings.paths)
    assert "\n" not in str(refused.value)


def test_before_the_dataset_is_built_the_error_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(TableError, match="materialise the asset manifest"):
        DatasetManifest.read(settings.paths)
    with pytest.raises(TableError, match="materialise the asset that writes it"):
        build_manifest(settings.paths, settings)


def _unread(**_: object) -> None:
    pytest.fail("the table is read again")


class TestContentHash:
    """A hash of values, not of files."""

    table = pa.table({"a": ["x", "y", None], "b": pa.array([1, 2, 2], pa.int32())})

    def test_neither_order_nor_writer_matter(self, tmp_path: Path) -> None:
        pq.write_table(self.table, tmp_path / "one.parquet", compression="none", row_group_size=1)
        pq.write_table(self.table.take([2, 0, 1]).select(["b", "a"]), tmp_path / "two.parquet", compression="zstd")
        duckdb.execute(f"copy (from '{tmp_path}/one.parquet') to '{tmp_path}/three.parquet'")
        assert len({content_hash(tmp_path / f"{name}.parquet") for name in ("one", "two", "three")}) == 1

    def test_the_hash_is_stable_between_versions_of_this_project(self, tmp_path: Path) -> None:
        pq.write_table(self.table, tmp_path / "one.parquet")
        assert content_hash(tmp_path / "one.parquet") == "73bf3cec9f775ac2415eb39269b72544"

    @pytest.mark.parametrize(
        "other",
        [
            pa.table({"a": ["x", "y", ""], "b": pa.array([1, 2, 2], pa.int32())}),
            pa.table({"a": ["x", "y", None], "b": pa.array([1, 2, 3], pa.int32())}),
            pa.table({"a": ["x", "y", None], "c": pa.array([1, 2, 2], pa.int32())}),
            pa.table({"a": ["x", "y", None], "b": pa.array([1, 2, 2], pa.int64())}),
            pa.table({"a": ["x", "y", None, None], "b": pa.array([1, 2, 2, 2], pa.int32())}),
            pa.table({"a": ["y", "x", None], "b": pa.array([1, 2, 2], pa.int32())}),
        ],
    )
    def test_every_value_name_and_type_matters(self, tmp_path: Path, other: pa.Table) -> None:
        pq.write_table(self.table, tmp_path / "one.parquet")
        pq.write_table(other, tmp_path / "two.parquet")
        assert content_hash(tmp_path / "one.parquet") != content_hash(tmp_path / "two.parquet")

    def test_columns_can_be_left_out(self, tmp_path: Path) -> None:
        pq.write_table(self.table, tmp_path / "one.parquet")
        pq.write_table(self.table.drop_columns(["b"]), tmp_path / "two.parquet")
        assert content_hash(tmp_path / "one.parquet", columns=["a"]) == content_hash(tmp_path / "two.parquet")
        with pytest.raises(TableError, match="has no column c"):
            content_hash(tmp_path / "one.parquet", columns=["c"])

    def test_a_file_is_read_once_and_again_when_it_has_changed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pq.write_table(self.table, tmp_path / "one.parquet")
        found = [content_hash(tmp_path / "one.parquet"), content_hash(tmp_path / "one.parquet", columns=["a"])]
        assert found[0] != found[1]
        with monkeypatch.context() as patch:
            patch.setattr(manifest_module, "connect", _unread)
            assert [
                content_hash(tmp_path / "one.parquet"),
                content_hash(tmp_path / "one.parquet", columns=["a"]),
            ] == found
        pq.write_table(self.table.slice(1), tmp_path / "one.parquet")
        assert content_hash(tmp_path / "one.parquet") != found[0]

    def test_an_empty_table_has_a_hash(self, tmp_path: Path) -> None:
        pq.write_table(self.table.slice(0, 0), tmp_path / "one.parquet")
        assert len(content_hash(tmp_path / "one.parquet")) == 32
