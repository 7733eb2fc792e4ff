"""The generated part of the card: the data sets that are known by name."""

from importlib import import_module

from benchmark.plugins import listed
from benchmark.report.cells import NOTHING
from tools.docs.blocks import markdown_table


def data_sets() -> str:
    """Return a table of names, contents, places, licences and fingerprints."""
    rows = []
    for entry in listed.described_catalogue("datasets.sources"):
        source = import_module(f"datasets.sources.{entry['name'].replace('-', '_')}").SOURCE
        fingerprint = f"`{source.fingerprint}`" if source.fingerprint else NOTHING
        rows.append([f"`{entry['name']}`", entry["description"], f"<{source.home}>", source.licence, fingerprint])
    return markdown_table(["name", "what it is", "published at", "licence", "fingerprint"], rows, left=5)
