"""How many steps of a run work at the same time: a few that query, and beside them a training for each GPU.

In a run of the multiprocess executor, that is: of the UI, a schedule, or `naturewatch run` with several GPUs.
"""

from typing import Any, Final

from pipeline.launching.gpus import may_have_gpus
from pipeline.query import STEPS_TOGETHER

PROCESSOR: Final = {"naturewatch/uses": "processor"}
"""Tag of every step but trainings. A query may take a share of the machine's memory, so they are limited."""
SOON: Final = {**PROCESSOR, "dagster/priority": "1"}
"""Tags of the steps of the dataset page: people shall see it before the first training, which may take days."""
TRAININGS: Final = "gpu"
"""The pool of trainings; its slots are set by the number of GPUs (`pipeline.launching.gpus.slots`)."""
ANY_NUMBER: Final = 1_000
"""More than there will be steps: the pool and the tag limit them."""


def executor_config() -> dict[str, Any]:
    """The limits for Dagster's multiprocess executor; without a GPU, a training counts as any other step."""
    if not may_have_gpus():
        return {"max_concurrent": STEPS_TOGETHER}
    ((key, value),) = PROCESSOR.items()
    return {
        "max_concurrent": ANY_NUMBER,
        "tag_concurrency_limits": [{"key": key, "value": value, "limit": STEPS_TOGETHER}],
    }
