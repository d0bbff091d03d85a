"""The schemas of the wallboard's OpenAPI description."""

from __future__ import annotations

import json

import jsonschema

from sipqueue_async.wallboard.api import description


def validator(name: str) -> jsonschema.Draft202012Validator:
    """Return the validator of a schema of the description, which refuses fields that it does not list."""
    document = json.loads(description())
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **document})
