"""What a mapping leaves open: a question, its options as the command line would have them, and who answers."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import NamedTuple

from toolkit.errors import ArgumentError


class Question(NamedTuple):
    """What is not clear about a file: the options that may be given on the command line, each with its reason."""

    file: str
    what: str
    options: tuple[str, ...]
    reasons: tuple[str, ...]
    flag: str

    @property
    def text(self) -> str:
        """The question as a refusal, with the options to give."""
        listed = ", ".join(f"{option} ({why})" for option, why in zip(self.options, self.reasons, strict=True))
        flags = " or ".join(f"{self.flag}{shlex.quote(option)}" for option in self.options)
        return f"{self.file}: {self.what} is not clear: {listed}. Say it with {flags}, or take the first with --yes"


Choose = Callable[[Question], str]
"""Answers a question with one of its options, or raises."""


def refuse(question: Question) -> str:
    """Raise `ArgumentError` with the options to give."""
    raise ArgumentError(question.text)


def take_first(question: Question) -> str:
    """The first option."""
    return question.options[0]
