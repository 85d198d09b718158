"""A trained network under another tree: what stays answers as before, what is new begins as its relatives."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ml.errors import WarmStartError
from ml.networks.class_moves import ClassMoves, read_moves
from ml.networks.description import HeadName, NetworkSpec
from ml.networks.heads import CosineHead
from ml.networks.network import Network, create
from ml.networks.surgery import continue_from, move_rows
from ml.taxonomy import Taxonomy
from tests.ml.networks.trees import Link, tree, written

TINY = NetworkSpec(
    backbone="test_efficientnet", image_size=32, dropout=0.0, split_after="blocks.1", merge_after="blocks.3"
)
NAMES = ("Corvidae Corvus corax", "Corvidae Corvus corone", "Corvidae Pica pica", "Paridae Parus major")
OLD = tree(*NAMES)
HEADS: tuple[HeadName, ...] = ("linear", "cosine", "prototype")


def network(taxonomy: Taxonomy, *, seed: int, head: HeadName = "linear", auxiliary: bool = False) -> Network:
    """A network that has been trained, as far as anyone can see: nothing in it is 0 or 1 any more."""
    torch.manual_seed(seed)
    made = create(TINY.model_copy(update={"head": head, "auxiliary": auxiliary}), taxonomy)
    with torch.no_grad():
        for layer in made.modules():
            if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None:
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
        for each in made.heads():
            each.bias.normal_()
            if isinstance(each, CosineHead):
                each.mean.normal_()
                each.deviation.uniform_(0.5, 2)
                each.scale.fill_(7.0)
    return made.eval()


def moved(folder: Path, links: list[Link], new: Taxonomy, *, old: Taxonomy = OLD) -> ClassMoves:
    return read_moves(written(folder, links), old=old, new=new)


def rows(head: nn.Linear) -> Tensor:
    """Weights and bias of each class."""
    return torch.cat([head.weight.detach(), head.bias.detach()[:, None]], dim=1)


def sizes(weight: Tensor) -> Tensor:
    """Root of the mean square of each feature's weights."""
    return weight.square().mean(dim=0).sqrt()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("auxiliary", [False, True])
def test_unchanged_classes_answer_as_before_to_the_last_bit(tmp_path: Path, *, head: HeadName, auxiliary: bool) -> None:
    """Two old species are gone and three are new; the others stand elsewhere."""
    new = tree(
        "Corvidae Corvus albus", "Corvidae Corvus corax", "Laridae Larus canus", "Paridae Parus major",
        "Paridae Parus ater",
    )  # fmt: skip
    links: list[Link] = [
        (0, 1, "same", 9), (3, 3, "renamed", 4), (1, None, "gone", 0), (2, None, "gone", 0), (None, 0, "new", 0),
        (None, 2, "new", 0), (None, 4, "new", 0),
    ]  # fmt: skip
    before = network(OLD, seed=1, head=head, auxiliary=auxiliary)
    after = network(new, seed=2, head=head, auxiliary=auxiliary)
    continue_from(before, after, moves=moved(tmp_path, links, new), mixing=0.5)
    pixels = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        told, tells = before.outputs(pixels), after.outputs(pixels)
    assert torch.equal(tells.logits[:, [1, 3]], told.logits[:, [0, 3]])
    if auxiliary:
        assert tells.auxiliary is not None
        assert told.auxiliary is not None
        assert torch.equal(tells.auxiliary[:, [1, 3]], told.auxiliary[:, [0, 3]])
    for theirs, own in zip(before.heads(), after.heads(), strict=True):
        assert torch.equal(rows(own)[[1, 3]], rows(theirs)[[0, 3]])


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(6)), mixing=st.floats(0, 1))
def test_an_order_of_classes_is_only_an_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], mixing: float
) -> None:
    one, other = (tree(*(f"Paridae Parus s{number}" for number in names)) for names in (range(6), order))
    links: list[Link] = [(old, new, "same", 1) for new, old in enumerate(order)]
    before, after = nn.Linear(5, 6), nn.Linear(5, 6)
    moves = moved(tmp_path_factory.mktemp("map"), links, other, old=one)
    move_rows(before, after, moves=moves, mixing=mixing)
    assert torch.equal(rows(after), rows(before)[order])


def test_merged_classes_are_the_mean_of_their_photographs(tmp_path: Path) -> None:
    """A class that stays and takes another in is the mean as well: it is both now."""
    new = tree("Corvidae Corvus corax", "Corvidae Pica nova")
    links: list[Link] = [
        (0, 0, "same", 30), (1, 0, "merged", 10), (2, 1, "merged", 5), (3, 1, "merged", 15)
    ]  # fmt: skip
    before, after = network(OLD, seed=1), network(new, seed=2)
    continue_from(before, after, moves=moved(tmp_path, links, new), mixing=0.5)
    old = rows(before.head)
    wanted = torch.stack([0.75 * old[0] + 0.25 * old[1], 0.25 * old[2] + 0.75 * old[3]])
    torch.testing.assert_close(rows(after.head), wanted)


