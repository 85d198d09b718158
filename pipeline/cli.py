"""The command `naturewatch`: parses arguments and hands over. Exit 0 only when the work is done.

`identify`, `specificity` and `replica` replace this process with the module that does the work, so that the
pipeline never loads the networks.
"""

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from pipeline.config import configuration_file, load_settings
from pipeline.dagster_home import prepare_dagster_home
from pipeline.errors import NatureWatchError
from pipeline.paths import PROJECT_ROOT

HANDED_OVER: Final = {
    "identify": ("ml.identify", "name what is on photographs, with the registered champion"),
    "specificity": ("ml.specificity_cli", "calibrate specificity for anybody's classifier"),
    "replica": ("demo", "serve the embedded GBIF and photo replica"),
}
"""Commands that another room answers: the module, and what it does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments and arguments[0] in HANDED_OVER:
            _hand_over(arguments[0], arguments[1:])
        options = _parser().parse_args(arguments)
        # Absolute, for children that run in another folder.
        os.environ["NATUREWATCH_CONFIG"] = str(configuration_file(options.config))
        prepare_dagster_home()
        return _run(options.select) if options.command == "run" else _ui(options.port, options.mlflow_port)
    except NatureWatchError as error:
        print(f"naturewatch: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("naturewatch: interrupted; run the same command again to go on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="naturewatch", description="From iNaturalist observations on GBIF to a calibrated identifier."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="take the road, or a part of it")
    run.add_argument("--select", default="*", help="Dagster's asset selection, e.g. 'group:ingest or group:dataset'")
    ui = commands.add_parser("ui", help="open the Dagster UI, and MLflow's beside it")
    ui.add_argument("--port", type=int, default=3000, help="the Dagster UI's port (default 3000)")
    ui.add_argument("--mlflow-port", type=int, default=5000, help="the MLflow UI's port (default 5000)")
    for command in (run, ui):
        command.add_argument("--config", type=Path, help="the scope's YAML file (default conf/sample.yaml)")
    for name, (_, purpose) in HANDED_OVER.items():
        commands.add_parser(name, help=purpose, add_help=False)
    return parser


def _hand_over(command: str, arguments: list[str]) -> NoReturn:
    """Become `python -m <module>`; `identify` is told which registry the configuration names."""
    module, _ = HANDED_OVER[command]
    if command == "identify" and not {"-h", "--help"} & set(arguments):
        settings = load_settings()
        registry = ["--tracking-uri", settings.tracking_uri, "--model-name", settings.registry.model_name]
        arguments = [*registry, *arguments]
    if importlib.util.find_spec(module.split(".", maxsplit=1)[0]) is None:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")])
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 (no shell is wanted)


def _run(selection: str) -> int:
    # Dagster and the assets take a second to load; a wrong option or configuration is told before.
    load_settings()
    from pipeline.run import take_road  # noqa: PLC0415

    started = time.monotonic()
    problem = take_road(selection=selection)
    if problem is not None:
        print(f"naturewatch: {problem}", file=sys.stderr)
        return 1
    from pipeline.summary import print_summary  # noqa: PLC0415

    print_summary(load_settings(), seconds=time.monotonic() - started)
    return 0


def _ui(port: int, mlflow_port: int) -> int:
    """Run `dagster dev` and MLflow's server until interrupted."""
    settings = load_settings()
    from pipeline.tracking import client  # noqa: PLC0415

    client(settings)
    binaries = Path(sys.executable).parent
    os.environ["NATUREWATCH__REGISTRY__DAGSTER_URL"] = f"http://127.0.0.1:{port}"
    os.environ["NATUREWATCH__REGISTRY__MLFLOW_URL"] = f"http://127.0.0.1:{mlflow_port}"
    workspace = PROJECT_ROOT / "workspace.yaml"
    dagster = [str(binaries / "dagster"), "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)]
    store = ["--backend-store-uri", settings.tracking_uri, "--host", "127.0.0.1", "--port", str(mlflow_port)]
    artifacts = ["--artifacts-destination", str(settings.paths.mlflow_artifacts)]
    mlflow = [str(binaries / "mlflow"), "server", *store, *artifacts, "--workers", "1"]
    print(f"Dagster: http://127.0.0.1:{port}   MLflow: http://127.0.0.1:{mlflow_port}   (Ctrl-C ends both)")
    children = {
        "dagster dev": subprocess.Popen(dagster, cwd=PROJECT_ROOT),
        "mlflow server": subprocess.Popen(mlflow, cwd=PROJECT_ROOT),
    }
    try:
        while all(child.poll() is None for child in children.values()):
            time.sleep(0.5)
    except KeyboardInterrupt:
        return 0
    finally:
        for child in children.values():
            child.send_signal(signal.SIGINT)
        for child in children.values():
            child.wait(timeout=30)
    statuses = ", ".join(f"{name} ended with status {child.returncode}" for name, child in children.items())
    print(f"naturewatch: {statuses}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
