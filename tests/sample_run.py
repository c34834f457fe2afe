"""A run directory as the pipeline writes it, made without a model: the same bytes for the same arguments."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from mathsynth.records import Difficulty, Dropped, Failed, Problem, Solution, Usage, Verdict
from mathsynth.shards import Counts, Manifest, ModelUse, seal, to_json_line, to_line

MODEL = "SmolLM2-135M-Instruct"
STEPS = (
    ("input", "input", "00-input-9a1c44e0"),
    ("seed-expand", "seed-expand", "01-seed-expand-7311f4bf"),
    ("persona-rewrite", "persona-rewrite", "02-persona-rewrite-91c0aa17"),
    ("sample", "sample", "03-sample-5be20d31"),
    ("verify", "verify", "04-verify-c2f6610e"),
    ("dedupe", "dedupe", "05-dedupe-0d9e8b72"),
    ("export", "export", "06-export-e41a73c5"),
)
RECIPE = """name: fake
description: A run made up for tests.
models:
  teacher: {backend: llamacpp, model: SmolLM2-135M-Instruct, temperature: 0.8}
steps:
  seed-expand: {methods: {rephrase: {}, backward: {}, evolve: {}}}
  persona-rewrite: {kind: keep}
  sample: {policy: uniform, k: 4, max_trials: 16}
  verify: {}
  dedupe: {}
  export: {format: messages}
