"""Whether MLflow is a server, and whether it answers: known in seconds, before anything depends on it."""

import socket
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from pipeline.config.settings import Settings
from pipeline.errors import RegistryError

PORTS = {"http": 80, "https": 443}
CONNECT_SECONDS = 5.0
OWN_UI = "http://127.0.0.1:5000"
"""The default of `registry.mlflow_url`: the address of a remote server's UI was not configured."""


def is_remote(settings: Settings) -> bool:
    """Whether MLflow is a server that was started elsewhere, and not a database that this process opens."""
    return urlsplit(settings.tracking_uri).scheme in {*PORTS, "databricks"}


def web_address(settings: Settings) -> str:
    """The address of MLflow's UI, without a final slash: that of a remote server where no other is configured."""
    configured = settings.registry.mlflow_url.rstrip("/")
    if configured == OWN_UI and urlsplit(settings.tracking_uri).scheme in PORTS:
        return without_password(settings.tracking_uri).rstrip("/")
    return configured


def without_password(uri: str) -> str:
    """The address for people: without a user's name and password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.netloc else uri


def check_answers(settings: Settings) -> None:
    """Connect to a remote server once; a local database needs no check.

    Raises:
        RegistryError: it cannot be reached.
    """
    address = urlsplit(settings.tracking_uri)
    host = address.hostname or ""
    if address.scheme not in PORTS or (address.scheme in getproxies() and not proxy_bypass(host)):
        return  # A proxy connects, not this process.
    try:
        port = address.port or PORTS[address.scheme]
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        # Only the host: an address may carry a password.
        raise RegistryError(
            f"the MLflow server at {address.netloc.rpartition('@')[2]} cannot be reached ({error}): start it, or set "
            "registry.tracking_uri, and run the same command again"
        ) from error
