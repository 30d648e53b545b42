"""Redirects from URLs without a trailing slash that keep the method and the body of the request."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.urls import is_valid_path
from django.utils.http import escape_leading_slashes
from django.views.decorators.csrf import csrf_exempt


class RedirectWithMethod(HttpResponsePermanentRedirect):
    """A 308 redirect. After Django's 301 redirect clients send GET, so an append would be lost."""

    status_code = 308


@csrf_exempt  # a redirect changes nothing
def add_slash(request: HttpRequest) -> HttpResponse:
    """Redirect to the same URL with a slash, if it exists."""
    if not is_valid_path(f"{request.path_info}/", getattr(request, "urlconf", None)):
        raise Http404
    return RedirectWithMethod(escape_leading_slashes(request.get_full_path(force_append_slash=True)))
