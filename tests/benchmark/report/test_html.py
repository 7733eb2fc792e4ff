"""The report's page: what it says, that a name stays text, and what it may load."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from benchmark.report.charts import DARK_GROUND, at_night, contrast
from benchmark.report.html import _anchors, render
from benchmark.report.links import links_of
from benchmark.report.looks import catalogue_looks

HOSTILE = (
    "<script>document.title = 'broken'</script>",
    "</script><script>document.title = 'broken'</script>",
    "\"><img src=x onerror=document.title='broken'>",
    "{{ 7 * 191 }}' onfocus='document.title=1",
    "<!--<script>",
)
NOTHING = {"answer": [], "tables": [], "figures": [], "charts": None}
"""A part of the page with nothing in it."""
FIXED = {"src", "pdf", "key", "better", "page", "paper", "name", "colour", "dark"}
"""Keys of the document whose texts the contract fixes."""


class Page(HTMLParser):
    """Elements, attributes and text as a browser's parser would see them."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, text):
        self.texts.append(text)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def policy(self):
        return next(a["content"] for a in self.of("meta") if a.get("http-equiv") == "Content-Security-Policy")


def data_of(page, name):
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)[1])


def poisoned(value, poison, key=""):
    """The document with every string replaced, but for links and what the contract fixes."""
    if isinstance(value, dict):
        return {name: poisoned(item, poison, name) for name, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, poison, key) for item in value]
    return poison if isinstance(value, str) and key not in FIXED else value


def column_of(document, key):
    return {(row["comparison"], row["label"]): row["cells"].get(key) for row in document["leaderboard"]["rows"]}


def test_everything_is_there(document):
    page = render(document)
    text = " ".join(Page(page).texts)
    for words in ("36 runs (35 done, 1 failed)", "fedmoe+gate=static", "out of memory", "digits, iid", "report it"):
        assert words in text, words
    for sentence in document["answer"] + document["comparisons"][1]["answer"]:
        assert sentence in text
    assert page.count('<tr class="foot">') == sum(t["foot"] for c in document["comparisons"] for t in c["tables"])
    assert {a["href"] for a in Page(page).of("a")} >= {"https://arxiv.org/abs/2402.01350", "../../docs/methods/fml.md"}


def test_footnotes_keep_their_marks_and_stand_apart(document):
    page = render(document)
    table = next(t for t in document["comparisons"][0]["tables"] if t["notes"] and t["marks"])
    i, j, number = table["marks"][0]
    assert f"{table['rows'][i][j]}<sup>{number}</sup>" in page.replace("</strong>", "").replace("</u>", "")
    for note in table["notes"]:
        assert f"<li>{note}</li>" in page


@pytest.mark.parametrize("poison", HOSTILE)
def test_a_string_is_only_text(document, poison):
    clean, page = render(document), render(poisoned(document, poison))
    tags = [name for name, _ in Page(page).elements]
    assert tags.count("script") == [name for name, _ in Page(clean).elements].count("script")
    assert set(tags) == {name for name, _ in Page(clean).elements}
    assert not any(name.startswith("on") or name == "style" for _, a in Page(page).elements for name in a)
    assert poison in Page(page).texts
    assert data_of(page, "charts-0")["series"][0]["label"] == poison


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "https://example.org/x.tex",
        "//example.org/x.tex",
        "/etc/passwd",
        "../x.tex",
        "tables/../../x.tex",
        "tables/%2e%2E/x.tex",
        'tables/x.tex" onclick="alert(1)',
        "tables/x.tex\n",
        "data:text/html;base64,AAAA",
        "data:image/svg+xml;base64,AAAA",
        "https://arxiv.org.example.org/abs/1",
        "",
    ],
)
@pytest.mark.parametrize("place", ["src", "pdf", "paper", "across"])
def test_a_foreign_link_is_refused(document, link, place):
    first = document["comparisons"][0]
    if place == "paper":
        document["methods"]["fml"]["paper"] = link
    elif place == "across":
        document["across"]["figures"] = [first["figures"][0] | {"pdf": link}]
    else:
        first["figures"][0][place] = link
    with pytest.raises(ValueError, match="does not link to"):
        render(document)


def test_a_figure_may_lie_beside_the_page(document):
    document["comparisons"][0]["figures"][0]["src"] = "figures/cifar10-partition=dirichlet0.3-rounds.png"
    assert 'src="figures/cifar10-partition=dirichlet0.3-rounds.png"' in render(document)


def test_an_embedded_figure_has_all_its_colours(sample_report):
    """64 colours made one of what are several methods."""
    document, folder = sample_report
    figure = document["comparisons"][0]["figures"][0]
    inside = Image.open(io.BytesIO(base64.b64decode(figure["src"].partition(",")[2]))).convert("RGB")
    path = folder / unquote(figure["pdf"]).replace(".pdf", ".png")
    assert np.array_equal(np.asarray(inside), np.asarray(Image.open(path).convert("RGB")))


def test_the_page_loads_nothing_from_any_network(document):
    page = render(document).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"url\(|@import|\bfetch\(|XMLHttpRequest|innerHTML|<link rel=\"(?!icon)", page)
    linked = {a.get("href", "") for a in Page(page).of("a")}
    assert set(re.findall(r"https?://[^\s\"<]+", page)) <= linked


