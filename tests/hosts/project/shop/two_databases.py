"""The same project with its event store, and what is projected from it, in another database."""

from tests.hosts.project.shop.settings import *
from tests.hosts.project.shop.settings import DATABASES

DATABASES["store"] = {**DATABASES["default"], "NAME": DATABASES["default"]["NAME"] + "_store", "OPTIONS": {}}
DATABASE_ROUTERS = ["shop.routers.StoreRouter"]
