"""Every command that the documentation prints works as typed: it is run here, or read by the parser that will read it.

What cannot be run in a test says why beside it, in words that a reader needs as well: minutes, a GBIF account, a GPU.
"""

import argparse
import contextlib
import io
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import bench.__main__
import pipeline.commands.cli
from docs.reference import HANDED_OVER
from pipeline.commands.cli import OWN
from pipeline.commands.selection import assets_of
from pipeline.config.problems import refuse_unknown_variables
from pipeline.config.settings import Settings
from pipeline.errors import ConfigurationError
from tests.docs.own_tests import RUN
from tests.docs.printed import PAGES, ROOT, Command, blocks, commands, inline, is_script, prose, text_of

LANGUAGES = {
    "sh", "text", "sql", "python", "r", "yaml", "json", "csv", "ini", "dockerfile", "url", "bibtex"
}  # fmt: skip
ACTIVATED = "source .venv/bin/activate"
PLACEHOLDERS = {"PHOTO.jpg", "my-photograph.jpg", "photo.jpg", "my-folder", "another-beetle.jpg"}
REASONS = {
    "minutes": 17, "hours": 7, "days": 4, "a run": 25, "the internet": 10, "a GBIF account": 6, "GPU": 5, "root": 3,
    "not run here": 3, "Ctrl-C": 8, "look": 2, "of your own": 2, "while": 2, "the line above": 1, "the service": 1,
    "the server": 1,
}  # fmt: skip
"""Why a command is not run here, as the page says it, and how many may say so at most."""
CHEAP = {"cd", "ls", "export", "source", "cp", "mkdir"}
"""Need no reason: they fetch, compute and delete nothing."""
KNOWN = CHEAP | {
    "naturewatch", "make", "git", "python3", ".venv/bin/python", ".venv-hooks/bin/python", ".venv-hooks/bin/pre-commit",
    "find", "sudo", "journalctl", "ssh", "docker", "mlflow", "curl", "printf", "/usr/bin/time",
}  # fmt: skip
HARMLESS = ("--version", "--help")
TARGET = re.compile(r"\bmake ([a-z]+)\b(?: PART=(\w+))?")
KEY = re.compile(
    r"^((?:source|photos|taxonomy|split|training|specificity|registry|refresh|exam|gate|retention|labels|alerts)"
    r"\.(?!parquet|csv|json)[a-z_.]+?)(?:: .*)?$"
)
"""A key of the configuration, with or without a value; tables and documents have such names too."""
MACHINE = re.compile(r"\.\./shared|/(?:work|home|root|Users)/\w|/tmp/\w")


def parsed(parser: argparse.ArgumentParser, arguments: list[str], *, of: object) -> argparse.Namespace:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return parser.parse_args(arguments)
    except SystemExit:
        pytest.fail(f"{of}: {complaint.getvalue()}")


def read_naturewatch(arguments: list[str], *, of: object) -> argparse.Namespace:
    """The arguments as the command reads them; those that it fills in by itself are filled in."""
    name = arguments[0]
    if name not in HANDED_OVER:
        return parsed(pipeline.commands.cli.build_parser(), arguments, of=of)
    rest = arguments[1:]
    if name in {"identify", "export"}:
        configured = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        configured.add_argument("--config")
        rest = ["--tracking-uri", "sqlite:///mlflow.db", *configured.parse_known_args(rest)[1]]
    return parsed(HANDED_OVER[name](), rest, of=of)


def scope_files(page: str) -> set[str]:
    """Files that a reader has by the time: those of the checkout, and those that the page has told to save."""
    told = re.findall(r"[Ss]ave this\s+as\s+`([^`]+)`", text_of(page))
    return (
        {path.relative_to(ROOT).as_posix() for path in (ROOT / "conf").glob("*.yaml")}
        | set(told)
        | ({"beetles.yaml"} if "(tutorial.md#10-your-own-photographs)" in text_of(page) else set())
    )


def in_words(command: Command) -> list[str]:
    return [reason for reason in REASONS if reason in command.remark]


@pytest.mark.parametrize("page", PAGES)
def test_blocks_of_code_say_their_language(page: str) -> None:
    assert {str(block): block.language for block in blocks(page=page) if block.language not in LANGUAGES} == {}
    indented = re.findall(r"(?<=\n\n)    (?! |- )\S.*", prose(page))
    assert indented == [], "a block without a fence is neither run nor read here"


def test_shell_is_shell() -> None:
    for block in blocks("sh"):
        answer = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, f"{block}: {answer.stderr}"


def test_programs_are_known() -> None:
    assert [str(command) for command in commands() if command.words and command.words[0] not in KNOWN] == []


def test_what_cannot_be_run_here_says_why_and_is_counted() -> None:
    unsaid, counted = [], Counter[str]()
    for command in commands():
        if not command.words or command.words[0] in CHEAP or command.words[-1] in HARMLESS or command.block.page in RUN:
            continue
        if command.words[:2] == (".venv/bin/python", "-c") or command.words[:3] == ("python3", "-m", "venv"):
            continue
        reasons = in_words(command)
        counted.update(reasons)
        if not reasons:
            unsaid.append(str(command))
    assert unsaid == []
    assert {reason: number for reason, number in counted.items() if number > REASONS[reason]} == {}


def test_naturewatch_reads_its_arguments() -> None:
    read = 0
    for command in commands():
        if "naturewatch" in command.words and command.words[0] in {"naturewatch", "/usr/bin/time"}:
            options = read_naturewatch(list(command.words[command.words.index("naturewatch") + 1 :]), of=command)
            read += 1
            file = getattr(options, "config", None)
            assert file is None or str(file) in scope_files(command.block.page), f"{command}: no such file"
    assert read > 20


