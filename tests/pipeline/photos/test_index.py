"""Which media rows become photographs to fetch, and what is written about the others."""

import csv
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config.licence_names import LICENCES, OPEN
from pipeline.config.settings import Settings
from pipeline.errors import TableError
from pipeline.paths import Paths
from pipeline.photos.index import RULES, build_photo_index
from pipeline.table_checks import check_table
from pipeline.tables import CONTRACTS

S3 = "https://inaturalist-open-data.s3.amazonaws.com/photos"


def media(occurrence: str, url: str | None, *, position: int = 0, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A media row as GBIF delivers it for iNaturalist, with the given changes."""
    return {
        "occurrence_key": occurrence,
        "position": position,
        "url": url,
        "format": "image/jpeg",
        "type": "StillImage",
        "licence": "http://creativecommons.org/licenses/by-nc/4.0/",
        "rights_holder": "fred201",
        "creator": "fred201",
        "reference": "https://www.inaturalist.org/photos/80747453",
        **changes,
    }


def _species(occurrence: str) -> dict[str, str]:
    """A song thrush for occurrences whose key starts with a 7, else a blackbird."""
    if occurrence.startswith("7"):
        return {"species": "Turdus philomelos", "species_key": "2490834"}
    return {"species": "Turdus merula", "species_key": "6171845"}


def index(settings: Settings, *rows: dict[str, Any], also: tuple[str, ...] = ()) -> tuple[list[Any], list[Any]]:
    """The photo index and the rejections of media rows, and of the occurrences `also`, which have none."""
    paths = settings.paths
    paths.tables.mkdir(parents=True, exist_ok=True)
    keys = sorted({row["occurrence_key"] for row in rows} | set(also))
    clean = pa.Table.from_pylist(
        [{"occurrence_key": key, "observation_id": f"o{key}", **_species(key)} for key in keys],
        schema=CONTRACTS["clean_occurrences"].schema,
    )
    pq.write_table(clean, paths.table("clean_occurrences"))
    pq.write_table(pa.Table.from_pylist(list(rows), schema=CONTRACTS["media"].schema), paths.table("media"))
    table = build_photo_index(paths, settings)
    assert check_table("photo_index", table) == []
    return pq.read_table(table).to_pylist(), pq.read_table(paths.rejections_of("photo_index")).to_pylist()


@pytest.mark.parametrize(
    ("received", "wanted", "photo_id"),
    [
        (f"{S3}/12/original.jpg", f"{S3}/12/large.jpg", "12"),
        (f"{S3}/12/original.jpeg", f"{S3}/12/large.jpeg", "12"),
        (f"{S3}/12/square.JPG", f"{S3}/12/large.JPG", "12"),
        (f"  {S3}/12/original.jpg ", f"{S3}/12/large.jpg", "12"),
        (
            "https://static.inaturalist.org/photos/8/original.jpg?1593046768",
            "https://static.inaturalist.org/photos/8/large.jpg",
            "8",
        ),
        ("HTTP://Static.iNaturalist.org/photos/8/medium.jpg", "HTTP://Static.iNaturalist.org/photos/8/large.jpg", "8"),
        ("http://photos.replica.test/photos/3/original.jpg", "http://photos.replica.test/photos/3/large.jpg", "3"),
        # Other hosts and other shapes of path are left as they are, and get a hash for an id.
        ("https://example.org/photos/12/original.jpg", None, None),
        ("https://inaturalist-open-data.s3.amazonaws.com.evil.org/photos/12/original.jpg", None, None),
        (f"{S3}/12/original.jpg/more", None, None),
        (f"{S3}/twelve/original.jpg", None, None),
        ("https://example.org/a.jpg?size=original", None, None),
    ],
)
def test_addresses_of_inaturalist_are_rewritten_to_the_wanted_size(
    settings: Settings, received: str, wanted: str | None, photo_id: str | None
) -> None:
    (row,), _ = index(settings, media("1", received))
    assert row["url"] == (wanted or received)
    if photo_id is None:
        assert len(row["photo_id"]) == 16
    else:
        assert row["photo_id"] == photo_id


def test_each_size_can_be_wanted(make_settings: Callable[..., Settings]) -> None:
    for size in ("original", "large", "medium"):
        (row,), _ = index(make_settings(photos={"size": size}), media("1", f"{S3}/12/original.jpg"))
        assert row["url"] == f"{S3}/12/{size}.jpg"


def test_licences_are_canonical(make_settings: Callable[..., Settings]) -> None:
    received = {
        "http://creativecommons.org/licenses/by-nc/4.0/": "CC-BY-NC",
        "CC BY\N{NON-BREAKING HYPHEN}NC 4.0": "CC-BY-NC",
        "CC BY 4.0 (but not for AI)": "other",
        "All rights reserved": "all rights reserved",
        "   ": "unknown",
        None: "unknown",
    }
    rows = [media(str(n), f"{S3}/{n}/original.jpg", licence=text) for n, text in enumerate(received)]
    kept, _ = index(make_settings(photos={"licences": ["all"]}), *rows)
    assert [row["licence"] for row in kept] == list(received.values())


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (media("1", None), "no_address"),
        (media("1", "  "), "no_address"),
        (media("1", "https://example.org/a.mp3", type="Sound", format="audio/mpeg"), "not_image"),
        (media("1", "https://example.org/a.mp4", type="MovingImage", format=None), "not_image"),
        (media("1", "https://example.org/a.pdf", type=None, format="application/pdf"), "not_image"),
        (media("1", f"{S3}/1/original.png", format="image/png"), "not_jpeg"),
        (media("1", f"{S3}/1/original.gif", format=None), "not_jpeg"),
        (media("1", "file:///etc/passwd"), "unsupported_address"),
        (media("1", "data:image/jpeg;base64,/9j/4AAQSkZJRg=="), "unsupported_address"),
        (media("1", "ftp://example.org/a.jpg"), "unsupported_address"),
        (media("1", "https:///a.jpg"), "unsupported_address"),
        (media("1", "a.jpg"), "unsupported_address"),
        (media("1", "https://example.org/" + "a" * 2000 + ".jpg"), "unsupported_address"),
    ],
)
def test_what_cannot_be_a_photograph_leaves_a_line(settings: Settings, row: dict[str, Any], rule: str) -> None:
    kept, rejected = index(settings, row)
    assert kept == []
    assert [line["rule"] for line in rejected if line["rule"] != "no_photo"] == [rule]
    assert [line["key"] for line in rejected if line["rule"] == "no_photo"] == ["1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"type": None},
        {"type": "http://purl.org/dc/dcmitype/StillImage"},
        {"type": "Image"},
        {"format": None},
        {"format": "image/jpg"},
        {"format": "IMAGE/JPEG; charset=binary"},
        {"type": None, "format": None},
    ],
)
def test_sloppy_descriptions_of_a_jpeg_are_understood(settings: Settings, changes: dict[str, Any]) -> None:
    kept, _ = index(settings, media("1", f"{S3}/1/original.jpg", **changes))
    assert len(kept) == 1


def test_only_allowed_licences_stay(make_settings: Callable[..., Settings]) -> None:
    kept, rejected = index(
        make_settings(photos={"licences": ["cc0", "CC-BY"]}),
        media("1", f"{S3}/1/original.jpg", licence="CC0"),
        media("2", f"{S3}/2/original.jpg", licence="http://creativecommons.org/licenses/by/4.0/"),
        media("3", f"{S3}/3/original.jpg", licence="http://creativecommons.org/licenses/by-nc/4.0/"),
        media("4", f"{S3}/4/original.jpg", licence=None),
    )
    assert [row["photo_id"] for row in kept] == ["1", "2"]
    assert {(line["key"], line["detail"]) for line in rejected if line["rule"] == "licence"} == {
        ("3", "CC-BY-NC"),
        ("4", "unknown"),
    }


@pytest.mark.parametrize(("chosen", "allowed"), [((), OPEN), (("open",), OPEN), (("all",), LICENCES)])
def test_only_open_licences_stay_unless_all_are_asked_for(
    make_settings: Callable[..., Settings], chosen: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    stated = {
        **{licence: licence for licence in LICENCES if licence.startswith("CC")},
        "PDM": "http://creativecommons.org/publicdomain/mark/1.0/",
        "all rights reserved": "(c) A. Ngata, all rights reserved",
        "unknown": None,
        "other": "ask me",
    }
    rows = [media(str(n), f"{S3}/{n}/original.jpg", licence=text) for n, text in enumerate(stated.values())]
    kept, rejected = index(make_settings(photos={"licences": list(chosen)}), *rows)
    assert {row["licence"] for row in kept} == set(allowed)
    assert {line["detail"] for line in rejected if line["rule"] == "licence"} == set(LICENCES) - set(allowed)


def test_the_oldest_occurrence_keeps_a_repeated_photograph(settings: Settings) -> None:
    kept, rejected = index(
        settings,
        media("10", "https://static.inaturalist.org/photos/5/original.jpg?1"),
        media("9", f"{S3}/5/original.jpg", position=1),
        media("9", f"{S3}/5/original.jpg", position=2),
    )
    assert [(row["photo_id"], row["occurrence_key"]) for row in kept] == [("5", "9")]
    assert [(line["key"], line["detail"]) for line in rejected if line["rule"] == "duplicate_address"] == [
        ("5", "already there for occurrence 9"),
        ("5", "already there for occurrence 9"),
    ]


def test_a_photograph_of_two_species_teaches_neither(settings: Settings) -> None:
    kept, rejected = index(
        settings,
        media("1", f"{S3}/5/original.jpg"),
        media("70", f"{S3}/5/original.jpg"),
        media("71", f"{S3}/6/original.jpg"),
        # What another rule removes has no say.
        media("2", f"{S3}/6/original.jpg", type="Sound"),
    )
    assert [row["photo_id"] for row in kept] == ["6"]
    assert [(line["key"], line["detail"]) for line in rejected if line["rule"] == "conflicting_address"] == [
        ("5", "the same photograph is labelled Turdus merula and Turdus philomelos")
    ] * 2


def test_the_real_licences_of_a_download_are_canonical(settings: Settings, shared: Path) -> None:
    table = shared / "gbif" / "dwca" / "multimedia_only_lycorma_inat.txt"
    with table.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    kept, rejected = index(
        settings,
        *(
            media(line["gbifID"], line["identifier"], position=number, format=line["format"], licence=line["license"])
            for number, line in enumerate(lines)
        ),
    )
    jpeg = [line for line in lines if line["format"] == "image/jpeg"]
    assert Counter(line["rule"] for line in rejected if line["rule"] != "no_photo") == {"not_jpeg": 4}
    assert len(kept) == len(jpeg) == 4772
    assert all(re.fullmatch(r"https://[a-z0-9.-]+/photos/\d+/large\.jpe?g", row["url"]) for row in kept)
    addresses = Counter(line["license"] for line in jpeg)
    cc = "http://creativecommons.org"
    assert Counter(row["licence"] for row in kept) == {
        "CC-BY-NC": addresses[f"{cc}/licenses/by-nc/4.0/"],
        "CC-BY": addresses[f"{cc}/licenses/by/4.0/"],
        "CC0": addresses[f"{cc}/publicdomain/zero/1.0/"],
        "CC-BY-NC-SA": addresses[f"{cc}/licenses/by-nc-sa/4.0/"],
        "CC-BY-NC-ND": addresses[f"{cc}/licenses/by-nc-nd/4.0/"],
        "CC-BY-SA": addresses[f"{cc}/licenses/by-sa/4.0/"],
    }


def test_the_number_of_a_photograph_decides_whatever_its_host_scheme_and_size(settings: Settings) -> None:
    kept, rejected = index(
        settings,
        media("1", "http://static.inaturalist.org/photos/5/medium.jpeg?1"),
        media("2", "https://static.inaturalist.org/photos/5/original.jpg"),
        media("3", f"{S3}/5/large.JPG"),
    )
    assert [row["occurrence_key"] for row in kept] == ["1"]
    assert kept[0]["other_url"] not in {None, kept[0]["url"]}
    assert [line["rule"] for line in rejected if line["rule"] != "no_photo"] == ["duplicate_address"] * 2


def test_elsewhere_http_and_https_are_one_photograph_and_other_addresses_are_not(settings: Settings) -> None:
    kept, _ = index(
        settings,
        media("1", "http://example.org/a.jpg"),
        media("2", "HTTPS://example.org/a.jpg"),
        media("3", "https://example.org/A.jpg"),
        media("4", "https://example.org/a.jpg?page=2"),
    )
    assert {row["occurrence_key"]: row["other_url"] for row in kept} == {
        "1": "HTTPS://example.org/a.jpg",
        "3": None,
        "4": None,
    }, "the other address is remembered"


def test_species_that_cannot_have_enough_photographs_are_left_out_when_asked(
    make_settings: Callable[..., Settings],
) -> None:
    rows = [
        # The blackbird has three photographs; the thrush two, a copy, and one of a licence that is not allowed.
        *(media(str(number), f"{S3}/{number}/original.jpg") for number in (1, 2, 3)),
        *(media("70", f"{S3}/{number}/original.jpg", position=number) for number in (70, 71)),
        media("71", f"{S3}/70/original.jpg"),
        media("72", f"{S3}/72/original.jpg", licence=None),
    ]
    licences = {"licences": ["CC-BY-NC"]}
    kept, _ = index(make_settings(photos=licences, split={"min_images": 3}), *rows)
    assert [row["photo_id"] for row in kept] == ["1", "2", "3", "70", "71"]
    kept, rejected = index(make_settings(photos={**licences, "skip_rare": True}, split={"min_images": 3}), *rows)
    assert [row["photo_id"] for row in kept] == ["1", "2", "3"]
    assert [(line["key"], line["rule"], line["detail"]) for line in rejected if line["rule"] != "no_photo"] == [
        ("70", "duplicate_address", "already there for occurrence 70"),
        ("70", "rare_species", "Turdus philomelos has 2"),
        ("71", "rare_species", "Turdus philomelos has 2"),
        ("72", "licence", "unknown"),
    ]
    kept, _ = index(make_settings(photos={**licences, "skip_rare": True}, split={"min_images": 2}), *rows)
    assert len(kept) == 5


def test_a_rejected_row_does_not_displace_its_usable_copy(settings: Settings) -> None:
    kept, _ = index(
        settings,
        media("1", "https://example.org/a.jpg", type="Sound", format="audio/mpeg"),
        media("2", "https://example.org/a.jpg"),
    )
    assert [row["occurrence_key"] for row in kept] == ["2"]


def test_occurrences_without_a_photograph_are_noted(settings: Settings) -> None:
    kept, rejected = index(settings, media("1", f"{S3}/1/original.jpg"), also=("2",))
    assert len(kept) == 1
    assert [(line["key"], line["rule"]) for line in rejected] == [("2", "no_photo")]


def test_missing_tables_are_named(settings: Settings) -> None:
    with pytest.raises(TableError, match="media"):
        build_photo_index(settings.paths, settings)


texts = st.none() | st.text(max_size=12).filter(lambda text: "\x00" not in text and not any(map(_surrogate, text)))
addresses = texts | st.sampled_from([f"{S3}/{number}/original.jpg" for number in range(4)])


def _surrogate(letter: str) -> bool:
    return "\ud800" <= letter <= "\udfff"


@given(
    rows=st.lists(
        st.builds(
            lambda key, url, kind, form, licence: (key, url, kind, form, licence),
            st.sampled_from(["1", "2", "30"]),
            addresses,
            texts | st.just("StillImage"),
            texts | st.just("image/jpeg"),
            texts | st.sampled_from(LICENCES),
        ),
        max_size=12,
    )
)
@hypothesis_settings(max_examples=12, deadline=None)
def test_counts_add_up_whatever_is_received(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    settings = Settings(name="test", data_root=tmp_path_factory.mktemp("index"))
    received = [
        media(key, url, position=number, type=kind, format=form, licence=licence)
        for number, (key, url, kind, form, licence) in enumerate(rows)
    ]
    kept, rejected = index(settings, *received, also=("1",))
    assert len(kept) + sum(line["rule"] != "no_photo" for line in rejected) == len(received)
    assert {line["rule"] for line in rejected} <= set(RULES)
    assert {row["licence"] for row in kept} <= set(LICENCES)
    without = {line["key"] for line in rejected if line["rule"] == "no_photo"}
    assert without == {"1", *(row["occurrence_key"] for row in received)} - {row["occurrence_key"] for row in kept}


def test_the_index_is_the_same_bytes_each_time(settings: Settings) -> None:
    rows = [media(str(number % 7), f"{S3}/{number}/original.jpg", position=number) for number in range(50)]
    index(settings, *rows)
    first = Paths(data_root=settings.data_root).table("photo_index").read_bytes()
    index(settings, *reversed(rows))
    assert settings.paths.table("photo_index").read_bytes() == first
