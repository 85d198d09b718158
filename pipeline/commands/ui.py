"""What `naturewatch ui` does: Dagster's servers and MLflow's, side by side, until it is asked to end."""

import contextlib
import os
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn

import dagster as dg
from rich.console import Console

from pipeline.config.settings import Settings
from pipeline.defs.together import TRAININGS
from pipeline.errors import ConfigurationError, RegistryError, TrackingError
from pipeline.launching.gpus import slots
from pipeline.launching.interrupts import SIGNALS, Interrupted, raise_on_signals
from pipeline.launching.pools import end_killed_runs, set_slots
from pipeline.launching.servers import HOST, Server, Servers, running
from pipeline.paths import PROJECT_ROOT
from pipeline.project_folder import WORKSPACE, project_folder
from pipeline.tracking.links import experiment_url
from pipeline.tracking.runs import client, describe_store
from pipeline.tracking.server import is_remote, web_address

LOOK_SECONDS: Final = 0.2
CHECK_SECONDS: Final = 10.0
"""Between two checks for runs of `naturewatch run` that were killed."""
SLOW_SECONDS: Final = 180.0
"""A start that takes longer is told."""
WITHOUT_RUNNERS: Final = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""MLflow's server otherwise starts eight processes for jobs about language models, which take 1.7 GB of memory."""


def serve(settings: Settings, *, port: int, mlflow_port: int, browser: bool = True) -> NoReturn:
    """Run `dagster dev`, and MLflow's server unless the configuration names one, until a signal ends them.

    Args:
        settings: The configuration.
        port: The Dagster UI's port.
        mlflow_port: The MLflow UI's port; not used with a remote server.
        browser: Open Dagster's UI in a browser once it is ready, if standard output is a terminal.

    Raises:
        ConfigurationError: a port is taken, or both are the same.
        ChildError: a server ended by itself; the other one is ended as well.
        Interrupted: a signal was received, Ctrl-C for instance.
    """
    remote = is_remote(settings)
    _check_ports({"--port": port} if remote else {"--port": port, "--mlflow-port": mlflow_port})
    log = settings.paths.logs / f"ui-{time.strftime('%Y%m%d-%H%M%S')}.log"
    names = "Dagster" if remote else "Dagster and MLflow"
    _say(f"Starting {names} for the scope {settings.name}, data in {settings.paths.data_root}: about half a minute.")
    if not settings.paths.tables.exists():
        _say(
            "There are no tables yet: Dagster's *Materialize all* makes them, or `naturewatch run`. To see an earlier "
            "run, start with its --config or NATUREWATCH_... variables."
        )
    _say(f"What the servers print: {log}")
    mlflow_url = web_address(settings) if remote else f"http://{HOST}:{mlflow_port}"
    environment = {
        **WITHOUT_RUNNERS,
        **os.environ,
        # The packages can be imported from a checkout without installation, and from any folder.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH")])),
        "NATUREWATCH__REGISTRY__DAGSTER_URL": f"http://{HOST}:{port}",
        "NATUREWATCH__REGISTRY__MLFLOW_URL": mlflow_url,
    }
    with dg.DagsterInstance.get() as instance, running(environment=environment, log=log) as servers:
        # From here on there is something to end.
        raise_on_signals()
        try:
            with _undisturbed():
                set_slots(instance, TRAININGS, slots(processes=settings.training.processes))
            with Console().status("starting"):
                servers.start(_dagster(port))
                mlflow_page = _mlflow_page(settings, mlflow_url, remote=remote)
                if not remote:
                    servers.start(_mlflow(settings, mlflow_port))
                _wait_until_ready(servers, log=log)
            _say(f"Ready: Dagster http://{HOST}:{port}   MLflow {mlflow_page}   (Ctrl-C ends this)")
            if browser and _has_browser():
                # The graph of all assets; Dagster's home page shows the runs of the last hours only.
                webbrowser.open(f"http://{HOST}:{port}/asset-groups")
            _watch(instance, servers)
        except Interrupted as interrupt:
            # A terminal that was closed takes no words.
            with contextlib.suppress(OSError):
                _say(f"Stopping {names}.")
            # There is nothing to go on with.
            interrupt.args = (f"{names} ended",)
            raise


def _mlflow_page(settings: Settings, mlflow_url: str, *, remote: bool) -> str:
    """The address of the experiment; a local store is made and described here, once, before several processes use it.

    Dagster's UI is useful without a remote server: then this says why, and returns the server's address.
    """
    registry = settings.registry.model_copy(update={"mlflow_url": mlflow_url})
    try:
        with _undisturbed():
            describe_store(settings, client(settings))
            return experiment_url(settings.model_copy(update={"registry": registry}))
    except (RegistryError, TrackingError) as error:
        if not remote:
            raise
        sys.stderr.write(f"naturewatch: {error}\n")
        return mlflow_url


def _wait_until_ready(servers: Servers, *, log: Path) -> None:
    """Wait until all servers answer."""
    began, told = time.monotonic(), False
    while not servers.ready():
        if not told and time.monotonic() - began > SLOW_SECONDS:
            _say(f"This takes longer than it should; {log} may say why.")
            told = True
        time.sleep(LOOK_SECONDS)


def _watch(instance: dg.DagsterInstance, servers: Servers) -> NoReturn:
    """Until a server ends: end runs that were killed, behind which runs that are started here would queue forever."""
    looked = time.monotonic() - CHECK_SECONDS
    while True:
        servers.check()
        if time.monotonic() - looked >= CHECK_SECONDS:
            with _undisturbed():
                end_killed_runs(instance)
            looked = time.monotonic()
        time.sleep(LOOK_SECONDS)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let signals wait until the block ends: an import may lose their exception, a database prints it as a trace.

    A mask would not do: where another thread receives the signal, Python still runs its handler in this one.
    """
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


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


def _dagster(port: int) -> Server:
    dagster = Path(sys.executable).parent / "dagster"
    command = [str(dagster), "dev", "-w", str(project_folder() / WORKSPACE), "-h", HOST, "-p", str(port)]
    return Server(name="dagster dev", command=command, port=port, health="/server_info")


def _mlflow(settings: Settings, port: int) -> Server:
    store = ["--backend-store-uri", settings.tracking_uri, "--host", HOST, "--port", str(port), "--workers", "1"]
    artifacts = ["--artifacts-destination", str(settings.paths.mlflow_artifacts)]
    command = [str(Path(sys.executable).parent / "mlflow"), "server", *store, *artifacts]
    return Server(name="mlflow server", command=command, port=port, health="/health")


def _has_browser() -> bool:
    """Whether a person is there to see a browser; one that draws in the terminal would take it over."""
    display = sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    return sys.stdout.isatty() and display


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
