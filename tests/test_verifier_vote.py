import itertools
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from mathsynth.verifier.vote import Cluster, samples_missing, vote


def value(text: str) -> Fraction:
    text = text.replace("\\frac{1}{2}", "1/2")
    return Fraction(text.rstrip(" %")) / (100 if text.endswith("%") else 1)


def same(a: str, b: str) -> bool | None:
    return value(a) == value(b)


def test_one_cluster_for_all_spellings_of_a_value():
    result = vote(["0.5", "1/2", "50 %", "\\frac{1}{2}", "3", None, "", "  "], same)
    assert result.answer == "1/2"
    assert (result.share, result.margin) == (0.8, 0.6)
    assert (result.voters, result.no_answer) == (5, 3)
    assert result.clusters[0].forms == ("1/2", "\\frac{1}{2}", "0.5", "50 %")
    assert result.clusters[1] == Cluster("3", 1, ("3",))


def test_nothing_to_count_has_no_winner_and_no_placeholder():
    for answers in ([], [None, None], ["", None]):
        result = vote(answers, same)
        assert (result.answer, result.share, result.margin, result.clusters) == (None, None, None, ())
        assert result.no_answer == len(answers)


def test_a_tie_has_no_margin():
    assert vote(["2", "1"], same).margin == 0


@given(st.lists(st.sampled_from(["1/2", "0.5", "2/4", "0.25", "1/4", "3", None]), max_size=9), st.randoms())
def test_the_order_of_the_samples_does_not_matter(answers, random):
    other = answers[:]
    random.shuffle(other)
    assert vote(answers, same) == vote(other, same)


@given(st.lists(st.sampled_from(["1/2", "0.5", "2/4", "0.25", "1/4", "3", None]), max_size=12))
def test_votes_add_up_and_clusters_are_pure(answers):
    result = vote(answers, same)
    assert sum(c.votes for c in result.clusters) == result.voters == len(answers) - result.no_answer
    for cluster in result.clusters:
        assert len({value(form) for form in cluster.forms}) == 1
    for a, b in itertools.combinations(result.clusters, 2):
        assert value(a.answer) != value(b.answer)


def test_what_fits_two_values_does_not_bind_them():
    def units(a, b):
        numbers, names = {a.split()[0], b.split()[0]}, {a.partition(" ")[2], b.partition(" ")[2]} - {""}
        return len(numbers) == 1 and len(names) <= 1

    result = vote(["5 cm", "5 cm", "5 m", "5"], units)
    assert [(c.answer, c.votes) for c in result.clusters] == [("5", 3), ("5 m", 1)]


def test_undecided_is_not_equal():
    assert len(vote(["a", "b"], lambda a, b: None).clusters) == 2


def test_the_simplest_form_is_exact_and_short():
    def always(a, b):
        return True

    assert vote(["0.333333", "1/3", "2/6"], always).answer == "1/3"
    assert vote(["\\sqrt{12}", "2\\sqrt{3}"], always).answer == "2\\sqrt{3}"
    assert vote(["7.0", "7", "7 apples"], always).answer == "7"


# --- when a vote is over ---------------------------------------------------------------------------------------------


def missing(answers, samples=8, min_share=0.5, min_votes=3, rows=1, same=same):
    return samples_missing(answers, samples, min_share=min_share, min_votes=min_votes, rows=rows, same=same)


def test_a_vote_is_over_when_the_rest_cannot_overturn_it():
    assert [missing(["1"] * n) for n in range(6)] == [5, 4, 3, 2, 1, 0]
    assert missing(["1", "2", "1", "1", "1"]) == 1
    assert missing(["1", "2", "1", "1", "1", "1"]) == 0
    assert missing(["1", "2", "3", "1"]) == 3  # lost if three more say something else, won if they say 1
    assert missing([]) == 5


def test_a_vote_is_over_when_nothing_can_win_any_more():
    assert missing(["1", "2", "3", "4", "5", "6"]) == 0
    assert missing([None] * 5) == 1
    assert missing([None] * 6) == 0
    assert missing(["0.5", "1/2", "3", "4", "5", "6"]) > 0  # two of them are one


def test_a_vote_whose_samples_are_wanted_as_rows_goes_on_for_them():
    assert missing(["1"] * 5, rows=7) == 2
    assert missing(["1"] * 5, rows=20) == 3
    assert missing(["1", "2", "3", "4", "5", "6"], rows=7) == 0


def test_at_least_one_sample_is_asked_even_of_a_vote_that_nobody_can_win():
    assert missing([], samples=2, min_votes=3) == 1
    assert missing(["1"], samples=2, min_votes=3) == 0


def loose(a: str, b: str) -> bool | None:
    """Not transitive and not symmetric: a bare number equals it with any unit, and some pairs can't be decided."""
    (n, _, u), (m, _, v) = a.partition(" "), b.partition(" ")
    if "?" in (u, v):
        return None if n == m and (a < b) else n == m and u == v
    return n == m and (u == v or not u or not v)


def outcome(answers, min_share, min_votes, relation):
    """The cluster that wins, by one spelling that is in it for sure, or None."""
    found = vote(answers, relation)
    if found.share is None or found.share < min_share or found.clusters[0].votes < min_votes or not found.margin:
        return None
    return found.clusters[0].forms


@settings(max_examples=300, deadline=None)
@given(
    answers=st.lists(st.sampled_from(["5", "5 m", "5 cm", "5 ?", "7", None]), min_size=1, max_size=6),
    left=st.integers(0, 3),
    min_share=st.sampled_from([0.3, 0.5, 0.6, 1.0]),
    min_votes=st.integers(1, 4),
    rows=st.integers(1, 3),
)
def test_what_is_over_stays_so_whatever_comes_and_no_sooner_is_promised(answers, left, min_share, min_votes, rows):
    rules = {"samples": len(answers) + left, "min_share": min_share, "min_votes": min_votes, "rows": rows}
    need = missing(answers, same=loose, **rules)
    now = outcome(answers, min_share, min_votes, loose)
    for rest in itertools.product(["5", "5 m", "5 cm", "5 ?", "7", "8", None], repeat=left):
        if need == 0:
            then = outcome([*answers, *rest], min_share, min_votes, loose)
            assert (now is None) == (then is None)
            if now and then:
                best = max(now, key=[str(answer) for answer in answers].count)
                assert best in then
                assert left == 0 or answers.count(best) >= rows
        for more in range(1, min(need, left + 1)):
            assert missing([*answers, *rest[:more]], same=loose, **rules) > 0
