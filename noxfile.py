"""The checks of the project. `nox` runs the whole gate, `nox -s quick` its fast part; `nox --list` names all sessions.

`.ci/run` runs `coverage` instead of `tests`, which takes twice the time.
"""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))

from tests.kit.needs import COMPONENTS, missing

nox.needs_version = ">=2025.2.9"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "side", "tests", "others"]

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
# The interpreter that runs nox is always tested, even if it is not listed.
PYTHONS = sorted({"3.11", "3.12", "3.13", "3.14", RUNNING}, key=lambda version: tuple(map(int, version.split("."))))
SIDE = ("typing", "docs", "package")
"""Sessions that use one core: they run beside the tests."""

LOOP_SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")
"""pytest-asyncio warns if this is not set."""
# Without the working directory on the path, so that the checkout cannot stand in for the installed package.
INSTALLED = {"PYTHONSAFEPATH": "1"}
QUICK = {"SIPQUEUE_TESTS_QUICK": "1"}
"""Skips tests that start a process; tests/conftest.py reads it."""
# Tests of recipes and benchmarks start processes; even collecting them imports everything that they use.
NOT_QUICK = ("recipes", "benchmarks")
QUICK_TESTS = (
    "-m",
    f"not ({' or '.join(['one_python', *(component.marker for component in COMPONENTS.values())])})",
    *(f"--ignore=tests/{folder}" for folder in NOT_QUICK),
)
OTHER_TESTS = (
    *QUICK_TESTS,
    # Pages, sources, translations, sizes over a long time, and a server's faults are the same in every Python.
    *(f"--ignore=tests/{folder}" for folder in ("docs", "project", "language", "endurance", "faults")),
    # Defects that Hypothesis finds are the same in every Python too, so a few examples suffice.
    "--hypothesis-profile=others",
)


