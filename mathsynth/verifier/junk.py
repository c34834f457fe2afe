"""Responses that have the right answer and are still no training data: one function a rule, found by its name.

A rule takes the response and what it answers and returns the detail that makes it junk, or None. It looks for
plain evidence: a natural solution must pass, so doubt passes too. `RULES` is every public function here but `junk`.
"""

from __future__ import annotations

import inspect
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Protocol

from mathsynth.verifier.equations import equations


class Rule(Protocol):
    """What each function here looks like."""

    def __call__(self, response: str, *, question: str, reference: str | None, language: str) -> str | None:
        """The detail that makes the response junk, or None."""
        ...


_THINK_TAG = re.compile(r"</?(?:think|thinking|reasoning|answer)>|<\|[a-z_]+\|>", re.I)
_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|[{}]")
_STATEMENT = re.compile(
    r"(?:so|thus|hence|therefore)?,?\s*(?:the\s+)?(?:final|correct)?\s*(?:answer|result|solution)(?:\s+is)?\s*:?|####|答案(?:是|为)?|"
    r"\\(?:text|mathrm|textbf)\b",
    re.I,
)


def no_reasoning(response: str, *, question: str, reference: str | None, language: str) -> str | None:
    """An answer with nothing that leads to it: no calculation, no relation, no two sentences."""
    text = _THINK_TAG.sub(" ", response)
    for start, end in reversed(_boxes(text)):
        text = text[:start] + " " + text[end:]
    text = _STATEMENT.sub(" ", text)
    if reference:
        text = text.replace(reference, " ")
    if re.search(
        r"\d\s*[-+*/×÷^=]|[-+*/×÷^=<>≤≥]\s*\\?\$?\d|\\(?:frac|cdot|times|div|sqrt|binom|le|ge|neq|equiv|implies)\b",
        text,
    ):
        return None
    words = re.findall(r"[^\W\d_]{2,}", text)
    size = len(words) + len(re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]", text)) // 2
    if size < 12 and not equations(response):
        return f"{size} words beside the answer and no calculation"
    return None


_SCRIPTS: Mapping[str, str] = {
    "Han": "\u3400-\u4dbf\u4e00-\u9fff",
    "Kana": "\u3040-\u30ff",
    "Hangul": "\uac00-\ud7af\u1100-\u11ff",
    "Cyrillic": "\u0400-\u04ff",
    "Arabic": "\u0600-\u06ff",
    "Hebrew": "\u0590-\u05ff",
    "Devanagari": "\u0900-\u097f",
    "Bengali": "\u0980-\u09ff",
    "Thai": "\u0e00-\u0e7f",
    "Greek": "\u0370-\u03ff",
}
_SCRIPT_OF = {"zh": ("Han",), "ja": ("Kana", "Han"), "ko": ("Hangul", "Han"), "ru": ("Cyrillic",), "uk": ("Cyrillic",)}
_SCRIPT_OF |= {"ar": ("Arabic",), "fa": ("Arabic",), "he": ("Hebrew",), "hi": ("Devanagari",), "bn": ("Bengali",)}
_SCRIPT_OF |= {"th": ("Thai",), "el": ("Greek",)}
_STOPWORDS = {
    "en": "the is of and to that so we are in this for each then from with have which has",
    "fr": "le la les des est une donc et que pour dans nous avec par sur chaque soit alors",
    "de": "der die das ist und wir also mit von den ein eine zu nicht für jede dann sich",
    "es": "el los las es una por que para con del entonces cada son como tiene y se donde",
    "it": "il lo gli è una che per con del quindi ogni sono della nel abbiamo dei si",
    "pt": "os uma é que para com dos então cada são não tem do da em por temos",
    "nl": "het een is van en dat dus we zijn voor elke dan met wij heeft per uit",
}


