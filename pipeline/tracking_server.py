"""Whether MLflow is a server of its own, and whether it answers: told in seconds, before anything depends on it."""

import os
import socket
from urllib.parse import urlsplit

from pipeline.config import Settings
from pipeline.errors import RegistryError

PORTS = {"http": 80, "https": 443}
CONNECT_SECONDS = 5.0


def limit_retries() -> None:
    """Let MLflow's client, here and in children, give up on a server after a quarter of a minute, not after minutes.

    What the operator has set stays.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")


def is_remote(settings: Settings) -> bool:
    """Whether MLflow is a server that others run, and not a database that is opened here."""
    return urlsplit(settings.tracking_uri).scheme in {*PORTS, "databricks"}


def check_answers(settings: Settings) -> None:
    """Connect to a remote server once.

    Raises:
        RegistryError: it cannot be reached.
    """
    address = urlsplit(settings.tracking_uri)
    if address.scheme not in PORTS:
        return
    try:
        port = address.port or PORTS[address.scheme]
        socket.create_connection((address.hostname or "", port), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        # Only the host: an address may carry a password.
        raise RegistryError(
            f"the MLflow server at {address.netloc.rpartition('@')[2]} cannot be reached ({error}): start it, or set "
            "registry.tracking_uri, and run the same command again"
        ) from error
