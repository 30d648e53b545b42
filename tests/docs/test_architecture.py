"""The map of the code is that of the code as it is now."""

from pathlib import Path

import pytest

from docs import draw_architecture


@pytest.mark.parametrize(
    "path", [draw_architecture.PAGE, draw_architecture.PACKAGES_PICTURE, draw_architecture.APPEND_PICTURE]
)
def test_the_committed_file_is_what_the_script_makes(path: Path) -> None:
    made = draw_architecture.generated()[path]
    assert path.read_text(encoding="utf-8") == made, "run `make architecture`"
