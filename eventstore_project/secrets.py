"""Random secrets of this installation, stored under `.data/` and readable by their owner only."""

import os
import secrets
from pathlib import Path

from .postgres import DATA


def get_or_create(name: str) -> str:
    """Return the secret `name`; create it at the first call."""
    path = DATA / name
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(24))
    return path.read_text()


def _write_once(path: Path, secret: str) -> None:
    """Write a file atomically, unless another process has already written it."""
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
