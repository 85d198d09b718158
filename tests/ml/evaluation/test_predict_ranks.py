"""Evaluation by two processes started by torchrun: the file of one process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ml.evaluation.class_means import ClassMeans
from tests.ml.predicting import main
from tests.ml.world import World

ROOT = Path(__file__).resolve().parents[3]


def test_two_processes_write_the_rows_of_one_in_its_order(world: World, tmp_path: Path) -> None:
    # 18 photographs in batches of four: five batches for two processes. One photograph cannot be read.
    broken = world.spoiled(tmp_path / "world", "003")
    files = str(broken.index), str(broken.split), str(broken.taxonomy)
    main(*files, str(tmp_path / "one.parquet"))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         "-m", "tests.ml.predicting", *files, str(tmp_path / "two.parquet")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("one", "two"))
    assert one.num_rows == 17
    assert two.equals(one), "the same batches, so the same bits"
    means, again = (ClassMeans.read(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert again.photos.tolist() == means.photos.tolist()
    assert means.photos.sum() == 17
    # Added up in another order.
    assert np.allclose(again.means, means.means, rtol=1e-6, atol=1e-9)
    assert np.allclose(again.covariance, means.covariance, rtol=1e-6, atol=1e-9)
