"""Commands that ask a model about hidden tokens: `fill-mask`, `score`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xlmr.cli.jobs import Job, run
from xlmr.cli.options import (
    MASKINGS,
    Model,
    candidates_in,
    filling_options,
    json_option,
    model_options,
    text_options,
    texts_in,
    workers_option,
)


@click.command("fill-mask")
@text_options
@filling_options
@json_option
@workers_option
@model_options
def fill_mask(
    texts: tuple[str, ...],
    file: Path | None,
    as_json: bool,
    candidates: str | None,
    candidates_file: Path | None,
    workers: int,
    model: Model,
    **options: Any,
) -> int:
    """The likeliest words for each <mask> in each TEXT, best first; several masks are filled together.

    Texts are the arguments, or those of a file, or the lines of standard input.
    With --json there is one object for each text, in their order: {"text", "fillings": [{"score", "words", "ids", "text"}]};
    one that cannot be answered has {"line", "error": {"kind", "message"}} in its place, and the exit status is 1.

    \b
    Examples:
      xlmr fill-mask 'Paris est la <mask> de la France.'
      xlmr fill-mask --top 1 'Guten <mask>!' 'Buenos <mask>!'
      xlmr fill-mask --whole-word --language ru 'Я живу в <mask>.'
      xlmr fill-mask --candidates 'happy,unhappy,over the moon' 'She is <mask>.'
      xlmr fill-mask --json --input sentences.jsonl.gz > filled.jsonl
      cat sentences.txt | xlmr fill-mask --model FacebookAI/xlm-roberta-base
    """
    source = texts_in(texts, file)
    options["candidates"] = candidates_in(candidates, candidates_file)
    from xlmr.cli import printing
    from xlmr.tasks.masks import filler

    return run(source, Job(model, filler, options, printing.fillings_json if as_json else printing.fillings), workers, as_json)


@click.command()
@text_options
@click.option(
    "--masking",
    type=click.Choice(MASKINGS),
    default=MASKINGS[0],
    show_default=True,
    help="What is masked with each token: the rest of its word, or nothing.",
)
@json_option
@workers_option
@model_options
def score(
    texts: tuple[str, ...],
    file: Path | None,
    masking: str,
    as_json: bool,
    workers: int,
    model: Model,
) -> int:
    """How likely each TEXT is: its pseudo-log-likelihood, and that of each of its tokens. The nearer to 0 the likelier.

    Texts are the arguments, or those of a file, or the lines of standard input.
    With --json there is one object for each text, in their order: {"text", "score", "tokens": [{"text", "start", "end", "id", "score"}]};
    one that cannot be answered has {"line", "error": {"kind", "message"}} in its place, and the exit status is 1.

    \b
    Examples:
      xlmr score 'She goes to school.' 'She go to school.'
      xlmr score --masking token --json --input sentences.txt > scores.jsonl
    """
    source = texts_in(texts, file)
    from xlmr.cli import printing
    from xlmr.tasks.scoring import scorer

    show = printing.score_json if as_json else printing.score
    return run(source, Job(model, scorer, {"masking": masking}, show), workers, as_json)
