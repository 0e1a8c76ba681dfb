"""`make demo`: the workspace demo/ from real flights, its reports, a gallery of them, and where they lie.

It does again only what has changed: the workspace is rebuilt when the example or the lock is another one, the reports
are run again when any code or template is. What was done stands in build/demo.json, beside the workspace and not in it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"
DONE = ROOT / "build" / "demo.json"
TOOLKIT = [sys.executable, "-m", "toolkit.cli"]
LOOKS = "2013-07-02,2013-08-02,2013-09-02"
"""The planned looks of delay-v2 before the last: each readout knows those before it."""
EARLIER = "2013-11-01,2013-12-01"
"""Triages before the last: each plan says what has moved since."""

STEPS = (
    ["run", "triage", "--each", f"as_of={EARLIER}"],
    ["run", "triage"],
    ["run", "model_health"],
    ["run", "shadow_readout", "-p", "experiment=delay-v2-shadow"],
    ["run", "experiment_plan", "-p", "experiment=delay-v2"],
    ["run", "experiment_readout", "-p", "experiment=delay-v2", "--each", f"as_of={LOOKS}"],
    ["run", "experiment_readout", "-p", "experiment=delay-v2", "-p", "as_of=2013-10-02"],
    ["run", "holdout_readout", "-p", "experiment=delay-v2-holdout"],
    ["run", "debt_review"],
    ["due", "--now", "2014-01-01"],  # where the data end: the retrospective of every month whose slot lies before
    ["reports", "gallery"],
)


def say(text: str) -> None:
    """One line of progress."""
    print(f"==> {text}", flush=True)


def digest(*parts: str) -> str:
    """The digest of all files under these folders (and of these files), names included."""
    state = hashlib.sha256()
    for part in parts:
        top = ROOT / part
        files = [top] if top.is_file() else sorted(top.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                state.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return state.hexdigest()


def build_workspace(done: dict[str, Any]) -> dict[str, Any]:
    """Make demo/ unless it is there and of this example; what was done, with the reports forgotten if it is new."""
    example = digest("toolkit/examples", "requirements.lock")
    if DEMO.exists():
        if "example" not in done:
            sys.exit(f"error: {DEMO} was not made by `make demo`; move it away, or remove it with `make clean`")
        if done["example"] == example:
            say("the workspace demo/ is there")
            return done
        say("the workspace demo/ is of an older example: removing it")
        shutil.rmtree(DEMO)
    remember({"example": example})  # before it is built: a demo/ without this was made by someone else
    say("building the workspace demo/ from the flights of 2013")
    subprocess.run([*TOOLKIT, "init", str(DEMO), "--example", "flights"], check=True)
    return {"example": example}


def run_step(arguments: Sequence[str]) -> list[str]:
    """Run one command in the workspace; the page it names, if it names one."""
    say(f"toolkit {' '.join(arguments)}")
    run = subprocess.run([*TOOLKIT, *arguments, "--json"], cwd=DEMO, check=True, stdout=subprocess.PIPE)
    document = json.loads(run.stdout)
    return [str(document["page"])] if "page" in document else []


def remember(done: dict[str, Any]) -> None:
    """Write down what was done."""
    DONE.parent.mkdir(exist_ok=True)
    DONE.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Build, run, print the paths; the exit code of the step that failed."""
    done = json.loads(DONE.read_text(encoding="utf-8")) if DONE.is_file() else {}
    code = digest("toolkit", "templates", "requirements.lock")
    try:
        done = build_workspace(done)
        if done.get("code") != code or not all(Path(page).is_file() for page in done["reports"]):
            done |= {"code": code, "reports": [page for step in STEPS for page in run_step(step)]}
            remember(done)
        else:
            say("nothing has changed since these reports were published")
    except subprocess.CalledProcessError as err:
        return err.returncode
    say("open in a browser:")
    for page in done["reports"]:
        print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
