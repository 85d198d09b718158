"""What a command has answered so far: a file beside the output that only grows, so that a killed command goes on.

Lines of JSON: the first says what was asked of which model; then come answers and errors, and after those of each batch
a line that ends it. What a killed process left after the last such line is cut off.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from ml.errors import MlError
from ml.files import sync
from ml.serving.answer_text import Answer

ENDING: Final = ".journal"
FORMAT: Final = 1
_BEGIN: Final = b'{"format":'
_END: Final = b'{"end":true}\n'


class ResumeError(MlError):
    """The command cannot go on with this output; says what to do."""


Entry = tuple[str, Answer]
"""The key of a photograph or an organism; and its answer, or its name and `error`."""


class Journal:
    """The journal of one output, open for this process alone."""

    def __init__(self, stream: BinaryIO, *, begun: datetime, answered: dict[str, int]) -> None:
        """Go on after the last whole batch, where `stream` is. Made by `open`."""
        self._stream = stream
        self.begun = begun
        """When the first command began."""
        self.answered = answered
        """Where the answers of earlier commands are, by key; errors are tried again and have no place here."""

    @classmethod
    def open(cls, output: Path, *, asked: Mapping[str, object], restart: bool) -> Self:
        """The journal of an output, begun or gone on with.

        Args:
            output: The file that the answers are for; the journal is beside it.
            asked: What is asked of which model: names and values as JSON has them.
            restart: Whether to begin anew, whatever there is.

        Raises:
            ResumeError: it was begun with another question or model; it belongs to a command that runs; or there is an
                output without a journal.
        """
        path = journal_of(output)
        # As JSON has it: tuples are lists there.
        asked = json.loads(json.dumps(asked))
        with ExitStack() as unusable:
            try:
                if output.exists() and not path.exists() and not restart:
                    raise ResumeError(f"{output} is there already, and {path.name} is not: `--restart` replaces it")
                path.parent.mkdir(parents=True, exist_ok=True)
                stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")
                unusable.callback(stream.close)
                header, answered = _gone_on_with(stream, asked, path=path, restart=restart)
            except OSError as error:
                raise ResumeError(f"cannot write {path}: {error.strerror or error}") from error
            unusable.pop_all()
        return cls(stream, begun=datetime.fromisoformat(header["begun"]), answered=answered)

    def add(self, entries: Iterable[Entry]) -> list[int]:
        """Keep the answers and errors of a batch; they are on the disk when this returns. Returns where each is.

        Raises:
            ResumeError: the disk is full, or the like.
        """
        place = self._stream.seek(0, os.SEEK_END)
        places, lines = [], []
        for key, answer in entries:
            line = _line({"key": key, "answer": answer})
            places.append(place)
            lines.append(line)
            place += len(line)
        try:
            _write(self._stream, [*lines, _END])
        except OSError as error:
            raise ResumeError(f"cannot keep the answers: {error.strerror or error}") from error
        return places

    def read(self, places: Iterable[int]) -> Iterator[Answer]:
        """The answers and errors at these places, one by one."""
        for place in places:
            self._stream.seek(place)
            answer: Answer = json.loads(self._stream.readline())["answer"]
            yield answer

    def close(self) -> None:
        """Let another process go on."""
        self._stream.close()


def journal_of(output: Path) -> Path:
    """Where the journal of an output is."""
    return output.with_name(output.name + ENDING)


def _line(value: Mapping[str, object]) -> bytes:
    # Names that are no UTF-8 become escapes, from which the same names are read again.
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def _write(stream: BinaryIO, lines: Iterable[bytes]) -> None:
    stream.seek(0, os.SEEK_END)
    stream.write(b"".join(lines))
    stream.flush()
    os.fsync(stream.fileno())


def _gone_on_with(
    stream: BinaryIO, asked: Mapping[str, object], *, path: Path, restart: bool
) -> tuple[dict[str, Any], dict[str, int]]:
    """The first line of a journal, written if there is none, and the places of its answers."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ResumeError(f"another command writes {path.name.removesuffix(ENDING)} at the moment") from error
    if restart:
        stream.truncate(0)
    if not _BEGIN.startswith(start := stream.read(len(_BEGIN))) and start != _BEGIN:
        raise ResumeError(f"{path} is no journal of this command: name another output, or `--restart` replaces it")
    header, answered = _read(stream)
    if header is None:
        header = {"format": FORMAT, "begun": datetime.now(UTC).isoformat(timespec="seconds"), "asked": asked}
        _write(stream, [_line(header), _END])
        sync(path.parent)
    _refuse_another(header, asked, path=path)
    return header, answered


def _read(stream: BinaryIO) -> tuple[dict[str, Any] | None, dict[str, int]]:
    """The first line, None where it is not whole, and the places of answers; the file then ends after a whole batch."""
    header: dict[str, Any] | None = None
    answered: dict[str, int] = {}
    batch: dict[str, int] = {}
    place = whole = 0
    stream.seek(0)
    for line in stream:
        value = _object(line)
        if value is None:
            break
        place += len(line)
        if line == _END:
            answered |= batch
            batch, whole = {}, place
        elif header is None:
            header = value
        elif "error" not in value["answer"]:
            batch[value["key"]] = place - len(line)
    stream.truncate(whole)
    return (header if whole else None), answered


def _object(line: bytes) -> dict[str, Any] | None:
    """What a whole line holds."""
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _refuse_another(header: Mapping[str, Any], asked: Mapping[str, object], *, path: Path) -> None:
    before = header.get("asked", {})
    if header.get("format") != FORMAT:
        raise ResumeError(f"{path} was written by another version of this command: `--restart` begins anew")
    for name in sorted(asked.keys() | before.keys()):
        if asked.get(name) != before.get(name):
            raise ResumeError(
                f"{path.name.removesuffix(ENDING)} was begun with {name} {_shown(before.get(name))}, and now it is "
                f"{_shown(asked.get(name))}: ask the same, name another output, or `--restart` answers everything anew"
            )


def _shown(value: object) -> str:
    return "unset" if value is None else json.dumps(value)
