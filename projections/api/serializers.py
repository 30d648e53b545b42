"""The serializers of the projections and of the read models, with their examples."""

from enum import StrEnum

from rest_framework import serializers

from events.api.serializers import NameField, NumberField, PageSerializer, examples
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
    missed = serializers.IntegerField(help_text="Events that were stored without it; INLINE only.")
    retrying = serializers.IntegerField(help_text="Failed events that are retried in the background.")
    parked = serializers.IntegerField(help_text="Events that failed too often, and those that wait behind them.")
    last_error = serializers.CharField(allow_blank=True)
    attempts = serializers.IntegerField(help_text="How often the event that is retried next has failed.")
    next_attempt_at = serializers.DateTimeField(allow_null=True, help_text="When this event is retried.")
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
    next_attempt_at = serializers.DateTimeField(
        allow_null=True, help_text="When it is retried in the background; null if it is parked, or waits."
    )


class ParkedPageSerializer(PageSerializer):
    parked = ParkedEventSerializer(many=True)


class TimerSerializer(serializers.Serializer):
    id = NumberField()
    reaction = serializers.CharField()
    is_gone = serializers.BooleanField(help_text="Whether no reaction of the code has this name, so it never fires.")
    key = NameField()
    due_at = serializers.DateTimeField(help_text="The timestamp of the event.")
    scheduled_at = serializers.DateTimeField()
    source_position = NumberField(help_text="Of the event because of which it was scheduled.")
    aggregate_id = NameField(help_text="Of the event that it stores, as the type.")
    type = NameField()
    attempts = serializers.IntegerField(help_text="How often the event was rejected.")
    next_attempt_at = serializers.DateTimeField(
        allow_null=True, help_text="When it fires, or is retried; null if its event was rejected too often."
    )
    error = serializers.CharField(allow_blank=True)


class TimerPageSerializer(PageSerializer):
    timers = TimerSerializer(many=True)


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


PROJECTION, PARKED, TIMERS, AGGREGATE, TYPE, DAY = examples(__package__).values()
