"""Commands that ask in which language texts are: `language`."""

from __future__ import annotations

from pathlib import Path

import click

from xlmr.cli.jobs import Job, run
from xlmr.cli.options import Model, among_in, json_option, model_options, text_options, texts_in, workers_option
from xlmr.limits import TOP


@click.command()
@text_options
@click.option("--top", type=click.IntRange(1, TOP), default=3, show_default=True, metavar="N", help="How many languages for each text.")
@click.option("--spans", is_flag=True, help="Also which words are in which language, where it changes within a text.")
@click.option("--among", metavar="L,L,…", help="Only these languages; the best of them is given however badly it fits.")
@json_option
@workers_option
@model_options
def language(
    texts: tuple[str, ...],
    file: Path | None,
    top: int,
    spans: bool,
    among: str | None,
    as_json: bool,
    workers: int,
    model: Model,
) -> int:
    """Which language each TEXT is in, and in which script; `und` where it is in none that the model knows, or has no letters.

    Texts are the arguments, or those of a file, or the lines of standard input.
    With --json there is one object for each text, in their order: {"text", "languages": [{"code", "script", "confidence"}], "known"};
    one that cannot be answered has {"line", "error": {"kind", "message"}} in its place, and the exit status is 1.

    \b
    Examples:
      xlmr language 'Kje je knjižnica?' 'Où est la bibliothèque ?'
      xlmr language --among bs,hr,sr 'Gdje je knjižnica?'
      xlmr language --spans 'Er sagte: the show must go on.'
      xlmr language --json --top 1 --input comments.txt > languages.jsonl
    """
    source = texts_in(texts, file)
    options = {"top": top, "among": among_in(among), "spans": spans}
    from xlmr.cli import printing
    from xlmr.tasks.identification import identifier

    return run(source, Job(model, identifier, options, printing.language_json if as_json else printing.language), workers, as_json)
