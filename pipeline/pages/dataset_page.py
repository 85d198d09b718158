"""The dataset page: one HTML file that needs nothing else, with its pictures beside it as PNG."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pipeline.config.settings import Settings
from pipeline.dataset.leakage import DISTANCE
from pipeline.dataset.manifest import DatasetManifest
from pipeline.files import write_bytes
from pipeline.pages.charts import long_tail, rejections_chart
from pipeline.pages.photo_sheets import leaked_pairs, licences, observation_map, species_per_class, taxon_sheets
from pipeline.paths import Paths
from pipeline.query import rows

MEANING = {
    "unreadable_line": "A line of the archive that is no row of its file.",
    "no_gbif_id": "A line of the archive that does not say which record it belongs to.",
    "duplicate_occurrence": "The record came more than once; one copy stays.",
    "absent": "The record says that the organism was looked for and not found.",
    "out_of_scope": "Of another dataset, taxon, country, year or licence than source asks for.",
    "no_taxonomy": "GBIF found no taxon for the name.",
    "other_checklist": "The record follows another taxonomy and the crosswalk does not lead from it.",
    "hybrid": "A cross of two species is neither of them.",
    "bold_bin": "A cluster of DNA barcodes, not a species that a person has named.",
    "provisional_name": "An open name, such as sp., cf. or aff., or an identification in doubt.",
    "higher_rank_match": "GBIF knows only a genus, family or higher group of the name.",
    "above_species": "Identified to a genus, family or higher group.",
    "doubtful_match": "GBIF is not sure which species the name stands for.",
    "missing_species_key": "The species has no key.",
    "missing_species_name": "The species has no name.",
    "unusual_taxonomy": "A rank between kingdom and species is missing (taxonomy.unusual: drop).",
    "no_address": "The photograph has no address.",
    "not_image": "A sound, a film or a document.",
    "not_jpeg": "A picture of another format than JPEG.",
    "unsupported_address": "The address cannot be fetched from.",
    "licence": "The licence is not among the allowed ones (photos.licences).",
    "conflicting_address": "The same photograph stands under two species; neither is believed.",
    "duplicate_address": "The photograph is listed already, mostly by another record.",
    "rare_species": "The species has too few photographs to be kept, so they are not fetched (photos.skip_rare).",
    "no_photo": "The observation is left without a photograph to fetch.",
    "gone": "The photograph is no longer where it was.",
    "corrupt": "The picture is damaged or ends too early.",
    "too_large": "The picture has more bytes or pixels than allowed (photos.max_bytes, photos.max_pixels).",
    "blocked": "The address leads into a private network.",
    "failed": "The host did not deliver; the next run asks again.",
    "unknown_occurrence": "The photograph's observation was removed after it was fetched.",
    "conflicting_photo": "The same bytes stand under two species; neither is believed.",
    "duplicate_photo": "The same bytes are there already.",
    "observation_cap": "The observation has enough photographs (split.photos_per_observation).",
    "too_few_images": "The species has fewer photographs than split.min_images.",
    "species_cap": "The species has enough photographs (split.photos_per_species).",
}
"""What each rule and each status of the ledger means, for people."""


@dataclass(frozen=True, kw_only=True)
class DatasetPage:
    """What was written."""

    html: Path
    pictures: Mapping[str, bytes]
    """Title -> PNG."""


def build_dataset_page(paths: Paths, settings: Settings, *, taxa: Sequence[str] = ()) -> DatasetPage:
    """Write `reports/dataset/index.html` and its pictures.

    Args:
        paths: Where the files of the scope lie.
        settings: `split.seed` chooses the photographs of the contact sheets.
        taxa: Names or keys of the taxa to show; default the families with the most photographs.

    Raises:
        TableError: the dataset is not built yet, or a taxon is unknown.
    """
    manifest = DatasetManifest.read(paths)
    sheets = taxon_sheets(paths, taxa=taxa, seed=settings.split.seed)
    pictures = {
        "species-per-class": ("Species per class", species_per_class(paths)),
        "long-tail": ("Photographs per species", long_tail(paths)),
        "map": ("Where the observations were made", observation_map(paths)),
        "licences": ("Photographs per licence", licences(paths)),
        "rejections": ("What each rule removed", rejections_chart(paths)),
        "leakage": ("Near-identical photographs on both sides", leaked_pairs(paths)),
        **{f"taxon-{sheet.node_id}": (sheet.title, sheet.picture) for sheet in sheets},
    }
    folder = paths.reports / "dataset"
    # Sheets of taxa that were asked for an earlier time would look as if they belonged to this page.
    for old in folder.glob("taxon-*.png"):
        old.unlink()
    for name, (_, png) in pictures.items():
        write_bytes(folder / f"{name}.png", png)
    html = write_bytes(folder / "index.html", _html(paths, settings, manifest, pictures).encode())
    return DatasetPage(html=html, pictures=dict(pictures.values()))


def _html(
    paths: Paths, settings: Settings, manifest: DatasetManifest, pictures: Mapping[str, tuple[str, bytes]]
) -> str:
    counts = manifest.counts
    facts = {
        "species": counts["species"],
        "photographs": counts["split"],
        "for training": counts["train"],
        "for validation": counts["validation"],
        "for the genus stage": counts["genus_photos"],
    }
    figures = {
        name: f'<figure id="{name}"><h2>{escape(title)}</h2><img alt="{escape(title)}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}"></figure>'
        for name, (title, png) in pictures.items()
    }
    sheets = "".join(figure for name, figure in figures.items() if name.startswith("taxon-"))
    changes = rows("taxonomy_changes", inputs={"taxonomy_diff": paths.table("taxonomy_diff")})
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>NatureWatch dataset {escape(manifest.dataset_version)}</title><style>{_STYLE}</style></head><body>
<header><h1>Dataset of the scope {escape(settings.name)}</h1>
<p>Version <code>{escape(manifest.dataset_version)}</code>. Source: {escape(manifest.source)}.</p>
<ul class="facts">{"".join(f"<li><b>{number:,}</b>{name}</li>" for name, number in facts.items())}</ul></header>
<main><div class="pair">{figures["species-per-class"]}{figures["map"]}</div>
<div class="pair">{figures["long-tail"]}{figures["licences"]}</div>
{figures["rejections"]}
{_table(("stage", "rule", "rows", "meaning"), _rules(manifest))}
<h2>The split</h2>
{_table(("unit", "species without training", "species without validation"), _gaps(manifest))}
{figures["leakage"]}
<p>{_leakage(manifest)}</p>
<h2>Changes since the last taxonomy</h2>
{_table(("rank", "change", "taxa"), ((row["rank"], row["change"], f"{row['taxa']:,}") for row in changes))}
{sheets}</main></body></html>
"""


