"""The shop's read models in the admin."""

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.admin.browsing import BrowsingAdmin, to_the_second

from .models import Order, ProductSales


@admin.register(Order)
class OrderAdmin(BrowsingAdmin):
    list_display = ["order_id", "customer", "status", "total", "placed", "history"]
    list_filter = ["status"]
    ordering = ["order_id"]
    search_fields = ["order_id"]
    search_help_text = "The beginning of an order id"
    prefix_field = "order_id"

    @admin.display
    def placed(self, order: Order) -> SafeString:
        return to_the_second(order.placed_at)

    @admin.display
    def history(self, order: Order) -> SafeString:
        url = reverse("admin:events_aggregate_change", args=[quote(order.order_id)])
        return format_html('<a href="{}">timeline</a>', url)


@admin.register(ProductSales)
class ProductSalesAdmin(BrowsingAdmin):
    list_display = ["sku", "quantity", "revenue"]
    ordering = ["sku"]
    search_fields = ["sku"]
    search_help_text = "The beginning of a product's number"
    prefix_field = "sku"
