import pytest

from xlmr.errors import BadInput, BadLine
from xlmr.examples import sources
from xlmr.limits import CHARACTERS


@pytest.mark.parametrize(
    ("given", "code"),
    [("German", "de"), ("deu_Latn", "de"), ("nb", "no"), ("zh-TW", "zh-Hant"), ("wo", "wo"), ("WOL_Latn", "wol-latn"), ("und", "und")],
)
def test_a_language_is_xlmrs_code_or_the_tag_that_was_given(given, code):
    found = sources.source(f"{given}=a.tsv")
    assert (found.language, str(found.path)) == (code, "a.tsv")


@pytest.mark.parametrize("given", ["Germn", "", "d", "english language"])
def test_a_name_that_is_no_language_is_refused(given):
    with pytest.raises(BadInput, match=f"language '{given}' is not known"):
        sources.source(f"{given}=a.tsv")


def test_a_file_may_have_an_equals_sign_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=0.1.tsv").touch()
    assert sources.source("lr=0.1.tsv") == sources.Source(None, sources.Path("lr=0.1.tsv"))
    assert sources.source("a.tsv").language is None


def test_the_source_says_the_language_before_the_row_does(tmp_path):
    said, unsaid = sources.source("fr=a.tsv"), sources.source("a.tsv")
    assert [said.language_of(1, "de"), unsaid.language_of(1, "German"), unsaid.language_of(1, None)] == ["fr", "de", "und"]
    with pytest.raises(BadLine, match=r"a\.tsv: line 7: language 'Klingon' is not known"):
        unsaid.language_of(7, "Klingon")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "found nothing as 'text'"),
        (3, "found 3 as 'text', wanted a text"),
        (" \n", "'text' is empty"),
        ("x" * (CHARACTERS + 1), "'text' has 100,001 characters; at most 100,000"),
    ],
)
def test_a_text_has_something_in_it(value, complaint):
    with pytest.raises(BadInput, match=complaint):
        sources.text(value, "text")


def test_a_label_may_be_a_number_or_a_truth():
    assert [sources.name(value, "label") for value in (" yes ", 3, 0.5, True)] == ["yes", "3", "0.5", "true"]
    with pytest.raises(BadInput, match="found nothing as 'label'"):
        sources.name(None, "label")


def test_a_source_with_nothing_in_it_is_told_after_it_was_read():
    of = sources.source("a.tsv")
    assert list(of.some(iter([1, 2]), "rows")) == [1, 2]
    with pytest.raises(BadInput, match=r"a\.tsv: holds no examples; wanted rows"):
        list(of.some(iter([]), "rows"))


def test_half_a_surrogate_pair_is_told_before_it_is_learnt():
    for read in (sources.text, sources.name):
        with pytest.raises(BadInput, match=r"character 2 of 'label' is U\+D83D, a half of a surrogate pair"):
            read("ab\ud83d", "label")
    assert sources.text("ab\U0001f600", "label") == "ab\U0001f600"
