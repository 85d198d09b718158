"""The options of `naturewatch identify`. Loads nothing that takes time: the help is shown at once."""

import argparse
import re
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

ANSWER_FORMATS: Final = ("csv", "jsonl", "parquet")
"""Files of answers, named by the ending of the output."""
EXPORTS: Final = ("darwin-core", "camtrap-dp", "timelapse")
"""Formats of other programs, from `ml.exports`."""
CHAMPION: Final = "champion"

EPILOG: Final = """\
Exit status: 0 when every photograph (every organism, where several photographs show one) has an answer, 1 when some
have none or the command failed, 2 when it was called wrongly. With --output, a command that was stopped or killed goes
on where it was when it is called again; photographs that were added or have changed are asked then, too.
"""


class Model(NamedTuple):
    """A registered model, and which of its versions."""

    name: str
    alias: str
    """An alias or a version's number."""


class Parser(argparse.ArgumentParser):
    """Reports a wrong call in one line, and takes `-41.29,174.78` for a value: no option begins with a digit."""

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 (argparse's own)
        """Arguments are those of `argparse.ArgumentParser`."""
        super().__init__(**arguments)
        self._negative_number_matcher = re.compile(r"-\.?\d")

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}; `{self.prog} --help` says what there is\n")


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(prog="naturewatch identify", description="Name what is on photographs.", epilog=EPILOG)
    _add_photographs(parser)
    _add_question(parser)
    _add_output(parser)
    _add_model(parser)
    return parser


def refuse_what_has_no_use(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with status 2 where an option would be passed over in silence."""
    if options.output is None:
        for name, given in (
            ("--as", options.format), ("--export-options", options.export_options), ("--restart", options.restart),
        ):  # fmt: skip
            if given:
                parser.error(f"{name} is for --output, which names a file")
    elif options.json:
        parser.error("--json prints answers, --output writes them: give one (a file .jsonl holds the same)")


def model_of(options: argparse.Namespace) -> Model:
    """Which version is asked: `--model NAME[@ALIAS|/VERSION]`, else `--model-name` and `--alias`."""
    if options.model is None:
        return Model(options.model_name, options.alias)
    for sign in "@/":
        name, found, version = options.model.rpartition(sign)
        if found and name and version:
            return Model(name, version)
    return Model(options.model, options.alias)


def _add_photographs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("photographs")
    group.add_argument(
        "photo",
        nargs="*",
        metavar="PHOTO|FOLDER|ADDRESS|-",
        help="files (JPEG, PNG, WebP, HEIC, AVIF), folders that hold some, patterns, http(s) addresses; -: standard "
        "input, a photograph or lines (or `find -print0`) that name some",
    )
    group.add_argument(
        "--table",
        type=Path,
        metavar="FILE.csv",
        help="photographs in the column `photo` (paths relative to the table, or addresses), organisms in `organism`; "
        "places and dates, where it has them, in `latitude`, `longitude`, `uncertainty_m`, `event_date`",
    )
    together = group.add_mutually_exclusive_group()
    together.add_argument("--together", action="store_true", help="all photographs show one organism: one answer")
    together.add_argument(
        "--together-by",
        choices=("folder", "organism"),
        help="the photographs of one folder, or with one name in the table's column `organism`, show one organism",
    )
    group.add_argument(
        "--allow-private-hosts",
        action="store_true",
        help="fetch addresses of this machine and of private networks, too",
    )
    group.add_argument(
        "--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="for one address in all (default 60)"
    )


def _add_question(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("question")
    confidence = group.add_mutually_exclusive_group()
    confidence.add_argument("--target", type=float, help="accuracy wanted, e.g. 0.9; default: the model's own")
    confidence.add_argument("--threshold", type=float, help="probability that an answer must have")
    group.add_argument(
        "--within",
        action="append",
        metavar="TAXON",
        help="name, key or lineage (as in 'Plantae > Morus') of a taxon that it is known to be in; repeatable: one of "
        "them",
    )
    group.add_argument(
        "--literal", action="store_true", help="--within rules out the others without conditioning on it (the paper)"
    )
    group.add_argument(
        "--watch",
        action="append",
        metavar="TAXON[=PROBABILITY]",
        help="a taxon to keep an eye on beside the model's own watch list, with an alarm from a probability on; "
        "repeatable",
    )
    group.add_argument(
        "--place",
        metavar="LAT,LON",
        help="where the photographs were taken, in degrees, as in -41.29,174.78: what is recorded there counts",
    )
    group.add_argument(
        "--uncertainty", type=float, metavar="METRES", help="radius around --place that holds the true place"
    )
    group.add_argument("--date", metavar="DATE", help="when, as in 2024-05-17: what is recorded in that season counts")
    group.add_argument(
        "--exif",
        action="store_true",
        help="take place and date from each photograph's own EXIF where nothing else is said",
    )
    group.add_argument("--top", type=int, default=5, help="how many species to list (default 5)")
    group.add_argument(
        "--region",
        type=float,
        nargs=4,
        metavar=("LEFT", "UPPER", "RIGHT", "LOWER"),
        help="where the organism is, as fractions of the photograph",
    )
    group.add_argument("--embedding", action="store_true", help="add the network's features to answers in JSON")


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--names",
        type=Path,
        metavar="FILE.csv",
        help="common names: columns `scientific_name` or `taxon_key`, `common_name`, and `language` where it has one",
    )
    group.add_argument("--language", default="en", help="which common names to take (default en)")
    group.add_argument("--json", action="store_true", help="print a JSON array with an answer or an error for each")
    group.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help=f"write a file ({', '.join('.' + name for name in ANSWER_FORMATS)}) instead; stopped, it goes on when "
        "called again",
    )
    group.add_argument(
        "--as",
        dest="format",
        choices=(*ANSWER_FORMATS, *EXPORTS),
        help="the format of --output; default by its ending",
    )
    group.add_argument(
        "--export-options",
        type=Path,
        metavar="FILE.json",
        help="what a format of --as needs to know beside the answers: deployments, times, occurrences, metadata",
    )
    group.add_argument("--restart", action="store_true", help="replace --output, and answer everything anew")


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="NAME[@ALIAS|/VERSION]",
        help="a registered model, and which version of it (default champion)",
    )
    group.add_argument("--tracking-uri", required=True, help="MLflow's store")
    group.add_argument("--model-name", default="naturewatch", help="the registered model (default naturewatch)")
    group.add_argument("--alias", default=CHAMPION, help="which version (default champion)")
    group.add_argument("--running", type=Path, metavar="FILE", help="where a running page says its address")
    group.add_argument("--no-server", action="store_true", help="load the network, even where a page runs")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to an hour")
    return seconds
