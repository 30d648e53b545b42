"""The binary mode of CloudEvents: headers have the attributes, and the body is the data.

See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#31-binary-content-mode.
"""

import re
from typing import Any
from urllib.parse import unquote

from events.exceptions import InvalidEvent

_PREFIX = "ce-"
_IN_THE_BODY = ("data", "data_base64", "datacontenttype")


def is_structured(request: Any) -> bool:
    """Return whether the body of a request is a CloudEvent, or a list of them."""
    return (request.content_type or "").startswith("application/cloudevents")


def is_binary(request: Any) -> bool:
    """Return whether a request is a CloudEvent in binary mode."""
    return not is_structured(request) and any(name.lower().startswith(_PREFIX) for name in request.headers)


def attributes(request: Any) -> dict[str, str]:
    """Return the attributes of a CloudEvent in binary mode.

    Raises:
        InvalidEvent: a header is not valid.
    """
    found = {"datacontenttype": request.headers["Content-Type"]} if request.headers.get("Content-Type") else {}
    for header, value in request.headers.items():
        name = header.lower().removeprefix(_PREFIX)
        if name in _IN_THE_BODY and header.lower().startswith(_PREFIX):
            raise InvalidEvent(header, "is no header of a CloudEvent; send the data as the body, with its Content-Type")
        if header.lower().startswith(_PREFIX):
            found[name] = _decoded(header, value)
    return found


def _decoded(header: str, value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    if not value.isascii():
        raise InvalidEvent(header, "is not ASCII; percent-encode its UTF-8 bytes")
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise InvalidEvent(header, "is not UTF-8; percent-encode its UTF-8 bytes") from None
