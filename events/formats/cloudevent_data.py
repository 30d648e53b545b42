"""The data of a CloudEvent, which may be JSON, text or bytes, as the data of an event, which is a JSON object.

Text becomes `{"text": …}`, and bytes become `{"base64": …}`.
"""

import codecs
import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from events.exceptions import InvalidEvent

from .serialization import from_json, shown

JSON = "application/json"
_KIND = re.compile(r"[^/;\s]+/[^;\s]+\s*(?:;.*)?")
_IS_JSON = re.compile(r"[^/;\s]+/(?:[^;\s]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_IS_TEXT = re.compile(r"(?:text/[^;\s]+|[^/;\s]+/(?:[^;\s]+\+)?xml)\s*(?:;.*)?", re.IGNORECASE)
# Python's codecs that are not charsets: those for host names take minutes for a megabyte, the others read escapes.
_NOT_CHARSETS = ("idna", "punycode", "unicode-escape", "raw-unicode-escape")


def to_object(content: Mapping[str, Any]) -> Any:
    """Return the data of an event for a CloudEvent without null attributes. JSON data is returned unchecked.

    Raises:
        InvalidEvent: the data is not of the kind that the CloudEvent names.
    """
    kind = kind_of(content)
    if "data_base64" in content:
        if "data" in content:
            raise InvalidEvent("data_base64", "cannot go with data; send one of the two")
        return _bytes_as_object(content["data_base64"], kind)
    if "data" not in content:
        return {}
    data = content["data"]
    if _IS_JSON.fullmatch(kind):
        return data
    if not isinstance(data, str):
        raise InvalidEvent("data", f"must be a string, because datacontenttype is {shown(kind)}, which is not JSON")
    return {"text": data}


def from_object(data: Any, kind: Any) -> dict[str, Any]:
    """Return the attributes of a CloudEvent for the data of an event; `kind` is its `datacontenttype`."""
    if isinstance(kind, str) and _KIND.fullmatch(kind):
        if _IS_JSON.fullmatch(kind):
            return {"datacontenttype": kind, "data": data}
        for name, attribute in (("text", "data"), ("base64", "data_base64")):
            if isinstance(data, dict) and data.keys() == {name} and isinstance(data[name], str):
                return {"datacontenttype": kind, attribute: data[name]}
    return {"datacontenttype": JSON, "data": data}


def from_body(body: bytes, kind: str) -> dict[str, Any]:
    """Return the attributes of a CloudEvent whose data is the body of a request.

    Raises:
        InvalidEvent: the body is not of this kind.
    """
    if not body:
        return {}
    if not kind or _IS_JSON.fullmatch(kind):
        return {"data": _parsed("body", body)}
    if not _IS_TEXT.fullmatch(kind):
        return {"data_base64": b64encode(body).decode()}
    charset = re.search(r';\s*charset="?([^\s";]+)', kind, re.IGNORECASE)
    with suppress(LookupError, ValueError):
        codec = codecs.lookup(charset[1] if charset else "utf-8").name
        if codec not in _NOT_CHARSETS:
            return {"data": body.decode(codec)}
    raise InvalidEvent("body", f"is not text in the encoding of {shown(kind)}")


def kind_of(content: Mapping[str, Any]) -> str:
    """Return the `datacontenttype` of a CloudEvent, a media type."""
    kind = content.get("datacontenttype", JSON)
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise InvalidEvent("datacontenttype", f"is {shown(kind)}; it must be a media type, such as application/json")
    return kind


def _bytes_as_object(text: Any, kind: str) -> Any:
    try:
        data = a2b_base64(text, strict_mode=True)
    except (TypeError, ValueError):
        raise InvalidEvent("data_base64", "must be a string in Base64, with its padding and without spaces") from None
    return _parsed("data_base64", data) if _IS_JSON.fullmatch(kind) else {"base64": text}


def _parsed(field: str, data: bytes) -> Any:
    try:
        return from_json(data.decode("utf-8-sig"))
    except ValueError as error:
        raise InvalidEvent(field, f"is not valid JSON: {error}") from None
