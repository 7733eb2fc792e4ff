"""How much noise an epsilon asks for, and what it promises: the Gaussian mechanism, in closed form.

A client that takes part in T rounds and sends messages of norm S at most, with noise of deviation sigma S in every
number, is hidden as by one Gaussian of mu = sqrt(T) / sigma (Dong et al. 2022, arXiv 1905.02383). Neighbours are two
federations of which one has zeros in place of a client's messages. No round is forgiven for who was drawn into it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, sqrt

from scipy.special import log_ndtr, ndtr

from benchmark.config import FederationConfig

MOST_OF_A_RECORD = 2
"""Clipping norms that a message moves at most if a record is left out: it is one long at most with it and without."""
LEAST_MU, MOST_MU = 1e-6, 200.0
"""What one looks for: noise of a million clipping norms a message, and an epsilon of about 20,000."""


@dataclass(frozen=True)
class NoisePromise:
    """What noise promises to a client over all rounds.

    epsilon, delta: for all that it sends; rounds: in which it sends at most; sigma: deviation of the noise in each
    number, in norms that messages are clipped to
    """

    epsilon: float
    delta: float
    rounds: int
    sigma: float

    @classmethod
    def of(cls, epsilon: float, delta: float, rounds: int) -> "NoisePromise":
        """Return the least noise that keeps to an epsilon. Raises ValueError if none does."""
        return cls(epsilon, delta, rounds, sqrt(rounds) / mu_of(epsilon, delta))

    @property
    def mu(self) -> float:
        """The distance of two neighbours over all rounds, in deviations."""
        return sqrt(self.rounds) / self.sigma

    @property
    def one_message_mu(self) -> float:
        """The same for one message."""
        return 1 / self.sigma

    @property
    def record_areas(self) -> tuple[float, float]:
        """The largest areas of any attack on whether a record is among a client's: of one message, and of all."""
        return largest_area(MOST_OF_A_RECORD * self.one_message_mu), largest_area(MOST_OF_A_RECORD * self.mu)

    @property
    def words(self) -> str:
        """What is promised to whom, and what is not."""
        return (
            f"({self.epsilon:g}, {self.delta:g})-differential privacy of a client, whose neighbour has zeros in place "
            f"of its messages, over {self.rounds} rounds without sampling, by noise of {self.sigma:.3g} clipping norms "
            "(not covered: that a client takes part, its number of samples, whole numbers in buffers, the choice of "
            "settings)"
        )


def largest_area(mu: float) -> float:
    """Return the largest area under the ROC curve of any attack on what noise of this mu hides: Phi(mu / sqrt(2))."""
    return float(ndtr(mu / sqrt(2)))


def delta_of(epsilon: float, mu: float) -> float:
    """Return the delta of a Gaussian mechanism (Balle and Wang 2018, theorem 8)."""
    return float(ndtr(mu / 2 - epsilon / mu) - exp(epsilon + log_ndtr(-mu / 2 - epsilon / mu)))


def epsilon_of(mu: float, delta: float) -> float:
    """Return the epsilon of a Gaussian mechanism at a delta; 0 if delta alone is enough."""
    if delta_of(0, mu) <= delta:
        return 0.0
    return _root(lambda epsilon: delta_of(epsilon, mu) - delta, 0, mu**2 + 40 * mu + 1)


def mu_of(epsilon: float, delta: float) -> float:
    """Return the largest mu of a Gaussian mechanism that keeps to epsilon and delta. Raises ValueError if none does."""
    if not delta_of(epsilon, MOST_MU) > delta:
        raise ValueError(f"an epsilon of {epsilon:g} at a delta of {delta:g} promises nothing; ask for a smaller one")
    if delta_of(epsilon, LEAST_MU) > delta:
        raise ValueError(
            f"an epsilon of {epsilon:g} at a delta of {delta:g} leaves nothing but noise; ask for a larger one"
        )
    return _root(lambda mu: delta_of(epsilon, mu) - delta, LEAST_MU, MOST_MU)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq  # only here: it takes long to import, and few runs have noise

    return float(brentq(function, low, high))


def promise_of(config: FederationConfig) -> NoisePromise | None:
    """Return what the noise of a federation promises to a client; None without noise."""
    return None if config.dp_epsilon is None else NoisePromise.of(config.dp_epsilon, config.dp_delta, config.rounds)
