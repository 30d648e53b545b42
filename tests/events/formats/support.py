"""Files to import, and calls of the commands."""

import gzip
import io
from pathlib import Path
from typing import Any

from django.core.management import call_command

CSV = """case,what,when,amount,note
c-1,Opened,2020-01-01T00:00:00Z,5,"two
lines"
c-2,Opened,2020-01-02 00:00:00+01:00,6,
c-1,Counted,2020-01-03T00:00:00Z,1,same
c-1,Counted,2020-01-03T00:00:00Z,1,same
"""


COLUMNS = {"aggregate_id": "case", "type": "what", "timestamp": "when"}


LINES = (
    '{"aggregate_id": "a-1", "type": "A", "data": {"n": 1}}\n'
    "\n"
    '{"aggregate_id": "a-1", "type": "A", "data": {"n": 1}}\n'
    '{"aggregate_id": "b-1", "type": "B", "timestamp": "2020-01-01T00:00:00Z"}\n'
)


def run(path: Path, **options: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("import_events", path, stdout=out, stderr=err, **options)
    lines = err.getvalue().splitlines()
    return out.getvalue().strip(), "\n".join(line for line in lines if " is read with " not in line)


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path
