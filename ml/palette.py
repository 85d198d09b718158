"""The one palette of pictures and pages. Colours only: what is drawn with them stands elsewhere.

Every colour of a mark has at least 3:1 contrast on white, every colour of text 4.5:1 (WCAG 2.2). Colour is never alone:
series differ in their markers and dashes, too.
"""

from typing import Final

BLUE: Final = "#0a4c8a"
VERMILION: Final = "#c8501e"
GREEN: Final = "#0a7d5a"
PURPLE: Final = "#8e4a8c"
GOLD: Final = "#9a6a00"
SERIES: Final = (BLUE, VERMILION, GREEN, PURPLE, GOLD)
"""Colours of series, in their order."""
MARKERS: Final = ("o", "s", "^", "D", "v")
"""Matplotlib's markers of the series."""
DASHES: Final = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
"""Matplotlib's line styles of the series."""
INK: Final = "#1d2a25"
"""Text and axes."""
MUTED: Final = "#5f6c66"
"""Secondary text."""
GRID: Final = "#d9dfdb"
"""Lines behind the data."""
