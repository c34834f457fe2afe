"""Put aside problems that are asked twice and solutions that calculate the same.

On problems, before anything is sampled, and on solutions, after; told by the rows. First equal texts, then nearly equal
questions inside blocks of equal numbers (`similarity.py`), then the solutions of one problem by their equations. What
is kept depends neither on the order of the rows nor on shards: seeds stand before what was made of them, then the id
decides, and a question is compared only with kept ones, so there are no chains. Texts wait in an unnamed file of the
run directory; memory holds some 100 bytes a row. Rules and measurements: data_io.md 2 and 6; equation lists: RFT.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import msgspec
import orjson
import xxhash
from pydantic import Field
from rapidfuzz.distance import Levenshtein

from mathsynth.code_blocks import programs_of
from mathsynth.context import Context
from mathsynth.errors import RunError
from mathsynth.records import Outcoming, Problem, Solution
from mathsynth.shards import parse_row, to_line
from mathsynth.similarity import Block, answer_key, is_open, jaccard, shingles, sketch, text_key, words
from mathsynth.spool import Spool
from mathsynth.stages import StageConfig
from mathsynth.verifier.steps import equation_list

VERSION = 1
SCOPE = "all"
TAKES = (Problem, Solution)
GIVES = None

LINEAR = 128
"""Questions of a block up to which each is compared with each kept one; beyond, an index proposes."""
OTHERS, LETTERS = 16, 2000
"""Solutions of a problem, and letters of each, that edit distances are summed over: bounds the time a problem takes."""
TRUST = {"given": 0, "program": 0, "vote": 1, "judge": 1}

Same = Callable[[str, str], bool | None]


class Config(StageConfig):
    """What counts as a repetition."""

    problems: Literal["near", "exact", "off"] = "near"
    """Questions: equal texts and near duplicates, equal texts alone, or don't look."""
    solutions: Literal["equations", "exact", "off"] = "equations"
    """Solutions of one problem: equal texts and equal equations (or programs), equal texts alone, or don't look."""
    rewrites: Literal["exact", "near"] = "exact"
    """A seed and what was made of it are meant to be alike: compare these by text alone, or as all are."""
    conflicts: Literal["drop", "keep"] = "drop"
    """Equal questions with different answers: drop all but the one better sourced answer, or keep one row an answer."""
    numbers: Literal["strict", "ignore"] = "strict"
    """Whether questions that differ in a number are different, or one template of which one row is enough."""
    jaccard: float = Field(default=0.5, ge=0, le=1)
    """Least share of common words of two questions with the same numbers and the same answer."""
    min_numbers: int = Field(default=3, ge=0)
    """Questions with fewer numbers must also reach `masked`."""
    masked: float = Field(default=0.6, ge=0, le=1)
    """Least share of common three-word runs, numbers masked, of questions with few numbers."""
    strict_jaccard: float = Field(default=0.8, ge=0, le=1)
    """Least share of common three-word runs of questions whose answer is unknown or a bare label."""
    last_words: int = Field(default=6, ge=0)
    """Words at the end, where the question is asked, that must be equal when the answer is unknown or a bare label."""


class Repeat(NamedTuple):
    """Why a row goes: it repeats number `of` (a question, or a row of solutions) by `rule`."""

    reason: str
    rule: str
    of: int
    similarity: float = 1.0


class Question(msgspec.Struct, array_like=True, frozen=True):
    """What is looked at again of a question. `rank` is lower for seeds and for known answers, `family` is its seed."""

    id: str
    family: str
    rank: int
    answer: str | None
    trust: int
    numbers: int
    words: bytes

    @property
    def priority(self) -> tuple[int, str]:
        """Where it stands among equals: the first is kept."""
        return self.rank, self.id


class Table:
    """The rows and the distinct questions of one run of the stage: texts on disk, keys in memory. 0 is "no key"."""

    def __init__(self, rows: Spool, questions: Spool) -> None:
        self.rows, self.questions = rows, questions
        self.exact, self.strict, self.loose = array("Q"), array("Q"), array("Q")
        self.owner = array("Q")
        """Row -> its question."""
        self.texts, self.equations = array("Q"), array("Q")
        """Row -> the key of its normalised response, and of its list of equations, within its question."""

    def question(self, number: int) -> Question:
        """A question by number."""
        return _decode(self.questions.read(number))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Question).decode


