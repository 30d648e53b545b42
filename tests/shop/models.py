"""The read models of a shop whose events have no classes, and whose data may be incomplete."""

from django.db import models


class Order(models.Model):
    """The present state of an order, up to date when its event is stored."""

    order_id = models.TextField(primary_key=True, db_collation="C")
    customer = models.TextField()
    status = models.TextField()
    total = models.DecimalField(max_digits=12, decimal_places=2)
    placed_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.order_id


class ProductSales(models.Model):
    """The ordered quantity and the revenue of a product."""

    sku = models.TextField(primary_key=True, db_collation="C")
    quantity = models.BigIntegerField()
    revenue = models.DecimalField(max_digits=14, decimal_places=2)

    class Meta:
        verbose_name_plural = "product sales"

    def __str__(self) -> str:
        return self.sku
