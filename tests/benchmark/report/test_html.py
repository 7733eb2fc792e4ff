"""The report's page: what it says, that a name stays text, and in a browser that it does what it should."""

import base64
import copy
import hashlib
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from benchmark.report.html import render

METHODS = {
    "fedmoe": "#0173b2",
    "fedproto": "#de8f05",
    "fml": "#029e73",
    "lg-fedavg": "#d55e00",
    "standalone": "#ece133",
    "fedmoe+gate=static": "#fbafe4",
}
FAILED = "fml"
"""Has no numbers in the first comparison."""
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
"""One transparent pixel."""
HOSTILE = (
    "<script>document.title = 'broken'</script>",
    "</script><script>document.title = 'broken'</script>",
    "\"><img src=x onerror=document.title='broken'>",
    "{{ 7 * 191 }}' onfocus='document.title=1",
    "<!--<script>",
)


def series(label, comparison, rounds=40):
    """A method whose accuracy rises towards its own level; `standalone` sends nothing."""
    rank = list(METHODS).index(label)
    t = [i + 1 for i in range(rounds)]
    accuracy = [50 + 5 * comparison + 3 * rank - 20 * 0.9**i for i in t]
    sent = 0 if label == "standalone" else 1e6 * (1 + rank)
    return {
        "label": label,
        "colour": METHODS[label],
        "dash": "6 3" if rank % 2 else "",
        "round": t,
        "accuracy": accuracy,
        "low": [a - 1 for a in accuracy],
        "high": [a + 1 for a in accuracy],
        "bytes": [sent * i for i in t],
        "flops": [2e12 * i for i in t],
        "seconds": [1.5 * i for i in t],
        "clients": [accuracy[-1] + c - 4.5 for c in range(10)],
    }


def table(title, rows):
    return {
        "title": title,
        "caption": "Best in bold.",
        "head": ["Method", "Accuracy [%]", "Sent [MB]"],
        "notes": ["1: not levelled: too few rounds to say"],
        "rows": [*rows, ["majority class of each client", "20.00", "–"]],
        "foot": 1,
        "marks": [[0, 0, 1]],
        "best": [[1, 1]],
        "second": [[0, 1]],
        "files": [{"name": "LaTeX", "href": "tables/cifar10-lr=0.01.tex"}],
        "command": "python -m benchmark report --experiment sample",
    }


def comparison(name, index):
    drawn = [series(label, index) for label in METHODS if (index, label) != (0, FAILED)]
    return {
        "id": name,
        "title": f"{name}, pathological:2, cnn5, N = 10",
        "caption": "Accuracy: mean over all clients.",
        "footnotes": ["fml, seed 1: failed (out of memory)"] if index == 0 else [],
        "target": 60.0,
        "floor": 47.5,
        "series": drawn,
        "partition": {
            "title": "Samples per client and class",
            "classes": [str(c) for c in range(10)],
            "counts": [[300 + c if c in (k, (k + 3) % 10) else 0 for c in range(10)] for k in range(10)],
        },
        "tables": [table("Accuracy and cost", [[s["label"], f"{s['accuracy'][-1]:.2f}", "1"] for s in drawn])],
        "figures": [
            {
                "title": "Accuracy over rounds",
                "caption": "Mean over clients.",
                "src": PNG,
                "pdf": f"figures/{name}-rounds.pdf",
                "width": 1100,
                "height": 620,
            }
        ],
        "commands": ["python -m benchmark run --preset sample"],
    }


def sample():
    """Three comparisons of six methods over 40 rounds; in the first, one method has failed."""
    comparisons = [comparison(name, i) for i, name in enumerate(("cifar10", "cifar100", "digits"))]
    rows = []
    for i, one in enumerate(comparisons):
        of = {s["label"]: s for s in one["series"]}
        for label in METHODS:
            accuracy = of[label]["accuracy"][-1] if label in of else None
            sent = of[label]["bytes"][-1] / 1e6 if label in of else None
            note = None if label in of else "failed (out of memory)"
            cells = {
                "comparison": {"text": one["id"], "value": i, "note": None},
                "method": {"text": label, "value": None, "note": None},
                "accuracy": {"text": "–" if note else f"{accuracy:.2f}", "value": accuracy, "note": note},
                "sent": {"text": "–" if note else f"{sent:.4g}", "value": sent, "note": note},
            }
            rows.append({"comparison": one["id"], "label": label, "cells": cells})
    columns = [
        {"key": "method", "title": "Method", "hint": "", "numeric": False, "better": None},
        {"key": "comparison", "title": "Comparison", "hint": "", "numeric": False, "better": None},
        {"key": "accuracy", "title": "Accuracy [%]", "hint": "over clients", "numeric": True, "better": "high"},
        {"key": "sent", "title": "Sent [MB]", "hint": "", "numeric": True, "better": "low"},
    ]
    return {
        "experiment": "sample",
        "generator": "mhpfl-benchmark 0.1.0",
        "intro": ["18 runs, 17 done; one seed: 0."],
        "leaderboard": {
            "caption": "One row per run.",
            "columns": columns,
            "rows": rows,
        },
        "comparisons": comparisons,
        "across": {"tables": [table("Mean ranks", [["fedmoe", "1", "2"], ["fml", "2", "1"]])], "figures": []},
        "environments": [{"runs": 18, "facts": {"python": "3.11", "CPU": "EPYC", "items": "2"}}],
    }


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


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def poisoned(value, poison, key=""):
    """The document with every string replaced, but for links and what the contract fixes."""
    if isinstance(value, dict):
        return {name: poisoned(item, poison, name) for name, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, poison, key) for item in value]
    return poison if isinstance(value, str) and key not in ("href", "src", "pdf", "key", "better") else value


