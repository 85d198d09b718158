"""MLflow's SQLite file: whole or not there, never another program's, and at home where its data root is."""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine

from ml.spec import sqlite_file
from pipeline.errors import TrackingError
from pipeline.tracking.store import ensure_store, relocate
from tests.limits import full_disk
from tests.mlflow_stores import EXPERIMENT, empty_store, forget_artifacts

Statement = Callable[..., None]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "NZ birds [2026] 100%" / "mlflow.db"


def ensure(database: Path) -> None:
    folder = database.parent
    ensure_store(database, experiment=EXPERIMENT, artifacts=folder / "mlartifacts", work=folder / "work" / "mlflow")


def connect(database: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{database}", registry_uri=f"sqlite:///{database}")


def change(database: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as store, store:
        for statement in statements:
            store.execute(statement)


def a_run(database: Path) -> str:
    client = connect(database)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return str(client.create_run(experiment.experiment_id).info.run_id)


def test_a_store_is_made_beside_its_place_and_then_moved_there(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends while MLflow makes its tables leaves nothing that the next one could trip over."""
    (database.parent / "work" / "mlflow").mkdir(parents=True)
    (database.parent / "work" / "mlflow" / "mlflow.db").write_bytes(b"left by a killed process")

    def killed(*_: object, **__: object) -> str:
        assert not database.exists()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SqlAlchemyStore, "create_experiment", killed)
        with pytest.raises(KeyboardInterrupt):
            ensure(database)
    assert not database.exists()
    ensure(database)
    experiment = connect(database).get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    assert experiment.artifact_location == (database.parent / "mlartifacts").as_uri()
    assert not (database.parent / "work" / "mlflow").exists()


def test_a_full_disk_is_told_and_leaves_nothing(database: Path) -> None:
    with full_disk(100_000), pytest.raises(TrackingError, match="cannot make MLflow's store"):
        ensure(database)
    assert not database.exists()
    ensure(database)
    assert a_run(database)


def empty_file(database: Path) -> None:
    database.write_bytes(b"")


def first_tables(database: Path) -> None:
    """What MLflow has made before its first migration."""
    InitialBase.metadata.create_all(create_engine(f"sqlite:///{database}"))


def between_migrations(database: Path) -> None:
    empty_store(database)
    change(database, "UPDATE alembic_version SET version_num = '451aebb31d03'", "DROP TABLE trace_tags")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # SQLAlchemy's pool of `first_tables`
@pytest.mark.parametrize("half_made", [empty_file, first_tables, between_migrations])
def test_a_store_that_was_left_half_made_and_holds_nothing_is_made_anew(database: Path, half_made: Statement) -> None:
    database.parent.mkdir(parents=True)
    half_made(database)
    ensure(database)
    assert a_run(database)


def cut(database: Path) -> None:
    content = database.read_bytes()
    database.write_bytes(content[: len(content) // 2])


def text(database: Path) -> None:
    database.write_text("no database at all" * 1000, encoding="utf-8")


def newer(database: Path) -> None:
    a_run(database)
    change(database, "UPDATE alembic_version SET version_num = 'ffffffffffff'")


def older(database: Path) -> None:
    a_run(database)
    change(database, "UPDATE alembic_version SET version_num = '451aebb31d03'")


def other_program(database: Path) -> None:
    database.unlink()
    change(database, "CREATE TABLE runs (id INTEGER)", "CREATE TABLE birds (id INTEGER)")


def other_program_with_schema(database: Path) -> None:
    other_program(database)
    change(database, "CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('x1')")


def folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, r"cannot be read \(database disk image is malformed\): restore it from a copy, or move it away"),
        (text, r"cannot be read \(file is not a database\)"),
        (newer, r"is of a newer MLflow or another program \(ffffffffffff\): move it away"),
        (older, r"was written by an older MLflow \(schema 451aebb31d03, this one's is \w+\).*`mlflow db upgrade"),
        (other_program, "is a database of another program"),
        (other_program_with_schema, r"a newer MLflow or another program \(x1\)"),
        (folder, "unable to open database file"),
    ],
)
def test_what_holds_something_is_never_replaced_and_the_reason_is_true(
    database: Path, damage: Statement, reason: str
) -> None:
    empty_store(database)
    damage(database)
    before = None if database.is_dir() else database.read_bytes()
    with pytest.raises(TrackingError, match=reason):
        ensure(database)
    assert before is None or database.read_bytes() == before


def test_a_copied_store_writes_beside_itself_and_leaves_the_original_alone(database: Path, tmp_path: Path) -> None:
    artifacts = database.parent / "mlartifacts"
    relocate(empty_store(database), artifacts)
    run = a_run(database)
    (tmp_path / "facts.txt").write_text("first", encoding="utf-8")
    connect(database).log_artifact(run, str(tmp_path / "facts.txt"))
    client = connect(database)
    client.create_registered_model("m")
    client.create_model_version("m", source=f"{artifacts.as_uri()}/models/m-1/artifacts", run_id=run)
    elsewhere = client.create_experiment("others", artifact_location=(tmp_path / "mlartifacts2").as_uri())
    copy = tmp_path / "another disk" / "nz"
    shutil.copytree(database.parent, copy)
    relocate(copy / "mlflow.db", copy / "mlartifacts")
    forget_artifacts()
    copied = connect(copy / "mlflow.db")
    (tmp_path / "more.txt").write_text("second", encoding="utf-8")
    copied.log_artifact(run, str(tmp_path / "more.txt"))
    copied.log_artifact(a_run(copy / "mlflow.db"), str(tmp_path / "more.txt"))
    assert {path.name for path in artifacts.rglob("*.txt")} == {"facts.txt"}
    assert sorted(path.name for path in (copy / "mlartifacts").rglob("*.txt")) == ["facts.txt", "more.txt", "more.txt"]
    assert copied.get_model_version_download_uri("m", "1") == f"{(copy / 'mlartifacts').as_uri()}/models/m-1/artifacts"
    assert copied.get_experiment(elsewhere).artifact_location == (tmp_path / "mlartifacts2").as_uri()
    assert client.get_run(run).info.artifact_uri == f"{artifacts.as_uri()}/{run}/artifacts"


def test_the_same_folder_by_another_path_is_left(database: Path, tmp_path: Path) -> None:
    relocate(empty_store(database), database.parent / "mlartifacts")
    (database.parent / "mlartifacts").mkdir()
    (tmp_path / "link").symlink_to(database.parent)
    relocate(database, tmp_path / "link" / "mlartifacts")
    experiment = connect(database).get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    assert experiment.artifact_location == (database.parent / "mlartifacts").as_uri()


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:////data/mlflow.db", Path("/data/mlflow.db")),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("http://127.0.0.1:5000", None),
        ("postgresql://user@host/mlflow", None),
    ],
)
def test_only_a_file_is_looked_after(uri: str, file: Path | None) -> None:
    assert sqlite_file(uri) == file
