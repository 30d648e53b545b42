"""Read models of every kind that the machinery must serve: counters, text keys, generated keys, foreign keys."""

from django.db import models


class Total(models.Model):
    """How many events, and how many of them have which number."""

    key = models.TextField(primary_key=True)
    count = models.BigIntegerField(default=0)


class ShardedTotal(models.Model):
    """A row per aggregate, with the versions seen in the order they came."""

    aggregate_id = models.TextField(primary_key=True)
    versions = models.JSONField(default=list)


class Case(models.Model):
    """An aggregate of the receipt log, by a generated key."""

    case_id = models.TextField(unique=True)
    last_activity = models.TextField()
    steps = models.IntegerField(default=0)


class Step(models.Model):
    """One activity of a case, in another table that refers to it."""

    case = models.ForeignKey(Case, models.CASCADE)
    number = models.BigIntegerField()
    activity = models.TextField()
    resource = models.TextField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "number"], name="readmodels_step_number")]


class FragileNote(models.Model):
    """A version of an aggregate, in the order they came."""

    aggregate_id = models.TextField()
    version = models.BigIntegerField()


class Note(models.Model):
    """Somebody else's table that refers to a read model by a key that follows from the events."""

    case = models.ForeignKey(Case, models.CASCADE, to_field="case_id")


class Pin(models.Model):
    """Somebody else's table that refers to a read model by its generated key, which changes in a rebuild."""

    case = models.ForeignKey(Case, models.CASCADE)


class Label(models.Model):
    """One side of many-to-many fields."""

    text = models.TextField(unique=True)


class Box(models.Model):
    """A model with a many-to-many field whose table Django makes, and one with a table of its own."""

    key = models.TextField(primary_key=True)
    labels = models.ManyToManyField(Label)
    owners = models.ManyToManyField(Label, through="Owning", related_name="owned")


class Owning(models.Model):
    """The table of a many-to-many field, with a column of its own."""

    box = models.ForeignKey(Box, models.CASCADE)
    label = models.ForeignKey(Label, models.CASCADE)
    version = models.BigIntegerField()


class Crate(Box):
    """A model in two tables."""

    weight = models.IntegerField()
