"""What the options of `fill-mask` and `score` change, each against the call in Python that it stands for."""

import json

import pytest
from calls import Terminal, error, valid

TEXT = "the cat <mask> the <mask>"


def close(found: list[dict], wanted: list) -> bool:
    return [filling["words"] for filling in found] == [list(filling.words) for filling in wanted] and [
        filling["score"] for filling in found
    ] == pytest.approx([filling.score for filling in wanted], rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--top", 3, "--beam", 2], {"top": 3, "beam": 2}),
        (["--candidates", "cat,big house,книга"], {"candidates": ["cat", "big house", "книга"]}),
        (["--whole-word", "--longest-word", 2], {"whole_word": True, "longest_word": 2}),
        (["--whole-word", "--per-piece"], {"whole_word": True, "per_piece": True}),
        (["--script", "cyrl"], {"script": "Cyrl"}),
        (["--language", "zh-Hant-TW"], {"language": "zh-Hant-TW"}),
    ],
)
def test_an_option_is_that_of_python(fill, model, arguments, options):
    done = fill(TEXT, "--json", *arguments)
    assert (done.code, done.err) == (0, "")
    assert valid("fill-mask.json", done.lines[0])
    assert close(done.lines[0]["fillings"], model.fill_mask(TEXT, **options))


def test_candidates_come_from_a_file_too(fill, tmp_path):
    (tmp_path / "words.txt").write_text("cat\nbig house\n", encoding="utf-8")
    (tmp_path / "words.jsonl").write_text('{"text": "cat"}\n{"text": "big house"}\n', encoding="utf-8")
    listed = fill(TEXT, "--json", "--candidates", "cat,big house")
    assert fill(TEXT, "--json", "--candidates-from", tmp_path / "words.txt").out == listed.out
    assert fill(TEXT, "--json", "--candidates-from", tmp_path / "words.jsonl").out == listed.out


def test_a_wrong_line_among_candidates_is_told(fill, tmp_path):
    path = tmp_path / "words.jsonl"
    path.write_text('{"text": "cat"}\n{"word": "dog"}\n', encoding="utf-8")
    done = fill(TEXT, "--candidates-from", path)
    assert (done.code, done.err) == (1, f"xlmr: {path}: line 2: not a JSON object with a string as 'text'\n")
    path.write_text('{"text": "cat"}\n' * 100_000, encoding="utf-8")
    done = fill(TEXT, "--candidates-from", path)
    assert (done.code, done.err) == (
        1, "xlmr: there are more than 10,000 candidates; at most 10,000 are taken, so ask in several goes\n"
    )  # fmt: skip


def test_people_see_a_word_for_each_mask_and_small_scores(fill, model):
    out = fill(TEXT, "--top", 1).out.splitlines()
    (best,) = model.fill_mask(TEXT, top=1)
    assert out[1].endswith(" | ".join(best.words))
    assert out[1].split()[0] == (f"{best.score:.3f}" if best.score >= 0.0005 else f"{best.score:.0e}")


@pytest.fixture
def score(run, tiny):
    return lambda *arguments, **options: run("score", "--model", tiny, "--threads", 1, *arguments, **options)


def test_score_is_what_the_model_scores_and_as_the_schema_says(score, model):
    texts = ["the cat drinks water", "unbelievable, кошка"]
    for masking in ("word-l2r", "token"):
        done = score("--json", "--masking", masking, *texts)
        assert done.code == 0
        for line, wanted in zip(done.lines, model.score(texts, masking=masking), strict=True):
            assert valid("score.json", line)
            assert line["score"] == pytest.approx(wanted.score, abs=1e-4)
            assert [token["text"] for token in line["tokens"]] == [token.text for token in wanted.tokens]


def test_score_prints_for_people(score, model):
    text = "the cat"
    found = model.score(text)
    lines = score(text).out.splitlines()
    assert [line.split() for line in lines] == [
        [f"{found.score:.3f}", "the", "cat"],
        *([f"{token.score:.3f}", token.text] for token in found.tokens),
        [],
    ]


def test_what_cannot_be_scored_has_its_error_in_its_place(score):
    done = score("--json", stdin=b"the cat\n\nthe <mask>\n")
    assert done.code == 1
    assert done.lines[1:] == [
        error(2, "the text is empty; wanted at least one word"),
        error(3, "the text has a <mask>, which stands for any word; fill it, then score the text"),
    ]
    assert all(valid("score.json", line) for line in done.lines)


def test_schemas_of_scores_refuse_other_shapes():
    token = {"text": "a", "start": 0, "end": 1, "id": 7, "score": -0.5}
    good = {"text": "a", "score": -0.5, "tokens": [token]}
    assert valid("score.json", good)
    for wrong in (good | {"score": 0.5}, good | {"tokens": []}, good | {"line": 1}, good | {"tokens": [token | {"start": -1}]}):
        assert not valid("score.json", wrong)


def test_json_of_a_text_reads_back(score):
    assert json.loads(score("--json", "a\u2028b").out)["text"] == "a\u2028b"


def test_without_text_score_does_not_wait(run):
    assert run("score", stdin=Terminal()).code == 2
