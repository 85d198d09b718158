"""Where a project's own files are: conf/, dagster_home/ and workspace.yaml. What is below the data root: `paths`.

A checkout is such a folder. An installed package carries a copy of the files, which `naturewatch init` writes.
"""

from pathlib import Path
from typing import Final

from pipeline.paths import PROJECT_ROOT

SAMPLE: Final = Path("conf") / "sample.yaml"
"""The scope of a folder in which nothing ran."""
DAGSTER: Final = Path("dagster_home") / "dagster.yaml"
WORKSPACE: Final = Path("workspace.yaml")
MARKS: Final = (SAMPLE, DAGSTER, WORKSPACE)
"""Files by which a project's folder is known."""
PACKAGED: Final = Path(__file__).parent / "project_files"
"""The copy of the files in an installed package; a checkout has none."""


def project_folder() -> Path:
    """The nearest project at or above the working folder, else the checkout, else the working folder."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents, PROJECT_ROOT) if _is_project(folder)), here)


def template() -> Path:
    """The folder whose files a new project gets."""
    return PACKAGED if PACKAGED.is_dir() else PROJECT_ROOT


def _is_project(folder: Path) -> bool:
    return all((folder / mark).is_file() for mark in MARKS)
