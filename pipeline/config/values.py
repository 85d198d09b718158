"""The types of the values of a configuration. What would fail late is refused here, with a reason for people."""

import functools
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from ml.spec import NetworkName, one_line
from pipeline.config.licence_names import LICENCES, SETS, canonical
from pipeline.config.yaml_file import read_mapping
from pipeline.errors import ConfigurationError

_VARIABLE: Final = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)
_SCHEMES: Final = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
"""Schemes of the stores that MLflow supports; its store of plain files refuses to start."""
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?|[0-9a-f:]+", re.IGNORECASE)


def expanded(value: str | Path) -> Path:
    """A path as a shell reads it: `~` is the home folder, `$NAME` and `${NAME}` are variables of the environment.

    Raises:
        ValueError: it is blank, names a variable that is not set or a user that is not known, or holds a NUL.
    """
    text = str(value)
    if not text.strip():
        raise ValueError("it is empty; name a path, or remove it")
    if "\0" in text:
        raise ValueError("a path cannot hold a NUL")
    for found in _VARIABLE.finditer(text):
        name = found[1] or found[2]
        if not os.environ.get(name):
            raise ValueError(f"the environment has no variable {name}; set it, or write the path itself")
    try:
        return Path(os.path.expandvars(text)).expanduser()
    except RuntimeError as error:
        raise ValueError(f"the home folder of {text.partition('/')[0]} is not known; write the path itself") from error


def _path(value: object) -> object:
    return expanded(value) if isinstance(value, str | Path) else value


def _folder(path: Path) -> Path:
    """A folder that exists or can be created, as far as that can be known without creating it."""
    existing = next(each for each in (path.absolute(), *path.absolute().parents) if os.path.lexists(each))
    if not existing.is_dir():
        raise ValueError(f"{existing} is no folder")
    return path


def _file(path: Path) -> Path:
    if path.is_dir():
        raise ValueError(f"{path.absolute()} is a folder, not a file")
    if not path.exists():
        raise ValueError(f"there is no file {path.absolute()}")
    return path


def _archive(value: str) -> str:
    if "://" not in value:
        return str(expanded(value))
    if not value.startswith(("http://", "https://")):
        raise ValueError("it must be a path, or an http(s) address")
    return value


def _recipe(value: object) -> object:
    """The name of built-in recipes, or a file with an entry for each network that it names."""
    if value in {"paper", "sample", "frozen"}:
        return value
    if not isinstance(value, str | Path):
        raise ValueError("it must be paper, sample, frozen or a file of recipes")  # noqa: TRY004 (pydantic takes a ValueError)
    path = _file(expanded(value))
    try:
        recipes = read_mapping(path)
    except ConfigurationError as error:
        raise ValueError(f"it must be paper, sample, frozen or a file of recipes: {error}") from error
    networks = NetworkName.__args__  # type: ignore[attr-defined]
    unknown = [str(name) for name in recipes if name not in networks]
    if unknown:
        raise ValueError(f"{path} holds {', '.join(unknown)}; the networks are {', '.join(networks)}")
    return path


def _weights(value: str) -> str:
    if value in {"hub", "package", "none"}:
        return value
    path = expanded(value)
    if not path.exists() and "/" not in value and not path.suffix:
        raise ValueError("it must be hub, package, none or a safetensors file")
    return str(_file(path))


def _backbone(value: str) -> str:
    """A network of timm's, of Hugging Face's hub, or of a folder with the files of such a repository."""
    source, named, place = value.partition(":")
    if not named:
        return _timms(value)
    if source == "hf-hub" and re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", place, re.ASCII):
        return value
    if source != "local-dir":
        raise ValueError("it must be a timm network, hf-hub:owner/name or local-dir:/path")
    folder = expanded(place).absolute()
    if not any((folder / name).is_file() for name in ("config.json", "open_clip_config.json")):
        raise ValueError(f"{folder} holds neither config.json nor open_clip_config.json")
    return f"{source}:{folder}"


@functools.cache
def _timms(value: str) -> str:
    """A network that timm has according to its source: importing it would load torch."""
    name = value.partition(".")[0]
    found = find_spec("timm")
    folders = [Path(folder) / "models" for folder in (found.submodule_search_locations or ())] if found else []
    sources = [source for folder in folders for source in folder.glob("*.py")]
    word = re.compile(rf"^def {re.escape(name)}\(|['\"]{re.escape(name)}['\"]", re.MULTILINE)
    if sources and not any(word.search(source.read_text(encoding="utf-8")) for source in sources):
        raise ValueError("timm has no network of this name; see timm.list_models()")
    return value


