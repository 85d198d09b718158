"""Files of anybody's classifier: classes are matched by name, and what is no such file is refused with the reason."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.classifiers.classes import Classes, columns_of, taxonomy_of_classes
from ml.classifiers.classifier_files import read_labels, read_probabilities, read_taxonomy
from ml.errors import DataError
from ml.specificity.tree_sums import Distributions
from ml.taxonomy import Taxonomy
from tests.limits import full_disk
from tests.ml.specificity_fixtures import BIRDS, random_rows, rows_of

TREE = Taxonomy.of_rows(rows_of(BIRDS))
SPECIES = [TREE.name[node] for node in TREE.leaves]
LINEAGES = [TREE.describe(int(node)) for node in TREE.leaves]
KEYS = [str(TREE.taxon_key[node]) for node in TREE.leaves]
ORDER = [2, 0, 3, 1]
"""Of the columns in a file: the class that stands first, second, ..."""
ROWS = random_rows(np.random.default_rng(4), photos=50, classes=4)


def read(path: Path, *, classes: Classes | None = None) -> Distributions:
    return read_probabilities(path, classes=classes or Classes(taxonomy=TREE), folder=path.parent)


@pytest.mark.parametrize(
    "names",
    [
        SPECIES,
        LINEAGES,
        KEYS,
        ["0", "1", "2", "3"],
        ["class_0", "class_1", "class_2", "class_3"],
        [f" {name.upper()}  " for name in SPECIES],
    ],
)
def test_columns_are_the_classes_that_their_names_say(tmp_path: Path, names: list[str]) -> None:
    columns: dict[str, Any] = {"photo_id": [str(row) for row in range(50)]}
    columns |= {names[column]: ROWS[:, column] for column in ORDER}
    pq.write_table(pa.table({**columns, "__index_level_0__": range(50)}), tmp_path / "p.parquet")
    assert (read(tmp_path / "p.parquet")[:] == ROWS).all()


def test_ten_columns_are_not_in_the_order_of_the_alphabet() -> None:
    names = [f"c{number}" for number in range(12)]
    tree = Taxonomy.of_rows(rows_of({name: {} for name in "abcdefghijkl"}))
    assert columns_of(sorted(names), Classes(taxonomy=tree)).tolist() == [sorted(names).index(name) for name in names]


def test_numbers_are_those_of_the_table_of_classes() -> None:
    """Numbers are the classifier's own; names lead to the same columns."""
    rows = [{"class_id": number, "species": name} for number, name in enumerate("dbca")]
    classes = taxonomy_of_classes(rows, ranks=["species"])
    assert columns_of(["3", "2", "1", "0"], classes).tolist() == columns_of(list("acbd"), classes).tolist()


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([*SPECIES[:3], "Dodo"], r"1 columns are no class \('Dodo'\) and 1 classes have no column \('morus alba'\)"),
        (SPECIES[:3], r"1 classes have no column \('morus alba'\); name each column by its species"),
        ([*SPECIES, "extra"], r"1 columns are no class \('extra'\)"),
        (["w", "x", "y", "z"], r"no column is named like a class \('w', 'x', 'y', \.\.\.\)"),
        (["1", "2", "3", "4"], "numbered from 1 to 4, 4 in all, but class ids go from 0 to 3"),
        ([*SPECIES[:3], SPECIES[0].upper()], "two columns are named 'nestor notabilis'"),
    ],
)
def test_names_of_no_or_only_some_classes_are_refused(names: list[str], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        columns_of(names, Classes(taxonomy=TREE))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (ROWS[:, 0], r"photographs x 4 classes, not \(50,\)"),
        (ROWS[None], r"not \(1, 50, 4\)"),
        (ROWS.T, r"not \(4, 50\); transpose it"),
        (ROWS[:, :3], r"not \(50, 3\)"),
        (ROWS[:0], "has no rows"),
        (ROWS.astype(complex), "values of type complex128, not probabilities"),
        (ROWS.astype("U5"), "values of type <U5"),
        (ROWS > 0, "values of type bool"),
        (ROWS.astype(object), "Python objects"),
    ],
)
def test_arrays_that_are_no_matrix_of_probabilities_are_refused(
    tmp_path: Path, array: np.ndarray[Any, Any], reason: str
) -> None:
    np.save(tmp_path / "p.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=reason):
        read(tmp_path / "p.npy")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pa.table({"0": [0.5, None], "1": [0.5, 1.0]}), "blank probabilities"),
        (pa.table({"0": ["x"], "1": ["y"]}), "the column '0' of a class holds string, not probabilities"),
        (pa.table({"p": [[0.5, 0.5], [1.0]]}), "differ in their number"),
        (pa.table({"p": [["a", "b"]]}), "holds lists of string"),
        (pa.table({"p": pa.array([[], []], pa.list_(pa.float64()))}), "no probabilities in its rows"),
        (pa.table({"0": pa.array([], pa.float64()), "1": pa.array([], pa.float64())}), "no rows"),
        (pa.table({"p": [[0.5, 0.5]], "q": [[0.5, 0.5]]}), r"several columns of lists \(p, q\)"),
        (pa.Table.from_arrays([pa.array([0.5]), pa.array([0.5])], names=["a", "a"]), "two columns named 'a'"),
    ],
)
def test_parquet_that_is_no_matrix_is_refused(tmp_path: Path, table: pa.Table, reason: str) -> None:
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(DataError, match=reason):
        read(tmp_path / "p.parquet", classes=Classes(taxonomy=Taxonomy.of_rows(rows_of({"a": {}, "b": {}}))))


