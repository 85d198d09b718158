"""Common names of taxa from a table of names: one's own CSV, or the file of vernacular names of a Darwin Core archive.

The first line names the columns, with or without a prefix (`dwc:taxonID`), in any order: `taxon_key` or `taxonID`,
`scientific_name` or `scientificName`, `common_name` or `vernacularName`, and, where it has them, `language` and
`preferred` or `isPreferredName`. Others are left alone. Tabs in the first line mean a table without quotes, as GBIF and
the Catalogue of Life write theirs.

Where a taxon has several names, one that is marked as preferred comes first, then one in the language as it was asked
for before those of a region (`en` before `en-NZ`), then the one that most rows have, then the first in the file. A key
counts for more than a scientific name, and a scientific name that several taxa share names none of them.
"""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Self

from ml.ending import printable
from ml.errors import MlError
from ml.taxonomy import Taxonomy

COLUMNS: Final[Mapping[str, str]] = {
    "taxon_key": "key", "taxonkey": "key", "taxonid": "key",
    "scientific_name": "scientific", "scientificname": "scientific",
    "common_name": "common", "commonname": "common", "vernacularname": "common", "vernacular_name": "common",
    "language": "language", "preferred": "preferred", "ispreferredname": "preferred",
}  # fmt: skip
"""What a column is, by its name in lower case."""
TRUE: Final = frozenset({"1", "true", "t", "yes", "y"})
FALSE: Final = frozenset({"", "0", "false", "f", "no", "n"})
LONGEST: Final = 200
"""Characters of a name, at most."""
TOLD: Final = 5
"""How many wrong lines are told."""


class NameTableError(MlError):
    """A table of common names cannot be used."""


class _Name(NamedTuple):
    """A row of the table."""

    taxa: tuple[tuple[str, str], ...]
    """What it names: (`key`, key), (`scientific`, name), or both."""
    common: str
    preferred: bool
    exact: bool
    """Whether it is in the language itself, and not in that of a region."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CommonNames:
    """Common names by keys and by scientific names."""

    by_key: Mapping[str, str] = field(default_factory=dict)
    by_name: Mapping[str, str] = field(default_factory=dict)
    """By scientific names as `folded` writes them."""

    @classmethod
    def read(cls, path: Path, *, language: str = "en") -> Self:
        """Read a table of names.

        Args:
            path: The table, in UTF-8.
            language: Which names to take, where the table says languages: as it writes them, such as `en` or `eng`.

        Raises:
            NameTableError: it cannot be read, lacks a column, has lines that are wrong (the first are told), or no name
                in the language.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise NameTableError(f"cannot read the names {path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            line = 1 + error.object[: error.start].count(b"\n")
            raise NameTableError(f"{path}, line {line}: it is not UTF-8") from error
        found: defaultdict[tuple[str, str], dict[str, tuple[bool, bool]]] = defaultdict(dict)
        counts: Counter[tuple[tuple[str, str], str]] = Counter()
        for name in _Table(path, text, language=language).names():
            for taxon in name.taxa:
                counts[taxon, name.common] += 1
                before = found[taxon].get(name.common, (False, False))
                found[taxon][name.common] = max(before, (name.preferred, name.exact))
        chosen = {
            # Of equals, the first.
            taxon: max(names, key=lambda common: (*names[common], counts[taxon, common]))
            for taxon, names in found.items()
        }
        return cls(
            by_key={text: common for (kind, text), common in chosen.items() if kind == "key"},
            by_name={text: common for (kind, text), common in chosen.items() if kind == "scientific"},
        )

    def of(self, taxonomy: Taxonomy) -> dict[int, str]:
        """The common names of the nodes that have one, by node."""
        names = [folded(name) for name in taxonomy.name]
        shared = Counter(names)
        found = {}
        for node, (key, name) in enumerate(zip(taxonomy.taxon_key, names, strict=True)):
            common = self.by_key.get(key or "") or (self.by_name.get(name) if shared[name] == 1 else None)
            if common:
                found[node] = common
        return found


def folded(name: str) -> str:
    """A scientific name without regard to case and spaces."""
    return " ".join(name.casefold().split())


class _Table:
    """The rows of a table, checked."""

    def __init__(self, path: Path, text: str, *, language: str) -> None:
        self._path, self._language = path, _code(language)
        header = text.partition("\n")[0]
        self._plain = "\t" in header
        self._text = text
        self._languages: set[str] = set()
        self._wrong: list[str] = []

    def names(self) -> Iterator[_Name]:
        """The names in the language.

        Raises:
            NameTableError: see `CommonNames.read`.
        """
        rows = self._rows()
        number, header = next(rows, (1, []))
        columns = self._columns(header)
        some = False
        for number, row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                self._refuse(number, f"it has {len(row)} cells, but there are {len(header)} columns")
                continue
            name = self._name(number, {kind: row[position].strip() for kind, position in columns.items()})
            if name is not None:
                some = True
                yield name
        self._tell()
        if not some:
            others = ", ".join(sorted(self._languages)[:20])
            listed = f"; it has {printable(others)}" if others else ""
            raise NameTableError(f"{self._path} holds no name in the language {self._language!r}{listed}")

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        # A table without quotes has one row a line; in the other kind a quoted cell may span lines.
        stream = io.StringIO(self._text, newline="")
        options = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if self._plain else {"strict": True}
        reader = csv.reader(stream, **options)
        while True:
            number = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._refuse(number, f"it is no row of a CSV table ({error})")
                self._tell()
                return
            yield number, row

    def _columns(self, header: list[str]) -> dict[str, int]:
        columns: dict[str, int] = {}
        for position, name in enumerate(header):
            kind = COLUMNS.get(name.strip().rpartition(":")[2].casefold())
            if kind in columns:
                raise NameTableError(f"{self._path} has two columns for the same: {header[columns[kind]]} and {name}")
            if kind is not None:
                columns[kind] = position
        if "common" not in columns or not {"key", "scientific"} & columns.keys():
            raise NameTableError(
                f"{self._path} is no table of names: its first line must name a column common_name, and "
                f"scientific_name or taxon_key, or else vernacularName and taxonID"
            )
        return columns

    def _name(self, number: int, cells: Mapping[str, str]) -> _Name | None:
        language = _code(cells.get("language", ""))
        if language:
            self._languages.add(language)
            if language.partition("-")[0] != self._language and language != self._language:
                return None
        taxa = [(kind, cells[kind]) for kind in ("key", "scientific") if cells.get(kind)]
        common, preferred = cells["common"], cells.get("preferred", "").casefold()
        if not taxa:
            self._refuse(number, "it says no taxon")
        elif not common:
            self._refuse(number, "it says no name")
        elif len(common) > LONGEST or not common.isprintable():
            self._refuse(number, f"its name is no name: {printable(common[:30])!r}")
        elif preferred not in TRUE | FALSE:
            self._refuse(number, f"preferred must be true or false, not {printable(preferred[:30])!r}")
        else:
            named = tuple((kind, folded(text) if kind == "scientific" else text) for kind, text in taxa)
            return _Name(named, common, preferred in TRUE, exact=language == self._language)
        return None

    def _refuse(self, number: int, reason: str) -> None:
        self._wrong.append(f"line {number}: {reason}")

    def _tell(self) -> None:
        if self._wrong:
            more = f"; and {len(self._wrong) - TOLD:,} more" if len(self._wrong) > TOLD else ""
            raise NameTableError(f"{self._path} cannot be used: {'; '.join(self._wrong[:TOLD])}{more}")


def _code(language: str) -> str:
    """A code of a language, as `en-nz`."""
    return language.strip().replace("_", "-").casefold()