def _matching(pattern: str, problem: str) -> AfterValidator:
    """A text of this form."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(problem)
        return value

    return AfterValidator(check)


def _years(years: tuple[int, int]) -> tuple[int, int]:
    if years[0] > years[1]:
        raise ValueError(f"the first year is after the last; write [{years[1]}, {years[0]}]")
    return years


def checked_hosts(hosts: dict[str, object]) -> dict[str, object]:
    """Hosts by name, once each.

    Raises:
        ValueError: a name is not that of a host, or two differ only in upper and lower case.
    """
    seen: set[str] = set()
    for name in hosts:
        if not _HOST.fullmatch(name):
            raise ValueError(f"{name!r} is no host's name; write it without scheme, port and path, as photos.example")
        if name.lower() in seen:
            raise ValueError(f"{name!r} is there twice")
        seen.add(name.lower())
    return hosts


def checked_host_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Hosts by name; one that is there twice counts once.

    Raises:
        ValueError: as `checked_hosts`.
    """
    checked_hosts(dict.fromkeys(names))
    return tuple(dict.fromkeys(names))


def _address(value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not value.isprintable() or " " in value:
        raise ValueError("it must be an http(s) address")
    return value


def _model_name(value: str) -> str:
    """MLflow's own rules, and `@`, which begins an alias in its addresses of models."""
    refused = sorted({*"/:@"}.intersection(one_line(value)))
    if refused or value in {".", ".."}:
        raise ValueError(f"the registry's names hold no {', '.join(refused) or 'lone dots'}")
    return value


def _cron(value: str) -> str:
    # Dagster's own parser; it takes a second to load, and only a changed schedule needs it.
    from dagster._utils.schedules import is_valid_cron_string  # noqa: PLC0415 (it has no public name)

    if not is_valid_cron_string(value):
        raise ValueError("it must be a cron schedule of five fields, as 0 3 * * 1, or @daily, @weekly, @monthly")
    return value


def _tracking_uri(value: str) -> str:
    """The address of an MLflow store; a SQLite file becomes absolute."""
    scheme, separator, rest = value.partition("://")
    dialect = scheme.partition("+")[0]
    if value == "databricks":
        return value
    if not separator or dialect not in _SCHEMES:
        raise ValueError(
            "it must be an address that begins with "
            f"{', '.join(f'{name}://' for name in _SCHEMES)}; SQLite's is sqlite:///folder/mlflow.db"
        )
    if dialect != "sqlite":
        return value
    file, question, query = rest.removeprefix("/").partition("?")
    if not rest.startswith("/") or not file:
        raise ValueError("SQLite needs a file: sqlite:///mlflow.db in this folder, sqlite:////data/mlflow.db elsewhere")
    return f"{scheme}:///{_quoted(expanded(unquote(file)).absolute())}{question}{query}"


def sqlite_address(database: Path) -> str:
    """The address of a SQLite file, as SQLAlchemy and MLflow read it, whatever its name."""
    return f"sqlite:///{_quoted(database)}"


def _quoted(path: Path) -> str:
    """`?` would begin the address's query, and SQLAlchemy decodes `%`; everything else may stand."""
    return "".join(quote(character, safe="") if character in "?%#" else character for character in str(path))


def _called(name: str) -> WithJsonSchema:
    """What the reference of the configuration calls a text of this kind."""
    return WithJsonSchema({"type": "string", "format": name})


Folder = Annotated[Path, BeforeValidator(_path), AfterValidator(_folder)]
"""A folder that exists or can be created."""
PathText = Annotated[Path, BeforeValidator(_path)]
"""A path; the step that reads it checks whether it exists."""
File = Annotated[Path, BeforeValidator(_path), AfterValidator(_file)]
"""A file that exists: it is read long after the start."""
Archive = Annotated[str, AfterValidator(_archive), _called("path or address")]
RecipeText = Annotated[Literal["paper", "sample", "frozen"] | Path, BeforeValidator(_recipe)]
WeightsText = Annotated[str, AfterValidator(_weights), _called("`hub`, `package`, `none` or path")]
BackboneText = Annotated[str, AfterValidator(one_line), AfterValidator(_backbone)]
Country = Annotated[
    str, _matching("[A-Z]{2}", "it must be an ISO country code of two capital letters, as NZ"), _called("country code")
]
GbifKey = Annotated[
    str,
    _matching(
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "it must be a key of GBIF, as 50c9509d-22c7-4a22-a47d-8c48425ef4a7"
    ),
    _called("key"),
]
TaxonKey = Annotated[str, _matching(r"\S+", "it must be a key of the checklist, without blanks"), _called("key")]
Years = Annotated[tuple[int, int], AfterValidator(_years)]
Licence = Annotated[str, AfterValidator(canonical), WithJsonSchema({"enum": (*SETS, *LICENCES)})]
"""A licence of photographs, or a word for several (`pipeline.config.licence_names.SETS`)."""
Seed = Annotated[int, Field(ge=0, lt=2**31)]
"""What every random number generator accepts."""
WebAddress = Annotated[str, AfterValidator(_address), _called("address")]
ModelName = Annotated[str, AfterValidator(_model_name), _called("name")]
TrackingUri = Annotated[str, AfterValidator(_tracking_uri), _called("address")]
HostName = Annotated[
    str, _matching(f"(?i:{_HOST.pattern})", "it must be a host's name, as mail.example.org"), _called("host")
]
MailAddress = Annotated[
    str, _matching(r"[^\s@,;<>]+@[^\s@,;<>]+", "it must be a mail address, as you@example.org"), _called("mail address")
]
Cron = Annotated[str, AfterValidator(_cron), _called("cron schedule")]
