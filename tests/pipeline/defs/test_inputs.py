"""What an asset reads is what its `deps` name: it runs, with the same outcome, where nothing else is there."""

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from ml.spec import RANKS, NetworkName, TrackingSpec
from pipeline import query
from pipeline.comparison.networks import NETWORKS
from pipeline.config.settings import Settings
from pipeline.definitions import defs
from pipeline.defs.metadata import code_version
from pipeline.launching import specs
from pipeline.production import production_specs
from pipeline.production.production_specs import Ancestor
from tests.mlflow_stores import empty_store
from tests.pipeline import tiny, trained
from tests.pipeline.dataset.test_pack import jpeg

GRAPH = defs.resolve_asset_graph()
CHOSEN = dg.AssetSelection.groups("ingest", "dataset").resolve(GRAPH)
STEPS = {
    "taxonomy_history" if names <= {"class_map", "taxonomy_diff"} else min(names, key="occurrences".__ne__): names
    for names in (
        frozenset({"occurrences", "media"}),
        frozenset({"class_map", "taxonomy_diff"}),
        *(
            frozenset({key.to_user_string()})
            for key in GRAPH.toposorted_asset_keys
            if key in CHOSEN and key.to_user_string() not in {"occurrences", "media", "class_map", "taxonomy_diff"}
        ),
    )
}
"""The functions of ingest and dataset by name, each with the assets that it writes."""
CONDITIONAL = {
    "changes": {"corrected"},
    "clean_occurrences": {
        "absent_taxa", "occurrence_translation", "correction_verdicts", "corrected_verdicts", "unusable_corrections",
    },
    "photo_index": {"photo_corrections", "corrected_photos", "unusable_corrections"},
    "dataset_page": {
        "leakage_examples", "same_photographs", "changes_species", "changes_replaced", "changed_photographs",
        "corrected_photographs", "taxonomy_changes", "changed_species", "drift_distances", "drift_moves",
    },
    "drift": {"drift_distances"},
}  # fmt: skip
"""Queries that only some scopes need: those with corrections, with named taxa, with leaked photographs, with a
crosswalk, with a trained network, or with an earlier snapshot or taxonomy."""


