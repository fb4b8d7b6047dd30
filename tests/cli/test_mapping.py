"""`map`, as it is called."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from calls import Terminal
from speakers import sentences

import xlmr
from xlmr import errors, limits, maps
from xlmr.cli import mapping
from xlmr.maps import nearness, pca
from xlmr.tasks import recognition

SENTENCES = Path(__file__).parent.parent / "sentences.tsv"
NAME = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def draw(run, speaking):
    """`draw(*arguments)`: the command, without the extra `plot`."""
    return lambda *arguments, **options: run("map", "--model", speaking, "--threads", 1, "--method", "pca", *arguments, **options)


def drawn(path: Path) -> list[tuple[str, str, float, float]]:
    """Language, title and place of each dot of an SVG."""
    found = []
    for group in ElementTree.parse(path).findall(f".//{NAME}g[@class='language']"):
        for dot in group:
            found.append((group.get("data-language"), dot[0].text, float(dot.get("x")), float(dot.get("y"))))
    return found


def data(path: Path) -> dict:
    """What a page holds."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(encoding="utf-8"))[1])


def test_a_picture_has_every_text_in_its_language(draw, tmp_path):
    done = draw(SENTENCES, "--output", tmp_path / "a.svg")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == str(tmp_path / "a.svg")
    assert Counter(language for language, *_ in drawn(tmp_path / "a.svg")) == Counter(language for language, _ in sentences())
    assert {title for _, title, *_ in drawn(tmp_path / "a.svg")} == {f"{code}: \u2068{text}\u2069" for code, text in sentences()}


def test_places_are_those_of_the_vectors(draw, speaking, tmp_path):
    """As far apart in the picture as the principal components of unit vectors are, but for the scale."""
    draw(SENTENCES, "--output", tmp_path / "a.svg", "--layer", 1, "--pooling", "max")
    found = {title.split("\u2068")[1][:-1]: (x, y) for _, title, x, y in drawn(tmp_path / "a.svg")}
    texts = [text for _, text in sentences()]
    wanted = pca.place(xlmr.load(speaking, threads=1).embed(texts, layers=1, pooling="max", unit=True))
    places = np.array([found[text] for text in texts])
    distances = [np.linalg.norm(of[:, None] - of[None], axis=2) for of in (places, wanted)]
    np.testing.assert_allclose(distances[0] / distances[0].max(), distances[1] / distances[1].max(), atol=1e-3)


def test_the_picture_says_which_vectors(draw, speaking, tmp_path):
    def said(*arguments: object) -> str:
        draw(SENTENCES, "--output", tmp_path / "a.svg", "--most", 9, *arguments)
        return ElementTree.parse(tmp_path / "a.svg").find(f"{NAME}desc").text.partition(f"Vectors: {speaking}")[2].partition(". ")[0]

    assert said() == ""
    assert said("--raw", "--pooling", "cls") == ", raw, cls"
    assert said("--layer", 1, "--layer", 0, "--layer-mean", "--prompt", "") == ", layer 1, layer 0, their mean, prompt ''"


def test_what_is_measured_is_printed_and_drawn(draw, speaking, tmp_path):
    done = draw(SENTENCES, "--output", tmp_path / "a.svg")
    model = xlmr.load(speaking, threads=1)
    pairs = sentences()
    names: Counter = Counter()
    dots = [maps.Dot(text, code, group=(names.update([code]) or names[code] - 1) % 12) for code, text in pairs]
    wanted = nearness.shares(model.embed([text for _, text in pairs], unit=True), dots)
    _, first, second = done.out.splitlines()
    assert first.startswith(f"  Of the 10 nearest texts, those in the same language: {wanted.language:.3f} by the vectors, ")
    assert second.startswith(f"  Texts whose nearest in another language is a translation: {wanted.translation:.3f} by the vectors, ")
    caption = ElementTree.parse(tmp_path / "a.svg").find(f"{NAME}desc").text
    assert caption.startswith("120 texts in 9 languages. Vectors: ")
    assert f"{wanted.language:.2f} by the vectors" in caption


