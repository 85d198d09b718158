"""Finding a registered version: where its files are, and the true reason where it cannot be used."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.tracking import MlflowClient

from ml.serving.answering import Answering
from ml.serving.classifier import Classifier
from ml.serving.question import QuestionError
from ml.serving.versions import ModelError, Version, files_of, find_version, shown
from tests.ml.specificity_fixtures import release
from tests.mlflow_stores import empty_store, mlflow_server


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the store with the registered model: MLflow remembers the place that it was copied from."""
    spec, _ = release()
    origin = Path(spec.tracking.uri.removeprefix("sqlite:///")).parent
    shutil.copy(origin / "mlflow.db", tmp_path / "mlflow.db")
    shutil.copytree(origin / "mlartifacts" / "models", tmp_path / "mlartifacts" / "models")
    return tmp_path / "mlflow.db"


@pytest.fixture
def version(copied: Path) -> Version:
    return find_version(uri=f"sqlite:///{copied}", name="tiny", alias="challenger")


@pytest.fixture
def folder(copied: Path) -> Path:
    """The folder of the copied model's files."""
    (description,) = copied.parent.glob("mlartifacts/models/*/artifacts/MLmodel")
    return description.parent


def problem(version: Version, copied: Path) -> str:
    with pytest.raises(ModelError) as refused:
        read(version, copied)
    return str(refused.value)


def read(version: Version, copied: Path) -> None:
    """Read all that a version answers with."""
    with files_of(version, uri=f"sqlite:///{copied}") as artifacts:
        Answering.read(artifacts)
        Classifier(artifacts)


def test_a_version_is_found_where_its_store_was_moved_to(version: Version, copied: Path) -> None:
    assert (version.name, version.number) == ("tiny", "1")
    with files_of(version, uri=f"sqlite:///{copied}") as artifacts:
        assert set(artifacts) >= {"weights", "network", "taxonomy", "specificity", "thresholds"}
        assert all(Path(path).is_relative_to(copied.parent) for path in artifacts.values())


