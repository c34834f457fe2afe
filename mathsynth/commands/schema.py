"""The JSON schema of recipes, put together from the configs themselves, with their sentences."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from mathsynth.backends import backend_names, load_backend
from mathsynth.methods import load_method, method_names
from mathsynth.recipe import INPUT, Head
from mathsynth.settings import keys_of
from mathsynth.stages import load_stage, stage_names
from mathsynth.verifier import Policy


def recipe_schema() -> dict[str, Any]:
    """A draft 2020-12 schema."""
    definitions: dict[str, Any] = {}
    stages = {name: _schema(load_stage(name).Config, definitions) for name in stage_names()}
    stages["seed-expand"]["properties"]["methods"] = {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {name: _schema(load_method(name).Config, definitions) for name in method_names()},
    }
    backends = []
    for name in backend_names():
        model = _schema(load_backend(name).Config, definitions)
        model["properties"]["backend"] = {"const": name}
        backends.append(model)
    sources = stages.pop(INPUT)
    head = _schema(Head, definitions)
    head["properties"] |= {
        "extends": {"type": "string", "description": "A recipe whose keys hold where this one says nothing."},
        "input": {"anyOf": [{"type": "string"}, {"type": "array"}, sources]},
        "models": {"type": "object", "additionalProperties": {"anyOf": backends}},
        "verifier": _schema(Policy, definitions),
        "steps": {
            "type": "object",
            "properties": stages,
            # A step may have a name of its own and say which stage it is.
            "additionalProperties": {"type": "object", "required": ["stage"]},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mathsynth recipe",
        **head,
        "$defs": definitions,
    }


def _schema(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/$defs/{model}")
    definitions |= schema.pop("$defs", {})
    sentences = {key: text for key, _, text in keys_of(model)}
    for key, field in schema.get("properties", {}).items():
        field["description"] = sentences.get(key, "")
    return schema