def test_without_known_occurrences_a_class_that_stays_is_itself(tmp_path: Path) -> None:
    """What each brings is not known: the one that keeps its key counts, or all alike."""
    new = tree("Corvidae Corvus corax", "Corvidae Pica nova")
    links: list[Link] = [(0, 0, "same", 0), (1, 0, "merged", 0), (2, 1, "merged", 0), (3, 1, "merged", 0)]
    before, after = network(OLD, seed=1), network(new, seed=2)
    continue_from(before, after, moves=moved(tmp_path, links, new), mixing=0.5)
    old = rows(before.head)
    torch.testing.assert_close(rows(after.head), torch.stack([old[0], (old[2] + old[3]) / 2]))


@pytest.mark.parametrize("mixing", [0.0, 0.5, 1.0])
def test_the_parts_of_a_split_class_begin_as_it_was_and_differ(tmp_path: Path, mixing: float) -> None:
    new = tree("Corvidae Corvus a", "Corvidae Corvus b", "Corvidae Pica pica", "Paridae Parus major")
    links: list[Link] = [
        (0, 0, "split", 6), (0, 1, "split", 4), (1, None, "gone", 0), (2, 2, "same", 1), (3, 3, "same", 1)
    ]  # fmt: skip
    before, after = network(OLD, seed=1), network(new, seed=2)
    drawn = after.head.weight.detach().clone()
    continue_from(before, after, moves=moved(tmp_path, links, new), mixing=mixing)
    old = before.head.weight.detach()
    chance = drawn * sizes(old) / drawn.square().mean().sqrt()
    for part in (0, 1):
        wanted = mixing**0.5 * old[0] + (1 - mixing) ** 0.5 * chance[part]
        torch.testing.assert_close(after.head.weight[part].detach(), wanted)
    assert torch.equal(rows(after.head)[0], rows(after.head)[1]) == (mixing == 1)
    assert torch.equal(rows(after.head)[2:], rows(before.head)[2:])


def test_the_part_that_keeps_its_key_keeps_its_row(tmp_path: Path) -> None:
    new = tree("Corvidae Corvus corax", "Corvidae Corvus corone", "Corvidae Corvus nova", "Paridae Parus major")
    links: list[Link] = [
        (0, 0, "same", 6), (0, 2, "split", 4), (1, 1, "same", 1), (2, None, "gone", 0), (3, 3, "same", 1)
    ]  # fmt: skip
    before, after = network(OLD, seed=1), network(new, seed=2)
    continue_from(before, after, moves=moved(tmp_path, links, new), mixing=1.0)
    assert torch.equal(rows(after.head)[[0, 1, 3]], rows(before.head)[[0, 1, 3]])
    torch.testing.assert_close(rows(after.head)[2], rows(before.head)[0])


@pytest.mark.parametrize(
    ("species", "relatives"),
    [
        ("Corvidae Corvus novus", [0, 1]),
        ("Corvidae Nova nova", [0, 1, 2]),
        ("Laridae Larus novus", [0, 1, 2, 3]),
    ],
    ids=["genus", "family of a new genus", "order of a new family"],
)
def test_a_new_species_begins_as_the_mean_of_its_nearest_relatives(
    tmp_path: Path, species: str, relatives: list[int]
) -> None:
    names = sorted(
        ["Corvidae Corvus corax", "Corvidae Corvus corone", "Corvidae Pica pica", "Paridae Parus major", species]
    )
    new, place = tree(*names), names.index(species)
    known = [at for at in range(5) if at != place]
    links: list[Link] = [(old, at, "same", 1) for old, at in enumerate(known)] + [(None, place, "new", 0)]
    before, after = network(OLD, seed=1), network(new, seed=2)
    continue_from(before, after, moves=moved(tmp_path, links, new), mixing=1.0)
    torch.testing.assert_close(rows(after.head)[place], rows(before.head)[relatives].mean(0))
    assert torch.equal(rows(after.head)[known], rows(before.head))


def test_the_genus_is_that_of_the_new_tree(tmp_path: Path) -> None:
    """The magpie has moved to the crows, and the new species of that genus begins as all three."""
    new = tree("Corvidae Corvus corax", "Corvidae Corvus corone", "Corvidae Corvus novus", "Corvidae Corvus pica")
    links: list[Link] = [
        (0, 0, "same", 1), (1, 1, "same", 1), (None, 2, "new", 0), (2, 3, "renamed", 1), (3, None, "gone", 0)
    ]  # fmt: skip
    before, after = network(OLD, seed=1), network(new, seed=2)
    continue_from(before, after, moves=moved(tmp_path, links, new), mixing=1.0)
    torch.testing.assert_close(rows(after.head)[2], rows(before.head)[:3].mean(0))


