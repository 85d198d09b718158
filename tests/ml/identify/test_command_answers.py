"""`naturewatch identify` from photographs of all sources to each format, and several photographs of one organism."""

import csv
import io
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ml.identify import command as identify
from ml.identify.answer_rows import columns
from ml.serving.classifier import Classifier, Views
from ml.serving.identification import AHEAD, BATCH
from ml.serving.question import Region
from tests.ml.identify.conftest import PhotoSite
from tests.ml.specificity_fixtures import photograph_bytes

Captured = pytest.CaptureFixture[str]
Photographs = Callable[[int], Path]


def as_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_format_holds_the_same_answers(
    registry: list[str], photographs: Photographs, tmp_path: Path, capsys: Captured
) -> None:
    folder = photographs(3)
    (folder / os.fsdecode(b'k\xe9\n,a".jpg')).write_bytes(photograph_bytes())
    asked = [str(folder), str(tmp_path / "absent.jpg"), "--within", "Aves", "--threshold", "0", "--top", "2", *registry]
    for ending in ("csv", "jsonl", "parquet"):
        assert identify.main([*asked, "--output", str(tmp_path / f"answers.{ending}")]) == 1
    assert identify.main([*asked, "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert len(printed) == 5
    lines = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == printed
    table = pq.read_table(tmp_path / "answers.parquet")
    assert table.column_names == list(columns(top=2))
    rows = table.to_pylist()
    for row, answer in zip(rows, printed, strict=True):
        assert row["photo"] == answer["photo"].encode("utf-8", "backslashreplace").decode()
        assert row["error"] == answer.get("error")
        if "error" in answer:
            assert row["taxon"] is None
            continue
        assert (row["taxon"], row["species"], row["model_version"]) == (answer["taxon"], answer["taxon"], "1")
        lineage = {step["rank"]: step["probability"] for step in answer["lineage"]}
        assert {rank: row[f"{rank}_probability"] for rank in lineage} == pytest.approx(lineage, abs=1e-6)
        assert [row["top_1"], row["top_2"]] == [species["name"] for species in answer["top"]]
    texts = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    assert as_csv(tmp_path / "answers.csv") == texts


def test_what_is_below_the_answer_has_no_column(registry: list[str], kea: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.csv"
    assert identify.main([str(kea), "--threshold", "1", "--output", str(output), *registry]) == 0
    (row,) = as_csv(output)
    assert (row["rank"], row["depth"], row["kingdom"], row["species"]) == ("root", "0", "", "")
    assert row["top_1"]


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (["answers.txt"], "answers.txt ends in none of .csv, .jsonl, .parquet"),
        (["folder.csv"], "folder.csv is a folder: name a file"),
        (["a.json", "--as", "timelapse", "--export-options", "options.json"], "no option of an export is called"),
        (["a.json", "--as", "timelapse", "--export-options", "none.json"], "cannot read the options"),
    ],
)
def test_an_output_that_cannot_be_is_told_before_any_question(
    kea: Path, tmp_path: Path, output: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "options.json").write_text('{"nonsense": 1}', encoding="utf-8")
    assert identify.main([str(kea), "--output", *output, "--tracking-uri", "http://127.0.0.1:9"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line


def test_answers_are_written_as_other_programs_read_them(registry: list[str], kea: Path, tmp_path: Path) -> None:
    output = tmp_path / "identifications.csv"
    assert identify.main([str(kea), "--threshold", "0", "--output", str(output), "--as", "darwin-core", *registry]) == 0
    (row,) = as_csv(output)
    assert row["identificationVerificationStatus"] == "PredictedByMachine"


def test_taxa_are_watched_and_called_by_their_common_names(
    registry: list[str], kea: Path, tmp_path: Path, capsys: Captured
) -> None:
    names, output = tmp_path / "names.csv", tmp_path / "answers.csv"
    names.write_text("scientific_name,common_name,language\nNestor,Kākā,mi\nNestor,parrots,en\n", encoding="utf-8")
    asked = [str(kea), "--threshold", "0", "--within", "Nestor", "--watch", "Sulidae=0.001", *registry]
    asked += ["--names", str(names)]
    assert identify.main([*asked, "--language", "mi", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert {step["name"]: step["common_name"] for step in answer["lineage"]}["Nestor"] == "Kākā"
    assert "Sulidae" in [taxon["name"] for taxon in answer["watch"] if taxon["alarm"]]
    assert identify.main([*asked, "--output", str(output)]) == 0
    (row,) = as_csv(output)
    assert row["alarms"].endswith("Sulidae")
    assert row["promise"]
    assert row["stop"]
    names.write_text("nothing\n", encoding="utf-8")
    assert identify.main([*asked, "--output", str(output)]) == 1
    assert "was begun with names" in capsys.readouterr().err


def test_standard_input_is_a_photograph_or_names_some(
    registry: list[str], kea: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    for content, names in ((photograph_bytes(), ["-"]), (f"{kea}\n{kea}".encode(), [str(kea)] * 2)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert identify.main(["-", "--json", *registry]) == 0
        assert [answer["photo"] for answer in json.loads(capsys.readouterr().out)] == names


def test_addresses_are_answered_in_order_with_files(
    registry: list[str], kea: Path, site: PhotoSite, capsys: Captured
) -> None:
    names = [site.address("/stall"), str(kea), site.address("/photo"), site.address("/page"), "ftp://example.org/a.jpg"]
    assert identify.main([*names, "--json", "--allow-private-hosts", "--timeout", "0.5", *registry]) == 1
    answers = json.loads(capsys.readouterr().out)
    assert [answer["photo"] for answer in answers] == names
    reasons = [
        "the host said nothing|it took longer",
        None,
        None,
        "not a photograph",
        "'ftp://example.org/a.jpg' is neither http",
    ]
    for answer, reason in zip(answers, reasons, strict=True):
        assert ("taxon" in answer) == (reason is None)
        assert reason is None or any(answer["error"].startswith(each) for each in reason.split("|"))
    assert identify.main([site.address("/photo"), *registry]) == 1
    assert "; `--allow-private-hosts` allows it" in capsys.readouterr().err


def test_photographs_of_one_organism_have_one_answer(
    registry: list[str], photographs: Photographs, tmp_path: Path, capsys: Captured
) -> None:
    folder = photographs(4)
    names = [str(folder / f"00{number}.jpg") for number in range(4)]
    (tmp_path / "cut.jpg").write_bytes(photograph_bytes()[:400])
    table = tmp_path / "table.csv"
    table.write_text(
        "photo,organism\nphotographs/000.jpg,kea\ncut.jpg,kea\nphotographs/001.jpg,\nphotographs/002.jpg,kea\ncut.jpg,tui\n",
        encoding="utf-8",
    )
    assert identify.main(["--table", str(table), "--together-by", "organism", "--json", *registry]) == 1
    kea, alone, tui = json.loads(capsys.readouterr().out)
    assert (kea["photo"], kea["photos"]) == ("kea", ["photographs/000.jpg", "photographs/002.jpg"])
    assert any("answered without cut.jpg, which cannot be read" in warning["text"] for warning in kea["warnings"])
    assert alone["photo"] == "photographs/001.jpg"
    assert tui == {"photo": "tui", "error": tui["error"]}
    assert tui["error"].startswith("cut.jpg: a damaged photograph")
    assert identify.main([*names, str(tmp_path / "cut.jpg"), "--together", "--json", *registry]) == 0
    (together,) = json.loads(capsys.readouterr().out)
    assert together["photos"] == names
    assert identify.main([str(tmp_path), "--together-by", "folder", "--json", *registry]) == 1
    above, below = json.loads(capsys.readouterr().out)
    assert (above["photo"], below["photo"], below["photos"]) == (str(tmp_path), str(folder), names)
    assert [species["probability"] for species in below["top"]] == pytest.approx(
        [species["probability"] for species in together["top"]]
    )


def test_memory_does_not_grow_with_the_photographs(
    registry: list[str], kea: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thousand photographs, no more are held at any time than are worked on ahead."""
    lock, held, most = threading.Lock(), [0], [0]
    views = Classifier.views

    def counted(change: int) -> None:
        with lock:
            held[0] += change
            most[0] = max(most[0], held[0])

    def seen(self: Classifier, content: bytes, **options: Region | None) -> Views:
        found = views(self, content, **options)
        counted(1)
        weakref.finalize(found, counted, -1)
        return found

    monkeypatch.setattr(Classifier, "views", seen)
    names = tmp_path / "table.csv"
    names.write_text("photo\n" + f"{kea}\n" * 1000, encoding="utf-8")
    assert identify.main(["--table", str(names), "--output", str(tmp_path / "answers.csv"), *registry]) == 0
    assert BATCH < most[0] <= AHEAD + BATCH
    assert len(as_csv(tmp_path / "answers.csv")) == 1000


def test_the_help_is_shown_before_anything_slow_is_loaded() -> None:
    code = (
        "import sys; from ml.identify.command import build_parser; build_parser().format_help(); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {
        "numpy",
        "torch",
        "pyarrow",
        "PIL",
        "aiohttp",
        "mlflow",
        "pydantic",
        "rich",
        "yaml",
        "requests",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.jpg", "--together", "--together-by", "folder"],
        ["a.jpg", "--as", "pdf"],
        ["--timeout", "0"],
        ["a.jpg", "--as", "csv"],
        ["a.jpg", "--restart"],
        ["a.jpg", "--json", "--output", "a.csv"],
    ],
)
def test_a_wrong_call_ends_with_status_2_in_one_line(arguments: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as ended:
        identify.main([*arguments, "--tracking-uri", "sqlite:///none.db"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("naturewatch identify: ")
    assert line.endswith("`naturewatch identify --help` says what there is")


def test_organisms_by_name_need_a_table(kea: Path, capsys: Captured) -> None:
    assert identify.main([str(kea), "--together-by", "organism", "--tracking-uri", "sqlite:///none.db"]) == 1
    assert "needs a --table with the column `organism`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "name", "alias"),
    [
        ("birds", "birds", "champion"),
        ("birds@challenger", "birds", "challenger"),
        ("birds/3", "birds", "3"),
    ],
)
def test_a_model_is_named_with_its_version(model: str, name: str, alias: str) -> None:
    from ml.identify.arguments import model_of  # noqa: PLC0415

    options = identify.build_parser().parse_args(["a.jpg", "--tracking-uri", "sqlite:///none.db", "--model", model])
    assert model_of(options) == (name, alias)


def test_a_table_of_names_that_is_missing_is_told(
    registry: list[str], kea: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent.csv"
    for output in ([], ["--output", str(tmp_path / "answers.csv")]):
        assert identify.main([str(kea), *output, "--names", str(absent), *registry]) == 1
        assert str(absent) in capsys.readouterr().err
    assert not (tmp_path / "answers.csv").exists()
