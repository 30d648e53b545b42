"""The answers of the projections' addresses, described for the schema."""

from rest_framework import serializers

from events.api.serializers import NameField, NumberField, Page
from projections import models


class Projection(serializers.Serializer):
    name = serializers.CharField()
    mode = serializers.CharField()
    version = serializers.IntegerField()
    rows_version = serializers.IntegerField(help_text="The version of the rows that are served; 0: none yet.")
    status = serializers.CharField()
    status_reason = serializers.CharField(allow_blank=True, help_text="Why it is not running.")
    position = NumberField()
    lag_events = serializers.IntegerField(help_text="Counted up to 10,000.")
    lag_seconds = serializers.FloatField()
    rate = serializers.FloatField(help_text="Events per second, lately.")
    parked = serializers.IntegerField()
    last_error = serializers.CharField(allow_blank=True)
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    rebuild = serializers.FloatField(allow_null=True, help_text="How much of a rebuild is done, from 0 to 1.")


class Projections(serializers.Serializer):
    projections = Projection(many=True)


class ParkedEvent(serializers.Serializer):
    position = NumberField()
    aggregate_id = NameField()
    type = NameField()
    parked_at = serializers.DateTimeField()
    attempts = serializers.IntegerField()
    error = serializers.CharField(allow_blank=True)
    waits = serializers.BooleanField(help_text="Whether it only waits behind an earlier one of its aggregate.")


class ParkedPage(Page):
    parked = ParkedEvent(many=True)


class Health(serializers.Serializer):
    status = serializers.ChoiceField(["ok", "failing"])
    failing = serializers.ListField(child=serializers.CharField())
    reasons = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="By projection, for those who may see them."
    )


class AggregateActivity(serializers.ModelSerializer):
    aggregate_id = NameField()

    class Meta:
        model = models.AggregateActivity
        fields = "__all__"


class AggregateActivityPage(Page):
    activity = AggregateActivity(many=True)


class EventTypeActivity(serializers.ModelSerializer):
    type = NameField()

    class Meta:
        model = models.EventTypeActivity
        fields = "__all__"


class EventTypeActivityPage(Page):
    activity = EventTypeActivity(many=True)


class DailyActivity(serializers.ModelSerializer):
    class Meta:
        model = models.DailyActivity
        exclude = ["id"]


class DailyActivityPage(Page):
    activity = DailyActivity(many=True)


_MOMENT = "2030-01-31T12:00:00.113000+00:00"
PROJECTION = {
    "name": "daily_activity",
    "mode": "ASYNC",
    "version": 1,
    "rows_version": 1,
    "status": "running",
    "status_reason": "",
    "position": 7,
    "lag_events": 0,
    "lag_seconds": 0.0,
    "rate": 12.5,
    "parked": 0,
    "last_error": "",
    "attempts": 0,
    "next_attempt_at": None,
    "rebuild": None,
}
PARKED = {
    "parked": [
        {
            "position": 7,
            "aggregate_id": "order-18",
            "type": "OrderPlaced",
            "parked_at": _MOMENT,
            "attempts": 5,
            "error": "KeyError: 'customer'",
            "waits": False,
        }
    ],
    "next": None,
}
AGGREGATE = {
    "aggregate_id": "order-18",
    "event_count": 1,
    "first_type": "OrderPlaced",
    "first_timestamp": _MOMENT,
    "first_recorded_at": _MOMENT,
    "last_type": "OrderPlaced",
    "last_timestamp": _MOMENT,
    "last_recorded_at": _MOMENT,
}
TYPE = {
    "type": "OrderPlaced",
    "event_count": 1,
    "first_position": 7,
    "last_position": 7,
    "first_recorded_at": _MOMENT,
    "last_recorded_at": _MOMENT,
}
DAY = {"day": "2030-01-31", "category": "order", "event_count": 1}
