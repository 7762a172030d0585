"""The events as an AsyncAPI 3 document, from the contracts.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import json
from typing import Any

from healthcare_contracts.schemas import FOLDER, committed
from healthcare_contracts.topics import TOPICS, Topic

FILE = FOLDER.parent / "asyncapi.json"


def document() -> dict[str, Any]:
    """The document: a channel for each topic, a message for each event type in its newest version."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Healthcare Platform: events",
            "version": "1.0.0",
            "description": (
                "Delivered at least once and in order for each key. `data.version` orders the events of a subject; "
                "readers ignore fields that they do not know, and read a null value as nothing."
            ),
            "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": {"host": "localhost:9094", "protocol": "kafka", "description": "KAFKA_BOOTSTRAP_SERVERS"}},
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {name: each for topic in TOPICS for name, each in _operations(topic).items()},
        "components": {"messages": {kind: _message(kind) for topic in TOPICS for kind in topic.types}},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    kept = "the last event of each key, for ever" if topic.compacted else f"{topic.retention_days} days"
    return {
        "address": topic.name,
        "description": f"Written by {_sender(topic)}. Keeps {kept}. The key is {_key(topic)}.",
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in topic.types},
        "bindings": {"kafka": {"topic": topic.name, "topicConfiguration": _configuration(topic)}},
    }


def _configuration(topic: Topic) -> dict[str, Any]:
    kept = topic.config.get("retention.ms")
    return {"cleanup.policy": [topic.config["cleanup.policy"]], **({"retention.ms": int(kept)} if kept else {})}


def _sender(topic: Topic) -> str:
    return " and ".join(topic.producers)


def _key(topic: Topic) -> str:
    absent = f", or {topic.absent_key} where there is none" if topic.absent_key else ""
    return f"data.{topic.key_field} as text{absent}"


def _operations(topic: Topic) -> dict[str, Any]:
    channel = {"$ref": f"#/channels/{topic.name}"}
    sent = {"action": "send", "channel": channel, "summary": f"{_sender(topic)} tells"}
    read = {
        f"{group} reads {topic.name}": {
            "action": "receive",
            "channel": channel,
            "summary": f"consumer group {group}; what it cannot read goes to {topic.name}.{group}.dlq",
        }
        for group in topic.groups
    }
    return {f"send {topic.name}": sent, **read}


def _message(kind: str) -> dict[str, Any]:
    published = committed(kind)
    schema = {key: value for key, value in published[max(published)].items() if key != "$schema"}
    headers = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("type", "x-request-id", "traceparent")},
    }
    return {
        "name": kind,
        "title": kind,
        "contentType": "application/json",
        "headers": headers,
        "payload": {"schemaFormat": "application/schema+json;version=draft-07", "schema": _local(schema)},
        "bindings": {"kafka": {"key": {"type": "string", "format": "uuid"}}},
    }


def _local(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without references, which would point into the whole document."""
    definitions = schema.get("$defs", {})

    def inlined(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return inlined(definitions[node["$ref"].rpartition("/")[2]])
            return {key: inlined(value) for key, value in node.items() if key != "$defs"}
        return [inlined(each) for each in node] if isinstance(node, list) else node

    found: dict[str, Any] = inlined(schema)
    return found


def text() -> str:
    """The document as it stands in its file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
