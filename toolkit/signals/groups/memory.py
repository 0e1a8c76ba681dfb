"""`groups.yml`: what people have said about which signals are one problem, and which are not.

The toolkit proposes signal groups by its rules; who knows better writes it here once, with the reason, and every later
report keeps to it and shows the reason.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from toolkit.workspace import Definition, Workspace

GROUPS_FILE = "groups.yml"


class GroupRule(Definition):
    """One thing that somebody said about signals of a model: they are one problem, or they are not.

    A signal is called by its key, as reports and `toolkit signal list` show it, such as `drift:temp_f`.
    """

    merge: tuple[str, ...] = Field(default=(), description="keys of signals that are one problem")
    split: tuple[str, ...] = Field(default=(), description="keys of signals of which no two are one problem")
    model: str | None = Field(default=None, description="key of the model that it holds for; every model by default")
    why: str = Field(min_length=1, description="the reason, which reports show")
    by: str = Field(min_length=1, description="who said so")

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if bool(self.merge) == bool(self.split):
            given = "both are" if self.merge else "neither is"
            raise ValueError(f"a rule needs one of merge and split, and {given} there")
        keys = self.merge or self.split
        if len(set(keys)) < 2:
            raise ValueError(f"a rule is about at least two different signals, and it names {', '.join(keys)}")
        return self


class GroupsFile(Definition):
    """`groups.yml`: rules, in the order in which they were said."""

    rules: tuple[GroupRule, ...] = Field(description="what was said about which signals are one problem")


def load_group_rules(workspace: Workspace, model: str | None = None) -> tuple[GroupRule, ...]:
    """The rules of `groups.yml` for a model, or all; none when there is no such file. Raises `DefinitionError`."""
    if not (workspace.root / GROUPS_FILE).is_file():
        return ()
    rules = workspace.load(GROUPS_FILE, GroupsFile).rules
    return tuple(rule for rule in rules if model is None or rule.model in {None, model})
