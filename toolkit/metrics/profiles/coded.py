"""Coded days: the cell of every value, written once, so that a window question reads small integers and not the table.

A day is a Parquet file with a row per request: its version, whether it was served, its segments, and words of 16 bits
that hold the cells of several columns each. Other versions, segments and windows are then counted from about a tenth of
the bytes, and give the counts that `collect_profiles` gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from toolkit.checks import check_in
from toolkit.data import ModelDefinition, Source
from toolkit.data.connections import EMBEDDED
from toolkit.data.days import window_of_days
from toolkit.errors import ArgumentError
from toolkit.metrics.daily import day_fingerprints
from toolkit.metrics.kinds import ALL
from toolkit.metrics.profiles.column_types import Types, types_by_day
from toolkit.metrics.profiles.edges import ColumnEdges
from toolkit.metrics.profiles.profile import ColumnCounts, Profile
from toolkit.metrics.profiles.profile_days import ProfileKey, Profiles
from toolkit.metrics.profiles.requests import fitting, profile_question, requests_of
from toolkit.metrics.profiles.streaming import Streaming, codes, codes_of, values_of
from toolkit.metrics.query import Population, Question
from toolkit.windows import Window, parse_instant, start_of_day

WORD = 2**16
"""Different values of the integer that holds the cells of some columns."""

_KIND = "coded-days"


class Word(NamedTuple):
    """Columns whose cells one integer holds, each with its number of codes, and what one more of it adds."""

    edges: tuple[ColumnEdges, ...]
    steps: tuple[int, ...]

    @property
    def codes(self) -> list[int]:
        """How many codes each column has."""
        return [codes_of(edges) for edges in self.edges]

    def integers(self, found: Mapping[str, Any]) -> Any:
        """What it holds of some requests, from the codes of each column."""
        columns = zip(self.edges, self.steps, strict=True)
        return sum(found[edges.column].astype("int32") * step for edges, step in columns)


def pack(edges: Iterable[ColumnEdges]) -> list[Word]:
    """Columns in words, the largest first, each in the first word that has room for it."""
    packed: list[tuple[int, list[ColumnEdges]]] = []
    for each in sorted(edges, key=lambda own: (-own.size, own.column)):
        codes = codes_of(each)
        at = next((i for i, (held, _) in enumerate(packed) if held * codes <= WORD), None)
        if at is None:
            packed.append((codes, [each]))
        else:
            held, own = packed[at]
            packed[at] = (held * codes, [*own, each])
    words = []
    for _, own in packed:
        steps = [1]
        for each in own[:-1]:
            steps.append(steps[-1] * codes_of(each))
        words.append(Word(tuple(own), tuple(steps)))
    return words


@dataclass(frozen=True)
class CodedDays:
    """The coded days of a model's requests in a window.

    Attributes
    ----------
    edges: by column; of those that are there with a type that fits.
    segments: columns that a profile may be split by.
    window: of whole days. paths: the file of each of its days that has a request.
    types: what each column was on each of them.
    """

    edges: Mapping[str, ColumnEdges]
    segments: tuple[str, ...]
    window: Window
    paths: Mapping[str, Path]
    types: Mapping[str, Types]

    def profiles(self, populations: Sequence[Population], *, segments: Sequence[str] = ()) -> Profiles:
        """What `collect_profiles` gives for populations inside the window, and for some of the segments.

        Raises `ArgumentError` for a population that is not of whole days of the window, `UnknownNameError` for a
        segment that was not laid down.
        """
        for segment in segments:
            check_in(segment, self.segments, noun="segment of the coded days")
        cells: dict[ProfileKey, Profile] = {}
        for population in populations:
            for day, path in self._days_of(population):
                coded = _Day(self.edges, path, population, self.types[day])
                for split in [ALL, *segments]:
                    place = self.segments.index(split) if split else None
                    for value, profile in coded.profiles(place):
                        cells[ProfileKey(population.name, date.fromisoformat(day), split, value)] = profile
        return Profiles(dict(self.edges), cells)

    def _days_of(self, population: Population) -> Iterator[tuple[str, Path]]:
        window = population.window
        whole = all(instant == start_of_day(instant) for instant in (window.start, window.end))
        if not whole or window.start < self.window.start or window.end > self.window.end:
            raise ArgumentError(
                f"population {population.name!r} is of {window.label}, and coded days hold whole days of "
                f"{self.window.label}; ask collect_profiles"
            )
        for day, path in sorted(self.paths.items()):
            if parse_instant(day) in window:
                yield day, path


def write_codes(
    source: Source,
    model: ModelDefinition,
    window: Window,
    edges: Mapping[str, ColumnEdges],
    *,
    as_of: datetime,
    segments: Sequence[str] = (),
) -> CodedDays:
    """Lay down the coded days of a model's requests in a window, those that are not there yet.

    Files lie in the workspace's `cache/`, each under all that it depends on. Only for predictions that the embedded
    engine reads; raises `ArgumentError` for others, `UnknownNameError`, `ContractError`.
    """
    opened = source.opened("predictions")
    if opened.connection.engine != EMBEDDED:
        raise ArgumentError(
            f"coded days are written by the embedded engine, and predictions lie in {opened.connection.place}; "
            "count them there, with collect_profiles"
        )
    every = Population("every", None, window, served_only=False)
    question = profile_question(source, model, every, edges, as_of=as_of, segments=segments)
    own = {each.column: each for each in fitting((edges[name] for name in sorted(edges)), requests_of(question))}
    digests = {name: each.digest for name, each in own.items()}
    paths = {
        day: source.cache.path(_KIND, {"of": key, "edges": digests}, ".parquet")
        for day, key in day_fingerprints(question, every).items()
    }
    for day, path in paths.items():
        if not path.is_file():
            requests = requests_of(question, window_of_days(day, day))
            streaming = Streaming.of(requests, [day], own.values(), segments)
            source.cache.publish(path, partial(_write, question, streaming))
    return CodedDays(own, tuple(segments), window, paths, types_by_day(source, edges, list(paths)))


def _write(question: Question, streaming: Streaming, path: Path) -> None:
    """One row per request: version, served, by_<i> (segments), word_<i>, and x_<i> of a number that was constant."""
    import pyarrow as pa
    from pyarrow import parquet

    given = {"version": pa.string(), "served": pa.bool_()}
    given |= {f"by_{at}": pa.string() for at in range(len(streaming.segments))}
    words = {f"word_{i}": word for i, word in enumerate(pack(streaming.edges))}
    constant = {f"x_{each.column}": at for at, each in enumerate(streaming.edges) if each.is_constant_number}
    schema = pa.schema(given | dict.fromkeys(words, pa.uint16()) | dict.fromkeys(constant, pa.float64()))

    def coded(batch: Any) -> Any:
        found = {each.column: codes(values_of(batch, at), each) for at, each in enumerate(streaming.edges)}
        columns = {name: batch.column(name) for name in given}
        columns |= {name: pa.array(word.integers(found), schema.field(name).type) for name, word in words.items()}
        columns |= {name: values_of(batch, at) for name, at in constant.items()}
        return pa.record_batch(columns, schema=schema)

    # Parquet keeps a word as 32 bits: apart from the others, the bytes that are always 0 take no room.
    texts = [name for name, dtype in given.items() if dtype == pa.string()]
    how: dict[str, Any] = {"use_dictionary": texts, "column_encoding": dict.fromkeys(words, "BYTE_STREAM_SPLIT")}

    def write() -> None:
        with parquet.ParquetWriter(path, schema, compression="zstd", **how) as writer:
            for batch in streaming.batches(connection.backend, ["version", "served"]):
                writer.write_batch(coded(batch))

    connection = question.source.opened("predictions").connection
    connection.run(question.reading, write)


class _Day:
    """The requests of one population on one coded day."""

    def __init__(self, edges: Mapping[str, ColumnEdges], path: Path, population: Population, types: Types) -> None:
        from pyarrow import parquet

        self.edges, self.words, self.types = edges, pack(edges.values()), types
        texts = [name for name in parquet.read_schema(path).names if name == "version" or name.startswith("by_")]
        self.file = parquet.ParquetFile(path, read_dictionary=texts)
        self.chosen = self._choose(population)

    def profiles(self, segment: int | None) -> Iterator[tuple[str, Profile]]:
        """By value of a segment (None: all, under "") the profile of its requests; none without any."""
        import numpy as np

        names, of_row = ([""], None) if segment is None else self._values(f"by_{segment}")
        rows = self._sizes(of_row, len(names))
        found: list[dict[str, ColumnCounts]] = [{} for _ in names]
        for i, word in enumerate(self.words):
            held = self._read(f"word_{i}")
            for edges, counted in _by_column(word, held, of_row, len(names)):
                for at, counts in enumerate(counted.tolist()):
                    found[at][edges.column] = ColumnCounts(edges, tuple(counts[:-2]), *counts[-2:])
        for name, each in self.edges.items():
            if each.is_constant_number:
                numbers = self._read(f"x_{name}")
                for at in range(len(names)):
                    own = numbers if of_row is None else numbers[of_row == at]
                    own = own[~np.isnan(own)]
                    ends = (float(own.min()), float(own.max())) if len(own) else (None, None)
                    counts = found[at][name]
                    found[at][name] = ColumnCounts(each, counts.counts, counts.unseen, counts.missing, *ends)
        for at, value in enumerate(names):
            if rows[at]:
                columns = {name: found[at][name] for name in sorted(self.edges) if name in self.types}
                yield value, Profile(int(rows[at]), columns, self.types)

    def _choose(self, population: Population) -> Any:
        """Which rows are of the population; None for all of them."""
        import numpy as np

        chosen = np.ones(self.file.metadata.num_rows, dtype=bool)
        if population.version is not None:
            names, of_row = self._texts("version")
            chosen &= of_row == (names.index(population.version) if population.version in names else -1)
        if population.served_only:
            chosen &= self.file.read(["served"])["served"].to_numpy()
        return None if chosen.all() else chosen

    def _read(self, name: str) -> Any:
        values = self.file.read([name])[name].to_numpy()
        return values if self.chosen is None else values[self.chosen]

    def _texts(self, name: str) -> tuple[list[str], Any]:
        """The different texts of a column, and which of them each row has."""
        coded = self.file.read([name])[name].unify_dictionaries().combine_chunks()
        return coded.dictionary.to_pylist(), coded.indices.to_numpy()

    def _values(self, name: str) -> tuple[list[str], Any]:
        names, of_row = self._texts(name)
        return names, of_row if self.chosen is None else of_row[self.chosen]

    def _sizes(self, of_row: Any, many: int) -> Any:
        import numpy as np

        if of_row is not None:
            return np.bincount(of_row, minlength=many)
        return [self.file.metadata.num_rows if self.chosen is None else int(self.chosen.sum())]


def _by_column(word: Word, held: Any, of_row: Any, many: int) -> Iterator[tuple[ColumnEdges, Any]]:
    """For each column of a word how many rows have each code, by segment value."""
    import numpy as np

    if of_row is None:
        # The first column is the last axis: its step is 1.
        table = np.bincount(held, minlength=prod(word.codes)).reshape(word.codes[::-1])
        for at, edges in enumerate(word.edges):
            own = len(word.edges) - 1 - at
            others = tuple(axis for axis in range(table.ndim) if axis != own)
            yield edges, table.sum(axis=others)[None, :]
        return
    for edges, width, step in zip(word.edges, word.codes, word.steps, strict=True):
        places = of_row.astype("int64") * width + held // step % width
        yield edges, np.bincount(places, minlength=many * width).reshape(many, width)
