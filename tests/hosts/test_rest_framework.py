"""The HTTP interface under the settings of a project's REST framework, and wherever a project includes its URLs."""

import json
import warnings
from collections import ChainMap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import override_settings
from django.urls import include, path
from rest_framework import pagination, parsers, renderers, test, throttling, versioning, views
from rest_framework.authtoken.models import Token
from rest_framework.response import Response
from rest_framework.schemas.openapi import SchemaGenerator
from rest_framework.settings import DEFAULTS
from rest_framework.test import APIClient

from events.api import base
from events.store import EventStore
from projections.operations import status
from tests import FULL
from tests.events.api.support import operations
from tests.hosts.walk import a_timer
from tests.support import new

pytestmark = pytest.mark.django_db

REST = "rest_framework"
THROTTLES = [f"{REST}.throttling.{name}RateThrottle" for name in ("Anon", "User", "Scoped")]
ALL = [base.StoreView]
for each in ALL:
    ALL += each.__subclasses__()

# What REST framework reads from a setting once, when a process starts. A list of renderers is more than one setting.
READ_AT_START: dict[str, list[tuple[Any, str]]] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [(views.APIView, "authentication_classes")],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": [(views.APIView, "content_negotiation_class")],
    "DEFAULT_METADATA_CLASS": [(views.APIView, "metadata_class")],
    "DEFAULT_PARSER_CLASSES": [(views.APIView, "parser_classes")],
    "DEFAULT_PERMISSION_CLASSES": [(views.APIView, "permission_classes")],
    "DEFAULT_THROTTLE_CLASSES": [(views.APIView, "throttle_classes")],
    "DEFAULT_VERSIONING_CLASS": [(views.APIView, "versioning_class")],
    "DEFAULT_THROTTLE_RATES": [(throttling.SimpleRateThrottle, "THROTTLE_RATES")],
    "DEFAULT_VERSION": [(versioning.BaseVersioning, "default_version")],
    "ALLOWED_VERSIONS": [(versioning.BaseVersioning, "allowed_versions")],
    "VERSION_PARAM": [(versioning.BaseVersioning, "version_param")],
    "COMPACT_JSON": [(renderers.JSONRenderer, "compact")],
    "STRICT_JSON": [(renderers.JSONRenderer, "strict"), (parsers.JSONParser, "strict")],
    "PAGE_SIZE": [(pagination.PageNumberPagination, "page_size")],
    "TEST_REQUEST_DEFAULT_FORMAT": [(test.APIRequestFactory, "default_format")],
}

