"""The same project with its event store, and what is projected from it, in another database."""

from .settings import *
from .settings import DATABASES

DATABASES["store"] = {**DATABASES["default"], "NAME": DATABASES["default"]["NAME"] + "_store", "OPTIONS": {}}
DATABASE_ROUTERS = ["shop.routers.StoreRouter"]
