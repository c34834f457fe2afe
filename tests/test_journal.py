"""Reply journals: found again, torn tails repaired, edited ones refused, one writer."""

import errno
import os

import pytest

from mathsynth.errors import RunError
from mathsynth.journal import Journal


def test_replies_are_found_again_after_reopening_and_packing(tmp_path):
    journal = Journal(tmp_path)
    replies = {f"k{i}": {"text": "x" * (i * 1000), "n": i} for i in range(50)}
    for key, reply in replies.items():
        journal.put(key, reply)
    assert journal.get("k7") == replies["k7"]
    assert journal.get("nothing") is None
    journal.close(compress=True)
    assert [path.name for path in tmp_path.iterdir()] == ["00000.jsonl.zst"]
    again = Journal(tmp_path)
    assert {key: again.get(key) for key in replies} == replies
    again.put("new", {"text": "y"})
    again.close()
    assert len(Journal(tmp_path)) == 51


def test_replies_of_interrupted_attempts_are_claimed_once(tmp_path):
    journal = Journal(tmp_path)
    journal.put("before", {"text": "b"})
    begin = journal.end
    journal.put("interrupted", {"text": "i"})
    journal.close(compress=True)
    again = Journal(tmp_path)
    again.since(begin)
    again.put("now", {"text": "n"})
    assert [again.claim(key) for key in ("before", "interrupted", "interrupted", "now")] == [False, True, False, False]
    again.close()


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_cut_off_and_the_rest_kept(tmp_path, cut):
    journal = Journal(tmp_path)
    journal.put("a", {"text": "one"})
    journal.put("b", {"text": "two"})
    journal.close()
    path = tmp_path / "00000.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    again = Journal(tmp_path)
    assert again.get("a") == {"text": "one"}
    assert again.get("b") is None
    again.put("b", {"text": "two"})
    again.close()
    assert path.read_bytes().count(b"\n") == 2
    assert Journal(tmp_path).get("b") == {"text": "two"}


def test_a_broken_line_before_the_last_is_named_and_refused(tmp_path):
    journal = Journal(tmp_path)
    for key in "abc":
        journal.put(key, {"text": key})
    journal.close()
    path = tmp_path / "00000.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"garbage\n" + lines[2])
    with pytest.raises(RunError, match=r"00000\.jsonl:2: not a reply"):
        Journal(tmp_path)


def test_an_empty_journal_can_be_packed_and_opened_again(tmp_path):
    Journal(tmp_path).close(compress=True)
    assert len(Journal(tmp_path)) == 0


def test_two_writers_are_refused(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(RunError, match="another process"):
        Journal(tmp_path)
    journal.close()


def test_a_full_disk_stops_with_a_clear_line_and_a_whole_journal(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.put("a", {"text": "one"})
    write = os.write

    def half(handle, data):
        write(handle, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(RunError, match="No space left"):
        journal.put("b", {"text": "two"})
    monkeypatch.undo()
    journal.close()
    again = Journal(tmp_path)
    assert len(again) == 1
    again.close()


def test_files_roll_and_stay_one_journal(tmp_path, monkeypatch):
    monkeypatch.setattr("mathsynth.journal.ROLL_BYTES", 200)
    journal = Journal(tmp_path)
    for i in range(20):
        journal.put(str(i), {"text": "t" * 50})
    assert journal.get("3") == {"text": "t" * 50}
    journal.close()
    assert len(list(tmp_path.glob("*.jsonl"))) > 3
    again = Journal(tmp_path)
    assert len(again) == 20
    again.close(compress=True)
