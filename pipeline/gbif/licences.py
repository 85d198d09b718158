"""Reads what publishers write about a licence. A text that is not fully understood is `other`, never a guess.

All licences are read here: those of records and of photographs, from archives and from answers of the API.
"""

import re
import unicodedata
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.archive.batches import batches
from pipeline.query import to_parquet

READINGS: Final = pa.schema([("text", pa.string()), ("licence", pa.string())])
"""One row per distinct text: the text as received, and the canonical licence."""

_GAP: Final = r"[ ,./:-]*"
"""What may separate two words: "CC BY-NC 4.0", "CC_BY_NC_4_0" and "cc-by-nc/4.0" are the same."""
_BREAK: Final = re.compile(r"(?:(?!\(c\))[ ,./:()\[\]-])*")
"""What may separate two statements."""
LONGEST: Final = 1_000
"""Characters; a longer text is not read."""


def _words(text: str) -> str:
    """A pattern of words with gaps between them."""
    return text.replace(" ", _GAP)


_VERSION: Final = r"(?:v(?:ersion)? ?)?[1-4](?:[ .-]{1,2}[0-9])?(?![0-9])"
_PLACE: Final = _words(
    "(?:international|unported|universal|generic|igo|"
    "nz|new zealand|au|australia|us|united states|uk|united kingdom|ca|canada|de|germany|fr|es|nl|br|ch|jp|za|se|dk)"
    "(?![a-z])"
)
_TAIL: Final = (
    rf"(?:{_GAP}(?:public{_GAP})?licen[cs]e)?(?:{_GAP}{_VERSION})?(?:{_GAP}{_PLACE})?"
    rf"(?:{_GAP}(?:public{_GAP})?licen[cs]e)?"
)
_CREATIVE_COMMONS: Final = _words("(?:cc|creative commons) ")
_PARTS: Final = {
    "nc": _words("(?:nc|non commercial)(?![a-z])"),
    "sa": _words("(?:sa|share alike)(?![a-z])"),
    "nd": _words("(?:nd|no deriv(?:s|atives?)?(?: works?)?)(?![a-z])"),
}
_LIMITS: Final = rf"(?:{_GAP}(?:{'|'.join(_PARTS.values())}))"
_PATH: Final = (
    r"(?:/[1-4]\.[0-9](?:/(?:(?!nc|nd|sa)[a-z]{2}|igo|scotland))?)?(?:/(?:legalcode|deed)(?:\.[a-z]{2,4}(?:-[a-z]{2,4})?)?)?"
    r"(?:\.txt)?/?(?:\?ref=[\w-]*)?(?![\w?#&=%/.-])"
)
_ADDRESS: Final = r"(?:https?://)?(?:www\.)?creativecommons\.org/"
_STATEMENTS: Final = (
    ("by", rf"{_ADDRESS}licen[cs]es/by(?P<path>(?:-(?:nc|sa|nd)){{0,2}}){_PATH}"),
    ("CC0", rf"{_ADDRESS}publicdomain/zero{_PATH}"),
    ("PDM", rf"{_ADDRESS}publicdomain/mark{_PATH}"),
    ("by", rf"{_CREATIVE_COMMONS}(?:by|attribution)(?![a-z])(?P<named>{_LIMITS}{{0,2}}){_TAIL}"),
    # Without the name of Creative Commons, only what is unmistakable: limits, or a version.
    ("by", rf"attribution(?P<worded>{_LIMITS}{{1,2}}){_TAIL}"),
    ("by", rf"attribution{_GAP}{_VERSION}(?:{_GAP}{_PLACE})?(?:{_GAP}(?:public{_GAP})?licen[cs]e)?"),
    ("CC0", rf"{_CREATIVE_COMMONS}(?:0|zero){_TAIL}" + _words("(?: public domain)?")),
    ("CC0", _words("public domain dedication")),
    ("PDM", rf"(?:{_CREATIVE_COMMONS})?" + _words("(?:pdm?|public domain(?: mark)?)(?![a-z])") + _TAIL),
)
_HOLDER: Final = r"(?:\(c\)|©|copyright)(?P<holder>[^,;:()\[\]/<>=*?!]{0,200}),? ?"
_RESERVED: Final = re.compile(rf"(?:{_HOLDER})?(?P<how>some|no|all){_GAP}rights{_GAP}reserved")
_OPENING: Final = re.compile(
    _words(r"(?:this (?:work|image|photo|photograph|picture|file|media) is )?")
    + _words(r"(?:(?:made )?available|released|published|licen[cs]ed|shared) (?:under|as) (?:(?:the|an|a) )?")
    + "|"
    + _words("(?:usage )?(?:licen[cs]e|rights) ")
)
_COMPILED: Final = tuple((kind, re.compile(pattern)) for kind, pattern in _STATEMENTS)
_LIMITING: Final = re.compile(
    r"\b(?:nc|nd|sa|non|no|not|only|commercial|deriv\w*|share|alike|except\w*|but|without|permission|ai|licen[cs]\w*|cc|by)\b"
)
"""Words that a holder's name does not contain: with one of them the text is more than a name."""


