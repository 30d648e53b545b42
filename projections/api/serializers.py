"""The serializers of the projections and of the read models, with their examples."""

from enum import StrEnum

from rest_framework import serializers

from events.api.serializers import NameField, NumberField, PageSerializer
from projections import models


class ProjectionSerializer(serializers.Serializer):
    name = serializers.CharField()
    mode = serializers.CharField()
    version = serializers.IntegerField()
    rows_version = serializers.IntegerField(
        help_text="The version of the rows that are served; 0 if there are none yet."
    )
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


class ProjectionsSerializer(serializers.Serializer):
    projections = ProjectionSerializer(many=True)


class ParkedEventSerializer(serializers.Serializer):
    position = NumberField()
    aggregate_id = NameField()
    type = NameField()
    parked_at = serializers.DateTimeField()
    attempts = serializers.IntegerField()
    error = serializers.CharField(allow_blank=True)
    waits = serializers.BooleanField(help_text="Whether it waits behind an earlier event of its aggregate.")


class ParkedPageSerializer(PageSerializer):
    parked = ParkedEventSerializer(many=True)


class Health(StrEnum):
    OK = "ok"
    FAILING = "failing"


class HealthSerializer(serializers.Serializer):
    status = serializers.ChoiceField([each.value for each in Health])
    failing = serializers.ListField(child=serializers.CharField())
    reasons = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="By projection, for users who may see the projections."
    )


class AggregateActivitySerializer(serializers.ModelSerializer):
    aggregate_id = NameField()

    class Meta:
        model = models.AggregateActivity
        fields = "__all__"


class AggregateActivityPageSerializer(PageSerializer):
    activity = AggregateActivitySerializer(many=True)


class EventTypeActivitySerializer(serializers.ModelSerializer):
    type = NameField()

    class Meta:
        model = models.EventTypeActivity
        fields = "__all__"


class EventTypeActivityPageSerializer(PageSerializer):
    activity = EventTypeActivitySerializer(many=True)


class DailyActivitySerializer(serializers.ModelSerializer):
    class Meta:
        model = models.DailyActivity
        exclude = ["id"]


class DailyActivityPageSerializer(PageSerializer):
    activity = DailyActivitySerializer(many=True)


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
