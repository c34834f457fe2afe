"""Many requests to a faulty server: nothing is lost, nothing is doubled, and memory stays where it is.

    python benchmarks/soak.py [--completions 100000] [--in-flight 2000] [--fault-share 0.05] [--choices 8]

Half of the samples of each problem are asked one by one, then the same run goes on to twice as many with several
choices a request. The server, of the tests, fails in every way it knows. Resident memory of the process that runs
`mathsynth generate` is printed every few seconds, with the replies that it has by then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import orjson

from mathsynth.shards import open_lines

ROOT = Path(__file__).parents[1]
FAULTS = "429,500,503,drop,cut,drip,json,empty,null,length"
EACH = 16
"""Samples of a problem in the end."""
EVERY_S = 5.0
RECIPE = """\
input: problems.jsonl
models:
  teacher:
    backend: openai
    model: mock-model
    base_url: "{url}"
    max_in_flight: {in_flight}
    timeout_s: 30
steps:
  sample: {{policy: fixed, k: 8}}
"""


def follow(process: subprocess.Popen[bytes], run: Path) -> float:
    """Print memory and progress of a run until it ends; its wall seconds."""
    begin = time.monotonic()
    while process.poll() is None:
        time.sleep(EVERY_S)
        try:
            status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
            now = json.loads((run / ".status.json").read_text())["now"]
        except (OSError, ValueError):
            continue
        if now and "VmRSS" in status:
            memory = int(status["VmRSS"].split()[0]) / 1024
            print(
                f"{time.monotonic() - begin:6.0f} s {now['answered']:>9,} answered {now['in_flight']:>6,} in flight "
                f"{now['errors']:>6,} errors {memory:7.0f} MiB",
                flush=True,
            )
    if process.returncode:
        raise SystemExit(f"the run ended with exit {process.returncode}: {(run.parent / 'stderr').read_text()}")
    return time.monotonic() - begin


def account(run: Path, log: Path, completions: int) -> None:
    """What was asked, answered, kept; SystemExit if anything was lost or done twice."""
    finished = Counter(event["key"] for event in map(orjson.loads, open_lines(log)) if event["event"] == "finished")
    keys = Counter(orjson.loads(line)["key"] for path in run.glob("replies/*/0*") for line in open_lines(path))
    newest = max(run.glob("01-sample-*"), key=lambda path: path.stat().st_mtime)
    trials = [orjson.loads(line)["trials"] for line in open_lines(newest / "problems.jsonl")]
    print(
        f"{finished.total():,} requests answered in full, {finished.total() - len(finished)} of them twice; "
        f"{len(keys):,} replies in the journal, {keys.total() - len(keys)} of them twice; {sum(trials):,} samples of "
        f"{len(trials):,} problems"
    )
    if (len(keys), sum(trials)) != (completions, completions) or {*finished.values(), *keys.values()} != {1}:
        raise SystemExit("lost or doubled")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind, default in (("completions", int, 100_000), ("in-flight", int, 2000), ("choices", int, 8)):
        parser.add_argument(f"--{name}", type=kind, default=default)
    parser.add_argument("--fault-share", type=float, default=0.05)
    given = parser.parse_args()
    problems = given.completions // EACH
    with tempfile.TemporaryDirectory() as scratch:
        folder, log = Path(scratch), Path(scratch) / "served.jsonl"
        command: list[str | Path] = [
            sys.executable,
            ROOT / "tests" / "fault_server.py",
            "--faults",
            FAULTS,
            "--log",
            log,
        ]
        command += ["--fault-share", str(given.fault_share), "--latency", "2", "--drip", "2"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                url = server.stdout.readline().strip()
                rows = [{"question": f"What is {n} + {2 * n}?", "answer": str(3 * n)} for n in range(problems)]
                (folder / "problems.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
                (folder / "recipe.yaml").write_text(RECIPE.format(url=url, in_flight=given.in_flight))
                generate: list[str | Path] = [
                    sys.executable,
                    "-m",
                    "mathsynth",
                    "generate",
                    folder / "recipe.yaml",
                    "-o",
                    folder / "run",
                ]
                for choices, k in ((1, EACH // 2), (given.choices, EACH)):
                    print(f"choices: {choices}, samples {k - EACH // 2} to {k} of {problems:,} problems")
                    sets = ["--set", f"models.teacher.choices={choices}", "--set", f"sample.k={k}"]
                    environment = os.environ | {"PYTHONPATH": str(ROOT)}
                    with (folder / "stderr").open("w") as said:
                        started = subprocess.Popen(
                            [*generate, *sets], env=environment, stdout=subprocess.DEVNULL, stderr=said
                        )
                    seconds = follow(started, folder / "run")
                    print(f"{seconds:6.0f} s: {problems * EACH / 2 / seconds:,.0f} samples a second")
                account(folder / "run", log, problems * EACH)
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
