"""Small pictures for the pages of data sets, as Markdown with the picture inside. Nothing here reads or decides anything."""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from seq_assets.sequencing.advice import Advice, Histories

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS: Final = 16
"""Of the picture: few, because an event log may hold hundreds of them."""
_BINS: Final = 40


def history_lengths_plot(histories: Histories, sequence_lengths: Sequence[int]) -> str:
    """How many entities have how long histories, with lines at the sequence lengths; the axis of lengths is logarithmic."""
    figure, axes = _figure()
    edges = np.unique(np.geomspace(1, histories.longest + 1, _BINS).round())
    counts, _ = np.histogram(histories.items, edges, weights=histories.entities)
    axes.stairs(counts, edges, fill=True, color="#7f9fbf")
    for length in sequence_lengths:
        axes.axvline(length, color="#c0392b", linewidth=1)
        axes.annotate(str(length), (length, 1), xycoords=("data", "axes fraction"), color="#c0392b", fontsize=8, ha="center")
    _logarithmic(axes, "items of a history")
    axes.set_ylabel("entities")
    return _markdown(figure, "history lengths")


def pad_ratio_plot(advice: Sequence[Advice], sequence_lengths: Sequence[int], warn: float) -> str:
    """The pad ratio over sequence lengths, with dots at the declared ones and a line at the ratio that warns."""
    figure, axes = _figure()
    lengths = [each.sequence_length for each in advice]
    ratios = [each.accounting.pad_ratio for each in advice]
    axes.plot(lengths, ratios, color="#7f9fbf")
    declared = [(length, ratio) for length, ratio in zip(lengths, ratios, strict=True) if length in sequence_lengths]
    axes.scatter([length for length, _ in declared], [ratio for _, ratio in declared], color="#c0392b", zorder=2)
    axes.axhline(warn, color="#888888", linewidth=1, linestyle="--")
    _logarithmic(axes, "sequence length")
    axes.set_ylim(0, 1)
    axes.set_ylabel("pad ratio")
    return _markdown(figure, "pad ratios")


def _figure() -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.6), dpi=90)
    # Fixed margins, because working them out takes most of the time of a picture.
    figure.subplots_adjust(left=0.12, right=0.98, top=0.9, bottom=0.2)
    return figure, figure.subplots()


def _logarithmic(axes: "Axes", label: str) -> None:
    from matplotlib.ticker import NullLocator, ScalarFormatter

    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel(label)


def _markdown(figure: "Figure", title: str) -> str:
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(_COLORS, Image.Quantize.FASTOCTREE).save(small, format="png", optimize=True)
    return f"![{title}](data:image/png;base64,{base64.b64encode(small.getvalue()).decode()})"
