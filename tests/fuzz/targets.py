"""What is fuzzed: for each parser a folder of files that it reads without complaint, and how they are changed."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import mutations
import numpy as np
import pyarrow as pa
import sentencepiece
from pyarrow import parquet
from safetensors.numpy import save as safetensors

from xlmr import checkpoint, config, tensors, texts, tokenizer
from xlmr.checkpoint import attachments, header, importing, packing, sentences, shards
from xlmr.checkpoint.attachments import Attachment
from xlmr.checkpoint.folder import QUANTIZED
from xlmr.checkpoint.packing import Plan
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput, XlmrError
from xlmr.examples import Asked, Example, Tagged, read_asked, read_classified, read_tagged
from xlmr.heads.crf import Crf
from xlmr.tasks import extractors, taggers
from xlmr.tokenizer import from_sentencepiece
from xlmr.tokenizer.normalization import Normalizer
from xlmr.tokenizer.sentencepiece import read as read_sentencepiece
from xlmr.tokenizer.vocabulary import Vocabulary

TINY = Config(vocabulary=8, width=4, layers=1, heads=2, inner=4, positions=8, labels=("no", "yes"))
TEXT = "Ｔhe ﬁrst\u00a0words… cafe\u0301 <mask> ☃......"
LINES = ["The first line.", "", "Второй <mask>, с табуляцией", "第三行", '"quoted", twice']
SENTENCE = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
        {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"},
    ],
    "1_Pooling/config.json": {"word_embedding_dimension": 4, "pooling_mode_mean_tokens": True, "include_prompt": True},
    "2_Dense/config.json": {"in_features": 4, "out_features": 2, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"},
    "config_sentence_transformers.json": {"prompts": {"query": "query: "}, "default_prompt_name": "query", "truncate_dim": 2},
    "sentence_bert_config.json": {"max_seq_length": 6, "do_lower_case": False},
    "tokenizer_config.json": {"model_max_length": 512},
}

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Target:
    """One parser."""

    valid: Callable[[], Files]
    """The files of a folder that it reads without complaint."""
    change: Callable[[Random, Files], Files]
    """Those of them that are changed, as they then are."""
    read: Callable[[Path], object]
    """Reads the folder."""
    refuses: type[XlmrError] = BadCheckpoint
    """The only error that may come of it."""
    reads_anything: bool = False
    """Whether nothing is refused as a whole: a line that cannot be read is told in its place."""


def weights(names: Mapping[str, tuple[int, ...]]) -> bytes:
    return safetensors({name: np.ones(shape, np.float32) for name, shape in names.items()})


def whole_model() -> Files:
    table = [*tensors.encoder(TINY), *tensors.mlm_head(TINY)]
    return {
        "config.json": json.dumps(config.dump(TINY)).encode(),
        "model.safetensors": weights({tensor.hf: tensor.shape(TINY) for tensor in table}),
    }


@cache
def integers() -> Files:
    """A model of integers: tables, matrices with scales of what they read, one in blocks, floats."""
    config_ = replace(TINY, width=32, inner=32)
    table = {tensor.name: tensor.shape(config_) for tensor in (*tensors.encoder(config_), *tensors.mlm_head(config_))}
    plans = {"embeddings.words.weight": Plan("rows"), "layers.0.query.weight": Plan("columns", input=lambda: 0.5)}
    plans["layers.0.grow.weight"] = Plan("blocks", 4)
    with TemporaryDirectory() as made:
        path = Path(made) / QUANTIZED
        packing.write(path, config_, {name: np.ones(shape, np.float32) for name, shape in table.items()}, plans)
        return {"config.json": json.dumps(config.dump(config_)).encode(), QUANTIZED: path.read_bytes()}


def read_integers(folder: Path) -> None:
    """Every number of a model that opens, in its shape."""
    opened = checkpoint.open(folder)
    for name, stored in opened.stored.items():
        assert checkpoint.read(opened, name).shape == stored.shape


def two_shards() -> Files:
    placed = {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-2.safetensors"}
    index = {"metadata": {"total_size": 40}, "weight_map": placed}
    held = {shard: weights({name: (2, 3) for name in placed if placed[name] == shard}) for shard in set(placed.values())}
    return {shards.INDEX: json.dumps(index).encode(), **held}


def bare(folder: Path) -> checkpoint.Checkpoint:
    """An encoder without weights, in a folder of attachments."""
    return checkpoint.Checkpoint(folder, TINY, {})


@cache
def attachment() -> Files:
    """A small one."""
    facts = {"classes": ["de", "ru"], "layer": 1, "scale": 0.5}
    held = {"weights": np.ones((2, 3), np.float32), "rows": np.ones((3, 2), np.int8), "keys": np.arange(3, dtype=np.uint32)}
    return attached("nouns", Attachment(held, facts))


def attached(name: str, of: Attachment) -> Files:
    """What lies beside the weights."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        path = attachments.write(folder, name, of, attachments.fingerprint(bare(folder)))
        return {path.name: path.read_bytes()}


