"""`naturewatch identify`: a registered version says what is on photographs.

Each photograph gets an answer or an error, in order, written as soon as it is known.
"""

import argparse
import dataclasses
import hashlib
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ml.ending import CLOSED, ENDING, complain, end_by_signals, printable

if __name__ == "__main__":
    # The imports below take a moment.
    end_by_signals()

from ml.errors import MlError, PhotoError
from ml.identify.arguments import build_parser, model_of, refuse_what_has_no_use
from ml.identify.asking import asked_of_network, asked_of_page_or_network
from ml.identify.organisms import By, Organism, grouped
from ml.identify.photo_reading import Reader, answered
from ml.identify.photographs import Photograph, named
from ml.identify.standard_input import NAME, from_standard_input

if TYPE_CHECKING:
    from ml.serving.question import Question

__all__ = ["build_parser", "command", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Identify photographs and return the exit status: 0 only when every one was answered."""
    parser = build_parser()
    options = parser.parse_args(argv)
    if not options.photo and options.table is None:
        parser.error("name photographs, folders or addresses, or a --table of them")
    refuse_what_has_no_use(parser, options)
    try:
        return _run(options)
    except MlError as error:
        complain(str(error))
        return 1
    except BrokenPipeError:
        # Python would try to write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED


def _run(options: argparse.Namespace) -> int:
    question = _question(options)
    reader = Reader(allow_private_hosts=options.allow_private_hosts, seconds=options.timeout)
    organisms = grouped(_photographs(options), by=_grouping(options))
    try:
        if options.output is None:
            return _print(options, organisms, reader=reader, question=question)
        return _write(options, organisms, reader=reader, question=question)
    finally:
        reader.close()


def _question(options: argparse.Namespace) -> "Question":
    from ml.serving.question import Question  # noqa: PLC0415

    return Question.of(
        {
            "target": options.target,
            "threshold": options.threshold,
            "within": options.within,
            "renormalise": not options.literal,
            "top": options.top,
            "region": options.region,
            "embedding": options.embedding,
            "watch": options.watch,
            "place": options.place,
            "uncertainty_m": options.uncertainty,
            "date": options.date,
            "exif": options.exif,
        }
    )


def _grouping(options: argparse.Namespace) -> By:
    if options.together:
        return "all"
    by: By = options.together_by or "photograph"
    if by == "organism" and options.table is None:
        raise MlError("--together-by organism needs a --table with the column `organism`")
    return by


def _photographs(options: argparse.Namespace) -> Iterator[Photograph]:
    for name in options.photo:
        if name != NAME:
            yield from named([name])
        elif sys.stdin is None:
            yield Photograph(name=NAME, source=PhotoError("standard input is closed"))
        else:
            if sys.stdin.isatty():
                complain("names of photographs, one a line; Ctrl-D ends them")
            yield from from_standard_input(sys.stdin.buffer)
    if options.table is not None:
        from ml.identify.photo_table import in_table  # noqa: PLC0415

        yield from in_table(options.table, organisms=options.together_by == "organism")


def _print(options: argparse.Namespace, organisms: Iterator[Organism], *, reader: Reader, question: "Question") -> int:
    """Answers on standard output, as they come."""
    from ml.identify.progress_bar import ProgressBar, seen_by_somebody  # noqa: PLC0415
    from ml.serving.answer_text import Output  # noqa: PLC0415

    # On one terminal, answers and a bar would overwrite each other.
    shown = seen_by_somebody() and not sys.stdout.isatty()
    listed, total = _listed(options, organisms, wanted=shown)
    bar, output = ProgressBar(shown=shown, total=total), Output(as_json=options.json)
    ENDING.callback(bar.stop)
    photos = failures = 0
    with ExitStack() as stack:
        stack.callback(output.close)
        ENDING.callback(output.abandon)
        stack.enter_context(bar)
        ask = asked_of_network(options, reader=reader, question=question)
        elsewhere = options.running is not None and not options.no_server
        # A page has names of its own, photographs of one organism come one by one, and each row of a table may have
        # a place of its own.
        alike = options.names is None and options.table is None and _grouping(options) == "photograph"
        if elsewhere and alike:
            ask = asked_of_page_or_network(options, reader=reader, question=question)
        for name, found in itertools.chain.from_iterable(answered(listed, reader=reader, ask=ask)):
            photos += 1
            bar.advance(1)
            if isinstance(found, PhotoError):
                failures += 1
                output.error(name, str(found))
                complain(f"{printable(name)}: {found}")
            else:
                output.answer(found)
    if failures and photos > 1:
        complain(f"{failures} of {photos} {_what(options)} have no answer")
    return 1 if failures else 0


def _write(options: argparse.Namespace, organisms: Iterator[Organism], *, reader: Reader, question: "Question") -> int:
    """Answers in a file, which a command that was stopped goes on with."""
    from ml.identify.answer_files import Destination  # noqa: PLC0415
    from ml.identify.progress_bar import ProgressBar, seen_by_somebody  # noqa: PLC0415
    from ml.identify.resumable import answer_into  # noqa: PLC0415
    from ml.serving.identification import find  # noqa: PLC0415

    destination = Destination.of(
        options.output, format=options.format, top=question.top, options=options.export_options
    )
    destination.check()
    model = model_of(options)
    version = find(uri=options.tracking_uri, name=model.name, alias=model.alias)
    asked = {
        "model": f"{version.name} version {version.number}",
        **dataclasses.asdict(question),
        # Unset, as in journals of commands that did not know it.
        "exif": question.exif or None,
        "together": _grouping(options),
        "names": None if options.names is None else [_digest(options.names), options.language],
    }
    listed, total = _listed(options, organisms, wanted=seen_by_somebody())
    ask = asked_of_network(options, reader=reader, question=question, version=version)
    outcome = answer_into(
        destination, listed, asked=asked, answered=lambda some: answered(some, reader=reader, ask=ask),
        bar=ProgressBar(shown=seen_by_somebody(), total=total), restart=options.restart,
    )  # fmt: skip
    what = _what(options)
    kept = outcome.organisms - outcome.asked
    earlier = f", {kept:,} of them by an earlier command" if kept else ""
    answers = outcome.organisms - outcome.failures
    complain(f"{answers:,} of {outcome.organisms:,} {what} answered{earlier}: {destination.path}")
    return 1 if outcome.failures else 0


def _digest(names: Path) -> str:
    try:
        with names.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MlError(f"cannot read the names {names}: {error.strerror or error}") from error


def _listed(
    options: argparse.Namespace, organisms: Iterator[Organism], *, wanted: bool
) -> tuple[Iterable[Organism], int | None]:
    """What is asked about, and how much that is, where somebody wants to know and standard input does not decide it."""
    if not wanted or NAME in options.photo:
        return organisms, None
    listed = list(organisms)
    return listed, len(listed)


def _what(options: argparse.Namespace) -> str:
    return "photographs" if _grouping(options) == "photograph" else "organisms"


def command() -> NoReturn:
    """Be the command: `main`, without tearing down what the system frees."""
    if sys.stdout is None:
        complain("standard output is closed: there is nowhere to write the answers to")
        sys.exit(1)
    status = main()
    with suppress(OSError):
        sys.stderr.flush()
    # Everything is written; the interpreter would go on for seconds to take torch apart.
    os._exit(status)


if __name__ == "__main__":
    command()