def _show_pyenv_interpreters() -> None:
    """Put pyenv's interpreters on PATH, where its shims hide all but the active one."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [str(path) for path in sorted(versions.glob("3.*/bin"))]
    os.environ["PATH"] = os.pathsep.join([*found, os.environ.get("PATH", "")])


_show_pyenv_interpreters()
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).resolve().parent), os.environ["PATH"]])


def _uv_works() -> bool:
    """Tell if uv is installed and reaches a package index, and print why not; it does not read pip's settings."""
    os.environ.setdefault("UV_SYSTEM_CERTS", "1")  # like pip
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if uv is None:
        return False
    resolve = (uv, "pip", "install", "--dry-run", "--python", sys.executable, *PROJECT["build-system"]["requires"])
    once = os.environ | {"UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "10"}
    tried = subprocess.run(resolve, capture_output=True, text=True, check=False, env=once)
    if tried.returncode != 0:
        print("uv cannot use its package index, so pip makes the environments, which takes longer.", file=sys.stderr)
        print(tried.stderr.strip(), file=sys.stderr)
    return tried.returncode == 0


# uv makes an environment in 3 s, pip in 15 to 20 s.
nox.options.default_venv_backend = "uv" if _uv_works() else "virtualenv"

# Container images often set this. Without bytecode, each process that a test starts compiles all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_last_lines: list[str] = []


@atexit.register
def _print_last_lines() -> None:
    """Print them after nox's own summary."""
    print(*_last_lines, sep="\n", end="\n" if _last_lines else "", file=sys.stderr)


def _note_what_is_not_tested() -> None:
    absent = [version for version in PYTHONS if shutil.which(f"python{version}") is None]
    lines = [f"  {component.tested} ({component.program} is missing)" for component in missing()]
    lines += [f"  Python {', '.join(absent)} (no such interpreter on this machine)"] if absent else []
    _last_lines[:] = ["", "Not tested:", *lines] if lines else []
    if missing():
        packages = " ".join(package for component in missing() for package in component.packages)
        _last_lines.append(f"To test everything: apt-get install {packages}")


def _group(*names: str) -> list[str]:
    return [requirement for name in names for requirement in nox.project.dependency_groups(PROJECT, name)]


@nox.session(reuse_venv=True)
def quick(session: nox.Session) -> None:
    """Lint, types of the package, and the tests that need no process, browser or Redis, on one interpreter."""
    session.install(*_group("lint", "typing", "test"), "-e", ".[all]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")
    session.run("mypy", "sipqueue_async")
    session.run("python", "-m", "pytest", "-q", "-n", "logical", *QUICK_TESTS, *session.posargs, env=QUICK)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff's rules and format, and the layers of imports."""
    session.install(*_group("lint"), ".")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def typing(session: nox.Session) -> None:
    """Mypy over everything, pyright over the package and the tests of its types; both strict."""
    session.install(*_group("typing", "test", "recipes", "screenshots"), ".[all]")
    pyright = ("pyright", "--pythonpath", str(Path(session.bin) / "python"))
    session.run("mypy")
    session.run(*pyright)
    # Both must refuse a `match` that leaves out an event.
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy("tests/typechecks/forgets_feed_up.txt", Path(folder) / "forgets_feed_up.py")
        for rule, checker in (("exhaustive-match", ("mypy",)), ("reportMatchNotExhaustive", pyright)):
            said = str(session.run(*checker, str(path), silent=True, success_codes=[1]))
            if rule not in said or "1 error" not in said:
                session.error(f"{checker[0]} must report {rule} and nothing else for the example, but printed: {said}")


def _end_as_by_ctrl_c(*_: object) -> None:
    """Let nox stop its programs and the sessions beside the tests; by itself, Python ends at SIGTERM at once."""
    raise KeyboardInterrupt


signal.signal(signal.SIGTERM, _end_as_by_ctrl_c)

_side: list[subprocess.Popen[bytes]] = []
_side_output = tempfile.TemporaryFile()  # noqa: SIM115  # open until nox ends


@atexit.register
def _end_side() -> None:
    """Stop the sessions beside the tests if nox ends before they do, for example with `--stop-on-first-error`."""
    for process in _side:
        try:
            # After Ctrl-C they are ending already; a second signal would interrupt them while they stop their programs.
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()


@nox.session(python=False)
def side(session: nox.Session) -> None:
    """Start typing, docs and package, which use one core, beside the tests; their output comes at the end."""
    command = [sys.executable, "-m", "nox", "--noxfile", __file__, "--session", *SIDE]
    command += ["--forcecolor"] if sys.stdout.isatty() else []
    _side.append(subprocess.Popen(command, stdout=_side_output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL))
    session.notify("side-results")


@nox.session(name="side-results", python=False)
def side_results(session: nox.Session) -> None:
    """Wait for the sessions that run beside the tests, and show their output."""
    codes = [process.wait() for process in _side]
    _side_output.seek(0)
    sys.stderr.buffer.write(_side_output.read())
    if any(codes):
        session.error(f"of {', '.join(SIDE)}, at least one failed")


def _install_for_tests(session: nox.Session, *groups: str, selected: tuple[str, ...] = ()) -> None:
    _note_what_is_not_tested()
    session.install(*_group("test", *groups), ".[all]")
    # Compile the tests once, and not in each worker.
    session.run("python", "-m", "pytest", "--collect-only", "-qq", *selected, silent=True, env=INSTALLED)


def _run_tests(session: nox.Session, *arguments: str, env: dict[str, str] | None = None, options: str = "") -> None:
    """Run the tests against the installed package, in more workers than processors: many tests wait.

    They are in the order of `tests/conftest.py`: files that take long come first, so that none is left to the end.
    """
    python = shlex.quote(str(Path(session.bin) / "python"))  # execnet splits it as a shell does
    workers = f"{2 * (os.cpu_count() or 1) + 1}*popen//python={python}{options}"
    pytest = ("python", "-m", "pytest", "--dist", "loadfile", "--no-loadscope-reorder", "--tx", workers)
    session.run(*pytest, *arguments, *session.posargs, env=INSTALLED | (env or {}))


@nox.session(python=RUNNING)
def tests(session: nox.Session) -> None:
    """All tests, on the interpreter that runs nox."""
    _install_for_tests(session, "recipes")
    _run_tests(session)


@nox.session(python=[version for version in PYTHONS if version != RUNNING])
def others(session: nox.Session) -> None:
    """The tests of what can differ between interpreters, on the others, with Python's development mode."""
    _install_for_tests(session, selected=OTHER_TESTS)
    _run_tests(session, *OTHER_TESTS, env=QUICK, options=" -X dev")


@nox.session(python=RUNNING)
def coverage(session: nox.Session) -> None:
    """All tests, on the interpreter that runs nox: every line and branch of the package and of its tests was run."""
    _install_for_tests(session, "recipes")
    for left in ROOT.glob(".coverage.*"):
        left.unlink()  # from a failed run, perhaps of other code
    measure = {"COVERAGE_FILE": str(ROOT / ".coverage"), "COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml")}
    _run_tests(session, env=measure)
    # Combining deletes the data files, so that the next run starts anew even if this report fails.
    session.run("coverage", "combine")
    # Only a run with every component can reach every line; `_note_what_is_not_tested` says so at the end.
    session.run("coverage", "report", *(["--fail-under=0"] if missing() else []))
    if missing():
        _last_lines.append("Coverage was not judged, because tests were skipped.")


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """Run the tests on the lowest declared version of every direct dependency."""
    session.install("uv")
    # Not `create_tmp`: tests would put their temporary files there, below the settings of this project.
    pins = str(Path(session.cache_dir) / "lowest.txt")
    asked = ("--extra", "all", "--group", "test", "--group", "recipes", "--python-version", "3.11")
    session.run("uv", "pip", "compile", "-q", "pyproject.toml", *asked, "--resolution", "lowest-direct", "-o", pins)
    session.run("uv", "pip", "install", "-r", pins)
    session.run("uv", "pip", "install", "--no-deps", ".")
    _run_tests(session)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the code in small ways, and count the changes that the tests notice."""
    session.install(*_group("test", "mutation"), ".[all]")
    session.run("python", ".ci/mutation.py", *session.posargs)


@nox.session
def truth(session: nox.Session) -> None:
    """Compare what watchers report with what happened; write the tables and the picture of docs/accuracy.md."""
    session.install(*_group("test"), ".[all]")
    session.run("python", "tests/benchmarks/truth.py", "--write", "docs", *session.posargs, env=INSTALLED)
    session.run("python", "tests/benchmarks/truth_pushes.py", "--write", "docs", env=INSTALLED)


@nox.session(name="alert-truth")
def alert_truth(session: nox.Session) -> None:
    """Compare raised alerts with what happened, and kill the command; write the tables of docs/alerts.md."""
    session.install(*_group("test"), ".[all]")
    session.run("python", "tests/benchmarks/truth_alerts.py", "--write", "docs", *session.posargs, env=INSTALLED)


@nox.session(name="history-truth")
def history_truth(session: nox.Session) -> None:
    """Record a fortnight through kills, restarts and full disks, as root; write the table of docs/history.md."""
    session.install(*_group("test"), ".[all]")
    session.run("python", "tests/benchmarks/truth_history.py", "--write", "docs", *session.posargs, env=INSTALLED)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what polls cost, against others and against limits; write the tables and the picture of docs/speed.md."""
    session.install(*_group("bench"), ".")
    session.run("python", "tests/benchmarks/speed.py", "--check", "--write", "docs", *session.posargs, env=INSTALLED)


