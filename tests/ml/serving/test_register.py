"""`python -m ml register`: a version carries all that it needs, and a specification is registered once."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from ml.__main__ import main
from ml.child.pipes import Reporter
from ml.serving.register import description, run, unusable
from ml.spec import MODEL_DESCRIPTION, RESULT_FILE, RegisterResult
from pipeline.tracking.store import relocate
from tests.ml.specificity_fixtures import QUIET, Copied, photograph_bytes, release
from tests.mlflow_stores import mlflow_server


@pytest.fixture(scope="module")
def client() -> MlflowClient:
    uri = release()[0].tracking.uri
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def test_the_version_has_its_tags_alias_card_and_metrics(client: MlflowClient) -> None:
    spec, result = release()
    version = client.get_model_version_by_alias(spec.model_name, "challenger")
    assert str(version.version) == result.version
    assert version.tags["naturewatch.spec_hash"] == spec.spec_hash
    assert spec.version_tags.items() <= version.tags.items()
    assert version.description == "A tiny network\n", "without the header that hubs of models read"
    assert client.get_registered_model(spec.model_name).description == MODEL_DESCRIPTION
    assert client.get_run(result.mlflow_run_id).data.metrics["final/top1"] == 0.5
    assert client.get_run(result.mlflow_run_id).data.tags["mlflow.parentRunId"] == spec.tracking.parent_run_id


def test_the_version_carries_all_that_serving_needs(client: MlflowClient) -> None:
    spec, result = release()
    folder = Path(client.get_model_version_download_uri(spec.model_name, result.version).removeprefix("file://"))
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert names >= {"weights.safetensors", "network.json", "taxonomy.parquet", "operating_curve.parquet"}
    assert names >= {"attribution.parquet", "card.md", "card.html", "configuration.yaml"}
    cards = {file.path for file in client.list_artifacts(result.mlflow_run_id, "card")}
    assert cards == {"card/card.md", "card/card.html"}


def test_a_card_fits_into_the_tables_of_every_store() -> None:
    paragraphs = [f"Paragraph {number} of a long card." for number in range(400)]
    card = "\n\n".join(paragraphs) + "\n"
    assert description(card, uri="sqlite:///mlflow.db") == card
    assert description("short\n", uri="http://127.0.0.1:5000") == "short\n"
    for uri in ("postgresql://host/mlflow", "http://127.0.0.1:5000"):
        shown = description(card, uri=uri)
        assert len(shown) <= 5_000
        *kept, last = shown.strip().split("\n\n")
        assert kept == paragraphs[: len(kept)]
        assert "model_card.md" in last


def test_the_columns_of_tables_stand_apart_in_the_registry() -> None:
    card = "One | two.\n\n| rank | right |\n|---|---:|\n| genus | 95.1 % |\n"
    shown = description(card, uri="sqlite:///mlflow.db")
    assert shown == "One | two.\n\n| rank&emsp;| right&emsp;|\n|---|---:|\n| genus&emsp;| 95.1 %&emsp;|\n"


def test_registering_again_reuses_the_version(client: MlflowClient) -> None:
    spec, result = release()
    (spec.output / RESULT_FILE).unlink()
    client.delete_registered_model_alias(spec.model_name, "challenger")
    assert run(spec, reporter=QUIET) == result
    assert RegisterResult.read(spec.output / RESULT_FILE) == result
    assert len(client.search_model_versions(f"name = '{spec.model_name}'")) == 1
    assert str(client.get_model_version_by_alias(spec.model_name, "challenger").version) == result.version


def test_what_is_wrong_with_a_version_is_found(tmp_path: Path) -> None:
    copied = Copied(tmp_path / "copy")
    assert copied.problem() is None
    whole = copied.weights.read_bytes()
    copied.weights.write_bytes(whole[:-4] + bytes(4))
    assert copied.problem() == "its weights differs from what it was made of"
    copied.weights.unlink()
    assert "weights.safetensors is missing" in str(copied.problem())
    shutil.rmtree(copied.model.parent)
    with contextlib.closing(sqlite3.connect(copied.uri.removeprefix("sqlite:///"))) as store, store:
        store.execute("UPDATE model_versions SET storage_location = 'file:///gone/mlartifacts/models/m-1/artifacts'")
    assert "/gone/mlartifacts/models/m-1/artifacts/MLmodel is missing" in str(copied.problem())


def test_what_was_registered_can_be_read_by_every_account(tmp_path: Path) -> None:
    copied = Copied(tmp_path / "copy")
    assert copied.spec.weights.stat().st_mode & 0o077 == 0, "safetensors writes for its owner alone"
    assert copied.weights.stat().st_mode & 0o777 == copied.spec.taxonomy.stat().st_mode & 0o777
    copied.weights.chmod(0o600)
    assert copied.problem() is None
    assert copied.weights.stat().st_mode & 0o777 == copied.spec.taxonomy.stat().st_mode & 0o777


@pytest.mark.filterwarnings("ignore")  # MLflow's own, from logging a model
def test_a_version_that_cannot_be_used_is_registered_anew_and_only_once(tmp_path: Path) -> None:
    copied, told = Copied(tmp_path / "copy"), list[str]()
    relocate(tmp_path / "copy" / "mlflow.db", tmp_path / "copy" / "mlartifacts")
    copied.weights.write_bytes(copied.weights.read_bytes()[:1000])
    spec = copied.spec.model_copy(update={"output": tmp_path / "out"})
    anew = run(spec, reporter=Reporter(told.append))
    assert anew.version == "2"
    assert "tiny version 1 cannot be used" in told[0]
    assert "weights.safetensors is damaged" in told[0]
    version = copied.client.get_model_version_by_alias("tiny", "challenger")
    assert str(version.version) == "2"
    assert unusable(copied.client, version, spec=spec) is None
    assert run(spec, reporter=Reporter(told.append)) == anew
    assert told[-1] == "tiny version 2 is this specification already"


@pytest.mark.filterwarnings("ignore")  # MLflow's own, from logging a model
def test_a_server_keeps_the_version_and_what_is_wrong_with_it_is_found(tmp_path: Path) -> None:
    uri = mlflow_server()
    spec, _ = release()
    server = MlflowClient(tracking_uri=uri, registry_uri=uri)
    parent = server.create_run(server.create_experiment("of test_register"))
    tracking = spec.tracking.model_copy(
        update={"uri": uri, "experiment": "of test_register", "parent_run_id": parent.info.run_id}
    )
    there = spec.model_copy(update={"tracking": tracking, "output": tmp_path / "out"})
    made = run(there, reporter=QUIET)
    version = server.get_model_version(there.model_name, made.version)
    assert server.get_model_version_download_uri(there.model_name, made.version).startswith("mlflow-artifacts:/")
    assert unusable(server, version, spec=there) is None
    (tmp_path / "network.json").write_text("{}", encoding="utf-8")
    other = there.model_copy(update={"network": tmp_path / "network.json"})
    assert unusable(server, version, spec=other) == "its network differs from what it was made of"


def test_an_incomplete_specification_registers_nothing(
    client: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, _ = release()
    wanting = spec.model_copy(update={"weights": tmp_path / "absent", "spec_hash": "new", "output": tmp_path / "out"})
    assert main(["register", "--spec", str(wanting.write(tmp_path / "spec.json"))]) == 1
    assert f"missing: {tmp_path / 'absent'}" in capsys.readouterr().err
    assert len(client.search_model_versions(f"name = '{spec.model_name}'")) == 1
    assert not (tmp_path / "out" / RESULT_FILE).exists()


def test_the_version_answers_where_this_checkout_is_unknown_with_just_the_modules_that_it_carries(
    client: MlflowClient, tmp_path: Path
) -> None:
    spec, result = release()
    (tmp_path / "photo.jpg").write_bytes(photograph_bytes())
    program = (
        "import sys, json, mlflow; uri, model, photo = sys.argv[1:]; mlflow.set_tracking_uri(uri);"
        "answer = mlflow.pyfunc.load_model(model).predict([photo]);"
        "used = [str(module.__file__) for name, module in sys.modules.items() if name.split('.')[0] == 'ml'];"
        "print(json.dumps([used, answer[0]['rank']]))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, spec.tracking.uri, result.model_uri, str(tmp_path / "photo.jpg")],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    used, rank = json.loads(done.stdout.splitlines()[-1])
    assert rank
    folder = Path(client.get_model_version_download_uri(spec.model_name, result.version).removeprefix("file://"))
    assert {Path(file) for file in used} == set((folder / "code").rglob("*.py"))
    assert (folder / "code" / "ml" / "serving" / "answering.py").is_file()
