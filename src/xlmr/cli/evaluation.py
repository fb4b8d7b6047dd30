"""Commands that measure a model on labelled data: `evaluate classify`, `tag`, `answer`, `language`, `retrieve`."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from xlmr.cli.embedding import text_vector_options
from xlmr.cli.options import SETTINGS, Command, Model, among_in, json_option, labelled_in, model_options, pairs_in, with_options
from xlmr.cli.terminal import say
from xlmr.limits import TOP

GROUPINGS = ("family", "script")
# As `xlmr.maps.bars` has them, whose import would cost every `--help`.


@click.group(context_settings=SETTINGS)
def evaluate() -> None:
    """Measure a model: a score for each language, and their mean.

    \b
    Examples:
      xlmr evaluate classify --model topics topics.tsv
      xlmr evaluate tag --model names de=german.conll fr=french.conll
      xlmr evaluate answer --model answers questions.jsonl
      xlmr evaluate language texts.tsv
      xlmr evaluate retrieve translations.tsv
    """


def report_options(command: Command) -> Command:
    """What a report of a fine-tuned model says and how it looks: those of `REPORTING`."""
    return with_options(command, REPORTING)


REPORTING = (
    click.argument("data", nargs=-1, required=True, metavar="DATA..."),
    click.option("--languages", metavar="L,L,…", help="Only the examples in these languages."),
    click.option("--source", default="en", show_default=True, metavar="L",
                 help="The language of the training data, which the others are compared with."),
    click.option("--rounds", type=click.IntRange(0, 100_000), default=1_000, show_default=True, metavar="N",
                 help="Drawings for the intervals; 0 leaves them out."),
    click.option("--worst", type=click.IntRange(1, TOP), metavar="N", help="Show the N worst examples as well."),
    click.option("--table", "as_table", is_flag=True, help="A Markdown table."),
    click.option("--plot", type=click.Path(path_type=Path), metavar="F.svg", help="Write a picture: a bar for each language."),
    click.option("--by", type=click.Choice(GROUPINGS), default=GROUPINGS[0], show_default=True, help="How the bars of --plot are grouped."),
)  # fmt: skip
CONFUSIONS = click.option("--confusions", "confused", is_flag=True, help="Show which labels are taken for which.")


@evaluate.command()
@report_options
@CONFUSIONS
@json_option
@model_options
def classify(**options: Any) -> None:
    """How well texts are labelled: accuracy and macro F1 of each language, their mean, and the gap to the language of training.

    DATA is LANG=FILE, or a file with `lang`: a table or .jsonl with `text`, `label` (or `category`) and perhaps `text_pair`. For a model
    that gives a text several labels, `labels`: a list, in a table with | between them; then micro F1 counts. For one that gives a
    number, the correlation of Pearson does.

    \b
    Examples:
      xlmr evaluate classify --model topics topics.tsv --languages en,de,sw
      xlmr evaluate classify --model topics topics.tsv --table --plot topics.svg
      xlmr evaluate classify --model topics de=german.tsv --confusions --worst 10
    """
    _report("classify", **options)


@evaluate.command()
@report_options
@CONFUSIONS
@json_option
@model_options
def tag(**options: Any) -> None:
    """How well words are tagged: F1 of the spans that IOB2 tags mark, as seqeval counts it, else accuracy; by language, and their mean.

    DATA is LANG=FILE, CoNLL: a word, a tab and its tag on each line, a blank line after a sentence; or .jsonl with `words` and `tags`,
    where `lang` may say the language.

    \b
    Examples:
      xlmr evaluate tag --model names en=english.conll de=german.conll
      xlmr evaluate tag --model speech wo=wolof.conll --confusions
    """
    _report("tag", **options)


@evaluate.command()
@report_options
@click.option(
    "--threshold",
    type=float,
    metavar="T",
    help="By how much the score of no answer must be higher for there to be none; the model's own unless told.",
)
@json_option
@model_options
def answer(**options: Any) -> None:
    """How well questions are answered: F1 and exact match of each language by the rules of MLQA, and by those of SQuAD; and their means.

    DATA is LANG=FILE, or a file with `lang`: .jsonl with `question`, `context` and `answers`, each with its `text` and `answer_start`.

    \b
    Examples:
      xlmr evaluate answer --model answers en=squad.jsonl de=fragen.jsonl
      xlmr evaluate answer --model answers questions.jsonl --worst 5 --json
    """
    _report("answer", **options)


def _report(
    task: str,
    *,
    data: tuple[str, ...],
    languages: str | None,
    model: Model,
    as_json: bool,
    as_table: bool,
    plot: Path | None,
    by: str,
    worst: int | None,
    source: str,
    confused: bool = False,
    **options: Any,
) -> None:
    """Evaluate and show. What can be wrong is told before the model is asked."""
    if as_json and as_table:
        raise click.UsageError("--json and --table both say how the scores look: one of them.")
    if plot and plot.suffix.lower() != ".svg":
        raise click.UsageError(f"--plot is {plot.name!r}; wanted a name that ends in .svg.")
    import xlmr
    from xlmr import writers
    from xlmr.cli import printing, reporting
    from xlmr.evaluation import examination, mistakes
    from xlmr.examples import sources

    with writers.appearing(plot) if plot else nullcontext() as file:
        loaded, source = xlmr.load(**model), sources.code(source)
        if confused:
            mistakes.check(task, loaded)
        examples = examination.read(task, loaded, data, among_in(languages))
        counted = partial(printing.progress, elsewhere=True)
        found = examination.EVALUATIONS[task](loaded, examples, source=source, counted=counted, **options)
        if file:
            file.write(reporting.picture(found.report, by, model["source"]))
    confusions = mistakes.confusions(found) if confused else None
    wrong = mistakes.worst(found, worst) if worst else None
    if as_json:
        say(printing.dumped({**reporting.as_json(found.report), **reporting.mistakes_json(confusions, wrong)}))
        return
    for line in reporting.table(found.report) if as_table else reporting.for_people(found.report):
        say(line)
    for line in [*([] if confusions is None else reporting.confusions(confusions)), *([] if wrong is None else reporting.worst(wrong))]:
        say(line)


@evaluate.command()
@click.argument("data", nargs=-1, required=True, metavar="DATA...")
@click.option("--languages", metavar="L,L,…", help="Only the texts in these languages.")
@json_option
@model_options
def language(data: tuple[str, ...], languages: str | None, as_json: bool, model: Model) -> None:
    """How often the right language is found: F1 of each, and their mean. DATA is LANG=FILE, or a table or .jsonl with `lang` and `text`.

    \b
    Examples:
      xlmr evaluate language sentences.tsv
      xlmr evaluate language de=german.txt nl=dutch.txt --json
    """
    import xlmr
    from xlmr.cli import printing
    from xlmr.evaluation.labelled import language as measure

    found = measure(xlmr.load(**model), labelled_in(data), among_in(languages))
    say(printing.dumped(printing.evaluated_json(found)) if as_json else printing.evaluated(found))


@evaluate.command()
@click.argument("data", nargs=-1, required=True, metavar="DATA...")
@click.option("--languages", metavar="L,L,…", help="Only the pairs in these languages.")
@text_vector_options
@json_option
@model_options
def retrieve(data: tuple[str, ...], languages: str | None, as_json: bool, model: Model, layers: tuple[int, ...], **options: Any) -> None:
    """How often a sentence's vector lies nearest to that of its translation, among those of all: accuracy of each language, both ways.

    DATA is a table or .jsonl with `lang`, `source` and `english`, or LANG=FILE of one with `source` and `english`.
    Vectors are those of `xlmr embed`.

    \b
    Examples:
      xlmr evaluate retrieve tatoeba.tsv.xz --languages de,fr
      xlmr evaluate retrieve --model intfloat/multilingual-e5-small de=german.csv --json
    """
    import xlmr
    from xlmr.cli import printing
    from xlmr.evaluation.retrieval import evaluate as measure

    counted = partial(printing.progress, elsewhere=True)
    found = measure(xlmr.load(**model), pairs_in(data), among_in(languages), counted=counted, layers=layers or None, **options)
    say(printing.dumped(printing.evaluated_json(found)) if as_json else printing.retrieved(found))
