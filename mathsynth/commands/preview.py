"""A recipe on a few seeds, to read before anything big is spent: the exact prompts, the replies, the verdicts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mathsynth.backends.base import Reply, Request, texts
from mathsynth.pipeline import Options, generate
from mathsynth.recipe import Recipe
from mathsynth.records import Solution
from mathsynth.shards import read_dropped, read_failed, read_manifest, read_rows


def preview(recipe: Recipe, options: Options) -> Iterator[str]:
    """Run a recipe (its input already limited) in a scratch directory: what was asked, then what came out."""
    asked: list[tuple[str, Request, Reply]] = []
    watched = replace(options, watch=lambda step, request, reply: asked.append((step, request, reply)))
    with tempfile.TemporaryDirectory(prefix="mathsynth-preview-") as scratch:
        run = Path(scratch) / "run"
        generate(recipe, run, watched)
        for step in recipe.steps[1:]:
            yield f"━━ {step.name}"
            for number, (_, request, reply) in enumerate([item for item in asked if item[0] == step.name], 1):
                yield f"── request {number}, sample {request.sample}, model {request.model}\n{texts(request.messages)}"
                yield f"── reply {number} ({reply.finish_reason}, {reply.usage.completion_tokens} tokens)\n{reply.text}"
            yield from _outcome(run / step.directory)


def _outcome(directory: Path) -> Iterator[str]:
    manifest = read_manifest(directory)
    for row in read_rows(directory, [shard.file for shard in manifest.shards] if manifest else []):
        if isinstance(row, Solution):
            verdict = f"{row.verdict.outcome} by the rule {row.verdict.rule}"
            yield f"── kept {row.id}: {verdict}; answer {row.extracted}, reference {row.answer}"
        else:
            yield f"── kept {row.id} ({row.method}): {row.question}"
    for dropped in read_dropped(directory):
        yield f"── dropped {dropped.row.get('id', '')}: {dropped.reason} {dropped.detail}"
    for failed in read_failed(directory):
        yield f"── failed {failed.row.get('id', '')}: {failed.error}"
