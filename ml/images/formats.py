"""What kind of file some bytes are, in words for people. Loads nothing."""

from typing import Final

_SIGNATURES: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"\x00\x00\x00\x0cjP  \r\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"8BPS", "Photoshop document"),
    (b"\x1a\x45\xdf\xa3", "Matroska or WebM video"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "ZIP"),
    (b"PK\x05\x06", "ZIP"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"%PDF", "PDF"),
)
_TEXTS: Final = (
    (b"{", "JSON"),
    (b"<?xml", "XML"),
    (b"<svg", "SVG"),
    (b"<", "HTML or XML"),
)
_BRANDS: Final = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
    **dict.fromkeys((b"mif1", b"mif2", b"msf1", b"miaf", b"heif"), "HEIC"),
    b"crx ": "raw, of a camera of Canon",
    b"qt  ": "QuickTime video",
}
"""Major brands of ISO's container, which pictures and films share."""
_GENERAL: Final = frozenset({b"mif1", b"mif2", b"msf1", b"miaf"})
"""Of these, the ones that say nothing of how the picture is compressed."""


def kind_of(content: bytes) -> str:
    """What a file is by its first bytes, whatever its name: `GIF`, `HTML or XML`, `empty`, `of an unknown kind`."""
    if not content:
        return "empty"
    for signature, name in _SIGNATURES:
        if content.startswith(signature):
            return name
    if content[:4] == b"RIFF":
        return "WebP" if content[8:12] == b"WEBP" else "RIFF (sound or film)"
    if content[4:8] == b"ftyp":
        return _of_container(content)
    return _of_text(content[:256])


def _of_container(content: bytes) -> str:
    brands = content[8 : min(64, int.from_bytes(content[:4]))]
    # A still picture may name the general brand first, and its own among those that it is compatible with.
    named = {brands[place : place + 4] for place in range(0, len(brands), 4)}
    if brands[:4] in _GENERAL and named & {b"avif", b"avis"}:
        return "AVIF"
    return _BRANDS.get(brands[:4], "MP4 video")


def _of_text(start: bytes) -> str:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        return "blank"
    for opening, name in _TEXTS:
        if text[: len(opening)].lower() == opening:
            return name
    printable = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in text)
    return "plain text" if printable else "of an unknown kind"
