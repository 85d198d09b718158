"""Tables of places: every usual CSV is read, and one that is not says in a sentence what it is."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.classifiers.place_tables import PlaceTable, read_places, read_species
from ml.errors import DataError

SPECIES = ["Morus alba", "Morus bassanus"]
PLAIN = (
    "gbif_id,species,latitude,longitude,day_of_year\n7,Morus alba,-41.29,174.78,60\n8,Morus bassanus,-45.5,170.5,1\n"
)


def read(path: Path, content: str | bytes, *, labelled: bool = True) -> PlaceTable:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_places(path, SPECIES, labelled=labelled)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\n\n"),
        PLAIN.rstrip("\n"),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace("latitude", "Latitude").replace("gbif_id", " GBIF ID "),
        PLAIN.replace("Morus alba", '" Morus  ALBA"'),
        PLAIN.replace("7,", "7.0,").replace("60", "60.0"),
        (
            "gbifID,species,decimalLatitude,decimalLongitude,eventDate,issue\n"
            '7,Morus alba,-41.29,174.78,2024-02-29T10:00:00Z,"A,B"\n8,Morus bassanus,-45.5,170.5,1999-01-01,\n'
        ),
        (
            "remark\tday_of_year\teventDate\tlongitude\tlatitude\tspecies\tgbifID\n"
            'a "quote\t\t--02-29\t174.78\t-41.29\tMorus alba\t7\nb\t1\t2024\t170.5\t-45.5\tMorus bassanus\t8\n'
        ),
        PLAIN.replace("-41.29", "41\u00b017'24\u2033S").replace("174.78", "174.78 E"),
    ],
)
def test_a_table_is_read_however_it_was_saved(table: Path, content: str | bytes) -> None:
    found = read(table, content)
    assert found.ids == ["7", "8"]
    assert found.class_ids.tolist() == [0, 1]
    assert found.sites.latitude == pytest.approx([-41.29, -45.5])
    assert found.sites.longitude == pytest.approx([174.78, 170.5])
    assert found.sites.day.tolist() == [60, 1]
    assert np.isnan(found.sites.uncertainty_m).all()
    assert found.problems.counts == {}


@pytest.mark.parametrize("name", ["coordinate_uncertainty_m", "coordinateUncertaintyInMeters"])
def test_uncertainties_are_read_where_they_are_stated(table: Path, name: str) -> None:
    rows = "".join(
        f"{row},Morus alba,1,2,3,{text}\n" for row, text in enumerate(["28000", "0", "", "12.5", "-3", "far"])
    )
    found = read(table, f"gbif_id,species,latitude,longitude,day_of_year,{name}\n{rows}")
    assert found.sites.uncertainty_m == pytest.approx([28000, np.nan, np.nan, 12.5, np.nan, np.nan], nan_ok=True)
    assert found.problems.counts == {"bad uncertainty": 2}
    assert found.problems.first["bad uncertainty"] == "line 6: '-3' is no number of metres"


def test_what_cannot_be_used_is_counted_by_kind_and_the_row_stays(table: Path) -> None:
    places = {
        ",": "no place", "nan,NaN": "no place", "NA,N/A": "no place", "nan,5": "bad place", "0,0": "bad place",
        "174.78,-41.29": "bad place", "north,5": "bad place", "inf,5": "bad place", "91,5": "bad place",
        "90,0": "", "-90,0": "", "5,180": "", "5,-180": "", "5,359.5": "",
    }  # fmt: skip
    rows = "".join(f"{number},Morus alba,{place},60\n" for number, place in enumerate(places))
    found = read(table, f"gbif_id,species,latitude,longitude,day_of_year\n{rows}")
    assert found.sites.placed.tolist() == [not kind for kind in places.values()]
    assert found.problems.counts == {"no place": 3, "bad place": 6}
    assert found.problems.first["bad place"].startswith("line 5: 'nan' is no place; write latitude")
    assert found.sites.longitude[-3:].tolist() == [180, 180, -0.5]


def test_a_date_that_cannot_be_used_leaves_the_place(table: Path) -> None:
    dates = {
        "2024-02-29": 60, "2023-03-01": 61, "2024-05": 137, "2024-05-01/17": 130, "": None, "2024": None, "nan": None,
        "0000-01-01": 0, "2024-04-31": 0, "yesterday": 0,
    }  # fmt: skip
    rows = "".join(f"{number},Morus alba,1,2,{date}\n" for number, date in enumerate(dates))
    found = read(table, f"gbif_id,species,latitude,longitude,event_date\n{rows}")
    assert found.sites.placed.all()
    assert found.sites.day == pytest.approx([day or np.nan for day in dates.values()], nan_ok=True)
    assert found.problems.counts == {"no day": 3, "bad date": 3}
    assert "line 9: '0000-01-01' has the year 0" in found.problems.first["bad date"]


def test_a_date_goes_before_a_day_of_the_year(table: Path) -> None:
    pairs = {"2023-03-01,60": 61, ",60": 60, "2023,60": 60, "soon,60": 60, "2023-03-01,0": 61, "soon,0": None}
    rows = "".join(f"{number},Morus alba,1,2,{pair}\n" for number, pair in enumerate(pairs))
    found = read(table, f"gbif_id,species,latitude,longitude,eventDate,startDayOfYear\n{rows}")
    assert found.sites.day == pytest.approx([day or np.nan for day in pairs.values()], nan_ok=True)
    assert found.problems.counts == {"bad date": 1}


@pytest.mark.parametrize("day", ["0", "367", "-1", "12.5", "1e2", "summer", "\u0661"])
def test_a_day_of_the_year_is_a_whole_number_of_it(table: Path, day: str) -> None:
    found = read(table, f"gbif_id,species,latitude,longitude,day_of_year\n1,Morus alba,1,2,{day}\n")
    assert np.isnan(found.sites.day).all()
    assert f"the day of the year is {day!r}, not a whole number from 1 to 366" in found.problems.first["bad date"]


def test_species_that_are_no_class_are_counted(table: Path) -> None:
    found = read(table, PLAIN + "9,Canis lupus,1,2,3\n10,Canis lupus,1,2,3\n11,,1,2,3\n")
    assert found.class_ids.tolist() == [0, 1, -1, -1, -1]
    assert found.strange == {"Canis lupus": 2}


def test_only_what_is_labelled_needs_a_column_of_species(table: Path) -> None:
    content = "gbif_id,latitude,longitude,day_of_year\n7,1,2,3\n"
    assert read(table, content, labelled=False).class_ids.tolist() == [-1]
    with pytest.raises(DataError, match="has no column species; its columns are gbif_id, latitude"):
        read(table, content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty; its first line must name its columns"),
        (b"\n\n", "is empty"),
        (b"gbif_id,species,latitude,longitude,day_of_year\n", "has no rows below its header"),
        (b"a,b\n1,2\n", "has no column gbif_id, latitude, longitude, species, day_of_year or event_date"),
        (PLAIN.replace("day_of_year", "day").encode(), "has no column day_of_year or event_date"),
        (PLAIN.replace("species", "decimalLatitude").encode(), "two columns for latitude: 'decimalLatitude' and"),
        (PLAIN.encode() + b"9,Morus alba,1,2\n", "line 4 has 4 values for 5 columns"),
        (PLAIN.encode() + b"9,Morus alba,1,2,3,4\n", "line 4 has 6 values for 5 columns"),
        (PLAIN.encode() + b'9,"Morus alba,1,2,3\n', "is no CSV"),
        (PLAIN.encode() + "9,M\u00fcller,1,2,3\n".encode("latin-1"), "is not UTF-8; save it as UTF-8"),
        ("gbif_id,esp\u00e8ce\n".encode("cp1252"), "is not UTF-8"),
        (PLAIN.encode("utf-16"), "is UTF-16; save it as UTF-8"),
        (b"PK\x03\x04\x14\x00" + b"x" * 100, "is no text; save the table as CSV in UTF-8"),
        (PLAIN.encode() + b'9,"Morus"alba,1,2,3\n', "is no CSV"),
    ],
)
def test_what_is_no_table_is_refused_with_its_name(table: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataError) as refused:
        read(table, content)
    assert str(refused.value).startswith(str(table))
    assert said in str(refused.value)


def test_a_file_that_is_none_is_refused(table: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_places(table, SPECIES, labelled=True)
    table.mkdir()
    with pytest.raises(DataError, match="is a folder; name one file"):
        read_species(table)


@pytest.mark.parametrize("content", ["Morus alba\nMorus bassanus\n", "\ufeffMorus alba\r\n Morus  bassanus \r\n\r\n"])
def test_classes_are_a_species_a_line(table: Path, content: str) -> None:
    table.write_bytes(content.encode())
    assert read_species(table) == SPECIES


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty; write a species a line"),
        (b"\n \n", "is empty"),
        (b"Morus alba\n\nMorus bassanus\n", "line 2 is blank"),
        (b"Morus alba\nMorus ALBA\n", "names 'morus alba' twice"),
        ("Drosera \u00e9".encode("latin-1"), "is not UTF-8"),
    ],
)
def test_classes_that_are_none_are_refused(table: Path, content: bytes, said: str) -> None:
    table.write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_species(table)
    assert said in str(refused.value)


@given(
    st.text(alphabet='gbif_id,species;latitude\tlongitude day_of_year\n\r"0.5-NE\u00b0', max_size=80)
    | st.text(max_size=40)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_table_or_refused(table: Path, text: str) -> None:
    header = "gbif_id,species,latitude,longitude,day_of_year\n"
    for content in (text, header + text, f"{header}1,Morus alba,{text}"):
        try:
            found = read(table, content.encode(errors="surrogatepass"))
        except DataError:
            continue
        assert len(found.ids) == len(found.class_ids) == len(found.sites.day)
        assert np.all(np.abs(found.sites.latitude[found.sites.placed]) <= 90)