def run(records: Iterator[Problem | Solution], config: Config, ctx: Context) -> Iterator[Outcoming]:
    """The rows that repeat none, in their order, and the others as Dropped with the id that they repeat."""
    with Spool(ctx.directory) as rows, Spool(ctx.directory) as questions:
        table = Table(rows, questions)
        kind = _fill(table, records, config)
        asked = _repeated_questions(table, config, ctx.grader.same) if config.problems != "off" else {}
        solved = _repeated_solutions(table, asked) if kind is Solution and config.solutions != "off" else {}
        for number in range(len(rows)):
            row = parse_row(rows.read(number), kind, f"row {number + 1}")
            if (repeat := asked.get(table.owner[number])) is not None:
                first = table.question(repeat.of)
                detail = f"repeats {first.id} by {repeat.rule} (similarity {repeat.similarity:.2f})"
                if repeat.reason == "answer_conflict":
                    detail = (
                        f"has the text of {first.id}, where the answer is {first.answer!r}; here it is {row.answer!r}"
                    )
                yield ctx.dropped(_marked(row, first.id), repeat.reason, detail)
            elif (repeat := solved.get(number)) is not None:
                other = orjson.loads(rows.read(repeat.of))["id"]
                detail = f"repeats {other} by {repeat.rule} (similarity {repeat.similarity:.2f})"
                yield ctx.dropped(_marked(row, other), repeat.reason, detail)
            else:
                yield row
            ctx.meter.done += 1


def _marked(row: Problem | Solution, other: str) -> Problem | Solution:
    return row.model_copy(update={"meta": row.meta | {"dup_of": other}})


def _fill(table: Table, records: Iterable[Problem | Solution], config: Config) -> type[Problem | Solution]:
    """Put the rows on disk and their keys in the table; the kind of the rows."""
    kind: type[Problem | Solution] | None = None
    known: dict[int, int] = {}
    for record in records:
        kind = kind or type(record)
        if type(record) is not kind:
            raise RunError(f"dedupe reads problems or solutions, not both; row {len(table.rows) + 1} is the other kind")
        table.rows.append(to_line(record))
        if isinstance(record, Problem):
            table.owner.append(len(table.questions))
            _add_question(table, record.id, record, config)
            continue
        owner = _hash(record.problem_id, record.question, record.answer or "")
        if owner not in known:
            known[owner] = len(table.questions)
            _add_question(table, record.problem_id, record, config)
        table.owner.append(known[owner])
        # A wrong solution is no stand-in for a correct one, nor a program for an argument in words.
        right = record.verdict.outcome == "correct"
        marks = (str(owner), record.format, record.verdict.outcome, "" if right else record.extracted or "")
        table.texts.append(_hash(*marks, str(text_key(record.response))) if config.solutions != "off" else 0)
        calculated = programs_of if record.format in ("program", "tool") else equation_list
        equations = calculated(record.response) if config.solutions == "equations" else ()
        table.equations.append(_hash(*marks, *equations) if equations else 0)
    return kind or Problem


def _add_question(table: Table, id_: str, record: Problem | Solution, config: Config) -> None:
    if config.problems == "off":
        table.questions.append(_encode(Question(id_, "", 0, record.answer, 0, 0, b"")))
        return
    strict = config.numbers == "strict"
    drawn = sketch(record.question, last_words=config.last_words, ignore_numbers=not strict)
    telling = strict and record.answer is not None and is_open(record.answer)
    table.exact.append(drawn.exact)
    table.strict.append(drawn.strict)
    table.loose.append(_hash(str(drawn.loose), answer_key(record.answer or "")) if telling else 0)
    made = bool(set(record.parents) - {id_})
    table.questions.append(
        _encode(
            Question(
                id=id_,
                family=record.parents[0] if record.parents else id_,
                rank=2 * made + (record.answer is None),
                answer=record.answer,
                trust=TRUST.get(record.answer_source or "", 1),
                numbers=drawn.numbers,
                words=drawn.words,
            )
        )
    )


