"""One way to look at a photograph: what is evaluated is what is served, whatever test time adds."""

import threading
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from ml.child.pipes import Reporter
from ml.evaluation.class_means import ClassSums
from ml.evaluation.predict import predict
from ml.evaluation.predictions import EMBEDDING, StoredProbabilities
from ml.images.loader import Loader
from ml.images.pack import Pack, read_split
from ml.images.views import CENTRE, Box, decode, region_boxes, resize, standardise, view_boxes
from ml.networks.description import NetworkSpec
from ml.networks.inference import CORNERS, cuts_of, look, mirrored, seen_boxes
from ml.networks.network import Network, build, save
from ml.serving.classifier import BATCH, Classifier
from ml.spec import TestTime
from tests.ml.world import PROCESSOR, SPECIES, World

TEST_TIMES: tuple[TestTime, ...] = get_args(TestTime)
REGION = (0.2, 0.1, 0.6, 0.7)


def small(test_time: TestTime, *, views: tuple[float, ...] = (1.0,)) -> Network:
    torch.manual_seed(1)
    spec = NetworkSpec(
        backbone="tf_efficientnet_lite0", classes=SPECIES, image_size=32, views=views, test_time=test_time
    )
    return build(spec).eval()


def content(world: World, row: int = 0) -> bytes:
    return Pack(world.index).jpeg(row)


def parts_of(jpeg: bytes, boxes: list[Box]) -> torch.Tensor:
    return torch.from_numpy(resize(decode(jpeg), boxes=boxes, image_size=32))[None]


def seen_of(network: Network, jpeg: bytes, boxes: list[Box]) -> torch.Tensor:
    """Probabilities of the plain network, for one cut."""
    parts = parts_of(jpeg, boxes)
    with torch.inference_mode():
        pixels = standardise(PROCESSOR.pixels(parts), network.spec.mean, network.spec.std)
        logits: torch.Tensor = network(pixels)
    return logits.softmax(1)[0]


@pytest.mark.parametrize("test_time", TEST_TIMES)
@pytest.mark.parametrize("views", [(1.0,), (1.0, 0.5)])
def test_probabilities_are_the_mean_over_the_cuts(world: World, test_time: TestTime, views: tuple[float, ...]) -> None:
    network, jpeg = small(test_time, views=views), content(world)
    cuts = {"none": [CENTRE], "mirror": [CENTRE, mirrored(CENTRE)], "crops": [CENTRE, *CORNERS]}[test_time]
    expected = torch.stack([seen_of(network, jpeg, view_boxes(cut, views=views)) for cut in cuts]).mean(0)
    parts = parts_of(jpeg, seen_boxes(network.spec))
    with torch.inference_mode():
        pixels = standardise(PROCESSOR.pixels(parts), network.spec.mean, network.spec.std)
        found = look(network, pixels, device=PROCESSOR)
    assert torch.allclose(found.probabilities[0], expected, atol=1e-6)
    assert found.embeddings.shape == (1, network.head.in_features)


@pytest.mark.parametrize("test_time", TEST_TIMES)
@pytest.mark.parametrize("views", [(1.0,), (1.0, 0.5)])
def test_what_is_served_is_what_is_evaluated(
    world: World, tmp_path: Path, test_time: TestTime, views: tuple[float, ...]
) -> None:
    network, pack = small(test_time, views=views), Pack(world.index)
    photos = read_split(world.split, pack=pack, side="validation")
    sums = ClassSums(SPECIES)
    loader = Loader(pack, network.spec, device=PROCESSOR, workers=1, boxes=seen_boxes(network.spec))
    predict(
        network, photos=photos, loader=loader, device=PROCESSOR, reporter=Reporter(lambda _: None),
        stop=threading.Event(), title="x", output=tmp_path / "validation.parquet", distributions=True, embeddings=True,
        sums=sums,
    )  # fmt: skip
    description, weights = save(network, folder=tmp_path)
    served = Classifier({"network": str(description), "weights": str(weights)})
    looks = served.look([served.views(pack.jpeg(int(row))) for row in photos.rows])
    assert pq.read_table(tmp_path / "validation.parquet")["photo_id"].to_pylist() == photos.photo_ids
    evaluated = StoredProbabilities(tmp_path / "validation.parquet")[:]
    assert np.allclose(looks.probabilities, evaluated, atol=2**-11)
    embeddings = StoredProbabilities(tmp_path / "validation.parquet", column=EMBEDDING)[:]
    assert np.allclose(looks.embeddings, embeddings, rtol=1e-4, atol=1e-5)
    means = sums.means()
    assert means.photos.tolist() == np.bincount(photos.labels, minlength=SPECIES).tolist()
    assert np.allclose(means.means[1], embeddings[photos.labels == 1].mean(axis=0), atol=1e-5)


def test_a_mirror_image_is_the_same_photograph(world: World) -> None:
    network = small("mirror")
    parts = parts_of(content(world), seen_boxes(network.spec))
    with torch.inference_mode():
        pixels = standardise(PROCESSOR.pixels(parts), network.spec.mean, network.spec.std)
        one, other = (look(network, way, device=PROCESSOR) for way in (pixels, pixels.flip(4)))
    assert torch.allclose(one.probabilities, other.probabilities, atol=1e-6)
    assert torch.allclose(one.embeddings, other.embeddings, rtol=1e-4, atol=1e-5)


def test_a_region_is_mirrored_but_not_cropped() -> None:
    views = (1.0, 0.5)
    boxes = region_boxes(REGION, views=views)
    found = {one: seen_boxes(small(one, views=views).spec, region=REGION) for one in TEST_TIMES}
    assert found["none"] == found["crops"] == boxes
    assert found["mirror"] == [*boxes, *(mirrored(box) for box in boxes)]


def test_corners_are_crops_as_large_as_the_centre() -> None:
    for left, upper, right, lower in cuts_of("crops"):
        assert 0 <= left < right <= 1
        assert 0 <= upper < lower <= 1
        assert (right - left, lower - upper) == pytest.approx((0.875, 0.875))


def test_a_batch_is_bounded_however_many_parts_a_photograph_has(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small("crops")
    description, weights = save(network, folder=tmp_path)
    served = Classifier({"network": str(description), "weights": str(weights)})
    sizes = []
    features = Network.features

    def watched(self: Network, pixels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        return features(self, pixels)

    views = [served.views(content(world, row)) for row in range(7)]
    together = served.look(views)
    monkeypatch.setattr(Network, "features", watched)
    alone = [served.look([one]) for one in views]
    assert np.allclose(together.probabilities, np.concatenate([one.probabilities for one in alone]), atol=1e-5)
    sizes.clear()
    served.look(views)
    assert sum(sizes) == 5 * 7
    assert max(sizes) * 5 <= BATCH
    assert served.look([]).probabilities.shape == (0, SPECIES)