def test_languages_that_no_file_says_are_found(draw, speaking, tmp_path):
    texts = [*[text for _, text in sentences()][::7], "12 %"]
    (tmp_path / "a.txt").write_text("\n".join([*texts, "", "  "]), encoding="utf-8")
    done = draw(tmp_path / "a.txt", "--output", tmp_path / "a.html")
    assert (done.code, done.err) == (0, "")
    found = data(tmp_path / "a.html")
    wanted = [answer[0] for answer in xlmr.load(speaking, threads=1).identify_language(texts, top=1)]
    assert [dot[5] for dot in found["dots"]] == texts
    assert [(found["languages"][dot[2]][0], dot[3]) for dot in found["dots"]] == [(of.code, round(of.confidence, 3)) for of in wanted]
    assert found["languages"][found["dots"][-1][2]][0] == "und"
    draw(tmp_path / "a.txt", "--output", tmp_path / "a.html", "--among", "de,fr")
    assert {code for code, _ in data(tmp_path / "a.html")["languages"]} <= {"de", "fr", "und"}


def test_a_model_without_a_classifier_draws_texts_whose_language_is_given(run, tiny, tmp_path):
    (tmp_path / "a.txt").write_text("Haus\nBaum\n", encoding="utf-8")
    given = run("map", "--model", tiny, "--method", "pca", f"deu={tmp_path / 'a.txt'}", "--output", tmp_path / "a.svg")
    assert (given.code, [language for language, *_ in drawn(tmp_path / "a.svg")]) == (0, ["de", "de"])
    asked = run("map", "--model", tiny, "--method", "pca", tmp_path / "a.txt", "--output", tmp_path / "b.svg")
    assert asked.code == 1
    assert "xlmr fit languages" in asked.err
    assert not (tmp_path / "b.svg").exists()


