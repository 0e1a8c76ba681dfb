"""One merged query for all metrics: by population, day and segment, only sums come back.

`statement` builds a single SQL statement. Its base holds the requests of each population (say `reference` and
`current`) with what they add to each metric; each segmentation adds one grouped branch. A metric that needs order adds
a branch of its own (see `kinds.RankKind`). The embedded engine hands scores over instead, already while the statement
is built: what they are sorted for (see `sorting`) is a small table in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from toolkit.checks import check_in
from toolkit.data import LABEL, ModelDefinition, Source, labelled_predictions
from toolkit.data.connections import EMBEDDED
from toolkit.data.instants import date_of
from toolkit.errors import ArgumentError, ContractError, DefinitionError
from toolkit.metrics.cells import Cells
from toolkit.metrics.classes import ClassKind
from toolkit.metrics.definitions import METRICS_FILE, load_segments
from toolkit.metrics.kinds import (
    ALL,
    CELL,
    DAY,
    OURS,
    POPULATION,
    MetricDefinition,
    RankKind,
    RatioKind,
    TimeKind,
    Within,
    cell_keys,
    keys_as_text,
    truth,
)
from toolkit.metrics.needs import (
    addends,
    check_labels,
    columns_needed,
    label_outside,
    scalars_needed,
    sums,
    with_scalars,
)
from toolkit.metrics.segments import SegmentDefinition
from toolkit.metrics.sorting import Scores
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

SCORE_BIN = f"{OURS}score_bin"
"""A segment that every scored model has: the score's twentieth, 0 to 19."""

SCORE_BINS = 20

_OWN = f"{OURS}each__"
"""What a request adds to sums that are no metric's: a segment's column may be called `answered` too."""


@dataclass(frozen=True)
class Population:
    """Some requests of a model in a window: one version's or (None) every one's, all that it scored or only served."""

    name: str
    version: str | None
    window: Window
    served_only: bool

    @property
    def text(self) -> str:
        """The population in words."""
        version = "every version" if self.version is None else f"version {self.version}"
        return f"{'served' if self.served_only else 'scored'} requests of {version}, {self.window.label}"


