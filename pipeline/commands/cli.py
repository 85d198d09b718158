"""The command `naturewatch`: parses arguments and hands over. Exit 0 only when the work is done.

`identify`, `export`, `specificity`, `place-prior` and `replica` become the module that does the work: the pipeline
never loads the networks. Slow imports are made where they are used, so that a wrong option or configuration is reported
at once.
"""

from pipeline.launching.interrupts import (
    STOPPING,
    Interrupted,
    cursor_restored,
    ignore_signals,
    leave_on_signals,
    quiet_pipe,
    say,
    supervised,
)

leave_on_signals()

# ruff: noqa: E402 (the imports take a moment, in which somebody may press Ctrl-C)
import argparse
import importlib
import importlib.util
import os
import runpy
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, NoReturn

from pipeline.errors import NatureWatchError, NotReadyError
from pipeline.paths import PROJECT_ROOT

if TYPE_CHECKING:
    from pipeline.config.settings import Settings

EVERYTHING: Final = "*"
"""The selection of a run that is not given one."""
HANDED_OVER: Final = {
    "identify": ("ml.identify.command", "name what is on photographs, with the registered champion"),
    "export": ("ml.serving.export", "write a registered model as a file for other programs (ONNX, torch.export)"),
    "specificity": ("ml.classifiers.cli", "calibrate specificity for anybody's classifier"),
    "place-prior": ("ml.classifiers.place_prior_cli", "compose anybody's classifier with places and seasons"),
    "replica": ("demo", "serve the embedded GBIF and photo replica"),
}
"""Commands that another package implements: the module, and what it does."""
SCOPE: Final = "the scope's YAML file (default: that of the last run here, or else conf/sample.yaml)"
OWN: Final = {
    "page": "open the page that identifies photographs",
    "promote": "choose by hand which registered version users get",
    "prune": "say what nothing needs any more, and with --yes remove it",
    "provenance": "say what a model version was made from, and rebuild its dataset",
    "derived-dataset": "register a dataset version with GBIF, for a DOI of its own",
}
"""Commands with a module of their own in this package, which loads nothing heavy before it is run, and what they do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with quiet_pipe():
            return _answer(arguments)
    except NotReadyError as error:
        return max(_complain(problem, status=1) for problem in error.problems)
    except NatureWatchError as error:
        return _complain(str(error), status=1)
    except KeyboardInterrupt as interrupt:
        ignore_signals()
        told = interrupt if isinstance(interrupt, Interrupted) else Interrupted()
        return _complain(str(told), status=told.status)


def _answer(arguments: list[str]) -> int:
    if arguments and arguments[0] in HANDED_OVER:
        return _hand_over(arguments[0], arguments[1:])
    options = build_parser().parse_args(arguments)
    if options.command == "init":
        return int(_module("init").run(options.folder))
    settings = _settings(options.config, goes_on=options.command in {"run", "refresh", "ui"})
    if options.command in OWN:
        return int(_module(options.command).run(settings, options))
    from pipeline.commands.dagster_home import prepare_dagster_home  # noqa: PLC0415

    prepare_dagster_home(settings.paths)
    if options.command in {"run", "refresh"}:
        with cursor_restored():
            return supervised(
                lambda: _run(settings, selection=options.select, accept_losses=options.accept_losses),
                stopping=_stopping,
            )
    from pipeline.commands.last_scope import remember  # noqa: PLC0415
    from pipeline.commands.ui import serve  # noqa: PLC0415

    remember(Path(os.environ["NATUREWATCH_CONFIG"]))
    return serve(settings, port=options.port, mlflow_port=options.mlflow_port, browser=not options.no_browser)


def _module(command: str) -> ModuleType:
    """The module of one of the commands of `OWN`: `add_options` adds its options to a parser, `run` does the work."""
    return importlib.import_module(f"pipeline.commands.{command.replace('-', '_')}")


def _stopping() -> None:
    """Say that the run stops: in its table, once there is one."""
    watch = sys.modules.get("pipeline.commands.run_watch")
    if watch is not None:
        watch.stopping()
    else:
        say(STOPPING)


def _complain(message: str, *, status: int) -> int:
    print(f"naturewatch: {message}", file=sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    """Reports a wrong call in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; `{self.prog} --help` says what there is\n")


