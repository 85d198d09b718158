"""Which values of a configuration may hold a secret: what is written down must leave them out."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit


def secret_keys(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Section and key of each address with a user, a password or a query string.

    Args:
        values: The sections of a configuration, as JSON.
    """
    for section, keys in values.items():
        for key, value in keys.items() if isinstance(keys, dict) else ():
            if isinstance(value, str) and "://" in value:
                parts = urlsplit(value)
                if "@" in parts.netloc or parts.query:
                    yield section, key
