"""The file that tells commands of this machine which server answers for a data root."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ml.files import replacing

FILE: Final = "page.json"


@contextmanager
def announced(data_root: Path, *, address: str, registry: str, model_name: str, alias: str) -> Iterator[Path]:
    """Keep `page.json` in a data root while the block runs.

    It holds address, pid, started, registry, model_name and alias. A server that was killed leaves it: who reads it
    asks whether the process lives and answers `/health` for the same registry and model.

    Args:
        data_root: Of the dataset.
        address: Of the server, as `http://127.0.0.1:7860`.
        registry: MLflow's registry, without a password.
        model_name: The registered model.
        alias: Which of its versions answers.
    """
    path = data_root / FILE
    facts = {
        "address": address,
        "pid": os.getpid(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "registry": registry,
        "model_name": model_name,
        "alias": alias,
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    try:
        yield path
    finally:
        # Another server may have taken the name since.
        with suppress(OSError, ValueError):
            if json.loads(path.read_text(encoding="utf-8"))["pid"] == os.getpid():
                path.unlink()
