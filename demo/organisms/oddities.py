"""The unusual records that real GBIF data hold: names that are no species, and media that are no photograph.

Each kind occurs at least once, attached to a real observation of the list, so that every rule of the pipeline is used.
"""

from collections.abc import Sequence
from dataclasses import replace

from demo.lineage import number
from demo.records import RANKS, Media, Name, Occurrence, Taxon

# Accepted species to a name under which some of its records are filed.
SYNONYMS = {
    "Veronica salicifolia": "Hebe salicifolia (G.Forst.) Pennell",
    "Veronica speciosa": "Hebe speciosa (R.Cunn. ex A.Cunn.) Andersen",
    "Alsophila dealbata": "Cyathea dealbata (G.Forst.) Sw.",
    "Trametes coccinea": "Pycnoporus coccineus (Fr.) Bondartsev & Singer",
    "Morus serrator": "Sula serrator Gray, 1843",
}
# Species to a subspecies under which some of its records are filed.
SUBSPECIES = {
    "Rhipidura fuliginosa": "Rhipidura fuliginosa placabilis Bangs, 1921",
    "Nestor meridionalis": "Nestor meridionalis septentrionalis Lorenz, 1896",
}
UNMATCHED = Taxon(taxon_key="", accepted_key="", scientific_name="", rank="", status="", lineage={})


def subspecies(taxon: Taxon, *, name: str) -> Taxon:
    """An accepted subspecies, with the lineage of its species."""
    key = number("subspecies", name, digits=10)
    return replace(taxon, taxon_key=key, accepted_key=key, scientific_name=name, rank="SUBSPECIES")


def odd_observations(usual: Sequence[Occurrence]) -> list[Occurrence]:
    """Odd records beside the usual ones, with identities of their own.

    Args:
        usual: Observations of the species list; the first of a species lends its place and its observer.

    Returns:
        Two records of each unusual name, and one of each unusual kind of media.
    """
    by_species: dict[str, Occurrence] = {}
    for one in usual:
        by_species.setdefault(one.taxon.lineage["species"].name, one)
    coprosma = by_species["Coprosma robusta"]
    beetle = by_species["Prionoplus reticularis"]
    fungus = by_species["Amanita muscaria"]
    tui = by_species["Prosthemadera novaeseelandiae"]
    tree = by_species["Cordyline australis"]
    return [
        *_twice(
            coprosma,
            taxon=_hybrid(coprosma.taxon, name="Coprosma \N{MULTIPLICATION SIGN} cunninghamii Hook.f."),
            kind="hybrid",
        ),
        *_twice(fungus, taxon=_above(fungus.taxon, rank="genus"), kind="genus"),
        *_twice(beetle, taxon=_bin(beetle.taxon, name="BOLD:AAB1234"), kind="bold"),
        *_twice(beetle, taxon=_above(beetle.taxon, rank="family"), kind="higher", issues=("TAXON_MATCH_HIGHERRANK",)),
        *_twice(tree, taxon=UNMATCHED, kind="unmatched", issues=("TAXON_MATCH_NONE",)),
        _with_media(tui, kind="sound", media=(_media(tui, "sound", mime="audio/mp4", kind_of_media="Sound"),)),
        _with_media(tui, kind="bare", media=()),
        _with_media(tree, kind="png", media=(_media(tree, "png", mime="image/png"),)),
        _with_media(tree, kind="repeated", media=(_media(tree, "repeated"),) * 2),
    ]


def _with_media(one: Occurrence, *, kind: str, media: tuple[Media, ...]) -> Occurrence:
    return replace(
        one,
        gbif_id=number("gbif", one.gbif_id, kind, digits=12),
        observation_id=number("observation", one.gbif_id, kind, digits=12),
        media=media,
    )


def _media(one: Occurrence, kind: str, *, mime: str = "image/jpeg", kind_of_media: str = "StillImage") -> Media:
    return Media(
        photo_id=number("photo", one.gbif_id, kind, digits=12),
        format=mime,
        type=kind_of_media,
        licence="http://creativecommons.org/licenses/by/4.0/",
        rights_holder=one.recorded_by,
        creator=one.recorded_by,
    )


def _twice(one: Occurrence, *, taxon: Taxon, kind: str, issues: tuple[str, ...] = ()) -> list[Occurrence]:
    copies = [f"{kind} {copy}" for copy in range(2)]
    return [
        replace(_with_media(one, kind=copy, media=(_media(one, copy),)), taxon=taxon, issues=(*one.issues, *issues))
        for copy in copies
    ]


def _above(taxon: Taxon, *, rank: str) -> Taxon:
    """The ancestor of a species at a rank, as an identification of its own."""
    kept = RANKS[: RANKS.index(rank) + 1]
    lineage = {name: taxon.lineage[name] for name in kept if name in taxon.lineage}
    own = lineage[rank]
    return Taxon(
        taxon_key=own.key,
        accepted_key=own.key,
        scientific_name=own.name,
        rank=rank.upper(),
        status="ACCEPTED",
        lineage=lineage,
    )


def _hybrid(taxon: Taxon, *, name: str) -> Taxon:
    """A named hybrid of the genus: GBIF gives it rank SPECIES and a key of its own."""
    key = number("hybrid", name, digits=10)
    lineage = {**taxon.lineage, "species": Name(name=" ".join(name.split()[:3]), key=key)}
    return replace(taxon, taxon_key=key, accepted_key=key, scientific_name=name, lineage=lineage)


def _bin(taxon: Taxon, *, name: str) -> Taxon:
    """A cluster of barcodes below the family: rank UNRANKED, no genus and no species."""
    family = _above(taxon, rank="family")
    key = number("bin", name, digits=10)
    return replace(family, taxon_key=key, accepted_key=key, scientific_name=name, rank="UNRANKED")