@dataclass(frozen=True)
class Question:
    """What is to be measured, with all that definitions left open filled in; it says it as expressions.

    Attributes
    ----------
    metrics: resolved for the model. named: the segments that are no columns, by name.
    scalars: what metrics and named segments are made of. columns: the columns of the joined tables behind all of it.
    """

    source: Source
    model: ModelDefinition
    metrics: Mapping[str, MetricDefinition]
    populations: tuple[Population, ...]
    as_of: datetime
    segments: tuple[str, ...]
    named: Mapping[str, SegmentDefinition]
    scalars: tuple[str, ...]
    columns: tuple[str, ...]
    auc_within: Within

    def __post_init__(self) -> None:
        _check_names(self.columns, self.named)

    @classmethod
    def of(
        cls,
        source: Source,
        model: ModelDefinition,
        metrics: Mapping[str, MetricDefinition],
        populations: Sequence[Population],
        *,
        as_of: datetime,
        segments: Sequence[str] = (),
        auc_within: Within = "population",
        also: Sequence[str] = (),
    ) -> Question:
        """The question that `measure` asks, with the same parameters; `also`: further columns that requests have."""
        if len({population.name for population in populations}) != len(populations):
            raise ArgumentError("populations must have different names")
        available = source.columns("predictions")
        named = _named_segments(source, segments, available)
        resolved = {key: metric.resolved(model, available) for key, metric in metrics.items()}
        parts = [*scalars_needed(resolved.values()), *(scalar for each in named.values() for scalar in each.scalars)]
        scalars = tuple(dict.fromkeys(parts))
        plain = [segment for segment in segments if segment not in named]
        own = sorted({*columns_needed(scalars), *plain, "error", "served"})  # a segment's own name is no expression
        return cls(
            source,
            model,
            resolved,
            tuple(populations),
            as_of,
            tuple(segments),
            named,
            scalars,
            tuple(dict.fromkeys([*own, *also])),
            auc_within,
        )

    @property
    def labelled(self) -> bool:
        """Whether it reads labels."""
        return LABEL in self.columns

    @property
    def prediction_columns(self) -> list[str]:
        """Those of the columns that predictions have: all but the label."""
        return [column for column in self.columns if column != LABEL]

    @property
    def reading(self) -> str:
        """The tables that it reads, for errors."""
        return "predictions and outcomes" if self.labelled else "predictions"

    @property
    def scored(self) -> bool:
        """Whether some metric compares score and label."""
        return any(metric.scored for metric in self.metrics.values())

    @property
    def splits(self) -> list[str]:
        """The segmentations: everything, each segment, and for scored models the score's bins."""
        return [ALL, *self.segments, *([SCORE_BIN] if self.scored else [])]

    @property
    def ordered(self) -> dict[str, RankKind]:
        """The metrics that need the order of requests."""
        return {key: metric for key, metric in self.metrics.items() if isinstance(metric, RankKind)}

    def requests(self, within: Mapping[str, Window] | None = None) -> ir.Table:
        """One row per request of each population, with columns, scalars, segments, `POPULATION` and `DAY`.

        `within`: by population the part of its window to look at; one that is not there is left out. None: all.
        """
        import ibis

        asked = {each.name: each.window for each in self.populations} if within is None else within
        base = ibis.union(*(_requests(self, each, asked[each.name]) for each in self.populations if each.name in asked))
        base = _with_segments(with_scalars(base, self.scalars), self.named)
        if self.scored:
            twentieth = (base.score * SCORE_BINS).floor().cast("int64")  # of a probability, as the contract says
            twentieth = (base.score >= 1.0).ifelse(SCORE_BINS - 1, twentieth)
            base = base.mutate(**{SCORE_BIN: twentieth.cast("int8")})
        return base

    def sums(self, base: ir.Table) -> ir.Table:
        """One row per cell with what adds up: the counts, and the sums of every metric that is one."""
        import ibis

        added = _added(base, self.metrics, self.splits)
        return ibis.union(*(_sums(added, self.metrics, split) for split in self.splits))

    def ranks(self, base: ir.Table, cells: ir.Table) -> ir.Table:
        """`cells` with what the metrics that need order bring, each under its own key.

        The embedded engine hands its scores over for it here and now. Raises `ContractError`.
        """
        import ibis

        splits = [split for split in self.splits if split != SCORE_BIN]
        sorted_here = self._sorted_here(base, splits)
        for key, metric in self.ordered.items():
            ranked = sorted_here.get(key)
            if ranked is None:
                passing = _passing(base, metric.filter)
                branches = (metric.branch(passing, split, within=self.auc_within) for split in splits)
                ranked = ibis.union(*map(keys_as_text, branches))
            ranked = ranked.rename(**{f"{key}__{name}": name for name in ranked.columns if name not in CELL})
            joined = cells.left_join(ranked, list(CELL), rname="{name}_right")
            cells = joined.drop(*(f"{name}_right" for name in CELL))
        return cells

    def _sorted_here(self, base: ir.Table, splits: Sequence[str]) -> dict[str, ir.Table]:
        """By metric made of classes of ranks what its branches would bring, where the engine can hand scores over."""
        connection = self.source.opened("predictions").connection
        if connection.engine != EMBEDDED:
            return {}
        by_filter: dict[str | None, dict[str, ClassKind]] = {}
        for key, metric in self.ordered.items():
            if isinstance(metric, ClassKind) and metric.class_sums:
                by_filter.setdefault(metric.filter, {})[key] = metric
        found: dict[str, ir.Table] = {}
        for asked, metrics in by_filter.items():
            read = partial(Scores.read, connection.backend, _passing(base, asked), splits)
            scores = connection.run(self.reading, read)
            if scores is not None:
                found |= scores.measure(metrics, within=self.auc_within)
        return found

    def cells(self, base: ir.Table) -> ir.Table:
        """One row per cell, without anything else."""
        import ibis

        groups = (base.group_by(**cell_keys(base, split)).aggregate(requests=base.count()) for split in self.splits)
        return ibis.union(*map(keys_as_text, groups)).select(*CELL)


def measure(
    source: Source,
    model: ModelDefinition,
    metrics: Mapping[str, MetricDefinition],
    populations: Sequence[Population],
    *,
    as_of: datetime,
    segments: Sequence[str] = (),
    auc_within: Within = "population",
) -> Cells:
    """Measure `metrics` for each population, by day and by the values of each segment.

    What was measured before, of the same rows and definitions, is not measured again: see `daily`.

    Parameters
    ----------
    segments: columns of predictions, and segments that metrics.yml names; every one is a segmentation of its own.
    auc_within: whose scores are ranked against each other: those of a segment's whole population, or of each day.

    Returns `Cells`: one row per population × day × segment × segment value. Raises `ContractError`.
    """
    from toolkit.metrics.daily import measure_cells

    question = Question.of(source, model, metrics, populations, as_of=as_of, segments=segments, auc_within=auc_within)
    frame = measure_cells(question)
    if "label_outside" in frame:
        check_labels(int(frame.loc[frame["segment"] == ALL, "label_outside"].sum()), model.key, metrics)
    return Cells.of(frame, metrics=dict(metrics), populations=tuple(populations), segments=tuple(segments))


def statement(question: Question) -> ir.Table:
    """All of a question as one SQL statement: one row per cell, see `Cells` for its columns.

    The embedded engine reads for it already, see `Question.ranks`. Raises `ContractError`.
    """
    base = question.requests()
    return question.ranks(base, question.sums(base))


