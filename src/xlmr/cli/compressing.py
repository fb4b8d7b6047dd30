"""The commands that make a model smaller or faster: `compress quantize` and so on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from xlmr.cli.options import SETTINGS, Command, among_in, json_option, labelled_in, source_options, with_options
from xlmr.cli.terminal import note, say

# As `xlmr.compression.quantizing` has them, whose import would cost every `--help` a quarter of a second.
MODES = ("dynamic", "static", "weight-only", "fp16")


@click.group(context_settings=SETTINGS)
def compress() -> None:
    """Make a model smaller or faster, and print what that cost.

    A model goes in and a model comes out, which loads like any other and can be compressed again. Both are asked the same texts: how much
    memory and time they take, and how often they answer alike. That is printed, and kept beside the new model in compression.json and
    README.md. Below --min-agreement nothing is left.

    \b
    Examples:
      xlmr compress quantize --output small-int8
      xlmr compress quantize --model my-tagger --mode fp16 --dev de=dev.conll --output my-tagger-fp16
      xlmr compress trim --languages en,de --output small-en-de
    """


def shared(command: Command) -> Command:
    """The options of every method: of what, to where, and what it is held against."""
    options = (
        click.option("--output", "-o", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder to make."),
        click.option("--min-agreement", type=click.FloatRange(0, 1), metavar="X",
                     help="Fail where less is answered alike: the likeliest fillings, mean of the languages; without an MLM head what its "
                          "head says; else the cosine of vectors."),
        click.option("--probe", "-p", multiple=True, metavar="DATA",
                     help="Texts to compare on, LANG=FILE or a file with `lang`, `text`. Again for more.  [default: 48 languages inside]"),
        click.option("--sentences", type=click.IntRange(1), metavar="N",
                     help="Of each language, at most.  [default: 4 of those inside, 20 of --probe]"),
        click.option("--dev", multiple=True, metavar="DATA",
                     help="Labelled examples for a fine-tuned model, as of `xlmr evaluate`: its score before and after. Again for more."),
        click.option("--force", is_flag=True, help="Replace a compressed model that is there, when the new one is whole."),
        json_option,
        source_options,
    )  # fmt: skip
    return with_options(command, options)


@compress.command()
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default=MODES[0],
    show_default=True,
    help="dynamic: int8 arithmetic, a scale for each token; static: fixed scales; weight-only: float arithmetic; fp16: storage.",
)
@click.option("--bits", type=click.Choice(["8", "4"]), default="8", show_default=True, help="Of a weight; 4 with weight-only alone.")
@click.option(
    "--keep-worst",
    type=click.IntRange(0),
    metavar="N",
    help="So many matrices, those that lose most, stay in float16.  [default: 2; 0 tries none]",
)
@click.option(
    "--rounding",
    type=click.Choice(["gptq", "nearest"]),
    default="gptq",
    show_default=True,
    help="How weights become integers: so that what they compute changes least, or each to the nearest.",
)
@click.option(
    "--calibration",
    type=click.Choice(["min-max", "percentile", "entropy"]),
    default="percentile",
    show_default=True,
    help="How the scales of static are found.",
)
@click.option(
    "--calibrate",
    multiple=True,
    metavar="DATA",
    help="Texts to calibrate on, LANG=FILE or a file with `lang`, `text`. Again for more.  [default: 48 languages inside]",
)
@shared
def quantize(
    mode: str, bits: str, keep_worst: int | None, rounding: str, calibration: str, calibrate: tuple[str, ...], **chosen: Any
) -> None:
    """Store weights in fewer bits, and compute in 8, which processors do faster.

    \b
    Examples:
      xlmr compress quantize --output small-int8
      xlmr compress quantize --model FacebookAI/xlm-roberta-large --min-agreement 0.97 --output large-int8
      xlmr compress quantize --mode static --calibration entropy --calibrate de=de.txt --output small-static
      xlmr compress quantize --mode weight-only --bits 4 --output small-int4
      xlmr compress quantize --model my-tagger --mode fp16 --dev de=dev.conll --output my-tagger-fp16
    """
    from xlmr.compression import probe, quantizing

    texts = probe.gathered(labelled_in(calibrate), None) if calibrate else None
    options = quantizing.Quantize(mode, int(bits), keep_worst, rounding, calibration, texts)
    run(quantizing.quantize, options, **chosen)


@compress.command()
@click.option(
    "--languages", metavar="A,B,…", help="Keep the pieces in the scripts of these; beside --corpus the characters of the scripts."
)
@click.option("--corpus", multiple=True, metavar="DATA",
              help="Keep the pieces that these texts use: a file as of --input, or LANG=FILE; of one with a `lang` the rows in "
                   "--languages. Again for more.")  # fmt: skip
@click.option("--min-count", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="Of the corpus's pieces only those that it uses so often.")  # fmt: skip
@click.option("--pieces", type=click.IntRange(1), metavar="N",
              help="At most so many: those that the corpus uses most often, then the likeliest in the languages.")  # fmt: skip
@click.option("--drop", multiple=True, metavar="PIECE",
              help="A piece that goes in any case, `▁` or a space before it where it begins a word. Again for more.")  # fmt: skip
@shared
def trim(languages: str | None, corpus: tuple[str, ...], drop: tuple[str, ...], min_count: int, pieces: int | None, **chosen: Any) -> None:
    """Keep only the pieces of the vocabulary that some languages or a corpus use.

    Text that keeps its pieces is cut as before, and has the states, vectors and languages that it had. Other text is cut into shorter
    pieces, or into <unk> where a character has none. How much of the corpus, and of the sentences to compare on, is cut as before is
    printed.

    \b
    Examples:
      xlmr compress trim --languages en,de --output small-en-de
      xlmr compress trim --model FacebookAI/xlm-roberta-large --languages en,de,fr,es --pieces 90000 --output large-4
      xlmr compress trim --model my-model --languages de --corpus de=texts.txt.gz --min-count 3 --output my-model-de
    """
    from xlmr.compression import trimming

    named = tuple(name.strip() for name in among_in(languages) or ())
    run(trimming.trim, trimming.Trim(named, corpus, min_count, pieces, drop), **chosen)


def run(
    change: Callable[..., dict[str, Any]],
    options: Any,
    *,
    output: Path,
    model: str | None,
    revision: str | None,
    min_agreement: float | None,
    probe: tuple[str, ...],
    sentences: int | None,
    dev: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Compress by a method of `xlmr.compression`, with options of its own and those of `shared`, and print what was made."""
    from xlmr import compression
    from xlmr.cli import printing
    from xlmr.compression import probe as probes

    texts = probes.gathered(labelled_in(probe), sentences or probes.OWN) if probe else probes.builtin(sentences)
    check = compression.Check(texts, dev, min_agreement)
    found = compression.run(model, output, change, options, check=check, revision=revision, force=force, step=note)
    say(printing.dumped(found.as_json()) if as_json else printing.compressed(found))
