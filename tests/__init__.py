"""The tests; those of a module lie in the folder, and the file, of its name."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANAGE = ROOT / "manage.py"
# Whether to run the long form of tests that have one: `make test-all` does.
FULL = bool(os.environ.get("FULL_TESTS"))
# A real event log, where the checkout has it beside it.
RECEIPTS = ROOT.parent / "shared/data/receipt.csv.gz"
