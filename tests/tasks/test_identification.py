import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from speakers import sentences

import xlmr
from xlmr import checkpoint, scripts
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.tasks import classifiers, recognition
from xlmr.tasks import evidence as evidences
from xlmr.tasks.identification import identify_each
from xlmr.tasks.recognition import Asked, Language

NOBODY = Language("und", "Zyyy", 1.0)
with_a_model = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)


@pytest.fixture(scope="module")
def model(speaking: Path) -> xlmr.Model:
    return xlmr.load(speaking, threads=1)


def test_languages_that_it_was_fitted_on_are_found(model):
    pairs = sentences()
    found = [next(of.code for of in answer if of.code != "und") for answer in model.identify_language([text for _, text in pairs])]
    assert np.mean([code == wanted for code, (wanted, _) in zip(found, pairs, strict=True)]) > 0.9


def test_answers_are_ranked_and_no_language_comes_twice(model):
    for _, text in sentences():
        found = model.identify_language(text, top=50)
        if found[0].code == "und":
            found = found[1:]
        confidences = [of.confidence for of in found]
        assert confidences == sorted(confidences, reverse=True)
        assert len({of.code for of in found}) == len(found) == 9
        assert sum(confidences) <= 1.0001
        assert model.identify_language(text, top=1) == model.identify_language(text, top=9)[:1]


def test_serbian_is_one_language_in_two_scripts(model):
    for text, script in (("Она не зна где је кључ.", "Cyrl"), ("Ona ne zna gde je ključ.", "Latn")):
        (found,) = model.identify_language(text, top=1, among=["sr", "ru"])
        assert (found.code, found.script) == ("sr", script)


@pytest.mark.parametrize(
    ("text", "code", "script"),
    [("猫が好きです", "ja", "Jpan"), ("我喜欢猫", "zh", "Hans"), ("Ο σκύλος", "el", "Grek"), ("дом", "ru", "Cyrl")],
)
def test_the_script_is_the_one_that_the_language_is_written_in(model, text, code, script):
    (found,) = model.identify_language(text, top=1, among=[code])
    assert found == Language(code, script, found.confidence)
    assert found.confidence == pytest.approx(1)


def test_an_answer_does_not_depend_on_its_neighbours(model):
    texts = [text for _, text in sentences()][::7]
    together = model.identify_language([*texts, "a " * 300], top=4)
    for text, found in zip(texts, together, strict=False):
        alone = model.identify_language(text, top=4)
        assert [of.code for of in alone] == [of.code for of in found]
        np.testing.assert_allclose([of.confidence for of in alone], [of.confidence for of in found], atol=1e-5)


@pytest.mark.parametrize("text", ["", " ", "12.5 %", "😀🎉", "—…!?", "\u0301", "\0", "\u200d", "https://1.2.3"[8:]])
def test_a_text_without_letters_is_in_no_language(model, text):
    assert model.identify_language(text) == [NOBODY]
    assert model.identify_language(text, among=["en", "de"]) == [NOBODY]
    assert model.identify_language(text, spans=True) == []


@pytest.mark.parametrize(("text", "script"), [("བོད་ཡིག", "Tibt"), ("ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "Cher"), ("ދިވެހި", "Thaa"), ("สวัสดี", "Thai"), ("𐘀𐘁", "Zzzz")])
def test_a_script_of_none_of_its_languages_is_told(model, text, script):
    assert model.identify_language(text) == [Language("und", script, 1.0)]


@with_a_model
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_has_an_answer(model, text):
    (found,) = identify_each(model, [text], spans=True)
    assert found.languages
    assert found.known == (found.languages[0].code != "und")
    assert all(0 <= of.confidence <= 1 and re.fullmatch("[A-Z][a-z]{3}", of.script) for of in found.languages)
    end = 0
    for span in found.spans:
        assert end <= span.start < span.end <= len(text)
        assert scripts.of(text[span.start]) != scripts.ANY
        end = span.end
    outside = set(range(len(text))) - {place for span in found.spans for place in range(span.start, span.end)}
    assert all(scripts.of(text[place]) == scripts.ANY for place in outside)


def test_spans_are_slices_of_the_text_by_language(model):
    text = "Ich hätte gern: ένα ποτήρι νερό — стакан воды, пожалуйста!"
    parts = [(text[of.start : of.end], of.script) for of in model.identify_language(text, spans=True)]
    assert parts == [("Ich hätte gern", "Latn"), ("ένα ποτήρι νερό", "Grek"), ("стакан воды, пожалуйста", "Cyrl")]


def test_spans_reach_over_the_whole_of_a_long_text(model):
    text = "We walked along the river. " * 100 + "Она не знает, где ключ. " * 100
    found = model.identify_language(text, spans=True)
    assert found[0].start == 0
    assert found[-1].end == len(text) - 2
    assert {of.script for of in found} == {"Latn", "Cyrl"}
    assert next(of.start for of in found if of.script == "Cyrl") == text.index("Она")


def test_a_megabyte_is_refused_and_harms_no_other(model):
    first, second, third = identify_each(model, ["The key is on the table.", "a" * 1_000_000, "Der Schlüssel liegt auf dem Tisch."])
    assert isinstance(second, BadInput)
    assert "1,000,000 characters" in str(second)
    assert first.languages
    assert third.languages


def test_among_gives_one_of_them_however_badly_it_fits(model):
    for _, text in sentences():
        assert {of.code for of in model.identify_language(text, among=["fi", "Greek"], top=5)} == {"fi", "el"}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"among": ["en", "xx"]}, "language 'xx' is not known"),
        ({"among": ["en", "sw"]}, "the classifier does not know sw; it knows de, el, en"),
        ({"among": []}, "wanted some languages"),
        ({"among": "en"}, "wanted some languages"),
        ({"top": 0}, "top is 0"),
    ],
)
def test_wrong_options_are_told_before_any_text_is_read(model, options, complaint):
    with pytest.raises(BadInput, match=re.escape(complaint)):
        model.identify_language(iter([]), **options)


