"""What the documentation prints for others to type: blocks of code, and the commands in blocks of shell."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {"docs/configuration.md", "docs/commands.md"}
"""Written by `make reference` from the code; `tests/docs/test_reference.py` holds them against it."""
REPEATED = {"docs/experiments.md"}
"""Says how numbers were measured at a commit of its own, with photographs that are not in the repository."""
PAGES = tuple(
    name
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    if (name := path.relative_to(ROOT).as_posix()) not in GENERATED | REPEATED
)
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", flags=re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=")


@dataclass(frozen=True)
class Block:
    """A fenced block of code on a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a block of shell."""

    block: Block
    words: tuple[str, ...]
    """Program and arguments, without the variables that are set for it."""
    variables: tuple[str, ...]
    """`NAME=value` before the program, or after `export`."""
    remark: str
    """What stands behind `#` on its lines."""

    def __str__(self) -> str:
        return f"{self.block}: {shlex.join(self.words)}"


@cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(*languages: str, page: str | None = None) -> list[Block]:
    """The fenced blocks in these languages, of one page or of all."""
    return [
        Block(name, text_of(name).count("\n", 0, found.start()) + 1, found.group(2), found.group(3))
        for name in PAGES
        if page in {None, name}
        for found in FENCE.finditer(text_of(name))
        if not languages or found.group(2) in languages
    ]


def is_script(block: Block) -> bool:
    """Whether the lines of a block belong together."""
    return re.search(r"^done$", block.text, flags=re.MULTILINE) is not None


def commands() -> list[Command]:
    """Every command of every block of shell, but for scripts."""
    return [command for block in blocks("sh") if not is_script(block) for command in _commands(block)]


def _commands(block: Block) -> Iterator[Command]:
    for line in re.sub(r"\\\n", " ", block.text).splitlines():
        said, _, remark = line.partition(" #")
        words = shlex.split(said)
        if not words:
            continue
        if words[0] == "export":
            yield Command(block, ("export",), tuple(words[1:]), remark.strip())
            continue
        first = next((place for place, word in enumerate(words) if not ASSIGNMENT.match(word)), len(words))
        yield Command(block, tuple(words[first:]), tuple(words[:first]), remark.strip())


def prose(page: str) -> str:
    """A page without its blocks."""
    return FENCE.sub("", text_of(page))


def inline(page: str) -> list[str]:
    """What stands between backticks in the prose of a page."""
    return INLINE.findall(prose(page))
