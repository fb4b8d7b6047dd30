import numpy as np
import pytest
from translated import pairs

from xlmr import encoder as encoders
from xlmr.heads import calibration
from xlmr.training import fitting, translations
from xlmr.training.corpus import Line
from xlmr.training.translations import Batches


@pytest.fixture(scope="module")
def lines():
    kinds = [line for domain in ("news", "tales") for pair in pairs(60, seed=len(domain)) for line in fitting.translated(domain, *pair)]
    return [*dict.fromkeys(kinds), Line("fr", "news", "alone", "le chat lit un livre"), Line("fr", "prose", "", "le chien dort")]


@pytest.fixture(scope="module")
def corpus(tiny, lines):
    return fitting.tokenised(encoders.load(tiny, threads=1), lines)


@pytest.fixture(scope="module")
def texts(corpus, lines):
    return translations.look_at(corpus, translations.domains(lines), translations.choose(corpus, 40), 500)


def batches(texts, corpus, **options):
    return Batches(texts, corpus.languages.index("en"), **{"exponent": 0.5, "english": 0.8, "seed": 1} | options)


def test_a_text_has_the_rows_that_its_vector_is_made_of(corpus, texts):
    keys = translations.choose(corpus, 40)
    for text, line in enumerate(texts.lines):
        ids = corpus.line(line).astype(np.int64)
        places = calibration.found_in(keys, np.concatenate(calibration.hashes(ids, np.zeros(len(ids)))))
        wanted = [*ids, *(500 + places[places >= 0])]
        assert sorted(texts.rows[texts.starts[text] : texts.starts[text + 1]]) == sorted(wanted)


def test_the_commonest_sequences_have_a_row(corpus):
    held = [corpus.line(line).astype(np.int64) for line in np.flatnonzero(corpus.group >= 0)]
    keys, counts = np.unique(
        np.concatenate([key for ids in held for key in calibration.hashes(ids, np.zeros(len(ids)))]), return_counts=True
    )
    chosen = translations.choose(corpus, 40)
    assert len(chosen) == 40
    assert (np.diff(chosen.astype(np.int64)) > 0).all()
    assert counts[np.isin(keys, chosen)].min() >= counts[~np.isin(keys, chosen)].max()


def test_a_batch_is_of_one_domain_and_each_group_is_in_it_once(corpus, texts):
    drawn = batches(texts, corpus)
    for _ in range(20):
        ours, theirs = drawn.draw(16)
        assert (texts.group[ours] == texts.group[theirs]).all()
        assert (ours != theirs).all()
        assert len({*texts.group[ours]}) == len(ours) > 4
        assert len({*texts.domain[ours]}) == 1


def test_a_text_without_a_translation_is_not_drawn(corpus, texts):
    sides = [batches(texts, corpus, seed=seed).draw(64) for seed in range(20)]
    drawn = {corpus.languages[texts.language[text]] for pair in sides for side in pair for text in side}
    alone = np.flatnonzero(np.bincount(texts.group)[texts.group] == 1)
    assert len(alone) == 1
    assert drawn == {"de", "en", "fr"}
    assert not any(alone[0] in side for pair in sides for side in pair)


@pytest.mark.parametrize("english", [0.0, 1.0])
def test_english_is_the_other_side_as_often_as_asked(corpus, texts, english):
    pivot = corpus.languages.index("en")
    ours, theirs = batches(texts, corpus, english=english).draw(64)
    foreign = texts.language[ours] != pivot
    share = np.mean(texts.language[theirs[foreign]] == pivot)
    assert share == 1.0 if english else share < 0.9


def test_nothing_is_drawn_where_there_are_no_translations(tiny):
    lines = [Line("fr", "news", str(i), "le chat") for i in range(3)]
    found = fitting.tokenised(encoders.load(tiny, threads=1), lines)
    texts = translations.look_at(found, translations.domains(lines), translations.choose(found, 5), 500)
    assert Batches(texts, -1, exponent=0.5, english=0.5, seed=1).count == 0


@pytest.mark.parametrize("exponent", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_whatever_is_drawn_is_a_text(corpus, texts, exponent):
    """Sums are rounded, and what is drawn may be the number just below 1."""
    for cumulated in batches(texts, corpus, exponent=exponent).cumulated:
        assert np.searchsorted(cumulated, np.nextafter(1, 0), side="right") < len(texts.lines)