def test_everything_is_there():
    page = render(sample())
    text = " ".join(Page(page).texts)
    for words in ("18 runs, 17 done", "fedmoe+gate=static", "failed (out of memory)", "Mean ranks"):
        assert words in text
    assert "<strong>" in page
    assert "<u>" in page
    assert page.count('<tr class="foot">') == 4  # one table of each comparison, and one of all
    assert re.search(r"fedmoe(?:&gt;)?<sup>1</sup></th>", page)
    assert "1: not levelled: too few rounds to say" in text
    links = [a["href"] for a in Page(page).of("a")]
    assert {"#comparison-cifar10", "tables/cifar10-lr=0.01.tex", "figures/digits-rounds.pdf"} <= set(links)
    assert {a["src"] for a in Page(page).of("img")} == {PNG}


@pytest.mark.parametrize("poison", HOSTILE)
def test_a_string_is_only_text(poison):
    clean, page = render(sample()), render(poisoned(sample(), poison))
    tags = [name for name, _ in Page(page).elements]
    assert tags.count("script") == 2
    assert set(tags) == {name for name, _ in Page(clean).elements}
    assert not any(name.startswith("on") or name == "style" for _, a in Page(page).elements for name in a)
    assert poison in Page(page).texts
    assert data_of(page)[0]["series"][0]["label"] == poison


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
        "",
    ],
)
@pytest.mark.parametrize("place", ["href", "src", "pdf", "across"])
def test_a_foreign_link_is_refused(link, place):
    document = sample()
    first = document["comparisons"][0]
    if place == "href":
        first["tables"][0]["files"][0]["href"] = link
    elif place == "across":
        document["across"]["tables"][0]["files"][0]["href"] = link
    else:
        first["figures"][0][place] = link
    with pytest.raises(ValueError, match="does not link to"):
        render(document)


def test_a_figure_may_lie_beside_the_page():
    document = sample()
    document["comparisons"][0]["figures"][0]["src"] = "figures/cifar10-partition=dirichlet0.3-rounds.png"
    assert 'src="figures/cifar10-partition=dirichlet0.3-rounds.png"' in render(document)


