"""The work of a run's clients: participants by round, and the shapes of their steps. No step is computed for it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import NamedTuple

from benchmark.config import FederationConfig
from benchmark.engine.eager import EVALUATION_BATCH, EagerEngine, LocalWork, Step
from benchmark.errors import located
from benchmark.method import Method
from benchmark.schedule import Schedule
from benchmark.task import Task

WorkKind = tuple[str, int, bool]
"""The kind of a piece of work: the architecture, the phase's number (or STATISTICS), whether it collects statistics."""
StepSizes = tuple[int, ...]
"""Samples of a step, one number for each stretch that its phase draws from; of statistics, one number."""
STATISTICS = -1
"""The phase's number of a piece of work that takes statistics."""


class WorkShape(NamedTuple):
    """The key of a piece of work: the three of its kind, and the samples."""

    architecture: str
    phase: int
    sizes: StepSizes
    collects: bool = False

    @property
    def kind(self) -> WorkKind:
        """Return its kind."""
        return self.architecture, self.phase, self.collects


class Turn(NamedTuple):
    """A participant in a round: all that the size of its messages can depend on besides what was learned.

    since: "first" in the first round, "stayed" after a round that it took part in, otherwise "back"
    own, known, others, returning: row counts for a per-class table: the client's classes; classes that any earlier
        participant had; classes that another earlier participant had; the client's classes if it took part before,
        else 0
    """

    architecture: str
    since: str
    own: int
    known: int
    others: int
    returning: int


@dataclass(frozen=True, eq=False)
class Workload:
    """The work of a run, from its schedule.

    participants: of each round; steps: of one turn of each client, their number by shape, with its statistics
    first_rounds: of each phase; fine_tuning: steps of each client before an evaluation, in the same way
    """

    task: Task
    config: FederationConfig
    participants: Sequence[Sequence[int]]
    steps: Sequence[Counter[WorkShape]]
    first_rounds: Sequence[int]
    fine_tuning: Sequence[Counter[WorkShape]]

    @cached_property
    def turns_of(self) -> Counter[int]:
        """Count the rounds in which a client takes part: client -> number, at least one."""
        return Counter(k for ids in self.participants for k in ids)

    @cached_property
    def shapes(self) -> Counter[WorkShape]:
        """Count the pieces of work of each shape in all rounds."""
        total: Counter[WorkShape] = Counter()
        by_first = {first: self._turns_from(first) for first in {1, *self.first_rounds}}
        for k in self.turns_of:
            for shape, count in self.steps[k].items():
                first = 1 if shape.phase == STATISTICS else self.first_rounds[shape.phase]
                total[shape] += by_first[first][k] * count
        return total

    def _turns_from(self, first: int) -> Counter[int]:
        """Count the rounds from the first on in which a client takes part: client -> number."""
        return Counter(k for ids in self.participants[first - 1 :] for k in ids)

    @cached_property
    def fine_tuned(self) -> Counter[WorkShape]:
        """Count the pieces of fine-tuning of each shape in all evaluations."""
        evaluations = sum(1 for _ in self.evaluated)
        total = sum(self.fine_tuning, Counter[WorkShape]())
        return Counter({shape: evaluations * count for shape, count in total.items()})

    @property
    def common_batch(self) -> int:
        """Return the number of samples that most training steps have."""
        seen: Counter[int] = Counter()
        for shape, count in self.shapes.items():
            if shape.phase != STATISTICS:
                seen[max(shape.sizes)] += count
        return seen.most_common(1)[0][0]

    def turns(self) -> Iterator[Turn]:
        """Yield every turn of every participant, round by round."""
        return turns(self.task, self.participants)

    @property
    def evaluated(self) -> Iterator[tuple[set[int], set[int]]]:
        """Yield for each evaluated round: (clients that changed since the last one, clients that ever took part)."""
        changed, seen = {*range(self.config.clients)}, set[int]()
        for t, ids in enumerate(self.participants, start=1):
            changed.update(ids)
            seen.update(ids)
            if t % self.config.eval_every == 0 or t == len(self.participants):
                yield changed, {*seen}
                changed = set()


def workload(method: Method, task: Task, config: FederationConfig, engine: EagerEngine) -> Workload:
    """Return the work of a run, divided into steps as this engine divides it."""
    schedule = Schedule(task, config)
    names = [info.architecture for info in task.infos]
    phases = method.phases()

    def steps(k: int, work: LocalWork) -> Counter[WorkShape]:
        own = Counter(
            WorkShape(names[k], number, step.sizes, step.collects)
            for number, phase in enumerate(phases)
            for step in engine.steps(phase, partial(schedule.epochs, k, 1), work)
        )
        return own + Counter(WorkShape(names[k], STATISTICS, (n,)) for n in _chunks(engine, len(task.clients[k].train)))

    ids, fine = range(task.num_clients), LocalWork(config.finetune)
    return Workload(
        task,
        config,
        [schedule.participants(t) for t in range(1, config.rounds + 1)],
        [steps(k, LocalWork.of(config)) for k in ids],
        [phase.first_round for phase in phases],
        [steps(k, fine) for k in ids] if config.finetune else [],
    )


