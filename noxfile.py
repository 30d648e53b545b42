"""Run the tests on every supported Python, Django and PostgreSQL of this machine: `make test-all`."""

import os
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = False
nox.options.stop_on_first_error = False

SYSTEM_POSTGRES = Path("/usr/lib/postgresql")


@nox.session
@nox.parametrize("postgres", ["wheel", "15"])
@nox.parametrize(("python", "django"), [("3.11", "5.2"), ("3.12", "6.1"), ("3.13", "6.1")])
def tests(session: nox.Session, django: str, postgres: str) -> None:
    bindir = SYSTEM_POSTGRES / postgres / "bin"
    if postgres != "wheel" and not bindir.exists():
        session.skip(f"there is no PostgreSQL {postgres} in {bindir}")
    session.install("-r", "requirements.txt")
    session.install(f"Django~={django}.0")
    session.env["PG_BINDIR"] = "" if postgres == "wheel" else str(bindir)
    session.env["DATABASE_URL"] = ""  # each session starts the PostgreSQL of its parameter
    session.env["FULL_TESTS"] = "1"  # the long form of tests that have a short one
    session.run("python", "-m", "pytest", "-n", os.environ.get("JOBS", "2"), "--dist", "worksteal", *session.posargs)
