"""How data are cited, or that they cannot be: in the words that descriptions, commands and cards share."""

from pipeline.pages.web_addresses import doi_address


def how_to_cite(*, source: str, citation: str | None, doi: str | None, own: bool) -> str:
    """GBIF's citation, or why there is none.

    Args:
        source: What the data are, in words.
        citation: What GBIF, or an archive, says.
        doi: Of the download.
        own: Whether they are one's own photographs.
    """
    if own:
        return f"There is no citation of GBIF: {source}."
    if doi and not doi_address(doi):
        return f"Not citable: {source}. The DOI {doi} was made up and resolves to nothing."
    return citation or f"Not citable: {source}."
