"""The one answer that a response gives, and how it was found. Strict: what is not stated is not an answer.

In order: the text after the thinking, cut at the chat's end mark; `<answer>` tags; the last well-formed box (boxes
that stand side by side are one answer); `####`; the last "answer is", "Answer:", "答案"; the value at the end of the
concluding sentence (`last line`); the last number of that sentence (`guessed`). Nothing here knows the reference.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mathsynth.verifier.normal import unwrap
from mathsynth.verifier.policy import How
from mathsynth.verifier.sentences import (
    BREAK,
    COPULA,
    LEAD_IN,
    MATH,
    NUMBER,
    first_value,
    goes_on,
    inner,
    last_marked,
    numbers,
)
from mathsynth.verifier.thinking import split

READ_AT_MOST = 200_000


class Extracted(NamedTuple):
    """An answer as it was written. `rule` names the pattern that found it."""

    answer: str
    how: How
    rule: str


class Missing(NamedTuple):
    """Why there is no answer: `truncated` (the response was cut) or `no_answer` (it is whole and gives none)."""

    rule: str
    reason: str


_START = re.compile(r"\s*(?:<s>|<bos>|<\|begin_of_text\|>|<\|im_start\|>\s*assistant|<\|assistant\|>)\s*")
_END = re.compile(
    r"<\|(?:im_end|endoftext|eot_id|end|end_of_text|im_start|eom_id|user|system|return)\|>|</s>|<eos>|"
    r"<(?:end|start)_of_turn>|<｜end▁of▁sentence｜>|\[/?INST\]"
)
_TAG = re.compile(r"(?:<answer>|\[ANSWER\])(.*?)(?:</answer>|\[/ANSWER\]|\Z)", re.S | re.I)
_MARKS = re.compile(r"<<[^<>\n]{0,200}>>")  # GSM8K's calculator marks
_CODE = re.compile(r"```.*?(?:```|\Z)", re.S)
_CODE_VALUE = re.compile(r"```(?:[a-z]*\n)?([^\n`]{1,200})\n?```\s*\Z")
_STRUCK = re.compile(
    r"(?<![\\\w}$~])~~(?!\\text|\\quad|\\mathrm|,|and\b|or\b)(?=\S)[^~\n]{1,300}(?<=\S)~~(?!~)"
    r"|<(?P<tag>del|s|strike)>.{1,300}?</(?P=tag)>",
    re.S,
)
_BOLD = re.compile(r"\*\*\s*([^*\n]{1,80}?)\s*\*\*")
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)(?![A-Za-z])\s*(\{|[^\s{}\\$]|\\[A-Za-z]+)?")
_PLACEHOLDER = re.compile(
    r"[\s?.,;:_\-*…\\$~{}]*|\\(?:[lcd]?dots|square|cdot|ldot|ldots|cdots|blacksquare|Box|ast|star)"
    r"|(?:the |your |my |final |correct |insert |write |put )*(?:answer|result|value|solution|number)s?(?: here)?"
    r"|\.\.\.|[xX]{3,}|[a-z]+ (?:goes )?here|n/?a|todo|tbd",
    re.I,
)
_GAP = re.compile(
    r"(?:\s|[,;、，；&$]|\\[,;:! ]|\\q?quad|\\(?:\(|\)|\[|\])|\*\*|\band\b|\bor\b|和|或|或者|与"
    r"|\\(?:text|mathrm|textrm)\s*\{\s*(?:,?\s*(?:and|or|和|或)\s*,?|,)\s*\})*"
)
_LETTER = re.compile(r"[\s(\[*]*([A-J])[\s)\].*:]*")
_HASHES = re.compile(r"^[ \t]{0,20}#{4}[ \t]{0,20}(\S[^\n]{0,2000})$", re.M)
_CUE = re.compile(
    r"(?:final\s+|correct\s+|best\s+|right\s+)?\b(?:answer|option|choice)s?\b[^\n.:=]{0,60}?"
    r"(?:\bis\b|\bare\b|\bequals\b|\bwould be\b|\bwill be\b|:|=)\s*[:：]?|"
    r"(?:最终|最后|正确)?(?:答案|答)(?:是|为|选|应为|应选|应该是)?\s*[:：]?|故选|应选|选择?\s*[:：]|\bresult\s*(?:is\b|:|=)\s*:?"
    r"|\bans\b\.?\s*[:=]|^[#*\s]{1,9}(?:final\s+)?answer\s*[#*:]*\s*\n|^final\s+answer\s*\n",
    re.I | re.M,
)
_NEGATED = re.compile(
    r"\s*(?:not|n't|neither|unknown|unclear|one of (?!\\boxed)|correct|right|wrong|below|above|as follows|clear)\b"
    r"|\s*不是",
    re.I,
)
_CONDITIONAL = re.compile(r"\b(?:if|whether|that|once|when|hope)\s+(?:the|this|my|your)?\s*$", re.I)
_DENIED = re.compile(
    r"(?:\b(?:not|never|cannot|nor|(?:less|more|fewer|greater|larger|smaller) than|at (?:least|most))\b"
    r"|n't\b|≠|\\neq?\b)(?:\s+(?:be|have|equals?|to|exactly|the|number|value))*$",
    re.I,
)
_ENDS = re.compile(r"\b(?:so|thus|hence|therefore|consequently|altogether|in total|in all)\b|∴", re.I)


def extract(response: str) -> Extracted | None:
    """The answer of a response and how it was found, or None."""
    found = read_answer(response)
    return found if isinstance(found, Extracted) else None


def how_asked(instruction: str) -> How:
    """How an answer will be found that is written as this instruction says."""
    if _BOX.search(instruction):
        return "boxed"
    marked = "####" in instruction or _TAG.search(instruction) or _CUE.search(instruction)
    return "answer phrase" if marked else "last line"


def read_answer(response: str) -> Extracted | Missing:
    """The answer of a response, or why there is none. Reads at most its last 200 kB; linear in its length."""
    text, cut = response, False
    if match := _START.match(text):
        text = text[match.end() :]
    thought, text, closed = split(text)
    if not closed:
        return Missing("truncated", "cut inside its thinking")
    if thought is not None and not _END.split(text, maxsplit=1)[0].strip():
        return Missing("no_answer", "nothing after the thinking")
    text = _END.split(text, maxsplit=1)[0][-READ_AT_MOST:]
    text = _STRUCK.sub(" ", text) if "~~" in text or "</" in text else text
    tagged = [m[1] for m in _TAG.finditer(text) if m[1].strip()]
    if tagged:
        body = tagged[-1].strip()
        found, _ = _boxed(body)
        return found or _plain(body, "answer phrase", "answer tag") or Missing("no_answer", "empty answer tag")
    found, cut = _boxed(text)
    if found:
        return found
    if (code := _CODE_VALUE.search(text)) and (cue := _last(_CUE, text[: code.start()])) and not cue[1].strip("*: \n"):
        text = text[: code.start()] + code[1]
    prose = _MARKS.sub("", _CODE.sub("\n", text)).replace("</answer>", "").rstrip()
    cut = cut or _is_cut(prose)
    if not cut or _HASHES.search(prose):
        for reader in (_hashes, _phrase, _whole, _conclusion):
            if answer := reader(prose):
                return answer
    elif (answer := _phrase(prose)) and not answer.answer.count("$") % 2 and not _unbalanced(answer.answer):
        return answer
    if cut:
        return Missing("truncated", "the text stops before an answer")
    return _guess(prose) or Missing("no_answer", "no box, no answer phrase, no concluding value")


def _last(pattern: re.Pattern[str], text: str) -> tuple[re.Match[str], str] | None:
    """The last match in the end of a text, and what follows it."""
    found = list(pattern.finditer(text[-300:]))
    return (found[-1], text[-300:][found[-1].end() :]) if found else None


def _boxes(text: str) -> tuple[list[tuple[int, int, str]], int]:
    """(start, end, content) of every well-formed outermost box, and where the last unclosed one starts (-1)."""
    starts = [(m.start(), m.end(), m[1]) for m in _BOX.finditer(text)]
    if not starts:
        return [], -1
    closing: dict[int, int] = {}
    stack: list[int] = []
    i, size = starts[0][0], len(text)
    while i < size:
        char = text[i]
        if char == "\\":
            i += 2
            continue
        if char == "{":
            stack.append(i)
        elif char == "}" and stack:
            closing[stack.pop()] = i
        i += 1
    found: list[tuple[int, int, str]] = []
    unclosed = -1
    for start, end, opener in starts:
        if found and start < found[-1][1]:
            continue
        if opener == "{":
            if end - 1 in closing:
                close = closing[end - 1]
                found.append((start, close + 1, text[end:close]))
            else:
                unclosed = start
        elif opener:
            found.append((start, end, opener))
    return found, unclosed


def is_placeholder(answer: str) -> bool:
    """Whether this is the mark of a missing answer: empty, ?, ..., "your answer"."""
    bare = unwrap(answer)
    if re.fullmatch(r"\\\{\s*\\\}", bare):
        return False  # the empty set
    bare = re.sub(r"\\(?:text|mathrm|textbf|textit)\s*\{([^{}]*)\}", r"\1", bare).strip()
    return _PLACEHOLDER.fullmatch(bare) is not None


def _boxed(text: str) -> tuple[Extracted | None, bool]:
    boxes, unclosed = _boxes(text)
    if unclosed >= 0 and (not boxes or unclosed > boxes[-1][0]):
        return None, True
    boxes = [box for box in boxes if not is_placeholder(box[2])]
    if not boxes:
        return None, False
    last = len(boxes) - 1
    first = last
    while first > 0 and boxes[first][0] - boxes[first - 1][1] < 60:
        gap = text[boxes[first - 1][1] : boxes[first][0]]
        if not gap.strip() or not _GAP.fullmatch(gap) or not re.search(r"[,;、，；&]|and|or|和|或|与|quad", gap):
            break
        first -= 1
    parts = list(dict.fromkeys(box[2].strip() for box in boxes[first:]))
    answer, rule = (parts[0], "last box") if len(parts) == 1 else (", ".join(parts), "boxes side by side")
    after = text[boxes[last][1] :]
    if not _LETTER.fullmatch(unwrap(answer)) and len(after) < 2000:
        for cue in reversed(list(_CUE.finditer(after))):
            if letter := re.match(r"[\s*(\[$]*([A-J])[\s)\].*$]*(?:\n|$)", after[cue.end() :]):
                return Extracted(letter[1], "answer phrase", "letter after the box"), False
    return Extracted(answer, "boxed", rule), False


def _unbalanced(text: str) -> bool:
    return (
        text.count("{") != text.count("}")
        or text.count(r"\(") > text.count(r"\)")
        or text.count(r"\[") > text.count(r"\]")
    )


def _is_cut(text: str) -> bool:
    """Whether the text stops in the middle: an open formula, or a last word that can't end a sentence."""
    tail = text[-4000:].rstrip("*_ \n")
    if len(re.findall(r"(?<!\\)\$", text)) % 2 and not re.search(r"\$\s*\d[\d,.]*[^$]*$", tail[-60:]):
        return True
    if _unbalanced(tail) and len(text) < 4000:
        return True
    return (
        re.search(
            r"(?:[=+\-*/(,<>^_\\]|\b(?:the|we|to|of|and|is|are|then|that|with|for|a|an|by|so|which|where))\s*$",
            tail,
            re.I,
        )
        is not None
    )


