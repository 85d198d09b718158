"""Which licences photographs may have, by source; and who is told to name an address."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.config.licence_names import LICENCES, OPEN
from pipeline.config.settings import Settings, load_settings

GBIFS = [
    {"mode": "search"},
    {"mode": "download"},
    {"mode": "archive", "archive": "nz.zip"},
    {"mode": "replica"},
    {"mode": "replica", "replica": {"release": 2}},
]
ONES_OWN = [{"mode": "folder", "folder": "mine.csv"}, {"mode": "replica", "replica": {"photos": "mine.csv"}}]


@pytest.mark.parametrize(
    ("source", "default"), [*((each, OPEN) for each in GBIFS), *((each, LICENCES) for each in ONES_OWN)]
)
def test_photographs_from_gbif_must_be_open_and_ones_own_need_not_unless_it_is_said(
    make_settings: Callable[..., Settings], source: dict[str, Any], default: tuple[str, ...]
) -> None:
    assert make_settings(source=source).allowed_licences == tuple(each for each in LICENCES if each in default)
    for words, allowed in {
        ("all",): LICENCES,
        ("OPEN",): OPEN,
        ("open", "Unknown"): (*OPEN, "unknown"),
        ("pdm", "cc-by", "CC-BY"): ("CC-BY", "PDM"),
    }.items():
        chosen = make_settings(source=source, photos={"licences": words}).allowed_licences
        assert chosen == tuple(each for each in LICENCES if each in allowed), words


def test_the_environment_widens_the_licences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATUREWATCH__PHOTOS__LICENCES", '["all"]')
    assert load_settings().allowed_licences == LICENCES


@pytest.mark.parametrize("source", GBIFS)
def test_who_asks_gbif_without_an_address_of_their_own_is_told_so(
    make_settings: Callable[..., Settings], source: dict[str, Any]
) -> None:
    advice = make_settings(source=source).contact_advice
    assert (advice is None) == (source["mode"] == "replica")
    assert advice is None or ("photos.contact" in advice and "\n" not in advice)
    assert make_settings(source=source, photos={"contact": "mailto:me@example.org"}).contact_advice is None
