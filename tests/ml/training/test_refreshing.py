"""A refresh: the end of a recipe's schedule, from a trained network under an earlier tree, through the real command."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from ml.__main__ import main
from ml.images.augmentation import Augmentation
from ml.networks.description import HeadName
from ml.networks.network import load
from ml.spec import RESULT_FILE, NetworkName, TrainResult, TrainSpec, WarmStart
from ml.taxonomy import Taxonomy
from ml.training.recipes import FROZEN, RECIPES, Probe, Recipe, Segment, rate_at, recipe_of
from ml.training.refreshing import refreshed
from ml.training.start import first_network
from tests.ml.networks.trees import Link, written
from tests.ml.world import World

QUICK = Recipe(
    name="quick", batch=4, optimiser="adamw", eps=1e-8, weight_decay=0.01, dropout=0.0, batch_norm_momentum=0.1,
    batch_norm_eps=None, batch_norm_frozen=True, probe=Probe(views=1, weight_decay=0.01, iterations=6),
    augmentation=Augmentation(), segments=(Segment(epochs=2, rate=1e-3), Segment(epochs=1, rate=1e-4)),
)  # fmt: skip
LINKS: list[Link] = [(0, 0, "same", 6), (1, 1, "same", 6), (None, 2, "new", 0)]


@pytest.mark.parametrize(
    ("network", "segments"),
    [
        ("baseline", [(1, 0.001), (1, 0.0001)]),
        ("multi_view", [(0.5, 0.01), (0.5, 0.001), (0.5, 0.0001)]),
        ("knowledge_transfer", [(0.5, 0.001), (0.5, 0.0001)]),
    ],
)
def test_a_refresh_is_the_last_third_of_the_papers_schedule(
    network: NetworkName, segments: list[tuple[float, float]]
) -> None:
    recipe = refreshed(recipe_of("paper", network))
    assert [segment.epochs for segment in recipe.segments] == pytest.approx([epochs for epochs, _ in segments])
    assert [segment.rate for segment in recipe.segments] == [rate for _, rate in segments]
    assert recipe.probe == Probe(views=1, weight_decay=0.001, iterations=10, passes=6)


def test_a_half_cosine_is_entered_where_it_has_come_to() -> None:
    recipe = recipe_of("sample", "baseline_matched")
    short = refreshed(recipe)
    (segment,) = short.segments
    assert segment.cosine
    assert segment.epochs == pytest.approx(1)
    assert segment.rate == rate_at(recipe, done=2) == pytest.approx(3e-4 / 4)
    assert short.probe == Probe(views=1, weight_decay=0.001, iterations=10, passes=6)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.9])
def test_nothing_takes_more_than_its_share(name: str, share: float) -> None:
    for network in RECIPES[name]:
        recipe = recipe_of(name, network)
        short = refreshed(recipe, share=share)
        assert short.epochs == pytest.approx(share * recipe.epochs)
        assert [segment.rate for segment in short.segments] == sorted(
            (segment.rate for segment in short.segments), reverse=True
        )


def test_a_head_that_is_all_there_is_takes_a_third_of_all_iterations() -> None:
    """Four strengths on three folds, and then all; in a refresh on one fold."""
    short = refreshed(FROZEN).probe
    assert FROZEN.probe is not None
    assert short is not None
    assert (4 + 1) * short.iterations <= (3 * 4 + 1) * FROZEN.probe.iterations / 3
    assert short.iterations == 34


@pytest.fixture(scope="module")
def before(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world when it had two species."""
    folder = tmp_path_factory.mktemp("before")
    split, taxonomy = pq.read_table(world.split), pq.read_table(world.taxonomy)
    pq.write_table(split.filter(pc.less(split["class_id"], 2)), folder / "split.parquet")
    rows = [row | {"leaf_end": min(2, row["leaf_end"])} for row in taxonomy.to_pylist() if row["class_id"] != 2]
    pq.write_table(pa.Table.from_pylist(rows, schema=taxonomy.schema), folder / "taxonomy.parquet")
    return World(folder=folder)


