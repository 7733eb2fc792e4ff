"""Links of the site: those of the root's documents, and those that lead out of it."""

from pathlib import PurePosixPath

import pytest

from tools.docs import site


@pytest.mark.parametrize(
    "text, expected",
    [
        ("[a](docs/data.md)", "[a](data.md)"),
        ("[a](docs/statistics.md#on-which-devices)", "[a](statistics.md#on-which-devices)"),
        ("![a](docs/page.png)", "![a](page.png)"),
        ("[a](CONTRIBUTING.md)", "[a](contributing.md)"),
        ("[a](https://example.org/docs/x)", "[a](https://example.org/docs/x)"),
        ("[`m`](docs/methods/m.md), [b](methods/)", "[`m`](methods/m.md), [b](methods/)"),
    ],
)
def test_documents_of_the_root_link_to_pages(text, expected):
    assert site.rooted(text) == expected


@pytest.mark.parametrize(
    "text, here, expected",
    [
        ("[a](data.md#partitions) [b](CITATION.cff)", "", "[a](data.md#partitions) b"),
        ("[a](costs.json) [b](fml.md) [c](../data.md)", "methods", "a [b](methods/fml.md) [c](../data.md)"),
        ("[a](https://example.org) [b](#here)", "", "[a](https://example.org) [b](#here)"),
        ("[a](nowhere.md)", "", "[a](nowhere.md)"),
    ],
)
def test_what_is_not_on_the_site_is_text(text, here, expected):
    there = {"data.md", "methods/fml.md"}
    assert site.linked(text, there, PurePosixPath(here)) == expected.replace("(methods/fml", "(fml")


def test_a_page_for_each_method_and_the_overview_first():
    pages = site.expanded("methods/*.md")
    assert pages[0] == "methods/README.md"
    assert {"methods/fedmoe.md", "methods/standalone.md"} <= set(pages)
    assert site.expanded("index.md") == "index.md"


def test_a_page_that_the_navigation_does_not_name_is_found():
    named = str(["index.md", {"Use": ["running.md", "data.md"]}])
    found = site.unnamed(named)
    assert "statistics.md" in found
    assert "data.md" not in found
