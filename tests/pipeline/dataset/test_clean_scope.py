"""What GBIF would be asked for is held against whatever came."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.config.settings import COL_XR_CHECKLIST, INATURALIST_DATASET, Settings
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.errors import ConfigurationError
from tests.pipeline import tiny
from tests.pipeline.tiny import Row, read, write

Make = Callable[..., Settings]
BACKBONE = "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"
"""The checklist of the rows."""
CHECKLIST = {"checklist_key": BACKBONE}


def occurrence(key: str, **changes: Any) -> Row:  # noqa: ANN401
    """An ordinary row of the backbone with the given changes."""
    return tiny.occurrence(key, **{**CHECKLIST, **changes})


def clean(settings: Settings, rows: list[Row]) -> tuple[set[str], dict[str, tuple[str, str]]]:
    """The keys that stay, and rule and detail of the others."""
    write(settings.paths, "occurrences", rows)
    kept = read(build_clean_occurrences(settings.paths, settings))
    rejected = read(settings.paths.rejections_of("clean_occurrences"))
    return {row["occurrence_key"] for row in kept}, {row["key"]: (row["rule"], row["detail"]) for row in rejected}


def archive(**scope: Any) -> dict[str, Any]:  # noqa: ANN401
    """The section `source` of an archive with a scope."""
    return {"mode": "archive", "archive": "a.zip", **CHECKLIST, **scope}


@pytest.mark.parametrize(
    ("status", "count", "absent"),
    [
        ("PRESENT", None, False),
        ("PRESENT", 0.0, False),
        ("ABSENT", None, True),
        ("ABSENT", 3.0, True),
        ("NOT DETECTED", None, True),
        (None, 0.0, True),
        (None, 2.0, False),
        (None, None, False),
    ],
)
def test_a_record_of_absence_shows_nothing(
    settings: Settings, status: str | None, count: float | None, *, absent: bool
) -> None:
    rows = [occurrence("1"), occurrence("2", occurrence_status=status, individual_count=count)]
    kept, rejected = clean(settings, rows)
    assert ("2" in kept) is not absent
    assert rejected.get("2", ("", ""))[0] == ("absent" if absent else "")


GOOD = {"country": "NZ", "event_date": "2016-05-01", "licence": "CC_BY_4_0"}


@pytest.mark.parametrize(
    ("scope", "other", "detail"),
    [
        ({"country": "NZ"}, {"country": "AU"}, "country AU"),
        ({"country": "NZ"}, {"country": None}, "country unknown"),
        ({"years": [2015, 2020]}, {"event_date": "2014-12-31T23:00:00"}, "year 2014"),
        ({"years": [2015, 2020]}, {"event_date": "2021"}, "year 2021"),
        ({"years": [2015, 2020]}, {"event_date": "2019-12-31/2021-01-02"}, "year unknown"),
        ({"years": [2015, 2020]}, {"event_date": "yesterday"}, "year unknown"),
        ({"years": [2015, 2020]}, {"event_date": None}, "year unknown"),
        ({"licences": ["CC0", "CC-BY"]}, {"licence": "CC_BY_NC_4_0"}, "licence CC-BY-NC"),
        ({"licences": ["CC-BY"]}, {"licence": "http://creativecommons.org/licenses/by-nc/4.0/legalcode"},
         "licence CC-BY-NC"),
        ({"licences": ["CC-BY"]}, {"licence": "CC BY\N{NON-BREAKING HYPHEN}NC 4.0"}, "licence CC-BY-NC"),
        ({"licences": ["CC-BY"]}, {"licence": None}, "licence unknown"),
        ({"taxon_keys": ["5290"]}, {"family_key": "1", "scientific_name": "Aus bus"}, "taxon Aus bus"),
        ({"taxon_keys": ["6171845"]}, {"taxon_key": "7", "accepted_taxon_key": "7", "species_key": "7",
         "scientific_name": "Aus bus"}, "taxon Aus bus"),
        ({"dataset_key": INATURALIST_DATASET}, {"dataset_key": "d"}, "dataset d"),
        ({"dataset_key": INATURALIST_DATASET}, {"dataset_key": None}, "dataset unknown"),
        ({}, {"dataset_key": "d"}, "dataset d"),
    ],
)  # fmt: skip
def test_each_condition_of_the_scope_is_held_against_an_archive(
    make_settings: Make, scope: dict[str, Any], other: Row, detail: str
) -> None:
    rows = [occurrence("1", **GOOD), occurrence("2", **{**GOOD, **other})]
    kept, rejected = clean(make_settings(source=archive(**scope)), rows)
    assert kept == {"1"}
    assert rejected == {"2": ("out_of_scope", detail)}


def test_a_scope_that_says_nothing_leaves_everything(make_settings: Make) -> None:
    rows = [occurrence("1", country=None, event_date=None, licence=None), occurrence("2", country="AU")]
    assert clean(make_settings(source=archive()), rows)[0] == {"1", "2"}


def test_ranges_within_the_years_are_within(make_settings: Make) -> None:
    rows = [occurrence("1", event_date="2016-01-01/2016-02-01"), occurrence("2", event_date="2016-01-01/05")]
    assert clean(make_settings(source=archive(years=[2016, 2016])), rows)[0] == {"1", "2"}


def test_a_download_that_is_given_by_its_key_is_held_to_the_scope_too(make_settings: Make) -> None:
    source = {"mode": "download", "download_key": "0000006-130717145108713", "country": "NZ", **CHECKLIST}
    rows = [occurrence("1"), occurrence("2", country="AU")]
    assert clean(make_settings(source=source), rows)[1] == {"2": ("out_of_scope", "country AU")}


def test_taxa_that_gbif_chose_itself_are_not_judged_again(make_settings: Make) -> None:
    # A suborder's key: GBIF knows it, its tables have no column for it.
    source = {"mode": "download", "taxon_keys": ["SUBORDER"], **CHECKLIST}
    assert clean(make_settings(source=source), [occurrence("1")])[0] == {"1"}


def test_an_archive_of_another_dataset_alone_is_taken_as_it_is_unless_one_was_chosen(make_settings: Make) -> None:
    rows = [occurrence("1", dataset_key="d"), occurrence("2", dataset_key=None)]
    assert clean(make_settings(source=archive()), rows)[0] == {"1", "2"}
    with pytest.raises(ConfigurationError, match=r"1 of dataset d.*1 of dataset unknown.*check source\.dataset_key"):
        clean(make_settings(source=archive(dataset_key=INATURALIST_DATASET)), rows)


def test_a_scope_that_leaves_nothing_is_refused_with_the_reasons(make_settings: Make) -> None:
    rows = [occurrence("1", country=None), occurrence("2", country=None), occurrence("2", country="AU")]
    settings = make_settings(source=archive(country="NZ"))
    with pytest.raises(ConfigurationError, match="none of the occurrences is in the scope: 1 of country unknown"):
        clean(settings, rows[:1])
    with pytest.raises(ConfigurationError, match="none of the occurrences is in the scope"):
        clean(settings, rows)
    assert len(read(settings.paths.rejections_of("clean_occurrences"))) == 3


def test_a_taxon_that_no_record_names_is_refused(make_settings: Make) -> None:
    with pytest.raises(ConfigurationError, match=r"no occurrence names SUB of source\.taxon_keys"):
        clean(make_settings(source=archive(taxon_keys=["212", "SUB"])), [occurrence("1")])


def test_keys_of_another_checklist_than_the_archives_are_refused(make_settings: Make) -> None:
    source = {**archive(taxon_keys=["212"]), "checklist_key": COL_XR_CHECKLIST}
    with pytest.raises(
        ConfigurationError, match=f"keys of the checklist {COL_XR_CHECKLIST}, the occurrences follow {BACKBONE}"
    ):
        clean(make_settings(source=source), [occurrence("1")])
