"""The exam's child: each version is asked once for each photograph, and marked by the present names."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ml.__main__ import main
from ml.serving import exam
from ml.serving.exam import RAW, run
from ml.serving.exam_marks import Marker
from ml.serving.identification import Identification
from ml.serving.question import Question
from ml.spec import ExaminedVersion, ExamResult, ExamSpec, VersionAnswers
from tests.ml.specificity_fixtures import BIRDS, QUIET, release, rows_of, write_taxonomy

KEA, KAKA, GANNET, MULBERRY = "K7", "K8", "K12", "K19"
"""Keys of the four species, as `rows_of` gives them."""
RENAMES = pa.schema(
    [(name, pa.string()) for name in ("old_checklist_key", "old_taxon_key", "checklist_key", "taxon_key")]
)

SPLITS = pa.schema(
    [(name, pa.string()) for name in ("checklist_key", "taxon_key", "part_checklist_key", "part_taxon_key")]
)


def photograph(folder: Path, number: int) -> str:
    """A drawn JPEG of its own; returns its path below the folder."""
    pixels = np.random.default_rng(number).integers(256, size=(4, 6, 3), dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize((90, 60)).save(folder / f"{number}.jpg")
    return f"{number}.jpg"


def exam_table(folder: Path, keys: list[str], **changes: dict[int, Any]) -> Path:
    """An exam of one photograph for each species key; `changes` of columns by the photograph's number."""
    rows = [
        {
            "photo_id": str(number), "occurrence_key": str(number), "observation_id": f"o{number}",
            "checklist_key": "checklist", "species_key": key,
            "path": photograph(folder / "photos", number), "withdrawn": None,
        }
        | {column: values[number] for column, values in changes.items() if number in values}
        for number, key in enumerate(keys)
    ]  # fmt: skip
    schema = pa.schema([(name, pa.string()) for name in rows[0]])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "exam.parquet")
    return folder / "exam.parquet"


@pytest.fixture(scope="module")
def registered() -> tuple[str, ExaminedVersion]:
    """A registry, and a version in it of a tiny network over the taxa of BIRDS."""
    spec, version = release()
    files = Path(spec.tracking.uri.removeprefix("sqlite:///")).parent
    (described,) = files.glob("mlartifacts/**/MLmodel")
    return spec.tracking.uri, ExaminedVersion(
        name=spec.model_name, number=version.version, folder=str(described.parent), identity="first"
    )


@pytest.fixture
def spec(registered: tuple[str, ExaminedVersion], tmp_path: Path) -> ExamSpec:
    registry, version = registered
    pq.write_table(RENAMES.empty_table(), tmp_path / "renames.parquet")
    pq.write_table(SPLITS.empty_table(), tmp_path / "splits.parquet")
    return ExamSpec(
        output=tmp_path / "output", spec_hash="e", exam=exam_table(tmp_path, [KEA, KAKA, GANNET, MULBERRY]),
        taxonomy=write_taxonomy(tmp_path / "taxonomy.parquet", rows_of(BIRDS)), renames=tmp_path / "renames.parquet",
        splits=tmp_path / "splits.parquet", photographs=tmp_path / "photos", answers=tmp_path / "answers",
        registry=registry, target=0.9,
        challenger=version,
    )  # fmt: skip


def rows(found: VersionAnswers | None) -> list[dict[str, Any]]:
    assert found is not None
    assert found.answers is not None
    return pq.read_table(found.answers).to_pylist()  # type: ignore[no-any-return]


def test_the_stage_answers_as_identify_does(spec: ExamSpec, tmp_path: Path) -> None:
    file = spec.write(tmp_path / "spec.json")
    assert main(["exam", "--spec", str(file)]) == 0
    result = ExamResult.read(spec.output / "result.json").challenger
    assert (result.asked, result.unreadable, result.target, result.problem) == (4, 0, 0.9, None)
    asked = [(str(path), path.read_bytes()) for path in sorted((tmp_path / "photos").iterdir())]
    model = Identification.load(uri=spec.registry, name=spec.challenger.name, alias="challenger")
    for row, (_, answer) in zip(rows(result), model.answers(asked, Question()), strict=True):
        assert isinstance(answer, dict)
        assert (row["rank"], row["answer_name"], row["depth"]) == (answer["rank"], answer["taxon"], answer["depth"])
        assert row["answer_probability"] == pytest.approx(answer["probability"])
        best = answer["top"][0]
        assert (row["top_name"], row["top_probability"]) == (best["name"], pytest.approx(best["probability"]))
        assert row["top1_right"] == (best["taxon_key"] == row["species_key"])


