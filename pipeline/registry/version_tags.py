"""The tags of model versions under the registry's name; they are defined in `pipeline.tracking.tags`."""

from pipeline.tracking.tags import ANCESTOR as ANCESTOR  # noqa: PLC0414
from pipeline.tracking.tags import DATA_VERSION as DATA_VERSION  # noqa: PLC0414
from pipeline.tracking.tags import EXAM as EXAM  # noqa: PLC0414
from pipeline.tracking.tags import FULL_PHOTOS as FULL_PHOTOS  # noqa: PLC0414
from pipeline.tracking.tags import GATE as GATE  # noqa: PLC0414
from pipeline.tracking.tags import GATE_REASONS as GATE_REASONS  # noqa: PLC0414
from pipeline.tracking.tags import NETWORK as NETWORK  # noqa: PLC0414
from pipeline.tracking.tags import PINNED as PINNED  # noqa: PLC0414
from pipeline.tracking.tags import PROMOTED_AT as PROMOTED_AT  # noqa: PLC0414
from pipeline.tracking.tags import PROMOTED_BY as PROMOTED_BY  # noqa: PLC0414
from pipeline.tracking.tags import PROMOTED_WHY as PROMOTED_WHY  # noqa: PLC0414
from pipeline.tracking.tags import REPLACED as REPLACED  # noqa: PLC0414
from pipeline.tracking.tags import SPEC_HASH as SPEC_HASH  # noqa: PLC0414
from pipeline.tracking.tags import SPLIT_HASH as SPLIT_HASH  # noqa: PLC0414
from pipeline.tracking.tags import TAXONOMY_HASH as TAXONOMY_HASH  # noqa: PLC0414