def _hash(*parts: str) -> int:
    return xxhash.xxh3_64_intdigest("\x1f".join(parts).encode("utf-8", "surrogatepass")) or 1


def _shared(keys: array[int]) -> set[int]:
    """The keys that stand there twice or more. Sorting needs a fraction of the memory of counting in a dict."""
    return {one for one, other in pairwise(sorted(keys)) if one == other != 0}


def _repeated_questions(table: Table, config: Config, same: Same) -> dict[int, Repeat]:
    """Question -> what it repeats."""
    agree = _agreement(same)
    found: dict[int, Repeat] = {}
    shared = _shared(table.exact)
    groups: dict[int, list[int]] = {}
    for number, key in enumerate(table.exact):
        if key in shared:
            groups.setdefault(key, []).append(number)
    for group in groups.values():
        asked = sorted(
            ((table.question(number), number) for number in group), key=lambda pair: (*pair[0].priority, pair[1])
        )
        found |= _same_text(asked, config, agree)
    if config.problems == "near":
        found |= _near(table, config, agree, found)
    return found


def _agreement(same: Same) -> Same:
    """Whether two answers are equal, by their notation where that will do; None if it can't be told."""

    @lru_cache(maxsize=100_000)
    def agree(one: str, other: str) -> bool | None:
        return True if answer_key(one) == answer_key(other) else same(one, other)

    return agree


def _same_text(asked: Sequence[tuple[Question, int]], config: Config, agree: Same) -> dict[int, Repeat]:
    """What goes of questions with one text, given in order of priority.

    One text with two answers is a contradiction, and neither answer can be trusted, unless just one of them was given
    or calculated and the others were voted. Answers that can't be compared count as one: the first is kept.
    """
    answers: list[list[tuple[Question, int]]] = []
    open_questions = []
    for question, number in asked:
        if question.answer is None:
            open_questions.append(number)
            continue
        for group in answers:
            if agree(str(group[0][0].answer), question.answer) is not False:
                group.append((question, number))
                break
        else:
            answers.append([(question, number)])
    if len(answers) <= 1:
        return {number: Repeat("exact_question", "the same text", asked[0][1]) for _, number in asked[1:]}
    trust = [min(question.trust for question, _ in group) for group in answers]
    best = trust.index(min(trust))
    contested = config.conflicts == "drop" and trust.count(min(trust)) > 1
    found = {}
    for place, group in enumerate(answers):
        first = group[0][1]
        opposite = answers[best if place != best else 1 - (best > 0)][0][1]
        for _, number in group:
            if contested or (config.conflicts == "drop" and place != best):
                found[number] = Repeat("answer_conflict", "the same text", opposite)
            elif number != first:
                found[number] = Repeat("exact_question", "the same text", first)
    reason = "answer_conflict" if contested else "exact_question"
    return found | {number: Repeat(reason, "the same text", answers[best][0][1]) for number in open_questions}


