"""Sites are columns; what is not known is NaN."""

import numpy as np

from ml.places.sites import Sites, Where


def test_a_site_without_a_place_is_none_and_a_place_may_lack_its_day() -> None:
    sites = Sites.of(
        [None, Where(latitude=-41.3, longitude=174.8, uncertainty_m=30), Where(latitude=0, longitude=0, day=60)]
    )
    assert sites.placed.tolist() == [False, True, True]
    assert sites.dated.tolist() == [False, False, True]
    assert sites.rows(sites.dated).day.tolist() == [60.0]
    assert not sites.without_days().dated.any()
    assert np.isnan(sites.uncertainty_m[2])


def test_no_photograph_has_no_site() -> None:
    assert Sites.of([]).latitude.shape == (0,)
