"""Every recorded GBIF record of the shared data with what should become of it.

The verdicts were written down record by record from what GBIF says of the record (its `_why`) and from biology, not
from what the code does. Records that are not named here are good observations of a species.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml.spec import RANKS
from pipeline.config.settings import Settings
from pipeline.dataset.clean import build_clean_occurrences
from tests.pipeline.tiny import Row, occurrence, read, write

REJECTED: dict[str, tuple[int, ...]] = {
    # Identified to a genus, family, order, phylum or kingdom, and known to the checklist as such.
    "above_species": (
        240713143,
        240713146,
        240713150,
        240713161,
        240713163,
        240713165,
        240713167,
        240713169,
        240713171,
        240713173,
        240713175,
        240713177,
        240713179,
        240713181,
        240713183,
        240713185,
        240713187,
        240713189,
        240713191,
        240713193,
        240713195,
        240713204,
        240713206,
        240713209,
        240713211,
        240713283,
        240713295,
        240713297,
        240713300,
        1840959516,
        4940909926,
        5794813230,
    ),
    # The name is unknown to the checklist and an ancestor above the species was taken: Allogromia, Astur, SAR86, ...
    "higher_rank_match": (
        240713135,
        240713137,
        240713139,
        240713141,
        240713148,
        240713152,
        240713153,
        240713155,
        240713213,
        240713215,
        240713217,
        240713220,
        240713222,
        240713224,
        240713226,
        240713228,
        240713231,
        240713233,
        240713235,
        240713237,
        240713239,
        240713261,
        240713263,
        240713265,
        240713285,
        240713287,
        240713290,
        240713292,
        240713304,
        240713306,
        583496423,
        583672657,
        3017941161,
        5797729302,
        5861724181,
        5959029469,
    ),
    # Clusters of barcodes; one of them GBIF files under Spizaetus isidori, which no person has looked at.
    "bold_bin": (2979436490, 3441752847, 5860891603),
    # Scandosorbus x intermedia: a cross of two genera.
    "hybrid": (2604270506,),
    "no_taxonomy": (5865000735,),
    # Rhabdammina cornuta: GBIF found one taxon by the name and another by the identifier.
    "doubtful_match": (240713157,),
}

KEPT = {
    # The name is not in the checklist, its species is: Pteruthius aenobarbus from a subspecies, two cichlids.
    1291505203: ("Pteruthius aenobarbus", "2492993"),
    583652314: ("Microchromis zebroides", "2372950"),
    1019729841: ("Aulonocara koningsi", "2370502"),
    1019729843: ("Aulonocara koningsi", "2370502"),
    # Misspelt, and rightly recognised.
    1893446549: ("Cycas circinalis", "2683264"),
    240713159: ("Notodendrodes hyalinosphaira", "4382149"),
    5003747437: ("Branta hutchinsii", "5232452"),
    # A form, a variety and subspecies stand for their species.
    2859010592: ("Cycas circinalis", "2683264"),
    5003747406: ("Columba livia", "2495414"),
    3307824509: ("Encelia californica", "3118771"),
    4103410431: ("Corynorhinus townsendii", "2432479"),
    1434488978: ("Bromus hordeaceus", "2703777"),
    # Fishes and foraminifers have no class at GBIF.
    4422960780: ("Salmo salar", "7595433"),
    240713198: ("Crithionina delacai", "8149246"),
}

WITHOUT_A_CLASS = {583652314, 1019729841, 1019729843, 4422960780, 240713159, 240713198, 240713200, 240713202, 240713243,
                   240713245, 240713247, 240713249, 240713251, 240713254, 240713256, 240713258, 240713279,
                   240713302, 240713308}  # fmt: skip
"""Good species that the paper's mode leaves out."""


def records(shared: Path) -> dict[int, dict[str, Any]]:
    """The records of both files by key."""
    found: dict[int, dict[str, Any]] = {}
    for name in ("odd_taxonomy.jsonl", "inat_records.jsonl"):
        text = (shared / "gbif" / name).read_text(encoding="utf-8")
        found |= {int(record["key"]): record for record in map(json.loads, text.splitlines())}
    return found


def from_api(record: dict[str, Any]) -> Row:
    """A record of GBIF's search as a row of occurrences."""

    def text(name: str) -> str | None:
        return None if record.get(name) is None else str(record[name])

    ranks = {rank: text(rank) for rank in RANKS} | {f"{rank}_key": text(f"{rank}Key") for rank in RANKS}
    return occurrence(
        str(record["key"]),
        **ranks,
        taxon_key=text("taxonKey"),
        accepted_taxon_key=text("acceptedTaxonKey"),
        scientific_name=text("scientificName"),
        taxon_rank=text("taxonRank"),
        taxonomic_status=text("taxonomicStatus"),
        issue=";".join(record["issues"]),
    )


def ends(settings: Settings, rows: list[Row]) -> tuple[dict[int, Row], dict[int, str]]:
    """The clean rows, and the rule of every rejected one."""
    write(settings.paths, "occurrences", rows)
    kept = read(build_clean_occurrences(settings.paths, settings))
    rejected = read(settings.paths.rejections_of("clean_occurrences"))
    return {int(row["occurrence_key"]): row for row in kept}, {int(row["key"]): row["rule"] for row in rejected}


def test_every_recorded_record_ends_where_it_should(settings: Settings, shared: Path) -> None:
    found = records(shared)
    kept, rejected = ends(settings, [from_api(record) for record in found.values()])
    assert rejected == {key: rule for rule, keys in REJECTED.items() for key in keys}
    assert set(kept) == set(found) - set(rejected)
    assert {key: (kept[key]["species"], kept[key]["species_key"]) for key in KEPT} == KEPT
    # Whatever name a record came under, it stands for the species of its accepted name.
    accepted = {key: " ".join(found[key]["acceptedScientificName"].split()[:2]) for key in kept}
    assert {key: row["species"] for key, row in kept.items()} == accepted
    synonyms = [key for key in kept if found[key]["taxonomicStatus"] == "SYNONYM"]
    assert len(synonyms) > 100


def test_the_papers_mode_leaves_out_species_without_a_class(
    make_settings: Callable[..., Settings], shared: Path
) -> None:
    found = records(shared)
    kept, rejected = ends(make_settings(taxonomy={"unusual": "drop"}), [from_api(record) for record in found.values()])
    assert {key for key, rule in rejected.items() if rule == "unusual_taxonomy"} == WITHOUT_A_CLASS
    assert all(row[rank] is not None for row in kept.values() for rank in RANKS)
