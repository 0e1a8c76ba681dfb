"""A forked kernel is what a cold one would have been, and nothing of another's."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from kernels.conftest import BARE, REPEATABLE, Kernel, Manager, running

from toolkit.kernels import PRELOAD

FINGERPRINT = """
import faulthandler, gc, json, locale, os, resource, signal, site, stat, sys, tempfile, threading, warnings
import __main__, multiprocessing, multiprocessing.process
kinds = {}
for fd in os.listdir("/proc/self/fd"):
    try:
        target = os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        continue
    kind = target.partition(":")[0] if ":[" in target else target
    kinds[kind] = True
own = {"JPY_PARENT_PID"}
print(json.dumps({
    "argv": sys.argv, "command": sys.orig_argv, "path": sys.path, "flags": str(sys.flags),
    "options": sys._xoptions, "executable": sys.executable, "prefix": sys.prefix,
    "environment": {k: v for k, v in os.environ.items() if k not in own},
    "parent": os.environ["JPY_PARENT_PID"] == str(os.getppid()),
    "folder": os.getcwd(), "session": os.getsid(0) == os.getpid(), "group": os.getpgid(0) == os.getpid(),
    "signals": {s.name: str(signal.getsignal(s)) for s in signal.valid_signals() if isinstance(s, signal.Signals)},
    "mask": str(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "wakeup": signal.set_wakeup_fd(-1) >= 0,
    "limits": [resource.getrlimit(k) for k in range(16)], "nice": os.nice(0),
    "processors": sorted(os.sched_getaffinity(0)), "locale": locale.setlocale(locale.LC_ALL),
    "umask": [line for line in open("/proc/self/status") if line.startswith("Umask")],
    "main": sorted(n for n in vars(__main__) if n.startswith("__")), "name": __name__,
    "threads": sorted(t.name.split("-")[0] for t in threading.enumerate()),
    "files": sorted(kinds),
    "standard input": sys.__stdin__.read(), "buffered": [sys.__stdout__.line_buffering, sys.__stderr__.line_buffering],
    "encodings": [sys.__stdout__.encoding, sys.__stderr__.encoding, sys.getfilesystemencoding()],
    "temporary": tempfile.gettempdir(), "fault handler": faulthandler.is_enabled(), "gc": gc.get_threshold(),
    "process": multiprocessing.current_process().name, "recursion": sys.getrecursionlimit(),
    "shell": type(get_ipython()).__qualname__, "profile": get_ipython().profile,
    "hook": str(sys.displayhook.__class__),
    "history": get_ipython().history_manager.hist_file == ":memory:", "excepthook": sys.excepthook.__qualname__,
    "magics": sorted(get_ipython().magics_manager.magics["line"]),
    "extensions": sorted(get_ipython().extension_manager.loaded),
}))
"""


def fingerprint(kernel: Kernel) -> dict[str, object]:
    file = str(Path(kernel.manager.connection_file).resolve())
    found: dict[str, object] = json.loads(kernel.run(FINGERPRINT).replace(file, "FILE"))
    environment = found.pop("environment")
    assert isinstance(environment, dict)
    return found | {f"${name}": value for name, value in environment.items()}


def differences(warm: Kernel, cold: Kernel) -> dict[str, tuple[object, object]]:
    forked, started = fingerprint(warm), fingerprint(cold)
    names = [name for name in forked | started if forked.get(name) != started.get(name)]
    return {name: (forked.get(name), started.get(name)) for name in names}


def test_a_forked_kernel_looks_like_a_cold_one(tmp_path: Path) -> None:
    env = {"SOME": "ü\udcff"}
    with running(env=env, cwd=str(tmp_path)) as warm, running(None, env=env, cwd=str(tmp_path)) as cold:
        assert warm.provisioner.cold_reason is None
        assert differences(warm, cold) == {}


def test_all_that_is_preloaded_changes_nothing_that_can_be_seen(tmp_path: Path) -> None:
    asked = {"env": REPEATABLE, "cwd": str(tmp_path)}
    with running(PRELOAD, **asked) as warm, running(None, **asked) as cold:
        assert warm.provisioner.cold_reason is None
        cold.run("import os; os.environ.setdefault('KMP_INIT_AT_FORK', 'FALSE')")  # as joblib does when it is imported
        assert differences(warm, cold) == {}


CELLS = """
import numpy as np, pandas as pd, duckdb, statsmodels.api as sm, seaborn as sns, matplotlib.pyplot as plt
rng = np.random.default_rng(7)
frame = pd.DataFrame({"x": rng.normal(size=2000), "group": rng.choice(list("abc"), size=2000)})
frame["y"] = 2 * frame.x + rng.normal(size=2000)
display(frame.head(), duckdb.sql('select "group", avg(y) as mean from frame group by 1 order by 1').df())
display(sm.OLS(frame.y, sm.add_constant(frame.x)).fit().params)
sns.scatterplot(frame, x="x", y="y", hue="group")
plt.show()
"""


def test_the_same_seed_gives_the_same_outputs_cold_and_warm(warm: Kernel) -> None:
    warm.run(CELLS)
    assert [min(shown) for shown in warm.shown()] == ["text/html", "text/html", "text/plain", "image/png"]
    with running(None, env=REPEATABLE) as cold:
        cold.run(CELLS)
        assert warm.shown() == cold.shown()


def test_it_has_nothing_of_another_kernels_variables() -> None:
    with running(env={"ONLY_HERE": "1"}) as one, running() as other:
        assert one.zygote == other.zygote
        assert one.run("import os; print(os.environ['ONLY_HERE'])") == "1\n"
        assert other.run("import os; print('ONLY_HERE' in os.environ)") == "False\n"


def test_variables_that_imports_set_are_set(tmp_path: Path) -> None:
    module = "import os\nos.environ.setdefault('DEFAULTED', 'import')\nos.environ['PYTHONSET'] = 'import'\n"
    (tmp_path / "sets_variables.py").write_text(module, encoding="utf-8")
    preload, env = (*BARE, "sets_variables"), {"PYTHONPATH": str(tmp_path), "PYTHONSET": "asked"}
    show = "import os, sets_variables; print(os.environ['DEFAULTED'], os.environ['PYTHONSET'])"
    with running(preload, env=env) as kernel, running(preload, env=env | {"DEFAULTED": "asked"}) as other:
        assert kernel.zygote == other.zygote
        assert (kernel.run(show), other.run(show)) == ("import import\n", "asked import\n")


def test_its_streams_are_those_of_popen(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, running(stdout=log, stderr=log) as kernel:
        kernel.run("import os; n = os.write(get_ipython().kernel.parent.log.handlers[0].stream.fileno(), b'to stderr')")
        kernel.run("import sys; print('to stdout', file=sys.__stdout__, flush=True)")
        assert kernel.provisioner.cold_reason is None
    assert "to stderr" in (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.parametrize("preload", [BARE, None], ids=["warm", "cold"])
def test_a_kernel_that_is_asked_to_end_finalises_what_its_notebook_made(
    preload: tuple[str, ...] | None, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("kept = open('module.txt', 'w')\nkept.write('flushed')\n", encoding="utf-8")
    with running(preload, cwd=str(tmp_path)) as kernel:
        kernel.run(
            "import atexit, mine\n"
            "open_file = open('cell.txt', 'w'); n = open_file.write('flushed')\n"
            "atexit.register(lambda: open('exit.txt', 'w').write('called'))\n"
            "class Last:\n"
            "    def __del__(self): open('del.txt', 'w').write('deleted')\n"
            "last = Last()"
        )
        process = kernel.provisioner.process
        kernel.client.shutdown()
        assert process.wait() == 0
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.txt")}
    assert written == {"module.txt": "flushed", "cell.txt": "flushed", "exit.txt": "called", "del.txt": "deleted"}


def test_an_end_is_as_quiet_as_a_cold_one_but_errors_of_the_notebook_are_told(tmp_path: Path) -> None:
    env = {"PYTEST_CURRENT_TEST": "this", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # else IPython keeps what is said
    said = {}
    for name, preload in {"warm": (*BARE, "duckdb"), "cold": None}.items():
        with (tmp_path / name).open("wb") as log, running(preload, env=env, stderr=log) as kernel:
            kernel.run(
                "import duckdb, sys, types\n"
                "class Last:\n"
                "    def __del__(self): raise ValueError('at the end')\n"
                "sys.modules['mine'] = types.ModuleType('mine')\n"
                "sys.modules['mine'].last = Last()"
            )
            kernel.manager.shutdown_kernel()
        said[name] = re.sub("0x[0-9a-f]+|ipykernel_[0-9]+", "*", (tmp_path / name).read_text(encoding="utf-8"))
    assert "ValueError: at the end" in said["warm"]
    assert said["warm"] == said["cold"]


def test_a_start_up_file_that_exits_ends_the_kernel_with_its_code(tmp_path: Path) -> None:
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("import os; os._exit(9)\n", encoding="utf-8")
    manager = Manager()
    manager.start_kernel(env={**os.environ, "IPYTHONDIR": str(tmp_path)})
    assert manager.provisioner.cold_reason is None
    assert manager.provisioner.process.wait() == 9
    manager.shutdown_kernel(now=True)


def test_options_of_the_interpreter_are_those_of_the_zygote() -> None:
    class Optimised(Manager):
        @property
        def kernel_spec(self) -> Any:
            spec = super().kernel_spec
            spec.argv = [sys.executable, "-O", "-Xfrozen_modules=off", *spec.argv[1:]]
            return spec

    with running(manager=Optimised) as kernel:
        assert kernel.provisioner.cold_reason is None
        printed = kernel.run("import sys; print(sys.flags.optimize, sys._xoptions, __debug__, sys.orig_argv[1:4])")
    assert printed == "1 {'frozen_modules': 'off'} False ['-O', '-Xfrozen_modules=off', '-m']\n"
