"""The benchmark runs: every row of it, for a moment each. How fast is for `make bench` to say."""

import json
import subprocess
import sys
from pathlib import Path

from tests import ROOT


def test_every_row_of_the_benchmark_is_measured(tmp_path: Path) -> None:
    output = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks.bench_store", "--quick", "--json", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text())["rows"]
    assert len(rows) > 20
    assert all(row["value"] > 0 for row in rows if ": " in row["name"]), rows