def _chunks(engine: EagerEngine, samples: int) -> list[int]:
    if not engine.takes_statistics:
        return []
    full, rest = divmod(samples, EVALUATION_BATCH)
    return [EVALUATION_BATCH] * full + [rest] * (rest > 0)


def turns(task: Task, participants: Sequence[Sequence[int]]) -> Iterator[Turn]:
    """Yield every turn of every participant, round by round."""
    classes = [{*task.labels[data.train].tolist()} for data in task.clients]
    owners, seen = Counter[int](), set[int]()
    for t, (before, ids) in enumerate(pairwise([[], *participants])):
        stayed = {*before}
        for k in ids:
            since = "stayed" if k in stayed else "back" if t else "first"
            mine = classes[k] if k in seen else set[int]()
            others = len(owners) - sum(owners[c] == 1 for c in mine)
            yield Turn(task.infos[k].architecture, since, len(classes[k]), len(owners), others, len(mine))
        owners.update(c for k in ids if k not in seen for c in classes[k])
        seen.update(ids)


class Line(NamedTuple):
    """A line: at_zero + slope x size."""

    at_zero: float
    slope: float

    def __call__(self, size: float) -> float:
        """Return the value at a size."""
        return self.at_zero + self.slope * size

    @classmethod
    def through(cls, points: Mapping[int, float]) -> "Line":
        """Return the line through the smallest and the largest point, but a level one if it would fall.

        If there is only one point, the line goes through zero.
        """
        (low, a), (high, b) = min(points.items()), max(points.items())
        if low == high:
            return cls(0, a / low)
        slope = max(0.0, (b - a) / (high - low))
        return cls(b - slope * high, slope)


@dataclass
class Flops:
    """FLOPs of all shapes from those of a few.

    The FLOPs of a step grow linearly with its samples unless a method compares samples with each other. So three sizes
    are counted, and others only if those three do not lie on one line. count: a function that returns the FLOPs of a
    shape
    """

    lines: dict[WorkKind, Line | None]
    counted: dict[WorkShape, int]

    @classmethod
    def counting(cls, count: Callable[[WorkShape], int], shapes: Sequence[WorkShape]) -> "Flops":
        """Fit the lines for architecture and phase of these shapes."""
        flops = cls({}, {})
        for shape in shapes:
            if shape.kind not in flops.lines:
                flops.lines[shape.kind] = None if len(shape.sizes) > 1 else _line(count, shape)
        return flops

    def of(self, shape: WorkShape, count: Callable[[WorkShape], int]) -> int:
        """Return the FLOPs of one piece of work of that shape."""
        if line := self.lines.get(shape.kind):
            return int(line(shape.sizes[0]))
        if shape not in self.counted:
            self.counted[shape] = count(shape)
        return self.counted[shape]

    def total(self, work: Workload, count: Callable[[WorkShape], int]) -> int:
        """Return the FLOPs of the clients in all rounds."""
        return sum(n * self.of(shape, count) for shape, n in work.shapes.items())


def _line(count: Callable[[WorkShape], int], shape: WorkShape) -> Line | None:
    """Return the line that three sizes of a piece of work lie on, or None."""
    two, three, large = sorted({2, 3, max(shape.sizes[0], 4)})
    found = {n: count(shape._replace(sizes=(n,))) for n in (two, three, large)}
    slope = found[three] - found[two]
    line = Line(found[two] - two * slope, slope)
    return line if line(large) == found[large] else None


def count_with(engine: EagerEngine, client: Callable) -> Callable[[WorkShape], int]:
    """Return a function that counts the FLOPs of a shape with this engine. client: architecture -> Client, loaded."""

    def count(shape: WorkShape) -> int:
        loaded = client(shape.architecture)
        with located(f"{shape.architecture}, phase {shape.phase}, {shape.sizes} samples"):
            sample = engine.task.clients[loaded.info.id].train[:1]
            batches = tuple(sample.expand(n) for n in shape.sizes)
            if shape.phase == STATISTICS:
                return engine.statistics_flops(loaded, *batches)
            phase = engine.method.phases()[shape.phase]
            return engine.step_flops(loaded, shape.phase, phase, Step(batches, shape.collects))

    return count
