"""Reads a YAML file as a mapping, whatever its keys, and says what is wrong with it.

Every value is read as text, like one from the environment, and its section decides what it means: `NO` is a country,
`0123` and `1e5` are keys. Only an empty value, `null` and `~` are none.
"""

import codecs
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.errors import ConfigurationError

_NULL: Final = "tag:yaml.org,2002:null"
_MERGE: Final = "tag:yaml.org,2002:merge"
"""The only plain words with a meaning: those for nothing, and `<<`, which inserts the keys of another mapping."""
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping of a YAML or JSON file, its values as text.

    Raises:
        ConfigurationError: the file is missing, is not text, not YAML or not a mapping, or has a key twice.
    """
    if path.is_dir():
        raise ConfigurationError(f"cannot read {path}: it is a folder, not a YAML file")
    try:
        text = _decoded(path.read_bytes())
        values: object = yaml.load(text, Loader=_Reader)  # noqa: S506 (a SafeLoader)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise ConfigurationError(f"cannot read {path}: {error}; save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        # Without the line itself, which may hold a secret.
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        problem = ", ".join(filter(None, (error.context, error.problem)))
        raise ConfigurationError(f"cannot read {path}: {where}{problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"cannot read {path}: it is no YAML: {str(error).splitlines()[0]}") from error
    if values is None:
        raise ConfigurationError(f"{path} is empty; it must hold a mapping of sections")
    if not isinstance(values, dict):
        kind = "a list" if isinstance(values, list) else "a text"
        raise ConfigurationError(f"{path} must hold a mapping of sections, not {kind}")
    return values


def _decoded(content: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its byte-order mark.

    Raises:
        UnicodeError: it is in another encoding, or no text.
    """
    try:
        text = content.decode("utf-16" if content.startswith(_WIDE) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnicodeError(f"line {line} is not UTF-8 (byte 0x{content[error.start]:02x})") from error
    if "\0" in text:
        raise UnicodeError("it is no text, or UTF-16 without its byte-order mark")
    return text


class _Reader(yaml.SafeLoader):
    """A YAML loader that leaves plain words as text and refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 (PyYAML's)
        """Like PyYAML's method, which lets the last of two equal keys win, but refuse the second."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag == _NULL:
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key.start_mark)
            if key.value in lines and key.tag != _MERGE:
                problem = f"the key {key.value} is there already, in line {lines[key.value]}"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            lines[key.value] = line
        return super().construct_mapping(node, deep=deep)


_Reader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in {_NULL, _MERGE}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
