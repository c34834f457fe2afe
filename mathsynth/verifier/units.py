"""Units of measure and money: which words name the same one, and how they convert."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple


class Unit(NamedTuple):
    """`size` of one in base units of `dims`, a sorted tuple of (dimension, power); `label` if the word is unknown."""

    size: Fraction
    dims: tuple[tuple[str, int], ...]
    label: str = ""


_PREFIX: dict[str, int | Fraction] = {
    "k": 1000,
    "c": Fraction(1, 100),
    "m": Fraction(1, 1000),
    "d": Fraction(1, 10),
    "M": 10**6,
    "G": 10**9,
    "u": Fraction(1, 10**6),
    "n": Fraction(1, 10**9),
    "h": 100,
    "T": 10**12,
    "p": Fraction(1, 10**12),
}
_PREFIX_WORDS: dict[str, int | Fraction] = {
    "kilo": 1000,
    "centi": Fraction(1, 100),
    "milli": Fraction(1, 1000),
    "deci": Fraction(1, 10),
    "mega": 10**6,
    "giga": 10**9,
    "micro": Fraction(1, 10**6),
    "nano": Fraction(1, 10**9),
}
_SI = {
    "m": "length",
    "s": "time",
    "A": "current",
    "K": "kelvin",
    "mol": "amount",
    "g": "mass",
    "Hz": "frequency",
    "N": "force",
    "J": "energy",
    "W": "power",
    "V": "voltage",
    "Pa": "pressure",
    "L": "volume",
    "l": "volume",
    "eV": "electronvolt",
    "B": "byte",
    "bit": "bit",
    "C": "charge",
    "cal": "calorie",
}
_SI_WORDS = {
    "meter": "m",
    "metre": "m",
    "gram": "g",
    "gramme": "g",
    "second": "s",
    "liter": "L",
    "litre": "L",
    "watt": "W",
    "joule": "J",
    "newton": "N",
    "volt": "V",
    "hertz": "Hz",
    "pascal": "Pa",
    "mole": "mol",
    "ampere": "A",
    "amp": "A",
    "kelvin": "K",
    "byte": "B",
    "calorie": "cal",
    "coulomb": "C",
}
_OTHER: dict[str, tuple[Fraction | int, str]] = {
    "inch": (Fraction(254, 10000), "length"),
    "inches": (Fraction(254, 10000), "length"),
    "in": (Fraction(254, 10000), "length"),
    "foot": (Fraction(3048, 10000), "length"),
    "feet": (Fraction(3048, 10000), "length"),
    "ft": (Fraction(3048, 10000), "length"),
    "yard": (Fraction(9144, 10000), "length"),
    "yd": (Fraction(9144, 10000), "length"),
    "mile": (Fraction(1609344, 1000), "length"),
    "mi": (Fraction(1609344, 1000), "length"),
    "minute": (60, "time"),
    "min": (60, "time"),
    "sec": (1, "time"),
    "hour": (3600, "time"),
    "hr": (3600, "time"),
    "h": (3600, "time"),
    "day": (86400, "time"),
    "week": (604800, "time"),
    "month": (1, "month"),
    "year": (1, "year"),
    "yr": (1, "year"),
    "pound": (Fraction(45359237, 100000), "mass"),
    "lb": (Fraction(45359237, 100000), "mass"),
    "ounce": (Fraction(45359237, 1600000), "mass"),
    "oz": (Fraction(45359237, 1600000), "mass"),
    "ton": (1, "ton"),
    "tonne": (10**6, "mass"),
    "t": (10**6, "mass"),
    "gallon": (1, "gallon"),
    "gal": (1, "gallon"),
    "quart": (Fraction(1, 4), "gallon"),
    "pint": (Fraction(1, 8), "gallon"),
    "cup": (Fraction(1, 16), "gallon"),
    "dollar": (1, "USD"),
    "buck": (1, "USD"),
    "usd": (1, "USD"),
    "$": (1, "USD"),
    "cent": (Fraction(1, 100), "USD"),
    "¢": (Fraction(1, 100), "USD"),
    "penny": (Fraction(1, 100), "USD"),
    "pennies": (Fraction(1, 100), "USD"),
    "euro": (1, "EUR"),
    "eur": (1, "EUR"),
    "€": (1, "EUR"),
    "£": (1, "GBP"),
    "gbp": (1, "GBP"),
    "pence": (Fraction(1, 100), "GBP"),
    "¥": (1, "CNY/JPY"),
    "yuan": (1, "CNY/JPY"),
    "元": (1, "CNY/JPY"),
    "yen": (1, "CNY/JPY"),
    "rmb": (1, "CNY/JPY"),
    "rupee": (1, "INR"),
    "₹": (1, "INR"),
    "rs": (1, "INR"),
    "inr": (1, "INR"),
    "won": (1, "KRW"),
    "₩": (1, "KRW"),
    "角": (Fraction(1, 10), "CNY/JPY"),
    "分": (Fraction(1, 100), "CNY/JPY"),
    "degree": (1, "angle"),
    "deg": (1, "angle"),
    "°": (1, "angle"),
    "radian": (1, "radian"),
    "rad": (1, "radian"),
    "米": (1, "length"),
    "厘米": (Fraction(1, 100), "length"),
    "千米": (1000, "length"),
    "公里": (1000, "length"),
    "毫米": (Fraction(1, 1000), "length"),
    "千克": (1000, "mass"),
    "公斤": (1000, "mass"),
    "克": (1, "mass"),
    "吨": (10**6, "mass"),
    "秒": (1, "time"),
    "分钟": (60, "time"),
    "小时": (3600, "time"),
    "天": (86400, "time"),
    "升": (1, "volume"),
    "毫升": (Fraction(1, 1000), "volume"),
    "度": (1, "angle"),
    "平方米": (1, "length2"),
    "平方厘米": (Fraction(1, 10000), "length2"),
    "立方米": (1, "length3"),
    "hectare": (10000, "length2"),
    "acre": (1, "acre"),
    "celsius": (1, "celsius"),
    "fahrenheit": (1, "fahrenheit"),
    "mph": (Fraction(1609344, 3600000), "speed"),
    "kph": (Fraction(1000, 3600), "speed"),
    "kmh": (Fraction(1000, 3600), "speed"),
    "cc": (Fraction(1, 10**6), "length3"),
    "decade": (10, "year"),
    "unit": (1, ""),
    "units": (1, ""),
}
_SPECIAL = {
    "speed": (("length", 1), ("time", -1)),
    "length2": (("length", 2),),
    "length3": (("length", 3),),
    "": (),
}
_LITER = Fraction(1, 1000)
_LEAD = re.compile(
    r"^(?:in|of|the|a|an|about)\s+|\s+(?:of|in|long|wide|tall|high|deep|away|old|each|total|altogether|more|less)\b.*$"
)


# words after a number that say more than what is counted
_NO_UNIT = re.compile(
    r"\b(?:or|and|but|if|when|unless|except|not|is|are|at|to|than|other|squared|cubed|half|halves|thirds?|fourths?|fifths?"
    r"|sixths?|sevenths?|eighths?|ninths?|tenths?|(?:hundred|thousand|million|billion)(?:th)?s?|mio|mln|bn|lakhs?|crores?|less|fewer|minus|plus|times|factorial|correct|wrong|maybe|perhaps|rejected|infinity"
    r"|[abnxyz]?(?:sin|cos|tan|cot|csc|ln|log|exp|sqrt|pi)[abhknrtxyz])\b"  # 2 sinx
    r"|^\s*(?:[十百千万亿兆半折成的多余]|以[上下内外])"  # 5千 is 5000
)


def parse_unit(text: str) -> Unit | None:
    """The unit that these words name; with a `label` if they are just words; None if it isn't a unit at all."""
    raw = re.sub(r"\s+", " ", text.replace("\\", " ").replace("{", "").replace("}", "").replace("~", " ")).strip(" .")
    if not raw:
        return None
    known = _known(raw)
    if known is None and (bare := _LEAD.sub("", raw.strip())) != raw:
        known = _known(bare)
    if known is not None:
        return known
    words = re.sub(r"[^\w\s]", "", raw).lower()
    if (
        not words
        or len(words) > 60
        or re.search(r"\d", words)
        or _NO_UNIT.search(words)
        or re.search(r"[+=<>|^_*%&#@!?\"]", raw)
    ):
        return None
    words = re.sub(r"^(?:(?:of|the|a|an|different|distinct|possible|total|such)\s+)+", "", words)
    return Unit(Fraction(1), (), _singular(words))


