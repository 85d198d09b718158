"""`naturewatch list`: the species that were recorded at a place, for the terminal, a file, a page or a program."""

import argparse
import calendar
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ml.places.reading import PlaceError, place_of
from pipeline.errors import ListError, StorageError, TableError

if TYPE_CHECKING:
    from pipeline.config.settings import Settings
    from pipeline.dataset.manifest import DatasetManifest
    from pipeline.pages.place_list import Known, PlaceList
    from pipeline.registry.named_species import NamedSpecies

FORMATS: Final = (".csv", ".parquet", ".jsonl", ".html")
TOP: Final = 50
"""Species of each part of the list that a terminal shows."""
WIDTH: Final = 100
"""Columns where there is no terminal."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--place", type=_place, required=True, metavar="LAT,LON",
        help="where, in degrees, as in -41.29,174.78, or with letters, as in '41°17.4'S 174°46.8'E'",
    )  # fmt: skip
    parser.add_argument(
        "--radius", type=_radius, metavar="KM",
        help="how far around it (default 25, about the size of the cells within which iNaturalist obscures places)",
    )  # fmt: skip
    parser.add_argument(
        "--month", type=_month, metavar="MONTH", help="1 to 12, or a name: its records and those of its two neighbours "
        "count",
    )  # fmt: skip
    parser.add_argument(
        "--within", action="append", default=[], metavar="TAXON",
        help="name, key or lineage (as in 'Plantae > Morus') of a taxon; repeatable: species in one of them",
    )  # fmt: skip
    parser.add_argument("--top", type=_top, default=TOP, help=f"how many species to print (default {TOP})")
    parser.add_argument(
        "--names", type=Path, metavar="FILE.csv",
        help="common names: columns `scientific_name` or `taxon_key`, `common_name`, and `language` where it has one",
    )  # fmt: skip
    parser.add_argument("--language", default="en", help="which common names to take (default en)")
    parser.add_argument("--json", action="store_true", help="print the whole list as JSON")
    parser.add_argument(
        "--output",
        type=_output,
        metavar="FILE",
        help="write a table (.csv, .parquet, .jsonl) or a page (.html) instead",
    )


def run(settings: "Settings", options: argparse.Namespace) -> int:
    """Print or write the list of a place.

    Raises:
        TableError: there is no dataset yet.
        ListError: a taxon is unknown or ambiguous, or the table of common names cannot be used.
        StorageError: the file cannot be written.
    """
    from pipeline.dataset.manifest import DatasetManifest  # noqa: PLC0415 (as all that follows: only `list` needs it)
    from pipeline.pages.place_circle import Circle  # noqa: PLC0415
    from pipeline.pages.place_list import RADIUS_KM, place_list  # noqa: PLC0415
    from pipeline.registry.named_species import named_species  # noqa: PLC0415

    if not settings.paths.dataset_manifest.exists():
        raise TableError(f"there is no dataset in {settings.paths.data_root} yet: run `naturewatch run` first")
    manifest = DatasetManifest.read(settings.paths)
    latitude, longitude = options.place
    radius = RADIUS_KM if options.radius is None else options.radius
    model = named_species(settings, manifest)
    found = place_list(
        settings.paths,
        Circle(latitude=latitude, longitude=longitude, radius_km=radius),
        month=options.month,
        within=options.within,
        known=_known(settings, manifest, options, model),
        mapped=options.output is not None and options.output.suffix.lower() == ".html",
    )
    facts = {
        "scope": manifest.scope,
        "dataset_version": manifest.dataset_version,
        "model": model.version,
        "source": manifest.source,
        "doi": manifest.doi,
    }
    if options.output is not None:
        _write(found, options.output, facts=facts, settings=settings, model=model)
        listed = len(found.here) + len(found.other_months)
        print(f"{options.output}: {listed:,} species, and {len(found.near):,} near by")
    elif options.json:
        from pipeline.pages.place_rows import json_document  # noqa: PLC0415

        print(json.dumps(json_document(found, facts=facts), indent=2, ensure_ascii=False))
    else:
        _print(found, top=options.top, model=model.text, cite=f"Records: {manifest.source}")
    return 0


def _known(
    settings: "Settings", manifest: "DatasetManifest", options: argparse.Namespace, model: "NamedSpecies"
) -> "Known":
    from ml.serving.common_names import CommonNames, NameTableError  # noqa: PLC0415
    from pipeline.gbif.source import SourceRecord  # noqa: PLC0415
    from pipeline.pages.place_list import Known  # noqa: PLC0415
    from pipeline.pages.web_addresses import catalogue  # noqa: PLC0415

    try:
        names = CommonNames() if options.names is None else CommonNames.read(options.names, language=options.language)
    except NameTableError as error:
        raise ListError(str(error)) from error
    return Known(
        found_at=catalogue(SourceRecord.read(settings.paths), manifest.checklist_key),
        min_images=settings.split.min_images,
        named=model.keys,
        names=names,
    )


def _write(
    found: "PlaceList", path: Path, *, facts: dict[str, str | None], settings: "Settings", model: "NamedSpecies"
) -> None:
    try:
        if path.suffix.lower() == ".html":
            from pipeline.pages.place_page import write_place_page  # noqa: PLC0415

            write_place_page(found, path, paths=settings.paths, model=model.text)
        else:
            from pipeline.pages.place_rows import write_rows  # noqa: PLC0415

            write_rows(found, path, facts={name: value for name, value in facts.items() if value is not None})
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def _print(found: "PlaceList", *, top: int, model: str, cite: str) -> None:
    from rich.console import Console  # noqa: PLC0415

    from pipeline.commands.list_text import show  # noqa: PLC0415

    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=WIDTH, highlight=False)
    show(found, console=console, top=top, model=model, cite=cite)


def _place(text: str) -> tuple[float, float]:
    try:
        return place_of(text)
    except PlaceError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _radius(text: str) -> float:
    from pipeline.pages.place_circle import FARTHEST_KM  # noqa: PLC0415

    try:
        radius = float(text)
    except ValueError:
        radius = -1.0
    # Written so that not-a-number fails.
    if not 0 <= radius <= FARTHEST_KM:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no distance: 0 to 20,015 kilometres are, half way around the Earth"
        )
    return radius


def _month(text: str) -> int:
    word = text.strip().casefold()
    if word.isdecimal() and 1 <= int(word) <= 12:
        return int(word)
    found = [number for number in range(1, 13) if calendar.month_name[number].casefold().startswith(word)]
    if len(word) < 3 or len(found) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no month: write 1 to 12, or a name, as in May")
    return found[0]


def _top(text: str) -> int:
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of species: 1 or more is")
    return int(text)


def _output(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    return path
