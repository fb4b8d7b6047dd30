import pytest
from speakers import sentences

import xlmr
from xlmr.errors import BadInput
from xlmr.evaluation import labelled


@pytest.fixture
def model(speaking):
    return xlmr.load(speaking, threads=1)


def test_each_language_has_its_f1_and_all_their_mean(model):
    pairs = sentences()
    found = labelled.language(model, pairs)
    answers = [answer[0].code for answer in model.identify_language([text for _, text in pairs], top=1)]
    for code, share in found.languages.items():
        hits = sum(answer == wanted == code for answer, (wanted, _) in zip(answers, pairs, strict=True))
        both = answers.count(code) + [wanted for wanted, _ in pairs].count(code)
        assert share == pytest.approx(2 * hits / both)
    assert found.mean == pytest.approx(sum(found.languages.values()) / 9)


def test_only_some_languages_texts_are_taken(model):
    assert [*labelled.language(model, iter(sentences()), ["German", "fr"]).languages] == ["de", "fr"]
    with pytest.raises(BadInput, match="no texts in sw"):
        labelled.language(model, sentences(), ["sw"])


def test_texts_are_read_a_window_at_a_time(model):
    def endless():
        while True:
            yield from sentences()
            raise BadInput("stopped here")

    with pytest.raises(BadInput, match="stopped here"):
        labelled.language(model, endless())
