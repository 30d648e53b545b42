"""The alert rules: Prometheus' own tool accepts them, they fire when they should, and the runbook has each of them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from django.test import Client

from events.store import EventStore
from projections.engine.registration import register_all
from tests import ROOT
from tests.support import new

ALERTS = ROOT / "docs/alerts.yml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
TOKEN = "a-token-of-the-settings"

# For each alert, a series that fires it within ten minutes, and one that does not.
OF_TALLY = 'name="tally",kind="projection"'
FIRING = {
    "EventStoreDown": ('up{job="event store"}', "0", "1"),
    "AppendStaysOpen": ("events_oldest_open_append_seconds", "301", "299"),
    "EventsUnsealed": ("events_oldest_unsealed_seconds", "90000", "3600"),
    "TransactionIdsRunOut": ("events_oldest_unfrozen_transactions", "1100000000", "150000000"),
    "ProjectionStopped": (f'projections_status{{{OF_TALLY},status="stopped"}}', "1", "0"),
    "ProjectionLags": (f"projections_lag_seconds{{{OF_TALLY}}}", "61", "59"),
    "NoWorker": (f'projections_status{{{OF_TALLY},status="no worker"}}', "1", "0"),
    "EventsParked": (f"projections_parked_events{{{OF_TALLY}}}", "1", "0"),
    "SystemUnavailable": (f"projections_unavailable_seconds{{{OF_TALLY}}}", "601", "0"),
    "TimersRejected": ("projections_rejected_timers", "1", "0"),
    "ProjectionMissesEvents": (f"projections_missed_events{{{OF_TALLY}}}", "1", "0"),
}

# What each alert of FIRING says.
SAYS = {
    "EventStoreDown": "The metrics of the event store cannot be read.",
    "AppendStaysOpen": "A transaction that has appended has been open for 5m 1s. Readers wait for it.",
    "EventsUnsealed": "Events have not been sealed for 1d 1h 0m 0s.",
    "TransactionIdsRunOut": "The oldest transaction id is 1.1G transactions old. PostgreSQL stops before 2.1G.",
    "ProjectionStopped": "projection tally is stopped.",
    "ProjectionLags": "projection tally lags 1m 1s behind.",
    "NoWorker": "No worker runs projection tally.",
    "EventsParked": "projection tally has 1 parked events.",
    "SystemUnavailable": "A system that tally needs has been away for 10m 1s.",
    "TimersRejected": "The events of 1 timers were rejected.",
    "ProjectionMissesEvents": "The rows of tally miss 1 events.",
}


def promtool(*arguments: str | Path, text: str = "") -> str:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    done = subprocess.run([tool, *arguments], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_are_valid() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", ALERTS)


@pytest.mark.django_db(transaction=True)
def test_metrics_are_as_prometheus_wants_them(store: EventStore, settings: object) -> None:
    text = metrics(store, settings)
    assert promtool("check", "metrics", text=text) == ""


@pytest.mark.django_db(transaction=True)
def test_rules_use_metrics_that_exist(store: EventStore, settings: object) -> None:
    known = set(re.findall(r"^# TYPE (\w+)", metrics(store, settings), flags=re.MULTILINE)) | {"up"}
    for rule in RULES:
        used = set(re.findall(r"\b(?:events|projections)_\w+|\bup\b", rule["expr"]))
        assert used, rule
        assert used <= known, used - known


def metrics(store: EventStore, settings: object) -> str:
    settings.EVENTS_METRICS_TOKEN = TOKEN  # type: ignore[attr-defined]
    register_all()
    store.dispatch(new("a-1"))
    return Client().get("/api/metrics/", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()


def test_each_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    assert {rule["alert"] for rule in RULES} == FIRING.keys()
    tests = []
    for name, (series, bad, good) in FIRING.items():
        labels = dict(re.findall(r'(\w+)="([^"]*)"', series))
        for value, fires in ((bad, True), (good, False)):
            (rule,) = [each for each in RULES if each["alert"] == name]
            says = {**rule["annotations"], "summary": SAYS[name]}
            expected = [{"exp_labels": {**labels, **rule["labels"]}, "exp_annotations": says}] if fires else []
            # What the other rules need to be quiet.
            quiet = [] if name == "EventStoreDown" else [{"series": 'up{job="event store"}', "values": "1x20"}]
            tests.append(
                {
                    "interval": "1m",
                    "input_series": [{"series": series, "values": f"{value}x20"}, *quiet],
                    "alert_rule_test": [{"eval_time": "10m", "alertname": name, "exp_alerts": expected}],
                }
            )
    # A paused projection may lag.
    paused = {"series": f'projections_status{{{OF_TALLY},status="paused"}}', "values": "1x20"}
    lags = {"series": f"projections_lag_seconds{{{OF_TALLY}}}", "values": "999x20"}
    quiet_test = [{"eval_time": "10m", "alertname": "ProjectionLags", "exp_alerts": []}]
    tests.append({"interval": "1m", "input_series": [paused, lags], "alert_rule_test": quiet_test})
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", file)


def test_each_alert_has_a_section_in_the_runbook() -> None:
    sections = re.split(r"^## ", (ROOT / "docs/runbook.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    by_name = {section.splitlines()[0]: section for section in sections}
    assert by_name.keys() == {rule["alert"] for rule in RULES}
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        section = by_name[rule["alert"]]
        assert all(part in section for part in ("**It means**", "**Look at**", "**Do**"))
