import csv
import gzip
import io
import json
import lzma
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.batching import PAUSE
from xlmr.errors import BadInput, BadLine
from xlmr.limits import LINE
from xlmr.texts import Line, Row, fields, parsed, plain, read, rows, standard_input, together

WRITTEN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20)
TEXTS = ["Paris est la <mask>.", "", '"quoted", twice', "日本語\u2028と<mask>", " spaces\tand tabs ", "a\x00b"]


def as_csv(texts: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([("id", "text"), *enumerate(texts)])
    return out.getvalue()


FORMS: dict[str, Callable[[list[str]], str]] = {
    "lines.txt": lambda texts: "".join(f"{text}\n" for text in texts),
    "corpus.de": lambda texts: "".join(f"{text}\r\n" for text in texts),
    "lines": "\n".join,
    "objects.jsonl": lambda texts: "".join(json.dumps({"id": 7, "text": text}) + "\n" for text in texts),
    "table.csv": as_csv,
    "table.TSV": lambda texts: "".join(f"{a}\t{b}\n" for a, b in [("text", "label"), *((text.replace("\t", " "), "x") for text in texts)]),
}


@pytest.fixture
def write(tmp_path) -> Callable[[str, bytes | str], Path]:
    def written(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def texts_of(path: Path) -> list[str]:
    return [str(line.text) for line in read(path)]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("packed", ["", ".gz", ".xz"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "marked"])
def test_every_form_gives_its_texts(write, name, packed, mark):
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[packed]
    path = write(name + packed, pack(mark + FORMS[name](TEXTS).encode()))
    wanted = [text.replace("\t", " ") if name == "table.TSV" else text for text in TEXTS]
    assert texts_of(path) == wanted


@given(st.lists(WRITTEN))
def test_lines_are_what_was_written(lines):
    content = "".join(f"{line}\n" for line in lines).encode()
    if not content.startswith("\ufeff".encode()):
        assert list(plain(io.BytesIO(content))) == [Line(i, line) for i, line in enumerate(lines, start=1)]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)))
def test_a_csv_cell_may_have_commas_quotes_and_line_ends(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("cells") / "table.csv"
    path.write_bytes(as_csv(texts).encode())
    assert texts_of(path) == texts


@given(st.binary(max_size=200), st.sampled_from([*FORMS, "a.jsonl.gz", "a.txt.xz"]))
def test_noise_is_read_or_refused_never_a_crash(tmp_path_factory, noise, name):
    path = tmp_path_factory.mktemp("noise") / name
    path.write_bytes(noise)
    try:
        assert all(isinstance(line.text, str | BadLine) for line in read(path))
    except BadInput as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize(("name", "lines"), [("a.jsonl", ['{"text": "a"}', '{"text": "b"}']), ("a.csv", ["text", "a", "b"])])
def test_blank_lines_of_objects_and_rows_are_left_out(write, name, lines):
    assert texts_of(write(name, "\n\r\n".join(lines) + "\n\n")) == ["a", "b"]


def test_a_quote_that_is_not_closed_is_told(write):
    first, second = read(write("a.csv", 'text\na\n"b\nc\n'))
    assert first.text == "a"
    assert isinstance(second.text, BadLine)


def test_numbers_are_those_of_the_lines(write):
    assert [line.number for line in read(write("a.txt", "x\n\ny"))] == [1, 2, 3]
    assert [line.number for line in read(write("a.csv", 'text\nx\n\n"y\nz"\nw\n'))] == [2, 5, 6]


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("a.jsonl", b"{'text': 1}", "not JSON (Expecting property name"),
        ("a.jsonl", b'"text"', "not a JSON object with a string as 'text'"),
        ("a.jsonl", b'{"Text": "a"}', "not a JSON object with a string as 'text'"),
        ("a.jsonl", b'{"text": null}', "not a JSON object with a string as 'text'"),
        ("a.jsonl", b"[" * 100_000, "not JSON ("),
        ("a.jsonl", b'{"text": "\xff"}', "not UTF-8 (byte 11 is 0xff)"),
        ("a.txt", b"caf\xe9", "not UTF-8 (byte 4 is 0xe9)"),
        ("a.txt", b"x" * (LINE + 1), "the line has more than 4,000,000 bytes"),
        ("a.txt", b"x" * (3 * LINE), "the line has more than 4,000,000 bytes"),
        ("a.tsv", b"1", "the row has 1 columns, and 'text' is column 2"),
        ("a.tsv", b"1\tcaf\xe9", "not UTF-8 (byte 4 is 0xe9)"),
        ("a.csv", b'1,"a"b', "not a row of a table ("),
        ("a.csv", b"1," + b"x" * 200_000, "not a row of a table (field larger than field limit"),
    ],
)
def test_a_bad_line_is_told_in_its_place_and_the_next_is_read(write, name, line, message):
    good = {"a.jsonl": b'{"text": "good"}', "a.txt": b"good"}.get(name, b"1\tgood" if name == "a.tsv" else b"1,good")
    head = [] if name in ("a.txt", "a.jsonl") else [good.replace(b"1", b"id").replace(b"good", b"text")]
    found = list(read(write(name, b"\n".join([*head, good, line, good]))))
    assert [found[0].text, found[2].text, len(found)] == ["good", "good", 3]
    assert isinstance(found[1].text, BadLine)
    assert str(found[1].text).startswith(message)
    assert found[1].number == len(head) + 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id,Text\n1,x\n", "its columns are ['id', 'Text']; wanted one called 'text'"),
        ("a.csv", "", "its columns are none"),
        ("a.csv", 'id,"text\n1,x\n', "line 2: not a row of a table (unexpected end of data)"),
        ("a.tsv", "text\n" + "x" * (LINE + 1), "line 2: the line has more than 4,000,000 bytes"),
        *((f"a.txt{suffix}", "?", "is packed in a way that is not read here; unpack it") for suffix in (".zip", ".bz2", ".ZST")),
        ("a.xlsx", "PK", "is a spreadsheet; save its texts as .csv"),
        ("a.json", "[]", "is one JSON value; write an object on each line"),
        ("a.json.gz", "[]", "is one JSON value; write an object on each line"),
        ("a.txt.gz", "not packed", "cannot be read (Not a gzipped file"),
        ("a.txt.xz", "not packed", "cannot be read (Input format not supported"),
        ("a.txt.gz", gzip.compress(b"x\n" * 1000)[:-9], "cannot be read (Compressed file ended"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_path(write, name, content, message):
    path = write(name, content)
    with pytest.raises(BadInput) as error:
        list(read(path))
    assert str(error.value).startswith(f"{path}: {message}")


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"none\.txt: cannot be read \(No such file or directory\)"):
        list(read(tmp_path / "none.txt"))
    with pytest.raises(BadInput, match=r"cannot be read \(Is a directory\)"):
        list(read(tmp_path))


