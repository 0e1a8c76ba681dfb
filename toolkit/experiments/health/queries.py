"""The SQL to run next: in the contracts' names of tables and columns, in what DuckDB and PostgreSQL both read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.experiments.health.evidence import Evidence

_LABELS = "LEFT JOIN (SELECT request_id, max(label) AS label FROM outcomes GROUP BY request_id) AS l USING (request_id)"
_BY_DAY = "GROUP BY 1, 2 ORDER BY 1, 2"


def text(value: str) -> str:
    """A text literal.

    >>> text("driver's")
    "'driver''s'"
    """
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def name(column: str) -> str:
    """A column's name, quoted.

    >>> name("distance")
    '"distance"'
    """
    doubled = column.replace('"', '""')
    return f'"{doubled}"'


def sample_ratio(seen: Evidence) -> str:
    """Units by variant."""
    return _query(
        seen,
        "SELECT variant, count(*) AS units",
        "FROM exposed WHERE variants = 1 GROUP BY variant ORDER BY variant",
    )


def by_day(seen: Evidence) -> str:
    """Units by day of the first exposure and variant."""
    return _query(
        seen,
        "SELECT CAST(exposed_at AS DATE) AS day, variant, count(*) AS units",
        f"FROM exposed WHERE variants = 1 {_BY_DAY}",
    )


def by_segment(seen: Evidence, kind: str) -> str:
    """Units by a segment of their requests and variant; for a segmentation of metrics.yml put its SQL in."""
    segment = name(kind.removeprefix("segment:"))
    return _query(
        seen,
        f"SELECT {segment} AS segment, variant, count(DISTINCT unit_id) AS units, count(*) AS requests",
        f"FROM exposed JOIN requests USING (unit_id) WHERE variants = 1 {_BY_DAY}",
    )


def exposures(seen: Evidence) -> str:
    """Units to assign by hand and compare, in an order that hangs on nothing; their ids stay out of the query."""
    return _query(
        seen,
        "SELECT unit_id, variant, exposed_at FROM exposed",
        "WHERE variants = 1 ORDER BY md5(unit_id) LIMIT 100",
    )


def before_start(seen: Evidence) -> str:
    """What the units of each variant did in the four weeks before the window."""
    start = _instant(seen.units.window.start)
    return _query(
        seen,
        "SELECT variant, count(DISTINCT unit_id) AS units, count(*) AS requests, avg(label) AS label_mean,",
        "  avg(CASE WHEN error THEN 1.0 ELSE 0.0 END) AS error_share",
        "FROM exposed JOIN predictions USING (unit_id)",
        _LABELS,
        f"WHERE variants = 1 AND model = {text(seen.plan.model)} AND served",
        f"  AND occurred_at >= {start} - INTERVAL '28 days' AND occurred_at < {start}",
        "GROUP BY variant ORDER BY variant",
    )


def double_exposed(seen: Evidence) -> str:
    """Who was seen in more than one variant, when and how far apart."""
    return _query(
        seen,
        "SELECT unit_id, e.variant, e.exposed_at",
        "FROM exposures AS e JOIN exposed USING (unit_id)",
        f"WHERE variants > 1 AND experiment = {text(seen.plan.key)}",
        "ORDER BY unit_id, e.exposed_at LIMIT 200",
    )


def variants(seen: Evidence) -> str:
    """Every variant that the exposures name."""
    return "\n".join(
        [
            "SELECT variant, count(DISTINCT unit_id) AS units, min(exposed_at) AS first_at, max(exposed_at) AS last_at",
            f"FROM exposures WHERE experiment = {text(seen.plan.key)} GROUP BY variant ORDER BY variant",
        ]
    )


def unserved(seen: Evidence) -> str:
    """Exposed units without a served request at or after the exposure, by variant and day."""
    return _query(
        seen,
        "SELECT CAST(exposed_at AS DATE) AS day, variant, count(*) AS unserved_units",
        "FROM exposed WHERE variants = 1 AND NOT EXISTS (",
        "  SELECT 1 FROM requests AS r WHERE r.unit_id = exposed.unit_id AND r.occurred_at >= exposed.exposed_at)",
        _BY_DAY,
    )


def unexposed(seen: Evidence) -> str:
    """Units that were served and have no exposure, by day and version."""
    return _query(
        seen,
        "SELECT CAST(occurred_at AS DATE) AS day, version, count(DISTINCT unit_id) AS units",
        "FROM requests WHERE unit_id NOT IN (SELECT unit_id FROM exposed)",
        _BY_DAY,
    )


def lags(seen: Evidence) -> str:
    """How long after the exposure the unit's first request by its own version came, in minutes."""
    return _query(
        seen,
        "SELECT variant, round(extract(epoch FROM first_at - exposed_at) / 60) AS lag_minutes, count(*) AS units",
        "FROM exposed JOIN (",
        "  SELECT unit_id, version, min(occurred_at) AS first_at FROM requests GROUP BY 1, 2) AS f USING (unit_id)",
        f"WHERE variants = 1 AND {_own(seen)}",
        "GROUP BY 1, 2 ORDER BY units DESC, 1, 2 LIMIT 50",
    )


