from django.contrib.auth.models import AbstractUser


class Person(AbstractUser):
    """Somebody who may log in."""
