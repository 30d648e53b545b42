"""Which app is in which database."""

STORED = {"events", "projections", "sales"}


class StoreRouter:
    def db_for_read(self, model, **hints):
        return "store" if model._meta.app_label in STORED else "default"

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return (db == "store") == (app_label in STORED)
