import json
import lzma

import pytest

from xlmr.errors import BadInput
from xlmr.evaluation import benchmarks
from xlmr.evaluation.benchmarks import Line, Tagged, Topic


def test_a_compressed_file_reads_as_the_plain_one(tmp_path):
    rows = "lang\tflores\tindex_id\tcategory\ttext\nzh-Hant\tzho_Hant\t1\ttravel\t我們 \u2028去\nde\tdeu_Latn\t1\ttravel\tWir „reisen\n"
    (tmp_path / "a.tsv").write_text(rows, encoding="utf-8")
    (tmp_path / "b.tsv.xz").write_bytes(lzma.compress(rows.encode()))
    wanted = [Topic("zh-hant", "我們 \u2028去", "travel"), Topic("de", "Wir „reisen", "travel")]
    assert benchmarks.topics(tmp_path / "a.tsv") == benchmarks.topics(tmp_path / "b.tsv") == wanted


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"dev\.tsv: not found, nor dev\.tsv\.xz"):
        benchmarks.topics(tmp_path / "dev.tsv")


def test_held_out_lines_are_read(tmp_path):
    wanted = [Line("zh-hant", "prose", "", "天\u2028氣"), Line("en", "ntrex128", "7", "a")]
    rows = [json.dumps({"language": of.language, "source": of.source, "id": of.id, "text": of.text}, ensure_ascii=False) for of in wanted]
    (tmp_path / "heldout.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert benchmarks.heldout(tmp_path / "heldout.jsonl") == wanted


def test_translations_meet_by_source_and_id(lines):
    odd = [Line("fr", "ntrex128", "3", "la ville"), Line("fr", "ntrex128", "99", "seule"), Line("fr", "tico19", "0", "autre")]
    pairs = benchmarks.translations([*lines, *odd])
    assert pairs["fr"] == (["la ville"], ["the city is small"])
    assert sorted(pairs) == ["de", "fr"]
    assert pairs["de"][0][1].startswith("der Hund")
    assert pairs["de"][1][1].startswith("the dog")


def test_tatoeba_has_the_projects_codes(tmp_path):
    rows = ["lang\tpair\tsource\tenglish", "cmn\t0\t你好\tHello", "swh\t0\tHabari\tHello", "cmn\t1\t水\tWater"]
    (tmp_path / "tatoeba12.tsv").write_text("\n".join(rows), encoding="utf-8")
    assert benchmarks.tatoeba(tmp_path) == {"zh": (["你好", "水"], ["Hello", "Water"]), "sw": (["Habari"], ["Hello"])}


def test_tagged_sentences_end_at_blank_lines(tmp_path):
    (tmp_path / "vi.dev.conll").write_text("Việt Nam\tPROPN\n.\tPUNCT\n\nnước\tNOUN\n\n", encoding="utf-8")
    assert benchmarks.tagged(tmp_path / "vi.dev.conll") == [Tagged(["Việt Nam", "."], ["PROPN", "PUNCT"]), Tagged(["nước"], ["NOUN"])]
