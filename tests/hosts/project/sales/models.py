from django.db import models


class Sale(models.Model):
    """How often something was ordered."""

    order = models.TextField(primary_key=True)
    count = models.IntegerField(default=0)