@pytest.mark.parametrize("name", ["a.tsv", "a.jsonl"])
def test_rows_that_share_an_id_are_joined(draw, tmp_path, name):
    rows = [("de", "Haus", "1"), ("fr", "maison", "1"), ("de", "Baum", "2"), ("ru", "дом", "1"), ("ru", "да", "")]
    if name.endswith("tsv"):
        lines = ["lang\ttext\tid", *("\t".join(row) for row in rows)]
    else:
        lines = [json.dumps({"lang": code, "text": text, "id": int(of) if of else ""}) for code, text, of in rows]
    (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    draw(tmp_path / name, "--output", tmp_path / "a.html")
    groups = {dot[5]: dot[4] for dot in data(tmp_path / "a.html")["dots"]}
    assert groups["Haus"] is not None
    assert groups == {"Haus": groups["Haus"], "maison": groups["Haus"], "дом": groups["Haus"], "Baum": None, "да": None}


def test_rows_of_parquet_are_joined_by_numbers(draw, tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    held = {"lang": ["de", "fr", "de"], "text": ["Haus", "maison", "Baum"], "id": [1, 1, 2]}
    parquet.write_table(pa.table(held), tmp_path / "a.parquet")
    assert draw(tmp_path / "a.parquet", "--output", tmp_path / "a.html").code == 0
    assert [dot[4] for dot in data(tmp_path / "a.html")["dots"]] == [0, 0, None]
    assert draw(tmp_path / "a.parquet", "--output", tmp_path / "a.html", "--id", "none").err.endswith("wanted one called 'none'\n")


def test_a_row_without_a_language_is_asked_for_it(draw, tmp_path):
    (tmp_path / "a.csv").write_text("lang,text\nde,Haus\n,Das ist ein Haus.\n", encoding="utf-8")
    assert draw(tmp_path / "a.csv", "--output", tmp_path / "a.html").code == 0
    found = data(tmp_path / "a.html")
    assert "" not in [code for code, _ in found["languages"]]
    assert [dot[3] is None for dot in found["dots"]] == [True, False]


def test_another_column_may_name_translations(draw, tmp_path):
    (tmp_path / "a.csv").write_text("lang,verse,text,id\nde,7,Haus,1\nfr,7,maison,2\n", encoding="utf-8")
    draw(tmp_path / "a.csv", "--output", tmp_path / "a.html", "--id", "verse")
    assert [dot[4] for dot in data(tmp_path / "a.html")["dots"]] == [0, 0]
    done = draw(tmp_path / "a.csv", "--output", tmp_path / "a.html", "--id", "line")
    assert (done.code, "wanted one called 'line'" in done.err) == (1, True)
    (tmp_path / "a.txt").write_text("Haus\n", encoding="utf-8")
    assert "--id names a column" in draw(f"de={tmp_path / 'a.txt'}", "--output", tmp_path / "a.html", "--id", "verse").err


def test_lines_of_parallel_files_are_translations(draw, tmp_path):
    (tmp_path / "de.txt").write_text("Haus\n\nBaum\n", encoding="utf-8")
    (tmp_path / "fr.txt").write_text("maison\nrien\narbre\nfin\n", encoding="utf-8")
    files = [f"{code}={tmp_path / code}.txt" for code in ("de", "fr")]
    draw(*files, "--parallel", "--output", tmp_path / "a.html")
    dots = {dot[5]: dot[4] for dot in data(tmp_path / "a.html")["dots"]}
    assert dots["Haus"] == dots["maison"] != dots["Baum"] == dots["arbre"]
    assert dots["rien"] is dots["fin"] is None
    draw(*files, "--output", tmp_path / "a.html")
    assert {dot[4] for dot in data(tmp_path / "a.html")["dots"]} == {None}


def test_lines_are_drawn_where_they_are_asked_for_or_texts_are_few(draw, tmp_path, monkeypatch):
    def joined(*arguments: str) -> bool:
        draw(SENTENCES, "--output", tmp_path / "a.svg", *arguments)
        return bool(ElementTree.parse(tmp_path / "a.svg").findall(f".//{NAME}path[@class='lines']"))

    assert joined()
    assert not joined("--no-lines")
    monkeypatch.setattr("xlmr.maps.points.JOINED", 100)
    assert not joined()
    assert joined("--lines")


def test_of_more_texts_some_are_drawn_and_it_is_said(draw, tmp_path):
    done = draw(SENTENCES, "--output", tmp_path / "a.svg", "--most", 20)
    assert done.err == "xlmr: 20 of 120 texts are drawn, by chance; --most takes more\n"
    first = (tmp_path / "a.svg").read_bytes()
    assert len(drawn(tmp_path / "a.svg")) == 20
    assert "20 of 120 texts" in ElementTree.parse(tmp_path / "a.svg").find(f"{NAME}desc").text
    draw(SENTENCES, "--output", tmp_path / "a.svg", "--most", 20)
    assert (tmp_path / "a.svg").read_bytes() == first
    draw(SENTENCES, "--output", tmp_path / "a.svg", "--most", 20, "--seed", 1)
    assert (tmp_path / "a.svg").read_bytes() != first


def test_wrong_lines_are_told_and_the_others_drawn(draw, tmp_path):
    (tmp_path / "a.tsv").write_bytes("lang\ttext\nde\tHaus\nxx\tHaus\nde\t\xff\nde\nfr\tmaison\nund\t12\n".encode("latin-1"))
    (tmp_path / "a.txt").write_bytes(b"\xff\n" + b"x" * 1_000_000 + b"\n")
    done = draw(tmp_path / "a.tsv", f"de={tmp_path / 'a.txt'}", "--output", tmp_path / "a.svg")
    assert done.code == 1
    assert done.err.splitlines() == [
        f"xlmr: {tmp_path}/a.tsv: line 3: language 'xx' is not known; wanted a code such as en, no, zh or zh-Hant",
        f"xlmr: {tmp_path}/a.tsv: line 4: not UTF-8 (byte 1 is 0xff)",
        f"xlmr: {tmp_path}/a.tsv: line 5: the row has 1 columns, and 'text' is column 2",
        f"xlmr: {tmp_path}/a.txt: line 1: not UTF-8 (byte 1 is 0xff)",
        f"xlmr: {tmp_path}/a.txt: line 2: the text has 1,000,000 characters, and at most 100,000 are taken; split it",
    ]
    assert [language for language, *_ in drawn(tmp_path / "a.svg")] == ["de", "fr", "und"]


def test_of_many_wrong_lines_a_few_are_told(draw, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\n" * 50 + b"Haus\n")
    done = draw(f"de={tmp_path / 'a.txt'}", "--output", tmp_path / "a.svg")
    assert len(done.err.splitlines()) == 21
    assert done.err.splitlines()[-1] == "xlmr: … and 30 lines more that cannot be drawn"


@pytest.mark.parametrize(
    ("content", "arguments", "complaint"),
    [
        (b"", [], "there are no texts to draw"),
        (b"\n \n", [], "there are no texts to draw"),
        (b"Haus\n", ["--layer", 9], "layer 9 was asked for"),
        (b"Haus\n", ["--among", "xx"], "language 'xx' is not known"),
        (b"Haus\n", ["xx=b.txt"], "language 'xx' is not known"),
        (b"Haus\n", [f"de={'b' * 300}"], "b: cannot be read (File name too long)"),
        (b"Haus\n", ["--model", "/nowhere"], "/nowhere"),
    ],
)
def test_what_fails_leaves_what_was_there(draw, tmp_path, content, arguments, complaint):
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "a.svg").write_text("before")
    done = draw(tmp_path / "a.txt", "--output", tmp_path / "a.svg", *arguments)
    assert done.code == 1
    assert complaint in done.err
    assert (tmp_path / "a.svg").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.svg", "a.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "a.png"], "--output is 'a.png'; wanted a name that ends in one of .svg, .html."),
        ([], "Missing option '--output'"),
        (["--output", "a.svg", "--id", "n", "--parallel"], "one of them"),
        (["--output", "a.svg", "--most", limits.POINTS + 1], "is not in the range"),
        (["--output", "a.svg", "--method", "umap"], "'umap' is not one of 'tsne', 'pca'"),
    ],
)
def test_wrong_use_says_what_and_exits_with_2(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = run("map", SENTENCES, *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in " ".join(done.err.split())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_before_the_work(draw, tmp_path):
    done = draw("/nowhere.txt", "--output", tmp_path / "none" / "a.svg")
    assert (done.code, done.err) == (1, f"xlmr: {tmp_path}/none/a.svg: its folder is not there; make it first\n")


def test_t_sne_asks_for_its_extra_before_the_work(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.delitem(sys.modules, "xlmr.maps.tsne", raising=False)
    done = run("map", "/nowhere.txt", "--output", tmp_path / "a.svg")
    assert (done.code, done.out) == (1, "")
    assert done.err == "xlmr: t-SNE needs packages that are not installed. Run: pip install 'xlmr[plot]'\n"
    assert list(tmp_path.iterdir()) == []


def test_t_sne_draws_the_same_picture_twice(run, speaking, tmp_path):
    pytest.importorskip("sklearn")
    for name in ("a.svg", "b.svg"):
        assert run("map", "--model", speaking, "--threads", 1, SENTENCES, "--output", tmp_path / name).code == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "t-SNE" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert len({dot[2:] for dot in drawn(tmp_path / "a.svg")}) > 100


def test_killed_it_leaves_nothing_under_the_name(speaking, tmp_path):
    os.mkfifo(tmp_path / "slow.txt")
    command = [sys.executable, "-m", "xlmr", "map", "--model", speaking, "--method", "pca", tmp_path / "slow.txt", "-o", tmp_path / "a.svg"]
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with process, (tmp_path / "slow.txt").open("w") as pipe:  # opened when the other side does, which is in the midst of its work then
        pipe.write("Haus\n")
        pipe.flush()
        process.send_signal(signal.SIGKILL)
    assert [*tmp_path.glob(".a.svg.*.partial")]
    assert not (tmp_path / "a.svg").exists()


def test_progress_goes_to_a_terminal(draw, tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    draw(SENTENCES, "--output", tmp_path / "a.svg")
    assert terminal.getvalue().count("120 texts, ") == 2  # read, and their vectors
    assert terminal.getvalue().endswith("placing 120 texts in the plane\n")


def test_the_choices_are_those_there_are():
    assert tuple(maps.METHODS) == mapping.METHODS
    assert mapping.FORMATS == maps.FORMATS
    assert mapping.UNKNOWN == recognition.UNKNOWN
    with pytest.raises(errors.BadInput, match="wanted one of tsne, pca"):
        maps.placer("umap")