def tagging() -> Files:
    """What belongs to a head for two tags, with a field."""
    return attached("tagging", taggers.pack("mean", Crf(np.ones((2, 2)), np.ones(2), np.zeros(2))))


@cache
def sentencepiece_model() -> bytes:
    """A vocabulary of a few dozen pieces, with a small normalisation table of its own."""
    rules = Path(__file__).with_name("rules.tsv")
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the first words of a cafe ...", "words of the cafe, the words first"] * 3), model_writer=out,
        vocab_size=40, hard_vocab_limit=False, pad_id=-1, minloglevel=2, normalization_rule_tsv=str(rules),
    )  # fmt: skip
    return out.getvalue()


@cache
def small_vocabulary() -> Vocabulary:
    return read_sentencepiece(sentencepiece_model())


def fairseq_dictionary() -> bytes:
    """The pieces of that vocabulary, each with the number of times it was seen, as fairseq lists them."""
    return "".join(f"{piece} {1_000 - place}\n" for place, (piece, _) in enumerate(small_vocabulary().pieces[4:-1])).encode()


def sentence_model() -> Files:
    files = {name: json.dumps(content).encode() for name, content in SENTENCE.items()}
    return {**files, "2_Dense/model.safetensors": weights({"linear.weight": (2, 4), "linear.bias": (2,)})}


def change_one(dice: Random, files: Files) -> Files:
    """One of the files, after its kind; once in a while by its bytes, or noise in its place."""
    name = dice.choice([*files])
    kind = dice.randrange(16)
    if kind == 0:
        return {name: mutations.noise(dice)}
    if kind < 4:
        return {name: mutations.change_bytes(dice, files[name])}
    return {name: CHANGES[name.rpartition(".")[2]](dice, files[name])}


def change_weights(dice: Random, content: bytes) -> bytes:
    """A safetensors file with a changed header, its length as it must be or not."""
    length = 8 + struct.unpack_from("<Q", content)[0]
    head, body = mutations.change_json(dice, json.loads(content[8:length])), content[length:]
    body += bytes(dice.choice((0, 0, 0, 0, 0, 1, 8, 400)))
    length = len(head) if dice.randrange(8) else dice.choice((len(head) + 1, *mutations.NUMBERS))
    return struct.pack("<Q", length) + head + body


def change_lines(dice: Random, content: bytes) -> bytes:
    """Lines of JSON, one of them with a changed value."""
    lines = content.splitlines()
    place = dice.randrange(len(lines))
    lines[place] = mutations.change_json(dice, json.loads(lines[place]))
    return b"\n".join(lines)


def change_packed(pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes]) -> Callable[[Random, bytes], bytes]:
    """What is packed changed, or what it is packed in, or two of them after each other."""

    def change(dice: Random, content: bytes) -> bytes:
        kind = dice.randrange(4)
        if kind == 0:
            return pack(mutations.change_bytes(dice, unpack(content)))
        return mutations.change_bytes(dice, content * 2 if kind == 1 else content)

    return change


CHANGES: Mapping[str, Callable[[Random, bytes], bytes]] = {
    "json": lambda dice, content: mutations.change_json(dice, json.loads(content)),
    "safetensors": change_weights,
    "model": mutations.change_message,
    "jsonl": change_lines,
    "gz": change_packed(partial(gzip.compress, mtime=0), gzip.decompress),
    "xz": change_packed(partial(lzma.compress, preset=1), lzma.decompress),
    **dict.fromkeys(("txt", "csv", "tsv", "conll", "parquet", "charsmap"), mutations.change_bytes),
}


def columns() -> bytes:
    """A table in several groups of rows and in pages with checksums, a null among its texts."""
    out = io.BytesIO()
    table = pa.table({"id": [*range(30)], "text": [*LINES, None] * 5})
    parquet.write_table(table, out, row_group_size=12, compression="zstd", use_dictionary=["text"], write_page_checksum=True)
    return out.getvalue()


def read_tokenizer(folder: Path) -> None:
    """The ids of a text, and that they and their places can be right."""
    opened = tokenizer.open(folder)
    encoding = opened.encode(TEXT)
    assert all(0 <= i < opened.size for i in encoding.ids)
    assert all(0 <= start <= end <= len(TEXT) for start, end in encoding.offsets)


def read_texts(folder: Path) -> None:
    (path,) = folder.iterdir()
    for line in texts.read(path):
        assert isinstance(line.text, str) or len(str(line.text)) < 1_000


def labelled(rows: Iterable[Mapping[str, object]]) -> bytes:
    return "\n".join(json.dumps({"lang": "de", **row}) for row in rows).encode()


def conll() -> bytes:
    return "\n".join("".join(f"{word}\t{tag}\n" for word, tag in zip(line, "XYXYXYX", strict=False)) for line in LINES).encode()


