"""Answers in the formats of the field: Darwin Core, Camtrap DP, MegaDetector's JSON. Loads no network.

    write(format="darwin-core", answers=answers, path=Path("identifications.csv"))

Answers are the dictionaries of `naturewatch identify --json`, read once and one by one; all that is kept of one is its
identifier. Files are complete or absent.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from ml.exports import camtrap_dp, darwin_core, timelapse
from ml.exports.answer_facts import Answer
from ml.exports.export_files import Written
from ml.exports.export_options import ExportError, ExportOptions, options_of_file

__all__ = ["FORMATS", "ExportError", "ExportOptions", "Format", "Written", "check", "options_of_file", "write"]


class Format(NamedTuple):
    """One format of the field."""

    title: str
    suffix: str
    """Of the one file that holds a whole export: for programs that hand out files."""
    media_type: str
    """Of that file."""
    writer: Callable[[Iterable[Answer], Path, ExportOptions], Written]


FORMATS: Final[dict[str, Format]] = {
    "darwin-core": Format("Darwin Core identifications", ".zip", "application/zip", darwin_core.write),
    "camtrap-dp": Format("Camtrap DP 1.0.2", ".zip", "application/zip", camtrap_dp.write),
    "timelapse": Format("MegaDetector and Timelapse JSON", ".json", "application/json", timelapse.write),
}
"""By the names that people type."""


def write(*, format: str, answers: Iterable[Answer], path: Path, options: ExportOptions | None = None) -> Written:  # noqa: A002 (what people call it)
    """Write answers as a file of another program.

    Args:
        format: One of `FORMATS`.
        answers: Answers and errors, `{"photo": ..., "error": ...}`, in the order in which they are to be written.
        path: What to write. Darwin Core: `NAME.csv`, with `NAME.unanswered.csv` beside it, or `NAME.zip`. Camtrap DP: a
            new folder, or `NAME.zip`. Timelapse: `NAME.json` in the folder of the photographs.
        options: What only the caller knows; None: nothing.

    Raises:
        ExportError: there is no such format, an answer is none, or something is missing that the format demands.
    """
    return _format(format).writer(answers, path, options or ExportOptions())


def check(*, format: str, options: ExportOptions) -> None:  # noqa: A002 (as above)
    """Refuse options that lack what a format demands, before hours go into the answers.

    Raises:
        ExportError: there is no such format, or something is missing; says what to give.
    """
    if _format(format).writer is camtrap_dp.write:
        camtrap_dp.check(options)


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise ExportError(f"no export is called {name[:40]!r}; known are {', '.join(FORMATS)}")
    return FORMATS[name]
