"""An answer in words: who differs from the reference at what cost, who is cheapest, whether that is enough to say."""

from collections.abc import Sequence

from benchmark.errors import plural
from benchmark.report.answer import Answer
from benchmark.report.cells import interval_text
from benchmark.report.differences import Difference
from benchmark.report.frame import LEAST_SEEDS
from benchmark.storage.moments import Moment

MOST_NAMED = 3
"""A sentence names so many methods of a kind, and counts the others."""
BYTE_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "bytes"))
FLOP_UNITS = ((1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1.0, "FLOP"))


def sentences(answer: Answer) -> list[str]:
    """Return the three sentences of an answer."""
    return [_who_differs(answer), _who_is_cheapest(answer), _whether_enough(answer)]


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def quantity(value: float, units: Sequence[tuple[float, str]]) -> str:
    """Return a number with three digits in the largest unit that it has one of; 'nothing' for 0."""
    scale, unit = next((pair for pair in units if value >= pair[0]), units[-1])
    return f"{value / scale:.3g} {unit}" if value else "nothing"


def _who_differs(answer: Answer) -> str:
    reference = answer.reference
    if not answer.prices:
        return f"No method has finished, so there is no difference to {reference}."
    match answer.pairing:
        case "no reference":
            return f"{reference} is not among these runs, so there is no difference to it; --reference names another."
        case "reference not done":
            return f"There is no difference to {reference}: {answer.left_out[reference]}."
        case "nothing beside the reference":
            return f"There is no difference to {reference}, as no other method can be paired with it."
    if _is_mixed(answer):
        return f"There is no answer over all {answer.tasks} tasks together, as some of their curves have not levelled."
    over = f"Over {plural(answer.tasks, 'task')} together, " if answer.tasks else ""
    if not answer.tested:
        return (
            f"{over}{'one' if over else 'One'} seed tells no difference to {reference} from chance: {_range(answer)}."
        )
    if not answer.told_apart:
        nobody = f"{'no' if over else 'No'} method is told apart from {reference}, {_at(answer.moments)}"
        return f"{over}{nobody}: {_range(answer)}."
    named, more = answer.told_apart[:MOST_NAMED], answer.told_apart[MOST_NAMED:]
    words = [_effect(answer, label) for label in named]
    if more:
        words.append(f"{_named(more)} {'differ' if len(more) > 1 else 'differs'} too")
    if answer.others:
        many = len(answer.others) > MOST_NAMED
        rest = f"the other {len(answer.others)}" if many else listed(answer.others)
        words.append(f"{rest} {'are' if len(answer.others) > 1 else 'is'} not told apart from it")
    return f"{over}{'; '.join(words)}."


def _is_mixed(answer: Answer) -> bool:
    """Return whether an answer over several tasks would be a mean over curves that have not levelled."""
    return bool(answer.tasks and answer.unlevelled)


def _at(moments: Sequence[Moment]) -> str:
    words = [moment.words for moment in moments]
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _range(answer: Answer) -> str:
    """Say between what the differences at the primary moment are."""
    moment = answer.moments[0]
    means = {label: difference.mean for label, difference in answer.effects[moment].items()}
    if len(means) == 1:
        ((label, mean),) = means.items()
        return f"{label} is {mean:+.2f} points from it {moment.words}"
    low, high = (pick(means, key=lambda label: means[label]) for pick in (min, max))
    return f"differences {moment.words} reach from {means[low]:+.2f} ({low}) to {means[high]:+.2f} points ({high})"


def _effect(answer: Answer, label: str) -> str:
    """Say where a method stands to the reference at each moment, and what it costs."""
    side = {1: "above", -1: "below"}
    groups: dict[tuple[int, str], list[Moment]] = {}  # moments of which the same is said
    for moment in answer.moments:
        if label in answer.effects[moment]:
            groups.setdefault((answer.sign(label, moment), _size(answer.effects[moment][label])), []).append(moment)
    apart = [(sign, size, at) for (sign, size), at in groups.items() if sign]
    words = []
    for sign, size, at in apart:
        here = side[sign] if sign != apart[0][0] else ""
        words.append(" ".join(filter(None, ["but" if here else "", here, "by", size, listed([m.words for m in at])])))
    for (sign, _), at in groups.items():
        if not sign:
            found = answer.effects[at[0]][label]
            words.append(f"but not told apart {listed([m.words for m in at])} ({_tested(found)})")
    return f"{label} is {side[apart[0][0]]} {answer.reference} {', '.join(words)}, {_cost(answer, label)}"