def test_a_copied_model_answers_with_its_own_files(version: Version, copied: Path, folder: Path) -> None:
    (folder / "artifacts" / "network.json").unlink()
    assert f"{folder / 'artifacts' / 'network.json'} is missing" in problem(version, copied)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda folder: (folder / "MLmodel").unlink(), "is incomplete: .*MLmodel is missing"),
        (lambda folder: (folder / "MLmodel").write_text("{: ["), "is damaged: .*MLmodel does not describe a model"),
        (lambda folder: (folder / "MLmodel").write_text(""), "is damaged: .*MLmodel does not describe a model"),
        (lambda folder: cut(folder / "artifacts" / "weights.safetensors"), "is damaged: .*weights.safetensors"),
        (lambda folder: cut(folder / "artifacts" / "network.json"), "is damaged: .*network.json"),
        (lambda folder: cut(folder / "artifacts" / "taxonomy.parquet"), "is damaged: .*taxonomy.parquet"),
        (lambda folder: cut(folder / "artifacts" / "thresholds.parquet"), "is damaged: .*thresholds.parquet"),
        (lambda folder: cut(folder / "artifacts" / "result.json"), "is damaged: .*result.json: it is cut short"),
        (lambda folder: rewritten(folder / "artifacts" / "result.json"), "was registered by other code than this"),
        (lambda folder: without(folder / "MLmodel", "thresholds"), "was registered by other .*: it has no thresholds"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_its_files_is_told(
    version: Version, copied: Path, folder: Path, harm: Callable[[Path], object], reason: str
) -> None:
    harm(folder)
    told = problem(version, copied)
    assert pytest.RaisesExc(ModelError, match=f"version 1 of 'tiny' {reason}").matches(ModelError(told)), told
    assert "`naturewatch run` registers it anew" in told


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def rewritten(path: Path) -> None:
    document = json.loads(path.read_text())
    document["a_field_of_tomorrow"] = 1
    path.write_text(json.dumps(document))


def without(path: Path, artifact: str) -> None:
    model = yaml.safe_load(path.read_text())
    del model["flavors"]["python_function"]["artifacts"][artifact]
    path.write_text(yaml.safe_dump(model))


def test_files_of_another_account_are_not_called_damaged(
    version: Version, copied: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Any = Path.open

    def refuses(path: Path, *args: str, **options: str) -> object:
        if path.name == "weights.safetensors":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuses)
    told = problem(version, copied)
    assert told.startswith("this account may not read ")
    assert f"chmod -R a+rX {folder}" in told
    assert "run" not in told.split("chmod")[1]


def test_a_store_that_another_account_keeps_to_itself_is_said_to_be_so(version: Version, copied: Path) -> None:
    """The whole folder is closed, as that of somebody's home."""
    artifacts, user = copied.parent / "mlartifacts", os.geteuid()
    artifacts.chmod(0)
    try:
        if user == 0:
            os.seteuid(65534)
        assert problem(version, copied).startswith("this account may not read ")
    finally:
        if user == 0:
            os.seteuid(0)
        artifacts.chmod(0o700)


def test_a_question_that_the_model_cannot_answer_is_not_a_damage(version: Version, copied: Path) -> None:
    with pytest.raises(QuestionError, match="no such taxon"), files_of(version, uri=f"sqlite:///{copied}"):
        raise QuestionError("no such taxon")


def test_what_lies_in_another_store_is_copied_for_as_long_as_it_is_read(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever registry the process has used before."""
    uri = mlflow_server()
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    run = client.create_run(client.create_experiment("of test_versions"))
    (described,) = copied.parent.glob("mlartifacts/**/MLmodel")
    client.log_artifacts(run.info.run_id, str(described.parent), artifact_path="model")
    empty_store(tmp_path / "other.db")
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", f"sqlite:///{tmp_path / 'other.db'}")
    elsewhere = Version(name="tiny", number="1", folder=f"{run.info.artifact_uri}/model")
    with files_of(elsewhere, uri=uri) as artifacts:
        weights = Path(artifacts["weights"])
        assert weights.is_file()
        assert not weights.is_relative_to(copied.parent)
        assert Answering.read(artifacts).taxonomy.class_count == 4
    assert not weights.exists()


def unfound(uri: str, *, name: str = "tiny", alias: str = "champion") -> str:
    with pytest.raises(ModelError) as refused:
        find_version(uri=uri, name=name, alias=alias)
    return str(refused.value)


def test_what_is_no_registry_is_told_and_left_alone(tmp_path: Path) -> None:
    assert unfound(f"sqlite:///{tmp_path / 'none.db'}") == (
        f"there is no registry at {tmp_path / 'none.db'}: run `naturewatch run` first"
    )
    (tmp_path / "empty.db").write_bytes(b"")
    (tmp_path / "text.db").write_text("no database at all, but a text\n" * 100)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE birds (name TEXT)")
        other.commit()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert "is no database of MLflow" in unfound(f"sqlite:///{tmp_path / 'empty.db'}")
    assert "cannot be read (file is not a database)" in unfound(f"sqlite:///{tmp_path / 'text.db'}")
    assert "is no database of MLflow" in unfound(f"sqlite:///{tmp_path / 'other.db'}")
    assert "is no database of MLflow, but a folder" in unfound(f"sqlite:///{tmp_path}")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_registry_that_another_account_keeps_to_itself_is_said_to_be_so(copied: Path) -> None:
    user = os.geteuid()
    for closed in (copied, copied.parent):
        mode = closed.stat().st_mode
        closed.chmod(0)
        try:
            if user == 0:
                os.seteuid(65534)
            told = unfound(f"sqlite:///{copied}")
        finally:
            if user == 0:
                os.seteuid(0)
            closed.chmod(mode)
        assert told == f"this account may not read the registry {copied}: its owner can allow it"


def test_a_cut_registry_is_told(copied: Path) -> None:
    cut(copied)
    told = unfound(f"sqlite:///{copied}")
    assert "malformed" in told or "is damaged" in told


def test_a_registry_of_another_version_of_mlflow_is_told(copied: Path) -> None:
    with closing(sqlite3.connect(copied)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'deadbeef'")
        connection.commit()
    told = unfound(f"sqlite:///{copied}")
    assert "another version of MLflow wrote the registry" in told
    assert f"`mlflow db upgrade sqlite:///{copied}`" in told


def test_what_there_is_instead_is_told(copied: Path) -> None:
    uri = f"sqlite:///{copied}"
    assert unfound(uri) == (
        f"the model 'tiny' has no version called 'champion' in {uri}: run `naturewatch run` first; it has challenger "
        "(version 1), which `--alias` asks for"
    )
    assert "has no version called 'best' in" in unfound(uri, alias="best")
    assert "run" not in unfound(uri, alias="best").replace(uri, "")
    assert unfound("").startswith("the address of the registry is empty")
    assert unfound(uri, name="naturewatch") == f"{uri} holds no model 'naturewatch': run `naturewatch run` first"


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port that nobody answers on."""
    import socket  # noqa: PLC0415

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_server_that_is_down_is_told_without_its_password(nobody: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    told = unfound(f"http://kea:secret@127.0.0.1:{nobody}")
    assert told.startswith(
        f"the registry http://kea:***@127.0.0.1:{nobody} does not answer (Connection refused): start it"
    )
    assert "secret" not in told


def test_an_address_is_shown_without_its_password() -> None:
    assert shown("postgresql://kea:secret@db/mlflow") == "postgresql://kea:***@db/mlflow"
    assert shown("sqlite:////var/mlflow.db") == "sqlite:////var/mlflow.db"
