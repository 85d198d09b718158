"""The licences of the configuration and the tables, in their canonical spelling. Imports nothing heavy."""

from collections.abc import Iterable, Mapping
from typing import Final

LICENCES: Final = (
    "CC0",
    "CC-BY",
    "CC-BY-NC",
    "CC-BY-SA",
    "CC-BY-ND",
    "CC-BY-NC-SA",
    "CC-BY-NC-ND",
    "PDM",
    "all rights reserved",
    "unknown",
    "other",
)
"""Licences of photographs; PDM is the Public Domain Mark, `other` any text that is none of the rest."""

OPEN: Final = ("CC0", "PDM", *(name for name in LICENCES if name.startswith("CC-BY")))
"""Licences under which anyone may copy and show a photograph that is credited: every licence of Creative Commons, and
both of its marks for the public domain. See docs/adr/0048-open-licences.md."""

SETS: Final[Mapping[str, tuple[str, ...]]] = {"open": OPEN, "all": LICENCES}
"""Words of the configuration that each stand for several licences."""

RECORD_LICENCES: Final = {"CC0": "CC0_1_0", "CC-BY": "CC_BY_4_0", "CC-BY-NC": "CC_BY_NC_4_0"}
"""Licences that a GBIF record may have, and GBIF's names for them (vocabulary License)."""


def canonical(word: str) -> str:
    """The canonical spelling of a licence, or of a word that stands for several, whatever its upper and lower case.

    Raises:
        ValueError: it is none of `LICENCES` and `SETS`.
    """
    spelling = {each.lower(): each for each in (*SETS, *LICENCES)}.get(word.strip().lower())
    if spelling is None:
        raise ValueError(f"it must be {', '.join(SETS)} or one of the licences {', '.join(LICENCES)}")
    return spelling


def licences_of(words: Iterable[str]) -> tuple[str, ...]:
    """The licences that canonical words stand for, each once, in the order of `LICENCES`."""
    named = {licence for word in words for licence in SETS.get(word, (word,))}
    return tuple(licence for licence in LICENCES if licence in named)