VERSIONS = {"ALLOWED_VERSIONS": ["v1"], "DEFAULT_VERSION": "v1"}
# Each setting with values that differ from its default. A class that another setting accompanies has it beside it.
OF_VIEWS: list[dict[str, Any]] = [
    {"DEFAULT_RENDERER_CLASSES": [f"{REST}.renderers.JSONRenderer"]},
    *({"DEFAULT_RENDERER_CLASSES": [f"{REST}.renderers.{name}Renderer"]} for name in ("BrowsableAPI", "Admin")),
    {"DEFAULT_RENDERER_CLASSES": [f"{REST}.renderers.TemplateHTMLRenderer", f"{REST}.renderers.StaticHTMLRenderer"]},
    {"DEFAULT_PARSER_CLASSES": []},
    {"DEFAULT_PARSER_CLASSES": [f"{REST}.parsers.FileUploadParser"]},
    {"DEFAULT_AUTHENTICATION_CLASSES": []},
    *({"DEFAULT_AUTHENTICATION_CLASSES": [f"{REST}.authentication.{name}Authentication"]} for name in (
        "Session", "Basic", "Token", "RemoteUser",
    )),
    {"DEFAULT_PERMISSION_CLASSES": [f"{REST}.permissions.AllowAny"]},
    {"DEFAULT_PERMISSION_CLASSES": [f"{REST}.permissions.DjangoModelPermissions"]},
    {"DEFAULT_THROTTLE_CLASSES": THROTTLES, "DEFAULT_THROTTLE_RATES": {"user": "99/s", "anon": "99/s", "own": "1/s"}},
    {"DEFAULT_THROTTLE_RATES": {}},
    {"DEFAULT_CONTENT_NEGOTIATION_CLASS": f"{REST}.negotiation.BaseContentNegotiation"},
    {"DEFAULT_METADATA_CLASS": None},
    *({"DEFAULT_VERSIONING_CLASS": f"{REST}.versioning.{name}Versioning", **more} for more in (
        {"ALLOWED_VERSIONS": ["v1"]}, *([{}, VERSIONS, {**VERSIONS, "VERSION_PARAM": "v"}] if FULL else []),
    ) for name in ("AcceptHeader", "URLPath", "Namespace", "HostName", "QueryParameter")),
    {"NUM_PROXIES": 0}, {"NUM_PROXIES": 2},
    {"DEFAULT_VERSION": "v1"}, {"ALLOWED_VERSIONS": ["v1"]}, {"VERSION_PARAM": "after"},
    {"UNAUTHENTICATED_USER": None}, {"UNAUTHENTICATED_TOKEN": "builtins.object"},
    {"VIEW_NAME_FUNCTION": f"{__name__}.name_of"}, {"VIEW_DESCRIPTION_FUNCTION": f"{__name__}.description_of"},
    {"EXCEPTION_HANDLER": f"{__name__}.handle"},
    {"URL_FORMAT_OVERRIDE": None}, {"URL_FORMAT_OVERRIDE": "as"}, {"URL_FORMAT_OVERRIDE": "type"},
    {"FORMAT_SUFFIX_KWARG": None}, {"FORMAT_SUFFIX_KWARG": "name"}, {"FORMAT_SUFFIX_KWARG": "aggregate_id"},
]  # fmt: skip
OF_SERIALIZERS: list[dict[str, Any]] = [
    *({"DEFAULT_PAGINATION_CLASS": f"{REST}.pagination.{name}Pagination", "PAGE_SIZE": 1} for name in (
        "PageNumber", "LimitOffset", "Cursor",
    )),
    {"DEFAULT_FILTER_BACKENDS": [
        f"{REST}.filters.SearchFilter", f"{REST}.filters.OrderingFilter",
        "django_filters.rest_framework.DjangoFilterBackend",
    ]},
    {"DEFAULT_SCHEMA_CLASS": f"{REST}.schemas.openapi.AutoSchema"},
    {"SEARCH_PARAM": "type"}, {"ORDERING_PARAM": "after"},
    {"NON_FIELD_ERRORS_KEY": "detail"}, {"LIST_SERIALIZER_ERRORS_AS_DICT": False},
    {"TEST_REQUEST_RENDERER_CLASSES": [f"{REST}.renderers.JSONRenderer"]}, {"TEST_REQUEST_DEFAULT_FORMAT": "json"},
    {"URL_FIELD_NAME": "type"},
    *({name: value} for kind in ("DATE", "DATETIME", "TIME") for name, value in (
        (f"{kind}_FORMAT", None), (f"{kind}_FORMAT", "%d.%m."), (f"{kind}_INPUT_FORMATS", ["%d.%m."]),
    )),
    {"DURATION_FORMAT": "iso-8601"},
    {"UNICODE_JSON": False}, {"COMPACT_JSON": False}, {"STRICT_JSON": False},
    {"COERCE_DECIMAL_TO_STRING": False}, {"COERCE_BIGINT_TO_STRING": True}, {"UPLOADED_FILES_USE_URL": False},
    {"HTML_SELECT_CUTOFF": 1}, {"HTML_SELECT_CUTOFF": None}, {"HTML_SELECT_CUTOFF_TEXT": "…"},
    {"SCHEMA_COERCE_PATH_PK": False}, {"SCHEMA_COERCE_METHOD_NAMES": {}},
]  # fmt: skip
# The views read no setting of serializers, so one crawl is enough unless there is time.
CASES = [*OF_VIEWS, *(OF_SERIALIZERS if FULL else [dict(ChainMap(*OF_SERIALIZERS))])]


