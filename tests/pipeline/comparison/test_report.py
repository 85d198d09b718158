"""Four networks side by side: Table 1, the paper's numbers, differences on the same photographs, files and MLflow."""

import dataclasses
import functools
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image
from playwright.sync_api import Browser

from ml.spec import NetworkName
from pipeline.comparison.networks import NETWORKS, best_network
from pipeline.comparison.place_tables import local_sentence
from pipeline.comparison.report import Comparison, build_comparison
from pipeline.config.settings import Settings, SpecificitySettings, TrainingSettings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import TableError
from pipeline.launching.specs import calibrated, trained
from pipeline.tracking.runs import client, comparison_run, dataset_run
from tests.pipeline.pages.browser import chromium, opened
from tests.pipeline.place_results import accuracy_rows, give_places
from tests.pipeline.report_pages import cells, stumbling_blocks
from tests.pipeline.trained import PHOTOS, dataset, train, train_all

SKILLS: dict[NetworkName, float] = {
    "baseline": 1.5, "baseline_matched": 2.0, "multi_view": 4.0, "knowledge_transfer": 3.0
}  # fmt: skip


Compared = Callable[[int], tuple[Settings, DatasetManifest, Comparison]]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A comparison of so many seeds; each is made once."""

    @functools.cache
    def make(repeats: int) -> tuple[Settings, DatasetManifest, Comparison]:
        training, specificity = TrainingSettings(repeats=repeats), SpecificitySettings(target=0.8)
        folder = tmp_path_factory.mktemp("compared")
        settings = Settings(name="test", data_root=folder, training=training, specificity=specificity)
        manifest = dataset(settings.paths)
        train_all(settings, manifest, SKILLS)
        return settings, manifest, build_comparison(settings, manifest)

    return make


def test_one_seed_has_intervals_over_photographs(compared: Compared) -> None:
    settings, manifest, found = compared(1)
    rows = {(row["network"], row["quantity"]): row for row in pq.read_table(found.tables[0]).to_pylist()}
    top1 = rows["multi_view", "top1"]
    assert top1["value"] == trained(settings, manifest, network="multi_view").metrics["top1"]
    assert top1["low"] < top1["value"] < top1["high"]
    assert (top1["interval_over"], top1["seeds"], top1["paper"]) == ("photographs", 1, 0.548)
    assert rows["baseline_matched", "top1"]["paper"] is None
    assert rows["baseline", "train_top1"]["paper"] is None
    assert rows["knowledge_transfer", "gap"]["paper"] == pytest.approx(0.02)
    for network in NETWORKS:
        values = {name: rows[network, name]["value"] for name in ("top1", "train_top1", "gap")}
        assert values["gap"] == pytest.approx(values["train_top1"] - values["top1"])
        depth, incl_root = (rows[network, f"specificity_depth{end}"]["value"] for end in ("", "_incl_root"))
        assert incl_root == depth + 1
        assert found.metrics[f"top1/{network}"] == values["top1"]
    page = found.page.read_text(encoding="utf-8")
    assert "Clopper-Pearson" in page
    assert "| two views | 54.8 % | 68.2 % | 13.4 % | 90.0 % | 4.96 |" in page.partition("## What the paper reports")[2]
    assert best_network(settings, manifest) == "multi_view"


def test_several_seeds_have_intervals_over_seeds(compared: Compared) -> None:
    settings, manifest, found = compared(3)
    assert settings.training.seeds == (2017, 2018, 2019)
    rows = {(row["network"], row["quantity"]): row for row in pq.read_table(found.tables[0]).to_pylist()}
    each = [trained(settings, manifest, network="baseline", seed=seed).metrics["top1"] for seed in (2017, 2018, 2019)]
    assert rows["baseline", "top1"]["value"] == pytest.approx(sum(each) / 3)
    assert {row["interval_over"] for row in rows.values()} == {"seeds"}
    assert "over 3 seeds (Student's t)" in found.page.read_text(encoding="utf-8")
    differences = pq.read_table(found.tables[1]).to_pylist()
    assert all(row["low_over_seeds"] < row["difference"] < row["high_over_seeds"] for row in differences)
    by_target = pq.read_table(found.tables[2])
    assert by_target["low"].null_count == 0


def test_a_better_network_is_better_on_the_same_photographs(compared: Compared) -> None:
    _, _, found = compared(2)
    rows = {(row["network"], row["other"]): row for row in pq.read_table(found.tables[1]).to_pylist()}
    assert rows["multi_view", "baseline"]["low"] > 0
    assert rows["knowledge_transfer", "multi_view"]["high"] < 0
    for row in rows.values():
        assert row["difference"] == pytest.approx(row["gained"] - row["lost"])
        assert row["photos"] == PHOTOS


def test_depth_falls_with_the_target_and_sizes_add_up(compared: Compared) -> None:
    _, _, found = compared(1)
    by_target = pq.read_table(found.tables[2])
    for network in NETWORKS:
        own = by_target.filter(pc.equal(by_target["network"], network)).sort_by("target")
        depths = own["depth"].to_pylist()
        assert len(depths) > 20
        assert depths == sorted(depths, reverse=True)
    rows = pq.read_table(found.tables[3]).to_pylist()
    for network in NETWORKS:
        own_rows = [row for row in rows if row["network"] == network and row["side"] == "validation"]
        assert [row["size"] for row in own_rows] == ["1_to_9", "10_to_19", "20_to_49", "50_to_99"]
        assert sum(row["photos"] for row in own_rows) == PHOTOS
        assert all(row["low"] <= row["value"] <= row["high"] for row in own_rows)


def test_pictures_are_pictures(compared: Compared) -> None:
    _, _, found = compared(1)
    page = found.page.read_text(encoding="utf-8")
    for path in found.pictures.values():
        assert f"(comparison/{path.name})" in page
        with Image.open(BytesIO(path.read_bytes())) as picture:
            assert picture.format == "PNG"
            assert picture.width > 800


def test_networks_that_know_places_are_told_with_what_these_add(compared: Compared, tmp_path: Path) -> None:
    settings, manifest, before = compared(1)
    for file in (before.page, before.html):
        assert "Place and season" not in file.read_text("utf-8")
    shutil.copytree(settings.data_root, tmp_path / "copy")
    settings = Settings(
        name="test", data_root=tmp_path / "copy", training=settings.training, specificity=settings.specificity
    )
    found = calibrated(settings, manifest, network="multi_view")
    give_places(found, found.report.parent)
    after = build_comparison(settings, manifest)
    told = local_sentence([dataclasses.asdict(one) for one in accuracy_rows()])
    text = after.page.read_text("utf-8").partition("## Place and season")[2].partition("![")[0]
    for line in (
        "| two views | the photograph alone | 50.0 % (47.0 to 53.0) |  | 90.5 % (89.0 to 92.0) | 6.25 |",
        "| two views | with its place and date | 57.0 % (54.0 to 60.0) | +7.0 (+5.0 to +9.0) | 90.5 % (89.0 to 92.0) |",
        f"*two views*: {told}",
    ):
        assert line in text
    assert "one view (baseline)" not in text
    page = after.html.read_text("utf-8").partition('<section aria-labelledby="places">')[2].partition("</section>")[0]
    assert page.count("data:image/png") == 1
    assert told in page
    assert "57.0\N{NO-BREAK SPACE}%<br>" in page


def test_other_photographs_cannot_be_compared(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    manifest = dataset(settings.paths)
    train_all(settings, manifest, SKILLS)
    file = trained(settings, manifest, network="multi_view").predictions
    pq.write_table(pq.read_table(file).slice(1), file)
    with pytest.raises(TableError, match="multi_view was validated on other photographs"):
        build_comparison(settings, manifest)


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_the_comparison_is_a_run_of_its_own_found_again(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    manifest = dataset(settings.paths)
    page = settings.paths.reports / "comparison.md"
    page.parent.mkdir(parents=True)
    page.write_text("# one\n")
    picture = page.with_suffix(".png")
    picture.write_bytes(b"png")

    def log(top1: float) -> str:
        return comparison_run(
            settings, manifest, version="c1", metrics={"top1/baseline": top1}, files=[page, picture],
            tags={"dagster.run_id": "one"},
        )  # fmt: skip

    first, again = log(0.5), log(0.6)
    assert first == again
    connected = client(settings)
    run = connected.get_run(first)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"top1/baseline": 0.6}
    assert run.data.tags["mlflow.parentRunId"] == dataset_run(settings, manifest, tags={})
    assert {file.path for file in connected.list_artifacts(first)} == {"comparison.md", "figures"}


def test_the_first_seed_decides_which_network_is_released(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(training={"repeats": 2})
    manifest = dataset(settings.paths)
    for network, skill in SKILLS.items():
        train(settings, manifest, network=network, seed=2017, skill=skill)
        train(settings, manifest, network=network, seed=2018, skill=5.5 - skill)
    assert best_network(settings, manifest) == "multi_view"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_the_page_can_be_read_by_everyone_on_every_screen(compared: Compared, browser: Browser) -> None:
    _, _, found = compared(1)
    assert stumbling_blocks(browser, found.html) == []


def test_the_page_says_what_the_tables_say(compared: Compared, browser: Browser) -> None:
    _, _, found = compared(1)
    summary = {(row["network"], row["quantity"]): row for row in pq.read_table(found.tables[0]).to_pylist()}
    shown = opened(browser, found.html)
    page = shown.page
    assert found.verdict in " ".join(page.locator(".verdict").inner_text().split())
    rows = {row[0]: row[1:] for row in cells(page, "Table 1, first part")}
    for name, network in NETWORKS.items():
        top1 = summary[name, "top1"]
        span = f"{100 * top1['low']:.1f} to {100 * top1['high']:.1f}"
        assert rows[network.title][0] == f"{100 * top1['value']:.1f} % {span}"
    depths = {row[0]: row[2] for row in cells(page, "Table 1, second part")}
    for name, network in NETWORKS.items():
        assert depths[network.title] == f"{summary[name, 'specificity_depth']['value']:.2f}"
    changes = cells(page, "Differences of validation top-1")
    for row, cell_texts in zip(pq.read_table(found.tables[1]).to_pylist(), changes, strict=True):
        span = f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
        assert cell_texts[2] == f"{100 * row['difference']:+.1f} {span}"
    assert cells(page, "The paper's Table 1")[0][1] == "46.6 %"
    assert page.locator("figure img").count() == len(found.pictures)
    links = page.locator("#runs ~ .scroll a").all()
    assert len(links) == 2 * len(NETWORKS)
    assert all("workflowType=machine_learning" in (link.get_attribute("href") or "") for link in links)
    assert shown.complaints == []


def test_several_seeds_are_shown_with_their_intervals(compared: Compared, browser: Browser) -> None:
    _, _, found = compared(2)
    page = opened(browser, found.html).page
    (first, *_) = cells(page, "Differences of validation top-1")
    row = pq.read_table(found.tables[1]).to_pylist()[0]
    assert first[3] == f"{100 * row['low_over_seeds']:+.1f} to {100 * row['high_over_seeds']:+.1f}"
    assert len(cells(page, "Trainings and calibrations")) == 2 * len(NETWORKS)
