"""The privacy gate: no path, no secret and no personal data in any byte of what is kept, told or recorded."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest

from toolkit.archive import list_reports, verify_all
from toolkit.errors import Blocked, DefinitionError, ParameterError, RunError
from toolkit.ledger import open_ledger
from toolkit.reports import Published, RunRequest, run_report
from toolkit.reports.request import Kernel
from toolkit.workspace import Workspace, open_workspace

CANARY = "correct-horse-battery-staple-7431"
SECRET = {"token": "secret:GATE_TOKEN"}
PERSON = "grace.hopper@navy.example.com".replace("example.com", "mil-mail.com")
PARAMETERS = 'token: str = "none"  # how to get in'
USES = "assert token.startswith('correct-horse') and len(token) == 33\nprint('in:', repr(token))"
PROCESSES = "import subprocess\nprocesses = subprocess.run(['ps', 'axww'], capture_output=True, text=True).stdout"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory whose name is found nowhere else."""
    folder = tmp_path / "canary-home" / "canary-user"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def private(home: Path) -> Workspace:
    root = home / "canary-workspace"
    (root / "templates").mkdir(parents=True)
    (root / "toolkit.toml").write_text('schema_version = 2\nname = "private"\n\n[tables]\n')
    return open_workspace(root)


Run = Callable[..., Published]


