"""Simulated experiments: the same sums for every tool. Twelve distributions of a unit's value, one of them a ratio.

An experiment is a row of twelve numbers, six for each variant: units, mean numerator, mean denominator, and the sample
variances of the numerator, of the denominator and their covariance. Where the denominator is 1 it is a mean per unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Generator = np.random.Generator


class Shape(NamedTuple):
    """A distribution of a unit's value.

    draw: values of the control, or of a treatment that is larger by a share of the mean's size. mean, sd: of the
    control. share: whether values are 0 or 1.
    """

    name: str
    draw: Callable[[Generator, tuple[int, int], float], Any]
    mean: float
    sd: float
    share: bool = False


def scaled(sample: Callable[[Generator, tuple[int, int]], Any]) -> Callable[[Generator, tuple[int, int], float], Any]:
    """A treatment that multiplies every value."""
    return lambda rng, size, lift: (1 + lift) * sample(rng, size)


def bernoulli(share: float) -> Callable[[Generator, tuple[int, int], float], Any]:
    return lambda rng, size, lift: rng.binomial(1, share * (1 + lift), size).astype(float)


def poisson(mean: float) -> Callable[[Generator, tuple[int, int], float], Any]:
    return lambda rng, size, lift: rng.poisson(mean * (1 + lift), size).astype(float)


def requests(rng: Generator, size: tuple[int, int], lift: float) -> Any:
    """Numerators and denominators: requests of a unit depend on each other, and units differ in their number."""
    count = 1.0 + rng.poisson(3, size)
    level = rng.gamma(2, 0.5, size)
    return np.stack([(1 + lift) * level * rng.gamma(count), count])


SHAPES = (
    Shape("normal", scaled(lambda rng, size: rng.normal(10, 3, size)), 10, 3),
    Shape("normal, negative mean", lambda rng, size, lift: rng.normal(-5 + 5 * lift, 4, size), -5, 4),
    Shape("uniform", scaled(lambda rng, size: rng.uniform(0, 1, size)), 0.5, math.sqrt(1 / 12)),
    Shape("exponential", scaled(lambda rng, size: rng.exponential(1, size)), 1, 1),
    Shape("gamma, shape 1/2", scaled(lambda rng, size: rng.gamma(0.5, 2, size)), 1, math.sqrt(2)),
    Shape("lognormal, sigma 1", scaled(lambda rng, size: rng.lognormal(0, 1, size)), math.exp(0.5), 2.161197),
    Shape("Pareto, index 4", scaled(lambda rng, size: 1 + rng.pareto(4, size)), 4 / 3, math.sqrt(2) / 3),
    Shape("Poisson 1", poisson(1), 1, 1),
    Shape("zero-inflated", scaled(lambda rng, size: rng.binomial(1, 0.3, size) * rng.exponential(1, size)), 0.3, 0.714),
    Shape("yes or no, 50 %", bernoulli(0.5), 0.5, 0.5, share=True),
    Shape("yes or no, 10 %", bernoulli(0.1), 0.1, 0.3, share=True),
    Shape("ratio over requests", requests, 1, 0.984),
)


def planned_lift(shape: Shape, units: int) -> float:
    """The lift that a two-sided test at 5 % finds with a probability of 80 %, if the spread stays as it is."""
    return 2.8016 * shape.sd / abs(shape.mean) * math.sqrt(2 / units)


def draw_experiments(shape: Shape, units: int, lift: float, count: int, rng: Generator) -> Any:
    """`count` experiments with `units` units in each variant, as rows of twelve numbers."""
    sides = [summed(shape.draw(rng, (count, units), change), units) for change in (0.0, lift)]
    return np.hstack(sides)


def summed(values: Any, units: int) -> Any:
    top, bottom = values if values.ndim == 3 else (values, None)
    means = top.mean(axis=1)
    gaps = top - means[:, None]
    if bottom is None:
        rest = np.zeros_like(means)
        parts = (np.ones_like(means), np.square(gaps).sum(axis=1) / (units - 1), rest, rest)
    else:
        other = bottom - bottom.mean(axis=1)[:, None]
        sums = (np.square(gaps).sum(axis=1), np.square(other).sum(axis=1), (gaps * other).sum(axis=1))
        parts = (bottom.mean(axis=1), *(part / (units - 1) for part in sums))
    return np.column_stack([np.full_like(means, units), means, *parts])
