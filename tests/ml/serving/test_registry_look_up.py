"""A version found without MLflow is the one that MLflow finds; where anything is unusual, MLflow is asked."""

import http.server
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from mlflow.store.db.utils import _get_latest_schema_revision
from mlflow.tracking import MlflowClient

from ml.serving import http_registry, sqlite_registry
from ml.serving.versions import ModelError, find_version
from tests.ml.specificity_fixtures import photograph_bytes, release
from tests.mlflow_stores import mlflow_server


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A store with versions 1 to 3 of `kea`: 2 is the champion, 3 is deleted."""
    spec, _ = release()
    origin = Path(spec.tracking.uri.removeprefix("sqlite:///"))
    path = Path(shutil.copy(origin, tmp_path / "mlflow.db"))
    client = MlflowClient(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}")
    client.create_registered_model("kea")
    for number in range(1, 4):
        client.create_model_version("kea", source=f"/store/{number}")
    client.set_registered_model_alias("kea", "champion", "2")
    client.set_registered_model_alias("kea", "gone", "3")
    client.delete_model_version("kea", "3")
    return path


def test_the_schema_is_that_of_the_installed_mlflow() -> None:
    """Where this fails, a new MLflow keeps its tables otherwise: compare them, then name its revision."""
    revision = _get_latest_schema_revision()  # type: ignore[no-untyped-call]
    assert revision == sqlite_registry.SCHEMA


@pytest.mark.parametrize(("alias", "number"), [("champion", "2"), ("1", "1"), ("2", "2"), ("02", "2")])
def test_the_tables_tell_what_mlflow_tells(database: Path, alias: str, number: str) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{database}", registry_uri=f"sqlite:///{database}")
    found = sqlite_registry.look_up(database, name="kea", alias=alias)
    assert found == (number, client.get_model_version_download_uri("kea", number))
    assert not list(database.parent.glob("mlflow.db-*")), "nothing is written beside a registry"


@pytest.mark.parametrize(
    ("name", "alias"),
    [("kea", "3"), ("kea", "gone"), ("kea", "best"), ("moa", "champion"), ("kea", "latest"), ("kea", "9" * 30)],
)
def test_what_is_not_there_is_left_to_mlflow(database: Path, name: str, alias: str) -> None:
    assert sqlite_registry.look_up(database, name=name, alias=alias) is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alembic_version SET version_num = 'deadbeef'",
        "DELETE FROM alembic_version",
        "INSERT INTO registered_models (name, workspace) VALUES ('other', 'elsewhere')",
        "ALTER TABLE model_versions RENAME COLUMN storage_location TO place",
        "UPDATE model_versions SET storage_location = NULL, source = NULL",
    ],
)
def test_unusual_tables_are_left_to_mlflow(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(statement)
        connection.commit()
    assert sqlite_registry.look_up(database, name="kea", alias="champion") is None


def test_workspaces_are_left_to_mlflow(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WORKSPACE", "birds")
    assert sqlite_registry.look_up(database, name="kea", alias="champion") is None
    assert http_registry.look_up("http://127.0.0.1:1", name="kea", alias="champion") is None


def test_a_file_that_is_none_is_left_to_mlflow(tmp_path: Path) -> None:
    assert sqlite_registry.look_up(tmp_path / "none.db", name="kea", alias="champion") is None
    (tmp_path / "text.db").write_text("no database at all" * 100)
    assert sqlite_registry.look_up(tmp_path / "text.db", name="kea", alias="champion") is None


@pytest.fixture(scope="module")
def served() -> str:
    """An MLflow server that keeps the tiny version's files as artifacts of its own, as version 1 of `served`."""
    uri, (spec, _) = mlflow_server(), release()
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    (described,) = Path(spec.tracking.uri.removeprefix("sqlite:///")).parent.glob(
        "mlartifacts/models/*/artifacts/MLmodel"
    )
    run = client.create_run(client.create_experiment("of test_registry_look_up"))
    client.log_artifacts(run.info.run_id, str(described.parent), artifact_path="a model")
    client.create_registered_model("served")
    client.create_model_version("served", source=f"{run.info.artifact_uri}/a model", run_id=run.info.run_id)
    client.set_registered_model_alias("served", "champion", "1")
    return uri


def test_a_server_tells_what_mlflow_tells(served: str) -> None:
    client = MlflowClient(tracking_uri=served, registry_uri=served)
    location = client.get_model_version_download_uri("served", "1")
    for alias in ("champion", "1"):
        assert http_registry.look_up(f"{served}/", name="served", alias=alias) == ("1", location)
    for name, alias in (("served", "best"), ("served", "2"), ("moa", "champion")):
        assert http_registry.look_up(served, name=name, alias=alias) is None
    with pytest.raises(ModelError, match=r"the model 'served' has no version called 'best' .* it has champion"):
        find_version(uri=served, name="served", alias="best")


IDENTIFY = """
import sys
from ml.identify.command import main
photo, *registries = sys.argv[1:]
for registry in registries:
    uri, name, alias = registry.split("|")
    assert main([photo, "--tracking-uri", uri, "--model-name", name, "--alias", alias]) == 0
print(sorted({"mlflow", "sqlalchemy", "pandas", "scipy", "matplotlib"} & set(sys.modules)))
"""


