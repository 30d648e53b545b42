"""What all tests share: a real PostgreSQL, and users with and without permissions."""

import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.dispatch import Signal
from django.test import Client
from django.urls import clear_url_caches
from django.utils import timezone
from hypothesis import settings as hypothesis_settings
from rest_framework.test import APIClient

from events import authorization, subscriptions
from events.store import EventStore
from eventstore_project import postgres
from eventstore_project.cluster import Cluster
from projections import registry
from projections.engine import inline
from projections.models import Heartbeat
from tests import FULL, emptying
from tests.browser import Browser, Chromium
from tests.clusters import cluster_in, open_folder
from tests.ownproject import OwnProject, empty_databases
from tests.support import AsgiServer

pytest_plugins = ["events.testing.pytest_plugin"]  # an installed package has an entry point for it

postgres.join_or_exit()
# The same examples in every run, so that a red run says something about the change; `make fuzz` and `make model` look
# for new ones.
hypothesis_settings.register_profile("steady", derandomize=True, deadline=None, max_examples=100 if FULL else 50)
if not {"FUZZ_EXAMPLES", "MODEL_STEPS"} & os.environ.keys():
    hypothesis_settings.load_profile("steady")

# The kinds of handlers that a process has.
KINDS = (subscriptions.IN_TRANSACTION, subscriptions.ON_COMMIT, subscriptions.PARTICIPANTS)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """The migrated database; after tests that commit, it is emptied faster than Django does it."""
    with django_db_blocker.unblock():
        # Nothing here survives a crash of the server: the tests of that have clusters of their own.
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{connection.settings_dict["NAME"]}" SET synchronous_commit = off')
        connection.close()
        emptying.replace_flush()


@pytest.fixture
def store() -> EventStore:
    return EventStore()


@pytest.fixture
def running_worker(transactional_db: None) -> None:
    """A worker of another machine is alive, as far as its row says."""
    names = [*(each.name for each in registry.all_projections()), "sends"]
    now = timezone.now() + timedelta(hours=1)  # however long the test takes
    Heartbeat.objects.create(id=uuid4(), host="elsewhere", pid=1, started_at=now, seen_at=now, projections=names)


@pytest.fixture(autouse=True)
def no_subscription_outlives_its_test() -> Iterator[None]:
    before = [(kind, list(kind._every_event.receivers), copied(kind._by_database)) for kind in KINDS]
    running = dict(inline._running)
    yield
    inline._running.clear()
    inline._running.update(running)
    for kind, receivers, by_database in before:
        kind._every_event.receivers = receivers
        kind._every_event.sender_receivers_cache.clear()
        kind._by_database = by_database


def copied(by_database: dict[str, dict[Any, Signal]]) -> dict[str, dict[Any, Signal]]:
    copies: dict[str, dict[Any, Signal]] = {}
    for alias, signals in by_database.items():
        copies[alias] = {}
        for event_type, signal in signals.items():
            copies[alias][event_type] = Signal()
            copies[alias][event_type].receivers = list(signal.receivers)
    return copies


@pytest.fixture
def no_subscribers(no_subscription_outlives_its_test: None) -> None:
    """A process without subscribers and INLINE projections: an append needs no transaction around its statement."""
    inline._running.clear()
    for kind in KINDS:
        kind._every_event.receivers = []
        kind._every_event.sender_receivers_cache.clear()
        kind._by_database = {}


@pytest.fixture
def cluster_folder() -> Iterator[Path]:
    """A folder for a PostgreSQL of a test's own."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def new_cluster(cluster_folder: Path) -> Iterator[Cluster]:
    """Another PostgreSQL, made for this test."""
    with cluster_in(cluster_folder) as cluster:
        yield cluster


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    def make(*permissions: str, **options: Any) -> User:
        user = User.objects.create_user(username=f"user{User.objects.count()}", password="secret", **options)
        codenames = [permission.partition(".")[2] for permission in permissions]
        found = Permission.objects.select_related("content_type").filter(codename__in=codenames)
        by_name = {f"{each.content_type.app_label}.{each.codename}": each for each in found}
        user.user_permissions.add(*[by_name[permission] for permission in permissions])
        return user

    return make


@pytest.fixture
def client_of(make_user: Callable[..., User]) -> Callable[..., Client]:
    """Make a client of the admin whose user has some permissions."""

    def make(*permissions: str) -> Client:
        client = Client()
        client.force_login(make_user(*permissions, is_staff=True))
        return client

    return make


@pytest.fixture
def staff(client_of: Callable[..., Client]) -> Client:
    """A client of the admin whose user may read and append."""
    return client_of("events.view_event", "events.view_aggregate", "events.add_event")


@pytest.fixture
def api(make_user: Callable[..., User]) -> APIClient:
    """A client of the HTTP interface that may read and append."""
    client = APIClient()
    client.force_authenticate(
        make_user(
            "events.view_event",
            "events.view_aggregate",
            "events.add_event",
            "projections.view_aggregateactivity",
            "projections.view_eventtypeactivity",
            "projections.view_dailyactivity",
            "projections.view_projectionstate",
            "projections.view_parkedevent",
            "projections.view_timer",
        )
    )
    return client


@pytest.fixture
def asgi_server(transactional_db: None) -> Iterator[AsgiServer]:
    with AsgiServer() as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    executable = shutil.which("chromium") or shutil.which("/usr/bin/chromium")
    if executable is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with Chromium(executable) as started:
        yield started


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Browser]:
    """A page without cookies, cache and history."""
    with Browser(chromium) as opened:
        yield opened


@pytest.fixture
def category_permissions(settings: Any, db: None) -> None:
    """The permissions of the categories `order` and `cart`, as `migrate` makes them."""
    settings.EVENTS_CATEGORY_PERMISSIONS = ["order", "cart"]
    authorization.create_permissions("default")


@pytest.fixture
def site() -> Iterator[Callable[[], None]]:
    """The admin's registrations, which a test may change; call it to have the addresses follow."""
    before = dict(admin.site._registry)

    def follow() -> None:
        from eventstore_project import urls

        importlib.reload(urls)
        clear_url_caches()

    yield follow
    admin.site._registry.clear()
    admin.site._registry.update(before)
    follow()


@pytest.fixture
def empty_database(db: None) -> Iterator[dict[str, Any]]:
    """Django's settings for another database on the same server, owned by a role that may do nothing else.

    There is a second one, with `_store` after its name.
    """
    with empty_databases("own_project") as settings:
        yield settings


@pytest.fixture
def own_project(tmp_path: Path, empty_database: dict[str, Any]) -> OwnProject:
    return OwnProject(tmp_path, empty_database)
