"""The read models over HTTP."""

from django_filters import rest_framework as filters
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.serializers import ModelSerializer

from events.api.permissions import ModelPermissions
from projections.models import AggregateActivity


class AggregateActivitySerializer(ModelSerializer):
    class Meta:
        model = AggregateActivity
        fields = "__all__"


class ByAggregateId(CursorPagination):
    ordering = "aggregate_id"
    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 1000


class AggregateActivityFilter(filters.FilterSet):
    starts_with = filters.CharFilter("aggregate_id", "startswith", help_text="Aggregates whose id starts so.")
    last_type = filters.CharFilter(help_text="Aggregates whose last event is of this type.")

    class Meta:
        model = AggregateActivity
        fields: list[str] = []


class AggregateActivityList(ListAPIView):
    """What has happened to each aggregate, by aggregate id."""

    permission_classes = [ModelPermissions]
    queryset = AggregateActivity.objects.all()
    serializer_class = AggregateActivitySerializer
    pagination_class = ByAggregateId
    filter_backends = [filters.DjangoFilterBackend]
    filterset_class = AggregateActivityFilter


class AggregateActivityDetail(RetrieveAPIView):
    """What has happened to one aggregate."""

    permission_classes = [ModelPermissions]
    queryset = AggregateActivity.objects.all()
    serializer_class = AggregateActivitySerializer
