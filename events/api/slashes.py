"""Addresses without the slash at their end: sent to the one meant, with method and body as they are."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.urls import is_valid_path
from django.utils.http import escape_leading_slashes
from django.views.decorators.csrf import csrf_exempt


class SameRequestElsewhere(HttpResponsePermanentRedirect):
    """After Django's own redirect (301) clients ask with GET: an append would be answered by a page, and be lost."""

    status_code = 308


@csrf_exempt  # nothing is done here
def add_slash(request: HttpRequest) -> HttpResponse:
    """Redirect to the same address with a slash, if there is one."""
    if not is_valid_path(f"{request.path_info}/", getattr(request, "urlconf", None)):
        raise Http404
    return SameRequestElsewhere(escape_leading_slashes(request.get_full_path(force_append_slash=True)))
