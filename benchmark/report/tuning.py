"""What tuning has changed in a comparison: a table of defaults and choices, and a figure of what more trials find."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.stats import rankdata

from benchmark.errors import plural
from benchmark.report.cells import NOTHING, Cell, Column, Table, interval_text, spread_cell
from benchmark.report.document import Part
from benchmark.report.drawing import Drawn, name_methods, sheet
from benchmark.report.formats import write_table
from benchmark.report.frame import Comparison
from benchmark.report.looks import Style
from benchmark.report.statistics import mean_interval
from benchmark.storage.moments import LOCAL
from benchmark.tuning.choice import best, expected_best
from benchmark.tuning.record import Tuning, without_validation

RANKED_AFTER = (1, 4)
"""Trials after which methods are ranked, besides all of them."""


class Tuned(NamedTuple):
    """A method that was tuned: its label in the comparison, as given and as chosen."""

    label: str
    chosen_label: str
    tuning: Tuning

    @property
    def settings(self) -> str:
        """What was chosen, in words."""
        given = self.tuning.method.split("+")
        return ", ".join(s for s in self.tuning.chosen.label.split("+") if s not in given) or "the default"


def write_tuning(
    comparison: Comparison, tunings: Sequence[Tuning], style: Style, commands: Sequence[str], folder: Path
) -> Part:
    """Write the table and the figure of a comparison; nothing if none of its methods was tuned."""
    tuned = tuned_methods(comparison, tunings)
    if not tuned:
        return Part([], [])
    table = tuning_table(comparison, tuned)
    return Part(
        [(write_table(table, comparison.name, commands, folder / "tables"), table)],
        _write_figure(comparison, tuned, style, folder / "figures"),
    )


def tuned_methods(comparison: Comparison, tunings: Sequence[Tuning]) -> list[Tuned]:
    """Return the methods of a comparison that were tuned on it, and all of whose trials have ended; the best first."""
    found = []
    for tuning in (t for t in tunings if not t.missing):
        setting = without_validation(tuning.setting)
        labels = {
            run.run["specification"]["method"]["label"]: run.label
            for run in comparison.runs
            if without_validation(run.whole_setting) == setting
        }
        if {tuning.method, tuning.chosen.label} <= labels.keys():
            found.append(Tuned(labels[tuning.method], labels[tuning.chosen.label], tuning))
    return sorted(found, key=lambda method: comparison.methods.index(method.chosen_label))


def tuning_table(comparison: Comparison, tuned: Sequence[Tuned]) -> Table:
    """Make the table of tuning, a row per method."""
    most = min(len(method.tuning.trials) for method in tuned)
    after = sorted({min(k, most) for k in (*RANKED_AFTER, most)})
    ranks = [_ranks(tuned, k) for k in after]
    columns = [
        Column("Method"),
        Column("Default [%]", "high", "as it was given"),
        Column("Tuned [%]", "high", "as it was chosen on validation samples"),
        Column("Gain", "high", "tuned less default, mean over seeds, in points of accuracy"),
        Column("95 % interval", None, "of the gain: Student's, paired by seed"),
        Column("Chosen"),
        *(Column(f"Rank after {plural(k, 'trial')}", None, "1 is the best; on the tuning seeds") for k in after),
    ]
    rows = [
        [
            Cell(method.label, method.label),
            *_accuracies(comparison, method),
            Cell(method.settings),
            *(of_all[i] for of_all in ranks),
        ]
        for i, method in enumerate(tuned)
    ]
    caption = _caption(comparison, tuned)
    notes = [_order(comparison, tuned), _clear_gains(comparison, tuned), *_lost(tuned)]
    return Table("tuning", "Tuning", comparison.title, caption, columns, rows, notes)


def _accuracies(comparison: Comparison, method: Tuned) -> list[Cell]:
    """Return the cells of default, tuned, gain and its interval."""
    values = [spread_cell(comparison.scores(label)) for label in (method.label, method.chosen_label)]
    gains = _gains(comparison, method)
    if not gains:
        return [*values, Cell(NOTHING), Cell(NOTHING)]
    gain, interval = float(np.mean(gains)), mean_interval(gains)
    band = Cell(interval_text(interval.low, interval.high), interval.low) if interval else Cell(NOTHING)
    return [*values, Cell(f"{gain:+.2f}", gain), band]


def _gains(comparison: Comparison, method: Tuned) -> list[float]:
    """Return tuned less default under each seed; nothing if the default was chosen, or one of both is not done."""
    if method.chosen_label == method.label:
        return []
    key = comparison.moment.key("accuracy_mean")
    scores = [[run.summary[key] for run in pair] for pair in comparison.paired(method.chosen_label, method.label)]
    return [tuned - default for tuned, default in scores if None not in (tuned, default)]


def _ranks(tuned: Sequence[Tuned], k: int) -> list[Cell]:
    """Rank the methods by the test accuracy of the best of their first k trials on validation samples."""
    tests = [best(method.tuning.trials[:k]).test for method in tuned]
    ranks = rankdata([np.inf if test is None else -round(test, 9) for test in tests], method="min")
    return [
        Cell(NOTHING) if test is None else Cell(str(int(rank)), int(rank))
        for test, rank in zip(tests, ranks, strict=True)
    ]


def _caption(comparison: Comparison, tuned: Sequence[Tuned]) -> str:
    numbers = sorted({len(method.tuning.trials) for method in tuned})
    seeds = sorted({seed for method in tuned for seed in method.tuning.seeds})
    shares = sorted({method.tuning.setting["validation"] for method in tuned})
    return (
        f"{' or '.join(map(str, numbers))} trials of each method under {'seed' if len(seeds) == 1 else 'seeds'} "
        f"{', '.join(map(str, seeds))}, the first being the default; chosen is the best on validation samples "
        f"({' or '.join(f'{100 * share:g}' for share in shares)} % of each client's training samples, {LOCAL.words}; "
        "mean over the last five evaluated rounds or the last tenth, whichever is more, and of fewer than five the "
        "last one). "
        f"Default and tuned: new runs on seeds that nothing was chosen on, {comparison.selection}. Nothing is chosen "
        "by a test accuracy: a trial's serves ranks and figure alone. A rank is that of the test accuracy "
        f"{LOCAL.words}, on the tuning seeds, of the trial that is best on validation samples among the first ones."
    )


def _order(comparison: Comparison, tuned: Sequence[Tuned]) -> str:
    """Say whether tuning has changed the order of the methods."""
    means = [(m.label, comparison.mean(m.label), comparison.mean(m.chosen_label)) for m in tuned]
    known = [(label, default, chosen) for label, default, chosen in means if default is not None and chosen is not None]
    if len(known) < 2:
        return "Fewer than two tuned methods are done, so there is no order."
    before = [label for label, default, _ in sorted(known, key=lambda row: -row[1])]
    after = [label for label, _, chosen in sorted(known, key=lambda row: -row[2])]
    if before == after:
        return f"Tuning does not change the order of the mean accuracies: {', '.join(after)}."
    return f"Tuning changes the order of the mean accuracies from {', '.join(before)} to {', '.join(after)}."


def _clear_gains(comparison: Comparison, tuned: Sequence[Tuned]) -> str:
    """Say for which methods the interval of the gain excludes 0."""
    intervals = {method.label: mean_interval(_gains(comparison, method)) for method in tuned}
    clear = [label for label, found in intervals.items() if found and not found.low <= 0 <= found.high]
    if clear:
        return f"The interval of the gain excludes 0 for {', '.join(clear)} alone."
    return "No interval of a gain excludes 0: chance may do as much."


def _lost(tuned: Sequence[Tuned]) -> list[str]:
    """Say which methods have trials that did not end well, and so lost."""
    counts = {m.label: [trial.status for trial in m.tuning.trials if trial.status != "done"] for m in tuned}
    return [
        f"{label}: {len(lost)} of {plural(len(method.tuning.trials), 'trial')} {' or '.join(sorted({*lost}))}"
        for method, (label, lost) in zip(tuned, counts.items(), strict=True)
        if lost
    ]


def _write_figure(comparison: Comparison, tuned: Sequence[Tuned], style: Style, folder: Path) -> list[Drawn]:
    drawable = [method for method in tuned if expected_best(method.tuning.trials)]
    if not drawable:
        return []
    stem = f"{comparison.name}-tuning"
    with sheet(folder / stem, 2, (6.5, 2.8), comparison.title, len(drawable), style.paper) as panels:
        draw_expected(panels, drawable, style)
    caption = (
        "Expected test accuracy, on the tuning seeds, of the trial that is best on validation samples among so many of "
        "a method's trials, drawn without replacement (Dodge et al. 2019), and a band of one standard deviation over "
        "the draws, which says nothing of seeds. Right: by what that many trials cost, so that a vertical line "
        "compares methods that were given the same FLOPs."
    )
    return [Drawn(stem, "What more trials find", caption)]


def draw_expected(panels: Sequence[Axes], tuned: Sequence[Tuned], style: Style) -> None:
    """Draw a line per method: over trials (left), and over the TFLOP that clients compute for them (right)."""
    means = []
    for method in tuned:
        curve = np.array(expected_best(method.tuning.trials))
        k, (mean, sd), look = np.arange(1, len(curve) + 1), curve.T, style.of(method.label).line
        cost = float(np.mean([trial.flops for trial in method.tuning.trials])) / 1e12
        for axes, x in zip(panels, (k, k * cost), strict=True):
            axes.plot(x, mean, label=method.label, **look)
            axes.fill_between(x, mean - sd, mean + sd, color=look["color"], alpha=0.12, linewidth=0)
        means.append(mean)
    low, high = np.concatenate(means).min(), np.concatenate(means).max()
    margin = max(1.0, 0.3 * (high - low))
    for axes, words in zip(panels, ("Trials", "Computed by clients [TFLOP]"), strict=True):
        axes.set_ylim(low - margin, high + margin)
        axes.set_xlabel(words)
    panels[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in panels if style.paper.stacked else panels[:1]:
        axes.set_ylabel("Expected test accuracy [%]")
    panels[1].set_xlim(left=0)
    for axes in panels if style.paper.stacked else panels[1:]:
        name_methods(axes, style.paper)
