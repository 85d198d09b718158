"""Where and when a photograph was taken, as its own EXIF says. Loads no torch, decodes no pixels."""

from ml.images.capture_place import captured_where
from ml.images.capture_time import captured_at
from ml.places.reading import PlaceError, day_of, place_of
from ml.serving.sighting import Sighting


def exif_sighting(content: bytes) -> Sighting:
    """What the EXIF of a photograph says; what it does not say, or is no place or no date, is not known.

    Args:
        content: The bytes of a photograph.
    """
    where, when = captured_where(content), captured_at(content)
    try:
        place = None if where is None else place_of((where.latitude, where.longitude))
    except PlaceError:
        place = None
    try:
        day = None if when is None else day_of(when)
    except PlaceError:
        day = None
    return Sighting(place, None if where is None or place is None else where.uncertainty_m, day)
