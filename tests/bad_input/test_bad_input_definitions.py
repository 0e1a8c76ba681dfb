"""Wrong definitions and names, each through the command line; nothing is run, nothing is recorded."""

from __future__ import annotations

import json

import pytest

PLAN = """\
key: small-v2
hypothesis: It loses less.
owner: Ada
kind: ab
model: small
window: {start: "2013-04-01", end: "2013-04-15"}
unit: unit_id
analysis: plain
assignment: {hash: flagd-fractional, version: 2, key: small-v2}
variants:
  control: {version: "1", weight: 50}
  treatment: {version: "1", weight: 50}
control: control
primary: brire
alpha: 0.05
sample_ratio_alpha: 0.001
label_maturity: {days: 1, minimum_share: 0.9}
rule: superior_and_not_inferior
"""


@pytest.fixture
def planned(world):
    (world.root / "experiments").mkdir()
    (world.root / "experiments" / "small-v2.yml").write_text(PLAN, encoding="utf-8")
    return world


def test_unknown_experiment(planned):
    said = "error: unknown experiment 'smal-v2'; allowed: small-v2. Did you mean 'small-v2'?"
    planned.stopped("run", "plans", "-p", "experiment=smal-v2", code=2, said=said)


def test_unknown_metric_of_an_experiment(planned):
    said = (
        "error: experiments/small-v2.yml:14: primary: unknown metric 'brire'; allowed: auc, brier, calibration, "
        "error_rate, latency, log_loss, temperature. Did you mean 'brier'?"
    )
    planned.stopped("run", "plans", code=2, said=said)


def test_unknown_metric(world):
    said = (
        "error: unknown metric 'brire'; allowed: auc, brier, calibration, error_rate, latency, log_loss, temperature. "
        "Did you mean 'brier'?"
    )
    world.stopped("metrics", "brire", code=2, said=said)


def test_unknown_model_and_template(world):
    said = "error: unknown model 'smal'; allowed: small. Did you mean 'small'?"
    world.stopped("run", "looks", "-p", "model=smal", code=2, said=said)
    assert world.call("run", "loks").said.endswith(" Did you mean 'looks'?\n")


def test_unknown_segment(world):
    world.edit("models/small.yml", "segments: [carrier]", "segments: [carier]")
    said = (
        "error: unknown segment 'carier'; allowed: carrier, error, latency_ms, model, occurred_at, request_id, score, "
        "served, temp_f, unit_id, version. Did you mean 'carrier'?"
    )
    world.stopped("run", "looks", code=2, said=said)


def test_empty_window(world):
    world.edit("models/small.yml", 'reference: {start: "2013-03-01", end', 'reference: {start: "2013-04-01", end')
    said = (
        "error: models/small.yml:14: versions.1.reference is {'start': '2013-04-01', 'end': '2013-04-01'}: "
        "empty window: start 2013-04-01T00:00:00Z is not before end 2013-04-01T00:00:00Z"
    )
    world.stopped("models", "small", code=2, said=said)


def test_malformed_yaml(world):
    world.edit("metrics.yml", "metrics:\n", "metrics:\n  brier: {name: [\n")
    for arguments in (("metrics",), ("run", "looks")):
        before = world.state()
        done = world.call(*arguments)
        assert (done.code, done.out) == (2, "")
        assert done.said.startswith("error: metrics.yml:")
        assert ": not valid YAML: while parsing a flow " in done.said
        assert world.state() == before


def test_malformed_settings(world):
    before = world.state().files
    with (world.root / "toolkit.toml").open("a", encoding="utf-8") as stream:
        stream.write("name = [\n")
    done = world.call("run", "looks", "--json")
    assert done.code == 2
    error = json.loads(done.out)["error"]
    assert (error["type"], error["exit_code"]) == ("DefinitionError", 2)
    assert error["message"].startswith("toolkit.toml")
    assert ": not valid TOML: " in error["message"]
    assert done.said == f"error: {error['message']}\n"
    (world.root / "toolkit.toml").write_bytes(before["toolkit.toml"])
    assert world.state().files == before


def test_two_metrics_with_one_key(world):
    world.edit("metrics.yml", "  auc: {name: AUC", "  brier: {name: AUC")
    said = "error: metrics.yml:4: key 'brier' is there twice, first on line 2; keep one"
    world.stopped("metrics", code=2, said=said)


def test_two_models_with_one_key(world):
    (world.root / "models" / "copy.yml").write_bytes((world.root / "models" / "small.yml").read_bytes())
    said = (
        "error: models/copy.yml:1: key is 'small', and the file's name says 'copy'; "
        "models/small.yml has that key already; make them agree"
    )
    world.stopped("models", code=2, said=said)
