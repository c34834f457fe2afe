"""Tokens per second of the stage `sample` over those of one plain `LLM.chat` call, with vLLM in process both times.

    make bench-vllm        or: python benchmarks/vllm_bench.py MODEL_DIRECTORY [ROUNDS] [SAMPLES]

The same requests (prompts, settings, every reply 64 tokens long), engine settings and process set-up: each run is a
process of its own that starts an engine in another, warms it up with one request and is then timed, without the start.
`LLM.chat` gets all at once and only generates; the stage sends, grades and journals each reply. Rounds alternate, for
other work on the machine shows. Goal: 0.95.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mathsynth.backends import connect, vllm
from mathsynth.context import Context
from mathsynth.prompts import find_prompt
from mathsynth.records import Problem
from mathsynth.resources import folder
from mathsynth.stages import sample

TOKENS = 64
GOAL = 0.95
SETTINGS = {"dtype": "bfloat16", "max_model_len": 1024, "enforce_eager": True}
ENGINE = {"max_num_seqs": 128}


def problems() -> list[Problem]:
    """The one-step seeds."""
    lines = (folder("data") / "seeds" / "one_step.jsonl").read_text().splitlines()
    return [Problem.model_validate_json(line) for line in lines]


def context(model: str, scratch: Path) -> Context:
    """The surroundings of a stage `sample` that asks `model`."""
    config = vllm.Config(
        backend="vllm",
        model="bench",
        weights=model,
        engine_args=ENGINE,
        max_tokens=TOKENS,
        extra_body={"ignore_eos": True},
        **SETTINGS,  # type: ignore[arg-type]
    )
    return Context(
        stage="sample",
        directory=scratch,
        replies=scratch / "replies",
        models={"teacher": config},
        connect=connect,
        prompts={"solve-few-shot": find_prompt("solve-few-shot", [])},
    )


def stage(model: str, samples: int) -> tuple[int, float, float]:
    """(completion tokens, seconds, CPU seconds of this process) of our stage."""
    with tempfile.TemporaryDirectory() as scratch:
        ctx = context(model, Path(scratch))
        try:
            ctx.probe("teacher")
            config = sample.Config(prompt="solve-few-shot", policy="fixed", k=samples, max_trials=samples)
            started, cpu = time.perf_counter(), time.process_time()
            rows = sum(1 for _ in sample.run(iter(problems()), config, ctx))
            seconds = time.perf_counter() - started
            assert rows, "no row"
            return ctx.meter.completion_tokens, seconds, time.process_time() - cpu
        finally:
            ctx.close()


def plain(model: str, samples: int) -> tuple[int, float, float]:
    """The same of one call of `LLM.chat` with the very requests of our stage."""
    os.environ.update(vllm.ENVIRONMENT)
    from vllm import LLM, SamplingParams

    with tempfile.TemporaryDirectory() as scratch:
        ctx = context(model, Path(scratch))
        requests = [
            ctx.request("teacher", ctx.chat("teacher", "solve-few-shot", question=problem.question), sample=number)
            for problem in problems()
            for number in range(samples)
        ]
        ctx.close()
    engine = LLM(model=model, enable_prefix_caching=True, use_tqdm_on_load=False, **SETTINGS, **ENGINE)
    engine.chat([{"role": "user", "content": "What is 1 + 1?"}], SamplingParams(max_tokens=4), use_tqdm=False)
    conversations = [list(request.messages) for request in requests]
    parameters = [
        SamplingParams(
            temperature=request.sampling.temperature,
            top_p=request.sampling.top_p,
            max_tokens=request.sampling.max_tokens,
            ignore_eos=True,
        )
        for request in requests
    ]
    started, cpu = time.perf_counter(), time.process_time()
    outputs = engine.chat(conversations, parameters, use_tqdm=False)
    seconds = time.perf_counter() - started
    return sum(len(output.outputs[0].token_ids) for output in outputs), seconds, time.process_time() - cpu


def measure(mode: str, model: str, samples: int) -> dict[str, Any]:
    """One run in a process of its own."""
    command = [sys.executable, __file__, model, "0", str(samples), mode]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=900, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{mode:<6} {found['tokens']:>8,} tokens {found['seconds']:>7.1f} s {found['rate']:>7.0f} tokens/s"
        f"{1000 * found['cpu'] * TOKENS / found['tokens']:>6.1f}  CPU-s of this process for 1,000 replies",
        flush=True,
    )
    return found


def main() -> None:
    """All rounds, then the ratios."""
    model, rounds, samples, *mode = [*sys.argv[1:], *("2", "2")[len(sys.argv) - 2 :]]
    if mode:
        tokens, seconds, cpu = {"stage": stage, "plain": plain}[mode[0]](model, int(samples))
        print(json.dumps({"tokens": tokens, "seconds": seconds, "rate": tokens / seconds, "cpu": cpu}))
        return
    print(f"{len(problems())} problems, {samples} samples each, {TOKENS} tokens a reply; {os.cpu_count()} cores")
    rates: dict[str, list[float]] = {"plain": [], "stage": []}
    for number in range(int(rounds)):
        # Turned round in every second round: what slows down in the course of time slows both.
        for name in ("plain", "stage") if number % 2 == 0 else ("stage", "plain"):
            rates[name].append(measure(name, model, int(samples))["rate"])
    middle = {name: statistics.mean(found) for name, found in rates.items()}
    ratio = middle["stage"] / middle["plain"]
    print(f"stage / plain {ratio:.3f}   (goal {GOAL})")
    sys.exit(0 if ratio >= GOAL else 1)


if __name__ == "__main__":
    main()
