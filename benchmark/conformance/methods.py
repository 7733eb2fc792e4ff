"""Checks of methods: those in methods/ and user-defined ones."""

import inspect
import sys
from pathlib import Path

from benchmark.conformance import exchange, repetition, training
from benchmark.conformance.suite import Broken, Check
from benchmark.method import Method, misspelt_hooks

DOCSTRING_NEEDS = ("arXiv", "Client k holds", "trained", "travels", "One round", "Departures from the paper")
"""Words that the docstring of a method's file has to contain."""


def file(method: Method) -> None:
    """The file defines one frozen dataclass of its name that inherits from Method alone, its hooks spelt right."""
    cls = type(method)
    stem = Path(inspect.getfile(cls)).stem
    if cls.__name__.lower() != stem.replace("_", "").replace("-", "").lower():
        raise Broken(f"the file is called {stem} and the class {cls.__name__}; call one as the other")
    if cls.__bases__ != (Method,):
        raise Broken(f"{cls.__name__} inherits from {', '.join(b.__name__ for b in cls.__bases__)}, not Method alone")
    if misspelt := misspelt_hooks(cls):
        raise Broken(misspelt[0])


def docstring(method: Method) -> None:
    """The docstring is the paper's algorithm box: its source, who holds what, one round, the departures."""
    text = sys.modules[type(method).__module__].__doc__ or ""
    if missing := [words for words in DOCSTRING_NEEDS if words not in text]:
        raise Broken(f"the file's docstring does not say: {', '.join(missing)}")


CHECKS = (
    Check.of(file),
    Check.of(docstring),
    Check.of(training.any_line_up),
    *(Check.of(run, "any-line-up") for run in (training.odd_clients, training.trained_parts)),
    *(Check.of(run, "any-line-up") for run in (training.predictions, training.inspection, training.device)),
    *(Check.of(run, "any-line-up") for run in (exchange.aggregate, exchange.sent_bytes, exchange.memory)),
    Check.of(exchange.record_message, "any-line-up"),
    *(Check.of(run, "any-line-up", "memory") for run in (repetition.reproducible, repetition.another_seed)),
    Check.of(repetition.resume, "any-line-up", "reproducible"),
)
"""The suite, in order: a method that does not run at all gets one complaint only."""