def test_lists_are_in_the_classifiers_own_order(tmp_path: Path) -> None:
    rows = [{"class_id": number, "species": name} for number, name in enumerate("dbca")]
    classes = taxonomy_of_classes(rows, ranks=["species"])
    for kind in (pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float16(), 4)):
        values = ROWS.astype(kind.value_type.to_pandas_dtype())
        pq.write_table(pa.table({"photo": range(50), "p": pa.array(values.tolist(), kind)}), tmp_path / "p.parquet")
        assert (read(tmp_path / "p.parquet", classes=classes)[:] == values[:, [3, 1, 2, 0]]).all()


def test_a_full_temporary_folder_is_an_error_not_a_signal(tmp_path: Path) -> None:
    columns = {name: np.full(20_000, 0.25) for name in SPECIES}
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    with full_disk(100_000), pytest.raises(DataError, match=r"set TMPDIR to a folder with 0\.0 GB of room"):
        read(tmp_path / "p.parquet")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"0.5,0.5\n", "it is neither .npy nor Parquet"),
        (gzip.compress(b"x", mtime=0), "it is compressed; unpack it first"),
        (b"PK\x03\x04 and more", "it is a zip or .npz file; save one array with numpy.save"),
        (b"\x93NUMPY\x01\x00v\x00", "cannot read .* as a NumPy array"),
        (b"PAR1 and no more", "cannot read .* as Parquet"),
    ],
)
def test_files_of_other_kinds_are_told_apart_whatever_their_name(tmp_path: Path, content: bytes, reason: str) -> None:
    for name in ("p.npy", "p.parquet"):
        (tmp_path / name).write_bytes(content)
        for read_one in (read, read_labels):
            with pytest.raises(DataError, match=reason):
                read_one(tmp_path / name)


def test_names_of_no_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read(tmp_path / "absent.npy")
    with pytest.raises(DataError, match="is a folder"):
        read_labels(tmp_path)
    np.save(tmp_path / "p.npy", ROWS)
    with pytest.raises(DataError, match=r"is no Parquet file; a taxonomy"):
        read_taxonomy(tmp_path / "p.npy")


def labels_file(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table({"class_id": [0, 1, 2], **columns}), path)
    return path


