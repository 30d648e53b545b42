"""The benchmark runs: every row of it, for a moment each. How fast is for `make bench` to say."""

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests import ROOT

OURS = ("events", "projections", "eventstore_project", "benchmarks", "tests", "docs")
SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix() for name in ("benchmarks", "docs") for path in (ROOT / name).glob("*.py")
)


def test_every_row_of_the_benchmark_is_measured(tmp_path: Path) -> None:
    output = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks.bench_store", "--quick", "--json", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text())["rows"]
    assert len(rows) > 20
    assert all(row["value"] > 0 for row in rows if ": " in row["name"]), rows


@pytest.mark.parametrize("path", SCRIPTS)
def test_names_that_a_script_imports_exist(path: str) -> None:
    """The other scripts run for minutes, and import much of what they need when they need it."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and str(node.module).split(".")[0] in OURS:
            module = import_module(str(node.module))
            for each in node.names:
                assert each.name == "*" or hasattr(module, each.name) or import_module(f"{node.module}.{each.name}"), (
                    each.name
                )