def test_an_xz_file_that_wants_gigabytes_is_refused(write):
    packed = bytearray(lzma.compress(b"text"))
    packed[16] = 40  # the size of the dictionary in the block's header, with a checksum after it: now 4 GB
    size = (packed[12] + 1) * 4
    packed[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(packed[12 : 12 + size - 4]))
    with pytest.raises(BadInput, match=r"cannot be read \(Memory usage limit exceeded\)"):
        list(read(write("a.txt.xz", bytes(packed))))


@pytest.mark.parametrize("between", [b"", bytes(4), bytes(200_000)])
def test_an_xz_file_of_several_streams_is_read_to_its_end(write, between):
    path = write("a.txt.xz", between.join(lzma.compress(f"{line}\n".encode()) for line in ("a", "b" * 300_000, "c")) + between)
    assert texts_of(path) == ["a", "b" * 300_000, "c"]


def test_a_row_that_is_held_open_is_not_read_to_the_end_of_the_file(write):
    rows = b'text\na\n"' + (b"x" * 1_000 + b'","\n') * (LINE // 1_000)
    lines = read(write("a.csv", rows))
    assert next(lines).text == "a"
    with pytest.raises(BadInput, match=r"line 39\d\d: the row that it belongs to has more than 4,000,000 bytes; is a quote"):
        next(lines)


def test_no_more_is_held_than_a_line():
    class Endless(io.RawIOBase):
        read_so_far = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            buffer[:] = (b"x" * 999 + b"\n") * (len(buffer) // 1000) + b"y" * (len(buffer) % 1000)
            self.read_so_far += len(buffer)
            return len(buffer)

    file = Endless()
    lines = plain(io.BufferedReader(file))
    assert next(lines).text == "x" * 999
    assert file.read_so_far < 100_000


class Dribble(io.RawIOBase):
    """A pipe that gives its bytes in the portions they were written in."""

    def __init__(self, portions: list[bytes]) -> None:
        self.portions = list(portions)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        portion = self.portions.pop(0) if self.portions else b""
        buffer[: len(portion)] = portion
        return len(portion)


@given(st.lists(st.binary(min_size=1, max_size=20) | st.just(b"\n"), max_size=12))
def test_a_pipe_has_the_lines_of_a_file_however_they_arrive(portions):
    arrived = standard_input(io.BufferedReader(Dribble(portions)))
    wanted = [(line.number, str(line.text)) for line in plain(io.BytesIO(b"".join(portions)))]
    assert [(line.number, str(line.text)) for line in arrived if line is not PAUSE] == wanted


def test_a_long_line_is_refused_however_it_arrives():
    portions = [b"a\n", *[b"x" * 8000] * (LINE // 8000 + 1), b"\nb\n", b"c"]
    found = [line for line in standard_input(io.BufferedReader(Dribble(portions))) if line is not PAUSE]
    assert [(line.number, str(line.text)) for line in found] == [
        (1, "a"),
        (2, "the line has more than 4,000,000 bytes"),
        (3, "b"),
        (4, "c"),
    ]


def test_before_a_pipe_is_waited_for_there_is_a_pause():
    out, into = os.pipe()
    with open(out, "rb") as file, open(into, "wb", buffering=0) as pipe:
        lines = standard_input(file)
        pipe.write(b"one\ntwo\nthr")
        assert [next(lines), next(lines), next(lines)] == [Line(1, "one"), Line(2, "two"), PAUSE]
        pipe.write(b"ee\n")
        assert [next(lines), next(lines)] == [Line(3, "three"), PAUSE]


def test_a_file_as_standard_input_has_no_pause(write):
    with write("lines.txt", "one\ntwo\n").open("rb") as file:
        assert list(standard_input(file)) == [Line(1, "one"), Line(2, "two")]


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("a.txt", b"text\tlang\n", None),
        ("a", b"text\tlang\n", None),
        ("a.tsv", b"\xef\xbb\xbftext\tlang\nx\ty\n", {"text", "lang"}),
        ("a.CSV", b'"text","a ""b"""\n', {"text", 'a "b"'}),
        ("a.tsv", b"", set()),
        ("a.csv", b'"text\n', set()),
        ("a.jsonl", b'\n{"text": "x", "id": 1}\n{"more": 2}\n', {"text", "id"}),
        ("a.ndjson", b"[1]\n", set()),
        ("a.jsonl", b"{\xff\n" + b'{"id": 1}', {"id"}),
    ],
)
def test_what_else_a_file_says_of_its_texts(tmp_path, name, content, wanted):
    (tmp_path / name).write_bytes(content)
    assert fields(tmp_path / name) == wanted
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    assert fields(tmp_path / f"{name}.gz") == wanted


def test_a_number_is_a_name_and_no_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": 1, "id": 1}\n{"text": "x", "id": true}\n', encoding="utf-8")
    assert [str(line.text) for line in read(tmp_path / "a.jsonl", "id")] == ["1", "not a JSON object with a string as 'id'"]
    assert [str(line.text) for line in read(tmp_path / "a.jsonl")] == ["not a JSON object with a string as 'text'", "x"]


def test_texts_that_belong_together_are_read_together_and_a_broken_line_is_told_in_its_place(tmp_path):
    (tmp_path / "a.tsv").write_text("b\tid\ta\n1\tx\t2\n3\n4\ty\t5\n", encoding="utf-8")
    first, broken, last = together(tmp_path / "a.tsv", "a", "b")
    assert (first, last) == (Row(2, ("2", "1")), Row(4, ("5", "4")))
    assert broken.number == 3
    assert str(broken.text) == "the row has 1 columns, and 'a' is column 3"
    found = rows(tmp_path / "a.tsv", "a", "b")
    assert next(found) == (2, ["2", "1"])
    with pytest.raises(BadLine, match=r"a.tsv: line 3: the row has 1 columns"):
        next(found)
    with pytest.raises(BadInput, match=r"a.txt: wanted a table, .* with 'a', 'b' and 'c'"):
        next(together(tmp_path / "a.txt", "a", "b", "c"))


def test_a_line_of_standard_input_can_hold_several_texts():
    assert parsed(Line(7, '{"a": "x", "b": "y"}'), "b", "a") == Row(7, ("y", "x"))
    for line, message in (('{"a": "x"}', "with a string as 'b'"), ("x", "not JSON"), (BadLine("too long"), "too long")):
        found = parsed(Line(1, line), "a", "b")
        assert isinstance(found.text, BadLine)
        assert message in str(found.text)
