from django.db import models


class Event(models.Model):
    """A concert, say. Its name and its app's are like those of the event store."""

    name = models.CharField(max_length=100)