def canonical_licence(text: str | None) -> str:
    """The canonical licence that a text states.

    Args:
        text: An address, a name, an abbreviation or a sentence, as received.

    Returns:
        One of `CC0`, `CC-BY`, `CC-BY-NC`, `CC-BY-SA`, `CC-BY-ND`, `CC-BY-NC-SA`, `CC-BY-NC-ND`, `PDM`,
        `all rights reserved`; `unknown` where nothing is stated, `other` where any part is not understood, or two
        statements differ.
    """
    plain = _plain((text or "")[: LONGEST + 1])
    if not any(letter.isalnum() for letter in plain) or plain in {"unspecified", "not specified", "unknown"}:
        return "unknown"
    found, rights = _statements(plain) if len(plain) <= LONGEST else (None, set())
    if found is None:
        return "other"
    if rights == {"all"} and not found:
        return "all rights reserved"
    if len(found) != 1:
        return "other"
    (licence,) = found
    # A statement about reserved rights has to agree with the licence.
    agreeing = {"no"} if licence in {"CC0", "PDM"} else {"some"}
    return licence if rights <= agreeing else "other"


def licence_readings(table: Path, *, folder: Path, name: str) -> Path:
    """Read every distinct text of the column `licence` of a table.

    Args:
        table: A Parquet file.
        folder: The folder for the result.
        name: The first part of the file's name.

    Returns:
        A Parquet file with the columns of `READINGS`; blank licences are not in it.
    """
    texts = to_parquet("licence_texts", inputs={"licensed": table}, output=folder / f"{name}_licence_texts.parquet")
    output = folder / f"{name}_licences.parquet"
    with pq.ParquetFile(texts) as distinct, batches(output, READINGS) as readings:
        for batch in distinct.iter_batches():
            for text in batch["text"].to_pylist():
                readings.add(text, canonical_licence(text))
    return output


def _plain(text: str) -> str:
    """Lower case, with one kind of dash and one kind of blank; control characters count as blanks."""
    letters = []
    for letter in unicodedata.normalize("NFKC", text).lower():
        kind = unicodedata.category(letter)
        if kind == "Pd" or letter in "\N{MINUS SIGN}\N{SOFT HYPHEN}":
            letters.append("-")
        elif kind in {"Zs", "Zl", "Zp", "Cc", "Cf"} or letter == "_":
            letters.append(" ")
        else:
            letters.append(letter)
    return " ".join("".join(letters).split())


def _statements(text: str) -> tuple[set[str] | None, set[str]]:
    """The licences that a text states (None where it is not understood), and what it says about reserved rights."""
    found: set[str] = set()
    rights: set[str] = set()
    place = _after_break(text, 0)
    opening = _OPENING.match(text, place)
    place = place if opening is None else opening.end()
    while place < len(text):
        reserved = _RESERVED.match(text, place)
        if reserved is not None and not _LIMITING.search(reserved["holder"] or ""):
            rights.add(reserved["how"])
            place = reserved.end()
        else:
            stated = _stated(text, place)
            if stated is None:
                return None, rights
            licence, place = stated
            found.add(licence)
        place = _after_break(text, place)
    return found, rights


def _after_break(text: str, place: int) -> int:
    between = _BREAK.match(text, place)
    return place if between is None else between.end()


def _stated(text: str, place: int) -> tuple[str, int] | None:
    """The licence stated at a position of a text, by the longest match, and where the statement ends."""
    longest: tuple[str, int] | None = None
    for kind, pattern in _COMPILED:
        match = pattern.match(text, place)
        if match is None or (longest is not None and match.end() <= longest[1]):
            continue
        if kind != "by":
            longest = kind, match.end()
            continue
        limits = {name for group in match.groupdict().values() if group for name in _limits(group)}
        if limits != {"sa", "nd"}:
            longest = "-".join(["CC-BY", *(name.upper() for name in ("nc", "sa", "nd") if name in limits)]), match.end()
    return longest


def _limits(text: str) -> set[str]:
    return {name for name, pattern in _PARTS.items() if re.search(rf"(?<![a-z]){pattern}", text)}
