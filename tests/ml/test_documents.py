"""Documents between processes: read, or refused in one sentence that says how to go on."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.errors import NetworkError, TrainingError
from ml.files import replacing
from ml.networks.description import NetworkSpec
from ml.spec import RESULT_FILE, CalibrateSpec, DocumentError, RegisterResult
from ml.specificity.calibration_report import CURVE_FILE, HASH_KEY
from ml.specificity.stage import finished
from ml.training.output_folder import claim
from tests.ml.world import World

RESULT = RegisterResult(mlflow_run_id="1", model_name="naturewatch", version="2", model_uri="models:/naturewatch/2")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert RegisterResult.read(RESULT.write(tmp_path / "result.json")) == RESULT


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "cut short or no JSON"),
        (b'{"mlflow_run_id": "1", "model', "cut short or no JSON"),
        (b"\xff\xfe\x00", "cut short or no JSON"),
        (b'{"mlflow_run_id": "1"}', "without model_name, without version, without model_uri"),
        (json.dumps({**RESULT.model_dump(), "stage": "x"}).encode(), "with the unknown stage"),
        (json.dumps({**RESULT.model_dump(), "version": [2]}).encode(), "with a wrong version"),
    ],
)
def test_any_other_is_refused_with_what_is_wrong_and_what_helps(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(DocumentError, match=rf"result\.json: .*{said}.*; remove the folder {tmp_path}") as refused:
        RegisterResult.read(tmp_path / "result.json")
    assert "\n" not in str(refused.value)


def test_a_network_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    for content in (b"", b"\xff", b'{"backbone": "x", "colour": 1}'):
        (tmp_path / "network.json").write_bytes(content)
        with pytest.raises(NetworkError, match="does not describe a network") as refused:
            NetworkSpec.read(tmp_path / "network.json")
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["", "{}", "[]", "{"])
def test_a_training_that_cannot_be_told_apart_is_not_thrown_away(tmp_path: Path, content: str) -> None:
    spec = World(folder=tmp_path).spec(tmp_path / "out", spec_hash="mine")
    spec.output.mkdir()
    (spec.output / "checkpoints").mkdir()
    (spec.output / "inputs.json").write_text(content)
    with pytest.raises(TrainingError, match=f"remove the folder {spec.output} to train anew"):
        claim(spec)
    assert (spec.output / "checkpoints").is_dir()


def test_a_calibration_that_cannot_be_read_any_more_does_not_count(tmp_path: Path) -> None:
    curve = pa.table({"threshold": [0.5]}).replace_schema_metadata({HASH_KEY: "mine"})
    pq.write_table(curve, tmp_path / CURVE_FILE)
    given: dict[str, Any] = {"output": tmp_path, "spec_hash": "mine"}
    spec = CalibrateSpec.model_construct(**given)
    for content in ("", "{}", '{"threshold": 0.5}'):
        (tmp_path / RESULT_FILE).write_text(content)
        assert finished(spec) is None


def test_what_a_killed_writer_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".table.partial").write_bytes(b"a long half of a table")
    with replacing(tmp_path / "table") as partial:
        partial.write_bytes(b"whole")
    assert (tmp_path / "table").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
