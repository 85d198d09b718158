"""The files that answers are written to, whole or not at all: CSV, JSON lines, Parquet, other programs' formats."""

import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from ml.errors import MlError
from ml.files import replacing
from ml.identify.arguments import ANSWER_FORMATS, EXPORTS
from ml.serving.answer_text import Answer

ROWS: Final = 5_000
"""Of a part of a Parquet file, which is held in memory."""


class DestinationError(MlError):
    """The output has no format that is known, or cannot be written."""


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A file for answers."""

    path: Path
    format: str
    """One of `ANSWER_FORMATS` or `EXPORTS`."""
    top: int = 5
    """How many species have columns in a table."""
    options: Mapping[str, object] | None = None
    """Of an export."""

    @classmethod
    def of(cls, path: Path, *, format: str | None, top: int, options: Path | None = None) -> Self:  # noqa: A002
        """The file `path` in a format, by default that of its ending.

        Args:
            path: The file.
            format: One of `ANSWER_FORMATS` or `EXPORTS`.
            top: How many species are listed.
            options: A JSON file with what an export needs to know.

        Raises:
            DestinationError: no such format, no such options, or the path is a folder's.
        """
        chosen = format or path.suffix.lower().removeprefix(".")
        if chosen not in (*ANSWER_FORMATS, *EXPORTS):
            endings = ", ".join(f".{name}" for name in ANSWER_FORMATS)
            raise DestinationError(f"{path} ends in none of {endings}: give such a name, or the format by `--as`")
        if chosen in ANSWER_FORMATS and path.is_dir():
            raise DestinationError(f"{path} is a folder: name a file")
        return cls(path=path, format=chosen, top=top, options=None if options is None else _object(options))

    def check(self) -> None:
        """Refuse options of an export that make no sense, before anything is asked.

        Raises:
            MlError: what is wrong with them.
        """
        if self.format in EXPORTS:
            from ml.exports import ExportOptions, check  # noqa: PLC0415 (only where one is written)

            check(format=self.format, options=ExportOptions.of(self.options))

    def write(self, answers: Iterable[Answer], *, identified: datetime) -> None:
        """Write answers and errors, in their order; memory does not grow with them.

        Args:
            answers: Answers, and `photo` with `error` where there is none.
            identified: When they were asked for.

        Raises:
            MlError: the file cannot be written, or an export lacks something.
        """
        writers: dict[str, Callable[[Iterable[Answer]], None]] = {
            "csv": self._csv, "jsonl": self._jsonl, "parquet": self._parquet,
        }  # fmt: skip
        try:
            if self.format in writers:
                writers[self.format](answers)
            else:
                self._export(answers, identified=identified)
        except OSError as error:
            raise DestinationError(f"cannot write {self.path}: {error.strerror or error}") from error

    def _csv(self, answers: Iterable[Answer]) -> None:
        from ml.identify.answer_rows import columns, row_of  # noqa: PLC0415 (only where a table is written)

        with replacing(self.path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(columns(top=self.top)), lineterminator="\n")
            writer.writeheader()
            writer.writerows(row_of(answer, top=self.top) for answer in answers)

    def _jsonl(self, answers: Iterable[Answer]) -> None:
        with replacing(self.path) as partial, partial.open("wb") as stream:
            for answer in answers:
                # Inside JSON's quotes, Python's escape of a byte that is no UTF-8 is JSON's as well.
                stream.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")

    def _parquet(self, answers: Iterable[Answer]) -> None:
        import pyarrow as pa  # noqa: PLC0415 (only where a table is written, as the next)
        import pyarrow.parquet as pq  # noqa: PLC0415

        from ml.identify.answer_rows import NUMBER, TEXT, WHOLE, columns, row_of  # noqa: PLC0415

        types = {TEXT: pa.string(), NUMBER: pa.float64(), WHOLE: pa.int32()}
        schema = pa.schema([(name, types[kind]) for name, kind in columns(top=self.top).items()])
        with replacing(self.path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            for part in _parts(answers, ROWS):
                writer.write_table(
                    pa.Table.from_pylist([row_of(answer, top=self.top) for answer in part], schema=schema)
                )

    def _export(self, answers: Iterable[Answer], *, identified: datetime) -> None:
        from ml.exports import ExportOptions, write  # noqa: PLC0415 (only where one is written)

        known = {"identified": identified.isoformat(), "base": str(self.path.parent)}
        options = ExportOptions.of({**known, **(self.options or {})})
        write(format=self.format, answers=answers, path=self.path, options=options)


def _parts(answers: Iterable[Answer], size: int) -> Iterator[list[Answer]]:
    remaining = iter(answers)
    while part := list(itertools.islice(remaining, size)):
        yield part


def _object(path: Path) -> Mapping[str, object]:
    try:
        with path.open(encoding="utf-8") as stream:
            options = json.loads(stream.read(10_000_000))
    except (OSError, ValueError) as error:
        raise DestinationError(f"cannot read the options {path}: {error}") from error
    if not isinstance(options, dict):
        raise DestinationError(f"{path} must hold an object of names and values")
    from ml.exports.export_options import with_tables  # noqa: PLC0415 (only where one is given)

    return with_tables(options, folder=path.parent)
