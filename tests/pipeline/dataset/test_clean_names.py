"""Names whose publisher was in doubt are no species, wherever the doubt is written; all others are."""

from pipeline.config.settings import Settings
from pipeline.dataset.clean import build_clean_occurrences
from tests.pipeline.tiny import Row, occurrence, read, write

Case = tuple[str | None, str | None]
"""A verbatim name and a qualifier."""

OPEN: list[Case] = [
    ("Turdus cf. merula", None),
    ("Turdus cf.\N{NO-BREAK SPACE}merula", None),
    ("Turdus CF. merula", None),
    ("Turdus cfr. merula", None),
    ("Turdus c.f. merula", None),
    ("Turdus cf merula", None),
    ("Turdus merula cf.", None),
    ("Turdus (cf.) merula", None),
    ("cf. Turdus merula", None),
    ("TURDUS CF MERULA", None),
    ("Turdus confer merula", None),
    ('Turdus "cf." merula', None),
    ("Turdus merula [cf.]", None),
    ("Turdus cf.merula", None),
    ("Turdus aff. merula", None),
    ("Turdus sp. aff. merula", None),
    ("Turdus nr. merula", None),
    ("Turdus nr merula", None),
    ("Turdus near merula", None),
    ("Turdus vgl. merula", None),
    ("Turdus sp.", None),
    ("Turdus sp. 3", None),
    ("Turdus spp.", None),
    ("Turdus gr. merula", None),
    ("Turdus ex gr. merula", None),
    ("Turdus merula agg.", None),
    ("Turdus merula complex", None),
    ("Turdus merula species complex", None),
    ("Turdus merula (complex)", None),
    ("Turdus merula-Gruppe", None),
    ("Turdus merula species group", None),
    ("Turdus merula aggregate", None),
    ("Turdus merula kompleks", None),
    ("Turdus merula gruppo", None),
    ("Turdus merula s.l.", None),
    ("Turdus merula s.l", None),
    ("Turdus merula s. lat.", None),
    ("Turdus merula sensu lato", None),
    ("Turdus merula?", None),
    ("Turdus merula ?", None),
    ("Turdus ?merula", None),
    ("?Turdus merula", None),
    ("Turdus? merula", None),
    ("Turdus merula/philomelos", None),
    ("Turdus merula / philomelos", None),
    ("Turdus probably merula", None),
    ("Turdus indet.", None),
    ("Puccinia cf. graminis f. sp. tritici", None),
    (None, "cf."),
    (None, "cf. species"),
    (None, "aff. merula"),
    (None, "?"),
    (None, "uncertain"),
    (None, "incertain"),
    (None, "vermutlich"),
    (None, "dudoso"),
    (None, "s.l."),
    (None, "var. alba?"),
    ("Turdus merula", "Cf."),
]
SURE: list[Case] = [
    ("Turdus merula", None),
    ("Turdus merula Linnaeus, 1758", None),
    ("Turdus merula subsp. merula", None),
    ("Turdus merula ssp. merula", None),
    ("Puccinia graminis f. sp. tritici Erikss. & Henning", None),
    ("Puccinia graminis f.sp. avenae", None),
    ("Puccinia graminis f.sp.avenae", None),
    ("Puccinia graminis f sp tritici", None),
    ("Puccinia graminis forma specialis tritici", None),
    ("Spelaeus affinis Xu & Max, 2001", None),
    ("Culicoides complex Khamala & Kettle, 1971", None),
    ("Aus bus (M?ller, 1776)", None),
    ("Aus bus Andr?, 1881", None),
    ("Aus bus Linnaeus, ?1758", None),
    ("Aus bus C.F. Baker", None),
    ("Aus bus S.L. Chen", None),
    ("Aus bus (Gr.) Smith/Jones", None),
    ("Turdus merula", "none"),
    ("Turdus merula", "None"),
    ("Turdus merula", "N/A"),
    ("Turdus merula", "-"),
    ("Turdus merula", "certain"),
    ("Turdus merula", "s. str."),
    ("Turdus merula", "sensu stricto"),
    ("Turdus merula", "subsp. merula"),
    ("Turdus merula", "Turdus merula"),
    ("Turdus merula", "  "),
    (None, None),
]


def judged(settings: Settings, cases: list[Case]) -> dict[int, Row]:
    """The rejections of occurrences with these verbatim names and qualifiers, by position."""
    rows = [
        occurrence(str(key), verbatim_name=name, identification_qualifier=qualifier)
        for key, (name, qualifier) in enumerate(cases)
    ]
    write(settings.paths, "occurrences", rows)
    build_clean_occurrences(settings.paths, settings)
    return {int(row["key"]): row for row in read(settings.paths.rejections_of("clean_occurrences"))}


def test_a_doubt_in_the_verbatim_name_or_the_qualifier_is_an_open_name(settings: Settings) -> None:
    rejected = judged(settings, OPEN)
    assert [case for key, case in enumerate(OPEN) if key not in rejected] == []
    assert {row["rule"] for row in rejected.values()} == {"provisional_name"}
    assert rejected[len(OPEN) - 1]["detail"] == "Turdus merula, Cf."


def test_what_only_looks_like_a_doubt_is_none(settings: Settings) -> None:
    rejected = judged(settings, SURE)
    assert [SURE[key] for key in rejected] == []


def test_crosses_are_known_by_their_verbatim_names(settings: Settings) -> None:
    crosses: list[Case] = [("Turdus merula x philomelos", None), ("Turdus merula X philomelos", None)]
    crosses += [("Turdus merula hybrid", None), ("Turdus \N{MULTIPLICATION SIGN} merula", None)]
    assert {row["rule"] for row in judged(settings, crosses).values()} == {"hybrid"}
    assert len(judged(settings, crosses)) == len(crosses)


def test_a_forma_specialis_stands_for_its_accepted_species(settings: Settings) -> None:
    name = "Puccinia graminis f. sp. tritici Erikss. & Henning"
    form = {"scientific_name": name, "verbatim_name": name, "taxon_rank": "FORMA_SPECIALIS", "taxon_key": "S300"}
    write(settings.paths, "occurrences", [occurrence("1", **form)])
    (row,) = read(build_clean_occurrences(settings.paths, settings))
    assert (row["species_key"], row["species"]) == ("6171845", "Turdus merula")