@pytest.fixture
def run(private: Workspace, told: list[str]) -> Run:
    def run(*cells: str, kernel: Kernel = "cold", **parameters: object) -> Published:
        notebook: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.cells[0].metadata["tags"] = ["parameters"]
        (private.templates / "private.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
        return run_report(RunRequest(private.root, "private", parameters, kernel=kernel), progress=told.append)

    return run


@pytest.fixture
def told() -> list[str]:
    return []


def kept_bytes(workspace: Workspace) -> Iterator[tuple[str, bytes]]:
    """Everything that any run left behind: archive, failures, quarantine, batches, and the ledger with its journals."""
    for folder in (workspace.reports, workspace.ledger.parent):
        for path in folder.rglob("*"):
            yield str(path.relative_to(workspace.root)), str(path).removeprefix(str(workspace.root)).encode()
            if path.is_file():
                yield str(path.relative_to(workspace.root)), path.read_bytes()


def hits(workspace: Workspace, *canaries: str) -> list[tuple[str, str]]:
    return [(name, canary) for name, data in kept_bytes(workspace) for canary in canaries if canary.encode() in data]


# --- secrets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [pytest.param("cold", marks=pytest.mark.slow), "warm"])
def test_a_secret_is_used_and_found_nowhere(
    private: Workspace,
    run: Run,
    told: list[str],
    kernel: Kernel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GATE_TOKEN", CANARY)
    caplog.set_level(logging.DEBUG)
    look = (
        "import subprocess\nassert token not in subprocess.run(['ps', 'axww'], capture_output=True, text=True).stdout"
    )
    published = run(PARAMETERS, USES, look, "token", kernel=kernel, **SECRET)
    assert published.manifest["kernel"]["start"] == kernel
    assert hits(private, CANARY) == []
    page = published.page.read_text()
    assert "in: secret:GATE_TOKEN" in page
    assert published.manifest["parameters"] == SECRET
    assert CANARY not in "\n".join([*told, caplog.text, *capfd.readouterr()])
    assert verify_all(private) == ()


def test_a_report_that_printed_a_secret_is_held_back_without_it(
    private: Workspace, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE_TOKEN", CANARY)
    with pytest.raises(Blocked) as caught:
        run(PARAMETERS, "print(f'https://user:{token}@host/')", **SECRET)
    (kept,) = (private.reports / ".quarantine/private/default").iterdir()
    assert str(caught.value) == (
        f"the report printed a secret: GATE_TOKEN. It is not published; it lies in "
        f"{kept.relative_to(private.root).as_posix()}, where its value is replaced by 'secret:' and its name. Take out "
        "of the notebook what prints it"
    )
    assert "https://user:secret:GATE_TOKEN@host/" in (kept / "report.ipynb").read_text()
    assert list_reports(private) == []
    assert hits(private, CANARY) == []


def test_a_failure_that_shows_a_secret_is_kept_without_it(
    private: Workspace, run: Run, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE_TOKEN", CANARY)
    with pytest.raises(RunError) as caught:
        run(PARAMETERS, "import os\nos.write(2, token.encode())\nraise ValueError(f'refused for {token}')", **SECRET)
    assert "ValueError: refused for secret:GATE_TOKEN" in str(caught.value)
    assert CANARY not in str(caught.value) + "\n".join(told)
    assert hits(private, CANARY) == []
    (kept,) = (private.reports / "failed/private/default").iterdir()
    assert "refused for secret:GATE_TOKEN" in (kept / "report.html").read_text()


def test_a_secret_that_is_not_there_stops_before_any_kernel(private: Workspace, run: Run) -> None:
    with pytest.raises(ParameterError, match="^secret 'GATE_TOKEN' is not there: no environment variable GATE_TOKEN"):
        run(PARAMETERS, USES, **SECRET)
    assert hits(private, "report.failed") == []


def test_a_default_may_name_a_secret(private: Workspace, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_TOKEN", CANARY)
    assert run('token: str = "secret:GATE_TOKEN"  # how to get in', USES).manifest["parameters"] == SECRET
    assert hits(private, CANARY) == []


# --- places ---------------------------------------------------------------------------------------------------------

SAYS_WHERE = """
import os, sys, toolkit, warnings
from pathlib import Path
print(os.getcwd(), Path.home(), sys.executable, toolkit.__file__, os.environ['TOOLKIT_RUN'])
warnings.warn('look at ' + os.getcwd())
{'where': Path.home() / 'data', 'again': f'file://{os.getcwd()}/x'}
"""


def test_no_path_and_no_home_of_this_machine_is_in_a_report(private: Workspace, run: Run, home: Path) -> None:
    published = run('word: str = ""  # any', SAYS_WHERE)
    canaries = ("canary-home", "canary-user", "canary-workspace", sys.prefix, str(Path.home()))
    assert hits(private, *canaries) == []
    notebook = json.loads((published.folder / "report.ipynb").read_bytes())
    (first,) = [output for output in notebook["cells"][1]["outputs"] if output.get("name") == "stdout"]
    assert "".join(first["text"]).split()[:3] == [".", "~", "<python>/bin/python"]
    assert published.manifest["privacy"]["redacted_places"] >= 8


def test_nor_in_a_failure(private: Workspace, run: Run, told: list[str]) -> None:
    with pytest.raises(RunError) as caught:
        run('word: str = ""  # any', "import os\nopen(os.getcwd() + '/data/none.csv')")
    assert "No such file or directory: './data/none.csv'" in str(caught.value)
    assert hits(private, "canary-home", "canary-user", "canary-workspace", sys.prefix) == []
    assert not [line for line in told if "canary" in line]


def test_nor_in_the_process_list(private: Workspace, run: Run) -> None:
    seen = "'lossless.py' in processes or 'zygote.py' in processes"
    look = f"{PROCESSES}\nassert {seen}\nassert 'canary-' not in processes"
    for kernel in ("cold", "warm"):
        run('word: str = ""  # any', look, kernel=kernel)


# --- personal data --------------------------------------------------------------------------------------------------


def test_personal_data_block_publication_and_are_named_nowhere(private: Workspace, run: Run) -> None:
    with pytest.raises(Blocked) as caught:
        run('word: str = ""  # any', f"print('asked by', {PERSON!r})")
    message = str(caught.value)
    (kept,) = (private.reports / ".quarantine/private/default").iterdir()
    shown = kept.relative_to(private.root).as_posix()
    assert message.startswith(
        f"the report holds what looks like personal data: 1 e-mail address. It is not published; it lies in {shown}"
    )
    assert "exceptions:\n    - kind: email" in message
    assert PERSON not in message
    assert list_reports(private) == []
    with open_ledger(private.ledger) as ledger:
        (entry,) = ledger.entries(kind="report.refused")
    assert (entry.data["type"], entry.data["kept"]) == ("Blocked", shown)
    assert {name for name, _ in hits(private, PERSON)} == {f"{shown}/report.ipynb"}  # the source and the output


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX ones")
def test_quarantine_is_for_the_user_alone(private: Workspace, run: Run) -> None:
    with pytest.raises(Blocked):
        run('word: str = ""  # any', f"print({PERSON!r})")
    (kept,) = (private.reports / ".quarantine/private/default").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept.iterdir()} == {0o600}
    with pytest.raises(RunError):
        run('word: str = ""  # any', f"print({PERSON!r})\n1 / 0")
    (failed,) = (private.reports / "failed/private/default").iterdir()
    assert stat.S_IMODE(failed.stat().st_mode) == 0o700


def exception(value: str, *, expires: datetime) -> str:
    return (
        f"exceptions:\n  - kind: email\n    value: '{value}'\n    reason: the address of a role, not of a person\n"
        f"    owner: Ada\n    expires: {expires:%Y-%m-%d}\n"
    )


def test_an_exception_lets_it_through_and_is_on_record(private: Workspace, run: Run) -> None:
    later = datetime.now(UTC) + timedelta(days=30)
    (private.root / "privacy.yml").write_text(exception("*@navy.mil-mail.com", expires=later))
    published = run('word: str = ""  # any', f"print({PERSON!r})")
    (used,) = published.manifest["privacy"]["excused"]
    assert (used["kind"], used["count"], used["reason"]) == ("email", 1, "the address of a role, not of a person")


def test_an_expired_exception_excuses_nothing(private: Workspace, run: Run) -> None:
    before = datetime.now(UTC) - timedelta(days=1)
    (private.root / "privacy.yml").write_text(exception("*@navy.mil-mail.com", expires=before))
    with pytest.raises(Blocked, match=f"The exception for .* in privacy.yml expired on {before:%Y-%m-%d}"):
        run('word: str = ""  # any', f"print({PERSON!r})")


def test_a_wrong_exception_stops_before_any_kernel(private: Workspace, run: Run) -> None:
    (private.root / "privacy.yml").write_text("exceptions:\n  - kind: emial\n")
    with pytest.raises(DefinitionError, match=r"privacy.yml"):
        run('word: str = ""  # any', "1")
    assert not private.reports.exists() or list_reports(private) == []


def test_the_command_line_says_3_and_prints_no_value(private: Workspace, run: Run) -> None:
    run('word: str = ""  # any', "1")
    notebook: Any = nbformat.read(private.templates / "private.ipynb", as_version=4)
    name, at, domain = PERSON.partition("@")
    notebook.cells[1].source = f"print({name!r} + {at!r} + {domain!r})"  # progress shows the source
    (private.templates / "private.ipynb").write_text(nbformat.writes(notebook))
    done = subprocess.run(
        [sys.executable, "-m", "toolkit.cli", "run", "private"],
        cwd=private.root,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "refused (Blocked): the report holds what looks like personal data: 1 e-mail address." in done.stderr
    assert PERSON not in done.stdout + done.stderr
