import itertools
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from mathsynth.verifier.vote import Cluster, vote


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
