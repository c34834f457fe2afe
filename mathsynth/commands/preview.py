"""A recipe on a few seeds, to read before anything big is spent: the exact prompts, the replies, the verdicts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mathsynth.backends.base import Message, Reply, Request, texts
from mathsynth.errors import RunError
from mathsynth.limits import always
from mathsynth.pipeline import Options, generate
from mathsynth.recipe import Recipe, Step
from mathsynth.records import Record, Solution
from mathsynth.shards import REJECTED, open_lines, parse_row, read_dropped, read_failed, read_manifest, read_rows

Asked = tuple[str, Request, Reply]


def preview(recipe: Recipe, options: Options) -> Iterator[str]:
    """Run a recipe (its input already limited) in a scratch directory; everything that was asked, then what came out.

    RunError after all that, if the recipe did not get to its end.
    """
    asked: list[Asked] = []
    watched = replace(options, watch=lambda step, request, reply: asked.append((step, request, reply)))
    recipe = replace(recipe, steps=tuple(_at_once(_showing_wrong(step)) for step in recipe.steps))
    with tempfile.TemporaryDirectory(prefix="mathsynth-preview-") as scratch:
        run, stopped = Path(scratch) / "run", ""
        try:
            generate(recipe, run, watched)
        except RunError as error:
            # The places that it names are gone in a moment; what it says of them is shown here.
            stopped = str(error).partition(";")[0]
        for step in recipe.steps[1:]:
            yield f"━━ {step.name}"
            graded = _graded(run / step.directory)
            yield from _conversations([item for item in asked if item[0] == step.name], graded)
            yield from _outcome(run / step.directory)
    if stopped:
        raise RunError(stopped)


def _showing_wrong(step: Step) -> Step:
    """The step with its wrong samples written down, so that their verdicts can be shown."""
    if "keep_wrong" not in type(step.config).model_fields:
        return step
    return replace(step, config=step.config.model_copy(update={"keep_wrong": True}))


def _at_once(step: Step) -> Step:
    """The step with its models asked live, for nobody waits a day for a preview."""
    live = {"batch": None, "max_in_flight": always(4)}
    models = {name: model.model_copy(update=live) if model.patient else model for name, model in step.models.items()}
    return replace(step, models=models)


def _graded(directory: Path) -> list[Solution]:
    """The samples of a step that have a verdict, kept or not."""
    rows = [row for row in _kept(directory) if isinstance(row, Solution)]
    path = directory / REJECTED
    return rows + [parse_row(line, Solution, str(path)) for line in open_lines(path)] if path.exists() else rows


def _conversations(asked: list[Asked], graded: list[Solution]) -> Iterator[str]:
    """Conversation by conversation, without the turns that the one before began with too; the replies, the verdicts."""
    by_conversation: dict[str, list[Asked]] = {}
    for item in asked:
        by_conversation.setdefault(texts(item[1].messages), []).append(item)
    ordered = [item for same in by_conversation.values() for item in sorted(same, key=lambda item: item[1].sample)]
    before: tuple[Message, ...] = ()
    for number, (_, request, reply) in enumerate(ordered, 1):
        conversation = texts(request.messages)
        said = "[the same conversation]" if request.messages == before else _less(request.messages, before)
        before = request.messages
        yield f"── request {number}, sample {request.sample}, model {request.model}\n{said}"
        yield f"── reply {number} ({reply.finish_reason}, {reply.usage.completion_tokens} tokens)\n{reply.text}"
        # A retelling may hold its whole source: the longest question in the conversation is the one that was asked.
        rows = [row for row in graded if row.seed == request.sample and row.question in conversation]
        # Thinking may have been cut from the text, or put before it.
        rows = [row for row in rows if reply.text.endswith(row.response) or row.response.endswith(reply.text)]
        for row in sorted(rows, key=lambda row: -len(row.question))[:1]:
            yield f"── verdict {number}: {_verdict(row)}"


def _less(messages: tuple[Message, ...], before: tuple[Message, ...]) -> str:
    same = 0
    while same < min(len(before), len(messages) - 1) and before[same] == messages[same]:
        same += 1
    return ("[begins like the one above]\n\n" if same else "") + texts(messages[same:])


def _outcome(directory: Path) -> Iterator[str]:
    for row in _kept(directory):
        if isinstance(row, Solution):
            yield f"── kept {row.id}: {_verdict(row)}"
        else:
            yield f"── kept {row.id} ({row.method}): {row.question}"
    if not directory.exists():
        return
    for dropped in read_dropped(directory):
        yield f"── dropped {dropped.row.get('id', '')}: {dropped.reason} {dropped.detail}"
    for failed in read_failed(directory):
        yield f"── failed {failed.row.get('id', '')}: {failed.error}"


def _kept(directory: Path) -> Iterator[Record]:
    manifest = read_manifest(directory)
    return read_rows(directory, [shard.file for shard in manifest.shards]) if manifest else iter(())


def _verdict(row: Solution) -> str:
    answer = f"answer {row.extracted}" if row.extracted is not None else "no answer"
    return f"{row.verdict.outcome}, {answer} for {row.answer} ({row.verdict.rule})"
