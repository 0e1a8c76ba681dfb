"""A repository made in a test: fixed identities and instants, so that its commits are the same everywhere."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ADA, BOB = ("Ada", "ada@example.org"), ("Bob", "bob@example.org")
DAY = 86_400
START = 1_357_000_000  # 2013-01-01T00:26:40Z


@dataclass
class Trial:
    """A work tree whose every commit is a day after the one before."""

    root: Path
    days: int = 0
    commits: list[str] = field(default_factory=list)

    def git(self, *arguments: str | bytes, author: tuple[str, str] = ADA) -> str:
        """Run git without this machine's configuration; what it says."""
        at = f"{START + self.days * DAY} +0000"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": author[0],
            "GIT_AUTHOR_EMAIL": author[1],
            "GIT_COMMITTER_NAME": "Committer",
            "GIT_COMMITTER_EMAIL": "committer@example.org",
            "GIT_AUTHOR_DATE": at,
            "GIT_COMMITTER_DATE": at,
        }
        run = subprocess.run(["git", *arguments], cwd=self.root, env=environment, check=False, capture_output=True)
        assert run.returncode == 0, run.stderr.decode()
        return run.stdout.decode(errors="surrogateescape")

    def write(self, name: str | bytes, content: str | bytes) -> None:
        path = self.root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, *, author: tuple[str, str] = ADA) -> str:
        """Commit everything that is there."""
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"day {self.days}", author=author)
        self.days += 1
        self.commits.append(self.git("rev-parse", "HEAD").strip())
        return self.commits[-1]

    def merge(self, branch: str) -> None:
        self.git("merge", "--quiet", "--no-ff", "--message", f"merge {branch}", branch)
        self.days += 1


def make_trial(root: Path) -> Trial:
    root.mkdir(parents=True)
    trial = Trial(root)
    trial.git("init", "--quiet", "--initial-branch=main")
    return trial


def function(name: str, branches: int) -> str:
    """A Python function of cyclomatic complexity `branches` + 1."""
    return (
        f"def {name}(x):\n"
        + "".join(f"    if x > {n}:\n        x -= {n}\n" for n in range(branches))
        + "    return x\n"
    )
