from django.db import models


class Event(models.Model):
    """Something that takes place somewhere."""

    place = models.CharField(max_length=100)
