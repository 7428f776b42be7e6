"""The API said in OpenAPI 3.1, from the models that read the requests."""

from typing import Any

from mta.model.ruling import Cause

from mta.edge.api.forms import BatchForm, MessageForm
from mta.edge.api.problems import PROBLEM

_STRING = {"type": "string"}
_MOMENT = {"type": "string", "format": "date-time"}
_ADDRESS = {"type": "string", "format": "email"}
_SCHEMAS: dict[str, Any] = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457; `errors` names each field at fault",
        "required": ["title", "status", "detail"],
        "properties": {
            "title": _STRING,
            "status": {"type": "integer"},
            "detail": _STRING,
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "detail"],
                    "properties": {"field": _STRING, "detail": _STRING},
                },
            },
        },
    },
    "Receipt": {
        "type": "object",
        "description": "A message that is on disk, and will be delivered or reported",
        "required": ["id", "message_id", "warnings"],
        "properties": {
            "id": _STRING,
            "message_id": _STRING,
            "warnings": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["code", "detail"],
                    "properties": {"code": _STRING, "detail": _STRING},
                },
            },
        },
    },
    "Trace": {
        "type": "object",
        "description": "A message, and what became of each recipient",
        "required": ["id", "message_id", "accepted_at", "settled_at", "recipients"],
        "properties": {
            "id": _STRING,
            "message_id": _STRING,
            "accepted_at": _MOMENT,
            "settled_at": {"anyOf": [_MOMENT, {"type": "null"}]},
            "recipients": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["address", "state", "at", "attempts"],
                    "properties": {
                        "address": _STRING,
                        "state": {"enum": ["queued", "deferred", "delivered", "failed"]},
                        "at": _MOMENT,
                        "attempts": {"type": "integer"},
                        "next_at": _MOMENT,
                        "reply": {"type": "object"},
                        "cause": {"enum": [str(cause) for cause in Cause]},
                        "rule": _STRING,
                        "host": {"type": "object"},
                        "tls": {"type": "object"},
                    },
                },
            },
        },
    },
    "Results": {
        "type": "object",
        "required": ["results"],
        "properties": {
            "results": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["status"],
                    "properties": {
                        "status": {"type": "integer"},
                        "message": {"$ref": "#/components/schemas/Receipt"},
                        "problem": {"$ref": "#/components/schemas/Problem"},
                    },
                },
            }
        },
    },
    "Health": {
        "type": "object",
        "required": ["status", "queue"],
        "properties": {"status": _STRING, "queue": {"type": "integer"}},
    },
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same request is answered again, and sends nothing again",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_QUERY = [
    {"name": "from", "description": "The sender", "schema": _ADDRESS},
    {"name": "to", "description": "The recipients", "schema": {"type": "array", "items": _ADDRESS}},
    {"name": "strict", "schema": {"enum": ["true", "false"]}},
]
_ENVELOPE = [
    one
    | {
        "in": "query",
        "required": False,
        "description": f"{one.get('description', '')} (message/rfc822 alone)".strip(),
    }
    for one in _QUERY
]


def document() -> dict[str, Any]:
    """The whole of it, as plain values."""
    schemas = dict(_SCHEMAS)
    for form in (MessageForm, BatchForm):
        schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[form.__name__] = schema
    return {
        "openapi": "3.1.0",
        "info": {"title": "mta", "version": "1", "description": "Hand in mail, and ask after it."},
        "paths": {
            "/healthz": {"get": _operation("Whether mail is taken", "Health", open_to_all=True)},
            "/v1/messages": {
                "post": _operation(
                    "Send a message",
                    "Receipt",
                    status=202,
                    body={
                        "application/json": {"schema": _reference("MessageForm")},
                        "message/rfc822": {"schema": {"type": "string", "format": "binary"}},
                    },
                    parameters=[_KEY, *_ENVELOPE],
                )
            },
            "/v1/messages/{id}": {
                "get": _operation(
                    "Say what became of a message",
                    "Trace",
                    parameters=[
                        {
                            "name": "id",
                            "in": "path",
                            "required": True,
                            "schema": {"type": "string", "pattern": "^[0-9a-z]{1,64}$"},
                        }
                    ],
                )
            },
            "/v1/messages/batch": {
                "post": _operation(
                    "Send several messages, each taken or refused for itself",
                    "Results",
                    body={"application/json": {"schema": _reference("BatchForm")}},
                    parameters=[_KEY],
                )
            },
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    summary: str,
    result: str,
    *,
    status: int = 200,
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
    open_to_all: bool = False,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "security": [] if open_to_all else [{"token": []}],
        "parameters": parameters or [],
        "responses": {
            str(status): {
                "description": "Done",
                "content": {"application/json": {"schema": _reference(result)}},
            },
            "default": {
                "description": "What is wrong",
                "content": {PROBLEM: {"schema": _reference("Problem")}},
            },
        },
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
