"""Which words one body of texts has more of than another: log odds ratios with a prior.

Source: Monroe, Colaresi & Quinn (2008), Political Analysis 16:372, equations 16 and 22. The prior is the two bodies
taken together: a word that is rare in both is held near zero, and one that is as frequent in both is at zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from toolkit.checks import check_at_least
from toolkit.stats.estimate import check_count


class TermOdds(NamedTuple):
    """One word in the second body against the first.

    Attributes
    ----------
    count0, count1: how often it is used in each.
    log_odds: the difference of its log odds, natural; above 0 where the second body has more of it.
    z: `log_odds` in standard errors.
    """

    term: str
    count0: int
    count1: int
    log_odds: float
    z: float


def weighted_log_odds(
    counts: Mapping[str, tuple[int, int]], totals: tuple[int, int], *, prior_size: float = 500.0
) -> tuple[TermOdds, ...]:
    """Each word's log odds in the second body of texts against the first, the most over-used in the second first.

    Parameters
    ----------
    counts: by word how often the first and the second body use it.
    totals: how many words each body has in all, the words that are not in `counts` too.
    prior_size: how many words the prior is worth.

    Raises `ArgumentError`.

    >>> words = weighted_log_odds({"late": (2, 30), "the": (100, 100)}, (1000, 1000))
    >>> [(word.term, round(word.z, 2)) for word in words]
    [('late', 3.81), ('the', 0.0)]
    """
    check_at_least("prior_size", prior_size, 0)
    first, second = (check_count("totals", total) for total in totals)
    whole = first + second
    found = []
    for term, (count0, count1) in counts.items():
        used0, used1 = check_count(f"counts[{term!r}]", count0), check_count(f"counts[{term!r}]", count1)
        prior = prior_size * (used0 + used1) / whole if whole else 0.0
        has0, has1 = used0 + prior, used1 + prior
        lacks0, lacks1 = first + prior_size - has0, second + prior_size - has1
        if min(has0, has1, lacks0, lacks1) <= 0:
            found.append(TermOdds(term, used0, used1, 0.0, 0.0))
            continue
        log_odds = math.log(has1 / lacks1) - math.log(has0 / lacks0)
        found.append(TermOdds(term, used0, used1, log_odds, log_odds / math.sqrt(1 / has0 + 1 / has1)))
    return tuple(sorted(found, key=lambda term: (-term.z, term.term)))