def name_of(view: Any) -> str:
    return "A view"


def description_of(view: Any, html: bool = False) -> str:
    return "It does something."


def handle(error: Exception, context: Any) -> Any:
    raise AssertionError("the handler of the project is for the views of the project")


class Answer(NamedTuple):
    """What must not depend on the project."""

    status: int
    kind: str
    names: tuple[str, ...]


# The first needs no query, and passes through all that a setting could change.
SENT = [
    ("user", "*/*", "?nonsense=1"),
    ("user", "*/*", ""),
    ("anybody", "*/*", ""),
    ("anybody", "text/html", ""),
]
SENT_EVERYTHING = ("aggregates/a-1/", "health/")


class Crawl:
    """The operations of the interface, as a user with all permissions and as anybody sends them."""

    def __init__(self, user: Any, token: str, event_id: str) -> None:
        self.user, self.token = user, token
        self.values = {
            "aggregate_id": "a-1", "event_id": event_id, "name": "event_type_activity", "slug": "invalid",
            "event_type": "Nope", "command": "pay",
        }  # fmt: skip
        self.names = [name for name, _ in operations()]

    def __call__(self) -> dict[str, Answer]:
        """Return the answers by what was sent."""
        answers = {}
        for name in self.names:
            method, _, template = name.partition(" ")
            own = self.path(template)
            for sender, accept, query in SENT if FULL or own in SENT_EVERYTHING else SENT[:1]:
                own = self.path(template)
                answer = self.seen(self.send(sender, method, f"/api/{own}{query}", accept))
                answers[f"{sender} {method} {template}{query} {accept}"] = answer
            if FULL or own in SENT_EVERYTHING:
                answers[f"OPTIONS {template}"] = self.seen(self.send("user", "options", f"/api/{own}", "*/*"))
        return answers

    def path(self, template: str) -> str:
        timer = {"timer_id": a_timer()} if "{timer_id}" in template else {}
        return template.removeprefix("/api/").format(**self.values, **timer)

    def send(self, sender: str, method: str, url: str, accept: str) -> Any:
        client = APIClient(raise_request_exception=False)
        if sender == "user":
            client.force_authenticate(self.user)
        kind, body = "application/json", b'{"aggregate_id": "a-1", "type": "Crawled"}'
        if "import" in url:
            kind, body = "application/x-ndjson", b'{"aggregate_id": "b-1", "type": "Imported"}\n'
        sent: Any = {"data": body, "content_type": kind} if method == "post" else {}
        return client.generic(method.upper(), url, headers={"Accept": accept}, **sent)

    def seen(self, response: Any) -> Answer:
        assert response.status_code < 500 or response.status_code == 501, response.content
        assert response.status_code != 404, response.content
        kind = response.headers.get("Content-Type", "")
        content = json.loads(response.content) if kind.endswith("json") and not response.streaming else {}
        return Answer(response.status_code, kind, tuple(sorted(content)) if isinstance(content, dict) else ())


