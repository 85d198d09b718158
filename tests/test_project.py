"""The habits of the project that no other tool checks: names, sizes, words, and documentation that points somewhere."""

import ast
import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "ml", "sql", "demo", "bench")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench" / "results").glob("*.md")],
)
SETTINGS = [
    *(
        ROOT / name
        for name in ("Makefile", "pyproject.toml", "workspace.yaml", "CITATION.cff", ".pre-commit-config.yaml")
    ),
    *sorted((ROOT / "conf").glob("*.yaml")),
    *sorted((ROOT / "dagster_home").glob("*.yaml")),
    *sorted((ROOT / ".github").rglob("*.yml")),
]
QUERIES = sorted((ROOT / "sql").rglob("*.sql"))
MOST_LINES = 400
"""Of a module: what is longer has more than one subject."""
FIRST_LINE = 120
"""Characters of the first line of a module's docstring, which lists of modules show."""
PRIVATE = {"road": "pipeline", "room": "package", "bury": "free (a slot of a pool)"}
"""Words of a private language, each with the field's own. There may be room on a disk, but code has no rooms."""
PRIVATE_WORDS = re.compile(
    r"(?<![a-z])(?:roads?|rooms|(?:the|this|each) room|bury|bur(?:ies|ied))(?![a-z])|(?:'s|s') room(?![a-z])",
    re.IGNORECASE,
)
LEANING = re.compile(r"Likewise|[Ss]ee above")
"""What makes a docstring lean on another."""
DOTTED = re.compile(r"`((?:pipeline|ml|demo|bench|tests)(?:\.\w+)+)(?:\(.*?\))?`")
FILE = re.compile(r"`((?:pipeline|ml|sql|demo|bench|tests|conf|\.github)/[\w./-]+\.\w+)`")
RECORD = re.compile(r"docs/adr/\d{4}-[\w-]+\.md")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def names_in(path: Path) -> frozenset[str]:
    """What a module defines or imports at its top level."""
    names: set[str] = set()
    for node in ast.parse(text_of(path)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(leaf.id for target in targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name))
    return frozenset(names)


def exists(dotted: str) -> bool:
    """Whether a dotted name is a package, a module, or the name of something in a module."""
    folder, parts = ROOT, dotted.split(".")
    while parts and (folder / parts[0]).is_dir():
        folder, parts = folder / parts[0], parts[1:]
    if parts and (folder / f"{parts[0]}.py").is_file():
        return len(parts) == 1 or parts[1] in names_in(folder / f"{parts[0]}.py")
    return not parts or ((folder / "__init__.py").is_file() and parts[0] in names_in(folder / "__init__.py"))


@pytest.mark.parametrize("package", ["pipeline", "ml"])
def test_a_module_s_name_is_its_own(package: str) -> None:
    counted = Counter(path.stem for path in (ROOT / package).rglob("*.py") if path.stem != "__init__")
    assert {name for name, count in counted.items() if count > 1} == set()


def test_a_module_is_short() -> None:
    long = {named(path): lines for path in MODULES if (lines := len(text_of(path).splitlines())) > MOST_LINES}
    assert long == {}


def test_a_module_says_what_belongs_there() -> None:
    # Text, not syntax: parsing every module takes seconds.
    said = {named(path): re.match(r'r?"""(.+?)(?:"""|\n)', text_of(path)) for path in [*MODULES, *TESTS]}
    assert [name for name, line in said.items() if line is None or len(line.group(1)) > FIRST_LINE] == []


def test_a_package_is_a_package() -> None:
    folders = {path.parent for path in MODULES}
    assert [named(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{named(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        if path != Path(__file__) and pattern.search(line)
    ]


def test_words_are_the_field_s() -> None:
    found = lines_with(PRIVATE_WORDS, [*MODULES, *TESTS, *QUERIES, *DOCUMENTS, *SETTINGS])
    assert found == [], f"say {', '.join(f'{better} for {word}' for word, better in PRIVATE.items())}"


def test_a_docstring_stands_alone() -> None:
    assert lines_with(LEANING, MODULES) == [], "say it again: a reader sees one docstring at a time"


def headings(path: Path) -> set[str]:
    """The anchors that a Markdown file's headings get: lower case, blanks as hyphens, no punctuation."""
    found = re.findall(r"^#+ (.+)$", text_of(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_links_lead_somewhere() -> None:
    broken = []
    for path in DOCUMENTS:
        for target in LINK.findall(text_of(path)):
            if target.startswith(("http://", "https://", "mailto:")):
                continue
            place, _, anchor = target.partition("#")
            linked = (path.parent / place).resolve() if place else path
            if not linked.exists() or (anchor and anchor not in headings(linked)):
                broken.append(f"{named(path)}: {target}")
    assert broken == []


def test_what_is_named_exists() -> None:
    missing = []
    for path in [*MODULES, *TESTS, *QUERIES, *DOCUMENTS]:
        if path.name == "CHANGELOG.md" or path.parent.name == "adr":
            continue  # They tell of their own time.
        text = text_of(path)
        missing += [f"{named(path)}: {name}" for name in DOTTED.findall(text) if not exists(name)]
        missing += [f"{named(path)}: {name}" for name in FILE.findall(text) if not (ROOT / name).exists()]
        missing += [f"{named(path)}: {name}" for name in RECORD.findall(text) if not (ROOT / name).exists()]
    assert missing == []


@pytest.mark.parametrize("package", ["pipeline", "ml"])
def test_the_architecture_names_every_package(package: str) -> None:
    text = text_of(ROOT / "docs" / "architecture.md")
    parts = {
        path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert {part for part in parts - {"__init__", "__main__"} if f"`{part}`" not in text} == set()


def test_a_decision_record_has_a_number_of_its_own() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [int(path.name[:4]) for path in records]
    assert len(set(numbers)) == len(records)
    for number, path in zip(numbers, records, strict=True):
        assert text_of(path).startswith(f"# {number}. ")


def test_hooks_run_what_make_runs() -> None:
    makefile = text_of(ROOT / "Makefile")
    made = [
        line.strip().replace("$(BIN)", ".venv/bin")
        for target in ("lint", "types")
        for line in re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)[0].splitlines()
    ]
    (repository,) = yaml.safe_load(text_of(ROOT / ".pre-commit-config.yaml"))["repos"]
    assert sorted(hook["entry"].removeprefix("env ") for hook in repository["hooks"]) == sorted(made)


def test_a_citation_names_this_version() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    citation = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