def read_examples(read: Callable[[str], Iterable[Example]]) -> Callable[[Path], None]:
    """The examples of the only file, as reader and text have them: an answer stands where it says, each word has its tag."""

    def check(folder: Path) -> None:
        (path,) = folder.iterdir()
        for example in read(str(path)):
            assert example.where.startswith(f"{path}: line ")
            if isinstance(example, Asked):
                assert all(example.context[at : at + len(text)] == text for text, at in example.answers)
            if isinstance(example, Tagged):
                assert len(example.words) == len(example.tags) > 0

    return check


def texts_in(name: str, written: Callable[[], bytes]) -> Target:
    return Target(lambda: {name: written()}, change_one, read_texts, BadInput, reads_anything=name in ("a.txt", "a.jsonl"))


def plain() -> bytes:
    return "\n".join(LINES).encode()


def objects() -> bytes:
    return "\n".join(json.dumps({"id": i, "text": line}) for i, line in enumerate(LINES)).encode()


def table(comma: str) -> bytes:
    rows = [("id", "text"), *((str(i), line.replace('"', '""' if comma == "," else "")) for i, line in enumerate(LINES))]
    return "\n".join(
        f'{number}{comma}"{line}"' if comma == "," and number != "id" else f"{number}{comma}{line}" for number, line in rows
    ).encode()


TARGETS: Mapping[str, Target] = {
    "safetensors header": Target(
        lambda: {"model.safetensors": weights({"a": (2, 3), "b": (), "c": (0,)})},
        change_one,
        lambda at: header.read(at / "model.safetensors"),
    ),
    "safetensors index": Target(two_shards, change_one, lambda at: shards.read(at / shards.INDEX)),
    "config": Target(
        lambda: {"config.json": whole_model()["config.json"]}, change_one, lambda at: config.read(at / "config.json")
    ),
    "whole model": Target(whole_model, change_one, checkpoint.open),
    "model of integers": Target(integers, change_one, read_integers),
    "tokenizer.json": Target(
        lambda: {"tokenizer.json": from_sentencepiece(sentencepiece_model()).encode()}, change_one, read_tokenizer
    ),
    "sentencepiece model": Target(lambda: {tokenizer.SENTENCEPIECE: sentencepiece_model()}, change_one, read_tokenizer),
    "fairseq dictionary": Target(
        lambda: {"dict.txt": fairseq_dictionary()},
        change_one,
        lambda at: importing.check_dictionary(at / "dict.txt", small_vocabulary()),
    ),
    "normalisation table": Target(
        lambda: {"a.charsmap": small_vocabulary().charsmap},
        change_one,
        lambda at: Normalizer((at / "a.charsmap").read_bytes()).normalize(TEXT),
    ),
    "attachment": Target(attachment, change_one, lambda at: attachments.read(bare(at), "nouns", "xlmr fit nouns")),
    "attachment of a tagger": Target(
        tagging, change_one, lambda at: taggers.unpack(attachments.read(bare(at), "tagging", "xlmr finetune tag"), 2)
    ),
    "attachment of an extractor": Target(
        lambda: attached("answering", extractors.pack(0.5, 30)),
        change_one,
        lambda at: extractors.unpack(attachments.read(bare(at), "answering", "xlmr finetune answer")),
    ),
    "sentence-transformers modules": Target(sentence_model, change_one, lambda at: sentences.read(at, TINY)),
    "classified .tsv": Target(
        lambda: {"a.tsv": b"lang\ttext\tlabel\nde\tein Satz\tx\nfr\tune phrase\ty\n"}, change_one, read_examples(read_classified), BadInput
    ),
    "classified .jsonl": Target(
        lambda: {"a.jsonl": labelled({"text": "ein Satz", "text_pair": "noch einer", "labels": [label, 2]} for label in "xy")},
        change_one,
        read_examples(partial(read_classified, multi=True)),
        BadInput,
    ),
    "tagged .conll": Target(lambda: {"a.conll": conll()}, change_one, read_examples(read_tagged), BadInput),
    "tagged .jsonl": Target(
        lambda: {"a.jsonl": labelled({"words": ["das", word], "tags": ["X", "Y"]} for word in ("Haus", "Boot"))},
        change_one,
        read_examples(read_tagged),
        BadInput,
    ),
    "asked .jsonl": Target(
        lambda: {
            "a.jsonl": labelled(
                {"id": i, "question": "wo?", "context": "in Rom", "answers": [{"text": "Rom", "answer_start": 3}]} for i in range(2)
            )
        },
        change_one,
        read_examples(read_asked),
        BadInput,
    ),
    "texts .txt": texts_in("a.txt", plain),
    "texts .jsonl": texts_in("a.jsonl", objects),
    "texts .csv": texts_in("a.csv", partial(table, ",")),
    "texts .tsv": texts_in("a.tsv", partial(table, "\t")),
    "texts .gz": texts_in("a.txt.gz", lambda: gzip.compress(plain(), mtime=0)),
    "texts .parquet": texts_in("a.parquet", columns),
    "texts .xz": texts_in("a.txt.xz", lambda: lzma.compress(plain(), preset=1)),
}  # fmt: skip
