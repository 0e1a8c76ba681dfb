"""`toolkit init DIR --from FILE`: a workspace with own data in it, and definitions proposed from them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.importing import Said, model_key, slug
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    from toolkit.data.column_facts import FileFacts
    from toolkit.data.imports import Imported
    from toolkit.data.mapping import TableMapping
    from toolkit.data.questions import Choose
    from toolkit.data.wishes import Wishes
    from toolkit.triage.proposals import Proposal


@dataclass(frozen=True)
class Begun:
    """What came of own files in a new workspace."""

    imports: tuple[tuple[TableMapping, Imported], ...]
    proposal: Proposal


def map_files(
    predictions: Path, labels: Path | None, said: Said, choose: Choose, *, name: str, tell: Callable[[str], None]
) -> list[TableMapping]:
    """Guess the mapping of own predictions and labels; without a file of labels, those in the predictions' own.

    Raises `ArgumentError` and `UnknownNameError`.
    """
    from toolkit.data.column_facts import look_at_file, shared_ids
    from toolkit.data.own_files import open_engine, open_file

    with tempfile.TemporaryDirectory() as scratch, open_engine(Path(scratch)) as engine:
        files = [open_file(path) for path in (predictions, labels) if path is not None]
        looked = []
        for file in files:
            tell(f"{file.shown}: looking at its columns")
            looked.append(look_at_file(file, engine))
        shared = shared_ids(looked[0], looked[1], engine) if len(looked) == 2 else []
    model = model_key(predictions, otherwise=slug(name) or "model")
    if len(looked) == 1:
        return _map_one(looked[0], said, choose, model)
    ours, theirs = looked
    mine: dict[str, str] = {}
    other: dict[str, str] = {}
    for each in shared:
        mine.setdefault(each.other, f"{each.share:.1%} shared with {each.own} in {theirs.file.shown}")
        other.setdefault(each.own, f"{each.share:.1%} shared with {each.other} in {ours.file.shown}")
    wishes = [
        said.about("predictions", ours.file.names, others={"outcomes": theirs.file.names}),
        said.about("outcomes", theirs.file.names, others={"predictions": ours.file.names}),
    ]
    mapped = _guess("predictions", ours, choose, model, wishes=wishes[0], shared=mine)
    request = mapped.assigned.get("request_id")
    if not shared and request is not None and request.own.name in theirs.file.names:
        other[request.own.name] = f"called as in {ours.file.shown}"
    return [mapped, _guess("outcomes", theirs, choose, model, wishes=wishes[1], shared=other)]


def _map_one(facts: FileFacts, said: Said, choose: Choose, model: str) -> list[TableMapping]:
    """The mapping of one file that holds predictions and, if they are there, their labels."""
    from toolkit.data.mapping import label_columns

    names = facts.file.names
    wishes = said.about("predictions", names, others={"outcomes": names})
    about_labels = said.about("outcomes", names)
    found = label_columns(facts) - set(wishes.columns.values())
    if about_labels.columns.get("label") == "":  # said: there are none
        found = set()
    found |= {about_labels.columns[key] for key in ("label", "observed_at") if about_labels.columns.get(key)}
    predictions = _guess("predictions", facts, choose, model, wishes=wishes, others=found, whole=True)
    if not found:
        return [predictions]
    used = {each.own.name for each in predictions.assigned.values()}
    used |= {own.name for own in predictions.extras.values()}
    shared = {}
    if (request := predictions.assigned.get("request_id")) is not None:
        used.discard(request.own.name)
        shared[request.own.name] = "as in the predictions"
    outcomes = _guess("outcomes", facts, choose, model, wishes=about_labels, shared=shared, others=used, whole=True)
    return [predictions, outcomes]


def _guess(
    table: str,
    facts: FileFacts,
    choose: Choose,
    model: str,
    *,
    wishes: Wishes,
    shared: dict[str, str] | None = None,
    others: set[str] | None = None,
    whole: bool = False,
) -> TableMapping:
    from toolkit.data.mapping import guess_mapping

    return guess_mapping(
        table,
        facts,
        wishes=wishes,
        choose=choose,
        model=model,
        shared=shared,
        needed=["score"] if table == "predictions" else [],
        others=others or set(),
        whole=whole,
        binary=True,
    )


def begin(staging: Path, mappings: list[TableMapping], *, name: str, tell: Callable[[str], None]) -> Begun:
    """Lay a workspace called `name` into an empty folder: the skeleton, the data, and definitions proposed from them.

    Raises `ContractError` when the files cannot be imported, `ArgumentError`.
    """
    from toolkit.data import load_model
    from toolkit.data.imports import import_file
    from toolkit.data.portrait import look_at
    from toolkit.metrics import load_metrics
    from toolkit.triage import load_teams
    from toolkit.triage.proposals import propose
    from toolkit.workspace import open_workspace
    from toolkit.workspace.creation import lay_skeleton

    lay_skeleton(staging)
    _settle(staging, mappings, name)
    workspace = open_workspace(staging)
    done = [(mapping, import_file(workspace, mapping, progress=tell)) for mapping in mappings]
    if not done[0][1].rows:
        raise ArgumentError(f"{done[0][1].file}: none of its rows can be imported")
    tell("proposing definitions")
    extras = {column: own.kind for column, own in mappings[0].extras.items()}
    with tempfile.TemporaryDirectory() as scratch:
        portrait = look_at(workspace, extras, scratch=Path(scratch))
    sources = " and ".join(dict.fromkeys(mapping.facts.file.shown for mapping in mappings))
    labelled = mappings[1].assigned["label"].own.name if len(mappings) == 2 else "label"
    proposal = propose(portrait, extras, team=slug(name) or "my-team", sources=sources, label=labelled)
    for path, text in proposal.files.items():
        (staging / path).write_text(text, encoding="utf-8")
    load_metrics(workspace)
    load_teams(workspace)
    for model in portrait.models:
        load_model(workspace, model.key)
    return Begun(tuple(done), proposal)


def _settle(staging: Path, mappings: list[TableMapping], name: str) -> None:
    """The settings: the workspace's name, where the tables lie, and as comments how the files were read."""
    from toolkit.data.places import settings_for_import
    from toolkit.workspace import SETTINGS_FILE, open_workspace

    file = staging / SETTINGS_FILE
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('name = "my-team"', f"name = {json.dumps(name, ensure_ascii=False)}"), "utf-8")
    for mapping in mappings:
        settings = settings_for_import(open_workspace(staging), mapping.table)
        if settings is not None:
            file.write_text(settings, encoding="utf-8")
    said = [
        "",
        "# How the files were read by 'toolkit init --from'; their rows are in data/ under the contract's names.",
    ]
    for mapping in mappings:
        columns = ", ".join(f"{column} = {each.own.name}" for column, each in mapping.assigned.items())
        said.append(f"# {mapping.facts.file.shown} → {mapping.table}: {columns}")
        said += [f"#   assumed: {each}" for each in mapping.assumptions]
    with file.open("a", encoding="utf-8") as stream:
        stream.write("\n".join(said) + "\n")