def build_parser() -> argparse.ArgumentParser:
    """The options of the commands of this package, and the names of the commands that are handed over."""
    parser = _Parser(
        prog="naturewatch", description="From iNaturalist observations on GBIF to a calibrated identifier."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the pipeline, or a part of it")
    run.add_argument(
        "--select", default=EVERYTHING, help="Dagster's asset selection, e.g. 'group:ingest or group:dataset'"
    )
    refresh = commands.add_parser(
        "refresh", help="run the pipeline on what changed, with one network that goes on from the champion"
    )
    refresh.set_defaults(select=None)
    for command in (run, refresh):
        command.add_argument(
            "--accept-losses", metavar="REASON",
            help="let a dataset pass that has lost more species or photographs than refresh.most_lost_* allow",
        )  # fmt: skip
    ui = commands.add_parser("ui", help="open the Dagster UI, and MLflow's beside it")
    ui.add_argument("--port", type=_port, default=3000, help="the Dagster UI's port (default 3000)")
    ui.add_argument("--mlflow-port", type=_port, default=5000, help="the MLflow UI's port (default 5000)")
    ui.add_argument("--no-browser", action="store_true", help="do not open a browser when the UIs are ready")
    _module("init").add_options(commands.add_parser("init", help="make a folder a project: scopes, Dagster's settings"))
    own = {name: commands.add_parser(name, help=purpose) for name, purpose in OWN.items()}
    for name, command in own.items():
        _module(name).add_options(command)
    for command in (run, refresh, ui, *own.values()):
        command.add_argument("--config", type=Path, help=SCOPE)
    for name, (_, purpose) in HANDED_OVER.items():
        commands.add_parser(name, help=purpose, add_help=False)
    return parser


def _port(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a whole number from 1 to 65535 is")
    return int(text)


def _settings(file: Path | None, *, goes_on: bool = False) -> "Settings":
    """The configuration that is named, else that of the last run in this folder; children read it too."""
    from pipeline.commands.last_scope import recall  # noqa: PLC0415
    from pipeline.config.settings import configuration_file, load_settings  # noqa: PLC0415

    file = file or recall(goes_on=goes_on)
    # Absolute, for children that run in another folder.
    os.environ["NATUREWATCH_CONFIG"] = str(configuration_file(file))
    return load_settings()


def _hand_over(command: str, arguments: list[str]) -> int:
    """Become `python -m <module>`; `identify` and `export` get the registry that the configuration names."""
    module, _ = HANDED_OVER[command]
    if command in {"identify", "export"}:
        arguments = _with_registry(arguments, command=command)
    if importlib.util.find_spec(module.split(".", maxsplit=1)[0]) is None:
        sys.path.insert(0, str(PROJECT_ROOT))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")])
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0


def _with_registry(arguments: list[str], *, command: str = "identify") -> list[str]:
    """The arguments of a command with `--config FILE` replaced by the registry that this configuration names."""
    parser = _Parser(add_help=False, allow_abbrev=False, prog=f"naturewatch {command}")
    parser.add_argument("--config", type=Path)
    options, rest = parser.parse_known_args(arguments)
    if {"-h", "--help"} & set(rest):
        return rest
    from pipeline.tracking.server import check_answers  # noqa: PLC0415

    settings = _settings(options.config)
    if not any(argument.startswith("--tracking-uri") for argument in rest):
        check_answers(settings)
    running = ["--running", str(settings.paths.running_page)] if command == "identify" else []
    return ["--tracking-uri", settings.tracking_uri, "--model-name", settings.registry.model_name, *running, *rest]


def _run(settings: "Settings", *, selection: str | None, accept_losses: str | None) -> int:
    """Run the assets of a selection, or those of a refresh where there is none."""
    from pipeline.commands.preflight import advice, require_ready  # noqa: PLC0415

    whole = {EVERYTHING: "the whole pipeline", None: "the refresh"}
    if selection in whole:
        # Loading the pipeline takes seconds; which assets a selection names is known after that.
        require_ready(settings, assets=None)
    for line in advice(settings):
        print(f"naturewatch: {line}", file=sys.stderr)
    what = whole.get(selection, selection)
    print(f"Running {what} for the scope {settings.name}; data in {settings.paths.data_root}", flush=True)
    from pipeline.commands.last_scope import remember  # noqa: PLC0415
    from pipeline.commands.release_lines import refusal  # noqa: PLC0415
    from pipeline.commands.run import materialise  # noqa: PLC0415
    from pipeline.defs.production import REFRESH  # noqa: PLC0415

    remember(Path(os.environ["NATUREWATCH_CONFIG"]))
    started, began = time.monotonic(), time.time()
    outcome = materialise(settings, selection=REFRESH if selection is None else selection, accept_losses=accept_losses)
    if outcome.problems:
        for line in refusal(settings, since=began):
            print(line)
        for problem in outcome.problems:
            _complain(problem, status=1)
        return _complain(f"what is done is kept; the log is {outcome.log}", status=1)
    from pipeline.commands.summary import print_summary  # noqa: PLC0415

    print_summary(settings, assets=outcome.assets, seconds=time.monotonic() - started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