def test_texts_may_come_one_by_one(model):
    found = model.identify_language((text for _, text in sentences()), stream=True)
    assert iter(found) is found
    assert next(found)[0].code == "en"


def test_a_model_without_a_classifier_says_how_to_make_one(tiny):
    with pytest.raises(BadCheckpoint, match=r"no classifier of languages .*xlmr fit languages"):
        xlmr.load(tiny, threads=1).identify_language("a")


def test_a_classifier_of_another_encoder_is_refused(speaking, make_checkpoint):
    other = make_checkpoint(seed=5)
    (other / "languages.safetensors").write_bytes((speaking / "languages.safetensors").read_bytes())
    model = xlmr.load(other, threads=1)
    model.embed("a")  # what uses no attachment asks for none
    with pytest.raises(BadCheckpoint, match="was fitted for another encoder"):
        model.identify_language("a")


def test_classifiers_are_written_and_read_as_they_are(model, speaking):
    found = classifiers.find(model)
    again = classifiers.unpack(classifiers.pack(found, {}), model.config)
    for name in classifiers.STORED:
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert (again.classes, again.layer, again.temperature) == (found.classes, found.layer, found.temperature)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", []), ("classes", ["en", "en"]), ("classes", ["en", 5]), ("classes", ["xx"]), ("classes", "en"), ("layer", -1),
        ("layer", 3), ("layer", True), ("temperature", 0), ("temperature", None), ("switch", "a"), ("threshold", 10**400),
    ],
)  # fmt: skip
def test_wrong_facts_are_refused(model, name, value):
    packed = classifiers.pack(classifiers.find(model), {})
    with pytest.raises(BadCheckpoint, match=r"languages\.safetensors"):
        classifiers.unpack(type(packed)(packed.arrays, {**packed.facts, name: value}), model.config)


@pytest.mark.parametrize("name", sorted(classifiers.STORED))
def test_wrong_arrays_are_refused(model, name):
    packed = classifiers.pack(classifiers.find(model), {})
    for wrong in (packed.arrays[name][..., :-1], packed.arrays[name].astype(np.int64) if name != "keys" else packed.arrays[name][::-1]):
        with pytest.raises(BadCheckpoint, match=r"languages\.safetensors"):
            classifiers.unpack(type(packed)({**packed.arrays, name: wrong}, packed.facts), model.config)


def test_language_vectors_are_the_places_of_languages(model):
    vectors = model.language_vectors()
    assert {evidences.code_of(kind) for kind in vectors} == {language for language, _ in sentences()}
    assert all(of.shape == (model.config.width,) and of.dtype == np.float32 for of in vectors.values())


def test_recognition_sums_the_classes_of_a_language(model):
    classifier = classifiers.find(model)
    text = evidences.look_at(model, "Ona ne zna gde je ključ.")
    ((found, _),) = recognition.recognise(model, [text], Asked(classifier, np.ones(len(classifier.classes), bool), 20))
    assert sum(of.confidence for of in found) == pytest.approx(1)
    assert len(found) == len(classifier.classes) - 1


def test_the_classifier_is_read_once(speaking, monkeypatch):
    model = xlmr.load(speaking, threads=1)
    model.identify_language("one")
    monkeypatch.setattr(checkpoint.attachments, "read", lambda *_: pytest.fail("read again"))
    model.identify_language("two")