def _known(raw: str) -> Unit | None:
    """Products, quotients and powers of known units: `cm^2`, `square feet`, `m/s`, `miles per hour`, `kg m^2 s^-1`."""
    size = Fraction(1)
    dims: dict[str, int] = {}
    raw = re.sub(r"\bper\b", "/", raw)
    raw = re.sub(r"\bsquared?\s+([A-Za-z]+)", r"\1^2", raw)
    raw = re.sub(r"\bcubic\s+([A-Za-z]+)|\bcubed\s+([A-Za-z]+)", lambda m: f"{m[1] or m[2]}^3", raw)
    raw = re.sub(r"([A-Za-z]+)\s+squared\b", r"\1^2", raw)
    raw = re.sub(r"([A-Za-z]+)\s+cubed\b", r"\1^3", raw)
    raw = re.sub(r"\bsq\.?\s*([A-Za-z]+)", r"\1^2", raw)
    raw = re.sub(r"\bcu\.?\s*([A-Za-z]+)\b", r"\1^3", raw) if re.match(r"cu\b", raw) else raw
    sign = 1
    parts = re.findall(r"/|\^?\s*\(?-?\d+\)?|°\s*[CF]?|[A-Za-z]+|[\u4e00-\u9fff]+|[$€£¥₹₩¢]|[*·.]|\S", raw)
    last: str | None = None
    for part in parts:
        part = part.replace(" ", "")
        if part in "*·.":
            continue
        if part == "/":
            sign = -1
        elif part[0] == "^" or part.lstrip("(-")[:1].isdigit():
            digits = re.sub(r"[^\d-]", "", part)
            if not re.fullmatch(r"-?\d{1,2}", digits):
                return None
            power = int(digits)
            if last is None or abs(power) > (9 if part[0] == "^" else 3):
                return None
            unit = known_unit(last)
            assert unit is not None
            _times(dims, unit, (power - 1) * sign)
            size *= unit.size ** ((power - 1) * sign)
            last = None
        else:
            found = known_unit(part)
            if found is None:
                return None
            _times(dims, found, sign)
            size *= found.size**sign
            last = part
    return Unit(size, tuple(sorted((d, p) for d, p in dims.items() if p)))


