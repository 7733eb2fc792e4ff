"""Where to read about a method: its page in the repository, and its paper."""

import re
from functools import cache
from importlib.resources import files

METHOD_PAGES = "../../docs/methods/{}.md"
"""From a report in reports/<experiment>/ of a checkout to a method's page."""
PAPER_ADDRESSES = (
    (re.compile(r"arXiv\s+(\d{4}\.\d{4,5})"), "https://arxiv.org/abs/{}"),
    (re.compile(r"doi\s+(10\.\d{4,9}/[\w.]*\w)"), "https://doi.org/{}"),
)
"""How a method's file cites its paper, and the address that follows from it."""


@cache
def links_of(label: str) -> dict[str, str]:
    """Return what there is to read -> its address, of a method of the catalogue; nothing of any other."""
    name = label.partition("+")[0]
    source = files("methods") / f"{name.replace('-', '_')}.py"
    if not re.fullmatch(r"[\w-]+", name, re.ASCII) or not source.is_file():
        return {}
    text = source.read_text(encoding="utf-8")
    papers = [address.format(found[1]) for cited, address in PAPER_ADDRESSES if (found := cited.search(text))]
    return {"page": METHOD_PAGES.format(name)} | ({"paper": papers[0]} if papers else {})
