"""A registered version is found and judged where its store is now, and what is wrong with it is said truly."""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from ml.model_version import ModelVersionError, UnreadableError, differing, folder_of, load_version, share
from tests.ml.specificity_fixtures import Copied, photograph_bytes, release


@pytest.fixture
def copied(tmp_path: Path) -> Copied:
    return Copied(tmp_path / "a copy [2]")


def test_a_copy_answers_with_its_own_files_though_the_original_is_still_there(copied: Copied) -> None:
    original = Path(
        copied.client.get_model_version_download_uri("tiny", copied.version.version).removeprefix("file://")
    )
    assert original.is_dir()
    assert folder_of(copied.client, copied.version, uri=copied.uri) == copied.model / "artifacts"
    model = load_version(copied.client, copied.version, uri=copied.uri)
    assert model.predict([photograph_bytes()])[0]["rank"]
    assert copied.problem() is None


def test_files_that_are_gone_damaged_or_others_are_told_apart(copied: Copied) -> None:
    whole = copied.weights.read_bytes()
    copied.weights.write_bytes(whole[: len(whole) // 2])
    assert "weights.safetensors is damaged" in str(copied.problem())
    copied.weights.unlink()
    assert "weights.safetensors" in str(copied.problem())
    copied.weights.write_bytes(whole[:-4] + bytes(4))
    assert differing(copied.model / "artifacts", {"weights": copied.spec.weights}) == ["weights"]
    assert copied.problem() == "its weights differ from what it was made of"
    (copied.model / "artifacts" / "MLmodel").write_text("{", encoding="utf-8")
    assert copied.problem()


def test_a_version_whose_files_are_nowhere_is_said_to_be_lost(copied: Copied) -> None:
    shutil.rmtree(copied.model.parent)
    with contextlib.closing(sqlite3.connect(copied.uri.removeprefix("sqlite:///"))) as store, store:
        store.execute("UPDATE model_versions SET storage_location = 'file:///gone/mlartifacts/models/m-1/artifacts'")
    with pytest.raises(ModelVersionError, match="its files are not there: /gone/mlartifacts/models/m-1/artifacts"):
        load_version(copied.client, copied.version, uri=copied.uri)


def test_what_was_registered_can_be_read_by_every_account(copied: Copied) -> None:
    copied.weights.chmod(0o600)
    share(copied.model)
    assert copied.weights.stat().st_mode & 0o777 == copied.spec.taxonomy.stat().st_mode & 0o777
    spec, _ = release()
    assert all(path.stat().st_mode & 0o044 for path in spec.output.parent.rglob("models/**/*") if path.is_file())


def test_files_that_another_account_keeps_to_itself_are_said_to_be_so(copied: Copied) -> None:
    copied.weights.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(UnreadableError, match=r"this account may not read .*; its owner can allow it with chmod"):
            load_version(copied.client, copied.version, uri=copied.uri)
    finally:
        if user == 0:
            os.seteuid(0)