def _passing(base: ir.Table, asked: str | None) -> ir.Table:
    """The requests that pass a metric's filter."""
    return base.filter(truth(base, asked)) if asked else base


def _named_segments(
    source: Source, segments: Sequence[str], available: Collection[str]
) -> dict[str, SegmentDefinition]:
    """The segments that are no columns, by name."""
    defined = {} if set(segments) <= set(available) else load_segments(source.workspace)
    for segment in segments:
        check_in(segment, [*available, *defined], noun="segment")
        if segment in available and segment in defined:
            raise DefinitionError(
                f"{METRICS_FILE}: segment {segment!r} is a column of predictions too; give it another name"
            )
    return {segment: defined[segment] for segment in segments if segment in defined}


def _check_names(columns: Collection[str], named: Collection[str]) -> None:
    """Raise if a column or a named segment has the name of another column of the requests, where case does not count.

    Engines that ignore case, as the embedded one does, would read one of them for the other.
    """
    for column in columns:
        problem = None
        if column.casefold().startswith(OURS):
            problem = f"columns whose names begin with {OURS} are the toolkit's own"
        elif column != LABEL and column.casefold() == LABEL and LABEL in columns:
            problem = f"it differs from {LABEL}, the outcome that is read with it, in nothing but case"
        if problem:
            raise ContractError(
                f"predictions.{column}: {problem}; give it another name under [tables.predictions.columns] in "
                f'toolkit.toml, such as own_{column.casefold().removeprefix(OURS)} = "{column}"'
            )
    taken = {column.casefold(): f"column {column!r}" for column in columns}
    for name in named:
        other = "a column of the toolkit's" if name.casefold().startswith(OURS) else taken.get(name.casefold())
        if other:
            raise DefinitionError(
                f"{METRICS_FILE}: segment {name!r} would hide {other}, which is read with it; give it another name"
            )
        taken[name.casefold()] = f"segment {name!r}"


def _with_segments(base: ir.Table, named: Mapping[str, SegmentDefinition]) -> ir.Table:
    values = {}
    for name, segment in named.items():
        try:
            values[name] = segment.value(base)
        except DefinitionError as err:
            raise DefinitionError(f"segment {name!r}: {err}") from None
    return base.mutate(**values) if values else base


def _requests(question: Question, population: Population, within: Window) -> ir.Table:
    import ibis

    rows = labelled_predictions(
        question.source,
        question.columns,
        model=question.model.key,
        window=population.window,
        as_of=question.as_of,
        within=None if within == population.window else within,
    )
    if population.version is not None:
        rows = rows.filter(rows.version == population.version)
    if population.served_only:
        rows = rows.filter(rows.served)
    day = date_of(rows.occurred_at)
    return rows.select(*question.columns, **{POPULATION: ibis.literal(population.name), DAY: day})


def _added(base: ir.Table, metrics: Mapping[str, MetricDefinition], splits: Sequence[str]) -> ir.Table:
    """What each request adds to every sum, computed once for all segmentations; beside it the keys of its cells."""
    keys = [POPULATION, DAY, *(split for split in splits if split != ALL)]
    found: dict[str, Any] = {"answered": (~base.error).cast("int32")}
    if any(metric.scored for metric in metrics.values()):
        # One set of requests for all parts of the loss, so that they add up exactly.
        both = base.score.notnull() & base[LABEL].notnull()
        score, label = base.score, base[LABEL]
        found |= {
            "labelled": both.cast("int32"),
            "label_sum": both.ifelse(label, 0.0),
            "score_sum": both.ifelse(score, 0.0),
            "expected_brier_sum": both.ifelse(score * (1.0 - score), 0.0),
            "brier_sum": both.ifelse((label - score) * (label - score), 0.0),
        }
    elif LABEL in base.columns:
        found["labelled"] = base[LABEL].notnull().cast("int32")
    if any(metric.bounded_label for metric in metrics.values()):
        found["label_outside"] = label_outside(base).cast("int32")
    own = {f"{_OWN}{name}": value for name, value in found.items()}
    of_metrics = {
        name: value
        for key, metric in metrics.items()
        if isinstance(metric, RatioKind | TimeKind)
        for name, value in addends(key, metric, base).items()
    }
    return base.select(*keys, **own, **of_metrics)


def _sums(added: ir.Table, metrics: Mapping[str, MetricDefinition], split: str) -> ir.Table:
    found = {"requests": added.count()}
    found |= {name.removeprefix(_OWN): added[name].sum() for name in added.columns if name.startswith(_OWN)}
    for key, metric in metrics.items():
        if isinstance(metric, RatioKind | TimeKind):
            found |= sums(key, added)
    return keys_as_text(added.group_by(**cell_keys(added, split)).aggregate(**found))
