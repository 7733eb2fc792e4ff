"""The moments of a round at which networks are evaluated: what is stored of each, and what it is called."""

from typing import NamedTuple


class Moment(NamedTuple):
    """A moment at which all clients' networks are evaluated, each on its own test data.

    name: as it is typed; stored: name of its scores in a round; words: as sentences have it
    suffix: end of the names of its numbers in a summary
    """

    name: str
    stored: str
    words: str
    suffix: str

    def key(self, number: str) -> str:
        """Return the name of a number of this moment in a summary."""
        return number + self.suffix


LOCAL = Moment("local", "post_local", "after local training", "")
DOWNLOAD = Moment("download", "post_download", "after the next download", "_post_download")
MOMENTS = (
    LOCAL,
    DOWNLOAD,
    Moment("finetune", "post_finetune", "after fine-tuning", "_post_finetune"),
)
"""All moments, in their order in a round; reports lead with the first of those that they show."""
