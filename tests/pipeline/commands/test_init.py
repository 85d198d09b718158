"""`naturewatch init` makes any folder a project, from a wheel as from a checkout, and never overwrites."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.cli import main
from pipeline.config.settings import configuration_file
from pipeline.paths import PROJECT_ROOT
from pipeline.project_folder import MARKS, project_folder


def test_an_empty_folder_becomes_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NATUREWATCH_CONFIG", raising=False)
    assert project_folder() == PROJECT_ROOT
    assert main(["init", "birds"]) == 0
    made = tmp_path / "birds"
    for mark in MARKS:
        assert (made / mark).read_bytes() == (PROJECT_ROOT / mark).read_bytes()
    assert "Next: `cd birds && naturewatch run`" in capsys.readouterr().out
    # Below it, the project's own files count.
    (made / "data").mkdir()
    monkeypatch.chdir(made / "data")
    assert project_folder() == made
    assert configuration_file() == made / "conf" / "sample.yaml"


def test_what_is_there_stays_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    capsys.readouterr()
    assert main(["init"]) == 0
    assert capsys.readouterr().out.startswith("everything is there\n")
    own = tmp_path / "conf" / "sample.yaml"
    own.write_text("name: mine\n")
    (tmp_path / "conf" / "nz.yaml").unlink()
    assert main(["init"]) == 0
    assert own.read_text() == "name: mine\n"
    out = capsys.readouterr().out
    assert "wrote conf/nz.yaml\n" in out
    assert "kept conf/sample.yaml, which differs from this version's\n" in out


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file" / "project")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("naturewatch: ")
    assert "cannot be written: Not a directory" in error
    assert error.count("\n") == 1


def test_the_wheel_alone_makes_a_project_that_loads(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=PROJECT_ROOT, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").iterdir()
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(tmp_path / "site")]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    project = tmp_path / "project"
    project.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NATUREWATCH")}
    environment["PYTHONPATH"] = str(tmp_path / "site")

    def said(*command: str) -> str:
        return subprocess.run(
            [sys.executable, *command], cwd=project, env=environment, check=True, capture_output=True, text=True
        ).stdout

    program = str(tmp_path / "site" / "bin" / "naturewatch")
    assert "wrote workspace.yaml" in said(program, "init")
    # The code is the wheel's, and the rest is the project's.
    where = "import pipeline.project_folder as p; print(p.__file__, p.project_folder(), p.template())"
    assert said("-c", where).split() == [
        str(tmp_path / "site" / "pipeline" / "project_folder.py"), str(project),
        str(tmp_path / "site" / "pipeline" / "project_files"),
    ]  # fmt: skip
    assert "photos" in said("-m", "dagster", "asset", "list", "-m", "pipeline.definitions", "--select", "key:photos")
