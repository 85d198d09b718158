"""The dataset page: one HTML file that needs no other, made from a template, the tables and their pictures."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.settings import Settings
from pipeline.dataset.leakage import DISTANCE
from pipeline.dataset.manifest import DatasetManifest
from pipeline.files import write_bytes
from pipeline.pages.charts import licences, long_tail, observation_map, rejections_chart, species_per_class
from pipeline.pages.photo_sheets import leaked_pairs, taxon_sheets
from pipeline.paths import Paths
from pipeline.query import rows

MEANING = {
    "unreadable_line": "A line of the archive that is not a row of its file.",
    "no_gbif_id": "A line of the archive that does not say which record it belongs to.",
    "duplicate_occurrence": "The record came more than once; one copy is kept.",
    "absent": "The record says that the organism was looked for and not found.",
    "out_of_scope": "Outside the dataset, taxa, country, years or licences that the configuration asks for (source).",
    "no_taxonomy": "GBIF found no taxon for the name.",
    "other_checklist": "The record follows another taxonomy, and the crosswalk does not translate it.",
    "hybrid": "A cross of two species is neither of them.",
    "bold_bin": "A cluster of DNA barcodes, not a named species.",
    "provisional_name": "An open name, such as sp., cf. or aff., or an uncertain identification.",
    "higher_rank_match": "GBIF matched only the genus, family or a higher group of the name.",
    "above_species": "Identified to a genus, family or higher group.",
    "doubtful_match": "GBIF is not sure which species the name means.",
    "missing_species_key": "The species has no key.",
    "missing_species_name": "The species has no name.",
    "unusual_taxonomy": "A rank between kingdom and species is missing (taxonomy.unusual: drop).",
    "no_address": "The photograph has no address.",
    "not_image": "A sound, a film or a document.",
    "not_jpeg": "An image in another format than JPEG.",
    "unsupported_address": "An address that nothing can be fetched from.",
    "licence": "The licence is not among the allowed ones (photos.licences).",
    "conflicting_address": "The same photograph is listed under two species; neither is used.",
    "duplicate_address": "The photograph is listed already, mostly by another record.",
    "rare_species": "The species has too few photographs to be kept, so they are not fetched (photos.skip_rare).",
    "no_photo": "The observation has no photograph left to fetch.",
    "gone": "The photograph is no longer at its address.",
    "corrupt": "The image is damaged or cut short.",
    "too_large": "The image has more bytes or pixels than allowed (photos.max_bytes, photos.max_pixels).",
    "blocked": "The address leads into a private network.",
    "failed": "The host did not deliver it; the next run tries again.",
    "unknown_occurrence": "The observation of the photograph was removed after the photograph was fetched.",
    "conflicting_photo": "The same bytes are listed under two species; neither is used.",
    "duplicate_photo": "The same bytes are in the dataset already.",
    "observation_cap": "The observation has enough photographs (split.photos_per_observation).",
    "too_few_images": "The species has fewer photographs than split.min_images.",
    "species_cap": "The species has enough photographs (split.photos_per_species).",
}
"""What each rule, and each status of the ledger, means for people."""


@dataclass(frozen=True, kw_only=True)
class DatasetPage:
    """The files of one dataset page."""

    html: Path
    pictures: Mapping[str, Path]
    """PNG files by title."""


def build_dataset_page(paths: Paths, settings: Settings, *, taxa: Sequence[str] = ()) -> DatasetPage:
    """Write `reports/dataset/index.html`, and its pictures where they are not up to date.

    Args:
        paths: The files of the scope.
        settings: `split.seed` chooses the photographs of the contact sheets.
        taxa: Names or keys of the taxa to show; default the families with the most photographs.

    Raises:
        TableError: the dataset is not built yet, or a taxon is unknown.
    """
    manifest = DatasetManifest.read(paths)
    sheets = taxon_sheets(paths, taxa=taxa, seed=settings.split.seed)
    charts = {
        "Species per class": species_per_class(paths),
        "Photographs per licence": licences(paths),
        "Photographs per species": long_tail(paths),
        "What each rule removed": rejections_chart(paths),
        "Where the observations were made": observation_map(paths),
    }
    pairs = {"Near-identical photographs": leaked_pairs(paths)} if manifest.leakage["pairs"] else {}
    folder = paths.reports / "dataset"
    # Sheets of taxa of an earlier page would look as if they belonged to this one.
    for old in set(folder.glob("taxon-*.png")).difference(sheet.picture for sheet in sheets):
        old.unlink()
    html = _rendered(
        "dataset_page.html",
        scope=settings.name,
        manifest=manifest,
        meaning=MEANING,
        distance=DISTANCE,
        changes=rows("taxonomy_changes", inputs={"taxonomy_diff": paths.table("taxonomy_diff")}),
        charts=charts,
        pairs=pairs,
        sheets=sheets,
    )
    pictures = {**charts, **pairs, **{sheet.title: sheet.picture for sheet in sheets}}
    return DatasetPage(html=write_bytes(folder / "index.html", html.encode()), pictures=pictures)


def _rendered(template: str, **facts: object) -> str:
    """A page of `templates/`; all that is inserted is escaped."""
    # Every step of a run imports this module, and one of them writes a page.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("pipeline.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = "{:,}".format
    environment.filters["data_url"] = _data_url
    return environment.get_template(template).render(facts)


def _data_url(png: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}"
