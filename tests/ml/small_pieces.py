"""`python -m ml`, with embeddings in pieces of five photographs, and problems of any size solved in mini-batches.

The environment variable `EXACT_BYTES` sets the largest problem that is solved exactly.
"""

import os
import sys

from ml.__main__ import main
from ml.networks import embeddings
from ml.training import head_fit

if __name__ == "__main__":
    embeddings.PIECE = 5
    head_fit.EXACT_BYTES = int(os.environ["EXACT_BYTES"])
    sys.exit(main())
