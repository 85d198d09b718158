"""Says what is wrong with a configuration: file or variable, key, value, and what is allowed."""

import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pipeline.errors import ConfigurationError

PREFIX: Final = "NATUREWATCH__"
CONFIG_VARIABLE: Final = "NATUREWATCH_CONFIG"
LAST_SCOPE_VARIABLE: Final = "NATUREWATCH_LAST_SCOPE"
"""Names the file that remembers the scope of the last run (`pipeline.commands.last_scope`); empty: none does."""
_NO_KEYS: Final = {CONFIG_VARIABLE, LAST_SCOPE_VARIABLE}
REPLACED: Final = {
    "registry.tolerance": "what a challenger may lose is in the section gate, as gate.top1.min_absolute_change"
}
"""Keys of earlier versions, and what to set instead."""
_ADDED_BY_KUBERNETES: Final = re.compile(r"NATUREWATCH_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)")
"""Kubernetes gives every pod such variables of a service named naturewatch."""


def refuse_unknown_variables(model: type[BaseModel]) -> None:
    """Check every environment variable that begins with NATUREWATCH against the keys of `model`.

    pydantic-settings would ignore a variable with an unknown section, and take one of two that differ only in upper and
    lower case.

    Raises:
        ConfigurationError: a variable names no key, or two name the same.
    """
    keys, seen = dict(_keys(model)), dict[str, str]()
    for variable in sorted(os.environ):
        name = variable.upper()
        if not name.startswith("NATUREWATCH_") or variable in _NO_KEYS or _ADDED_BY_KUBERNETES.fullmatch(name):
            continue
        if name in seen:
            raise ConfigurationError(f"the environment variables {seen[name]} and {variable} name the same key")
        seen[name] = variable
        parts = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if not name.startswith(PREFIX) or not _names_key(parts, keys):
            problem = f"unknown key {'.'.join(parts)}" if name.startswith(PREFIX) else "unknown name"
            known = [CONFIG_VARIABLE, *(f"{PREFIX}{'__'.join(key).upper()}" for key in keys)]
            meant = _replaced(".".join(parts)) or _meant(name, known)
            raise ConfigurationError(f"{problem} in the environment variable {variable}{meant}")


def refuse_unknown_sections(values: Mapping[str, Any], model: type[BaseModel], *, file: Path) -> None:
    """Check the keys at the top of a file: pydantic-settings would take its own options from the same mapping.

    Raises:
        ConfigurationError: a key at the top of the file is none of `model`.
    """
    for key in values:
        if key not in model.model_fields:
            raise ConfigurationError(f"{file}: unknown key {key}{_meant(key, model.model_fields)}")


def sentence(error: ValidationError, model: type[BaseModel], *, file: Path) -> str:
    """All problems of a configuration in one line; values of unknown keys and passwords are not repeated."""
    problems = []
    for item in error.errors(include_url=False):
        loc = tuple(str(part) for part in item["loc"])
        problem = _problem(item["type"], item, key=".".join(loc), model=model, loc=loc)
        problems.append(f"{_origin(loc) or file}: {problem}")
    return "; ".join(problems)


def broken_json(error: Exception) -> str:
    """Which environment variable is not the JSON that its key needs, and where its syntax breaks."""
    cause = error.__cause__
    if not isinstance(cause, json.JSONDecodeError):
        return str(error)
    broken = [name for name, value in os.environ.items() if value == cause.doc and name.upper().startswith(PREFIX)]
    return (
        f"the environment variable {' or '.join(broken)} is no JSON ({cause.msg}, character {cause.pos + 1}); "
        'a list is written as ["one", "two"], a section as {"key": "value"}'
    )


def _origin(loc: tuple[str, ...]) -> str | None:
    """The environment variable that a value comes from, its own or that of its section; None for the file."""
    # A list comes from one variable, whichever of its values is wrong.
    parts = [part for part in loc if not part.isdigit()]
    for end in range(len(parts), 0, -1):
        named = f"{PREFIX}{'__'.join(parts[:end]).upper()}"
        for name, value in os.environ.items():
            if name.upper() == named and all(f'"{part}"' in value for part in parts[end:]):
                return name
    return None


def _problem(kind: str, item: Mapping[str, Any], *, key: str, model: type[BaseModel], loc: tuple[str, ...]) -> str:
    if kind == "extra_forbidden":
        neighbours = dict.fromkeys(each[len(loc) - 1] for each, _ in _keys(model) if each[: len(loc) - 1] == loc[:-1])
        return f"unknown key {key}{_replaced(key) or _meant(loc[-1], neighbours)}"
    if kind == "missing":
        return f"{'.'.join(loc[:-1])} has too few values" if loc[-1].isdigit() else f"{key} is missing"
    value = item["input"]
    if kind in {"model_type", "model_attributes_type"}:
        return f"{key} must be a section of keys, not {_shown(value)}"
    reason = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "it must be")
    reason = {"tuple_type": "it must be a list, as [one, two]", "path_type": "it must be a path"}.get(kind, reason)
    if isinstance(value, dict | list | tuple | BaseModel) and kind == "value_error":
        return f"{key}: {reason}"
    return f"{key} is {_shown(value)}: {reason}"


def _shown(value: object) -> str:
    if value is None:
        return "empty"
    text = _without_secrets(repr(str(value) if isinstance(value, Path) else value))
    return text if len(text) <= 200 else f"{text[:200]}..."


def _without_secrets(text: str) -> str:
    """A value whose address, if it is one, has lost its user, password and query."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    rest, question, _ = rest.rpartition("@")[2].partition("?")
    return f"{scheme}://{rest}{'?...' if question else ''}"


def _keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """All keys of a model, each with the names of its sections before its own."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, (*above, name))
        else:
            yield (*above, name), field


def _names_key(parts: tuple[str, ...], keys: Mapping[tuple[str, ...], FieldInfo]) -> bool:
    """Whether `parts` are a key, a section, or something in a mapping with free keys, such as photos.hosts."""
    return any(
        key[: len(parts)] == parts or (parts[: len(key)] == key and get_origin(field.annotation) is dict)
        for key, field in keys.items()
    )


def _replaced(key: str) -> str:
    return f"; {REPLACED[key]}" if key in REPLACED else ""


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
