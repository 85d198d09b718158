"""Writes the reference parts of `configuration.md` and `commands.md` from the settings model and the argument parsers.

`make reference` runs it after a key, an option or its description has changed. What people wrote around the generated
part of a page, between its two marks, stays as it is.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import demo.__main__
import ml.classifiers.cli
import ml.classifiers.place_prior_cli
import ml.identify.command
import ml.serving.export
import pipeline.commands.cli
from pipeline.config.settings import Settings

DOCS: Final = Path(__file__).parent
BEGIN, END = "<!-- begin of what docs/reference.py writes -->", "<!-- end of what docs/reference.py writes -->"

HANDED_OVER: Final[dict[str, Callable[[], argparse.ArgumentParser]]] = {
    "identify": ml.identify.command.build_parser,
    "export": ml.serving.export.build_parser,
    "specificity": ml.classifiers.cli.build_parser,
    "place-prior": ml.classifiers.place_prior_cli.build_parser,
    "replica": demo.__main__.build_parser,
}
"""Commands of `naturewatch` with a parser in another package."""


def configuration() -> str:
    """Every key of the configuration: a table per section, with values, default and meaning."""
    schema = Settings.model_json_schema()
    plain = {name: facts for name, facts in schema["properties"].items() if "$ref" not in facts}
    parts = [_keys(plain, above="", schema=schema)]
    for name, facts in schema["properties"].items():
        if name not in plain:
            section = _resolved(facts, schema)
            keys = _keys(section["properties"], above=f"{name}.", schema=schema)
            parts += [f"### `{name}`", _line(section["description"]), keys]
    return "\n\n".join(parts)


def commands() -> str:
    """Every command with its arguments."""
    parts = []
    for name, parser, purpose in _commands(pipeline.commands.cli.build_parser()):
        parts.append(f"### `naturewatch {name}`")
        parts.append(_sentence(parser.description or purpose))
        rows = [(_called(action), _meant(action)) for action in parser._actions if action.dest != "help"]
        parts.append(_table(("argument", "meaning"), rows))
        if parser.epilog:
            parts.append(f"```text\n{parser.epilog}\n```")
    return "\n\n".join(parts)


PAGES: Final[dict[str, Callable[[], str]]] = {"configuration.md": configuration, "commands.md": commands}


def page(name: str) -> str:
    """A page as it should be: the present one with its generated part written anew.

    Raises:
        ValueError: the page has not exactly one generated part.
    """
    before, begin, rest = (DOCS / name).read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after:
        raise ValueError(f"docs/{name} needs one part between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{PAGES[name]()}\n\n{END}{after}"


def main() -> int:
    """Write the pages; returns the exit status."""
    for name in PAGES:
        (DOCS / name).write_text(page(name), encoding="utf-8")
    return 0


def _keys(properties: Mapping[str, Any], *, above: str, schema: Mapping[str, Any]) -> str:
    return _table(("key", "values", "default", "meaning"), _rows(properties, above=above, schema=schema))


def _rows(properties: Mapping[str, Any], *, above: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, facts in properties.items():
        if "$ref" in facts:
            inner = _resolved(facts, schema)["properties"]
            yield from _rows(inner, above=f"{above}{name}.", schema=schema)
        else:
            default = _default(facts["default"]) if "default" in facts else "required"
            yield f"`{above}{name}`", _values(facts), default, _line(facts["description"])


def _resolved(facts: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 (JSON)
    return schema["$defs"][facts["$ref"].rpartition("/")[2]]


def _values(facts: Mapping[str, Any]) -> str:
    """What a key may hold, in words, from its JSON schema."""
    if "anyOf" in facts:
        return " or ".join(_values(each) for each in facts["anyOf"] if each != {"type": "null"})
    if "enum" in facts:
        return ", ".join(f"`{value}`" for value in facts["enum"])
    if "prefixItems" in facts:
        return f"[{', '.join(_values(each) for each in facts['prefixItems'])}]"
    kind = facts["type"]
    if kind == "array":
        each = _values(facts["items"])
        return f"any of {each}" if "enum" in facts["items"] else f"[{each}, ...]"
    names = {"boolean": "`true`, `false`", "integer": "whole number", "number": "number", "object": "section"}
    text = facts.get("format", "text").replace("uri", "address")
    bounds = {"minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "exclusiveMaximum": "below {}"}
    limits = " ".join(words.format(f"{facts[bound]:,}") for bound, words in bounds.items() if bound in facts)
    return f"{names.get(kind, text)} {limits}".strip()


def _default(value: object) -> str:
    if value in (None, [], {}):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    """Each command of `naturewatch`: its name, its parser and what the list of commands says of it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for listed in action._choices_actions:
                name = listed.dest
                own = HANDED_OVER[name]() if name in pipeline.commands.cli.HANDED_OVER else action.choices[name]
                yield name, own, listed.help or ""


def _called(action: argparse.Action) -> str:
    """How an argument is written: `--top TOP`."""
    metavar = action.metavar or (f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest.upper())
    value = " ".join(metavar) if isinstance(metavar, tuple) else metavar
    if not action.option_strings:
        return f"`{value}{'...' if action.nargs == '+' else ''}`"
    return ", ".join(f"`{name}{'' if action.nargs == 0 else f' {value}'}`" for name in action.option_strings)


def _meant(action: argparse.Action) -> str:
    text = action.help or ""
    if action.required and action.option_strings:
        return f"{text} (required)"
    return f"{text} (default {action.default})" if action.default and "default" not in text else text


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(heads)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


if __name__ == "__main__":
    sys.exit(main())