def versions(seen: Evidence) -> str:
    """Which version served each variant, by day."""
    return _query(
        seen,
        "SELECT CAST(occurred_at AS DATE) AS day, variant, version, count(*) AS requests",
        "FROM exposed JOIN requests USING (unit_id) WHERE variants = 1 AND occurred_at >= exposed_at",
        "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )


def requests_by_day(seen: Evidence) -> str:
    """Requests, units, errors and labels by day and variant."""
    return _query(
        seen,
        "SELECT CAST(occurred_at AS DATE) AS day, variant, count(DISTINCT unit_id) AS units, count(*) AS requests,",
        "  sum(CASE WHEN error THEN 1 ELSE 0 END) AS errors, count(label) AS labelled",
        "FROM exposed JOIN requests USING (unit_id)",
        _LABELS,
        f"WHERE variants = 1 AND occurred_at >= exposed_at AND {_own(seen)} {_BY_DAY}",
    )


def repeated(seen: Evidence) -> str:
    """Requests of one unit at one instant: the same event under several ids."""
    return _query(
        seen,
        "SELECT variant, unit_id, occurred_at, count(*) AS requests, min(request_id) AS one, max(request_id) AS other",
        f"FROM exposed JOIN requests USING (unit_id) WHERE variants = 1 AND {_own(seen)}",
        "GROUP BY 1, 2, 3 HAVING count(*) > 1 ORDER BY requests DESC, unit_id LIMIT 50",
    )


def nulls(seen: Evidence, columns: Sequence[str]) -> str:
    """By day and variant the share of answered requests that lack some columns."""
    shares = [
        f"  avg(CASE WHEN {name(column)} IS NULL THEN 1.0 ELSE 0.0 END) AS {name(f'{column}_null_share')}"
        for column in columns
    ]
    return _query(
        seen,
        "SELECT CAST(occurred_at AS DATE) AS day, variant, count(*) AS requests,",
        ",\n".join(shares),
        f"FROM exposed JOIN requests USING (unit_id) WHERE variants = 1 AND NOT error AND {_own(seen)} {_BY_DAY}",
    )


def feedback(seen: Evidence) -> str:
    """The reports of each variant's units."""
    return _query(
        seen,
        "SELECT variant, f.* FROM exposed JOIN feedback AS f USING (unit_id)",
        "WHERE variants = 1 AND f.occurred_at >= exposed_at ORDER BY variant, f.occurred_at LIMIT 200",
    )


def other_experiment(seen: Evidence, experiment: str) -> str:
    """Units by the variants of this and another experiment."""
    return _query(
        seen,
        "SELECT o.variant AS other_variant, exposed.variant, count(DISTINCT unit_id) AS units",
        "FROM exposed JOIN exposures AS o USING (unit_id)",
        f"WHERE variants = 1 AND o.experiment = {text(experiment)} {_BY_DAY}",
    )


def _query(seen: Evidence, *lines: str) -> str:
    """A query over the exposed units, and over the model's served requests where it reads them."""
    window = seen.units.window
    start, end = _instant(window.start), _instant(window.end)
    exposed = [
        "WITH exposed AS (",
        "  SELECT unit_id, min(variant) AS variant, count(DISTINCT variant) AS variants, min(exposed_at) AS exposed_at",
        f"  FROM exposures WHERE experiment = {text(seen.plan.key)}",
        f"    AND exposed_at >= {start} AND exposed_at < {end}",
        "  GROUP BY unit_id)",
    ]
    requests = [
        ", requests AS (",
        "  SELECT * FROM predictions",
        f"  WHERE model = {text(seen.plan.model)} AND served",
        f"    AND occurred_at >= {start} AND occurred_at < {end})",
    ]
    reads = any("requests USING" in line or "FROM requests" in line for line in lines)
    return "\n".join([*exposed, *(requests if reads else []), *lines])


def _own(seen: Evidence) -> str:
    cases = " ".join(f"WHEN {text(key)} THEN {text(each.version)}" for key, each in seen.plan.variants.items())
    return f"version = CASE variant {cases} END"


def _instant(instant: datetime) -> str:
    return f"TIMESTAMPTZ '{instant:%Y-%m-%d %H:%M:%S}+00'"