def _hashes(text: str) -> Extracted | None:
    found = _HASHES.findall(text)
    return _plain(found[-1], "answer phrase", "####") if found else None


def _plain(text: str, how: How, rule: str) -> Extracted | None:
    answer = unwrap(text)
    return Extracted(answer, how, rule) if answer and not is_placeholder(answer) else None


def _phrase(text: str) -> Extracted | None:
    for cue in reversed(list(_CUE.finditer(text))[-50:]):
        after = text[cue.end() : cue.end() + 4000]
        rest = after.lstrip(" :：\n")
        if rest.startswith("**") and text.count("**", text.rfind("\n", 0, cue.end() - 1) + 1, cue.end()) % 2:
            rest = rest[2:]  # it closes the bold mark around the cue itself
        rest = rest.lstrip(" :：_\n")
        listed = "\n" in cue[0] + after[: len(after) - len(rest)]
        if _CONDITIONAL.search(text[max(0, cue.start() - 20) : cue.start()]):
            continue
        if not rest.strip() or _NEGATED.match(rest):
            continue
        if answer := first_value(rest, listed=listed):
            return _plain(answer, "answer phrase", "answer phrase")
    return None


def _whole(text: str) -> Extracted | None:
    """A response that is nothing but one short expression."""
    body = text.strip()
    if match := LEAD_IN.match(body):
        body = body[match.end() :]
    words = re.findall(r"[A-Za-z]{2,}", re.sub(r"\\[A-Za-z]+", "", body))
    if len(body) > 400 or "\n" in body or len(words) > 2 or body.endswith(":") or re.fullmatch(r"\\[a-z]+", body):
        return None
    if "$" in body and re.search(r"[A-Za-z]{2,}", MATH.sub("", body)):
        return None
    if re.search(r"[\u4e00-\u9fff]", body) or ("**" in body and not body.startswith("**")):
        return None
    return _plain(body, "last line", "the whole response")