def test_where_nothing_is_known_chance_begins(tmp_path: Path) -> None:
    new = tree("Corvidae Corvus corax")
    before, after = network(OLD, seed=1), network(new, seed=2)
    drawn = after.head.weight.detach().clone()
    links: list[Link] = [*((old, None, "gone", 0) for old in range(4)), (None, 0, "new", 0)]
    moves = moved(tmp_path, links, new)
    assert not moves.known.any()
    continue_from(before, after, moves=moves, mixing=1.0)
    expected = drawn * sizes(before.head.weight.detach())
    assert nn.functional.cosine_similarity(after.head.weight, expected).item() == pytest.approx(1)


def test_chance_says_as_little_as_what_was_learnt_whatever_the_features_are(tmp_path: Path) -> None:
    """Where one feature hardly varies, its weights are large; those of chance may not be so for the other features."""
    new = tree(*NAMES[:2], "Corvidae Corvus novus", *NAMES[2:])
    links: list[Link] = [
        (0, 0, "same", 1),
        (1, 1, "same", 1),
        (None, 2, "new", 0),
        (2, 3, "same", 1),
        (3, 4, "same", 1),
    ]
    before, after = network(OLD, seed=1), network(new, seed=2)
    deviation = torch.logspace(-3, 0, before.head.in_features)
    with torch.no_grad():
        before.head.weight.div_(deviation)
    continue_from(before, after, moves=moved(tmp_path, links, new), mixing=0.5)
    features = torch.randn(500, before.head.in_features, generator=torch.Generator().manual_seed(3)) * deviation
    learnt, fresh = before.head(features).std(), after.head(features)[:, 2].std()
    assert fresh < 2 * learnt


def test_what_is_told_of_the_moves_adds_up(tmp_path: Path) -> None:
    new = tree(
        "Corvidae Corvus corax", "Corvidae Corvus novus", "Corvidae Pica nova", "Laridae Larus a", "Laridae Larus b"
    )
    links: list[Link] = [
        (0, 0, "same", 1), (None, 1, "new", 0), (1, 2, "merged", 1), (2, 2, "merged", 1), (3, 3, "split", 1),
        (3, 4, "split", 1),
    ]  # fmt: skip
    assert moved(tmp_path, links, new).told() == (
        "1 classes keep their rows, 1 are merged from several, 3 begin as parts or relatives of known ones, 0 by chance"
    )


def test_directions_are_averaged_whatever_their_length(tmp_path: Path) -> None:
    """The length of a row of a cosine head decides no answer, and so no mean."""
    new = tree("Corvidae Corvus corax")
    links: list[Link] = [(0, 0, "merged", 1), (1, 0, "merged", 1), (2, None, "gone", 0), (3, None, "gone", 0)]
    before, after = network(OLD, seed=1, head="cosine"), network(new, seed=2, head="cosine")
    moves = moved(tmp_path, links, new)
    continue_from(before, after, moves=moves, mixing=1.0)
    once = after.head.weight.detach().clone()
    with torch.no_grad():
        before.head.weight[0] *= 100
    continue_from(before, after, moves=moves, mixing=1.0)
    torch.testing.assert_close(after.head.weight.detach(), once)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_size": 64}, "image_size 32 instead of 64"),
        ({"views": (1.0, 0.5)}, r"views \(1.0,\) instead of \(1.0, 0.5\)"),
        ({"head": "cosine"}, "head 'linear' instead of 'cosine'"),
        ({"backbone": "test_resnet"}, "backbone 'test_efficientnet' instead of 'test_resnet'"),
        ({"auxiliary": True}, "auxiliary False instead of True"),
    ],
)
def test_another_network_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    links: list[Link] = [(old, old, "same", 1) for old in range(4)]
    other = create(TINY.model_copy(update=change), OLD)
    with pytest.raises(WarmStartError, match=f"{said}.*train from nothing"):
        continue_from(network(OLD, seed=1), other, moves=moved(tmp_path, links, OLD), mixing=0.5)


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ([(old, old, "same", 1) for old in range(3)], "of the trained network: it names 3 classes in the column old"),
        (
            [(old, max(0, old - 1), "same", 1) for old in range(4)],
            "of this training: it names 3 classes in the column new",
        ),
    ],
)
def test_a_map_of_other_trees_is_refused(tmp_path: Path, links: list[Link], said: str) -> None:
    with pytest.raises(WarmStartError, match=said):
        moved(tmp_path, links, OLD)


def test_a_map_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WarmStartError, match="cannot read the class map"):
        read_moves(tmp_path / "nothing.parquet", old=OLD, new=OLD)
