from __future__ import annotations

import pytest

import toolkit.data


@pytest.mark.parametrize("name", toolkit.data.__all__)
def test_every_name_of_the_room_is_there_when_it_is_asked_for(name: str) -> None:
    assert getattr(toolkit.data, name) is not None
    assert name in dir(toolkit.data)


def test_a_name_that_is_not_there_comes_with_the_nearest() -> None:
    with pytest.raises(
        AttributeError, match=r"unknown name in toolkit\.data 'EventWritr'; .* Did you mean 'EventWriter'\?"
    ):
        toolkit.data.EventWritr  # noqa: B018 - asking is the test
