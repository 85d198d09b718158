"""Where a photograph was taken is what its receiver said for certain, or nothing."""

from typing import Any

import pytest
from PIL.TiffImagePlugin import IFDRational

from ml.images.capture_place import captured_where
from tests.malformed import cases
from tests.ml.gps import placed


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WebP", "HEIC"])
def test_the_place_is_read_from_every_format(form: str) -> None:
    found = captured_where(placed(form))
    assert found is not None
    assert (found.latitude, found.longitude) == pytest.approx((-41.295, 174.775))
    assert found.uncertainty_m is None


def test_each_hemisphere_has_its_sign() -> None:
    found = captured_where(placed(GPSLatitudeRef="N", GPSLongitudeRef="W", GPSHPositioningError=IFDRational(12, 5)))
    assert found is not None
    assert tuple(found) == pytest.approx((41.295, -174.775, 2.4))
    decimal = captured_where(placed(GPSLatitude=(41.295, 0.0, 0.0), GPSLongitude=(174.775, 0.0, 0.0)))
    assert decimal is not None
    assert decimal[:2] == pytest.approx((-41.295, 174.775))


@pytest.mark.parametrize(
    "changed",
    [
        {"GPSLatitude": None},
        {"GPSLongitude": None},
        {"GPSLatitudeRef": None},
        {"GPSLongitudeRef": None},
        {"GPSLatitudeRef": ""},
        {"GPSLatitudeRef": "E"},
        {"GPSLongitudeRef": "174"},
        {"GPSLatitude": (41.0, 17.0)},
        {"GPSLatitude": (91.0, 0.0, 0.0)},
        {"GPSLatitude": (90.0, 0.0, 1.0)},
        {"GPSLongitude": (181.0, 0.0, 0.0)},
        {"GPSLatitude": (41.0, 60.0, 0.0)},
        {"GPSLatitude": (41.0, 17.0, 75.0)},
        {"GPSLatitude": (IFDRational(41, 0), IFDRational(17, 1), IFDRational(0, 1))},
        {"GPSLatitude": (IFDRational(41, 1), IFDRational(17, 1), IFDRational(0, 0))},
        {"GPSLatitude": (0.0, 0.0, 0.0), "GPSLongitude": (0.0, 0.0, 0.0)},
        {"GPSStatus": "V"},
        {"GPSMapDatum": "TOKYO"},
    ],
)
def test_what_is_not_certain_is_no_place(changed: dict[str, Any]) -> None:
    assert captured_where(placed(**changed)) is None


@pytest.mark.parametrize("datum", ["WGS-84", "WGS 84", "wgs84", ""])
def test_the_datum_of_most_receivers_is_named_in_many_ways(datum: str) -> None:
    assert captured_where(placed(GPSMapDatum=datum, GPSStatus="A")) is not None


def test_an_error_that_is_none_is_not_known() -> None:
    for error in (IFDRational(0, 1), IFDRational(5, 0)):
        found = captured_where(placed(GPSHPositioningError=error))
        assert found is not None
        assert found.uncertainty_m is None


def test_malformed_files_have_no_place() -> None:
    assert {captured_where(case.content) for case in cases()} == {None}
    whole = placed()
    known = captured_where(whole)
    assert {captured_where(whole[:end]) for end in range(20, len(whole), 3)} == {None, known}