"""
HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> & </details>"


def write_run(run: Path, *, seeds: int = 60, steps: int = len(STEPS), hostile: bool = False) -> Path:
    """Write the first `steps` steps of a run that began with so many seeds; the others are left unfinished."""
    rng = random.Random(seeds)
    run.mkdir(parents=True, exist_ok=True)
    text = RECIPE + (f"# {HOSTILE}\n" if hostile else "")
    (run / "recipe.yaml").write_text(text)
    listed = [{"step": step, "stage": stage, "directory": name} for step, stage, name in STEPS]
    (run / "steps.json").write_bytes(orjson.dumps({"schema": 1, "steps": listed}))
    rows: list[Any] = []
    for number, make in enumerate((_input, _expand, _rewrite, _sample, _verify, _dedupe, _export)[:steps]):
        step, stage, name = STEPS[number]
        directory = run / name
        directory.mkdir()
        out, extra = make(rows, rng, hostile) if number else _input(seeds, rng, hostile)
        rows = finish(directory, step, stage, rows, out, extra, calls=CALLS.get(stage, 0))
    return run


CALLS = {"seed-expand": 120, "persona-rewrite": 55, "sample": 1400}


def finish(
    directory: Path,
    step: str,
    stage: str,
    read: list[Any],
    out: list[BaseModel],
    extra: dict[str, list[dict[str, Any]]],
    calls: int = 0,
) -> list[Any]:
    """Write what a stage yielded, with its manifest; the kept rows."""
    kept = [row for row in out if not isinstance(row, Dropped | Failed)]
    dropped = [row for row in out if isinstance(row, Dropped)]
    failed = [row for row in out if isinstance(row, Failed)]
    shards = []
    for start in range(0, len(kept), 100):
        path = directory / f"{start // 100:05d}.jsonl"
        _write(path, [to_line(row) for row in kept[start : start + 100]])
        shards.append(seal(path))
    _write(directory / "dropped.jsonl", [to_line(row) for row in dropped])
    _write(directory / "failed.jsonl", [to_line(row) for row in failed])
    for name, lines in extra.items():
        _write(directory / name, [to_json_line(line) for line in lines])
    named = {shard.file for shard in shards}
    use = ModelUse(
        model=MODEL,
        requests=calls,
        reused=3,
        prompt_tokens=90 * calls,
        completion_tokens=130 * calls,
        timed=130 * calls,
        seconds=calls / 5,
    )
    manifest = Manifest(
        stage=stage,
        step=step,
        key="0" * 32,
        counts=Counts(
            read=len(read) or len(kept) + len(dropped),
            kept=len(kept),
            dropped=_count([row.reason for row in dropped]),
            failed=_count([row.boundary for row in failed]),
        ),
        shards=shards,
        files=[seal(path) for path in sorted(directory.iterdir()) if path.name not in named],
        models={"teacher": use} if calls else {},
        seconds=calls / 4.9 + 0.31,
    )
    (directory / "manifest.json").write_bytes(orjson.dumps(manifest.model_dump(mode="json")))
    return kept


def _write(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(b"".join(lines))


def _count(names: list[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}


def _aside(stage: str, reason: str, detail: str, row: BaseModel) -> Dropped:
    return Dropped(stage=stage, reason=reason, detail=detail, row=row.model_dump(mode="json"))


def _input(seeds: int, rng: random.Random, hostile: bool) -> tuple[list[Any], dict[str, Any]]:
    rows: list[Any] = []
    for number in range(seeds):
        level, boxes, each, gone = 1 + number % 5, rng.randint(3, 40), rng.randint(4, 60), rng.randint(1, 11)
        question = (
            f"A shop has {boxes} boxes with {each} pencils in each box. It sells {gone} pencils before noon. "
            "How many pencils are left?"
        )
        answer = str(boxes * each - gone)
        topics = ("arithmetic",)
        rows.append(
            Problem(
                question=HOSTILE + question if hostile and not number else question,
                answer=answer,
                answer_source="given",
                source="mathsynth-seeds",
                license="CC-BY-4.0",
                level=HOSTILE if hostile and not number else level,
                topics=topics,
                meta={"numbers": [boxes, each, gone]},
            )
        )
    bad = "seeds.jsonl:17: answer: Field required"
    rows.append(Dropped(stage="input", reason="bad_row", detail=bad, row={"where": "seeds.jsonl:17", "text": "{}"}))
    return rows, {}


def _child(seed: Problem, method: str, opening: str, **meta: Any) -> Problem:
    fields = seed.model_dump() | {"id": "", "question": opening + seed.question, "method": method}
    return Problem.model_validate(fields | {"parents": (seed.id,), "meta": seed.meta | meta, "difficulty": None})


def _expand(rows: list[Any], rng: random.Random, hostile: bool) -> tuple[list[Any], dict[str, Any]]:
    out: list[Any] = []
    for seed in rows:
        out.append(seed)
        for method in ("rephrase", "evolve", "backward"):
            made = _child(seed, method, f"[{method}] ", **({"confirm": True} if method != "evolve" else {}))
            refused = rng.random() < {"rephrase": 0.25, "evolve": 0.45, "backward": 0}[method]
            reason = rng.choice(["no_marker", "has_solution", "unchanged", "truncated"])
            out.append(_aside("seed-expand", reason, "why it was refused", made) if refused else made)
    return out, {}


def _rewrite(rows: list[Any], rng: random.Random, hostile: bool) -> tuple[list[Any], dict[str, Any]]:
    out: list[Any] = []
    for problem in rows:
        out.append(problem)
        if problem.method != "seed":
            continue
        persona = HOSTILE if hostile else f"p{rng.randrange(300):04d}"
        told = _child(problem, "persona-keep", "A night nurse counts stock. ", persona=persona, confirm=True)
        refused = rng.random() < 0.3
        out.append(_aside("persona-rewrite", "numbers_changed", "12 became 21", told) if refused else told)
    return out, {}


def _sample(rows: list[Any], rng: random.Random, hostile: bool) -> tuple[list[Any], dict[str, Any]]:
    out: list[Any] = []
    ledger = []
    for number, problem in enumerate(rows):
        level = problem.level if isinstance(problem.level, int) else 3
        chance = max(0.0, min(1.0, rng.gauss(0.75 - 0.14 * level, 0.2)))
        chance = chance * (0.6 if problem.method in ("backward", "evolve") else 1)
        outcomes: list[str] = []
        while outcomes.count("correct") < 4 and len(outcomes) < 16:
            other = rng.choice(["wrong", "wrong", "wrong", "undecided", "truncated"])
            outcomes.append("correct" if rng.random() < chance else other)
        if number % 97 == 41:
            outcomes = ["failed"] * 16
        corrects, wrong = outcomes.count("correct"), outcomes.count("wrong")
        rate = corrects / (corrects + wrong) if corrects + wrong else None
        confirmed = not problem.meta.get("confirm") or corrects * 3 > wrong
        reason = "" if corrects and confirmed else "not_confirmed" if corrects else "unsolved"
        kept = [i for i, outcome in enumerate(outcomes) if outcome == "correct"] if not reason else []
        difficulty = Difficulty(pass_rate=rate or 0.0, trials=len(outcomes), model=MODEL)
        out += [_solution(problem, i, difficulty, rng, hostile) for i in kept]
        if outcomes[0] == "failed":
            error = "500 Internal Server Error after 6 retries"
            out.append(Failed(stage="sample", boundary="model", error=error, row=problem.model_dump(mode="json")))
        elif reason:
            out.append(_aside("sample", reason, f"no correct one in {len(outcomes)} samples (cap)", problem))
        ledger.append(
            {
                "problem_id": problem.id,
                "question": problem.question,
                "answer": problem.answer,
                "answer_source": problem.answer_source,
                "method": problem.method,
                "level": problem.level,
                "topics": problem.topics,
                "model": "teacher",
                "trials": len(outcomes),
                "corrects": corrects,
                "wrong": wrong,
                "undecided": outcomes.count("undecided") + outcomes.count("truncated"),
                "failed": outcomes.count("failed"),
                "truncated": outcomes.count("truncated"),
                "no_answer": outcomes.count("truncated"),
                "pass_rate": rate,
                "target": 4,
                "kept": len(kept),
                "prompt_tokens": 90 * len(outcomes),
                "completion_tokens": 130 * len(outcomes),
                "solved": bool(kept),
                "reason": reason or ("target" if corrects >= 4 else "cap"),
            }
        )
    return out, {"problems.jsonl": ledger}


def _solution(problem: Problem, number: int, difficulty: Difficulty, rng: random.Random, hostile: bool) -> Solution:
    boxes, each, gone = problem.meta["numbers"]
    steps = "Then we look at it once more to be sure. " * int(rng.expovariate(0.35))
    response = (
        f"The shop starts with {boxes} * {each} = {boxes * each} pencils. {steps}"
        f"After noon {boxes * each} - {gone} = {boxes * each - gone} are left. "
        f"The answer is \\boxed{{{problem.answer}}}"
    )
    rule = rng.choices(["literal", "rational", "symbolic"], [8, 2, 1])[0]
    return Solution(
        problem_id=problem.id,
        question=problem.question,
        answer=problem.answer,
        answer_source="given",
        response=response + (HOSTILE if hostile else ""),
        extracted=problem.answer,
        verdict=Verdict(outcome="correct", reason="equal numbers", rule=rule, extracted=problem.answer, how="boxed"),
        model=MODEL,
        sampling={"temperature": 0.8, "top_p": 0.95, "max_tokens": 512},
        seed=number,
        usage=Usage(prompt_tokens=90, completion_tokens=len(response) // 4),
        finish_reason="stop",
        source=problem.source,
        license=problem.license,
        level=problem.level,
        topics=problem.topics,
        method=problem.method,
        parents=problem.parents,
        difficulty=difficulty,
        meta=problem.meta,
    )


def _verify(rows: list[Any], rng: random.Random, hostile: bool) -> tuple[list[Any], dict[str, Any]]:
    out: list[Any] = []
    for row in rows:
        draw = rng.random()
        false = ["12*4=46"] if draw < 0.08 else []
        row = row.model_copy(update={"checks": {"false_steps": false}})
        if draw < 0.06:
            out.append(_aside("verify", "false_step", HOSTILE if hostile else "12*4=46", row))
        elif 0.1 < draw < 0.12:
            verdict = Verdict(outcome="undecided", reason="no answer could be read", rule="no_answer")
            row = row.model_copy(update={"verdict": verdict})
            out.append(_aside("verify", "undecided", "no_answer: no answer could be read", row))
        elif draw > 0.98:
            out.append(_aside("verify", HOSTILE if hostile else "hedged", "either 4 or 5", row))
        else:
            out.append(row)
    return out, {}


def _dedupe(rows: list[Any], rng: random.Random, hostile: bool) -> tuple[list[Any], dict[str, Any]]:
    out = [
        _aside("dedupe", "same_equations", "repeats 0123456789abcdef (same_equations)", row)
        if rng.random() < 0.3
        else row
        for row in rows
    ]
    return out, {}


def _export(rows: list[Any], rng: random.Random, hostile: bool) -> tuple[list[Any], dict[str, Any]]:
    return list(rows), {"train.jsonl": [{"messages": [{"role": "user", "content": row.question}]} for row in rows]}
