"""A JSON field that reads back exactly what was stored, by the rules of `jsontext`."""

from typing import Any

from django.db import models
from django.db.models.fields.json import KeyTransform

from . import jsonb


class ExactJSONField(models.JSONField):
    """`JSONField` whose numbers stay the numbers they were, and which is read with orjson where that is exact."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value is None or (isinstance(expression, KeyTransform) and not isinstance(value, str)):
            return value
        return jsonb.loads(value)
