"""`naturewatch identify` and `naturewatch specificity` from the outside: what is printed, and when they fail."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest

from ml import identify, specificity_cli
from tests.ml.specificity_fixtures import BIRDS, photograph_bytes, release, rows_of, tracking_in, write_taxonomy

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def registry() -> list[str]:
    spec, _ = release()
    return ["--tracking-uri", spec.tracking.uri, "--model-name", spec.model_name, "--alias", "challenger"]


@pytest.fixture
def kea(tmp_path: Path) -> Path:
    path = tmp_path / "kea.jpg"
    path.write_bytes(photograph_bytes())
    return path


def test_a_photograph_is_named_with_lineage_and_likely_species(
    registry: list[str], kea: Path, capsys: Captured
) -> None:
    assert identify.main([str(kea), *registry, "--threshold", "0", "--within", "Aves", "--top", "2"]) == 0
    first, *species, watched = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{kea}: species ")
    assert "[Animalia > Chordata > Aves > " in first
    assert len(species) == 2
    assert "watched Plantae > Tracheophyta > Magnoliopsida > Rosales > Moraceae > Morus: " in watched


def test_an_answer_reads_as_a_sentence() -> None:
    genus = {"rank": "genus", "name": "Nestor", "taxon_key": "K6", "probability": 0.93}
    top = [{"rank": "species", "name": "Nestor notabilis", "taxon_key": "K7", "probability": 0.612}]
    answer = {"photo": "kea.jpg", "taxon": "Nestor", "rank": "genus", "depth": 6, "probability": 0.93, "threshold": 0.9}
    text = identify.readable({**answer, "lineage": [genus], "top": top})
    assert text.splitlines() == ["kea.jpg: genus Nestor (93 %)  [Nestor]", "    Nestor notabilis   61.2 %"]
    abstained = identify.readable({**answer, "depth": 0, "rank": "root", "lineage": [], "top": []})
    assert abstained == "kea.jpg: not sure of any kingdom (asked for 90 % confidence)"


def test_an_alarm_cannot_be_overlooked() -> None:
    taxon = {"lineage": "Plantae > Morus", "probability": 0.02, "threshold": 0.013, "alarm": True}
    assert identify.watched(taxon) == "    ! ALARM, watched Plantae > Morus: 2 % (alarm from 1.3 %)"
    assert identify.watched({**taxon, "alarm": False}) == "    watched Plantae > Morus: 2 % (alarm from 1.3 %)"


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


def test_one_bad_photograph_does_not_keep_the_others_from_their_answer(
    registry: list[str], kea: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photograph")
    assert identify.main([str(tmp_path / "bad.jpg"), str(tmp_path / "absent.jpg"), str(kea), *registry]) == 1
    out, err = capsys.readouterr()
    assert str(kea) in out
    assert f"{tmp_path / 'bad.jpg'}: not a photograph in one of the formats" in err
    assert f"{tmp_path / 'absent.jpg'}: there is no such file" in err


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
    mlflow.set_experiment("test")
    info = mlflow.pyfunc.log_model(name="other", python_model=str(code), pip_requirements=["mlflow"])
    client = mlflow.MlflowClient()
    client.create_registered_model("tiny")
    client.create_model_version("tiny", info.model_uri)
    client.set_registered_model_alias("tiny", "champion", "1")
    assert identify.main([str(kea), "--tracking-uri", uri, "--model-name", "tiny"]) == 1
    assert "version 1 of 'tiny' cannot be used (it was registered by other code than this" in capsys.readouterr().err


def test_an_unknown_taxon_is_refused(registry: list[str], kea: Path, capsys: Captured) -> None:
    assert identify.main([str(kea), "--within", "Dodo", *registry]) == 1
    assert "knows no taxon 'Dodo'" in capsys.readouterr().err


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