class Runs:
    """Every asset of ingest and dataset, materialised one by one on twelve photographs of one's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "data"
        self.written: dict[str, set[Path]] = {}
        self.queries: dict[str, set[str]] = {}
        self.versions: dict[str, str] = {}
        self.scope = folder / "scope.yaml"
        _photographs(folder / "mine")
        source = f"source: {{mode: folder, folder: {folder}/mine/photos.csv}}"
        self.scope.write_text(f"name: own\ndata_root: {self.root}\n{source}\nsplit: {{min_images: 4}}\n")

    def materialise(self, step: str, *, root: Path) -> dict[str, str]:
        """Materialise what one function writes, below `root`, and return the data versions."""
        keys = {dg.AssetKey(name) for name in STEPS[step]}
        job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=keys, asset_check_selection=set())
        with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
            patch.setenv("NATUREWATCH_CONFIG", str(self.scope))
            patch.setenv("NATUREWATCH__DATA_ROOT", str(root))
            result = job.execute_in_process(instance=instance, raise_on_error=True)
        found = {}
        for event in result.get_asset_materialization_events():
            tags = event.materialization.tags or {}
            found[event.materialization.asset_key.to_user_string()] = tags[DATA_VERSION_TAG]
        return found

    def materialise_all(self) -> None:
        """From nothing, in order; remember which files each function wrote and which queries it ran."""
        order = [key.to_user_string() for key in GRAPH.toposorted_asset_keys]
        for step in sorted(STEPS, key=lambda step: max(map(order.index, STEPS[step]))):
            ran: set[str] = set()
            before = _state(self.root)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(query, "select", _recording(query.select, ran))
                self.versions |= self.materialise(step, root=self.root)
            self.queries[step] = ran
            self.written[step] = {path for path, facts in _state(self.root).items() if before.get(path) != facts}


def _recording(select: Any, ran: set[str]) -> Any:  # noqa: ANN401
    def recorded(name: str) -> str:
        ran.add(name)
        return str(select(name))

    return recorded


def _state(root: Path) -> dict[Path, tuple[int, int]]:
    files = [path for path in root.rglob("*") if path.is_file()] if root.exists() else []
    return {path.relative_to(root): (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def _photographs(folder: Path) -> None:
    """Two species with enough photographs and one without, a genus apart, and a file that is no photograph."""
    folder.mkdir()
    lineage = ("Animalia", "Chordata", "Aves", "Psittaciformes", "Strigopidae")
    species = {"Nestor notabilis": 6, "Strigops habroptila": 5, "Nestor meridionalis": 2}
    lines = [",".join(("path", *RANKS, "observation"))]
    for name, number in species.items():
        for each in range(number):
            path = f"{name.replace(' ', '-')}-{each}.jpg"
            (folder / path).write_bytes(jpeg(64, 48, seed=len(lines)))
            lines.append(",".join((path, *lineage, name.partition(" ")[0], name, f"o{len(lines)}")))
    (folder / "page.jpg").write_bytes(b"<html>")
    lines += [
        ",".join(("page.jpg", *lineage, "Nestor", "Nestor notabilis", "o90")),
        ",".join(("page.jpg", *lineage, "Nestor", "", "o91")),
    ]
    (folder / "photos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    found = Runs(tmp_path_factory.mktemp("own"))
    found.materialise_all()
    return found


def parents(name: str) -> set[str]:
    return {key.to_user_string() for key in GRAPH.get(dg.AssetKey(name)).parent_keys}


@pytest.mark.parametrize("step", [step for step in STEPS if step != "gbif_download"])
def test_an_asset_needs_what_its_deps_wrote_and_nothing_else(runs: Runs, tmp_path: Path, step: str) -> None:
    named = set().union(*map(parents, STEPS[step]))
    for other, names in STEPS.items():
        if names & named:
            for path in runs.written[other]:
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(runs.root / path, tmp_path / path)
    versions = runs.materialise(step, root=tmp_path)
    assert versions == {name: runs.versions[name] for name in STEPS[step]}


@pytest.mark.parametrize(
    ("step", "dep"),
    [
        ("photo_index", "media"), ("changes", "clean_occurrences"), ("species", "clean_occurrences"),
        ("split", "taxonomy"), ("manifest", "leakage"), ("taxonomy_history", "clean_occurrences"),
    ],
)  # fmt: skip
def test_what_a_dep_wrote_is_read(runs: Runs, tmp_path: Path, step: str, dep: str) -> None:
    (own,) = (other for other, names in STEPS.items() if dep in names)
    for other, names in STEPS.items():
        if other not in {own, step} and names & set().union(*map(parents, STEPS[step])):
            for path in runs.written[other]:
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(runs.root / path, tmp_path / path)
    for path in runs.written[own]:
        if "work" not in path.parts:
            (tmp_path / path).unlink(missing_ok=True)
    with pytest.raises(Exception, match=r"missing|cannot read|No such file"):
        runs.materialise(step, root=tmp_path)


@pytest.mark.parametrize("step", STEPS)
def test_the_queries_that_an_asset_runs_and_no_others_are_in_its_code_version(runs: Runs, step: str) -> None:
    queries = runs.queries[step] | CONDITIONAL.get(step, set())
    for asset in STEPS[step]:
        version = GRAPH.get(dg.AssetKey(asset)).code_version or ""
        python = version.partition("-")[0]
        expected = code_version(*queries, python=int(python)) if queries else python
        assert version == expected, f"{step} runs {', '.join(sorted(queries)) or 'no query'}"


def test_the_code_version_follows_the_text_of_each_query_and_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_version("species", "photo_verdicts", python=1)
    assert code_version("photo_verdicts", "species", python=1) == before
    assert code_version("photo_verdicts", "species", python=2) != before
    select = query.select
    monkeypatch.setattr(
        "pipeline.defs.metadata.select", lambda name: select(name) + (" limit 1" if name == "photo_verdicts" else "")
    )
    assert code_version("species", "photo_verdicts", python=1) != before


INPUTS = {"split": "split", "taxonomy": "taxonomy", "photos": "training_photos", "rare_photos": "genus_photos"}
"""Fields of a training's specification that are files of the dataset, with the asset that writes them."""


@pytest.mark.parametrize("network", ["baseline", "baseline_matched", "multi_view", "genus_stage", "knowledge_transfer"])
def test_a_network_depends_on_all_that_its_specification_names(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, network: NetworkName
) -> None:
    manifest = trained.dataset(settings.paths)
    empty_store(settings.paths.mlflow_database)
    monkeypatch.setattr(specs, "tracking_spec", lambda *_, **__: TrackingSpec(
        uri="", experiment="", parent_run_id="", stage=network))  # fmt: skip
    (spec,) = specs.train_specs(settings, manifest, network=network, seed=1, tags={})
    read = {asset for field, asset in INPUTS.items() if getattr(spec, field) is not None}
    if spec.parent is not None:
        read.add(spec.parent.relative_to(settings.paths.data_root / "models").parts[0])
    assert read | {"manifest"} == parents(network)


def test_production_depends_on_all_that_its_trainings_read(settings: Settings, with_store: None) -> None:
    manifest = trained.dataset(settings.paths)
    tiny.write(settings.paths, "clean_occurrences", [])
    asked: dict[str, Any] = {"network": "knowledge_transfer", "tags": {}, "workers": None}
    champion = Ancestor(
        version="1", network=Path("n"), weights=Path("w"), taxonomy=settings.paths.table("taxonomy"), identity="i"
    )
    continued = production_specs.continued_spec(settings, manifest, ancestor=champion, **asked)
    every = [*production_specs.full_specs(settings, manifest, **asked), continued]
    read = {asset for field, asset in INPUTS.items() for spec in every if getattr(spec, field) is not None}
    of_class_map = {"clean_occurrences", "taxonomy", "class_map"}
    of_research = {*NETWORKS, *(f"specificity_{name}" for name in NETWORKS), "comparison"}
    assert read | of_class_map | of_research | {"manifest"} == parents("production")