def test_identifying_loads_no_mlflow_whether_the_registry_is_a_file_or_a_server(served: str, tmp_path: Path) -> None:
    (tmp_path / "kea.jpg").write_bytes(photograph_bytes())
    file = f"{release()[0].tracking.uri}|tiny|challenger"
    done = subprocess.run(
        [sys.executable, "-c", IDENTIFY, str(tmp_path / "kea.jpg"), file, f"{served}|served|champion"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = done.stdout.splitlines()
    assert said[-1] == "[]"
    assert done.stdout.count("kea.jpg") == 2
    assert done.stderr == ""


class Server(http.server.ThreadingHTTPServer):
    """Answers like MLflow, with whatever a test wants it to say."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.signed: list[str | None] = []
        self.listings: dict[str, object] = {}
        self.files: dict[str, bytes] = {}
        self.cut = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.server.signed.append(self.headers["Authorization"])
        _, found, name = unquote(parts.path).partition("/mlflow-artifacts/artifacts/")
        if found:
            body = self.server.files.get(name)
        elif parts.path.endswith("/mlflow-artifacts/artifacts"):
            listing = self.server.listings.get(parse_qs(parts.query)["path"][0])
            body = None if listing is None else json.dumps(listing).encode()
        elif parts.path.endswith("/registered-models/alias"):
            body = b'{"model_version": {"version": "7"}}'
        else:
            body = b'{"artifact_uri": "mlflow-artifacts:/7"}'
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"") + self.server.cut))
        self.end_headers()
        self.wfile.write(body or b"")
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("user", "environment", "signed"),
    [
        ("", {}, None),
        ("kea:secret@", {}, "Basic a2VhOnNlY3JldA=="),
        ("", {"USERNAME": "kea", "PASSWORD": "secret"}, "Basic a2VhOnNlY3JldA=="),
        ("", {"USERNAME": "kea"}, None),
        ("", {"TOKEN": "t0ken"}, "Bearer t0ken"),
        ("", {"USERNAME": "kea", "PASSWORD": "secret", "TOKEN": "t0ken"}, "Basic a2VhOnNlY3JldA=="),
    ],
)
def test_it_signs_in_as_mlflow_does(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    user: str, environment: dict[str, str], signed: str | None,
) -> None:  # fmt: skip
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    uri = f"http://{user}{server.address}"
    assert http_registry.look_up(uri, name="kea", alias="champion") == ("7", "mlflow-artifacts:/7")
    assert server.signed == [signed, signed]
    server.signed.clear()
    MlflowClient(tracking_uri=uri, registry_uri=uri).get_model_version_download_uri("kea", "7")
    assert set(server.signed) == {signed}


def test_other_ways_to_sign_in_are_left_to_mlflow(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "kubernetes")
    assert http_registry.look_up(f"http://{server.address}", name="kea", alias="1") is None
    monkeypatch.delenv("MLFLOW_TRACKING_AUTH")
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text("[mlflow]\nmlflow_tracking_username = kea\n")
    assert http_registry.look_up(f"http://{server.address}", name="kea", alias="1") is None
    assert not server.signed


def file(path: str) -> dict[str, object]:
    return {"path": path, "is_dir": False, "file_size": 1}


def folder(path: str) -> dict[str, object]:
    return {"path": path, "is_dir": True}


def test_the_files_of_a_version_are_copied_with_their_folders(server: Server, tmp_path: Path) -> None:
    server.listings = {
        "7/a b": {"files": [file("MLmodel"), folder("artifacts")]},
        "7/a b/artifacts": {"files": [file("x")]},
    }
    server.files = {"7/a b/MLmodel": b"model", "7/a b/artifacts/x": bytes(3_000_000)}
    uri, into = f"http://{server.address}", tmp_path / "into"
    assert http_registry.download("mlflow-artifacts:/7/a b", uri=uri, into=into)
    assert (into / "MLmodel").read_bytes() == b"model"
    assert (into / "artifacts" / "x").read_bytes() == bytes(3_000_000)


def break_off(server: Server) -> None:
    server.cut = True


@pytest.mark.parametrize(
    "harm",
    [
        lambda server: server.listings.update({"7": {"files": [file("../escaped")]}}),
        lambda server: server.listings.update({"7": {"files": [file("/tmp/escaped")]}}),
        lambda server: server.listings.update({"7": {"files": [file("a\\..\\escaped")]}}),
        lambda server: server.listings.update({"7": {"files": [{"path": "MLmodel"}]}}),
        lambda server: server.listings.update({"7": []}),
        lambda server: server.listings.update({"7": {}}),
        lambda server: server.listings.clear(),
        lambda server: server.files.clear(),
        break_off,
    ],
)  # fmt: skip
def test_a_listing_or_file_that_is_not_plain_is_left_to_mlflow(
    server: Server, tmp_path: Path, harm: Callable[[Server], object]
) -> None:
    server.listings, server.files = {"7": {"files": [file("MLmodel")]}}, {"7/MLmodel": b"model"}
    harm(server)
    into = tmp_path / "a" / "into"
    assert not http_registry.download("mlflow-artifacts:/7", uri=f"http://{server.address}", into=into)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("location", ["s3://bucket/7", "mlflow-artifacts://elsewhere:1/7", "/store/7", "models:/m-7"])
def test_other_stores_are_left_to_mlflow(server: Server, tmp_path: Path, location: str) -> None:
    assert not http_registry.download(location, uri=f"http://{server.address}", into=tmp_path)
    assert not http_registry.download("mlflow-artifacts:/7", uri="sqlite:///mlflow.db", into=tmp_path)
    assert not server.signed
