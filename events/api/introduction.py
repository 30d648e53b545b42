"""The introduction of the OpenAPI description: a hook of drf-spectacular for the settings of a project."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

# What the operations of a tag are for, by the first part of their addresses. Each app adds its own.
_TAGS: dict[str, str] = {}

_WHAT = """\
This is the HTTP interface of an event store. An event records that something happened: it has a type and data. Each
event belongs to an aggregate, such as one order. You append events, read the history of an aggregate or of the
whole store in order, and follow new events in a stream. Stored events never change.

`GET {root}` lists the addresses that you may use."""

_AUTHENTICATION = """\
## Get a token

An administrator creates a user and a token: in the admin under "Auth Token", or with `python manage.py
drf_create_token USERNAME`. Send the token in each request:

    Authorization: Token TOKEN

In the dialog "Authorize", the value of `tokenAuth` begins with the word `Token`, too. The permissions of the user
decide what the token allows."""

_REST = """\
## Versions

The version of an aggregate is the number of its events. Responses have it as the `ETag`. Send `If-Match: "3"` with
an append to store its events only if the aggregate is still at version 3. `If-None-Match: *` stores them only if
the aggregate does not exist. If the aggregate is at another version, the status is 412, and nothing is stored.

## Retries

If a response is lost, send the append again with the same `Idempotency-Key`. The response is that of the first
request, and nothing is stored twice.

## Errors

Every error is a problem document, `application/problem+json` (RFC 9457). Its `detail` says what is wrong and what
to do. Its `type` is the address of an explanation. If the status is 4xx or 5xx, nothing was stored; an import keeps
the lines before the bad one."""


def describe_tags(descriptions: Mapping[str, str]) -> None:
    """Set the line that describes each tag, by the first part of the addresses that have the tag."""
    _TAGS.update(descriptions)


def add_introduction(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Say what the interface is, how to authenticate, and what each tag holds; put the first authentication first.

    Name it in `SPECTACULAR_SETTINGS["POSTPROCESSING_HOOKS"]`. A DESCRIPTION and TAGS of the project take precedence.
    """
    operations = [each for methods in result.get("paths", {}).values() for each in methods.values()]
    schemes = _in_order_of_use(result.get("components", {}).get("securitySchemes", {}), operations)
    if schemes:
        result["components"]["securitySchemes"] = schemes
    if not result["info"].get("description"):
        sections = [_WHAT.format(root=_root(result)), *([_AUTHENTICATION] if "tokenAuth" in schemes else []), _REST]
        result["info"]["description"] = "\n\n".join(sections)
    used = dict.fromkeys(tag for each in operations for tag in each.get("tags", ()))
    own = result.get("tags", [])
    known = {each["name"] for each in own}
    added = [{"name": name, "description": _TAGS[name]} for name in used if name in _TAGS and name not in known]
    if own or added:
        result["tags"] = [*own, *added]
    return result


def _in_order_of_use(schemes: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the security schemes, those that most operations accept first, in the order of the settings."""
    names = Counter(name for each in operations for requirement in each.get("security", ()) for name in requirement)
    return {name: schemes[name] for name in [*dict(names.most_common()), *schemes] if name in schemes}


def _root(result: dict[str, Any]) -> str:
    paths: dict[str, Any] = result.get("paths", {})
    return next((path for path, each in paths.items() if each.get("get", {}).get("operationId") == "get_root"), "/")
