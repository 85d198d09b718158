"""`naturewatch page`: which photographs it may show, and what it tells the server."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.page import MOST, add_options, examples_of, prepare_examples, server_arguments
from pipeline.config.settings import Settings
from pipeline.paths import Paths
from tests.pipeline import tiny

SPECIES = ("Turdus merula", "Turdus philomelos")


def source(paths: Paths, **facts: Any) -> None:  # noqa: ANN401
    record = {
        "mode": "search",
        "key": "1",
        "archive": "a",
        "sha256": "0",
        "predicate": {},
        "checklist_key": None,
        **facts,
    }
    paths.current_download.parent.mkdir(parents=True, exist_ok=True)
    paths.current_download.write_text(json.dumps(record))


def dataset(paths: Paths, photographs: list[dict[str, Any]]) -> None:
    """Tables of two species; a photograph is written as what differs from one that may be shown."""
    node = {
        "rank": "species",
        "checklist_key": "backbone",
        "placeholder": False,
        "depth": 1,
        "parent_id": 0,
        "photos": 1,
    }
    root = {
        **node,
        "node_id": 0,
        "rank": "root",
        "name": "Life",
        "depth": 0,
        "parent_id": None,
        "leaf_begin": 0,
        "leaf_end": 2,
    }
    leaves = [
        {
            **node,
            "node_id": each + 1,
            "name": name,
            "taxon_key": f"K{each}",
            "class_id": each,
            "leaf_begin": each,
            "leaf_end": each + 1,
        }
        for each, name in enumerate(SPECIES)
    ]
    tiny.write(paths, "taxonomy", [root, *leaves])
    photos, split = [], []
    for number, changes in enumerate(photographs):
        photo_id = f"p{number}"
        url = f"https://inaturalist-open-data.s3.amazonaws.com/photos/{number}/large.jpg"
        used = {"split": "train", "half": None, "class_id": 0, "observation_id": f"{number}"}
        used |= {name: value for name, value in changes.items() if name in used}
        facts = {name: value for name, value in changes.items() if name not in used}
        photos.append(tiny.photo(photo_id, of=str(number), url=url, **facts))
        split.append({"photo_id": photo_id, "occurrence_key": str(number), "path": f"photos/{photo_id}.jpg", **used})
    tiny.write(paths, "photos", photos)
    tiny.write(paths, "split", split)
    source(paths)


def shown(paths: Paths) -> list[str]:
    return [row["photo_id"] for row in tiny.read(prepare_examples(paths))]


@pytest.mark.parametrize(
    "unfit",
    [
        {"licence": "all rights reserved"}, {"licence": "unknown"}, {"licence": "other"}, {"licence": None},
        {"creator": None}, {"creator": "  "}, {"split": "validation", "half": "evaluation"},
    ],
    ids=str,
)  # fmt: skip
def test_only_what_anyone_may_show_with_its_author_is_an_example(settings: Settings, unfit: dict[str, Any]) -> None:
    dataset(settings.paths, [{}, unfit])
    assert shown(settings.paths) == ["p0"]


def test_examples_are_spread_over_observations_and_species(settings: Settings) -> None:
    one_walk = [{"observation_id": "7"} for _ in range(5)]
    dataset(settings.paths, [*one_walk, {}, *({"class_id": 1} for _ in range(MOST + 3))])
    rows = tiny.read(prepare_examples(settings.paths))
    assert [row["species"] for row in rows] == [SPECIES[0]] * 2 + [SPECIES[1]] * MOST
    assert [row["taxon_key"] for row in rows[:3]] == ["K0", "K0", "K1"]


def test_an_example_names_author_licence_and_where_it_is_from(settings: Settings) -> None:
    dataset(settings.paths, [{"creator": "Mary Smith", "licence": "CC0"}, {"licence": "CC-BY", "class_id": 1}])
    free, credited = tiny.read(prepare_examples(settings.paths))
    assert (free["creator"], free["licence"], free["path"]) == ("Mary Smith", "CC0", "photos/p0.jpg")
    assert free["licence_url"] == "https://creativecommons.org/publicdomain/zero/1.0/"
    assert credited["licence_url"] is None, "which version of CC-BY it is was not kept"
    assert free["link"] == "https://www.inaturalist.org/observations/0"


def test_addresses_that_the_replica_invented_are_no_links(settings: Settings) -> None:
    dataset(settings.paths, [{}])
    source(settings.paths, mode="replica")
    assert [row["link"] for row in tiny.read(prepare_examples(settings.paths))] == [None]


def test_examples_are_made_once_and_again_when_the_dataset_changes(settings: Settings) -> None:
    dataset(settings.paths, [{}])
    table = examples_of(settings.paths)
    assert table is not None
    first = table.stat().st_mtime_ns
    examples_of(settings.paths)
    assert table.stat().st_mtime_ns == first
    dataset(settings.paths, [{}, {}])
    os.utime(settings.paths.table("split"), ns=(first + 10**9, first + 10**9))
    examples_of(settings.paths)
    assert len(tiny.read(table)) == 2


def test_without_the_tables_the_page_is_served_without_examples(settings: Settings) -> None:
    assert examples_of(settings.paths) is None
    assert not settings.paths.data_root.exists()


def test_a_damaged_table_is_told_and_the_page_is_served(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    dataset(settings.paths, [{}])
    settings.paths.table("split").write_bytes(b"no table")
    assert examples_of(settings.paths) is None
    assert "the page shows no example photographs" in capsys.readouterr().err


def arguments(settings: Settings, *words: str, examples: Path | None = None) -> list[str]:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return server_arguments(settings, parser.parse_args(words), examples=examples)


def test_the_server_is_told_the_registry_of_the_configuration_and_what_was_given(settings: Settings) -> None:
    assert arguments(settings) == ["--tracking-uri", settings.tracking_uri, "--model-name", "naturewatch"]
    settings.paths.data_root.mkdir()
    root, table = str(settings.paths.data_root), settings.paths.page_examples
    report = str(settings.paths.reports / "report.html")
    told = arguments(
        settings, "--port", "0", "--allow-host", "nest", "--allow-host", "owl", "--no-browser", examples=table
    )
    assert told[4:] == [
        "--data-root", root, "--report", report, "--examples", str(table), "--photos", root, "--port=0",
        "--allow-host=nest", "--allow-host=owl", "--no-browser",
    ]  # fmt: skip
