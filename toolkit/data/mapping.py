"""How the columns of an own file become those of a contract: guessed by name, type and content, and said.

Each guess has its reason. What is missing gets an assumption in words, or an error that names the option to give. A
column that could be either of two is asked for, never chosen silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from toolkit.checks import check_in
from toolkit.data.column_facts import MOST, ColumnFacts, FileFacts
from toolkit.data.contracts import CONTRACTS, Table
from toolkit.data.misfits import describe, label_misfit, misfit
from toolkit.data.questions import Choose, Question, refuse
from toolkit.data.synonyms import FACTORS, NAMES, how_named
from toolkit.data.values import STYLES, Style, words_of
from toolkit.data.wishes import Wishes
from toolkit.errors import ArgumentError

FROM_REQUEST = "request"
"""A derived value: that of the request (its id for unit_id, its time for observed_at)."""
NO_SCORE = "no score"
"""A derived error: a request that has no score."""
ROW_NUMBER = "row number"
"""A derived request_id: the file's digest and the row's number."""


_NOTHING_SAID = Wishes()
_ORDERS: dict[str, Style] = {"day-first": "day_first", "month-first": "month_first"}


class Candidate(NamedTuple):
    """An own column that may be meant: how sure that is (0 the surest), and why."""

    own: str
    tier: int
    why: str


@dataclass(frozen=True)
class Assigned:
    """An own column for a contract column, why, and how it is read."""

    own: ColumnFacts
    why: str
    style: Style = "iso"
    factor: float = 1.0


@dataclass(frozen=True)
class TableMapping:
    """How the rows of a file become rows of a table.

    `assigned` by contract column; `constants` are the same in every row; `derived` come from other columns; `extras`
    are own columns that an open table keeps, by the name that they get, and `styles` how those of instants are written;
    `left_out` are not imported; `positive` is the label that is a yes; with `binary` labels are from 0 to 1;
    with `whole` the file holds predictions too, and those without a label have none yet. `assumptions` says in words
    what nobody said.
    """

    table: str
    facts: FileFacts
    assigned: Mapping[str, Assigned]
    constants: Mapping[str, str]
    derived: Mapping[str, str]
    extras: Mapping[str, ColumnFacts]
    left_out: tuple[str, ...]
    assumptions: tuple[str, ...]
    timezone: str
    positive: str | None = None
    styles: Mapping[str, Style] = field(default_factory=dict)
    binary: bool = False
    whole: bool = False

    @property
    def dates(self) -> str | None:
        """Whether day or month comes first in its instants; None where none is written so."""
        styles = {each.style for each in self.assigned.values()} | set(self.styles.values())
        return next((order for order, style in _ORDERS.items() if style in styles), None)


def guess_mapping(
    table: str,
    facts: FileFacts,
    *,
    wishes: Wishes = _NOTHING_SAID,
    choose: Choose = refuse,
    model: str = "model",
    shared: Mapping[str, str] | None = None,
    needed: Sequence[str] = (),
    others: AbstractSet[str] = frozenset(),
    whole: bool = False,
    binary: bool = False,
) -> TableMapping:
    """Guess how the columns of a file map onto a table's contract.

    Parameters
    ----------
    wishes: what was said; it is checked and comes before every guess.
    choose: answers what is not clear.
    model: the value of `model` where no column holds it.
    shared: own columns whose values are ids of the other file, with the words that say so.
    needed: columns that the contract does not need, but the caller does.
    others: own columns that belong to another table, such as the labels in a file of predictions.
    whole: the file holds predictions and their labels, so that its row numbers can be request ids.
    binary: labels must be yes or no, as triage needs them; else they may be any number.

    Raises `ArgumentError` and `UnknownNameError`: what is needed and not there, what is not clear, what does not fit.
    """
    for name in filter(None, wishes.columns.values()):
        check_in(name, [own.name for own in facts.columns], noun=f"column of {facts.file.shown}")
    guess = _Guess(CONTRACTS[table], facts, wishes, choose, shared or {}, others, binary, whole)
    contract = guess.contract
    required = [*contract.key, contract.time, *(key for key, column in contract.columns.items() if column.required)]
    required = list(dict.fromkeys([*required, *needed]))
    for column in dict.fromkeys([*required, *contract.columns]):
        guess.assign(column, needed=column in required)
    guess.settle(required, model=model)
    return guess.mapping()


@dataclass
class _Guess:
    """A mapping in the making."""

    contract: Table
    facts: FileFacts
    wishes: Wishes
    choose: Choose
    shared: Mapping[str, str]
    others: AbstractSet[str]
    binary: bool
    whole: bool
    assigned: dict[str, Assigned] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    derived: dict[str, str] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)
    misfits: dict[str, list[str]] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return self.facts.file.shown

    def assign(self, column: str, *, needed: bool) -> None:
        """Find the own column for a contract column, if there is one."""
        if column in self.wishes.constants:
            self.constants[column] = self.wishes.constants[column]
        elif column in self.wishes.columns:
            name = self.wishes.columns[column]
            if not name:
                return
            own = self.facts.column(name)
            if problem := self._misfit(column, own):
                raise ArgumentError(f"{self.file}: {name} cannot be {column}: {problem}")
            self._take(column, own, "as you said")
        elif (same := self._as_before(column)) is not None:
            if problem := self._misfit(column, same):
                raise ArgumentError(
                    f"{self.file}: {same.name}, which was {column} in what was imported before, cannot be {column}: "
                    f"{problem}. Name another with --map {column}=COLUMN, or --map {column}= if there is none"
                )
            self._take(column, same, "as imported before")
        else:
            found = self._candidates(column)
            if not found:
                return
            best = [candidate for candidate in found if candidate.tier == found[0].tier]
            chosen = best[0]
            if len(best) > 1 and needed:
                question = Question(
                    self.file,
                    f"which column is {column}",
                    tuple(each.own for each in best),
                    tuple(each.why for each in best),
                    f"--map {column}=",
                )
                answer = self.choose(question)
                chosen = next(each for each in best if each.own == answer)
            if len(best) > 1:
                rest = ", ".join(each.own for each in best if each != chosen)
                self.assumptions.append(f"{column} is {chosen.own}; it could be {rest}: --map {column}=COLUMN")
            self._take(column, self.facts.column(chosen.own), chosen.why)

    def _as_before(self, column: str) -> ColumnFacts | None:
        """The own column that was this contract column in a file before, if it is there and not taken."""
        name = self.wishes.before.columns.get(column)
        return next((own for own in self._free() if own.name == name), None)

    def _take(self, column: str, own: ColumnFacts, why: str) -> None:
        style: Style = "iso"
        if self.contract.columns[column].kind == "instant":
            style = self._style(own)
        factor = 1.0
        if column == "latency_ms":
            last = words_of(own.name)[-1]
            factor = FACTORS.get(last, 1.0)
            if factor != 1:
                self.assumptions.append(f"{own.name} is in {last}: times {factor:g} it is latency_ms")
            elif last != "ms":
                self.assumptions.append(f"{own.name} is in milliseconds")
        self.assigned[column] = Assigned(own, why, style, factor)

    def _style(self, own: ColumnFacts) -> Style:
        styles = own.styles(MOST)
        wished = _ORDERS.get(self.wishes.dates or "")
        if wished and styles[0] in _ORDERS.values() and wished not in styles:
            raise ArgumentError(f"{self.file}: {own.name} is not written {self.wishes.dates}, but {STYLES[styles[0]]}")
        if len(styles) == 2 and wished:
            return wished
        if len(styles) == 2:
            question = Question(
                self.file,
                f"whether day or month comes first in {own.name} ({own.sample})",
                ("day-first", "month-first"),
                ("as in Europe", "as in the United States"),
                "--dates ",
            )
            answer = self.choose(question)
            self.assumptions.append(f"{own.name} is written {answer}; say otherwise with --dates")
            return _ORDERS[answer]
        if styles[0] != "iso":
            self.assumptions.append(f"{own.name} is written as {STYLES[styles[0]]}")
        return styles[0]

    def _candidates(self, column: str) -> list[Candidate]:
        """The own columns that may be meant, the surest first."""
        found = []
        for own in self._unread():
            named = how_named(self.contract.name, column, own.name)
            shared = self.shared.get(own.name) if column == "request_id" else None
            if named is None and not shared:
                continue
            problem = self._misfit(column, own)
            if problem:
                self.misfits.setdefault(column, []).append(f"{own.name} is none: {problem}")
                continue
            why = "its values"
            if named is not None:
                why = ("its name", "its name", "its name may mean it", "a word in its name")[named]
            tier = 4 if named is None else named
            found.append(Candidate(own.name, tier - 5 if shared else tier, f"{why}; {shared}" if shared else why))
        return sorted(found, key=lambda each: each.tier) or self._by_content(column)

    def _misfit(self, column: str, own: ColumnFacts) -> str | None:
        if column == "label":
            return label_misfit(own, positive=self.wishes.positive, binary=self.binary)
        return misfit(self.contract.columns[column], own)

    def _by_content(self, column: str) -> list[Candidate]:
        """What only content says: the one column of instants, of numbers from 0 to 1, of labels."""
        free = [own for own in self._unread() if self._meant_for(own) is None]
        if column in {"occurred_at", "observed_at"}:
            fits = [own for own in free if own.styles() and not own.is_number()]
            return [Candidate(own.name, 5, "it holds instants") for own in fits]
        if column == "score":
            fits = [own for own in free if own.is_unit() and own.distinct > 2]
            return [Candidate(own.name, 5, "its numbers lie between 0 and 1") for own in fits]
        if column == "label":
            fits = [own for own in free if own.is_truth() or (self.wishes.positive is not None and own.distinct == 2)]
            return [Candidate(own.name, 5, "it holds two values") for own in fits]
        if column == "request_id" and self.contract.name in NAMES:
            fits = [own for own in free if own.is_unique and own.kind == "text" and own.present == own.rows]
            return [Candidate(own.name, 5, "no value is in it twice") for own in fits]
        return []

    def _free(self) -> list[ColumnFacts]:
        taken = {each.own.name for each in self.assigned.values()} | self.others | set(self.wishes.columns.values())
        return [own for own in self.facts.columns if own.name not in taken and own.present]

    def _unread(self) -> list[ColumnFacts]:
        """Those that may be guessed to be a contract column: what was none in a file before is none in this."""
        return [own for own in self._free() if own.name not in self.wishes.before.kept]

    def _meant_for(self, own: ColumnFacts) -> str | None:
        """The contract column that an own column's name says it is."""
        names = (key for key in self.contract.columns if how_named(self.contract.name, key, own.name) is not None)
        return next(names, None)

    def settle(self, required: Sequence[str], *, model: str) -> None:
        """What stands in for what is needed and not there, as an assumption; an error where nothing can."""
        for column, value in self.wishes.before.constants.items():
            if column not in self.assigned and column not in self.constants:
                self.constants[column] = value
                self.assumptions.append(
                    f"{column} is {value!r} in every row, as imported before; say otherwise with --set {column}=…"
                )
        for column in required:
            if column in self.assigned or column in self.constants:
                continue
            told = self._stand_in(column, model=model)
            if told is None:
                raise ArgumentError(self._absent(column))
            self.assumptions.append(told)

    def _stand_in(self, column: str, *, model: str) -> str | None:
        if self.contract.name == "outcomes" and column == "observed_at":
            self.derived[column] = FROM_REQUEST
            return "no column says when a label was known: each counts as known when its request was made"
        if column == "request_id" and self.whole:
            self.derived[column] = ROW_NUMBER
            return "no column is an id of the request: each row is a request of its own, called by its number"
        if self.contract.name != "predictions":
            return None
        if column == "unit_id":
            self.derived[column] = FROM_REQUEST
            return "no column says who or what was decided about (unit_id): each request is its own unit"
        if column == "version":
            self.constants[column] = "1"
            return 'no column is the version: all is version "1"; name another with --set version=…'
        if column == "model":
            self.constants[column] = model
            return f"no column is the model: all is model {model!r}; name another with --set model=…"
        if column == "error":
            self.derived[column] = NO_SCORE
            return "no column says which requests failed (error): one without a score is an error"
        if column == "served":
            self.constants[column] = "true"
            return "no column says which predictions were used (served): all were"
        return None

    def _absent(self, column: str) -> str:
        names = ", ".join(own.name for own in self._free()) or "none are left"
        misfits = "".join(f"; {each}" for each in self.misfits.get(column, []))
        words = "yes or no" if column == "label" and self.binary else describe(self.contract.columns[column])
        none = ""
        if before := self.wishes.before.columns.get(column):
            misfits += f"; it was {before} in what was imported before"
            none = f", or --map {column}= if there is none"
        return (
            f"{self.file}: no column looks like {column} ({words}){misfits}. "
            f"Name it with --map {column}=COLUMN{none}; columns that are left: {names}"
        )

    def mapping(self) -> TableMapping:
        """The mapping, with what becomes of all other columns."""
        contract, used = self.contract, {each.own.name for each in self.assigned.values()}
        rest = [own for own in self.facts.columns if own.name not in used | self.others]
        extras: dict[str, ColumnFacts] = {}
        if contract.open:
            for own in rest:
                clash = own.name.casefold() in contract.columns or own.name.casefold() in {"label", "day"}
                extras[f"{own.name}_own" if clash else own.name] = own
                if clash:
                    self.assumptions.append(f"{own.name} is kept as {own.name}_own: the contract means something else")
        elif rest:
            self.assumptions.append(f"left out, as {contract.name} has no such columns: {_listed(rest)}")
        instants = [(name, each.own, each.style) for name, each in self.assigned.items() if self._is_instant(name)]
        styles = {name: self._extra_style(own) for name, own in extras.items() if own.kind == "instant"}
        instants += [(name, extras[name], style) for name, style in styles.items()]
        naive = [own for _, own, style in instants if style not in {"s", "ms", "us", "ns"} and own.zoned < own.present]
        zone = self.wishes.timezone or "UTC"
        if naive and self.wishes.timezone in {None, self.wishes.before.timezone}:
            how = "taken as UTC" if self.wishes.timezone is None else f"in {zone}, as imported before"
            self.assumptions.append(
                f"{_listed(naive)} without a time zone: {how}; say otherwise with --timezone, such as --timezone "
                "Europe/Paris"
            )
        self._say_days(instants, zone)
        commas = [each.own for each in self.assigned.values() if each.own.decimal_comma]
        commas += [own for own in extras.values() if own.decimal_comma and own.kind == "number"]
        if commas:
            self.assumptions.append(f"numbers with a decimal comma: {_listed(commas)}")
        left_out = () if contract.open else tuple(own.name for own in rest)
        return TableMapping(
            contract.name,
            self.facts,
            self.assigned,
            self.constants,
            self.derived,
            extras,
            left_out,
            (*self.facts.file.notes, *self.assumptions),
            zone,
            self.wishes.positive,
            styles,
            self.binary,
            self.whole,
        )

    def _extra_style(self, own: ColumnFacts) -> Style:
        """How a column that no contract needs writes instants: in doubt as it was said, or as the needed ones do."""
        styles = own.styles()
        if len(styles) == 1:
            return styles[0]
        orders = [each.style for each in self.assigned.values() if each.style in _ORDERS.values()]
        wished = _ORDERS.get(self.wishes.dates or "")
        style = wished or (orders[0] if orders else styles[0])
        if not wished:
            self.assumptions.append(f"{own.name} is taken as written with {STYLES[style]}; say otherwise with --dates")
        return style

    def _is_instant(self, column: str) -> bool:
        return self.contract.columns[column].kind == "instant"

    def _say_days(self, instants: Sequence[tuple[str, ColumnFacts, Style]], zone: str) -> None:
        for name, own, _ in instants:
            if own.holds_days or own.styles(MOST) == ("compact",):
                when = "ends" if name == "observed_at" else "begins"
                self.assumptions.append(
                    f"{own.name} holds days without a time of day: taken as when the day {when} ({zone})"
                )


def label_columns(facts: FileFacts) -> set[str]:
    """The columns of a file of predictions whose names say that they are labels, or when these were known."""
    contract = CONTRACTS["outcomes"]
    found: set[str] = set()
    for column in ("label", "observed_at"):
        spec = contract.columns[column]
        fits = [own for own in facts.columns if own.is_truth(MOST) or misfit(spec, own) is None]
        named = [(how_named("outcomes", column, own.name), own.name) for own in fits]
        best = min((tier for tier, _ in named if tier is not None), default=None)
        if best is None or (column == "observed_at" and (best > 1 or not found)):
            continue  # a time is a label's only beside a label, and only where its name says so
        found |= {name for tier, name in named if tier == best}
    return found


def _listed(columns: Sequence[ColumnFacts]) -> str:
    return ", ".join(own.name for own in columns)
