"""The one look of pictures and pages: colours, markers, dashes and sizes. What is drawn with them stands elsewhere.

On white every colour of a mark has at least 3:1 contrast, every colour of text 4.5:1 (WCAG 2.2). The colours of series
stay apart for people with any of the three kinds of colour blindness; and colour is never alone: series differ in their
markers, dashes or hatches, too.
"""

from typing import Final

BLUE: Final = "#004773"
VERMILION: Final = "#bb3600"
GREEN: Final = "#167d5f"
PURPLE: Final = "#854da5"
GOLD: Final = "#a98800"
"""For marks only: too light for text."""
SERIES: Final = (BLUE, VERMILION, GREEN, PURPLE, GOLD)
"""Colours of series, in their order."""
MARKERS: Final = ("o", "s", "^", "D", "v")
"""Matplotlib's markers of the series."""
DASHES: Final = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
"""Matplotlib's line styles of the series."""
HATCHES: Final = ("", "///", "..", "xxx", "\\\\\\")
"""Matplotlib's fillings of the series' bars."""
INK: Final = "#1d2a25"
"""Text and axes."""
MUTED: Final = "#5f6c66"
"""Secondary text."""
GRID: Final = "#d9dfdb"
"""Lines behind the data."""

WIDTH: Final = 4.8
"""Inches of a picture: text of `POINTS` can be read when it fills a telephone."""
POINTS: Final = 10.0
"""Size of text."""
SMALL: Final = 9.0
"""Size of numbers beside marks."""
DPI: Final = 200
"""Pixels of an inch in PNG files."""