def test_no_address_of_any_network():
    page = render(sample()).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|url\(|@import|\bfetch\(|XMLHttpRequest|innerHTML", page)


def test_the_policy_lets_nothing_in_but_its_own():
    page = render(sample())
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


def test_the_page_itself_is_small():
    document = sample() | {"comparisons": [], "across": {}}
    document["leaderboard"]["rows"] = []
    assert len(render(document).encode()) < 60_000


def test_little_to_show():
    document = sample()
    one = document["comparisons"][0]
    one |= {"series": one["series"][:1], "partition": None, "tables": [], "figures": [], "target": None, "commands": []}
    one["series"][0] |= {"low": None, "high": None}
    nothing = copy.deepcopy(one) | {"id": "cifar10", "series": []}
    page = render(document | {"across": {}, "comparisons": [one, nothing], "intro": [], "environments": []})
    assert "No run of this comparison is done." in page
    assert "Over all comparisons" not in page
    anchors = [a["id"] for a in Page(page).of("section")]
    assert len(anchors) == len(set(anchors))
    assert "<nav" not in render(document | {"across": {"tables": [], "figures": []}, "comparisons": [one]})


def test_numbers_are_short_and_what_is_not_finite_is_null():
    document = sample()
    document["comparisons"][0]["series"][0]["accuracy"][:3] = [float("nan"), None, 61.123456]
    document["leaderboard"]["rows"][0]["cells"]["accuracy"]["value"] = float("nan")
    page = render(document)
    first = data_of(page)[0]["series"][0]
    assert first["accuracy"][:3] == [None, None, 61.123]
    assert first["bytes"][:2] == [1, 2]
    assert first["flops"][:2] == [2, 4]
    assert not re.search(r'data-value="nan"', page)


def test_a_missing_cell_is_a_dash():
    document = sample()
    del document["leaderboard"]["rows"][0]["cells"]["sent"]
    assert render(document).count(">–<") > render(sample()).count(">–<")


def test_only_the_first_comparisons_are_unfolded():
    document = sample()
    document["comparisons"] *= 2
    unfolded = ["open" in a for a in Page(render(document)).of("details")]
    assert unfolded == [True] + [True] * 3 + [False] * 3  # the contents, then the comparisons


# ---------- in a browser ----------

PROBE = """
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const seen = { violations: [] };
addEventListener("securitypolicyviolation", (event) => seen.violations.push(event.violatedDirective));
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const until = async (found) => { for (let i = 0; i < 100 && !found(); i++) await wait(50); };
const rows = () => $$("#leaderboard tbody tr").filter((row) => !row.hidden);
const column = (i) => rows().map((row) => row.cells[i].textContent);
const head = (i) => $$("#leaderboard thead th")[i];
const sort = (i) => { $("button", head(i)).click(); return [head(i).getAttribute("aria-sort"), column(i)]; };
const filter = (name, value) => {
  const control = $(`[data-filter=${name}]`);
  control.value = value;
  control.dispatchEvent(new Event("input"));
  return [$(".count").textContent, rows().length, rows().map((row) => row.dataset.method)];
};
const press = (element, key) => element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
async function probe() {
  const chart = $(".chart.curves");
  chart.scrollIntoView({ behavior: "instant" });
  await until(() => $(".axis-title", chart));
  seen.accuracy = sort(2);
  seen.reversed = sort(2);
  seen.sent = sort(3);
  seen.one = filter("method", "fedmoe");
  seen.none = filter("text", "fml");
  filter("method", "");
  seen.words = filter("text", "CIFAR10 stat");
  seen.text = filter("text", "digits fedmoe");
  filter("text", "");
  seen.comparison = filter("comparison", "cifar100");
  seen.all = filter("comparison", "");

  const lines = () => $$("g[data-method]", chart).map((group) => group.dataset.method);
  const button = $(".legend button", chart);
  seen.lines = lines();
  button.click();
  seen.pressed = button.getAttribute("aria-pressed");
  seen.without = lines();
  button.click();
  seen.again = lines();
  seen.bands = $$(".band", chart).length;
  seen.target = $$("line.target", chart).length;
  seen.floor = [$$("line.floor", chart).length, $(".floor-name", chart).textContent];

  const plot = $(".plot", chart);
  const tip = () => $(".tip", plot).hidden ? null : $(".tip", plot).innerText;
  plot.focus();
  press(plot, "ArrowRight");
  seen.first = tip();
  press(plot, "End");
  seen.last = tip();
  press(plot, "ArrowLeft");
  seen.before = tip();
  press(plot, "Escape");
  seen.escaped = tip();

  seen.axes = {};
  for (const input of $$("input[type=radio]", chart)) {
    input.click();
    seen.axes[input.value] = $(".axis-title", chart).textContent;
    if (input.value === "bytes") {
      seen.legend = $$(".legend button", chart).map((each) => each.textContent);
      seen.log = !$(".check", chart).hidden;
    }
  }
  seen.contrast = getComputedStyle($("g[data-method=standalone] .line", chart) ?? $(".line", chart)).stroke;
  $(".chart.partition").scrollIntoView({ behavior: "instant" });
  await until(() => $(".chart.partition svg") && $(".chart.clients svg"));
  seen.strips = $$(".chart.clients")[0].querySelectorAll(".clouds").length;
  const sheet = $(".chart.partition .sheet");
  press(sheet, "ArrowRight");
  seen.cell = $(".chart.partition .tip").innerText;
  const figures = $$(".figures img");
  figures.forEach((figure) => (figure.loading = "eager"));
  await until(() => figures.every((figure) => figure.complete));
  seen.figures = figures.map((figure) => figure.naturalWidth > 0);
  seen.wide = document.documentElement.scrollWidth <= innerWidth;
  dispatchEvent(new Event("beforeprint"));
  seen.printed = $$(".chart").every((each) => $("svg", each));
}
probe().catch((error) => (seen.error = String(error))).finally(() => {
  seen.title = document.title;
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify(seen);
  document.body.append(result);
});
"""


def probed(page):
    """A copy of the page with the probe in it, and in its policy."""
    digest = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode()
    page = page.replace("script-src ", html.escape(f"script-src 'sha256-{digest}' "), 1)
    return page.replace("</body>", f'<script type="module">{PROBE}</script></body>')


def browse(page, folder, *options):
    """What the probe saw, and the lines that the browser wrote on its console."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on this machine")
    path = folder / "index.html"
    path.write_text(probed(page), encoding="utf-8")
    done = subprocess.run(
        [
            browser,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"),
            *("--virtual-time-budget=10000", f"--user-data-dir={folder / 'profile'}", *options, "--dump-dom"),
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def browsed(tmp_path_factory):
    """Up to three times: on a busy machine the browser's clock can run ahead of its drawing."""
    folder, document = tmp_path_factory.mktemp("page"), sample()
    document["comparisons"][2]["figures"][0]["src"] = "figures/digits-rounds.png"
    (folder / "figures").mkdir()
    (folder / "figures/digits-rounds.png").write_bytes(base64.b64decode(PNG.partition(",")[2]))
    for _ in range(3):
        seen, console = browse(render(document), folder, "--window-size=1280,1000")
        if "error" not in seen:
            break
    return seen, console


@pytest.fixture(scope="module")
def seen(browsed):
    return browsed[0]


def final(label, index=0):
    return series(label, index)["accuracy"][-1]


def test_nothing_goes_wrong_in_a_browser(browsed):
    seen, console = browsed
    assert "error" not in seen
    assert seen["violations"] == []
    assert console == []
    assert seen["wide"]


def test_the_first_click_sorts_the_best_first(seen):
    order, texts = seen["accuracy"]
    assert order == "descending"
    assert [float(t) for t in texts[:-1]] == sorted((float(t) for t in texts[:-1]), reverse=True)
    assert len(texts) == 18
    assert seen["sent"][0] == "ascending"
    assert seen["sent"][1][:3] == ["0", "0", "0"]


def test_the_second_click_reverses_and_what_is_missing_stays_last(seen):
    order, texts = seen["reversed"]
    assert order == "ascending"
    assert [float(t) for t in texts[:-1]] == sorted(float(t) for t in texts[:-1])
    assert [seen[name][1][-1] for name in ("accuracy", "reversed", "sent")] == ["–a"] * 3  # a marks its footnote


def test_filters_leave_the_right_rows(seen):
    assert seen["one"] == ["3 of 18 rows", 3, ["fedmoe"] * 3]
    assert seen["none"] == ["0 of 18 rows", 0, []]
    assert sorted(seen["words"][2]) == ["fedmoe+gate=static", "fedmoe+gate=static"]  # cifar10 is in cifar100 too
    assert sorted(seen["text"][2]) == ["fedmoe", "fedmoe+gate=static"]
    assert seen["comparison"][0] == "6 of 18 rows"
    assert seen["all"][0] == "18 of 18 rows"


def test_the_legend_takes_a_line_away_and_brings_it_back(seen):
    assert set(seen["lines"]) == set(METHODS) - {FAILED}
    assert seen["pressed"] == "false"
    assert seen["without"] == seen["lines"][1:]
    assert seen["again"] == seen["lines"]
    assert seen["bands"] == 5
    assert seen["target"] == 1
    assert seen["floor"] == [1, "majority class 47.5 %"]


def test_the_axis_follows_the_choice(seen):
    assert seen["axes"]["round"] == "Round"
    assert "MB" in seen["axes"]["bytes"]
    assert "TFLOP" in seen["axes"]["flops"]
    assert "[s]" in seen["axes"]["seconds"]
    assert seen["log"]
    assert "standalone (0 bytes)" in seen["legend"]


def test_the_keyboard_reads_values(seen):
    assert seen["first"].startswith("Round 1\n")
    lines = seen["last"].splitlines()
    assert lines[0] == "Round 40"
    best_first = sorted(set(METHODS) - {FAILED}, key=final, reverse=True)
    assert [line.split("\t")[0].strip() for line in lines[1:]] == best_first
    assert f"{final('fedmoe'):.2f} %" in seen["last"]
    assert seen["before"].startswith("Round 39\n")
    assert seen["escaped"] is None


def test_figures_show_from_inside_the_page_and_from_beside_it(seen):
    assert seen["figures"] == [True] * 3


def test_clients_and_partition_are_drawn(seen):
    assert seen["strips"] == 5
    assert seen["cell"] == "client 0, class 0: 300 samples"
    assert seen["printed"]


def test_a_pale_colour_is_made_legible(seen):
    assert seen["contrast"] not in ("", "none", "rgb(236, 225, 51)")


def test_hostile_names_do_nothing_in_a_browser(tmp_path):
    seen, console = browse(render(poisoned(sample(), HOSTILE[1])), tmp_path, "--window-size=390,844")
    assert seen["violations"] == []
    assert console == []
    assert "error" not in seen
    assert seen["title"] == f"{HOSTILE[1]} – benchmark report"
    assert seen["wide"]
    assert seen["printed"]
