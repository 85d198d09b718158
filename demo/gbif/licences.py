"""Licences as GBIF words them: one enumeration from whatever a publisher wrote. No filtering here."""

import re

_ADDRESSES = {
    "CC0_1_0": "http://creativecommons.org/publicdomain/zero/1.0/legalcode",
    "CC_BY_4_0": "http://creativecommons.org/licenses/by/4.0/legalcode",
    "CC_BY_NC_4_0": "http://creativecommons.org/licenses/by-nc/4.0/legalcode",
}
_KINDS = {
    "CC0": "CC0_1_0",
    "PUBLICDOMAIN": "CC0_1_0",
    "BY": "CC_BY_4_0",
    "BYNC": "CC_BY_NC_4_0",
}


def licence_code(licence: str) -> str:
    """GBIF's enumeration value of a licence.

    GBIF accepts three licences for occurrences; another one is UNSUPPORTED and none at all is UNSPECIFIED
    (term gbif:license, vocabulary License).

    Args:
        licence: An address, a short text such as "CC BY-NC 4.0", GBIF's own enumeration value, or empty.
    """
    if not licence.strip():
        return "UNSPECIFIED"
    if licence in _ADDRESSES:
        return licence
    text = licence.lower()
    match = re.search(r"licenses/([a-z-]+)|(cc0|publicdomain)|cc[ _-]((?:by)(?:[ _-](?:nc|sa|nd))*)", text)
    if match is None:
        return "UNSUPPORTED"
    kind = re.sub(r"[^a-z0-9]", "", next(group for group in match.groups() if group))
    return _KINDS.get(kind.upper(), "UNSUPPORTED")


def licence_address(licence: str) -> str:
    """What `license` of a search result holds: the licence's address, or `unspecified` / `unsupported`."""
    code = licence_code(licence)
    return _ADDRESSES.get(code, code.lower())
