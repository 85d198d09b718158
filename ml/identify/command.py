"""`naturewatch identify`: a registered version says what is on photographs.

Each photograph gets an answer or an error, in order, written as soon as it is known.
"""

import argparse
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from glob import iglob
from pathlib import Path
from typing import Final, NoReturn

from ml.ending import CLOSED, ENDING, complain, end_by_signals, printable

if __name__ == "__main__":
    # The imports below take a moment.
    end_by_signals()

from ml.errors import MlError, PhotoError
from ml.identify.running import RunningServer
from ml.images.photograph import FORMATS
from ml.serving.answer_text import Answer, Output
from ml.serving.identification import Entry, Identification
from ml.serving.inputs import OtherFileError, files_below, read_photograph
from ml.serving.question import Question
from ml.serving.versions import CHAMPION

WITHIN: Final = (
    "name, key or lineage (as in 'Plantae > Morus') of a taxon that it is known to be in; repeatable: one of them"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Identify photographs and return the exit status: 0 only when every one was answered."""
    options = build_parser().parse_args(argv)
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
    question = Question.of(
        {
            "target": options.target,
            "threshold": options.threshold,
            "within": options.within,
            "renormalise": not options.literal,
            "top": options.top,
            "region": options.region,
            "embedding": options.embedding,
        }
    )
    entries = photographs(options.photo)
    begin = list(_to_first_readable(entries))
    answers: Iterator[tuple[str, Answer | PhotoError]]
    if begin and isinstance(begin[-1][1], bytes):
        answers = _answers(options, itertools.chain(begin, entries), question)
    else:
        # Where nothing can be read, no model is asked.
        answers = ((photo, error) for photo, error in begin if isinstance(error, PhotoError))
    output = Output(as_json=options.json)
    with ExitStack() as stack:
        stack.callback(output.close)
        ENDING.callback(output.abandon)
        photos, failures = _write(answers, output)
    if failures and photos > 1:
        complain(f"{failures} of {photos} photographs have no answer")
    return 1 if failures else 0


def _answers(
    options: argparse.Namespace, entries: Iterable[Entry], question: Question
) -> Iterator[tuple[str, Answer | PhotoError]]:
    """What a running page answers, or else a network that this process loads."""
    model = {"uri": options.tracking_uri, "name": options.model_name}
    server = None
    if options.running is not None and not options.no_server:
        server = RunningServer.find(options.running, **model, alias=options.alias)
    if server is None:
        return Identification.load(**model, alias=options.alias, question=question).answers(entries, question)
    number = server.version.number

    def here(rest: Iterable[Entry]) -> Iterator[tuple[str, Answer | PhotoError]]:
        return Identification.load(**model, alias=number, question=question).answers(rest, question)

    return server.answers(entries, question, otherwise=here)


def _write(answers: Iterable[tuple[str, Answer | PhotoError]], output: Output) -> tuple[int, int]:
    """Write answers as they come; returns how many photographs there were, and how many of them have none."""
    photos = failures = 0
    for photos, (photo, answer) in enumerate(answers, start=1):  # noqa: B007 (counts)
        if isinstance(answer, PhotoError):
            failures += 1
            output.error(photo, str(answer))
            complain(f"{printable(photo)}: {answer}")
        else:
            output.answer(answer)
    return photos, failures


def photographs(names: Iterable[str]) -> Iterator[Entry]:
    """The photographs that `names` refer to: files, folders, and patterns that are no file's name.

    A folder refers to all photographs below it, recognised by content. Each file is read when its turn comes.
    """
    for name in names:
        for path, problem in _meant(name):
            try:
                yield path, problem or read_photograph(Path(path))
            except PhotoError as error:
                yield path, error


def _meant(name: str) -> Iterator[tuple[str, PhotoError | None]]:
    path = Path(name)
    try:
        matches = [] if not name or os.path.lexists(path) else sorted(iglob(name))  # noqa: PTH207 (it may be absolute)
        folder = bool(name) and path.is_dir()
    except (OSError, ValueError):
        # Reading it tells the reason.
        matches, folder = [], False
    if matches:
        for match in matches:
            yield from _meant(match)
    elif folder:
        yield from _below(path)
    else:
        yield name, None if name else PhotoError("there is no file without a name")


def _below(folder: Path) -> Iterator[tuple[str, PhotoError | None]]:
    found, others, first = 0, 0, folder
    for path, problem in files_below(folder):
        if isinstance(problem, OtherFileError):
            others, first = others + 1, first if others else path
        else:
            found += 1
            yield str(path), problem
    if not found:
        yield str(folder), PhotoError("there is no photograph in this folder")
    elif others:
        complain(f"{folder}: left out {others} other {'files' if others > 1 else 'file'}, {first} the first")


def _to_first_readable(entries: Iterator[Entry]) -> Iterator[Entry]:
    for entry in entries:
        yield entry
        if not isinstance(entry[1], PhotoError):
            return


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(prog="naturewatch identify", description="Name what is on photographs.")
    parser.add_argument(
        "photo", nargs="+", metavar="PHOTO|FOLDER", help=f"files ({', '.join(FORMATS)}), or folders that hold some"
    )
    confidence = parser.add_mutually_exclusive_group()
    confidence.add_argument("--target", type=float, help="accuracy wanted, e.g. 0.9; default: the model's own")
    confidence.add_argument("--threshold", type=float, help="probability that an answer must have")
    parser.add_argument("--within", action="append", metavar="TAXON", help=WITHIN)
    parser.add_argument(
        "--literal", action="store_true", help="--within rules out the others without conditioning on it (the paper)"
    )
    parser.add_argument("--top", type=int, default=5, help="how many species to list (default 5)")
    parser.add_argument(
        "--region",
        type=float,
        nargs=4,
        metavar=("LEFT", "UPPER", "RIGHT", "LOWER"),
        help="where the organism is, as fractions of the photograph",
    )
    parser.add_argument("--embedding", action="store_true", help="add the network's features to the answers of --json")
    parser.add_argument("--json", action="store_true", help="print a JSON array with an answer or an error for each")
    parser.add_argument("--tracking-uri", required=True, help="MLflow's store")
    parser.add_argument("--model-name", default="naturewatch", help="the registered model (default naturewatch)")
    parser.add_argument("--alias", default=CHAMPION, help="which version (default champion)")
    parser.add_argument("--running", type=Path, metavar="FILE", help="where a running page says its address")
    parser.add_argument("--no-server", action="store_true", help="load the network, even where a page runs")
    return parser


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
