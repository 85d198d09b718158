"""`python -m ml.page.run_page`: serve the page and its endpoint until asked to end."""

import argparse
import asyncio
import errno
import ipaddress
import logging
import os
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ml.ending import ENDING, complain, end_by_signals

if __name__ == "__main__":
    # The imports below take a moment.
    end_by_signals()

import uvicorn

from ml.errors import MlError
from ml.page.application import create_app
from ml.page.following import Follower
from ml.page.page_settings import LOOPBACK, PageSettings
from ml.page.presence import announced
from ml.serving.versions import CHAMPION, shown

PORT: Final = 7860
MOST_PORT: Final = 65_535


class PageError(MlError):
    """The page cannot be served."""


class _Server(uvicorn.Server):
    """Signals end the process at once, as they end every command."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until asked to end; returns the exit status where it cannot begin."""
    options = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="naturewatch: %(message)s", stream=sys.stderr)
    try:
        asyncio.run(_run(options))
    except MlError as error:
        complain(str(error))
        return 1
    return 0


async def _run(options: argparse.Namespace) -> None:
    with _bound(options.host, options.port) as bound:
        host = bound.getsockname()[0]
        settings = _settings(options, host=host)
        await serve(settings, bound, ready=lambda address: _tell_ready(options, settings, address=address))


async def serve(settings: PageSettings, bound: socket.socket, *, ready: Callable[[str], None]) -> None:
    """Serve until cancelled; `/health` answers while the model loads.

    Args:
        settings: What is served.
        bound: Where to listen.
        ready: Called once with the address, when a version answers.

    Raises:
        MlError: no version can be loaded.
    """
    follower = Follower(settings)
    config = uvicorn.Config(
        create_app(settings, follower=follower), log_config=None, access_log=False, server_header=False,
        loop="asyncio", ws="none", proxy_headers=False, timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    # Each request that a client breaks off is no news.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        await follower.start()
        host, port = bound.getsockname()[:2]
        ready(f"http://{_shown_host(host)}:{port}")
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


def _tell_ready(options: argparse.Namespace, settings: PageSettings, *, address: str) -> None:
    if options.data_root is not None:
        # Removed by whatever ends the process: a signal, or the end of the program.
        ENDING.enter_context(
            announced(
                options.data_root, address=address, registry=shown(settings.tracking_uri),
                model_name=settings.model_name, alias=settings.alias,
            )
        )  # fmt: skip
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
    if options.browser and sys.stdout.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(address)


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        PageError: it cannot be had.
    """
    if not 0 <= port <= MOST_PORT:
        # The system would take the rest of a division for it.
        raise PageError(f"a port is a number from 0 to {MOST_PORT}, not {port}")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PageError(f"port {port} is in use: choose another by --port, or end what uses it") from error
        raise PageError(f"cannot listen at {host}, port {port}: {error}") from error
    if not ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback:
        complain(
            f"warning: whoever reaches {host} can ask this server and read what it shows; it knows no accounts and no "
            "encryption"
        )
    return bound


def _shown_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _settings(options: argparse.Namespace, *, host: str) -> PageSettings:
    named = {name.lower() for name in (*LOOPBACK, host, options.host, *options.allow_host)}
    return PageSettings(
        tracking_uri=options.tracking_uri,
        model_name=options.model_name,
        alias=options.alias,
        names=options.names,
        examples=options.examples,
        photos=options.photos,
        report=options.report,
        hosts=frozenset(named),
        origins=frozenset(options.allow_origin),
    )


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(prog="naturewatch page", description="Serve the page that identifies photographs.")
    parser.add_argument("--tracking-uri", required=True, help="MLflow's registry")
    parser.add_argument("--model-name", default="naturewatch", help="the registered model (default naturewatch)")
    parser.add_argument("--alias", default=CHAMPION, help="which version (default champion); it is followed")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default 127.0.0.1: this machine only)")
    parser.add_argument("--port", type=int, default=PORT, help=f"0: any free one (default {PORT})")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name that the server may be asked by"
    )
    parser.add_argument(
        "--allow-origin", action="append", default=[], metavar="ADDRESS", help="a site whose pages may ask the server"
    )
    parser.add_argument("--examples", type=Path, metavar="FILE", help="a table of example photographs (Parquet)")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="where the paths of that table start")
    parser.add_argument("--report", type=Path, metavar="FILE", help="the report of the dataset and its model (HTML)")
    parser.add_argument("--names", type=Path, metavar="FILE", help="a table of common names")
    parser.add_argument(
        "--data-root", type=Path, metavar="FOLDER", help="where page.json tells commands of this server"
    )
    parser.add_argument("--no-browser", dest="browser", action="store_false", help="do not open the page in a browser")
    return parser


if __name__ == "__main__":
    with ENDING:
        status = main()
    sys.exit(status)
