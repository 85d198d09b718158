"""How exports come onto the disk: whole or not at all, as a folder or as one ZIP file, in UTF-8."""

import csv
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from ml.exports.export_options import ExportError
from ml.files import put_in_place, replacing, sync


class Written(NamedTuple):
    """What an export consists of."""

    files: tuple[Path, ...]
    """What was written; for a package in a folder, the folder."""
    answered: int
    """Photographs, or organisms of several, with an answer above the root."""
    unanswered: int
    """Those without: not sure of any kingdom, or failed."""


class Table:
    """A CSV file that is written row by row."""

    def __init__(self, stream: IO[str], columns: Sequence[str]) -> None:
        """Write the names of the columns."""
        self._writer = csv.DictWriter(stream, columns, lineterminator="\n")
        self._writer.writeheader()
        self.rows = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row; what is absent or None stays empty."""
        self._writer.writerow({name: plain(value) if isinstance(value, str) else value for name, value in row.items()})
        self.rows += 1


def plain(text: str) -> str:
    """A text that UTF-8 can write: file names may hold bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def writing(path: Path) -> Iterator[IO[str]]:
    """A text file that replaces `path` when the block succeeds."""
    with (
        replacing(path) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        yield stream


@contextmanager
def package(path: Path, *, marker: str) -> Iterator[Path]:
    """A folder to fill: it becomes the folder `path`, or the ZIP file `path`, when the block succeeds.

    Args:
        path: A name that ends in `.zip` is a file's, any other a folder's.
        marker: The file by which an earlier package in that folder is known, which is then replaced.

    Raises:
        ExportError: there is a folder that holds something else.
    """
    zipped = path.suffix.lower() == ".zip"
    if path.exists() and not zipped and not (path.is_dir() and (not any(path.iterdir()) or (path / marker).exists())):
        raise ExportError(f"{path} holds something else: name a new folder, or a file that ends in .zip")
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.with_name(f".{path.name}.filling")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
        files = sorted(folder.iterdir())
        if zipped:
            with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in files:
                    archive.write(file, file.name)
        else:
            for file in files:
                sync(file)
            earlier = path.with_name(f".{path.name}.earlier")
            shutil.rmtree(earlier, ignore_errors=True)
            if path.exists():
                path.rename(earlier)
            put_in_place(folder, path)
            shutil.rmtree(earlier, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
