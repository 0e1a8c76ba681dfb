"""Trends of key results: what is drawn and said of them, from values alone and on the page."""

from __future__ import annotations

import re
from itertools import count

import pytest
from laid_reports import headline, lay, number, read

from toolkit.archive import write_gallery
from toolkit.archive.gallery_page import MOST_OPEN_TRENDS, MOST_TRENDS
from toolkit.archive.indexed import KeyResult
from toolkit.archive.trend import HEIGHT, MOST_POINTS, WIDTH, Point, Trend, read_trends, svg
from toolkit.workspace import Workspace


def result(value: float, key: str = "brier", *, bounds: tuple[float | None, float | None] = (None, None)) -> KeyResult:
    return KeyResult("moves", key, "period", value, "", *bounds)


def trend(*values: float | None, width: float | None = None, unit: str = "") -> Trend:
    """A trend of these values, each with an interval of `width` to both sides."""
    points = tuple(
        Point(f"version {number}", value)
        if value is None or width is None
        else Point(f"version {number}", value, value - width, value + width)
        for number, value in zip(count(1), values)
    )
    return Trend("moves", "brier", "period", unit, points)


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_values_over_versions_latest_order_first() -> None:
    found = read_trends(
        [
            ("version 1", [result(1.0), result(9.0, "gone")]),
            ("version 2", []),
            ("version 3", [result(3.0, "new"), result(2.0)]),
        ]
    )
    assert [(each.key, [point.value for point in each.points]) for each in found] == [
        ("new", [3.0]),
        ("brier", [1.0, None, 2.0]),
        ("gone", [9.0, None, None]),
    ]
    assert [point.name for point in found[1].points] == ["version 1", "version 2", "version 3"]


def test_a_result_that_comes_several_times_or_under_another_unit_is_not_mixed_up() -> None:
    twice = [result(1.0), result(2.0), result(5.0, "auc")]
    found = read_trends([("version 1", twice), ("version 2", [result(1.0), result(6.0, "auc")])])
    assert [(each.key, each.words()) for each in found] == [("auc", "5 → 6 over 2 versions")]
    seconds = result(0.2, "latency")._replace(unit="s")
    found = read_trends([("version 1", [seconds._replace(value=200.0, unit="ms")]), ("version 2", [seconds])])
    assert [each.words() for each in found] == ["0.2 s", "absent; last 200 ms in version 1"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.173, 0.17, 0.163), "0.173 → 0.163 over 3 versions"),
        ((0.173, None, 0.163), "0.173 → 0.163 over 3 versions, absent in 1"),
        ((0.173, None), "absent; last 0.173 in version 1"),
        ((0.173,), "0.173"),
        ((None,), "absent"),
        ((0.0, 0.0), "0 → 0 over 2 versions"),
    ],
)
def test_a_trend_in_words(values: tuple[float | None, ...], words: str) -> None:
    assert trend(*values).words() == words


def test_units_are_written_once() -> None:
    assert trend(0.1, 0.2, unit="share").words() == "10 % → 20 % over 2 versions"
    assert trend(1.0, 2.0, unit="ms").words() == "1 ms → 2 ms over 2 versions"
    assert trend(1.0, 2.0, unit="squared probability").words() == "1 → 2 squared probability over 2 versions"
    assert trend(1.0, 2.0, unit="squared probability").words(with_unit=False) == "1 → 2 over 2 versions"
    days = Trend("register", "all", "interest_days_per_month", "days per month", (Point("version 1", 0.5),))
    assert days.show(0.5) == "0.5 days per month"


def test_a_line_lies_in_its_box_and_higher_is_more() -> None:
    drawing = trend(1.0, 3.0, 2.0, width=0.5).draw()
    assert drawing is not None
    line, band = places(drawing.line), places(drawing.band)
    assert [x for x, _ in line] == sorted(x for x, _ in line)
    assert line[1][1] < line[2][1] < line[0][1]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in [*line, *band])
    assert (min(y for _, y in band), max(y for _, y in band)) == (4, HEIGHT - 4)
    assert drawing.last == line[2]
    assert drawing.zero is None


def test_what_is_absent_is_a_gap_and_no_zero() -> None:
    drawing = trend(5.0, None, 6.0, 7.0, None, 6.5, width=0.1).draw()
    assert drawing is not None
    assert [len(places(f"M{run}")) for run in drawing.line.split("M")[1:]] == [1, 2, 1]
    assert drawing.line.endswith("h0")  # a lone value is a dot
    assert drawing.band.count("z") == 3
    assert drawing.zero is None
    latest_absent = trend(5.0, 6.0, None).draw()
    assert latest_absent is not None
    assert latest_absent.last is None


def test_an_open_interval_is_no_band() -> None:
    points = (Point("version 1", 1.0, 0.5, None), Point("version 2", 2.0, 1.5, 2.5))
    drawing = Trend("a", "b", "c", "", points).draw()
    assert drawing is not None
    assert drawing.band.count("z") == 1
    assert Trend("a", "b", "c", "", points).interval(points[0]) == "0.5 to unbounded"