def _near(table: Table, config: Config, agree: Same, found: dict[int, Repeat]) -> dict[int, Repeat]:
    """Question -> the kept question that it nearly repeats, for those whose text stands alone."""
    masked = config.numbers == "ignore"
    question = lru_cache(maxsize=8192)(table.question)
    bag = lru_cache(maxsize=8192)(lambda number: words(question(number).words))
    runs = lru_cache(maxsize=8192)(lambda number: shingles(question(number).words, masked=masked))

    def kin(one: int, other: int) -> bool:
        return config.rewrites == "exact" and question(one).family == question(other).family

    def strictly_alike(one: int, other: int) -> float:
        likeness = jaccard(runs(one), runs(other))
        if likeness < config.strict_jaccard or kin(one, other):
            return 0.0
        answer, kept_answer = question(one).answer, question(other).answer
        unknown = masked or answer is None or kept_answer is None
        return likeness if unknown or agree(str(kept_answer), str(answer)) else 0.0

    def loosely_alike(one: int, other: int) -> float:
        likeness = jaccard(bag(one), bag(other))
        if likeness < config.jaccard or kin(one, other):
            return 0.0
        if question(one).numbers >= config.min_numbers:
            return likeness
        blind = [shingles(question(number).words, masked=True) for number in (one, other)]
        return likeness if jaccard(*blind) >= config.masked else 0.0

    blind_rule = "the same text but for numbers" if masked else "the same numbers, signs and last words"
    rules = (
        (table.strict, _blocks(table.strict, found, runs, config.strict_jaccard), runs, strictly_alike, blind_rule),
        (
            table.loose,
            _blocks(table.loose, found, bag, config.jaccard),
            bag,
            loosely_alike,
            "the same numbers and answer",
        ),
    )
    repeats: dict[int, Repeat] = {}
    blocked = [
        n for n in range(len(table.exact)) if n not in found and any(keys[n] in blocks for keys, blocks, *_ in rules)
    ]
    for number in sorted(blocked, key=lambda n: (*question(n).priority, n)):
        homes = [
            (blocks[keys[number]], members, alike, rule)
            for keys, blocks, members, alike, rule in rules
            if keys[number] in blocks
        ]
        for block, members, alike, rule in homes:
            for other in block.candidates(members(number)):
                if likeness := alike(number, other):
                    repeats[number] = Repeat("near_question", rule, other, likeness)
                    break
            if number in repeats:
                break
        else:
            for block, members, _, _ in homes:
                block.keep(number, members(number))
    return repeats


def _blocks(
    keys: array[int], found: dict[int, Repeat], members: Callable[[int], frozenset[Any]], threshold: float
) -> dict[int, Block[Any]]:
    """Key -> the block of the questions that share it, where at least two do."""
    shared = _shared(keys)
    sizes = Counter(key for number, key in enumerate(keys) if key in shared and number not in found)
    rarity: dict[int, Counter[Any]] = {key: Counter() for key, size in sizes.items() if size > LINEAR}
    for number, key in enumerate(keys) if rarity else ():
        if key in rarity and number not in found:
            rarity[key].update(members(number))
    return {key: Block(threshold, rarity.get(key)) for key, size in sizes.items() if size > 1}


def _repeated_solutions(table: Table, asked: dict[int, Repeat]) -> dict[int, Repeat]:
    """Row -> the kept row of the same problem that it repeats."""
    texts, equations = _shared(table.texts), _shared(table.equations)
    affected = {
        owner
        for owner, text, steps in zip(table.owner, table.texts, table.equations, strict=True)
        if owner not in asked and (text in texts or steps in equations)
    }
    groups: dict[int, array[int]] = {}
    for number, owner in enumerate(table.owner):
        if owner in affected:
            groups.setdefault(owner, array("Q")).append(number)
    found: dict[int, Repeat] = {}
    for group in groups.values():
        found |= _same_steps(table, group)
    return found


def _same_steps(table: Table, group: Iterable[int]) -> dict[int, Repeat]:
    """What goes of the solutions of one problem.

    Of solutions with one text the first sample stays; of those with one list of equations the one that is farthest
    from the problem's other solutions in summed edit distance (RFT), then the first sample.
    """
    read = {number: orjson.loads(table.rows.read(number)) for number in group}
    order = sorted(read, key=lambda number: (read[number]["seed"], read[number]["id"], number))
    firsts: dict[int, int] = {}
    for number in order:
        firsts.setdefault(table.texts[number], number)
    lists: dict[int, list[int]] = {}
    for number in firsts.values():
        if table.equations[number]:
            lists.setdefault(table.equations[number], []).append(number)
    letters = {number: read[number]["response"][:LETTERS] for number in firsts.values()}
    others = list(firsts.values())[:OTHERS]
    found: dict[int, Repeat] = {}
    for shared in lists.values():
        if len(shared) == 1:
            continue
        best = max(shared, key=lambda one: sum(Levenshtein.distance(letters[one], letters[other]) for other in others))
        for number in shared:
            if number != best:
                likeness = Levenshtein.normalized_similarity(letters[number], letters[best])
                found[number] = Repeat("same_equations", "the same calculations", best, likeness)
    for number in order:
        first = firsts[table.texts[number]]
        if number != first:
            found[number] = found.get(first) or Repeat("exact_solution", "the same text", first)
    return found
