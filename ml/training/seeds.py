"""Seeds of random generators, each for one purpose."""

import hashlib
import json


def seed_of(*parts: int | str) -> int:
    """A generator's seed from several numbers and names."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big") >> 1