def _size(difference: Difference) -> str:
    """Write the size of a difference, with its interval."""
    test = difference.test
    return f"{abs(difference.mean):.2f} points" + (f" {interval_text(test.low, test.high)}" if test else "")


def _tested(difference: Difference) -> str:
    """Write a difference with its corrected p-value: an interval alone may leave 0 out though the test does not."""
    return f"{difference.mean:+.2f}" + (f", p = {difference.p:.2g}" if difference.p is not None else "")


def _cost(answer: Answer, label: str) -> str:
    """Say what a method sends, and how many times the reference's FLOPs it computes."""
    price, other = answer.prices[label], answer.prices[answer.reference]
    computed = f"{price.flops / other.flops:.2f} times its FLOPs" if other.flops else quantity(price.flops, FLOP_UNITS)
    return f"for {quantity(price.bytes, BYTE_UNITS)} up and down and {computed}"


def _who_is_cheapest(answer: Answer) -> str:
    if not answer.prices:
        return "No method has finished, so there is none to choose."
    if answer.best is None:
        costs = "" if _is_mixed(answer) else f"; {_cheapest(answer, 'of all methods')}"
        return f"No method is called the best before all curves have levelled{costs}."
    best = f"{answer.best} ({_score(answer)})"
    if answer.seeds < 2:
        return f"One seed tells no method apart from {best}; {_cheapest(answer, 'of all methods')}."
    equals = answer.contenders[1:]
    if not equals:
        price = answer.prices[answer.best]
        costs = f"it sends {quantity(price.bytes, BYTE_UNITS)} and computes {quantity(price.flops, FLOP_UNITS)}"
        alone = "the only method that has finished" if len(answer.prices) == 1 else "told apart from every other method"
        return f"{best} is {alone}; {costs}."
    verb = "are" if len(equals) > 1 else "is"
    return f"Not told apart from the best, {best}, {verb} {_named(equals)}; {_cheapest(answer, 'of these')}."


def _score(answer: Answer) -> str:
    """Say how good the best is: its accuracy, or over several tasks its difference to the reference."""
    where = answer.moments[0].words
    if not answer.tasks:
        return f"{answer.best_score:.2f} % {where}"
    return f"{answer.best_score:+.2f} points to {answer.reference} {where}" if answer.best_score else "the reference"


def _cheapest(answer: Answer, whom: str) -> str:
    sends, computes = answer.cheapest("bytes"), answer.cheapest("flops")
    sent = quantity(answer.prices[sends[0]].bytes, BYTE_UNITS)
    computed = quantity(answer.prices[computes[0]].flops, FLOP_UNITS)
    first = f"{whom} {_named(sends)} {_verb(sends, 'send')} least ({sent})"
    second = "and" if sends == computes else f", {_named(computes)}"
    return f"{first}{' ' * (sends == computes)}{second} {_verb(computes, 'compute')} least ({computed})"


def _verb(subjects: Sequence[str], verb: str) -> str:
    return verb if len(subjects) > 1 else f"{verb}s"


def _named(labels: Sequence[str]) -> str:
    """Name three methods at most, and count the others."""
    shown = [*labels[:MOST_NAMED]] if len(labels) > MOST_NAMED + 1 else [*labels]
    more = len(labels) - len(shown)
    return listed([*shown, f"{more} more"] if more else shown)


def _whether_enough(answer: Answer) -> str:
    lacks: list[str] = []
    if answer.unlevelled:
        where = "in" if answer.tasks else "of"
        lacks.append(f"curves still climb, or are too short to say, {where} {_named(answer.unlevelled)}")
    if answer.seeds < LEAST_SEEDS:
        lacks.append(f"{plural(answer.seeds, 'seed')} where {LEAST_SEEDS} are the least for a test")
    lacks += [f"{label} is left out ({why})" for label, why in answer.left_out.items()]
    if answer.pairing == "no reference":
        lacks.append("the reference is missing")
    seen = _seen(answer)
    if lacks:
        return f"Rounds and seeds are not enough to say more: {'; '.join(lacks)}{'; ' * bool(seen)}{seen}."
    return f"Rounds are enough, as every curve has levelled; {seen}."


def _seen(answer: Answer) -> str:
    if answer.detectable is None:
        return ""
    size = f"a difference of {answer.detectable:.1f} points"
    return f"{plural(answer.seeds, 'seed')} would show {size} (median over methods)"
