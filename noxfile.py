"""Every check of the project: `nox` runs the whole gate, `nox -s NAME` one part of it, `nox --list` says which."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "typing", "interpreters", "tests", "coverage", "docs", "package"]

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
# The one that nox runs on is always tested, whether it is listed or not.
PYTHONS = sorted({"3.11", "3.12", "3.13", "3.14", RUNNING}, key=lambda version: tuple(map(int, version.split("."))))

CHROMIUM = Path("/usr/bin/chromium")
REDIS = Path("/usr/bin/redis-server")
LOOP_SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")
"""What pytest-asyncio warns of where it is not set."""
BROWSER_TESTS = (
    "tests/wallboard/*_page.py",
    "tests/wallboard/*_view.py",
    "tests/kit/wallboard_*.py",
    "tests/kit/browser.py",
)
REDIS_TESTS = (
    "sipqueue_async/redis/*",
    "sipqueue_async/cli/relay.py",
    "sipqueue_async/cli/source.py",
    "tests/cli/test_from_relay.py",
    "tests/prometheus/test_relay.py",
    "tests/redis/*",
    "tests/wallboard/test_relay*.py",
    "tests/kit/redis_server.py",
    "tests/endurance/test_relay_*",
)


def _show_pyenv_interpreters() -> None:
    """Put pyenv's interpreters on PATH, where its shims hide all but the active one."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [str(path) for path in sorted(versions.glob("3.*/bin"))]
    os.environ["PATH"] = os.pathsep.join([*found, os.environ.get("PATH", "")])


_show_pyenv_interpreters()
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).resolve().parent), os.environ["PATH"]])


def _group(*names: str) -> list[str]:
    return [requirement for name in names for requirement in nox.project.dependency_groups(PROJECT, name)]


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff's rules and format, and which module may import which."""
    session.install(*_group("lint"), ".")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--config", "pyproject.toml")


@nox.session
def typing(session: nox.Session) -> None:
    """Mypy and pyright, both strict, over the package and its tests."""
    session.install(*_group("typing", "test", "recipes", "screenshots"), ".[all]")
    pyright = ("pyright", "--pythonpath", str(Path(session.bin) / "python"))
    session.run("mypy")
    session.run(*pyright)
    # And what they must refuse: without this, nobody would notice that a `match` may forget an event.
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy("tests/typechecks/forgets_feed_up.txt", Path(folder) / "forgets_feed_up.py")
        for rule, checker in (("exhaustive-match", ("mypy",)), ("reportMatchNotExhaustive", pyright)):
            said = str(session.run(*checker, str(path), silent=True, success_codes=[1]))
            if rule not in said or "1 error" not in said:
                session.error(f"{checker[0]} is to refuse the example for {rule} alone, and said: {said}")


@nox.session(python=False)
def interpreters(session: nox.Session) -> None:
    """Say which interpreters, which browser and which Redis the tests run on, and which are missing."""
    for version in PYTHONS:
        path = shutil.which(f"python{version}")
        if path is None:
            session.warn(f"Python {version} is NOT on this machine: nothing is tested on it")
        else:
            session.log(f"Python {version}: {path}")
    if not CHROMIUM.exists():
        session.warn(f"{CHROMIUM} is NOT on this machine: the wallboard's page is not tested")
    if not REDIS.exists():
        session.warn(f"{REDIS} is NOT on this machine: the relay and its readers are not tested")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests against the installed package, on each interpreter that is there; all of them on nox's own."""
    session.install(*_group("test", "recipes"), ".[all]")
    # Without the working directory on the path, so that the checkout cannot stand in for the installed package.
    env = {"PYTHONSAFEPATH": "1"}
    some = ["-m", "not one_python"]
    if session.python == RUNNING:
        # No line is for one Python only, so it is this one that has to show that every line is run.
        for left in ROOT.glob(".coverage.*"):
            left.unlink()  # by a run that failed, perhaps of other code
        env |= {
            "COVERAGE_FILE": str(ROOT / ".coverage"),
            "COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml"),
        }
        some = []
    # Two more than there are processors, since many tests wait for something.
    workers = f"{(os.cpu_count() or 1) + 2}*popen//python={Path(session.bin) / 'python'} -X dev"
    session.run("python", "-m", "pytest", "--dist", "loadfile", "--tx", workers, *some, *session.posargs, env=env)