@pytest.fixture(scope="module")
def champion(world: World, before: World, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """Trained from nothing on two species."""
    folder = tmp_path_factory.mktemp("champion") / "out"
    return trained(world, folder, recipe=QUICK, split=before.split, taxonomy=before.taxonomy)


def trained(world: World, output: Path, *, recipe: Recipe, **changes: object) -> TrainResult:
    """Train by the command."""
    output.mkdir(parents=True)
    recipes = output / "recipes.json"
    recipes.write_text(json.dumps({"baseline": recipe.model_dump(mode="json")}))
    spec = world.spec(output, recipe=str(recipes), tracking=None, backbone="test_efficientnet", **changes)
    assert main(["train", "--spec", str(spec.write(output / "spec.json"))]) == 0
    return TrainResult.read(output / RESULT_FILE)


def going_on(champion: TrainResult, *, before: World, folder: Path, links: list[Link] = LINKS) -> WarmStart:
    return WarmStart(
        network=champion.network, weights=champion.weights, taxonomy=before.taxonomy,
        class_map=written(folder, links),
    )  # fmt: skip


def fresh(world: World, output: Path, **changes: object) -> TrainSpec:
    return world.spec(output, tracking=None, backbone="test_efficientnet", **changes)


def test_a_refresh_goes_on_from_the_champion_in_a_third_of_the_steps(
    world: World, before: World, champion: TrainResult, tmp_path: Path
) -> None:
    start = going_on(champion, before=before, folder=tmp_path)
    # The rows of the new species find their place although the recipe begins with the backbone.
    plain = QUICK.model_copy(update={"probe": None})
    refresh = trained(world, tmp_path / "refresh", recipe=plain, warm_start=start)
    history = pq.read_table(refresh.history)
    assert history["phase"].to_pylist() == ["probe", "train"]
    assert history["step"].to_pylist()[-1] == 4  # of 12: 18 photographs are four batches
    assert history["learning_rate"].to_pylist()[-1] == 1e-4
    network = load(refresh.network, refresh.weights)
    assert network.head.out_features == 3
    old, new = load_file(champion.weights), load_file(refresh.weights)
    moved = [
        name for name in old if name.startswith("backbone.") and not torch.allclose(old[name], new[name], atol=1e-2)
    ]
    assert moved == []
    assert refresh.metrics["top1"] >= 1 / 3


def test_before_its_first_step_a_refresh_is_the_champion(
    world: World, before: World, champion: TrainResult, tmp_path: Path
) -> None:
    spec = fresh(world, tmp_path / "out", warm_start=going_on(champion, before=before, folder=tmp_path))
    network = first_network(spec, recipe=refreshed(QUICK), taxonomy=Taxonomy.read(world.taxonomy)).eval()
    pixels = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(pixels)[:, :2], load(champion.network, champion.weights)(pixels))


@pytest.mark.parametrize("head", ["linear", "cosine", "prototype"])
def test_a_head_alone_finds_its_optimum_again(world: World, tmp_path: Path, head: HeadName) -> None:
    """On the same photographs a third of the iterations lead from the champion's rows to where it was, or beyond."""
    frozen = FROZEN.model_copy(
        update={"head": head, "probe": Probe(views=1, weight_decay=0.001, iterations=12, scale=10.0)}
    )
    champion = trained(world, tmp_path / "champion", recipe=frozen)
    start = going_on(champion, before=world, folder=tmp_path, links=[(old, old, "same", 6) for old in range(3)])
    refresh = trained(world, tmp_path / "refresh", recipe=frozen, warm_start=start)
    nothing = trained(
        world, tmp_path / "nothing",
        recipe=frozen.model_copy(update={"probe": Probe(views=1, weight_decay=0.001, iterations=4, scale=10.0)}),
    )  # fmt: skip
    losses = [pq.read_table(each.history)["train_loss"].to_pylist()[0] for each in (champion, refresh, nothing)]
    assert losses[1] <= losses[0] + 1e-3
    assert losses[1] <= losses[2] + 1e-6


def test_another_network_is_refused_in_one_line(
    world: World, before: World, champion: TrainResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = going_on(champion, before=before, folder=tmp_path)
    spec = fresh(world, tmp_path / "out", warm_start=start, image_size=48)
    assert main(["train", "--spec", str(spec.write(tmp_path / "spec.json"))]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: the trained network is another one, with image_size 32 instead of 48")
    assert said.endswith("train from nothing instead")