@nox.session(name="relay-bench")
def relay_bench(session: nox.Session) -> None:
    """Measure a relay's rate and delay, what it saves and what it costs; write the tables of docs/relay.md."""
    session.install(*_group("bench"), ".[redis]")
    session.run("python", "tests/benchmarks/relay.py", "--write", "docs", *session.posargs, env=INSTALLED)


@nox.session(name="history-bench")
def history_bench(session: nox.Session) -> None:
    """Measure how fast a history is written and read, and its size; write the tables of docs/history.md."""
    session.install("pandas>=2.2", ".[history,simulator]")
    command = ("python", "tests/benchmarks/history.py", "--check", "--write", "docs", *session.posargs)
    session.run(*command, env=INSTALLED)


@nox.session
def endurance(session: nox.Session) -> None:
    """The long runs at full size: a fortnight of trouble, bodies and examples at random, relays killed."""
    session.install(*_group("test", "recipes"), "nox", ".[all]")
    sizes = {"ENDURANCE_DAYS": "14", "FUZZ_BODIES": "200000", "FUZZ_STEPS": "200000"}
    sizes |= {
        "RELAY_KILLS": "50",
        "RELAY_TROUBLES": "150",
        "HISTORY_KILLS": "50",
        "FORWARD_KILLS": "50",
        "GATE_TESTS": "tests",
    }
    session.run("python", "-m", "pytest", "--durations=0", "tests/endurance", *session.posargs, env=INSTALLED | sizes)
    profile = ("-m", "hypothesis", "--hypothesis-profile=endurance")
    session.run("python", "-m", "pytest", "-n", "logical", *profile, *session.posargs, env=INSTALLED)