def _times(dims: dict[str, int], unit: Unit, power: int) -> None:
    for name, times in unit.dims:
        dims[name] = dims.get(name, 0) + times * power


def known_unit(word: str) -> Unit | None:
    """The unit that one word or sign names, or None."""
    if word in ("°C", "°F"):
        return Unit(Fraction(1), (("celsius" if word == "°C" else "fahrenheit", 1),))
    found = _si(word)
    if found is None:
        entry = _OTHER.get(word) or _OTHER.get(word.lower()) or _OTHER.get(_singular(word.lower()))
        if entry is None:
            return None
        found = (Fraction(entry[0]), entry[1])
    size, dim = found
    if dim == "volume":
        return Unit(size * _LITER, (("length", 3),))
    return Unit(size, _SPECIAL.get(dim, ((dim, 1),)))


def _si(word: str) -> tuple[Fraction, str] | None:
    if word in _SI:
        return Fraction(1), _SI[word]
    if word[:1] in _PREFIX and word[1:] in _SI and word not in _OTHER:
        return Fraction(_PREFIX[word[0]]), _SI[word[1:]]
    low = _singular(word.lower())
    if low in _SI_WORDS:
        return Fraction(1), _SI[_SI_WORDS[low]]
    for prefix, size in _PREFIX_WORDS.items():
        if low.startswith(prefix) and low[len(prefix) :] in _SI_WORDS:
            return Fraction(size), _SI[_SI_WORDS[low[len(prefix) :]]]
    if low in ("kg", "km", "cm", "mm", "ml", "kw", "kwh", "kj"):
        return _si(low) if low in ("kg", "km", "cm", "mm", "ml") and low != word else None
    return None


def _singular(word: str) -> str:
    for end, put in (("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("people", "person")):
        if word.endswith(end) and len(word) > len(end):
            return word[: -len(end)] + put
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