@nox.session
def truth(session: nox.Session) -> None:
    """Compare what watchers report with what happened; write the tables and the picture of docs/accuracy.md."""
    session.install(*_group("test"), ".[all]")
    env = {"PYTHONSAFEPATH": "1"}
    session.run("python", "tests/benchmarks/truth.py", "--write", "docs", *session.posargs, env=env)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what polls cost, against others and against limits; write the tables and the picture of docs/speed.md."""
    session.install(*_group("bench"), ".")
    env = {"PYTHONSAFEPATH": "1"}
    session.run("python", "tests/benchmarks/speed.py", "--check", "--write", "docs", *session.posargs, env=env)


@nox.session(name="relay-bench")
def relay_bench(session: nox.Session) -> None:
    """Measure a relay's rate and delay, what it saves and what it costs; write the tables of docs/relay.md."""
    session.install(*_group("bench"), ".[redis]")
    env = {"PYTHONSAFEPATH": "1"}
    session.run("python", "tests/benchmarks/relay.py", "--write", "docs", *session.posargs, env=env)


@nox.session
def endurance(session: nox.Session) -> None:
    """The long runs at full size: a fortnight of trouble in virtual time, 400,000 bodies at random, relays killed."""
    session.install(*_group("test"), ".[all]")
    sizes = {"ENDURANCE_DAYS": "14", "FUZZ_BODIES": "200000", "FUZZ_STEPS": "200000"}
    sizes |= {"RELAY_KILLS": "50", "RELAY_TROUBLES": "150"}
    env = {"PYTHONSAFEPATH": "1", **sizes}
    session.run("python", "-m", "pytest", "--durations=0", "tests/endurance", *session.posargs, env=env)


@nox.session
def screenshots(session: nox.Session) -> None:
    """Take the pictures of the wallboard that the documentation has, in Debian's Chromium."""
    session.install(*_group("test", "screenshots"), ".[all]")
    env = {"PYTHONSAFEPATH": "1", "PYTHONPATH": "."}
    session.run("python", "tests/wallboard/screenshots.py", "docs/_static", *session.posargs, env=env)


@nox.session
def coverage(session: nox.Session) -> None:
    """Every line and branch of the package and of its tests was run."""
    session.install(*_group("test"))
    # Combining takes the data files away, so that the next run starts anew also where this report fails.
    session.run("coverage", "combine")
    # Where they were skipped, which was said aloud, the tests in a browser or with a Redis do not count.
    omitted = (*(BROWSER_TESTS if not CHROMIUM.exists() else ()), *(REDIS_TESTS if not REDIS.exists() else ()))
    session.run("coverage", "report", *([f"--omit={','.join(omitted)}"] if omitted else []))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install(*_group("docs"), ".[all]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist and from it the wheel, and use each in an environment of its own."""
    dist = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.install("build", "twine")
    session.run("python", "-m", "build", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, dist.iterdir()))
    for archive in sorted(dist.iterdir()):
        home = dist.parent / archive.name.partition("-")[2]
        session.run("python", "-m", "venv", "--clear", str(home))
        python = str(home / "bin" / "python")
        session.run(python, "-m", "pip", "install", "--quiet", str(archive), external=True)
        # The bare package needs no extra, and says which one the command line needs.
        session.run(python, "-I", "-W", "error", "-c", "import sipqueue_async", external=True)
        session.run(str(home / "bin" / "sipqueue"), "--version", external=True, success_codes=[2])
        session.run(python, "-m", "pip", "install", "--quiet", f"{archive}[cli]", external=True)
        session.run(str(home / "bin" / "sipqueue"), "--version", external=True)
        session.run(str(home / "bin" / "sipqueue"), "demo", "--seconds", "2", external=True)
        # The wallboard has its page.
        page = "from sipqueue_async.wallboard.files import read_files; read_files()['index.html']"
        session.run(python, "-I", "-W", "error", "-c", page, external=True)
        # The fixtures are there for the tests of a project that has nothing of this one but what it has installed.
        session.run(python, "-m", "pip", "install", "--quiet", f"{archive}[testing]", external=True)
        with tempfile.TemporaryDirectory() as project:
            shutil.copy("tests/testing/test_fresh_project.py", project)
            with session.chdir(project):
                session.run(python, "-I", "-W", "error", "-m", "pytest", "-W", "error", *LOOP_SCOPE, external=True)
