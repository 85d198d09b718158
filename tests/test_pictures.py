"""The check of pictures finds what it looks for."""

from matplotlib.figure import Figure

from tests.pictures import blemishes


def test_each_fault_is_found_and_nothing_else() -> None:
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label="a line")
    assert blemishes(figure) == []
    axes.text(0.5, 0.5, "on the line", ha="center", va="center")
    axes.text(0, 0.7, "on the frame", ha="center", transform=axes.transAxes)
    figure.text(0.9, 0.5, "a title that runs out of the figure")
    figure.text(0.9, 0.5, "another")
    axes.legend()
    found = "; ".join(blemishes(figure))
    for fault in (
        "'on the line' lies on a line",
        "'on the frame' lies on a frame",
        "cut: 'a title that",
        "overlap: 'a title",
        "a legend lies on axes",
    ):
        assert fault in found
