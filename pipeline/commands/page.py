"""`naturewatch page`: prepares what the page shows of the dataset, and becomes the server of the page.

The page shows a few photographs of each species with their authors and licences. They are chosen from the tables of the
scope; where these are not there, as on a machine that has only the model, the page has no such photographs.
"""

import argparse
import importlib.util
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.errors import NatureWatchError
from pipeline.paths import PROJECT_ROOT, Paths

if TYPE_CHECKING:
    from pipeline.config.settings import Settings
    from pipeline.gbif.source import SourceRecord

SERVER: Final = "ml.page.run_page"
MOST: Final = 6
"""Photographs of a species."""
TABLES: Final = ("split", "photos", "taxonomy")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command; what is not given is left to the server."""
    parser.add_argument("--port", type=int, help="where to listen (default 7860; 0: any free port)")
    parser.add_argument("--host", help="at which address (default 127.0.0.1: for this machine only)")
    parser.add_argument("--alias", help="which version answers (default champion); it is followed when it moves")
    parser.add_argument("--names", metavar="FILE", help="a table of common names")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name that the server may be asked by"
    )
    parser.add_argument(
        "--allow-origin", action="append", default=[], metavar="ADDRESS", help="a site whose pages may ask the server"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the page in a browser")


def run(settings: "Settings", options: argparse.Namespace) -> int:
    """Serve the page until asked to end.

    Raises:
        RegistryError: MLflow's server does not answer.
    """
    from pipeline.tracking.server import check_answers  # noqa: PLC0415 (as all that follows: only this command needs it)

    check_answers(settings)
    return _become(SERVER, server_arguments(settings, options, examples=examples_of(settings.paths)))


def server_arguments(settings: "Settings", options: argparse.Namespace, *, examples: Path | None) -> list[str]:
    """The arguments of the server.

    Args:
        settings: Name the registry, the model and the data root.
        options: Of this command.
        examples: The table of example photographs, if there is one.
    """
    root = settings.paths.data_root
    arguments = ["--tracking-uri", settings.tracking_uri, "--model-name", settings.registry.model_name]
    if root.is_dir():
        arguments += ["--data-root", str(root), "--report", str(settings.paths.reports / "report.html")]
    if examples is not None:
        arguments += ["--examples", str(examples), "--photos", str(root)]
    for name in ("port", "host", "alias", "names"):
        value = getattr(options, name)
        arguments += [] if value is None else [f"--{name}={value}"]
    for name in ("allow_host", "allow_origin"):
        arguments += [f"--{name.replace('_', '-')}={value}" for value in getattr(options, name)]
    return [*arguments, *(["--no-browser"] if options.no_browser else [])]


def examples_of(paths: Paths) -> Path | None:
    """The table of example photographs, made anew where the tables of the dataset are newer.

    Returns:
        Its path; None where the tables are not there or cannot be read, which is said on standard error.
    """
    tables = [paths.table(name) for name in TABLES]
    if not all(table.exists() for table in (*tables, paths.current_download)):
        return None
    try:
        made = paths.page_examples.stat().st_mtime_ns
    except OSError:
        made = 0
    if made > max(table.stat().st_mtime_ns for table in (*tables, paths.current_download)):
        return paths.page_examples
    import duckdb  # noqa: PLC0415

    try:
        return prepare_examples(paths)
    except (NatureWatchError, OSError, duckdb.Error) as error:
        # What the page is for works without them.
        print(f"naturewatch: the page shows no example photographs: {error}", file=sys.stderr)
        return None


def prepare_examples(paths: Paths) -> Path:
    """Write `examples.parquet`: photographs of each species that training reads and that anyone may show.

    Columns, all texts: photo_id, taxon_key, species, path (below the data root), creator, licence, licence_url (null
    where it depends on the licence's version, which the tables do not keep) and link (null where no page shows the
    photograph).

    Raises:
        TableError: a table is missing or of another version of NatureWatch.
        OSError: the file cannot be written.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    from pipeline.config.licence_names import OPEN  # noqa: PLC0415
    from pipeline.files import atomic_path  # noqa: PLC0415
    from pipeline.gbif.source import SourceRecord  # noqa: PLC0415
    from pipeline.provenance.croissant import LICENCE_ADDRESSES  # noqa: PLC0415
    from pipeline.query import rows  # noqa: PLC0415

    source = SourceRecord.read(paths)
    found = rows(
        "example_photographs", inputs={name: paths.table(name) for name in TABLES},
        most=MOST, seed="page", licences=list(OPEN),
    )  # fmt: skip
    columns = ("photo_id", "taxon_key", "species", "path", "creator", "licence", "licence_url", "link")
    examples = [
        {**row, "licence_url": LICENCE_ADDRESSES.get(row["licence"]), "link": _link(source, row) or None}
        for row in found
    ]
    with atomic_path(paths.page_examples) as partial:
        pq.write_table(
            pa.Table.from_pylist(examples, schema=pa.schema([(name, pa.string()) for name in columns])), partial
        )
    return paths.page_examples


def _link(source: "SourceRecord", row: dict[str, Any]) -> str:
    """The page of the observation, or of the record; empty where there is none."""
    from pipeline.pages.web_addresses import observation_address, photo_address, record_address  # noqa: PLC0415

    if source.mode == "replica":
        return ""
    return (
        observation_address(source, row["observation_id"], row["url"])
        or record_address(source, row["occurrence_key"])
        or photo_address(source, row["url"])
    )


def _become(module: str, arguments: Sequence[str]) -> int:
    """Run a module of `ml` as `python -m` does, in this process."""
    if importlib.util.find_spec(module.split(".", maxsplit=1)[0]) is None:
        sys.path.insert(0, str(PROJECT_ROOT))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")])
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0
