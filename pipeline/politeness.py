"""What a host asks for by its Retry-After header. Shared by the GBIF client and the photo fetcher."""

import datetime as dt
from email.utils import parsedate_to_datetime


def retry_after(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110: seconds or a date); None without a usable one."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max((moment - dt.datetime.now(tz=dt.UTC)).total_seconds(), 0.0)
