"""Content encodings that nobody asked for: undone within a limit, or refused in a sentence."""

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.fetching.encodings import DamagedBodyError, UnknownEncodingError, decoded

BODY = bytes(range(256)) * 40
RAW_DEFLATE = zlib.compress(BODY)[2:-4]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY)),
        ("X-GZIP", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", RAW_DEFLATE),
        ("deflate, gzip", gzip.compress(zlib.compress(BODY))),
        ("gzip", gzip.compress(BODY[:100]) + gzip.compress(BODY[100:])),
        ("gzip", gzip.compress(BODY) + b"\0\0\0 padding"),
    ],
)
def test_it_is_undone(encoding: str, body: bytes) -> None:
    assert decoded(body, encoding, most=len(BODY)) == BODY


def test_a_photograph_that_is_only_said_to_be_encoded_is_taken_as_it_is() -> None:
    assert decoded(b"\xff\xd8\xff" + BODY, "gzip", most=10) == b"\xff\xd8\xff" + BODY


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, br", "a b c"])
def test_others_are_refused_by_name(encoding: str) -> None:
    with pytest.raises(UnknownEncodingError, match="not asked for"):
        decoded(b"\x00" + BODY, encoding, most=1000)


@pytest.mark.parametrize(
    "body", [gzip.compress(BODY, mtime=0)[:-9], b"\x1f\x8b plain", b"plain text", b"", RAW_DEFLATE[:50]]
)
def test_what_is_cut_or_damaged_is_said_to_be(body: bytes) -> None:
    with pytest.raises(DamagedBodyError):
        decoded(body, "deflate", most=len(BODY))


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_bomb_unfolds_no_further_than_the_limit(times: int) -> None:
    body = bytes(10_000_000)
    for _ in range(times):
        body = gzip.compress(body)
    assert len(decoded(body, ", ".join(["gzip"] * times), most=100_000)) == 100_001


def test_a_stream_of_countless_parts_is_refused() -> None:
    with pytest.raises(DamagedBodyError, match="parts"):
        decoded(gzip.compress(b"x") * 1000, "gzip", most=10_000)


@given(body=st.binary(max_size=300), encoding=st.sampled_from(["gzip", "deflate", "gzip, gzip", ",", "deflate,,"]))
def test_no_bytes_break_it(body: bytes, encoding: str) -> None:
    with contextlib.suppress(DamagedBodyError):
        assert len(decoded(body, encoding, most=1000)) <= 1001
