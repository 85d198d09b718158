"""Says what is wrong with a configuration: where it stands, which key, what it is, and what it may be."""

import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from pipeline.errors import ConfigurationError

PREFIX: Final = "NATUREWATCH__"
CONFIG_VARIABLE: Final = "NATUREWATCH_CONFIG"
_ADDED_BY_KUBERNETES: Final = re.compile(r"NATUREWATCH_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)")
"""Kubernetes gives every pod such variables of a service named naturewatch."""


def refuse_unknown_variables(model: type[BaseModel]) -> None:
    """Hold every variable of the environment that begins with NATUREWATCH against the keys of `model`.

    pydantic-settings would ignore one whose section is unknown, and take one of two that differ in upper and lower
    case only.

    Raises:
        ConfigurationError: a variable names no key, or two name the same.
    """
    seen: dict[str, str] = {}
    for variable in sorted(os.environ):
        name = variable.upper()
        if not name.startswith("NATUREWATCH_") or variable == CONFIG_VARIABLE or _ADDED_BY_KUBERNETES.fullmatch(name):
            continue
        if name in seen:
            raise ConfigurationError(f"the environment variables {seen[name]} and {variable} name the same key")
        seen[name] = variable
        problem = _unknown(name, model)
        if problem is not None:
            known = [CONFIG_VARIABLE, *(f"{PREFIX}{'__'.join(key).upper()}" for key in _keys(model))]
            raise ConfigurationError(f"{problem} in the environment variable {variable}{_meant(name, known)}")


def refuse_unknown_sections(values: Mapping[str, Any], model: type[BaseModel], *, file: Path) -> None:
    """pydantic-settings has options that it would take from the same mapping.

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
    """Which variable of the environment does not hold the JSON that its key needs, and where it breaks."""
    cause = error.__cause__
    if not isinstance(cause, json.JSONDecodeError):
        return str(error)
    broken = [name for name, value in os.environ.items() if value == cause.doc and name.upper().startswith(PREFIX)]
    return (
        f"the environment variable {' or '.join(broken)} is no JSON ({cause.msg}, character {cause.pos + 1}); "
        'a list is written as ["one", "two"], a section as {"key": "value"}'
    )


def _origin(loc: tuple[str, ...]) -> str | None:
    """The variable of the environment that a value comes from, its own or that of its section; None for the file."""
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
        section = _section(model, loc[:-1])
        return f"unknown key {key}{_meant(loc[-1], section.model_fields if section else ())}"
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


def _unknown(name: str, model: type[BaseModel]) -> str | None:
    """What a variable names that there is not; None where it names a key."""
    if not name.startswith(PREFIX):
        return "unknown name"
    parts = name.removeprefix(PREFIX).lower().split("__")
    section: type[BaseModel] | None = model
    for index, part in enumerate(parts):
        if section is None or part not in section.model_fields:
            # Below a mapping of one's own keys, as photos.hosts, every word may stand.
            is_mapping = section is None and _is_mapping(model, tuple(parts[:index]))
            return None if is_mapping else f"unknown key {'.'.join(parts)}"
        section = _section(section, (part,))
    return None


def _section(model: type[BaseModel], loc: tuple[str, ...]) -> type[BaseModel] | None:
    """The section that a key of `model` leads to; None where it leads to a value."""
    section = model
    for part in loc:
        field = section.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        section = field.annotation
    return section


def _is_mapping(model: type[BaseModel], loc: tuple[str, ...]) -> bool:
    section = _section(model, loc[:-1])
    field = section.model_fields.get(loc[-1]) if section is not None and loc else None
    return field is not None and dict in {field.annotation, getattr(field.annotation, "__origin__", None)}


def _keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All keys of a model, with the sections that they are in."""
    for name in model.model_fields:
        section = _section(model, (name,))
        if section is None:
            yield (*above, name)
        else:
            yield from _keys(section, (*above, name))


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