def other_language(response: str, *, question: str, reference: str | None, language: str) -> str | None:
    """Prose in another language than asked, or letters of another script (those of the question are no evidence)."""
    text = re.sub(r"\$[^$]*\$|\\\(.*?\\\)|\\\[.*?\\\]|\\[A-Za-z]+|```.*?```|<[^<>]{1,30}>", " ", response, flags=re.S)
    code = language.lower().split("-")[0]
    own = _SCRIPT_OF.get(code, ())
    latin = len(re.findall(r"[A-Za-zÀ-ɏ]{2,}", text))
    for script, letters in _SCRIPTS.items():
        if script in own or (script == "Greek" and code != "el"):
            continue
        foreign = [c for c in re.findall(f"[{letters}]", text) if c not in question]
        if len(foreign) >= 4:
            return f"{len(foreign)} {script} letters, asked for {language}"
    if own:
        kept = sum(len(re.findall(f"[{_SCRIPTS[script]}]", text)) for script in own)
        if latin >= 12 and kept < latin:
            return f"{latin} words in Latin letters and {kept} letters of {'/'.join(own)}, asked for {language}"
        return None
    if code not in _STOPWORDS:
        return None
    words = re.findall(r"[^\W\d_]{2,}", text.lower())
    asked = set(_STOPWORDS[code].split())
    counts = {
        name: sum(word in set(stop.split()) - (asked if name != code else set()) for word in words)
        for name, stop in _STOPWORDS.items()
    }
    best = max(counts, key=lambda name: counts[name])
    if best != code and counts[best] >= 5 and counts[best] > 3 * counts[code]:
        return f"reads as {best} ({counts[best]} of its small words, {counts[code]} of {code}), asked for {language}"
    return None


_TIMES = 5
_LONG = 60


def repetition(response: str, *, question: str, reference: str | None, language: str) -> str | None:
    """A loop: the same words five times in a row, one long sentence five times, one box more than ten times."""
    run = re.search(r"([^\s\d.=_*#|&\\{}~-])\1{39}", response)
    if run:
        return f"{run[1]!r} more than 40 times in a row"
    boxes = [response[start:end] for start, end in _boxes(response)]
    if len(boxes) > 2 * _TIMES and len(set(boxes)) == 1:
        return f"{len(boxes)} times {boxes[0][:60]}"
    sentences = [s.strip() for s in re.split(r"(?<=[.!?。！？])\s*|\n+", response)]
    counts: dict[str, int] = {}
    for sentence in sentences:
        if len(sentence) >= _LONG and re.search(r"[^\W\d_]{3}", sentence):
            counts[sentence] = counts.get(sentence, 0) + 1
            if counts[sentence] >= _TIMES:
                return f"{_TIMES} times: {sentence[:80]!r}"
    tail = response[-6000:]
    data = tail.encode("utf-8", "surrogatepass")
    if len(data) > 1000 and len(zlib.compress(data, 1)) > len(data) * 0.45:
        return None
    return _loop(tail)


