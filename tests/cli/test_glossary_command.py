"""`toolkit metrics --html`: one page of every metric, safe whatever stands in a definition."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from laid_reports import lay

from toolkit.archive.styles import FILES
from toolkit.workspace import open_workspace

Run = Callable[..., Any]
SCRIPT = "<script>document.title = 'ran'</script>"


PLAN = """\
key: trial
hypothesis: It is better.
owner: Ada
kind: ab
model: small
window: {start: "2013-04-01", end: "2013-05-01"}
unit: unit_id
analysis: plain
assignment: {hash: flagd-fractional, version: 2, key: trial}
variants: {control: {version: "1", weight: 50}, treatment: {version: "1", weight: 50}}
control: control
primary: brier
guardrails: [{metric: latency, margin: 5}]
alpha: 0.05
sample_ratio_alpha: 0.001
label_maturity: {days: 1, minimum_share: 0.9}
rule: superior_and_not_inferior
"""


@pytest.fixture
def team(small: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the small workspace that the test stands in."""
    root = here / "small"
    shutil.copytree(small.workspace.root, root, ignore=shutil.ignore_patterns("reports", "ledger", "data"))
    monkeypatch.chdir(root)
    return root


class Page(HTMLParser):
    """What a browser would fetch or run, the links, and the text of each article."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.scripts = 0
        self.articles: dict[str, str] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        self.fetched += [held[name] for name in ("src", "srcset", "data") if held.get(name)]
        self.fetched += [tag] if tag in {"link", "iframe", "object", "embed", "img"} else []
        self.links += [held["href"]] if tag == "a" else []
        self.scripts += tag == "script"
        if tag == "article":
            self._open = held["id"] or ""
            self.articles[self._open] = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.articles[self._open] += f"{data} "

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._open = ""


def written(call: Run, path: Path) -> Page:
    done = call("metrics", "--html", path)
    assert (done.code, done.out, done.err) == (0, "", f"wrote {path}\n")
    return Page(path.read_text(encoding="utf-8"))


def test_every_metric_is_on_the_page_with_what_is_said_of_it(call: Run, team: Path) -> None:
    page = written(call, team / "metrics.html")
    listed = call("metrics", "--json").document["metrics"]
    assert sorted(page.articles) == sorted(metric["key"] for metric in listed)
    text = " ".join(page.articles["latency"].split())
    assert text == (
        "Latency latency d is mean of latency_ms over the requests that have it (mean) given column latency_ms unit ms "
        "direction less is better worth acting on a change of 1 ms or more owner Ada final at once"
    )
    assert "used by model small: the loss" in " ".join(page.articles["brier"].split())


def test_experiments_and_objectives_are_named_where_they_use_a_metric(call: Run, team: Path) -> None:
    (team / "experiments").mkdir()
    (team / "experiments" / "trial.yml").write_text(PLAN)
    (team / "objectives.yml").write_text(
        "objectives:\n  close: {metric: brier, model: small, business_outcome: People rely on it., "
        "target: {at_most: 0.2}, owner: Bo}\n"
    )
    page = written(call, team / "metrics.html")
    brier = " ".join(page.articles["brier"].split())
    assert "objectives close: at most 0.2, for model small (Bo) business outcome People rely on it." in brier
    assert "used by model small: the loss experiment trial: primary" in brier
    assert "used by experiment trial: guardrail" in " ".join(page.articles["latency"].split())


def test_nothing_is_fetched_and_no_definition_runs(call: Run, team: Path) -> None:
    metrics = team / "metrics.yml"
    metrics.write_text(metrics.read_text().replace("description: d", f'description: "{SCRIPT}"'))
    page = written(call, team / "metrics.html")
    assert page.fetched == []
    assert page.scripts == 1
    text = (team / "metrics.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert text.count("<script>") == 1
    assert (FILES / "glossary.js").read_text(encoding="utf-8") in text
    assert SCRIPT.strip() in page.articles["brier"]


def test_the_newest_published_value_is_there_with_its_report(call: Run, team: Path) -> None:
    workspace = open_workspace(team)
    row = {"record": "moves", "key": "temperature", "statistic": "period", "unit": "", "segment": ""}
    for value in (50.0, 51.5):
        lay(workspace, "triage/small", row | {"value": value, "ci_lower": value - 1, "ci_upper": value + 1})
    pages = team / "pages"
    pages.mkdir()
    page = written(call, pages / "metrics.html")
    text = " ".join(page.articles["temperature"].split())
    assert text.endswith("latest 51.5 (50.5 to 52.5) period: triage/small@2 , as of 2013-05-01")
    (link,) = [link for link in page.links if "report" in link]
    assert link == "../reports/triage/small/v0002/report.html"
    assert (pages / link).is_file()


def test_the_same_workspace_gives_the_same_bytes(call: Run, team: Path) -> None:
    for name in ("a.html", "b.html"):
        written(call, team / name)
    assert (team / "a.html").read_bytes() == (team / "b.html").read_bytes()


def test_a_page_that_cannot_be_written_is_an_error(call: Run, team: Path) -> None:
    done = call("metrics", "--html", "nowhere/metrics.html")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(
        "--html nowhere/metrics.html cannot be written (No such file or directory); "
        "name a file in a folder that is there\n"
    )
