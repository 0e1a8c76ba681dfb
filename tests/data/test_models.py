from __future__ import annotations

import pytest

from toolkit.data import load_model
from toolkit.errors import DefinitionError, UnknownNameError


def test_load(small):
    model = load_model(small.workspace, "small")
    assert model.version("1").reference.window.label == "2013-03-01 … 2013-03-31"
    assert model.segments == ("carrier",)


def test_unknown_model_and_version(small):
    with pytest.raises(UnknownNameError) as caught:
        load_model(small.workspace, "smal")
    assert str(caught.value) == "unknown model 'smal'; allowed: small. Did you mean 'small'?"
    with pytest.raises(UnknownNameError) as caught:
        load_model(small.workspace, "small").version("2")
    assert str(caught.value) == "unknown version of model small '2'; allowed: 1."


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'trained: {start: "2013-01-01", end: "2013-03-01"}',
            'trained: {start: "2013-03-01", end: "2013-01-01"}',
            "models/small.yml:13: versions.1.trained is {'start': '2013-03-01', 'end': '2013-01-01'}: empty window: "
            "start 2013-03-01T00:00:00Z is not before end 2013-01-01T00:00:00Z",
        ),
        ("decision_threshold: 0.5", "decision_threshold: 1.5", "models/small.yml:6: decision_threshold is 1.5: "),
        (
            "segments: [carrier]",
            "segements: [carrier]",
            "models/small.yml:8: unknown key 'segements'; allowed: decision_threshold, description, ",
        ),
        ("    features: []", "    features: [temp]", "versions: unknown feature 'temp'; allowed: none are defined."),
        ("key: small", "key: large", "models/small.yml:1: key is 'large', and the file's name says 'small'"),
    ],
)
def test_wrong_definitions(small, tmp_path, old, new, message):
    from conftest import MODEL, write_workspace

    workspace = write_workspace(tmp_path, small.predictions.head(1), small.outcomes.head(1)).workspace
    (tmp_path / "models" / "small.yml").write_text(MODEL.replace(old, new))
    with pytest.raises(DefinitionError) as caught:
        load_model(workspace, "small")
    assert message.removeprefix("versions: ") in str(caught.value)
