"""The commands that make a model smaller or faster: `compress quantize` and so on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xlmr.cli.options import SETTINGS, Command, among_in, json_option, labelled_in, source_options, with_options
from xlmr.cli.terminal import note, say

if TYPE_CHECKING:
    from xlmr.compression.probe import Texts

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
      xlmr compress prune --inner 768 --output small-768
      xlmr compress distil --layers 2 --data texts.tsv --output small-2
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


def teaching(command: Command) -> Command:
    """The options of a student that is taught, as `xlmr.compression.recovering.Recovery` has them."""
    options = (
        click.option("--batch", type=click.IntRange(8), default=4_096, show_default=True, metavar="N", help="Tokens a step."),
        click.option("--accumulate", type=click.IntRange(1), default=1, show_default=True, metavar="N",
                     help="Parts that a step is worked in, for less memory."),
        click.option("--rate", type=float, metavar="X", help="Of learning.  [default: 1.5e-3 for small, 5e-4 for base, 3.8e-4 for large]"),
        click.option("--soft", type=float, default=5.0, show_default=True, metavar="X", help="Weight of what the teacher says …"),
        click.option("--hard", type=float, default=2.0, show_default=True, metavar="X", help="… of the pieces that were hidden …"),
        click.option("--states", type=float, default=1.0, show_default=True, metavar="X", help="… and of the teacher's states."),
        click.option("--temperature", type=float, default=2.0, show_default=True, metavar="T", help="By which both are softened."),
        click.option("--embeddings", type=float, default=0.0, show_default=True, metavar="X",
                     help="Their rate, as a share of the rate; 0 leaves them the teacher's."),
        click.option("--masked", type=float, default=0.15, show_default=True, metavar="X", help="Share of the pieces that are hidden."),
        click.option("--longest", type=click.IntRange(8), default=128, show_default=True, metavar="N", help="Tokens of a text."),
        click.option("--exponent", type=float, default=0.5, show_default=True, metavar="X",
                     help="Mix languages by their tokens to this power; 1 as they are, 0 all alike."),
        click.option("--precision", type=click.Choice(["no", "bf16"]), default="no", show_default=True,
                     help="Of the arithmetic; no: float32."),
        click.option("--seed", type=click.IntRange(0), default=1, show_default=True, metavar="N"),
        click.option("--state", type=click.Path(path_type=Path), metavar="DIR",
                     help="Where the run keeps its state until it has ended.  [default: that of --output, with .run]"),
        click.option("--resume", is_flag=True, help="Go on, exactly, where an earlier run was stopped."),
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
    help="So many matrices, those that lose most, stay in float16.  [default: 2, with --min-agreement as many as it takes; 0 tries none]",
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

    own = probe.gathered(labelled_in(calibrate), None, "calibrate on") if calibrate else None
    wanted, asked = chosen["min_agreement"], asked_in(chosen["probe"], chosen["sentences"])
    options = quantizing.Quantize(
        mode, int(bits), keep_worst, rounding=rounding, calibration=calibration, calibrate=own, agreement=wanted, asked=asked
    )
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


@compress.command()
@click.option("--layers", type=click.IntRange(1), required=True, metavar="N", help="Of the new model.")
@click.option("--data", "-d", required=True, multiple=True, metavar="DATA",
              help="Texts to be taught by: FILE or LANG=FILE, a text on each line or in a column `text`. Again for more.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), default=1_000, show_default=True, metavar="N", help="Of teaching.")
@teaching
@shared
def distil(output: Path, state: Path | None, resume: bool, **chosen: Any) -> None:
    """Make a model of some of the layers, and teach it by texts what the whole one says and how its states lie (DistilBERT). A fine-tuned
    model of texts or words teaches what its head says. Texts need no labels. Needs the extra `train`.

    While it goes its state lies in --state, and --resume goes on from there, also where the new model was not as good as --min-agreement
    wanted: then with a lower one.

    \b
    Examples:
      xlmr compress distil --layers 2 --data texts.tsv --output small-2
      xlmr compress distil --model FacebookAI/xlm-roberta-base --layers 6 --data de=de.txt.xz --data fr=fr.txt.xz --steps 20000 \\
                           --precision bf16 --output base-6
      xlmr compress distil --layers 2 --data texts.tsv --output small-2 --resume
    """
    from xlmr.compression import distilling, recovering

    place = state or output.with_name(f"{output.name}.run")
    own = {field.name for field in fields(distilling.Distil)} & chosen.keys()
    options = distilling.Distil(state=place, resume=resume, **{name: chosen.pop(name) for name in own})
    try:
        run(distilling.distil, options, output=output, **chosen)
    except KeyboardInterrupt:
        if place.exists():
            note(f"stopped; the same command with --resume goes on from {place}")
        raise
    recovering.forget(place)


@compress.command()
@click.option("--heads", type=click.IntRange(1), metavar="N", help="Keep N attention heads in every layer.")
@click.option("--inner", type=click.IntRange(1), metavar="N", help="Keep N inner units in every layer.")
@click.option("--layers", type=click.IntRange(1), metavar="N", help="Keep N layers.")
@click.option("--no-refit", is_flag=True, help="Leave what is kept as it was, so that it makes up for nothing.")
@click.option("--magnitude", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="SHARE",
              help="Set that share of the weights to zero, in each row of a matrix the smallest. Only packing gains by it.")  # fmt: skip
@click.option("--pattern", type=click.Choice(["2:4"]), help="Set two of every four weights to zero. Only kernels for that gain by it.")
@click.option("--with-embeddings", is_flag=True, help="With --magnitude or --pattern: weights of the word embeddings too.")
@click.option("--data", "-d", "texts", multiple=True, metavar="DATA",
              help="Texts by which parts are weighed: FILE or LANG=FILE, a text on each line or in a column `text`. Again for more.  "
                   "[default: 48 languages inside]")  # fmt: skip
@click.option("--recover", type=click.IntRange(0), default=0, metavar="STEPS",
              help="Then let the whole model teach it, by the texts of --data, so many steps. The options below are of that.")  # fmt: skip
@teaching
@shared
def prune(output: Path, recover: int, state: Path | None, resume: bool, **chosen: Any) -> None:
    """Leave out heads, inner units or layers; or set single weights to zero.

    --heads, --inner and --layers make tensors smaller, and the model faster. What matters least, as measured on texts, goes, and what is
    kept is refitted to do without it. A model of fewer heads is for xlmr and what it exports: transformers refuses it.

    --magnitude and --pattern leave the tensors as large as they were: the file packs better, and kernels for sparse matrices may be faster,
    which xlmr's runtimes do not have. --recover needs the extra `train`.

    \b
    Examples:
      xlmr compress prune --inner 768 --output small-768
      xlmr compress prune --model my-tagger --layers 8 --heads 10 --data de=texts.txt.xz --output my-tagger-8
      xlmr compress prune --layers 3 --data de=de.txt --data fr=fr.txt --recover 1000 --output small-3
      xlmr compress prune --pattern 2:4 --output small-sparse
    """
    from xlmr.compression import pruning, recovering

    if not recover and (state or resume):
        raise click.UsageError("--state and --resume are of --recover STEPS, which was not asked for")
    place = state or output.with_name(f"{output.name}.run")
    taught = {field.name: chosen.pop(field.name) for field in fields(recovering.Recovery) if field.name in chosen}
    own = {field.name: chosen.pop(field.name) for field in fields(pruning.Prune) if field.name in chosen}
    recovery = recovering.Recovery(steps=recover, state=place, resume=resume, **taught) if recover else None
    run(pruning.prune, pruning.Prune(**own, recover=recovery), output=output, **chosen)
    if recovery:
        recovering.forget(place)


def asked_in(files: tuple[str, ...], sentences: int | None) -> Texts:
    """The texts to compare on."""
    from xlmr.compression import probe

    return probe.gathered(labelled_in(files), sentences or probe.OWN) if files else probe.builtin(sentences)


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

    check = compression.Check(asked_in(probe, sentences), dev, min_agreement)
    found = compression.run(model, output, change, options, check=check, revision=revision, force=force, step=note)
    say(printing.dumped(found.as_json()) if as_json else printing.compressed(found))