def test_the_policy_lets_nothing_in_but_its_own(document):
    page = render(document)
    directives = dict(part.strip().split(" ", 1) for part in Page(page).policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert "unsafe" not in Page(page).policy
    for directive, pattern in (
        ("script-src", r'<script type="module">(.*?)</script>'),
        ("style-src", r"<style>(.*?)</style>"),
    ):
        (inlined,) = re.findall(pattern, page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inlined.encode()).digest()).decode()
        assert directives[directive] == f"'sha256-{digest}'"


def test_the_page_itself_is_small(document):
    document["leaderboard"]["rows"] = []
    page = render(
        document
        | {"comparisons": [], "methods": {}, "across": {"answer": [], "tables": [], "figures": [], "charts": None}}
    )
    assert len(page.encode()) < 90_000


def test_little_to_show(document):
    one = document["comparisons"][0]
    one |= {"tables": [], "figures": [], "commands": [], "answer": []}
    one["charts"] |= {"series": [], "partition": None}
    nothing = one | {"id": "digits"}
    document["leaderboard"]["rows"] = []
    little = {"across": NOTHING, "comparisons": [one, nothing, nothing], "intro": [], "environments": []}
    page = render(document | little)
    assert page.count("No run of this comparison is done.") == 3
    assert "Over all comparisons" not in page
    anchors = [a["id"] for a in Page(page).of("section") if "id" in a]
    assert len(anchors) == len(set(anchors))


def test_numbers_are_short_and_what_is_not_finite_is_null(document):
    series = document["comparisons"][0]["charts"]["series"][0]
    series["curves"]["local"]["accuracy"][:3] = [float("nan"), None, 61.123456]
    series["bytes"][:2] = [1e6, 2.5e6]
    document["leaderboard"]["rows"][0]["cells"]["sent_[mb]"]["value"] = float("nan")
    page = render(document)
    first = data_of(page, "charts-0")["series"][0]
    assert first["curves"]["local"]["accuracy"][:3] == [None, None, 61.123]
    assert first["bytes"][:2] == [1, 2.5]
    assert not re.search(r'data-value="nan"', page)


def test_files_of_tables_are_in_the_page(sample_report):
    document, folder = sample_report
    files = data_of(render(document), "files-0")
    assert {name.rpartition(".")[2] for name in files} == {"csv", "tex"}
    for name, text in files.items():
        assert text == (folder / "tables" / name).read_text()


def test_ranks_only_where_they_mean_something(document):
    """The first comparison has levelled: standalone is best, two points a client above the next. The second climbs."""
    level, climbing = (comparison["id"] for comparison in document["comparisons"])
    ranks = {place: cell["text"] for place, cell in column_of(document, "rank").items()}
    assert [ranks[level, label] for label in ("standalone", "lg-fedavg", "fedproto", "fml")] == ["1", "2", "3", "–"]
    assert {text for (comparison, _), text in ranks.items() if comparison == climbing} == {"–"}


def test_what_is_not_told_apart_from_the_best_is_bold(document):
    level = document["comparisons"][0]["id"]
    bold = {place for place, cell in column_of(document, "accuracy_after_local_training_[%]").items() if cell["bold"]}
    assert bold == {(level, "standalone")}
    assert not any(cell["bold"] for cell in column_of(document, "sent_[mb]").values())


def test_fronts_are_named(document):
    """Standalone is the best and sends nothing, so it alone is on both fronts."""
    level = document["comparisons"][0]["id"]
    on = {place: cell["text"] for place, cell in column_of(document, "front").items() if cell["text"] != "–"}
    assert on == {(level, "standalone"): "bytes, FLOPs"}


def test_clients_are_there_for_every_seed(document):
    charts = document["comparisons"][0]["charts"]
    assert charts["series"][0]["seeds"] == [0, 1, 2]
    assert charts["clients"]["local"]["fedmoe"][1][:3] == [40, 50, 30]  # seed 1: 3 + (client + 1) % 3 of 10


@pytest.mark.parametrize("colour", sorted({look.colour for look in catalogue_looks().values()}))
def test_colours_stand_out_at_night(colour):
    shown = at_night(colour)
    assert contrast([int(shown[i : i + 2], 16) for i in (1, 3, 5)], DARK_GROUND) >= 4.5


def test_contrast_is_that_of_wcag():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((255, 0, 0), (255, 255, 255)) == pytest.approx(3.998, abs=1e-3)


def test_links_of_methods():
    assert links_of("fedmoe+gate=static") == {
        "page": "../../docs/methods/fedmoe.md",
        "paper": "https://arxiv.org/abs/2402.01350",
    }
    assert links_of("fedapen")["paper"] == "https://doi.org/10.1145/3580305.3599344"
    assert links_of("lg-fedavg")["page"].endswith("lg-fedavg.md")
    assert links_of("mine") == links_of("../x") == {}


def test_anchors_are_unique_whatever_comparisons_are_called():
    """The third would be a-2, which the second has; the last two differ in nothing that an address may have."""
    found = _anchors(["a", "a", "a-2", "é", "è"])
    assert len({*found}) == 5
