"""A version carries the modules of this package that it needs, and nothing of what is installed beside it."""

import shutil
from pathlib import Path

import pytest

from ml.serving import carried_code


def test_what_is_installed_beside_the_package_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages"
    shutil.copytree(carried_code.MODEL.parents[1], installed / "ml", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("mlflow", "numpy", "torch"):
        (installed / name).mkdir()
        # Whoever looks into it fails.
        (installed / name / "__init__.py").write_text("this is no Python")
    here = {path.name for path in carried_code.copy_needed(tmp_path / "here").glob("serving/*.py")}
    monkeypatch.setattr(carried_code, "MODEL", installed / "ml" / "serving" / "model.py")
    carried = carried_code.copy_needed(tmp_path / "carried")
    assert {path.name for path in carried.glob("serving/*.py")} == here
    assert {"answering.py", "question.py", "__init__.py"} <= here
    assert not {"register.py", "exam.py"} & here
    assert [path.name for path in (tmp_path / "carried").iterdir()] == ["ml"]
