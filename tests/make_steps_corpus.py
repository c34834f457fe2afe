"""Writes steps_corpus.jsonl from steps_corpus.txt: each solution once right, once with a false step planted.

Run `python tests/make_steps_corpus.py` after an edit of the text file; a test checks that the two agree.
A row: `id`, `style`, `text`, and `false_at`, the piece of the text with the false step (null in a right solution).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
_MARK = re.compile(r"⟦(.*?)¦(.*?)⟧", re.S)


def corpus(source: str) -> Iterator[dict[str, str | None]]:
    """The rows of a marked-up source."""
    body = "\n".join(line for line in source.splitlines() if not line.startswith("# "))
    for number, entry in enumerate(re.split(r"^@ ", body, flags=re.M)[1:], 1):
        style, _, marked = entry.partition("\n")
        marked = marked.strip("\n")
        right, wrong = _MARK.sub(r"\1", marked), _MARK.sub(r"\2", marked)
        first = _MARK.search(marked)
        assert first, f"entry {number} has no mark"
        end = first.start() + len(first[2])
        start = max(wrong.rfind("\n", 0, first.start()) + 1, first.start() - 12)
        while wrong.count(wrong[start:end]) > 1 or (start and wrong[start - 1].isalnum() and wrong[start].isalnum()):
            start -= 1
        yield {"id": f"s{number:03}-right", "style": style, "text": right, "false_at": None}
        yield {"id": f"s{number:03}-planted", "style": style, "text": wrong, "false_at": wrong[start:end]}


def main() -> None:
    rows = corpus((HERE / "steps_corpus.txt").read_text(encoding="utf-8"))
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (HERE / "steps_corpus.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
