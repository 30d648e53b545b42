"""The address of a request as responses show it: in links to further pages, and in the forms of browsable pages."""

from typing import Any
from urllib.parse import quote

from django.http import HttpRequest
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.utils.http import escape_leading_slashes


def keep_encoded(request: HttpRequest) -> None:
    """Make a request return its own address with the aggregate id percent-encoded, as the client has sent it.

    Django decodes the path, and leaves its slashes and question marks as they are. Of the aggregate `a/../b`, it would
    return an address that clients resolve to that of the aggregate `b`.
    """
    match = request.resolver_match
    aggregate_id = match and match.kwargs.get("aggregate_id")
    if not match or not aggregate_id:
        return
    behind = match.route.rpartition(">")[2]
    if not request.path.endswith(aggregate_id + behind):
        return  # an address of the project's own
    before = request.path.removesuffix(aggregate_id + behind)
    path = escape_leading_slashes(escape_uri_path(before) + quote(aggregate_id, safe="") + behind)
    query = iri_to_uri(request.META.get("QUERY_STRING", ""))
    plain: Any = request  # on the object, because Django and REST framework call its own method
    plain.get_full_path = lambda force_append_slash=False: f"{path}?{query}" if query else path
