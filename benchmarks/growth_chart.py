"""Draw the chart of `bench_growth`'s results: `python -m benchmarks.growth_chart FIGURES.json CHART.png`.

It also prints the tables of docs/growth.md.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.bench_growth import AGAIN, EXISTING, HUNDRED, NEW, TARGET

TIMES = [EXISTING, AGAIN, NEW, HUNDRED, "history of 10", "history of 1,000", "page of 1,000", "settled position"]
AMOUNTS = ["log bytes, after a checkpoint", "log bytes, steady", "pages"]
BYTES = "bytes of "
LINES = ["tab:red", "tab:pink", "tab:orange", "tab:brown", "tab:blue", "tab:cyan", "tab:green", "tab:purple"]
PARTS = ["#1f4e79", "#2e75b6", "#7fb2e5", "#c55a11", "#f4a460", "#7f7f7f", "#548235", "#a9d18e", "#7030a0", "#c9a0dc"]

Figures = dict[str, dict[int, float]]


def figures_of(path: Path) -> Figures:
    """Return each measure, by the number of events in the store."""
    figures: Figures = {}
    for row in json.loads(path.read_text())["rows"]:
        size, _, name = row["name"].partition(": ")
        if size.replace(",", "").isdigit():
            figures.setdefault(name, {})[int(size.replace(",", ""))] = row["value"]
    return figures


def draw(figures: Figures, path: Path) -> None:
    mpl.use("agg")
    plt.rcParams.update({"font.size": 12, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplot_mosaic("TA;BB", figsize=(13, 10), layout="constrained", facecolor="white")
    draw_ratios(panels["T"], "Time of an operation", {name: figures[name] for name in TIMES})
    draw_ratios(panels["A"], "What an append logs and touches", {name: figures[name] for name in AMOUNTS})
    panels["T"].axhline(TARGET, color="black", linewidth=1, linestyle=":", label=f"target of single appends: {TARGET}")
    panels["T"].set_ylim(0, max(2, panels["T"].get_ylim()[1]))
    for panel in (panels["T"], panels["A"]):
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, fontsize=11, frameon=False)
    draw_bytes(panels["B"], {name: values for name, values in figures.items() if name.startswith(BYTES)})
    figure.savefig(path, dpi=110)


def table_of(figures: Figures) -> str:
    """Return the measures at each size, as a table in Markdown."""
    sizes = list(next(iter(figures.values())))
    lines = ["| | " + " | ".join(f"{size:,}" for size in sizes) + " |", "|---|" + "---:|" * len(sizes)]
    for name, values in figures.items():
        if list(values) == sizes:
            shown = (f"{value:,.0f}" if value >= 100 else f"{value:.2f}" for value in values.values())
            lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def billion_of(figures: Figures) -> str:
    """Return the bytes of a billion events, extrapolated from the largest size, as a table in Markdown."""
    lines = ["| | bytes of an event | at 10⁹ | rebuilt |", "|---|---:|---:|---:|"]
    totals = [0.0, 0.0]
    for name, values in figures.items():
        if name.startswith(BYTES):
            found = [values[max(values)], *figures[f"rebuilt, {name}"].values()]
            totals = [total + each for total, each in zip(totals, found, strict=True)]
            lines.append(
                "| `{}` | {:.1f} | {:,.0f} GB | {:,.0f} GB |".format(name.removeprefix(BYTES), found[0], *found)
            )
    return "\n".join([*lines, "| all | {:.1f} | {:,.0f} GB | {:,.0f} GB |".format(totals[0], *totals)])


def draw_ratios(panel: Any, title: str, figures: Figures) -> None:
    for (name, values), colour in zip(figures.items(), LINES, strict=False):
        smallest = values[min(values)]
        panel.plot(list(values), [value / smallest for value in values.values()], "o-", color=colour, label=name)
    panel.set(xscale="log", xlabel="events in the store", ylabel="times that at the smallest size", ylim=(0, None))
    panel.set_title(title, loc="left")
    panel.grid(axis="y", alpha=0.3)


def draw_bytes(panel: Any, figures: Figures) -> None:
    sizes = [f"{size:,}" for size in next(iter(figures.values()))]
    ends = [0.0] * len(sizes)
    for (name, values), colour in zip(figures.items(), PARTS, strict=True):
        panel.barh(sizes, list(values.values()), left=ends, color=colour, label=name.removeprefix(BYTES), height=0.6)
        ends = [end + value for end, value in zip(ends, values.values(), strict=True)]
    for place, end in enumerate(ends):
        panel.annotate(f" {end:,.0f}", (end, place), va="center")
    panel.invert_yaxis()
    panel.set(xlabel="bytes of an event", ylabel="events in the store")
    panel.set_title("What an event takes on disk, in each table and index", loc="left")
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, fontsize=11, frameon=False)


if __name__ == "__main__":
    figures = figures_of(Path(sys.argv[1]))
    draw(figures, Path(sys.argv[2]))
    print(table_of(figures), billion_of(figures), sep="\n\n")