def test_only_what_a_version_has_not_answered_is_asked(spec: ExamSpec, tmp_path: Path) -> None:
    assert run(spec, reporter=QUIET).challenger.asked == 4
    assert run(spec, reporter=QUIET).challenger.asked == 0
    # One photograph is new, one has another file now, one is withdrawn.
    exam_table(
        tmp_path,
        [KEA, KAKA, GANNET, MULBERRY, KEA],
        path={1: photograph(tmp_path / "photos", 9)},
        withdrawn={2: "gone"},
    )
    found = run(spec, reporter=QUIET).challenger
    assert found.asked == 2
    assert sorted(row["photo_id"] for row in rows(found)) == ["0", "1", "3", "4"]
    # Answers to a withdrawn photograph are kept, in case that it comes back.
    assert pq.read_metadata(spec.answers / "1" / RAW).num_rows == 5
    second = spec.model_copy(update={"challenger": spec.challenger.model_copy(update={"identity": "second"})})
    assert run(second, reporter=QUIET).challenger.asked == 4
    assert run(second.model_copy(update={"target": 0.8}), reporter=QUIET).challenger.asked == 4


def test_a_killed_exam_goes_on_where_it_was(spec: ExamSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exam, "KEPT_AFTER", 1)
    monkeypatch.setattr("ml.serving.contestant.TOGETHER", 1)
    write, written = exam.Exam.write, list[int]()

    def killed(self: exam.Exam, version: ExaminedVersion, kept: exam.Kept) -> None:
        if len(kept.rows) > 2:
            raise KeyboardInterrupt
        write(self, version, kept)
        written.append(len(kept.rows))

    monkeypatch.setattr(exam.Exam, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        run(spec, reporter=QUIET)
    assert written == [1, 2]
    monkeypatch.setattr(exam.Exam, "write", write)
    assert run(spec, reporter=QUIET).challenger.asked == 2


def test_a_name_that_has_changed_is_marked_anew_without_asking(spec: ExamSpec, tmp_path: Path) -> None:
    before = {row["photo_id"]: row for row in rows(run(spec, reporter=QUIET).challenger)}
    said = [row["top_name"] for row in before.values()]
    keys = {"Nestor notabilis": KEA, "Nestor meridionalis": KAKA, "Morus serrator": GANNET, "Morus alba": MULBERRY}
    exam_table(tmp_path, [keys[name] for name in said])
    found = run(spec, reporter=QUIET).challenger
    assert found.asked == 0
    assert all(row["top1_right"] for row in rows(found))


def test_a_photograph_that_cannot_be_read_has_no_answer(spec: ExamSpec, tmp_path: Path) -> None:
    (tmp_path / "photos" / "1.jpg").write_bytes(b"no photograph")
    (tmp_path / "photos" / "2.jpg").unlink()
    found = run(spec, reporter=QUIET).challenger
    assert (found.asked, found.unreadable) == (2, 2)
    assert [row["photo_id"] for row in rows(found)] == ["0", "3"]


def test_a_version_whose_files_are_gone_is_told_and_has_the_answers_that_are_kept(
    spec: ExamSpec, tmp_path: Path
) -> None:
    run(spec, reporter=QUIET)
    lost = spec.challenger.model_copy(update={"folder": str(tmp_path / "absent")})
    exam_table(tmp_path, [KEA, KAKA, GANNET, MULBERRY, KEA])
    found = run(spec.model_copy(update={"champion": lost}), reporter=QUIET)
    assert found.champion is not None
    assert found.champion.lost
    assert "is incomplete" in str(found.champion.problem)
    # The challenger, which is the same number here, has answered the fifth by then.
    assert len(rows(found.champion)) == 5
    never = lost.model_copy(update={"number": "9", "identity": "never asked"})
    champion = run(spec.model_copy(update={"champion": never}), reporter=QUIET).champion
    assert champion is not None
    assert (champion.lost, champion.answers) == (True, None)


def test_a_version_of_other_code_is_a_problem_and_not_lost(spec: ExamSpec, tmp_path: Path) -> None:
    described = Path(spec.challenger.folder) / "MLmodel"
    other = tmp_path / "other"
    other.mkdir()
    (other / "MLmodel").write_text(described.read_text().replace("specificity:", "precision:"))
    found = run(
        spec.model_copy(update={"champion": spec.challenger.model_copy(update={"number": "2", "folder": str(other)})}),
        reporter=QUIET,
    ).champion
    assert found is not None
    assert not found.lost
    assert "was registered by other code than this: it has no specificity" in str(found.problem)


def marked(
    folder: Path, *, present: str, renames: list[tuple[str, str]], top: str, answer: str, then: str | None = None,
    splits: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:  # fmt: skip
    """How a version over BIRDS is marked that answered with these nodes about a photograph of `present`.

    `then` is what the photograph was called when the version was asked, `splits` pairs of a species and a part of it.
    """
    tree = rows_of(BIRDS)
    node = {row["taxon_key"]: row["node_id"] for row in tree}
    path = write_taxonomy(folder / "own.parquet", tree)
    table = [dict(zip(RENAMES.names, ("checklist", old, "checklist", new), strict=True)) for old, new in renames]
    pq.write_table(pa.Table.from_pylist(table, schema=RENAMES), folder / "renames.parquet")
    table = [dict(zip(SPLITS.names, ("checklist", whole, "checklist", part), strict=True)) for whole, part in splits]
    pq.write_table(pa.Table.from_pylist(table, schema=SPLITS), folder / "splits.parquet")
    nodes = exam_table(folder, [present])
    # What was split off has a place in the present tree: that of a species that is not asked about.
    parts = dict.fromkeys([MULBERRY], splits[0][1]) if splits else {}
    now = write_taxonomy(folder / "now.parquet", [
        {**row, "taxon_key": {**dict(renames), **parts}.get(row["taxon_key"] or "", row["taxon_key"])} for row in tree
    ])  # fmt: skip
    marker = Marker.read(
        path, present=now, renames=folder / "renames.parquet", splits=folder / "splits.parquet", exam=nodes
    )
    photo = {"photo_id": "0", "observation_id": "o0", "checklist_key": "checklist", "species_key": present}
    return marker.mark(photo, {
        "checklist_key": "checklist", "species_key": then or present, "top_node": node[top], "top_probability": 0.9,
        "answer_node": node[answer], "answer_probability": 0.9,
    })  # fmt: skip


def test_a_homonym_is_another_species(tmp_path: Path) -> None:
    # Morus the gannet against Morus the mulberry: K11 and K18 are the genera.
    gannet = marked(tmp_path, present=GANNET, renames=[], top=GANNET, answer="K11")
    assert (gannet["known"], gannet["top1_right"], gannet["answer_right"]) == (True, True, True)
    mulberry = marked(tmp_path, present=MULBERRY, renames=[], top=GANNET, answer="K11")
    assert (mulberry["known"], mulberry["top1_right"], mulberry["answer_right"]) == (True, False, False)


def test_a_key_that_has_changed_is_followed(tmp_path: Path) -> None:
    right = marked(tmp_path, present="new", renames=[(KEA, "new")], top=KEA, answer=KEA)
    assert (right["known"], right["top1_right"], right["answer_right"]) == (True, True, True)
    # Merged into one: whichever of the two is answered is right.
    merged = marked(tmp_path, present=KEA, renames=[(KAKA, KEA)], top=KAKA, answer=KAKA)
    assert (merged["known"], merged["top1_right"], merged["answer_right"]) == (True, True, True)


def test_a_version_does_not_know_a_species_of_which_it_lacks_a_part(tmp_path: Path) -> None:
    divided = marked(tmp_path, present=KEA, renames=[], top=KEA, answer=KEA, splits=[(KEA, "part")])
    assert (divided["known"], divided["top1_right"], divided["answer_right"]) == (False, True, True)
    part = marked(tmp_path, present="part", renames=[], top=KEA, answer=KEA, splits=[(KEA, "part")])
    assert (part["known"], part["top1_right"]) == (False, False)
    other = marked(tmp_path, present=GANNET, renames=[], top=GANNET, answer=GANNET, splits=[(KEA, "part")])
    assert other["known"]
    # Both are in its tree: nothing is missing.
    whole = marked(tmp_path, present=KEA, renames=[], top=KEA, answer=KEA, splits=[(KEA, KAKA)])
    assert whole["known"]


def test_what_a_photograph_was_called_is_told_beside_what_it_is_called_now(tmp_path: Path) -> None:
    row = marked(tmp_path, present=KEA, renames=[], top=KAKA, answer=KAKA, then=KAKA)
    assert (row["species_key"], row["named_key"], row["top_key"], row["top1_right"]) == (KEA, KAKA, KAKA, False)
    renamed = marked(tmp_path, present="new", renames=[(KEA, "new")], top=KEA, answer=KEA, then=KEA)
    assert (renamed["species_key"], renamed["named_key"], renamed["top_key"]) == ("new", "new", "new")


def test_of_a_species_that_a_version_does_not_know_the_taxa_above_may_be_right(tmp_path: Path) -> None:
    tree = rows_of(BIRDS)
    (kaka,) = (row for row in tree if row["taxon_key"] == KAKA)
    own = write_taxonomy(
        tmp_path / "own.parquet", [row | {"taxon_key": "other"} if row is kaka else row for row in tree]
    )
    pq.write_table(RENAMES.empty_table(), tmp_path / "renames.parquet")
    pq.write_table(SPLITS.empty_table(), tmp_path / "splits.parquet")
    now = write_taxonomy(tmp_path / "now.parquet", tree)
    marker = Marker.read(
        own, present=now, renames=tmp_path / "renames.parquet", splits=tmp_path / "splits.parquet",
        exam=exam_table(tmp_path, [KAKA]),
    )  # fmt: skip
    asked = {"checklist_key": "checklist", "species_key": KAKA, "top_node": 7, "top_probability": 1.0}
    photo = {"photo_id": "0", "observation_id": "o0", "checklist_key": "checklist", "species_key": KAKA}
    right = {
        key: marker.mark(photo, {**asked, "answer_node": node, "answer_probability": 1.0})
        for key, node in {"root": 0, "genus": 6, "kea": 7, "gannets": 11}.items()
    }
    assert not any(row["known"] or row["top1_right"] for row in right.values())
    assert {key: row["answer_right"] for key, row in right.items()} == {
        "root": True, "genus": True, "kea": False, "gannets": False,
    }  # fmt: skip


def test_a_former_champion_that_was_right_more_often_is_asked_as_well(spec: ExamSpec, tmp_path: Path) -> None:
    said = [row["top_name"] for row in rows(run(spec, reporter=QUIET).challenger)]
    keys = {"Nestor notabilis": KEA, "Nestor meridionalis": KAKA, "Morus serrator": GANNET, "Morus alba": MULBERRY}
    truth = [keys[name] for name in said]
    exam_table(tmp_path, truth)
    champion, better, silent = (
        spec.challenger.model_copy(update={"number": number, "identity": number}) for number in ("2", "3", "4")
    )
    for version in (champion, better):
        run(spec.model_copy(update={"challenger": version}), reporter=QUIET)
    # Two of the champion's answers become wrong, and none of the other's.
    kept = pq.read_table(spec.answers / "2" / RAW)
    wrong = [19 if key != MULBERRY else 7 for key in truth[:2]]
    nodes = pa.array([*wrong, *kept["top_node"].to_pylist()[2:]], pa.int32())
    changed = kept.set_column(kept.column_names.index("top_node"), "top_node", nodes).replace_schema_metadata(
        kept.schema.metadata
    )
    pq.write_table(changed, spec.answers / "2" / RAW)
    exam_table(tmp_path, [*truth, KEA])
    found = run(spec.model_copy(update={"champion": champion, "rivals": (silent, better)}), reporter=QUIET)
    assert found.best is not None
    assert (found.best.number, found.best.asked) == ("3", 1)
    assert found.notes == ("version 4, a champion of the last year, has no answers to compare with",)
    assert json.loads((spec.output / "result.json").read_text())["best"]["number"] == "3"
