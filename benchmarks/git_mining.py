"""What does mining a history cost? A made repository of many commits, and this one: CPU, memory, and git's own part.

One pass over `git log --raw --numstat` with renames, then the complexity of the files that changed. Memory is measured
at two lengths of history: it must not grow with it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = 200
LENGTHS = (2_000, 20_000)
TOUCHED = 5
MINE = """
import resource, sys
from pathlib import Path
from toolkit.debt import mine
found = mine(Path(sys.argv[1]))
own, git = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
print(found.commits, found.changes, own.ru_utime + own.ru_stime, git.ru_utime + git.ru_stime, own.ru_maxrss / 1024)
"""


def make_repository(folder: Path, commits: int) -> None:
    """A history through `git fast-import`: each commit adds a function to some files; every hundredth renames one.

    Written commit by commit: what this process holds at most, the measured ones inherit.
    """
    subprocess.run(["git", "init", "--quiet", "--bare", str(folder)], check=True)
    importer = subprocess.Popen(["git", f"--git-dir={folder}", "fast-import", "--quiet"], stdin=subprocess.PIPE)
    names = [f"file_{number}.py" for number in range(FILES)]
    functions = [
        [f"def f(x):\n    return x if x > {line} else {number}\n" for line in range(20)] for number in range(FILES)
    ]
    for commit in range(commits):
        parts = [f"commit refs/heads/main\ncommitter a <a{commit % 7}@example.org> {commit * 3600} +0000\ndata 1\nx\n"]
        for step in range(FILES if commit == 0 else TOUCHED):
            number = (commit * TOUCHED + step) % FILES
            functions[number][commit % 20] = f"def f(x):\n    return x or {commit}\n"
            content = "".join(functions[number])
            parts.append(f"M 100644 inline {names[number]}\ndata {len(content)}\n{content}\n")
        if commit % 100 == 99:
            number = commit % FILES
            parts.append(f"R {names[number]} file_{number}_{commit}.py\n")
            names[number] = f"file_{number}_{commit}.py"
        importer.stdin.write("".join(parts).encode())
    importer.stdin.close()
    assert importer.wait() == 0
    subprocess.run(["git", f"--git-dir={folder}", "symbolic-ref", "HEAD", "refs/heads/main"], check=True)


def report(name: str, folder: Path) -> None:
    """Mine in a process of its own and print what it took; beside it git alone, its output thrown away."""
    run = subprocess.run(
        [sys.executable, "-c", MINE, str(folder)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    commits, changes, own, git, peak = run.stdout.split()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    log = ["git", "-C", str(folder), "log", "-z", "--raw", "--numstat", "-M", "--format=%H"]
    subprocess.run(log, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    alone = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{name:<22} {int(commits):>7,} commits {int(changes):>8,} changes: {float(own):6.2f} s CPU ours, "
        f"{float(git):6.2f} s git's ({alone:.2f} s for `git log` alone), {float(peak):4.0f} MB at most"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        for length in LENGTHS:
            made = Path(temporary) / str(length)
            make_repository(made, length)
            report(f"made, {length:,} commits", made)
    if (ROOT / ".git").exists():
        report("this repository", ROOT)
