"""Counters that see millions of rows and stay small: names, lengths, distinct ids, and a fair few examples. PURE."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Generic, TypeVar

import xxhash

Item = TypeVar("Item")

NAMES = 2000
OTHERS = "(others)"


class Names(Counter[str]):
    """Counts by name. Names beyond the first 2,000 different ones are counted as `(others)`."""

    def add(self, name: str, number: int = 1) -> None:
        """Count a name."""
        self[name if name in self or len(self) < NAMES else OTHERS] += number


@dataclass(frozen=True)
class Bin:
    """How many lengths are in [low, high); the last bin takes all that are longer."""

    low: int
    high: int
    number: int


class Lengths:
    """Lengths, exact below 1,000 and to three digits above."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.number = self.total = self.longest = 0

    def add(self, length: int) -> None:
        """Count a length."""
        unit = 10 ** max(0, len(str(length)) - 3)
        self._counts[length // unit * unit] += 1
        self.number += 1
        self.total += length
        self.longest = max(self.longest, length)

    def quantile(self, share: float) -> int:
        """The smallest length that at least this share of all does not exceed; 0 if there is none."""
        wanted, seen = share * self.number, 0
        for length in sorted(self._counts):
            seen += self._counts[length]
            if seen >= wanted:
                return length
        return 0

    def bins(self, most: int = 24) -> tuple[Bin, ...]:
        """Bins of one round width from 0 to where 99 % are inside."""
        if not self.number:
            return ()
        width = _round_up(ceil((self.quantile(0.99) + 1) / most))
        last = self.quantile(0.99) // width
        numbers = Counter[int]()
        for length, number in self._counts.items():
            numbers[min(length // width, last)] += number
        return tuple(Bin(i * width, (i + 1) * width, numbers[i]) for i in range(last + 1))


def _round_up(width: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50, …"""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power >= width:
                return digit * power
        power *= 10


class Distinct:
    """How many different ids came by, given that equal ones mostly follow each other."""

    def __init__(self) -> None:
        self._hashes, self._last = array("Q"), ""
        self._found: set[int] = set()

    def add(self, name: str) -> None:
        """See an id."""
        if name != self._last or not self._hashes:
            self._last = name
            self._hashes.append(_hash(name))

    def number(self) -> int:
        """Different ids so far."""
        self._found.update(self._hashes)
        self._hashes, self._last = array("Q"), ""
        return len(self._found)

    def __contains__(self, name: str) -> bool:
        """Whether an id came by."""
        if self._hashes:
            self.number()
        return _hash(name) in self._found


class Few(Generic[Item]):
    """The items whose ids hash lowest: a sample that depends on the rows alone, not on their order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[int, str, Item]] = []

    def wants(self, name: str) -> bool:
        """Whether an item of this id would be kept, so that others need not be made."""
        return len(self._heap) < self._most or -_hash(name) > self._heap[0][0]

    def add(self, name: str, item: Item) -> None:
        """Keep an item if it is among the lowest."""
        if self.wants(name) and all(name != kept for _, kept, _ in self._heap):
            push = heapq.heappush if len(self._heap) < self._most else heapq.heappushpop
            push(self._heap, (-_hash(name), name, item))

    def items(self) -> list[Item]:
        """The kept ones, lowest first."""
        return [item for _, _, item in sorted(self._heap, key=lambda entry: (-entry[0], entry[1]))]


def in_turn(groups: Iterable[list[Item]], most: int) -> list[Item]:
    """At most `most` items, drawn from the groups in turn."""
    queues, drawn = [list(group) for group in groups if group], list[Item]()
    while queues and len(drawn) < most:
        for queue in queues:
            drawn.append(queue.pop(0))
        queues = [queue for queue in queues if queue]
    return drawn[:most]


def _hash(name: str) -> int:
    return xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass"))
