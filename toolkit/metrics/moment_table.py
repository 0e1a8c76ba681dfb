"""What metrics need of a table of measures, and the moments that were collected for it: small, mergeable, storable."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

from toolkit.checks import check_in
from toolkit.digests import digest_value
from toolkit.errors import ArgumentError, VerificationError
from toolkit.stats.joint_moments import JointMoments, pool_moments

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FORMAT = 1
"""Of the stored table; another one makes another digest, so that nothing old is read."""

_METADATA = b"toolkit.moments"

Where = Mapping[str, str | Sequence[str]]
"""Column of `by` to the value, or values, that a row must have there."""


@dataclass(frozen=True)
class Needs:
    """The moments that some metrics need, as a set: `|` makes one of several. The number of rows is always there.

    Attributes
    ----------
    measures: columns whose means are needed, sorted.
    pairs: pairs of measures whose covariance is needed, each and all sorted; a measure with itself is its variance.

    >>> Needs.of("orders", "orders_before") | Needs.of("converted")
    Needs(measures=('converted', 'orders', 'orders_before'), pairs=(('converted', 'converted'), ('orders', 'orders'), \
('orders', 'orders_before'), ('orders_before', 'orders_before')))
    """

    measures: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        pairs = {(min(pair), max(pair)) for pair in self.pairs}
        measures = {*self.measures, *(measure for pair in pairs for measure in pair)}
        object.__setattr__(self, "measures", tuple(sorted(measures)))
        object.__setattr__(self, "pairs", tuple(sorted(pairs)))

    @classmethod
    def of(cls, *measures: str) -> Needs:
        """Means, variances and every covariance of these: one for a proportion or a mean, two for a mean with its
        covariate, numerator and denominator for a ratio, four for a ratio with its covariates.
        """
        return cls(measures, tuple(combinations_with_replacement(sorted(measures), 2)))

    def __or__(self, other: Needs) -> Needs:
        return Needs(self.measures + other.measures, self.pairs + other.pairs)

    @property
    def paired(self) -> tuple[str, ...]:
        """The measures that are needed together with another, sorted: which of them a row lacks is part of its key."""
        return tuple(sorted({measure for pair in self.pairs if pair[0] != pair[1] for measure in pair}))

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {"measures": list(self.measures), "pairs": [list(pair) for pair in self.pairs]}


def moments_digest(needs: Needs, *, by: Sequence[str] = (), splits: Sequence[str] = (), rows: str) -> str:
    """The digest of a definition of moments; with a fingerprint of the data it is the key to keep them under.

    `rows` is the digest of what a row is and how its measures and keys are made: what the caller built its table of.
    """
    return digest_value({"format": FORMAT, "needs": needs.to_dict(), "by": [*by], "splits": [*splits], "rows": rows})


@dataclass(frozen=True, eq=False)
class MomentTable:
    """Moments by group; a few thousand rows at most, whatever the number of rows that they were made of.

    Attributes
    ----------
    by: the columns that every group has a value of, such as variant and day. splits: the segmentations, one by one.
    frame: one row per group × segment value × pattern of missing measures. Keys: `by_<i>`, `split` ("" for all
        rows, else a segmentation), `value` of it, and `missing`: bit i is set where `needs.paired[i]` is missing.
        Then rows; for measure i `n_<i>`, `origin_<i>`, `offset_<i>` (the mean is their sum); for pair j `product_<j>`,
        the centred sum of products. Keys are text; a missing key is "missing".
    """

    needs: Needs
    by: tuple[str, ...]
    splits: tuple[str, ...]
    frame: pd.DataFrame = field(repr=False)

    @classmethod
    def joined(cls, *tables: MomentTable) -> MomentTable:
        """One table of several that hold different rows, say one per day; raises `ArgumentError` if kinds differ."""
        import pandas as pd

        if not tables:
            raise ArgumentError("no moments to join; give at least one table")
        first = tables[0]
        for table in tables:
            if (table.needs, table.by, table.splits) != (first.needs, first.by, first.splits):
                raise ArgumentError("moments of different needs, groups or segmentations cannot be joined")
        return cls(first.needs, first.by, first.splits, pd.concat([t.frame for t in tables], ignore_index=True))

    def values(self, name: str) -> list[str]:
        """The values of a column of `by`, or of a segmentation, sorted."""
        check_in(name, [*self.by, *self.splits], noun="group or segmentation")
        if name in self.by:
            return sorted(self.frame[f"by_{self.by.index(name)}"].unique())
        return sorted(self.frame.loc[self.frame["split"] == name, "value"].unique())

    def rows(self, where: Where | None = None, *, split: str = "", value: str = "") -> int:
        """How many rows a group has, whatever they lack."""
        return int(self._columns["rows"][self._chosen(where or {}, split, value)].sum())

    def count(self, measure: str, where: Where | None = None, *, split: str = "", value: str = "") -> int:
        """How many rows of a group have a measure, also where its variance was not collected."""
        return int(self._columns[f"n_{self._position(measure)}"][self._chosen(where or {}, split, value)].sum())

    def mean(self, measure: str, where: Where | None = None, *, split: str = "", value: str = "") -> float | None:
        """The mean of one measure in a group, also where its variance was not collected; None without a row."""
        import numpy as np

        i, chosen = self._position(measure), self._chosen(where or {}, split, value)
        n, start, rest = (self._columns[f"{name}_{i}"][chosen] for name in ("n", "origin", "offset"))
        if not n.sum():
            return None
        most = start[n.argmax()]
        return float(most + np.average(start - most + rest, weights=n))

    def moments(
        self,
        measures: Sequence[str],
        where: Where | None = None,
        *,
        split: str = "",
        value: str = "",
    ) -> JointMoments:
        """The moments of `measures`, in this order, over the rows of a group that have them all.

        Parameters
        ----------
        where: column of `by` to its value, such as {"variant": "b"}, or to several, such as days; columns that are
            not named are merged over.
        split, value: a segmentation and its value; "" for all rows.

        Raises `UnknownNameError` for what was not collected.
        """
        import numpy as np

        at = [self._position(measure) for measure in measures]
        pairs = [[self._pair(a, b) for b in measures] for a in measures]
        columns, chosen = self._columns, self._chosen(where or {}, split, value)
        if len(measures) > 1:
            bits = sum(1 << self.needs.paired.index(measure) for measure in measures)
            chosen = chosen[columns["missing"][chosen] & bits == 0]
        if not chosen.size:
            zeros = (0.0,) * len(at)
            return JointMoments(0, zeros, zeros, (zeros,) * len(at))
        starts, rests = (
            np.stack([columns[f"{name}_{i}"][chosen] for i in at], axis=1) for name in ("origin", "offset")
        )
        products = np.stack([np.stack([columns[f"product_{j}"][chosen] for j in line], 1) for line in pairs], 1)
        return pool_moments(columns[f"n_{at[0]}"][chosen], starts, rests, products)

    def to_bytes(self) -> bytes:
        """The table as a Parquet file; the same table gives the same bytes."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        about = {"format": FORMAT, "needs": self.needs.to_dict(), "by": list(self.by), "splits": list(self.splits)}
        table = pa.Table.from_pandas(self.frame, preserve_index=False)
        table = table.replace_schema_metadata({_METADATA: json.dumps(about, sort_keys=True).encode()})
        with io.BytesIO() as stream:
            # A table is read whole, and with hundreds of columns what helps to read a part costs more than the rows.
            pq.write_table(table, stream, compression="zstd", use_dictionary=False, write_statistics=False)
            return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> MomentTable:
        """The table that `to_bytes` wrote. Raises `VerificationError` for anything else."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
            about = json.loads(table.schema.metadata[_METADATA])
        except (pa.ArrowException, KeyError, TypeError, ValueError) as err:
            raise VerificationError("these bytes are no moments that the toolkit stored") from err
        if about["format"] != FORMAT:
            raise VerificationError(f"moments were stored in format {about['format']}, this toolkit reads {FORMAT}")
        needs = Needs(tuple(about["needs"]["measures"]), tuple((a, b) for a, b in about["needs"]["pairs"]))
        return cls(needs, tuple(about["by"]), tuple(about["splits"]), table.to_pandas(use_threads=False))

    @cached_property
    def _columns(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: self.frame[name].to_numpy() for name in self.frame.columns}

    @cached_property
    def _codes(self) -> dict[str, tuple[np.ndarray[Any, Any], dict[str, int]]]:
        """By column of `by` the number of each row's value, and the numbers of the values."""
        import pandas as pd

        found = {}
        for at, name in enumerate(self.by):
            codes, values = pd.factorize(self.frame[f"by_{at}"])
            found[name] = codes, {str(value): place for place, value in enumerate(values)}
        return found

    @cached_property
    def _groups(self) -> dict[tuple[str, str], np.ndarray[Any, Any]]:
        """Which rows belong to each segment."""
        return dict(self.frame.groupby(["split", "value"]).indices)

    def _chosen(self, where: Where, split: str, value: str) -> np.ndarray[Any, Any]:
        import numpy as np

        check_in(split, ["", *self.splits], noun="segmentation")
        chosen = self._groups.get((split, value), np.array([], dtype=np.intp))
        for name, wanted in where.items():
            check_in(name, self.by, noun="group")
            codes, places = self._codes[name]
            # A look-up by number: comparing text row by row costs more than all the moments.
            is_wanted = np.zeros(len(places), dtype=bool)
            is_wanted[[places[key] for key in ([wanted] if isinstance(wanted, str) else wanted) if key in places]] = (
                True
            )
            chosen = chosen[is_wanted[codes[chosen]]]
        return chosen

    def _position(self, measure: str) -> int:
        check_in(measure, self.needs.measures, noun="measure")
        return self.needs.measures.index(measure)

    def _pair(self, a: str, b: str) -> int:
        pair = (min(a, b), max(a, b))
        if pair not in self.needs.pairs:
            named = [repr(measure) for measure in dict.fromkeys(pair)]
            what = f"{'variance' if a == b else 'covariance'} of {' and '.join(named)}"
            raise ArgumentError(f"the {what} was not collected; ask for it with Needs.of({', '.join(named)})")
        return self.needs.pairs.index(pair)