def _conclusion(text: str) -> Extracted | None:
    """The value at the end of the last sentence, unless it says that this is not the value, or a bound of it."""
    last = _last_sentence(text)
    found = _concluded(last)
    return None if found and _DENIED.search(last[: last.rfind(found.answer)].rstrip("*$( ")) else found


def _concluded(last: str) -> Extracted | None:
    """The value at the end: `Hence the area is 5`, `64 + 67 = **131**`, `一共有**858颗**`."""
    if not last or not re.search(r"[\d√π½⅓⅔¼¾]|\\[a-z\[(]|\$|\*\*", last):
        return None
    if bold := last_marked(last, _BOLD):
        value, match = bold
        if goes_on(last[match.end() :], inner(match)):
            value = last[match.start() :]
        return _plain(value, "last line", "bold value in the last sentence")
    if re.search(r"[\u4e00-\u9fff]", last):
        last = re.split("[，；]", last)[-1]
    masked = MATH.sub(lambda m: "\x00" * len(m[0]), last)
    if clause := re.search(
        r",\s+(?:or|i\.e\.|that is)\s|[，,]\s*(?=(?:in total|altogether|respectively|as (?:required|desired))\b)",
        masked,
    ):
        last, masked = last[: clause.start()], masked[: clause.start()]
    if maths := last_marked(last, MATH):
        value, match = maths
        if not masked[match.end() :].strip(" .,!*"):
            return _plain(value, "last line", "formula at the end of the last sentence")
        return None
    copulas = list(COPULA.finditer(masked))
    if spoken := [m for m in copulas if m[0].strip(" :") != "="]:
        copulas = spoken  # of "the roots are x = 2 and x = 3" all that comes after "are"
    if copulas:
        value = last[copulas[-1].end() :].strip(" .*")
        if value and len(value) < 60 and re.match(r"[-−–+$€£¥(\[{\\\d.√π½⅓⅔¼¾]|[A-Za-z]\w?\s*=", value):
            return _plain(value, "last line", "value at the end of the last sentence")
    if re.search(r"[\u4e00-\u9fff]", last):
        found = numbers(last)
        return _plain(found[-1], "last line", "number in the last clause") if len(found) == 1 else None
    found = numbers(last)
    if len(found) == 1 and _ENDS.search(last):
        return _plain(found[0], "last line", "the only number of a concluding sentence")
    return None


def _last_sentence(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip(" *-_#")]
    if not lines:
        return ""
    line = lines[-1].strip()[-4000:]
    masked = MATH.sub(lambda m: "x" * len(m[0]), line)
    ends = [m.start() for m in BREAK.finditer(masked) if masked[m.end() :].strip(" *")]
    return line[ends[-1] + 1 :].strip().rstrip(".。 ") if ends else line.rstrip(".。 ")


def _guess(text: str) -> Extracted | None:
    last = _last_sentence(text)
    if not re.search(r"[.。!*$)|`\d]\s*$", text.strip()):
        return None
    found = NUMBER.findall(last)
    return _plain(found[-1], "guessed", "last number of the last sentence") if found else None
