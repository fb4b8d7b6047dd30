import pytest

from xlmr.errors import BadLine
from xlmr.examples import Classified, Tagged, labels


def classified(*of: str) -> Classified:
    return Classified("de", "ein Satz", None, of, "a.tsv: line 3")


def tagged(*tags: str) -> Tagged:
    return Tagged("de", tuple("abcdef"[: len(tags)]), tags, "a.conll: line 9")


def test_labels_are_in_an_order_that_does_not_depend_on_the_data():
    assert labels.inferred(["sport", "news", "sport"]) == labels.inferred(["news", "sport"]) == ("news", "sport")
    assert labels.inferred(["10", "9", "-1", "0.5"]) == ("-1", "0.5", "9", "10")
    assert labels.inferred(["I-PER", "O", "B-PER", "B-LOC"]) == ("O", "B-LOC", "B-PER", "I-PER")


def test_a_known_label_passes_and_another_is_told():
    labels.check(classified("x", "y"), ("x", "y"))
    labels.check(tagged("O", "B-PER"), ("O", "B-PER"))
    many = [f"topic {i}" for i in range(40)]
    with pytest.raises(BadLine, match=r"a\.tsv: line 3: has the label 'z', .* topic 11 … \(40 in all\)$"):
        labels.check(classified("z"), many)


@pytest.mark.parametrize(
    ("tags", "complaint"),
    [
        (("I-PER",), "word 1 of the sentence, 'a', has the tag 'I-PER' after the beginning of the sentence, .* wanted B-PER or O"),
        (("B-PER", "I-LOC"), "word 2 of the sentence, 'b', has the tag 'I-LOC' after B-PER, which breaks IOB2; wanted B-LOC or O"),
        (("O", "E-PER"), "word 2 of the sentence, 'b', has the tag 'E-PER' after O, which breaks IOB2; wanted O, or B- or I- and a label"),
    ],
)
def test_a_tag_that_breaks_iob2_is_told(tags, complaint):
    labels.check_iob(tagged("B-PER", "I-PER", "O", "B-LOC", "B-LOC"))
    with pytest.raises(BadLine, match=rf"a\.conll: line 9: {complaint}"):
        labels.check_iob(tagged(*tags))


@pytest.mark.parametrize("label", ["much", "nan", "inf", ""])
def test_a_regression_learns_numbers(label):
    assert labels.number(classified("-2.5")) == -2.5
    with pytest.raises(BadLine, match=r"a\.tsv: line 3: found .* as the label, wanted a number"):
        labels.number(classified(label))
    with pytest.raises(BadLine, match="found nothing as the label"):
        labels.number(classified())


def test_what_is_no_finite_number_is_a_word_in_the_order():
    for order in (["nan", "1", "inf", "0"], ["inf", "0", "1", "nan"]):  # a nan among numbers would stand wherever it was found
        assert labels.inferred(order) == ("0", "1", "inf", "nan")
