"""`naturewatch init`: makes a folder a project, with scopes, Dagster's configuration and its workspace.

Files that are there stay as they are: to run it again after an upgrade adds what is new, and says what differs.
"""

import argparse
from pathlib import Path
from typing import Final

from pipeline.errors import ConfigurationError
from pipeline.files import write_bytes
from pipeline.project_folder import DAGSTER, WORKSPACE, template

IGNORED: Final = "data/\n"
"""`.gitignore` of a new project: data are not kept with the configuration."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), help="where to write (default: here); made if need be"
    )


def run(folder: Path) -> int:
    """Write what is missing, and say what to do next.

    Raises:
        ConfigurationError: the folder or a file cannot be written.
    """
    files = {path: (template() / path).read_bytes() for path in project_files()} | {
        Path(".gitignore"): IGNORED.encode()
    }
    try:
        written = [path for path, content in files.items() if _write(folder / path, content)]
    except OSError as error:
        raise ConfigurationError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    kept = [path for path, content in files.items() if (folder / path).read_bytes() != content]
    for path in written:
        print(f"wrote {folder / path}")
    for path in kept:
        print(f"kept {folder / path}, which differs from this version's")
    if not written and not kept:
        print("everything is there")
    inside = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    print(f"Next: `{inside}naturewatch run` runs the sample; scopes are in {folder / 'conf'}")
    return 0


def project_files() -> list[Path]:
    """The files of a project, relative to its folder."""
    scopes = [Path("conf") / path.name for path in sorted((template() / "conf").glob("*.yaml"))]
    return [*scopes, DAGSTER, WORKSPACE]


def _write(path: Path, content: bytes) -> bool:
    """Write a file that is not there yet, and say whether it was written."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)
    return True