def test_selections_select_assets() -> None:
    from pipeline.definitions import defs  # noqa: PLC0415 (it takes seconds)

    graph = defs.resolve_asset_graph()
    selections = {
        word for command in commands() for option, word in zip(command.words, command.words[1:], strict=False)
        if option == "--select"
    }  # fmt: skip
    assert len(selections) >= 3
    for selection in selections:
        assert assets_of(selection, graph=graph)


def test_variables_are_ours_or_known(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"GBIF_USER", "GBIF_PASSWORD", "GBIF_EMAIL", "NATUREWATCH_CONFIG", "MLFLOW_TRACKING_URI"}
    for command in commands():
        for variable in command.variables:
            name, _, value = variable.partition("=")
            if name == "NATUREWATCH_CONFIG":
                assert value in scope_files(command.block.page), f"{command.block}: {value}"
            if name.startswith("NATUREWATCH__"):
                monkeypatch.setenv(name, value)
            else:
                assert name in known, f"{command.block}: {name}"
    refuse_unknown_variables(Settings)
    monkeypatch.setenv("NATUREWATCH__SOURCE__FOLDR", "x")
    with pytest.raises(ConfigurationError):
        refuse_unknown_variables(Settings)


def test_make_has_what_is_asked_of_it() -> None:
    asked = {tuple(command.words[1:]) for command in commands() if command.words[:1] == ("make",)}
    for page in PAGES:
        for code in inline(page):
            if found := TARGET.match(code):
                asked.add((found.group(1), *([f"PART={found.group(2)}"] if found.group(2) else [])))
    for target, *options in sorted(asked):
        answer = subprocess.run(
            ["make", "--dry-run", "--assume-old=.venv/ready", target, *options],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert answer.returncode == 0, f"make {target}: {answer.stderr}"
        for option in options:
            assert option == "TORCH=cpu" or option.removeprefix("PART=") in bench.__main__.PARTS, option
    assert {target for target, *_ in asked} >= {"demo", "env", "test", "bench"}


def test_python_finds_its_modules_and_files() -> None:
    for command in commands():
        if not command.words or command.words[0] != ".venv/bin/python":
            continue
        match command.words[1:]:
            case ("-c", code):
                ran = subprocess.run(
                    [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
                )
                assert ran.returncode == 0, f"{command}: {ran.stderr}"
                assert ran.stdout
            case ("-m", module, *_):
                assert module == "pip" or (ROOT / f"{module.replace('.', '/')}.py").is_file(), command
            case (file, *_):
                assert (ROOT / file).is_file(), command


@pytest.mark.parametrize("page", PAGES)
def test_what_the_text_names_exists(page: str) -> None:
    fields = Settings.model_fields
    for code in inline(page):
        if found := KEY.match(code):
            section, *keys = found.group(1).split(".")
            model = fields[section].annotation
            for key in keys:
                assert model is not None, code
                assert key in model.model_fields, f"{page}: {code}"
                model = model.model_fields[key].annotation
        words = code.split()
        if words[0] == "naturewatch" and len(words) > 1 and words[1].islower():
            assert words[1] in {"run", "refresh", "ui", *OWN, *HANDED_OVER}, f"{page}: {code}"
        if words[0] == "python" and len(words) > 1:
            assert words[1:3] in (["answer.py", "PHOTO..."], ["-m", "ml"]), f"{page}: {code}: say .venv/bin/python"
        for file in re.findall(r"(?:^| )((?:tests|docs|conf|bench|sql|demo)/[\w/.{},-]+)", code):
            for each in _expanded(file):
                assert (ROOT / each).exists() or each in scope_files(page) or "NNNN" in each, f"{page}: {each}"


def _expanded(pattern: str) -> list[str]:
    """A path with one list in braces, as the shell reads it."""
    found = re.match(r"(.*)\{(.*)\}(.*)", pattern)
    return [f"{found[1]}{word}{found[3]}" for word in found[2].split(",")] if found else [pattern]


@pytest.mark.parametrize("page", PAGES)
def test_a_command_can_be_found(page: str) -> None:
    typed = [match.start() for match in re.finditer(r"^naturewatch |[^/]naturewatch run", text_of(page), re.MULTILINE)]
    bare = [command for command in commands() if command.block.page == page and command.words[:1] == ("naturewatch",)]
    if bare and typed:
        assert ACTIVATED in text_of(page), f"{page} types naturewatch, which is in .venv/bin"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_knows_a_machine(page: str) -> None:
    assert [line for line in text_of(page).splitlines() if MACHINE.search(line)] == []


def test_a_backup_while_something_runs_is_whole(tmp_path: Path) -> None:
    (script,) = (block for block in blocks("sh") if is_script(block))
    scope = tmp_path / "data" / "sample"
    for folder in ("tables", "work", "features", "dagster/history"):
        (scope / folder).mkdir(parents=True)
    (scope / "tables" / "species.parquet").write_bytes(b"a table")
    (scope / "work" / "half").write_bytes(b"half of something")
    make = "create table runs (name text); insert into runs values ('kept');"
    databases = ("mlflow.db", "dagster/history/runs.db")
    if shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not installed")
    for name in databases:
        subprocess.run(["sqlite3", str(scope / name), make], check=True)
    subprocess.run(["bash", "-euo", "pipefail", "-c", script.text], cwd=tmp_path, check=True)
    copy = tmp_path / "backup" / "sample"
    assert (copy / "tables" / "species.parquet").read_bytes() == b"a table"
    assert not (copy / "work").exists()
    for name in databases:
        answer = subprocess.run(["sqlite3", str(copy / name), "select name from runs"], capture_output=True, check=True)
        assert answer.stdout == b"kept\n"
