import numpy as np
import pytest
from translated import pairs

from xlmr import encoder as encoders
from xlmr.evaluation import questions
from xlmr.heads import calibration
from xlmr.training import fitting, translations
from xlmr.training.corpus import Line
from xlmr.training.translations import Batches


@pytest.fixture(scope="module")
def lines():
    kinds = [line for domain in ("news", "tales") for pair in pairs(60, seed=len(domain)) for line in fitting.translated(domain, *pair)]
    return [*dict.fromkeys(kinds), Line("fr", "news", "alone", "le chat lit un livre"), Line("fr", "prose", "", "le chien dort")]


@pytest.fixture(scope="module")
def encoder(tiny):
    return encoders.load(tiny, threads=1)


@pytest.fixture(scope="module")
def begins(encoder):
    return questions.look_at(encoder.tokenizer).begins


@pytest.fixture(scope="module")
def corpus(encoder, lines):
    return fitting.tokenised(encoder, lines)


@pytest.fixture(scope="module")
def texts(corpus, lines, begins):
    return translations.look_at(corpus, translations.domains(lines), translations.choose(corpus, 40, begins), 500)


def batches(texts, corpus, **options):
    return Batches(texts, corpus.languages.index("en"), **{"exponent": 0.5, "english": 0.8, "seed": 1} | options)


def test_a_text_has_the_rows_that_its_vector_is_made_of(corpus, texts, begins):
    keys = translations.choose(corpus, 40, begins)
    for text, line in enumerate(texts.lines):
        ids = corpus.line(line).astype(np.int64)
        places = calibration.found_in(keys, np.concatenate(calibration.hashes(ids, np.zeros(len(ids)))))
        wanted = [*ids, *(500 + places[places >= 0])]
        assert sorted(texts.rows[texts.starts[text] : texts.starts[text + 1]]) == sorted(wanted)


def test_the_commonest_sequences_have_a_row_first_of_all_those_within_words(corpus, begins):
    """Brute force: what each sequence that stands there twice counts, piece by piece."""
    counted = {}
    for line in np.flatnonzero(corpus.group >= 0):
        ids = corpus.line(line).astype(np.int64)
        for length, keys in enumerate(calibration.hashes(ids, np.zeros(len(ids))), start=2):
            for place, key in enumerate(keys):
                within = not begins[ids[place + 1 : place + length]].any()
                counted.setdefault(int(key), []).append(1.0 if within else translations.ACROSS)
    worth = {key: sum(of) for key, of in counted.items() if len(of) > 1}
    chosen = translations.choose(corpus, 40, begins)
    assert len(chosen) == 40
    assert (np.diff(chosen.astype(np.int64)) > 0).all()
    assert min(worth[key] for key in chosen.tolist()) >= max(of for key, of in worth.items() if key not in chosen) - 1e-9
    assert begins.any()
    assert not begins.all()


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


def test_nothing_is_drawn_where_there_are_no_translations(encoder, begins):
    lines = [Line("fr", "news", str(i), "le chat") for i in range(3)]
    found = fitting.tokenised(encoder, lines)
    texts = translations.look_at(found, translations.domains(lines), translations.choose(found, 5, begins), 500)
    assert Batches(texts, -1, exponent=0.5, english=0.5, seed=1).count == 0


@pytest.mark.parametrize("exponent", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_whatever_is_drawn_is_a_text(corpus, texts, exponent):
    """Sums are rounded, and what is drawn may be the number just below 1."""
    for cumulated in batches(texts, corpus, exponent=exponent).cumulated:
        assert np.searchsorted(cumulated, np.nextafter(1, 0), side="right") < len(texts.lines)
