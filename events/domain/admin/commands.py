"""The commands of an aggregate in the admin: a link on its page for each, and a form that runs it."""

from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from events import client_errors
from events.admin.aggregates import AggregateAction, AggregateAdmin
from events.admin.appending import not_stored
from events.admin.links import history_url
from events.domain.answers import KeyReused, answer_once
from events.domain.commands import Command, commands_of_aggregate
from events.domain.event_types import PayloadType
from events.domain.forms import PayloadForm, form_of_type
from events.domain.repository import Repository
from events.exceptions import EventStoreError
from events.routing import database
from events.storage.identity import derived_id
from events.visible import visible

TEMPLATE = "admin/events/aggregate/command.html"


def commands_for(request: HttpRequest, aggregate_id: str) -> list[tuple[str, str]]:
    """Return the names and the titles of the commands of an aggregate that a user may run."""
    found = commands_of_aggregate(aggregate_id).values()
    return [(each.name, each.title) for each in found if each.is_allowed(request.user)]


def command_page(model_admin: AggregateAdmin, request: HttpRequest, aggregate_id: str, name: str) -> HttpResponse:
    """Return the form of a command, or run the command and redirect to the aggregate.

    Raises:
        PermissionDenied: the user may not run the command.
        Http404: there is no such command.
    """
    command = commands_of_aggregate(aggregate_id).get(name)
    if command is None:
        raise Http404(f"There is no command {visible(name)} here")
    if not command.is_allowed(request.user):
        raise PermissionDenied
    form = _form_class(command)(request.POST or None) if request.method == "POST" else _form_class(command)()
    if request.method == "POST" and form.is_valid() and (version := _run(command, aggregate_id, form, request)):
        done = f"{command.title}: {visible(aggregate_id)} is at version {version} now."
        messages.success(request, done)
        return HttpResponseRedirect(history_url(request, aggregate_id) or request.path)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": command.title,
        "subtitle": visible(aggregate_id),
        "opts": model_admin.opts,
        "media": model_admin.media + form.media,
        "form": form,
        "command": command,
        "aggregate_id": aggregate_id,
        "back_url": history_url(request, aggregate_id),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, TEMPLATE, context)


def _form_class(command: Command) -> type[PayloadForm]:
    of_arguments = form_of_type(PayloadType(command.arguments_class, command.name, 1, ()))
    # The command runs once for each form that was shown, however often the browser sends it.
    once = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)
    return type("CommandForm", (of_arguments,), {_ONCE: once, "without": frozenset({_ONCE})})


_ONCE = "_once"


def _run(command: Command, aggregate_id: str, form: PayloadForm, request: HttpRequest) -> int:
    """Run a command, and return the version of the aggregate; 0 if it failed, and the form has the error."""
    using = database()
    arguments = command.arguments(form.payload_data)

    def run() -> dict[str, Any]:
        repository = Repository(command.aggregate_class, using=using)
        with client_errors.shown(request.user, named=[aggregate_id]):
            handled = repository.run(aggregate_id, lambda each: command.call(each, arguments), command.method)
        return {"version": handled.version}

    once = str(form.cleaned_data[_ONCE])
    key = derived_id(using, "command form", str(request.user.pk), aggregate_id, command.name, once)
    try:
        return int(answer_once(key, form.payload_data, run, using)["version"])
    except KeyReused:
        form.add_error(None, "You have already sent this form. Open it again to run the command another time.")
    except EventStoreError as error:
        form.add_error(None, not_stored(error))
    return 0


if all(action.name != "events_aggregate_command" for action in AggregateAdmin.actions_of_others):
    AggregateAdmin.actions_of_others.append(
        AggregateAction("commands", "events_aggregate_command", commands_for, command_page)
    )
