"""What the tests take the tracer off for has it back afterwards: else coverage would miss what comes next."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from untraced import without_tracer


def trace(_frame: Any, _event: str, _argument: Any) -> None:
    """Looks at nothing."""


@pytest.fixture
def traced() -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(trace)
    yield
    sys.settrace(before)


@pytest.mark.usefixtures("traced")
def test_nothing_is_traced_meanwhile_and_everything_afterwards() -> None:
    assert without_tracer(sys.gettrace)() is None
    assert sys.gettrace() is trace


@pytest.mark.usefixtures("traced")
def test_a_library_that_fails_is_no_exception() -> None:
    with pytest.raises(ZeroDivisionError):
        without_tracer(lambda: 1 // 0)()
    assert sys.gettrace() is trace