def test_halves_are_read_in_any_case(tmp_path: Path) -> None:
    found = read_labels(labels_file(tmp_path / "y.parquet", half=["Calibration ", "EVALUATION", "evaluation"]))
    assert found.halves is not None
    assert found.halves.tolist() == ["calibration", "evaluation", "evaluation"]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"half": ["calibraton", "evaluation", None]}, r"but 2 have others: calibraton \(1\), blank \(1\)"),
        ({"half": [0, 1, 1]}, r"but 3 have others: 1 \(2\), 0 \(1\)"),
        ({"half": [["calibration"]] * 3}, "half is of type list"),
        ({"observation_id": ["a", None, " "]}, "observation_id is blank for 2 photographs"),
        ({"observation_id": [1.0, float("nan"), 2.0]}, "observation_id is blank for 1 photographs"),
        ({"class_id": [1, None, 2]}, "1 labels are blank"),
    ],
)
def test_labels_with_blanks_or_unknown_words_are_refused(
    tmp_path: Path, columns: dict[str, object], reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        read_labels(labels_file(tmp_path / "y.parquet", **columns))


def classes_file(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table({"class_id": [0, 1], "genus": ["Nestor", "Morus"], "species": ["a", "b"], **columns}), path)
    return path


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"class_id": [0, 2]}, "every number from 0 to 1 once"),
        ({"class_id": [0, None]}, "class_id is blank in 1 rows"),
        ({"class_id": [0.0, 1.0]}, "class_id is of type double"),
        ({"genus": ["Nestor", "NESTOR "], "species": ["kea", "Kea"]}, r"two classes are .* \(0 and 1\): merge them"),
        ({"genus": ["Nestor", None], "species": ["a", "nan"]}, "class 1 has no name in genus, species"),
        ({"species": [["a"], ["b"]]}, "species is of type list.*, not a name for each class"),
    ],
)
def test_tables_of_classes_that_are_no_tree_are_refused(
    tmp_path: Path, columns: dict[str, object], reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        read_taxonomy(classes_file(tmp_path / "c.parquet", **columns))


def test_other_tables_are_refused_with_what_is_missing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="neither a taxonomy"):
        read_taxonomy(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="no column class_id; its columns are a, b"):
        read_labels(tmp_path / "t.parquet")


def test_spellings_of_a_taxon_are_one_and_written_blanks_are_blank() -> None:
    names = [
        ("Animalia", "Aves", "Nestor notabilis"),
        ("animalia ", "Aves", "Nestor meridionalis"),
        ("Animalia", "nan", "Apteryx mantelli"),
        ("Animalia", " ", "Apteryx owenii"),
        ("Animalia", None, "Gallirallus  australis"),
    ]
    rows = [
        {"class_id": number, **dict(zip(("kingdom", "class", "species"), lineage, strict=True))}
        for number, lineage in enumerate(names)
    ]
    tree = taxonomy_of_classes(rows, ranks=("kingdom", "class", "species")).taxonomy
    assert [tree.name[node] for node in tree.levels[1]] == ["Animalia"]
    assert [tree.name[node] for node in tree.levels[2]] == ["unplaced in Animalia", "Aves"]
    assert "Gallirallus australis" in tree.name


def test_blank_ranks_become_placeholders_and_twins_are_refused() -> None:
    rows: list[dict[str, Any]] = [
        {"class_id": 1, "class": None, "genus": "Gadus", "species": "Gadus morhua"},
        {"class_id": 0, "class": "Aves", "genus": "Nestor", "species": "Nestor notabilis"},
    ]
    classes = taxonomy_of_classes(rows, ranks=("class", "genus", "species"))
    tree = classes.taxonomy
    assert classes.own_numbers().tolist() == [1, 0]
    assert tree.describe(int(tree.leaves[0])) == "unplaced in Life > Gadus > Gadus morhua"
    assert tree.placeholder.tolist() == [False, True, *[False] * 5]
    with pytest.raises(DataError, match="two classes are Aves > Nestor > Nestor notabilis"):
        taxonomy_of_classes([rows[1], rows[1]], ranks=("class", "genus", "species"))
