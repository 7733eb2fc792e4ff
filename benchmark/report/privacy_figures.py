"""What messages give away, as figures: against accuracy and bytes, and over rounds."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmark.privacy.findings import SERIES, SERVER
from benchmark.privacy.verdicts import column_of
from benchmark.report.audited import NO_PROOF, Audited
from benchmark.report.drawing import Drawn, logarithmic, name_methods, sheet
from benchmark.report.frame import Comparison
from benchmark.report.looks import Style
from benchmark.report.statistics import pareto

DECADE = 10
"""Numbers that are less far apart have no power of ten between them that a logarithmic axis could name."""
CHANCE = 0.5
"""The area of an attack that fails."""


def draw_privacy(comparison: Comparison, audited: Sequence[Audited], style: Style, folder: Path) -> list[Drawn]:
    """Draw what can be drawn of methods that send something."""
    drawable = [of for of in audited if of.sends and not _says_nothing(of) and of.membership.messages(of.last)]
    if not drawable:
        return []
    stem = f"{comparison.name}-privacy"
    with sheet(folder / stem, 2, (6.5, 3.0), comparison.title, len(drawable), style.paper) as panels:
        draw_fronts(panels, comparison, drawable, style)
    made = [
        Drawn(
            stem,
            "Membership against accuracy and bytes",
            f"By a server, series of messages; methods whose column is invalid are left out. {NO_PROOF}",
        )
    ]
    if max(len(of.membership.rounds) for of in drawable) > 1:
        over = f"{comparison.name}-privacy-rounds"
        with sheet(folder / over, 1, (6.0, 3.2), comparison.title, len(drawable), style.paper) as panels:
            draw_rounds(panels[0], drawable, style)
        caption = "By a server; each point is one message, the dotted line is chance. Rounds were fixed before the run."
        made.append(Drawn(over, "Membership over rounds", caption))
    return made


def _says_nothing(of: Audited) -> bool:
    area = of.membership.area(SERIES)
    return area is None or of.why_invalid(column_of("membership", SERVER), area.value) is not None


def draw_fronts(panels: Sequence[Axes], comparison: Comparison, audited: Sequence[Audited], style: Style) -> None:
    """Draw the area of membership against accuracy (left) and bytes (right), with the fronts that nothing beats.

    Fronts take areas below chance for chance, as attacks that fail do no better by failing below it.
    """
    found = {of: area for of in audited if (area := of.membership.area(SERIES))}
    areas = [max(area.value, CHANCE) for area in found.values()]
    accuracies = [comparison.mean(of.label) or 0.0 for of in found]
    sent = [comparison.mean_total(of.label, "bytes") / 1e6 for of in found]
    for axes, x, better in ((panels[0], accuracies, 1), (panels[1], sent, -1)):
        kept = pareto(areas, [better * value for value in x])
        front = sorted((a, b) for a, b, on in zip(x, areas, kept, strict=True) if on)
        axes.step(*zip(*front, strict=True), where="pre" if better > 0 else "post", color="0.6", linewidth=1, zorder=1)
        for (of, area), a in zip(found.items(), x, strict=True):
            look, b = style.of(of.label), area.value
            if area.interval:
                axes.vlines(a, *area.interval, color=look.colour, linewidth=0.8, alpha=0.6, zorder=1)
            axes.scatter(
                [a], [b], color=[look.colour], marker=look.marker, s=36 * style.paper.scale**2, zorder=2, label=of.label
            )
        axes.axhline(CHANCE, color="0.4", linewidth=0.7, linestyle=":")
    panels[0].set_xlabel("Mean accuracy [%]")
    panels[1].set_xlabel("Sent [MB]")
    if max(sent) > DECADE * min(sent):
        logarithmic(panels[1])
    for axes in panels if style.paper.stacked else panels[:1]:
        axes.set_ylabel("Area of membership")
    for axes in panels if style.paper.stacked else panels[1:]:
        name_methods(axes, style.paper)


def draw_rounds(axes: Axes, audited: Sequence[Audited], style: Style) -> None:
    """Draw the area of membership of single messages over the audited rounds."""
    for of in audited:
        found = {t: area for t in of.membership.rounds if (area := of.membership.area(t))}
        axes.plot(list(found), [area.value for area in found.values()], label=of.label, **style.of(of.label).line)
        if all(area.interval for area in found.values()):
            low, high = zip(*(area.interval for area in found.values() if area.interval), strict=True)
            axes.fill_between(list(found), low, high, color=style.of(of.label).colour, alpha=0.1, linewidth=0)
    axes.axhline(CHANCE, color="0.4", linewidth=0.7, linestyle=":")
    axes.set_xlabel("Round")
    axes.set_ylabel("Area of membership")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    name_methods(axes, style.paper)
