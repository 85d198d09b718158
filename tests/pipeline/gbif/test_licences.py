"""A licence is what its whole text says: nothing of it is skipped, and nothing is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.licence_names import LICENCES
from pipeline.gbif.licences import LONGEST, canonical_licence

STATED: list[tuple[str | None, str]] = [
    ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0"),
    ("http://creativecommons.org/publicdomain/zero/1.0/legalcode", "CC0"),
    ("CC0", "CC0"),
    ("CC0 1.0", "CC0"),
    ("CC0_1_0", "CC0"),
    ("no rights reserved (CC0)", "CC0"),
    ("http://creativecommons.org/licenses/by/4.0/", "CC-BY"),
    ("https://creativecommons.org/licenses/by/4.0/legalcode", "CC-BY"),
    ("CC_BY_4_0", "CC-BY"),
    ("CC BY", "CC-BY"),
    ("http://creativecommons.org/licenses/by-nc/4.0/", "CC-BY-NC"),
    ("CC_BY_NC_4_0", "CC-BY-NC"),
    ("(c) Jane, some rights reserved (CC BY-NC)", "CC-BY-NC"),
    ("http://creativecommons.org/licenses/by-sa/4.0/", "CC-BY-SA"),
    ("CC-BY-ND", "CC-BY-ND"),
    ("http://creativecommons.org/licenses/by-nc-sa/3.0/nz/", "CC-BY-NC-SA"),
    ("HTTP://CREATIVECOMMONS.ORG/LICENSES/BY-NC-ND/4.0/", "CC-BY-NC-ND"),
    ("https://creativecommons.org/licenses/by-nd-nc/1.0/", "CC-BY-NC-ND"),
    ("http://creativecommons.org/publicdomain/mark/1.0/", "PDM"),
    ("All rights reserved", "all rights reserved"),
    ("ALL_RIGHTS_RESERVED", "all rights reserved"),
    ("", "unknown"),
    ("   ", "unknown"),
    (None, "unknown"),
    ("© The Board of Trustees of the Royal Botanic Gardens, Kew.", "other"),
    ("Photograph by Jane", "other"),
    ("https://creativecommons.org/licenses/by-nc/3.0/nz", "CC-BY-NC"),
    ("https://creativecommons.org/licenses/by-nc/4.0/deed.en", "CC-BY-NC"),
    ("http://www.creativecommons.org/licenses/by-sa/2.5/ch/", "CC-BY-SA"),
    ("http://creativecommons.org/licenses/by", "CC-BY"),
    ("Attribution-NonCommercial-ShareAlike 4.0 International (CC BY-NC-SA 4.0)", "CC-BY-NC-SA"),
    ("Attribution-NoDerivatives 4.0 International", "CC-BY-ND"),
    ("Creative Commons Attribution License", "CC-BY"),
    ("Creative Commons Attribution, Non-Commercial", "CC-BY-NC"),
    ("Creative Commons Attribution Non Commercial No Derivatives 3.0 Unported", "CC-BY-NC-ND"),
    ("Creative Commons Zero v1.0 Universal", "CC0"),
    ("Public Domain", "PDM"),
    ("cc-by-nc", "CC-BY-NC"),
    ("© All rights reserved", "all rights reserved"),
    ("(c) Jane Doe, all rights reserved", "all rights reserved"),
    ("unspecified", "unknown"),
    ("UNSPECIFIED", "unknown"),
    ("UNSUPPORTED", "other"),
    ("??", "unknown"),
    ("版权所有", "other"),
    ("Attribution: Jane Doe", "other"),
    ("cc by-something-else", "other"),
    ("soccer by night", "other"),
    ("https://creativecommons.org/licenses/by/4.0/?ref=chooser-v1", "CC-BY"),
    ("This work is licensed under a Creative Commons Attribution 4.0 International License.", "CC-BY"),
    ("CC BY 4.0 (http://creativecommons.org/licenses/by/4.0/)", "CC-BY"),
    ("CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "CC0"),
    ("License: CC BY-SA 3.0 NZ", "CC-BY-SA"),
    ("CC BY - NC 4.0", "CC-BY-NC"),
]


@pytest.mark.parametrize(("text", "licence"), STATED)
def test_a_licence_is_read_however_it_is_written(text: str | None, licence: str) -> None:
    assert canonical_licence(text) == licence


DASHES = "-\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u058a"
BLANKS = " \t\n_\u00a0\u2007\u2009\u202f\u3000\u200b\ufeff"


@pytest.mark.parametrize("gap", [*DASHES, *BLANKS, " \u2013 ", " / "])
@pytest.mark.parametrize(("limits", "licence"), [("NC", "CC-BY-NC"), ("NC{}ND", "CC-BY-NC-ND"), ("SA", "CC-BY-SA")])
def test_dashes_and_blanks_of_every_shape_part_words(gap: str, limits: str, licence: str) -> None:
    assert canonical_licence(f"CC{gap}BY{gap}{limits.format(gap)} 4.0") == licence


def test_letters_of_full_width_are_letters() -> None:
    assert canonical_licence("\uff23\uff23 \uff22\uff39\uff0d\uff2e\uff23") == "CC-BY-NC"


@pytest.mark.parametrize(
    "text",
    [
        "CC BY-NC 4.0 \u2013 see terms",
        "http://creativecommons.org/licenses/by/4.0/ (but not for AI)",
        "http://creativecommons.org/licenses/by/4.0/nc/",
        "http://creativecommons.org/licenses/nc/1.0/",
        "http://example.org/creativecommons.org/licenses/by/4.0/",
        "http://creativecommons.org/licenses/by/4.0/#not-really",
        "CC BY 4.0 NC",
        "CC BY 4.0, not commercial",
        "CC BY?",
        "CC BY*",
        "CC BY ND SA",
        "CC BY or CC BY-NC",
        "CC BY 4.0, http://creativecommons.org/licenses/by-nc/4.0/",
        "CC BY 4.0, all rights reserved",
        "CC BY, no rights reserved",
        "CC BY-N\u00adC",
        "\u0421\u0421 BY",
        "CC BY 4.0 pas d'utilisation commerciale",
        "Namensnennung \u2013 Nicht kommerziell 4.0 International",
        "CC BY 4.0 \u975e\u55b6\u5229",
        "(c) Jane, not for commercial use, some rights reserved (CC BY)",
        "(c) Jane NC, some rights reserved (CC BY)",
        "CC0 except for AI",
        "public domain in the US only",
        "CC BY 4.0" + " and so on" * LONGEST,
    ],
)
def test_what_is_not_understood_to_its_end_is_other(text: str) -> None:
    assert canonical_licence(text) == "other"


@given(st.text(max_size=40), st.sampled_from([text for text, _ in STATED if text]))
def test_whatever_is_added_the_reading_is_never_freer(added: str, text: str) -> None:
    """More words can only take the licence away, or state the same or a stricter one."""
    free = {"CC0": 0, "PDM": 0, "CC-BY": 1, "CC-BY-SA": 2, "CC-BY-ND": 2, "CC-BY-NC": 2, "CC-BY-NC-SA": 3}
    before, after = canonical_licence(text), canonical_licence(f"{text} {added}")
    assert after in LICENCES
    assert free.get(after, 9) >= free.get(before, 9) or before == "unknown"
