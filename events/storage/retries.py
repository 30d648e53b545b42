"""The comparison of an event of a call with the stored event that has its id."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from events import decoding, jsonb


class Content(Protocol):
    """The fields of an event, whether it is stored or new."""

    @property
    def type(self) -> str: ...
    @property
    def data(self) -> Any: ...
    @property
    def metadata(self) -> Any: ...
    @property
    def timestamp(self) -> datetime | None: ...


def differences(
    new: Content, stored: Content, fields: Sequence[str] = ("type", "data"), *, ignored_metadata: Collection[str] = ()
) -> tuple[str, ...]:
    """Return those of `fields` in which `new` differs from the stored event with its id; none if it is a retry.

    By default the metadata and the timestamp may differ: a client may make both again for each attempt. A timestamp of
    None stands for the moment of storing, so it differs from none.

    Args:
        ignored_metadata: keys of the metadata in which the two may differ.
    """

    def content(event: Content, name: str) -> Any:
        value = getattr(event, name)
        if name != "metadata" or not ignored_metadata:
            return value
        return {key: value[key] for key in value if key not in ignored_metadata}

    return tuple(
        name
        for name in fields
        if not _is_same(name, content(new, name), content(stored, name)) and not _is_earlier_form(name, new, stored)
    )


def in_words(differences: Sequence[str]) -> str:
    """Return differences of the type and the data in words, such as "of another type and with other data"."""
    return " and ".join("of another type" if name == "type" else f"with other {name}" for name in differences)


def _is_earlier_form(name: str, new: Content, stored: Content) -> bool:
    """Return whether a registered type stores the event in another form today than before, under another name too."""
    known = decoding.types.get(stored.type)
    if known is None or new.type not in known.names:
        return False
    if name != "data":
        return name == "type"
    forms = getattr(stored, "stored_data", None), decoding.normalized(known.name, stored.data)
    return any(jsonb.equal(new.data, form) for form in forms)


def _is_same(name: str, new: Any, stored: Any) -> bool:
    if name in ("data", "metadata"):
        return jsonb.equal(new, stored)
    return new == stored or (name == "timestamp" and new is None)
