from projections.base import ASYNC, Projection, handles
from projections.registry import register

from .models import Sale


@register
class Sales(Projection):
    name = "sales"
    mode = ASYNC
    models = [Sale]

    @handles("OrderPlaced")
    def count(self, event):
        sale, _ = Sale.objects.get_or_create(order=event.aggregate_id)
        sale.count += 1
        sale.save()
