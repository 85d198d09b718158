"""`python -m tests.ml.predicting INDEX SPLIT TAXONOMY OUTPUT`: one side's answers, by all processes of the group."""

import sys
import threading
from pathlib import Path

import torch

from ml.child.pipes import Reporter
from ml.devices import joined
from ml.evaluation import predict as evaluate
from ml.evaluation.class_sums import ClassSums
from ml.images.loader import Loader
from ml.images.pack import Pack, read_split
from ml.networks.description import NetworkSpec
from ml.networks.network import create
from ml.taxonomy import Taxonomy


def main(index: str, split: str, taxonomy: str, output: str) -> None:
    """Predict with a network that depends on the seed only, in batches that do not divide evenly."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = create(NetworkSpec(backbone="test_convnext", image_size=32), Taxonomy.read(Path(taxonomy)))
    pack = Pack(Path(index))
    photos = read_split(Path(split), pack=pack, side="train")
    evaluate.BATCH = 4
    sums = ClassSums(network.head.out_features)
    with joined() as device:
        found = evaluate.predict(
            network, photos=photos, loader=Loader(pack, network.spec, device=device, workers=1), device=device,
            reporter=Reporter(lambda _: None), stop=threading.Event(), title="x", output=Path(output),
            distributions=True, embeddings=True, sums=sums,
        )  # fmt: skip
        assert (found is None) == (device.rank > 0)
        if found is not None:
            assert found.unreadable == 1
            sums.means().write(Path(output).with_suffix(".safetensors"))


if __name__ == "__main__":
    main(*sys.argv[1:])
