"""What can go wrong with a fork, one hazard after the other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels.conftest import BARE, Kernel, eventually, is_running, parent_of, running

import toolkit
from toolkit.kernels import PRELOAD
from toolkit.kernels.keys import variables_at_import, zygote_key
from toolkit.kernels.launches import Launch

USED_BEFORE = """
import duckdb, numpy as np, pandas as pd, pyarrow as pa, pyarrow.dataset, pyarrow.parquet, statsmodels.api as sm
square = np.random.default_rng(1).normal(size=(300, 300))
def blas():
    np.linalg.svd(square @ square.T)
    return sm.OLS(square[:, 0], square[:, 1:9]).fit().rsquared
def arrow(folder):
    pa.parquet.write_table(pa.table({"a": range(100_000)}), folder + "/a.parquet")
    return pa.dataset.dataset(folder + "/a.parquet").to_table(filter=pa.dataset.field("a") > 1).num_rows
def duck():
    with duckdb.connect() as connection:
        return connection.sql("select sum(range) from range(1000000)").fetchall()[0][0]
import tempfile
with tempfile.TemporaryDirectory() as folder:
    before = [blas(), arrow(folder), duck()]
"""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel of a zygote that has used what it should only import."""
    folder = tmp_path_factory.mktemp("used")
    (folder / "used_before.py").write_text(USED_BEFORE, encoding="utf-8")
    env = {"PYTHONPATH": str(folder), "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    with running((*BARE, "used_before"), env=env, cwd=str(folder)) as kernel:
        assert kernel.provisioner.cold_reason is None
        yield kernel


def test_threads_of_blas_that_were_used_before_the_fork(used: Kernel) -> None:
    assert used.run("import used_before as u; print(u.blas() == u.before[0])") == "True\n"


def test_pools_of_arrow_that_were_used_before_the_fork(used: Kernel) -> None:
    assert used.run("import used_before as u; print(u.arrow('.'), u.before[1])") == "99998 99998\n"


def test_duckdb_that_was_used_before_the_fork(used: Kernel) -> None:
    assert used.run("import used_before as u; print(u.duck() == u.before[2])") == "True\n"


def open_files(pid: int) -> list[str]:
    return [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]


def test_the_zygote_has_neither_a_zmq_context_nor_an_event_loop(warm: Kernel) -> None:
    opened = open_files(warm.zygote)
    assert [name for name in opened if "eventfd" in name] == []  # zmq has several, a loop of asyncio one
    assert sum("eventpoll" in name for name in opened) == 1  # its own
    assert sum("socket" in name for name in opened) == 3 + 1  # its owner, two ends of its wakeup; this kernel


def test_a_python_thread_in_the_zygote_makes_kernels_cold(tmp_path: Path) -> None:
    thread = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    (tmp_path / "with_a_thread.py").write_text(thread, encoding="utf-8")
    with running((*BARE, "with_a_thread"), env={"PYTHONPATH": str(tmp_path)}) as kernel:
        assert kernel.provisioner.cold_reason == "the zygote has 2 Python threads: a preloaded module started one"
        assert parent_of(kernel.pid) == os.getpid()
        assert kernel.run("print(6 * 7)") == "42\n"


def test_no_two_kernels_draw_the_same_random_numbers() -> None:
    draw = (
        "import json, random, secrets, uuid, multiprocessing, tempfile, numpy as np\n"
        "print(json.dumps([random.random(), np.random.rand(), np.random.default_rng().random(), str(uuid.uuid4()),"
        " secrets.token_hex(), multiprocessing.current_process().authkey.hex(),"
        " next(tempfile._get_candidate_names())]))"
    )
    preload = (*BARE, "numpy.random", "multiprocessing", "tempfile", "random")
    with running(preload) as one, running(preload) as other:
        assert one.zygote == other.zygote
        pairs = list(zip(json.loads(one.run(draw)), json.loads(other.run(draw)), strict=True))
    assert [pair for pair in pairs if pair[0] == pair[1]] == []


def test_a_figure_appears_inline(warm: Kernel) -> None:
    warm.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert ["image/png" in shown for shown in warm.shown()] == [True]
    warm.run("fig, ax = plt.subplots()")  # at the end of a cell, without `show`
    assert ["image/png" in shown for shown in warm.shown()] == [True]


def test_a_backend_that_the_kernels_environment_names_is_used() -> None:
    with running((*BARE, "matplotlib.pyplot"), env={"MPLBACKEND": "agg"}) as kernel:
        assert kernel.provisioner.cold_reason is None
        assert kernel.run("import matplotlib.pyplot as plt; f = plt.figure(); print(plt.get_backend())") == "agg\n"
        assert kernel.shown() == []


def test_a_variable_that_is_read_at_import_has_its_effect() -> None:
    look = "import sys, time; print(time.tzname[0], sys.flags.hash_randomization, sys.flags.dont_write_bytecode)"
    changed = {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    with running(env={"TZ": "UTC", "PYTHONHASHSEED": "random"}) as one, running(env=changed) as other:
        assert one.zygote != other.zygote
        assert other.run(look) == "JST 0 1\n"
        assert one.run("import sys, time; print(time.tzname[0], sys.flags.hash_randomization)") == "UTC 1\n"


@pytest.mark.slow
def test_every_variable_that_the_preloaded_modules_read_is_in_the_key() -> None:
    spy = textwrap.dedent("""
        import importlib, json, os, sys
        class Spy(type(os.environ)):
            read = set()
            def __getitem__(self, name):
                self.read.add(name)
                return super().__getitem__(name)
            def __contains__(self, name):
                self.read.add(name)
                return super().__contains__(name)
        os.environ.__class__ = Spy
        for name in sys.argv[1:]:
            importlib.import_module(name)
        print(json.dumps(sorted({n if isinstance(n, str) else n.decode() for n in Spy.read})))
    """)
    command = [sys.executable, "-c", spy, *PRELOAD]
    read = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    elsewhere = {
        "MPLBACKEND",  # each kernel's own
        "JPY_PARENT_PID",  # told to each kernel
        *("ANDROID_DATA", "JPY_INTERRUPT_EVENT"),  # of other systems
        *("PATHS_FROM_ECLIPSE_TO_PYTHON", "PYCHARM_DEBUG", "IN_SPHINX_RUN"),  # of programs that start no kernels
        *("_PYTHON_PROJECT_BASE", "_PYTHON_SYSCONFIGDATA_NAME"),  # of Python's own build
    }
    assert set(read) - variables_at_import(dict.fromkeys(read, "")).keys() - elsewhere == set()


def launch(env: dict[str, str]) -> Launch:
    return Launch(sys.executable, (), (), env, "/")


def test_our_own_code_is_loaded_only_if_it_is_asked_for(warm: Kernel) -> None:
    loaded = "import sys; print(sorted(n for n in sys.modules if n.partition('.')[0] == 'toolkit'))"
    assert warm.run(loaded) == "[]\n"
    assert [name for name in PRELOAD if name.startswith("toolkit")] == []


def test_editing_our_own_code_makes_another_zygote(tmp_path: Path) -> None:
    source = Path(toolkit.__file__).parent
    shutil.copytree(source, tmp_path / "toolkit", ignore=shutil.ignore_patterns("__pycache__"))
    preload = (*BARE, "toolkit.workspace")
    # Of a file that has the size and time that it had, Python itself would run the bytecode that it has.
    env = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    show = "import toolkit; print(toolkit.__version__, toolkit.__file__)"
    with running(preload, env=env) as kernel:
        before = kernel.zygote
        assert kernel.run("import sys; print('toolkit.workspace' in sys.modules)") == "True\n"
        journal = kernel.run("from toolkit.workspace import JOURNAL; print(JOURNAL.to_dict())")
        assert journal == "{'definitions': [], 'sources': [], 'quarantined': [], 'repositories': []}\n"
    edited = tmp_path / "toolkit" / "__init__.py"
    status = edited.stat()
    text = edited.read_text(encoding="utf-8")
    edited.write_text(text.replace(toolkit.__version__, "9.9.9"), encoding="utf-8")
    os.utime(edited, ns=(status.st_atime_ns, status.st_mtime_ns))  # of the same size and time
    with running(preload, env=env) as kernel:
        assert kernel.zygote != before
        assert kernel.run(show) == f"9.9.9 {edited}\n"


def test_an_upgraded_distribution_makes_another_zygote(tmp_path: Path) -> None:
    (tmp_path / "thing-1.0.dist-info").mkdir()
    env = {"PYTHONPATH": str(tmp_path)}
    before = zygote_key(launch(env), BARE)
    assert zygote_key(launch(env), BARE) == before
    (tmp_path / "thing-1.0.dist-info").rename(tmp_path / "thing-1.1.dist-info")
    assert zygote_key(launch(env), BARE) != before


OWNER = """
import os, subprocess, sys, time
sys.path[:0] = [{root!r}, {tests!r}]
from kernels.conftest import running
with running() as kernel:
    code = "import os, subprocess as s; p = s.Popen(['sleep', '600'], start_new_session=True); print(p.pid)"
    pids = kernel.pid, kernel.zygote, kernel.run(code)
    if {in_parent}:
        print(*pids, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("in_parent", ["True", "os.fork()"], ids=["alone", "with a forked copy of it alive"])
def test_nothing_outlives_a_client_that_is_killed(in_parent: str) -> None:
    tests = Path(__file__).resolve().parents[1]
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(root=str(tests.parent), tests=str(tests), in_parent=in_parent)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert owner.stdout is not None
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(pids) == 3
    assert all(map(is_running, pids))
    owner.kill()
    owner.wait()
    gone = eventually(lambda: not any(map(is_running, pids)))
    if in_parent != "True":
        os.killpg(owner.pid, signal.SIGKILL)
    owner.stdout.close()
    assert gone


ESCAPE = """
import os, subprocess, sys
script = "import os, time; os.setsid(); os.fork() and os._exit(0); open('escaped', 'w').write(str(os.getpid())); "
done = subprocess.run([sys.executable, "-c", script + "os.rename('escaped', 'daemon'); time.sleep(600)"])
child = os.fork() or (os.setsid(), os.execlp("sleep", "sleep", "600"))
print(child)
"""


def test_a_forked_grandchild_ends_with_its_kernel(tmp_path: Path) -> None:
    with running(cwd=str(tmp_path)) as kernel:
        child = int(kernel.run(ESCAPE))
        assert eventually((tmp_path / "daemon").exists)
        daemon = int((tmp_path / "daemon").read_text(encoding="utf-8"))
        assert is_running(child)
        assert eventually(lambda: parent_of(daemon) == kernel.zygote)  # a daemon's parent is gone
        kernel.start("import os; os._exit(0)")
        assert eventually(lambda: not is_running(child) and not is_running(daemon))


def test_what_a_kernel_left_behind_ends_with_the_last_kernel_that_may_have_started_it(tmp_path: Path) -> None:
    with running() as other:
        with running(cwd=str(tmp_path)) as kernel:
            child = int(kernel.run(ESCAPE))
            assert kernel.zygote == other.zygote
            kernel.start("import os; os._exit(0)")
            assert kernel.provisioner.process.wait() == 0
        assert other.run("print('alive')") == "alive\n"
        assert is_running(child)  # it might be the other's
    assert eventually(lambda: not is_running(child))


def test_signals_go_by_way_of_the_zygote_whatever_number_the_client_holds() -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as innocent, running() as kernel:
        process = kernel.provisioner.process
        process.pid = innocent.pid  # as if the number had been given to another
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.kill()
        assert innocent.poll() is None
        innocent.kill()


def proportional_kib(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


@pytest.mark.slow
def test_an_idle_warm_kernel_takes_less_memory_than_a_cold_one_with_the_same_imports(warm: Kernel) -> None:
    with running(None) as cold:
        imports = "\n".join(f"import {name}" for name in PRELOAD)
        cold.run(imports)
        warm.run(imports)
        assert proportional_kib(warm.pid) < proportional_kib(cold.pid)


def test_no_secret_reaches_the_zygote() -> None:
    secret = "canary-" + os.urandom(8).hex()
    env = {"DATABASE_PASSWORD": secret, "PYTHON_SERVICE_TOKEN": secret, "AWS_SECRET_ACCESS_KEY": secret}
    with running(env=env) as kernel:
        assert kernel.run("import os; print(os.environ['DATABASE_PASSWORD'])") == f"{secret}\n"
        seen = {name: Path(f"/proc/{kernel.zygote}/{name}").read_bytes() for name in ("environ", "cmdline")}
        assert b"HOME=" in seen["environ"]
        assert [name for name, text in seen.items() if secret.encode() in text] == []
        assert secret.encode() in memory_of(kernel.pid)
        assert secret.encode() not in memory_of(kernel.zygote)


def memory_of(pid: int) -> bytes:
    """What a process can write to: what it was told must be there, if anywhere."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            where, rights, *_ = line.split()
            if rights.startswith("rw"):
                start, end = (int(part, 16) for part in where.split("-"))
                memory.seek(start)
                found.append(memory.read(end - start))
    return b"".join(found)


def test_nobody_can_connect_to_a_zygote(warm: Kernel) -> None:
    sockets = {name[8:-1] for name in open_files(warm.zygote) if name.startswith("socket:[")}
    table = [line.split() for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()[1:]]
    mine = [row for row in table if row[6] in sockets]
    assert {row[6] for row in mine} == sockets  # all of them are Unix sockets
    assert [row for row in mine if len(row) > 7] == []  # none has a name
    assert {int(row[3], 16) & 0x10000 for row in mine} == {0}  # none listens


def test_a_kernel_holds_no_socket_of_its_zygote_or_of_another_kernel() -> None:
    def sockets(pid: int) -> set[str]:
        return {name for name in open_files(pid) if name.startswith("socket:")}

    with running() as one, running() as other:
        assert sockets(one.zygote)
        assert sockets(one.pid) & sockets(one.zygote) == set()
        assert sockets(one.pid) & sockets(other.pid) == set()


def test_no_warning_about_forks_and_threads_stops_a_kernel() -> None:
    with running(env={"PYTHONWARNINGS": "error::DeprecationWarning:__main__"}) as kernel:
        assert kernel.provisioner.cold_reason is None
        threads = list(Path(f"/proc/{kernel.zygote}/task").iterdir())
        assert len(threads) == 1  # Python 3.12 has nothing to warn of
