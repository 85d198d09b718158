"""`naturewatch identify` and `naturewatch specificity` from the outside: what is printed, and when they fail."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest

from ml.classifiers import cli as specificity_cli
from ml.identify import command as identify
from ml.serving.identification import BATCH
from tests.ml.specificity_fixtures import BIRDS, photograph_bytes, release, rows_of, tracking_in, write_taxonomy

Captured = pytest.CaptureFixture[str]


def test_a_photograph_is_named_with_lineage_and_likely_species(
    registry: list[str], kea: Path, capsys: Captured
) -> None:
    assert identify.main([str(kea), *registry, "--threshold", "0", "--within", "Aves", "--top", "2"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == str(kea)
    # The network is a random one.
    assert lines[0].startswith("    ! ALARM, watched: Plantae > Tracheophyta > Magnoliopsida > Rosales >")
    assert any(line.startswith("    ! maybe a species that the model does not know: only ") for line in lines)
    said, ranks, others, model = "\n".join(lines).split("\n\n")[1:]
    assert said.startswith("    species ")
    assert [line.split()[1] for line in ranks.splitlines()[:3]] == ["Animalia", "Chordata", "Aves"]
    assert [line.split()[0] for line in ranks.splitlines()[6:]] == ["▸", "reaches"]
    assert len(others.splitlines()) == 1
    assert model == "    tiny version 1"


def test_a_homonym_is_asked_for_by_lineage(registry: list[str], kea: Path, capsys: Captured) -> None:
    assert identify.main([str(kea), "--within", "Morus", *registry]) == 1
    complaint = capsys.readouterr().err
    assert "stands for several taxa, give the lineage or the key of one" in complaint
    assert "Sulidae > Morus (key " in complaint
    within = ["--within", "Plantae > Morus", "--within", "Nestor", "--literal"]
    assert identify.main([str(kea), *within, "--json", *registry]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert sum(species["probability"] > 0 for species in answer["top"]) == 3
    assert answer["watch"][0]["name"] == "Morus"


def test_json_holds_one_answer_per_photograph(registry: list[str], kea: Path, capsys: Captured) -> None:
    assert identify.main([str(kea), str(kea), "--target", "0.8", "--json", *registry]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [answer["photo"] for answer in answers] == [str(kea)] * 2
    assert 0 <= answers[0]["threshold"] <= 1


def test_an_answer_says_who_gives_it_and_to_what_question(registry: list[str], kea: Path, capsys: Captured) -> None:
    assert identify.main([str(kea), "--target", "0.8", "--within", "Aves", "--json", *registry]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["model"] == {"name": "tiny", "version": "1"}
    assert answer["target"] == 0.8
    assert answer["within"] == ["Animalia > Chordata > Aves"]
    assert answer["renormalise"] is True
    assert identify.main([str(kea), "--threshold", "0.5", "--json", *registry]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert (answer["target"], answer["threshold"], answer["within"]) == (None, 0.5, [])
    assert identify.main([str(kea), *registry]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("tiny version 1")


def test_every_photograph_has_an_answer_or_an_error_in_order(
    registry: list[str], kea: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photograph")
    (tmp_path / "cut.jpg").write_bytes(photograph_bytes()[:400])
    odd = tmp_path / os.fsdecode(b"kea\xe9.jpg")
    odd.write_bytes(photograph_bytes())
    os.mkfifo(tmp_path / "pipe")
    names = [str(tmp_path / name) for name in ("bad.jpg", "pipe", "l" * 300, odd.name, "absent.jpg", "cut.jpg")]
    assert identify.main([*names, str(kea), "--json", *registry]) == 1
    out, err = capsys.readouterr()
    answers = json.loads(out)
    assert [answer["photo"] for answer in answers] == [*names, str(kea)]
    reasons = ["not a photograph", "a pipe", "the name is too long", None, "there is no such file", "a damaged", None]
    for answer, reason in zip(answers, reasons, strict=True):
        assert answer["error"].startswith(reason) if reason else answer["taxon"]
    assert [line for line in err.splitlines() if "absent.jpg" in line] == [
        f"naturewatch: {tmp_path / 'absent.jpg'}: there is no such file"
    ]
    assert err.splitlines()[-1] == "naturewatch: 5 of 7 photographs have no answer"
    assert identify.main([*names, str(kea), *registry]) == 1
    out, err = capsys.readouterr()
    assert r"kea\udce9.jpg" in out
    assert str(kea) in out.splitlines()


def test_a_terminal_that_is_not_utf_8_has_every_answer(
    registry: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photograph = tmp_path / "kākā.jpg"
    photograph.write_bytes(photograph_bytes())
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert identify.main([str(photograph), "--json", *registry]) == 0
    assert json.loads(written.getvalue().decode("ascii"))[0]["photo"] == str(photograph)


def test_more_photographs_than_go_through_the_network_at_once(
    registry: list[str], tmp_path: Path, capsys: Captured
) -> None:
    for number in range(BATCH + 2):
        (tmp_path / f"{number:02}.jpg").write_bytes(photograph_bytes(size=(40 + number, 40)))
    assert identify.main([str(tmp_path), "--json", *registry]) == 0
    together = {answer["photo"]: answer for answer in json.loads(capsys.readouterr().out)}
    assert list(together) == sorted(str(path) for path in tmp_path.iterdir())
    last = str(tmp_path / f"{BATCH + 1}.jpg")
    assert identify.main([last, "--json", *registry]) == 0
    (alone,) = json.loads(capsys.readouterr().out)
    assert alone["top"][0]["probability"] == pytest.approx(together[last]["top"][0]["probability"], abs=1e-5)


def test_folders_and_patterns_stand_for_photographs(
    registry: list[str], kea: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "notes.txt").write_text("no photograph")
    (tmp_path / "empty").mkdir()
    brackets = tmp_path / "plot[1].jpg"
    brackets.write_bytes(photograph_bytes())
    names = [str(tmp_path), str(tmp_path / "k*.jpg"), str(brackets), str(tmp_path / "empty"), str(tmp_path / "*.png")]
    assert identify.main([*names, "--json", *registry]) == 1
    out, err = capsys.readouterr()
    answers = json.loads(out)
    assert [answer["photo"] for answer in answers] == [str(kea), str(brackets), str(kea), str(brackets), *names[3:]]
    assert [answer.get("error") for answer in answers[4:]] == [
        "there is no photograph in this folder",
        "there is no such file",
    ]
    assert f"{tmp_path}: left out 1 other file, {tmp_path / 'notes.txt'} the first" in err


def test_where_nothing_can_be_read_no_model_is_asked(tmp_path: Path, capsys: Captured) -> None:
    names = [str(tmp_path / "absent.jpg"), ""]
    assert identify.main([*names, "--json", "--tracking-uri", "http://127.0.0.1:9"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == [
        {"photo": names[0], "error": "there is no such file"},
        {"photo": "", "error": "there is no file without a name"},
    ]
    assert "127.0.0.1" not in err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--target", "90"], "the target accuracy must lie between 0 and 1, not 90; 90 % is 0.9"),
        (["--threshold", "nan"], "threshold must be a finite number"),
        (["--top", "-1"], "top is how many species to list: 0 or more, not -1"),
        (["--target", "0.9999"], "no threshold of this model reaches an accuracy of 100.0%; the most is 99.9%"),
        (["--within", "Dodo"], "the model knows no taxon 'Dodo'"),
        (["--within", "Nester"], "the model knows no taxon 'Nester'; did you mean Nestor"),
    ],
)
def test_a_bad_question_is_told_once_before_any_photograph(
    registry: list[str], kea: Path, capsys: Captured, options: list[str], reason: str
) -> None:
    assert identify.main([str(kea), str(kea), str(kea), *options, *registry]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert err.startswith(f"naturewatch: {reason}")


def test_nobody_who_reads_ends_it_quietly(
    registry: list[str], kea: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as pipe:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", pipe)
        assert identify.main([str(kea), *registry]) == 141
        monkeypatch.undo()
    assert not capsys.readouterr().err


def test_an_interrupt_ends_it_with_a_sentence(registry: list[str], kea: Path) -> None:
    command = [sys.executable, "-m", "ml.identify.command", *[str(kea)] * 400, "--json", *registry]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        # More answers than a pipe holds: it is at work, or waits for its reader, whenever the signal comes.
        assert running.stdout.readline() == "[\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=300) == 130
        assert running.stderr.read() == "naturewatch: interrupted\n"


def test_a_finished_command_ends_without_taking_torch_apart(registry: list[str], kea: Path) -> None:
    """Standard output and errors are whole although the process leaves at once."""
    command = [sys.executable, "-m", "ml.identify.command", str(kea), f"{kea}.absent", "--json", *registry]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1
    assert [("taxon" in answer, "error" in answer) for answer in json.loads(done.stdout)] == [
        (True, False),
        (False, True),
    ]
    assert done.stderr.splitlines() == [
        f"naturewatch: {kea}.absent: there is no such file",
        "naturewatch: 1 of 2 photographs have no answer",
    ]


def test_without_a_champion_it_says_what_to_do(kea: Path, tmp_path: Path, capsys: Captured) -> None:
    spec, _ = release()
    assert identify.main([str(kea), "--tracking-uri", spec.tracking.uri, "--model-name", spec.model_name]) == 1
    assert "run `naturewatch run` first" in capsys.readouterr().err
    assert identify.main([str(kea), "--tracking-uri", f"sqlite:///{tmp_path / 'none.db'}"]) == 1
    assert "run `naturewatch run` first" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()


def test_a_version_that_this_code_cannot_read_is_named_with_what_to_do(
    kea: Path, tmp_path: Path, capsys: Captured
) -> None:
    """A model of other code: it looks for an artifact that it does not carry."""
    code = tmp_path / "other.py"
    code.write_text(
        "from mlflow.models import set_model\n"
        "from mlflow.pyfunc import PythonModel\n"
        "class Other(PythonModel):\n"
        "    def load_context(self, context):\n"
        "        self.thresholds = context.artifacts['thresholds']\n"
        "    def predict(self, context, model_input: list[str], params=None) -> list[str]:\n"
        "        return []\n"
        "set_model(Other())\n",
        encoding="utf-8",
    )
    uri = tracking_in(tmp_path, stage="candidate").uri
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = mlflow.MlflowClient()
    # A server that another test ran in this process may have left its own default for artifacts.
    experiment = client.create_experiment("other", artifact_location=(tmp_path / "artifacts").as_uri())
    with mlflow.start_run(experiment_id=experiment):
        info = mlflow.pyfunc.log_model(name="other", python_model=str(code), pip_requirements=["mlflow"])
    client.create_registered_model("tiny")
    client.create_model_version("tiny", info.model_uri)
    client.set_registered_model_alias("tiny", "champion", "1")
    assert identify.main([str(kea), "--tracking-uri", uri, "--model-name", "tiny"]) == 1
    assert "version 1 of 'tiny' was registered by other code than this" in capsys.readouterr().err


def test_a_region_of_interest_is_looked_at(registry: list[str], kea: Path, capsys: Captured) -> None:
    probabilities = []
    for region in (["0", "0", "1", "1"], ["0.4", "0.4", "0.6", "0.6"]):
        assert identify.main([str(kea), "--region", *region, "--json", *registry]) == 0
        (answer,) = json.loads(capsys.readouterr().out)
        probabilities.append([species["probability"] for species in answer["top"]])
    assert probabilities[0] != probabilities[1]
    assert identify.main([str(kea), "--region", "0.6", "0", "0.4", "1", *registry]) == 1
    assert "left, upper, right, lower as fractions" in capsys.readouterr().err


@pytest.fixture
def classifier(tmp_path: Path) -> list[str]:
    generator = np.random.default_rng(2)
    labels = generator.integers(4, size=300)
    logits = generator.normal(size=(300, 4)) * 2 + 3 * np.eye(4)[labels]
    np.save(tmp_path / "p.npy", np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    np.save(tmp_path / "y.npy", labels)
    taxonomy = write_taxonomy(tmp_path / "taxonomy.parquet", rows_of(BIRDS))
    files = ["--probabilities", str(tmp_path / "p.npy"), "--labels", str(tmp_path / "y.npy")]
    return [*files, "--taxonomy", str(taxonomy)]


@pytest.mark.parametrize("method", ["exact", "hill_climb", "binary_search"])
def test_anybodys_classifier_is_calibrated(classifier: list[str], method: str, capsys: Captured) -> None:
    assert specificity_cli.main([*classifier, "--target", "0.9", "--method", method, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["accuracy"] == pytest.approx(0.9, abs=0.02)
    assert result["method"] == method
    assert specificity_cli.main([*classifier, "--target", "0.9"]) == 0
    assert "abstention" in capsys.readouterr().out


def test_what_cannot_be_calibrated_ends_with_a_reason(classifier: list[str], tmp_path: Path, capsys: Captured) -> None:
    np.save(tmp_path / "p.npy", np.full((300, 3), 1 / 3))
    assert specificity_cli.main([*classifier, "--target", "0.9"]) == 1
    assert "photographs x 4 classes" in capsys.readouterr().err
    (tmp_path / "p.npy").write_bytes(b"junk")
    assert specificity_cli.main([*classifier, "--target", "0.9"]) == 1
    assert "cannot read" in capsys.readouterr().err
    labels = np.load(tmp_path / "y.npy")
    np.save(tmp_path / "p.npy", np.eye(4)[(labels + 2) % 4])
    assert specificity_cli.main([*classifier, "--target", "0.9"]) == 1
    assert "no threshold reaches an accuracy of 90.0%" in capsys.readouterr().err