def test_zero_is_marked_where_a_difference_crosses_it() -> None:
    drawing = trend(-1.0, 1.0).draw()
    assert drawing is not None
    assert drawing.zero == HEIGHT / 2
    assert '<path class="zero" d="M0 28H240"/>' in svg(trend(-1.0, 1.0), "delay")


def test_one_value_is_not_drawn_and_equal_ones_are_level() -> None:
    assert trend(1.0).draw() is None
    assert trend(1.0, None).draw() is None
    assert svg(trend(1.0), "delay") == ""
    level = trend(2.0, 2.0).draw()
    assert level is not None
    assert {y for _, y in places(level.line)} == {HEIGHT / 2}


def test_a_long_history_is_drawn_from_its_end() -> None:
    long = trend(*range(MOST_POINTS + 20))
    drawing = long.draw()
    assert drawing is not None
    assert len(places(drawing.line)) == MOST_POINTS
    assert long.words() == f"0 → {MOST_POINTS + 19} over {MOST_POINTS + 20} versions"


def test_a_drawing_says_what_it_shows() -> None:
    evil = Trend("moves", "<b>", "period", "<i>", (Point("version 1", 1.0), Point("version 2", 2.0)))
    drawn = svg(evil, "delay")
    assert drawn.startswith('<svg viewBox="0 0 240 56" role="img"><title>&lt;b&gt;, period</title>')
    assert "<desc>1 → 2 &lt;i&gt; over 2 versions</desc>" in drawn


@pytest.mark.parametrize(
    ("before", "latest", "told"),
    [
        ((0.5, 0.4, 0.6), 0.7, "above the interval of version 1, 0.4 to 0.6"),
        ((0.5, 0.4, 0.6), 0.3, "below the interval of version 1, 0.4 to 0.6"),
        ((0.5, 0.4, 0.6), 0.6, ""),
        ((0.5, 0.4, None), 0.7, ""),
        ((None, None, None), 0.7, ""),
        ((0.5, 0.4, 0.6), None, ""),
    ],
)
def test_a_move_is_told_by_the_interval_before(
    before: tuple[float | None, float | None, float | None], latest: float | None, told: str
) -> None:
    assert Trend("a", "b", "c", "", (Point("version 1", *before), Point("version 2", latest))).move() == told


def test_the_page_shows_a_few_trends_and_folds_the_others(workspace: Workspace) -> None:
    rows = [number(f"m{place:02d}", 1.0, 0.5, 1.5) for place in range(MOST_TRENDS + 2)]
    lay(workspace, "triage/eta", *rows)
    lay(workspace, "triage/eta", *({**row, "value": 2.0} for row in rows))
    write_gallery(workspace)
    page = read(workspace)
    shown = page.html[page.html.index('<div class="trends">') :]
    assert shown[: shown.index("<details>")].count("<svg") == MOST_OPEN_TRENDS
    assert page.tags.count("svg") == MOST_TRENDS
    assert f"{MOST_TRENDS - MOST_OPEN_TRENDS} more results" in page.words
    assert "2 more are in the report itself." in page.words
    at = page.words.index("M00, period")
    assert page.words[at : at + 8] == [
        *("M00, period", "M00, period", "1 → 2 over 2 versions"),  # the drawing's own title and words
        *("2", "(0.5 to 1.5)", "1 → 2 over 2 versions", "above the interval of version 1, 0.5 to 1.5"),
        "M01, period",
    ]


def test_a_damaged_version_is_a_gap(workspace: Workspace) -> None:
    for value in (1.0, 2.0, 3.0):
        reference = lay(workspace, "triage/eta", number("brier", value))
        if value == 2.0:
            (workspace.reports / "triage" / "eta" / reference.folder_name / "results.json").write_text("[]")
    write_gallery(workspace)
    assert "1 → 3 over 3 versions, absent in 1" in read(workspace).words


def test_a_report_without_trends_has_no_room_for_them(workspace: Workspace) -> None:
    lay(workspace, "triage/eta", headline("fine"), number("brier", 1.0), trends=[])
    write_gallery(workspace)
    assert '<div class="trends">' not in read(workspace).html


def test_periods_of_one_subject_make_a_trend(workspace: Workspace) -> None:
    for month, value in (("2013-05", 3.0), ("2013-04", 1.0), ("2013-06", 2.0)):
        lay(workspace, f"retrospective/delay-{month}", number("brier", 9.0))
        lay(workspace, f"retrospective/delay-{month}", number("brier", value))
    lay(workspace, "retrospective/delay-2013-Q2", number("brier", 7.0))  # another kind of period
    lay(workspace, "retrospective/other-2013-04", number("brier", 7.0))
    lay(workspace, "triage/delay-2013-04", number("brier", 7.0))
    for server in (1001, 1002):
        lay(workspace, f"retrospective/server-{server}", number("brier", 7.0))  # no years
    write_gallery(workspace)
    page = read(workspace)
    at = page.words.index("delay, period by period")
    assert page.words[at : at + 6] == [
        *("delay, period by period", "3 periods", "2013-04 to 2013-06"),
        *("Brier, period", "Brier, period", "1 → 2 over 3 periods"),
    ]
    assert page.html.count("period by period") == 1
