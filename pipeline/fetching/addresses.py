"""Under whose name the limits of an address are kept: its host, however it is spelled."""

from yarl import URL


def host_of(address: URL) -> str:
    """Under whose name the limits of an address are kept: its host, however it is spelled."""
    return (address.host or "").lower().rstrip(".")


def host_of_text(address: str) -> str:
    """As `host_of`, for an address that was not checked; those without a host share one, they are refused later."""
    try:
        return host_of(URL(address))
    except ValueError:
        return ""


def host_of_authority(authority: str) -> str:
    """Under whose name the limits of an authority (host and port) are kept."""
    return host_of_text(f"http://{authority}/")
