"""The shop's read models in the admin."""

from django.contrib import admin
from django.utils.safestring import SafeString

from events.admin.browsing import BrowsingAdmin, to_the_second
from events.admin.links import link, page_url

from .models import Order, Postage, ProductSales


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
        url = page_url(self.admin_site.name, "events_aggregate_change", order.order_id)
        return link(url, "timeline")


@admin.register(ProductSales)
class ProductSalesAdmin(BrowsingAdmin):
    list_display = ["sku", "quantity", "revenue"]
    ordering = ["sku"]
    search_fields = ["sku"]
    search_help_text = "The beginning of a product's number"
    prefix_field = "sku"


@admin.register(Postage)
class PostageAdmin(BrowsingAdmin):
    list_display = ["carrier", "parcels", "cost"]
    ordering = ["carrier"]
    search_fields = ["carrier"]
    search_help_text = "The beginning of a carrier's name"
    prefix_field = "carrier"