def _rules(manifest: DatasetManifest) -> Iterable[tuple[str, ...]]:
    for stage, rules in manifest.rejections.items():
        for rule, number in rules.items():
            yield stage.replace("_", " "), rule.replace("_", " "), f"{number:,}", MEANING.get(rule, "")


def _gaps(manifest: DatasetManifest) -> Iterable[tuple[str, ...]]:
    for unit, sides in manifest.gaps.items():
        yield unit, f"{len(sides['without_training']):,}", f"{len(sides['without_validation']):,}"


def _leakage(manifest: DatasetManifest) -> str:
    found = manifest.leakage
    share = found["leaked"] / found["validation"] if found["validation"] else 0.0
    return (
        f"{found['leaked']:,} of {found['validation']:,} validation photographs ({share:.2%}) look like a training "
        f"photograph: their fingerprints differ in at most {DISTANCE} of 64 bits. {found['pairs']:,} pairs, of them "
        f"{found['pairs'] - found['same_species']:,} under two species."
    )


def _table(columns: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


_STYLE = """
body { margin: 0 auto; max-width: 1180px; padding: 24px; color: #22302a; background: #fff;
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 17px; margin: 28px 0 8px }
header p { color: #55615b; margin: 4px 0 16px }
.facts { display: flex; flex-wrap: wrap; gap: 12px; list-style: none; padding: 0 }
.facts li { background: #f1f4ef; border-radius: 8px; padding: 10px 18px; color: #55615b }
.facts b { display: block; font-size: 22px; color: #2f6b4f }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 0 28px;
  align-items: start }
figure { margin: 0 } img { max-width: 100%; height: auto }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: 4px 12px 4px 0; border-bottom: 1px solid #e3e8e4; vertical-align: top }
th { color: #55615b; font-weight: 600 }
"""
