"""What `naturewatch ui` does: Dagster's servers and MLflow's, side by side, until it is asked to end."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import dagster as dg

from pipeline.config.settings import Settings
from pipeline.defs.together import TRAININGS
from pipeline.errors import ChildError, ConfigurationError, RegistryError
from pipeline.launching.gpus import slots
from pipeline.launching.interrupts import raise_on_signals
from pipeline.launching.pools import end_killed_runs, set_slots
from pipeline.paths import PROJECT_ROOT
from pipeline.tracking.server import check_answers, is_remote, web_address

HOST = "127.0.0.1"
LOOK_SECONDS = 0.2
CHECK_SECONDS = 10.0
"""Between two checks for runs of `naturewatch run` that were killed."""


def serve(settings: Settings, *, port: int, mlflow_port: int) -> NoReturn:
    """Run `dagster dev`, and MLflow's server unless the configuration names one, until a signal ends them.

    Args:
        settings: The configuration.
        port: The Dagster UI's port.
        mlflow_port: The MLflow UI's port; not used with a remote server.

    Raises:
        ConfigurationError: a port is taken, or both are the same.
        ChildError: a server ended by itself; the other one is ended as well.
        Interrupted: a signal was received, Ctrl-C for instance.
    """
    remote = is_remote(settings)
    _check_ports({"--port": port} if remote else {"--port": port, "--mlflow-port": mlflow_port})
    if remote:
        mlflow_url = web_address(settings)
        try:
            check_answers(settings)
        except RegistryError as error:
            # Dagster's UI is useful without it.
            sys.stderr.write(f"naturewatch: {error}\n")
    else:
        from pipeline.tracking.runs import client  # noqa: PLC0415 (it takes seconds)

        mlflow_url = f"http://{HOST}:{mlflow_port}"
        # The database is made here, once: several processes must not make it at the same time.
        client(settings)
    environment = {
        **os.environ,
        # The packages can be imported from a checkout without installation, and from any folder.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH")])),
        "NATUREWATCH__REGISTRY__DAGSTER_URL": f"http://{HOST}:{port}",
        "NATUREWATCH__REGISTRY__MLFLOW_URL": mlflow_url,
    }
    commands = {"dagster dev": _dagster(port)} | ({} if remote else {"mlflow server": _mlflow(settings, mlflow_port)})
    raise_on_signals()
    with dg.DagsterInstance.get() as instance, _running(commands, environment) as keepers:
        set_slots(instance, TRAININGS, slots(processes=settings.training.processes))
        sys.stdout.write(f"Dagster: http://{HOST}:{port}   MLflow: {mlflow_url}   (Ctrl-C ends it)\n")
        sys.stdout.flush()
        looked = time.monotonic() - CHECK_SECONDS
        while all(keeper.poll() is None for keeper in keepers.values()):
            if time.monotonic() - looked >= CHECK_SECONDS:
                # Runs that are started here would queue behind them forever.
                end_killed_runs(instance)
                looked = time.monotonic()
            time.sleep(LOOK_SECONDS)
        ended = [f"{name} ended with status {keeper.returncode}" for name, keeper in keepers.items()
                 if keeper.returncode is not None]  # fmt: skip
    raise ChildError(f"{' and '.join(ended)}; its output above says why")


def _check_ports(ports: Mapping[str, int]) -> None:
    """Refuse a port that cannot be used before anything is started."""
    if len(set(ports.values())) < len(ports):
        raise ConfigurationError(f"{' and '.join(ports)} are both {min(ports.values())}: choose two ports")
    for option, port in ports.items():
        with socket.socket() as listener:
            # As the servers do: connections of an earlier server may still be closing.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
                listener.listen()
            except OSError as error:
                raise ConfigurationError(
                    f"port {port} cannot be used ({error.strerror}): end what listens there, or choose another port "
                    f"with {option}"
                ) from error


def _dagster(port: int) -> list[str]:
    dagster = Path(sys.executable).parent / "dagster"
    return [str(dagster), "dev", "-w", str(PROJECT_ROOT / "workspace.yaml"), "-h", HOST, "-p", str(port)]


def _mlflow(settings: Settings, port: int) -> list[str]:
    store = ["--backend-store-uri", settings.tracking_uri, "--host", HOST, "--port", str(port), "--workers", "1"]
    artifacts = ["--artifacts-destination", str(settings.paths.mlflow_artifacts)]
    return [str(Path(sys.executable).parent / "mlflow"), "server", *store, *artifacts]


@contextlib.contextmanager
def _running(
    commands: Mapping[str, list[str]], environment: Mapping[str, str]
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run each command under a keeper, which ends everything it started when this block or process ends."""
    keepers: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            keep = [sys.executable, "-m", "pipeline.launching.keep", *command]
            keepers[name] = subprocess.Popen(keep, env=environment, stdin=subprocess.PIPE)
        yield keepers
    finally:
        for keeper in keepers.values():
            assert keeper.stdin is not None  # noqa: S101 (asked for above)
            keeper.stdin.close()
        for keeper in keepers.values():
            keeper.wait()
