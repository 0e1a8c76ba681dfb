"""What a capacity plan says in sentences of what its constraints cost, and of what closed items taught."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from toolkit.display import format_number
from toolkit.triage.corrections import Learned
from toolkit.triage.mixed_integer import PROVEN_GAP
from toolkit.triage.plannable import Plannable
from toolkit.triage.programme_reasons import Price
from toolkit.triage.teams import TeamDefinition


def price_sentences(
    plannable: Plannable,
    teams: Mapping[str, TeamDefinition],
    prices: Sequence[Price],
    override_prices: Mapping[str, float],
    *,
    worth: float,
) -> Iterator[str]:
    """What one more day of a team would bring, and what least shares, musts and overrides cost, where it is above 0.

    Parameters
    ----------
    override_prices: by item that somebody wants out. worth: of the plan; what is nothing beside it is no price.
    """
    nothing = PROVEN_GAP * max(abs(worth), 1.0)
    for price in prices:
        what = _subject(price, plannable, teams)
        if what and price.value > nothing:
            yield f"{what} {format_number('value', price.value)} {plannable.unit} a week."
    for key, cost in override_prices.items():
        override = plannable.items[key].override
        if override is not None and cost > nothing:
            yield f"That {override.by} wants {key} out costs {format_number('value', cost)} {plannable.unit} a week."


def learned_sentences(learned: Learned) -> Iterator[str]:
    """By what estimates were corrected, and of what nothing could be learned."""
    if learned.corrections:
        said = "; ".join(
            f"the {each.quantity} that {each.source} estimates, times {format_number('factor', each.bias)} "
            f"(closed: {each.n})"
            for each in learned.corrections
        )
        yield f"Corrected by what closed items turned out to be: {said}."
    if learned.left_out:
        yield f"Nothing could be learned of {'; '.join(learned.left_out)}."


def _subject(price: Price, plannable: Plannable, teams: Mapping[str, TeamDefinition]) -> str:
    """What brings or costs something; "" for prices that are only in the rows."""
    if price.kind == "capacity":
        team, _, role = price.name.partition("/")
        return f"One more day of {teams[team].name}{f' ({role})' if role else ''} would bring"
    if price.kind == "floor":
        return f"The least share, {price.name}, costs"
    if price.kind == "must":
        each = plannable.items[price.name]
        if each.due or each.override is None:
            return f"That {price.name} must be done costs"
        return f"That {each.override.by} wants {price.name} costs"
    return ""