@pytest.fixture
def crawl(admin_user: Any, store: EventStore, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Crawl:
    settings.PROJECTIONS_MAX_LAG_SECONDS = 3600
    if not FULL:  # reports of all projections would take most of the time
        reports = status.reports
        monkeypatch.setattr(status, "reports", lambda names=(): reports(names or ["event_type_activity"]))
    cache.clear()
    (event,) = store.dispatch(new("a-1", "Opened"))
    return Crawl(admin_user, Token.objects.create(user=admin_user).key, str(event.event_id))


@contextmanager
def rest_framework(changes: dict[str, Any]) -> Iterator[None]:
    from rest_framework.settings import api_settings

    with ExitStack() as stack:
        stack.enter_context(override_settings(REST_FRAMEWORK={**django_settings.REST_FRAMEWORK, **changes}))
        for name in changes:
            for owner, attribute in READ_AT_START.get(name, ()):
                stack.enter_context(patch.object(owner, attribute, getattr(api_settings, name)))
        if "DEFAULT_RENDERER_CLASSES" in changes:
            pages = [each for each in api_settings.DEFAULT_RENDERER_CLASSES if base.is_page(each)]
            for view in ALL:
                if "renderer_classes" in vars(view):
                    own = [each for each in view.renderer_classes if not base.is_page(each)]
                    stack.enter_context(patch.object(view, "renderer_classes", own + pages))
        yield


def test_table_has_every_setting_of_rest_framework() -> None:
    assert {name for case in CASES for name in case} == DEFAULTS.keys()


# The answers that a setting is meant to change: those whose names have this text.
MEANT = {
    "DEFAULT_RENDERER_CLASSES": "text/html",
    "DEFAULT_AUTHENTICATION_CLASSES": "anybody",
    "DEFAULT_METADATA_CLASS": "OPTIONS",
}


def test_answers_do_not_depend_on_the_settings_of_rest_framework(crawl: Crawl) -> None:
    expected = crawl()
    for case in CASES:
        meant = MEANT.get(next(iter(case)), "-")
        with rest_framework(case):
            answers = crawl()
        for name, answer in answers.items():
            assert meant in name or answer == expected[name], (case, name)


def test_parameters_that_settings_add_to_every_address_are_accepted(crawl: Crawl) -> None:
    for case, query in (
        ({"URL_FORMAT_OVERRIDE": "as"}, "as=json"),
        ({"URL_FORMAT_OVERRIDE": "type"}, "type=Opened"),
        ({"DEFAULT_VERSIONING_CLASS": f"{REST}.versioning.QueryParameterVersioning"}, "version=v1"),
        ({"DEFAULT_VERSIONING_CLASS": f"{REST}.versioning.QueryParameterVersioning", "VERSION_PARAM": "v"}, "v=v1"),
    ):
        with rest_framework(case):
            answer = crawl.send("user", "get", f"/api/events/?{query}", "*/*")
            assert [each["type"] for each in answer.json()["events"]] == ["Opened"], case
            assert crawl.send("user", "get", f"/api/events/?{query}&nonsense=1", "*/*").status_code == 400


def test_projects_without_spectacular_get_the_schema_of_rest_framework() -> None:
    with rest_framework({"DEFAULT_SCHEMA_CLASS": f"{REST}.schemas.openapi.AutoSchema"}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = SchemaGenerator(urlconf=urlconf(included("api/"))).get_schema(request=None, public=True)["paths"]
    assert "/api/aggregates/{aggregate_id}/events/" in paths


def test_scopes_of_the_project_are_not_those_of_the_interface(crawl: Crawl) -> None:
    class View(views.APIView):
        throttle_scope = "read"
        throttle_classes = [throttling.ScopedRateThrottle]
        permission_classes = []

        def get(self, request: Any) -> Response:
            return Response()

    urls = urlconf(path("own/", View.as_view()), path("api/", include("events.api.urls")))
    with (
        override_settings(ROOT_URLCONF=urls, EVENTS_API_THROTTLE_RATES={"read": "1/h"}),
        rest_framework({"DEFAULT_THROTTLE_RATES": {"read": "1/h"}}),
    ):
        for _ in range(2):
            statuses = [crawl.send("user", "get", each, "*/*").status_code for each in ("/own/", "/api/events/")]
    assert statuses == [429, 429]


def urlconf(*patterns: Any) -> Any:
    module: Any = ModuleType("urls")
    module.urlpatterns = list(patterns)
    return module


def included(prefix: str, app: str = "events", **options: str) -> Any:
    return path(prefix, include(f"{app}.api.urls", **options))
