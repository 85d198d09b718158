"""Asking an MLflow server by its REST API without MLflow, whose import takes longer than identifying a photograph.

https://mlflow.org/docs/latest/api_reference/rest-api.html. Whatever is not plain (other ways of signing in, workspaces,
failures) is left to MLflow.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from ml.serving.sqlite_registry import Found

if TYPE_CHECKING:
    import requests

_API: Final = "/api/2.0"
_ARTIFACTS: Final = f"{_API}/mlflow-artifacts/artifacts"
_CHUNK: Final = 1 << 20
_CONNECT_SECONDS: Final = 5.0
_OTHER_WAYS: Final = (
    "MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_ENABLE_WORKSPACES",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH", "MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_WORKSPACE",
)  # fmt: skip
"""Variables with which MLflow asks otherwise than this module does."""
_CREDENTIALS: Final = Path("~/.mlflow/credentials")


class _UnusualError(Exception):
    """MLflow has to be asked."""


def look_up(uri: str, *, name: str, alias: str) -> Found | None:
    """The version of the model `name` with an alias or a number, as MLflow's client finds it.

    Signs in as MLflow does: by the name and password in `uri`, or by MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD, or by MLFLOW_TRACKING_TOKEN.

    Returns:
        None where MLflow has to be asked: there is no such version, or the server is to be asked otherwise.
    """
    base = uri.rstrip("/")
    try:
        session = _session()
        if alias.isdecimal():
            number = alias
        else:
            version = _json(session, f"{base}{_API}/mlflow/registered-models/alias", name=name, alias=alias)
            number = str(version["model_version"]["version"])
        where = _json(session, f"{base}{_API}/mlflow/model-versions/get-download-uri", name=name, version=number)
        return Found(number, str(where["artifact_uri"]))
    except (_UnusualError, KeyError, TypeError):
        return None


def download(location: str, *, uri: str, into: Path) -> bool:
    """Copy the files of an artifact location that the server itself serves (`mlflow-artifacts:/...`) into a folder.

    Returns:
        False where MLflow has to be asked for them; the folder may then hold some.

    Raises:
        OSError: the folder cannot be written to.
    """
    parts = urlsplit(location)
    if parts.scheme != "mlflow-artifacts" or parts.netloc or urlsplit(uri).scheme not in {"http", "https"}:
        return False
    base, root = uri.rstrip("/") + _ARTIFACTS, parts.path.strip("/")
    try:
        session = _session()
        names = list(_files(session, base, root=root, folder=PurePosixPath()))
        for name in names:
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            address = f"{base}/{quote(root)}/{quote(str(name))}"
            with _get(session, address, stream=True) as response, target.open("wb") as stream:
                stream.writelines(_body(response))
    except (_UnusualError, KeyError, TypeError):
        return False
    return bool(names)


def _files(session: "requests.Session", base: str, *, root: str, folder: PurePosixPath) -> Iterator[PurePosixPath]:
    """All files below a folder of the store, relative to `root`."""
    for file in _json(session, base, path=str(PurePosixPath(root) / folder)).get("files", []):
        name = PurePosixPath(file["path"])
        if name.is_absolute() or ".." in name.parts or "\\" in str(name) or not name.parts:
            raise _UnusualError
        if file["is_dir"]:
            yield from _files(session, base, root=root, folder=folder / name)
        else:
            yield folder / name


def _session() -> "requests.Session":
    import requests  # noqa: PLC0415 (only where a server is asked)

    if any(os.environ.get(variable) for variable in _OTHER_WAYS) or _CREDENTIALS.expanduser().exists():
        raise _UnusualError
    session = requests.Session()
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        session.auth = (user.encode(), password.encode())  # type: ignore[assignment]  # requests encodes text as Latin 1
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        session.auth = _Bearer(token)
    return session


class _Bearer:
    """Signs requests with a token, which an entry in a netrc file must not replace."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _json(session: "requests.Session", address: str, **parameters: str) -> dict[str, Any]:
    try:
        document = _get(session, address, params=parameters).json()
    except ValueError as error:
        raise _UnusualError from error
    if not isinstance(document, dict):
        raise _UnusualError
    return document


def _get(session: "requests.Session", address: str, **options: Any) -> "requests.Response":  # noqa: ANN401
    import requests  # noqa: PLC0415 (only where a server is asked)

    seconds = float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "30"))
    try:
        response = session.get(address, timeout=(_CONNECT_SECONDS, seconds), **options)
    except requests.RequestException as error:
        raise _UnusualError from error
    if response.status_code != 200:
        response.close()
        raise _UnusualError
    return response


def _body(response: "requests.Response") -> Iterator[bytes]:
    import requests  # noqa: PLC0415 (only where a server is asked)

    try:
        yield from response.iter_content(_CHUNK)
    except requests.RequestException as error:
        raise _UnusualError from error