@nox.session
def screenshots(session: nox.Session) -> None:
    """Take the pictures of the wallboard that the documentation has, in Debian's Chromium."""
    session.install(*_group("test", "screenshots"), ".[all]")
    env = INSTALLED | {"PYTHONPATH": "."}
    session.run("python", "tests/wallboard/screenshots.py", "docs/_static", *session.posargs, env=env)


@nox.session
def words(session: nox.Session) -> None:
    """Bring the catalogues of translations up to date with the sources, compile them, and list what is missing."""
    session.install(*_group("test"), "-e", ".[all]")
    session.run("python", "-m", "tests.language.write_catalogues")


@nox.session
def docs(session: nox.Session) -> None:
    """Check the documentation, where a warning is an error; `nox -s docs -- html` also writes docs/_build/html."""
    session.install(*_group("docs"), ".[all]")
    (builder,) = session.posargs or ("dummy",)
    session.run("sphinx-build", "-W", "--keep-going", "-b", builder, "docs", f"docs/_build/{builder}")


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist, from it the wheel, and use the wheel in an environment of its own."""
    temporary = Path(session.create_tmp()).resolve()
    dist, home = temporary / "dist", temporary / "home"
    shutil.rmtree(dist, ignore_errors=True)
    session.install("build", "twine", *PROJECT["build-system"]["requires"])
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, dist.iterdir()))
    (wheel,) = dist.glob("*.whl")
    session.run("python", "-m", "venv", "--clear", str(home))
    python, sipqueue = str(home / "bin" / "python"), str(home / "bin" / "sipqueue")
    strict = (python, "-I", "-W", "error")

    def install(what: str) -> None:
        # Without compiling, since most of what is installed here is never imported.
        session.run(python, "-m", "pip", "install", "--quiet", "--no-compile", what, external=True)

    # The package needs no extra; its command says which one it needs.
    install(str(wheel))
    session.run(*strict, "-c", "import sipqueue_async", external=True)
    session.run(sipqueue, "--version", external=True, success_codes=[2])
    install(f"{wheel}[cli]")
    session.run(sipqueue, "--version", external=True)
    session.run(sipqueue, "demo", "--seconds", "2", external=True)
    # The catalogues and the wallboard's page are in the wheel.
    word = "from sipqueue_async._language import state_word; assert not state_word('idle', 'zh').isascii()"
    session.run(*strict, "-c", word, external=True)
    page = "from sipqueue_async.wallboard.files import read_files; read_files()['index.html']"
    session.run(*strict, "-c", page, external=True)
    # The fixtures work in a project of a user, whose environment has only what the extra installs.
    install(f"{wheel}[testing]")
    with tempfile.TemporaryDirectory() as project:
        shutil.copy("tests/testing/test_fresh_project.py", project)
        with session.chdir(project):
            session.run(*strict, "-m", "pytest", "-W", "error", *LOOP_SCOPE, external=True)
