"""The tests; those of a module lie in the folder, and the file, of its name."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANAGE = ROOT / "manage.py"
# A real event log, where the checkout has it beside it.
RECEIPTS = ROOT.parent / "shared/data/receipt.csv.gz"
