"""From occurrences to the split, whatever comes in: every row ends in the dataset or in the rejections, once."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config.licence_names import OPEN
from pipeline.config.settings import Settings
from pipeline.dataset.attribution import build_attribution
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.dataset.invariants import tree
from pipeline.dataset.manifest import balance
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_genus_photos, build_split
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.gbif.licences import canonical_licence
from pipeline.history.taxonomy_history import build_taxonomy_history
from pipeline.photos.index import build_photo_index
from pipeline.query import count
from pipeline.rejections import removed_by, write_rejections
from pipeline.table_checks import check_table
from tests.pipeline.tiny import Row, occurrence, photo, read, write

OCCURRENCE = st.fixed_dictionaries({
    "species": st.sampled_from([*["Turdus a"] * 4, "Turdus b", "Turdus c", None]),
    "genus_key": st.sampled_from(["2490714", "2490714", "2490714", "9"]),
    "class": st.sampled_from(["Aves", "Aves", None]),
    "scientific_name": st.sampled_from([*["Turdus a L."] * 6, "Turdus sp.", "BOLD:AAA0001"]),
    "taxon_rank": st.sampled_from([*["SPECIES"] * 6, "GENUS", "SUBSPECIES", None]),
    "checklist_key": st.sampled_from([*["backbone"] * 8, "another"]),
    "observation_id": st.sampled_from([f"o{number}" for number in range(12)]),
})  # fmt: skip
MEDIA = st.fixed_dictionaries({
    "licence": st.sampled_from([*["http://creativecommons.org/licenses/by/4.0/"] * 3, "All rights reserved", None]),
    "format": st.sampled_from([*["image/jpeg"] * 5, "image/png", "audio/mp4"]),
    "status": st.sampled_from([*["ok"] * 6, "gone", "corrupt"]),
    "sha256": st.integers(0, 40),
})  # fmt: skip
WORLD = st.lists(st.tuples(OCCURRENCE, st.lists(MEDIA, max_size=4), st.booleans()), min_size=1, max_size=25)


def ledger(settings: Settings, media: dict[str, Row]) -> None:
    """What fetching the index would have left: statuses as drawn, and a line for each that is not ok."""
    rows = []
    for row in read(settings.paths.table("photo_index")):
        drawn = media[row["photo_id"]]
        ok = drawn["status"] == "ok"
        content = f"{drawn['sha256']:064x}" if ok else None
        path = f"photos/{content}.jpg" if ok else None
        changes = {"status": drawn["status"], "sha256": content, "path": path}
        rows.append(photo(row["photo_id"], of=row["occurrence_key"], **changes))
    write(settings.paths, "photos", rows)
    lost = [row for row in rows if row["status"] != "ok"]
    columns = {"key": "photo_id", "rule": "status", "detail": "url"}
    table = pa.table({name: pa.array([row[of] for row in lost], pa.string()) for name, of in columns.items()})
    write_rejections(settings.paths, "photos", table)


def unlicensed(settings: Settings, media: dict[str, Row]) -> set[str]:
    """Photographs that are used although their licence is not allowed; whoever is used is credited."""
    used = {row["photo_id"] for name in ("split", "genus_photos") for row in read(settings.paths.table(name))}
    assert {row["photo_id"] for row in read(build_attribution(settings.paths))} == used
    if settings.photos.licences == ("all",):
        assert "licence" not in removed_by(settings.paths, "photo_index")
        return set()
    return {photo_id for photo_id in used if canonical_licence(media[photo_id]["licence"]) not in OPEN}


@given(
    world=WORLD,
    unusual=st.sampled_from(["placeholder", "drop"]),
    licences=st.sampled_from([(), ("open",), ("all",)]),
    split=st.fixed_dictionaries({
        "unit": st.sampled_from(["observation", "photo"]),
        "min_images": st.integers(1, 4),
        "photos_per_observation": st.sampled_from([None, 1, 2]),
        "photos_per_species": st.sampled_from([None, 4, 6]),
        "rare_species": st.sampled_from(["genus_stage", "drop"]),
    }),
)  # fmt: skip
@hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_every_row_ends_in_the_dataset_or_in_the_rejections(
    make_settings: Callable[..., Settings],
    world: list[tuple[Row, list[Row], bool]],
    unusual: str,
    licences: tuple[str, ...],
    split: dict[str, Any],
) -> None:
    settings = make_settings(taxonomy={"unusual": unusual}, photos={"licences": licences}, split=split)
    paths = settings.paths
    occurrences, rows, media = [], [], {}
    for number, (changes, pictures, twice) in enumerate(world):
        key = None if changes["species"] is None else changes["species"][-1]
        one = occurrence(str(number), **{**changes, "species_key": key, "taxon_key": key, "accepted_taxon_key": key})
        occurrences += [one, one] if twice else [one]
        for position, drawn in enumerate(pictures):
            photo_id = str(1000 + 10 * number + position)
            media[photo_id] = drawn
            rows.append(
                {
                    "occurrence_key": str(number),
                    "position": position,
                    "url": f"https://inaturalist-open-data.s3.amazonaws.com/photos/{photo_id}/original.jpg",
                    "format": drawn["format"],
                    "type": "StillImage",
                    "licence": drawn["licence"],
                }
            )
    write(paths, "occurrences", occurrences)
    write(paths, "media", rows)
    build_clean_occurrences(paths, settings)
    build_photo_index(paths, settings)
    ledger(settings, media)
    species = build_species(paths, settings)
    if count(species) == 0:
        # Without a species there is no tree; the rejections hold every photograph that was ok.
        rejected = read(paths.rejections_of("species"))
        assert len(rejected) == sum(row["status"] == "ok" for row in read(paths.table("photos")))
        return
    build_taxonomy(paths, settings)
    build_taxonomy_history(paths, settings)
    build_split(paths, settings)
    build_genus_photos(paths, settings)
    for name in ("clean_occurrences", "species", "taxonomy", "class_map", "taxonomy_diff", "split", "genus_photos"):
        assert check_table(name, paths.table(name)) == []
    assert tree(paths) == []
    assert balance(paths) == []
    assert unlicensed(settings, media) == set()
    usable = [row["photo_id"] for row in read(paths.table("photos")) if row["status"] == "ok"]
    ends = Counter(row["photo_id"] for row in read(paths.table("split")))
    ends += Counter(row["key"] for row in read(paths.rejections_of("species")))
    assert ends == Counter(usable)