def _loop(text: str) -> str | None:
    """The shortest block that stands five times in a row, at least 15 words of it in all."""
    words = re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]|[^\s\u3040-\u30ff\u4e00-\u9fff]+", text)
    for period in range(1, min(120, len(words) // _TIMES + 1)):
        same = 0
        for at in range(period, len(words)):
            same = same + 1 if words[at] == words[at - period] else 0
            if same >= max(period * (_TIMES - 1), 15):
                block = " ".join(words[at - period + 1 : at + 1])
                if len(re.findall(r"[^\W\d_]", re.sub(r"\\[A-Za-z]+", "", block))) >= 3:
                    return f"{same // period + 1} times in a row: {block[:80]!r}"
    return None


_LEAKS = (
    re.compile(
        r"<\|(?:im_start|user|system|start_header_id|im_sep)\|>|\[/?INST\]|<</?SYS>>|<(?:start)_of_turn>|<｜(?:User|Assistant)｜>"
    ),
    re.compile(
        r"^\s*(?:#{2,}\s*(?:instruction|input|response|system)s?\s*:?\s*$|(?:human|user|system)\s*:\s)", re.I | re.M
    ),
    re.compile(
        r"\bsystem prompt\b|\byou are (?:a|an) (?:helpful|expert|AI|math\w*)\b[^.\n]{0,40}"
        r"\b(?:assistant|tutor|solver|teacher|expert)\b",
        re.I,
    ),
    re.compile(
        r"\b(?:please )?reason step by step,? and (?:put|place)|\b(?:put|place|write|box) your (?:final )?answer\b",
        re.I,
    ),
    re.compile(
        r"\b(?:reference|expected|ground[- ]truth|target|gold|official)\s+(?:final\s+)?(?:answer|solution)\b"
        r"(?!\s+(?:format|type))"
        r"|\banswer key\b|\bground[- ]truth\b",
        re.I,
    ),
    re.compile(
        r"\b(?:the|a)\s+(?:given|provided|supplied|stated)\s+(?:final\s+|correct\s+)?(?:answer|solution)\b(?!\s*(?:choice|option|format|s\b))"
        r"|\b(?:answer|solution)\s+(?:that\s+)?(?:was|is|we\s+(?:were|are))\s+(?:given|provided|told)\b(?!\s+(?:by|as|in\s+terms)\b)"
        r"|\b(?:according to|based on|from)\s+the\s+(?:provided|given|reference)\s+(?:answer|solution)\b"
        r"|\b(?:problem|prompt|question|user)\s+(?:says|states|tells\s+us|gives)\s+(?:that\s+)?the\s+(?:final\s+|correct\s+)?answer\s+is\b",
        re.I,
    ),
    re.compile(r"参考答案|标准答案|正确答案(?:已|给)|系统提示"),
)


def prompt_leak(response: str, *, question: str, reference: str | None, language: str) -> str | None:
    """Chat marks, instructions repeated as text, or talk of an answer that was given (those of the question pass)."""
    asked = question.lower()
    for pattern in _LEAKS:
        for match in pattern.finditer(response):
            if match[0].strip().lower() not in asked:
                return match[0].strip()[:80]
    return None


_HEADER = re.compile(
    r"^[\s>*#]*(?:(?:new|next|another|similar)\s+)?(?:problem|question|exercise|q|题目|问题|例题?)\s*(?:\#?\s*\d+)?\s*[.:：)*]|"
    r"^[\s>*#]*(?:next|another|similar|new)\s+(?:problem|question|exercise)\b",
    re.I | re.M,
)
_FINAL = re.compile(r"\\boxed\b|^\s*####\s*\S|\b(?:final\s+)?answer\s*(?:is|:)", re.I | re.M)


def several_problems(response: str, *, question: str, reference: str | None, language: str) -> str | None:
    """A second problem: its heading after a final answer, or two numbered headings that the question does not have."""
    marks = re.findall(r"^\s*####\s*\S+", response, re.M)
    if len(marks) > 1 and all(re.fullmatch(r"####\s*[-\d.,$%/]+", mark.strip()) for mark in marks):
        return f"{len(marks)} final answers after ####"
    if _HEADER.search(question):
        return None
    final = _FINAL.search(response)
    headers = list(_HEADER.finditer(response))
    for header in headers:
        if final is not None and header.start() > final.end():
            line = response[header.start() :].strip().split("\n")[0]
            return f"after the answer: {line[:80]!r}"
    numbered = {match[0].strip(" *#>\n").lower() for match in headers if re.search(r"\d", match[0])}
    if len(numbered) > 1:
        return "headings " + ", ".join(sorted(numbered)[:3])
    return None


_SECOND_THOUGHT = re.compile(
    r"\b(?:wait|actually|correction|oops|sorry|I\s+made\s+(?:a|an)\b|mistake|on\s+second\s+thought|let\s+me\s+(?:re|check|double)|"
    r"that['’]s\s+(?:wrong|not\s+right)|is\s+(?:wrong|incorrect)|re-?(?:check|evaluat|examin|comput|calculat)\w*)|不对|等等|更正",
    re.I,
)
_NAMED = re.compile(r"(?<![\w\\])([A-Za-z]\w{0,8})\s*=[^.\n$]{0,50}$")
_SAYS = re.compile(
    r"\b(?:final\s+)?answer\s+(?:is|should\s+be|must\s+be|becomes)\s*:?\s*\**\s*\$?(-?\\?\$?[\d,]+(?:\.\d+)?(?:/\d+)?|\\[dt]?frac\{-?\d+\}\{\d+\})"
    r"(?![\w^(])",
    re.I,
)


def answer_changed_after_box(response: str, *, question: str, reference: str | None, language: str) -> str | None:
    """A box is taken back: another value is boxed after second thoughts, or stated as the answer after the last box."""
    text = re.split(r"</think(?:ing)?>", response)[-1]
    boxes = [(start, end, _value(text[start:end])) for start, end in _boxes(text)]
    for (start, end, first), (later, _, second) in pairwise(boxes):
        one, other = (_NAMED.search(text[max(0, at - 60) : at]) for at in (start, later))
        if one and other and one[1] != other[1]:
            continue
        if first != second and _SECOND_THOUGHT.search(text[end:later]):
            return f"boxed {first[:40]}, then {second[:40]}"
    if not boxes:
        return None
    _, end, last = boxes[-1]
    for said in _SAYS.finditer(text, end):
        if _number(said[1]) is not None and _number(last) is not None and _number(said[1]) != _number(last):
            return f"boxed {last[:40]}, then said {said[1][:40]}"
    return None


def _boxes(text: str) -> list[tuple[int, int]]:
    """Where each balanced box stands that is in no other box."""
    out: list[tuple[int, int]] = []
    stack: list[int | None] = []
    for brace in _BRACE.finditer(text):
        if brace[0] != "}":
            stack.append(brace.start() if len(brace[0]) > 1 else None)
        elif stack and (start := stack.pop()) is not None:
            while out and out[-1][0] > start:
                out.pop()
            out.append((start, brace.end()))
    return out


def _value(box: str) -> str:
    inner = box[box.index("{") + 1 : -1]
    inner = re.sub(r"\\(?:left|right|,|;|!|displaystyle)|\\(?:text|mathrm)\{([^{}]*)\}|\s|\\?\$", r"\1", inner).replace(
        "dfrac", "frac"
    )
    number = _number(inner)
    return str(number) if number is not None else inner


def _number(text: str) -> Fraction | None:
    fraction = re.fullmatch(r"(-?)\\[dt]?frac\{(-?\d{1,40})\}\{(\d{1,40})\}", text.strip())
    plain = (
        f"{fraction[1]}{fraction[2]}/{fraction[3]}".replace("--", "")
        if fraction
        else re.sub(r"[\s,$\\]", "", text).rstrip("%")
    )
    try:
        return Fraction(plain) if len(plain) < 100 and not re.search("[eE_]", plain) else None
    except (ValueError, ZeroDivisionError):
        return None


def junk(
    response: str, rules: Iterable[str], *, question: str, reference: str | None, language: str
) -> tuple[tuple[str, str], ...]:
    """(rule, detail) of each named rule that finds the response junk; an unknown name is a KeyError."""
    found = ((name, RULES[name](response, question=question, reference=reference, language=language)) for name in rules)
    return tuple((name, detail) for name, detail in found if detail is not None)


def _rules() -> dict[str, Callable[..., str | None]]:
    members = inspect.getmembers(sys.modules[__name__], inspect.isfunction)
    return {
        name: member
        for name, member in members
        if member.__module__ == __name__ and not name.startswith("_") and name != "junk"
    }


RULES: Mapping[str, Rule] = _rules()
