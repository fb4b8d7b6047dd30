"""Commands of models that were fine-tuned for something: `classify`, `tag`, `answer`."""

from __future__ import annotations

from pathlib import Path

import click

from xlmr.cli.jobs import Job, run
from xlmr.cli.options import Model, json_option, model_options, questions_in, text_options, texts_in, workers_option
from xlmr.limits import TOP


@click.command()
@text_options
@click.option("--pair", metavar="TEXT", help="A second text that goes with each; of a file, its `text_pair` does.")
@click.option("--top", type=click.IntRange(1, TOP), metavar="N", help="How many labels for each text; without it, all.")
@json_option
@workers_option
@model_options
def classify(
    texts: tuple[str, ...],
    file: Path | None,
    pair: str | None,
    top: int | None,
    as_json: bool,
    workers: int,
    model: Model,
) -> int:
    """The labels of each TEXT, best first, as the model was fine-tuned to tell them (`xlmr finetune classify`).

    Texts are the arguments, or those of a file, or the lines of standard input. One longer than the model takes loses its end.
    With --json there is one object for each text, in their order: {"text", "labels": [{"label", "score"}]}, of pairs also "text_pair";
    one that cannot be answered has {"line", "error": {"kind", "message"}} in its place, and the exit status is 1.

    \b
    Examples:
      xlmr classify --model my-classifier 'The match ended in a draw.' 'Das Spiel endete unentschieden.'
      xlmr classify --model my-classifier --top 1 --json --input comments.csv > labels.jsonl
      xlmr classify --model my-nli --pair 'A cat is asleep.' 'The cat sleeps on the sofa.'
    """
    source = texts_in(texts, file, pairs=pair is None)
    from xlmr.cli import printing
    from xlmr.tasks.classification import classifier

    show = printing.classification_json if as_json else printing.classification
    return run(source, Job(model, classifier, {"pair": pair, "top": top}, show), workers, as_json)


@click.command()
@text_options
@json_option
@workers_option
@model_options
def tag(texts: tuple[str, ...], file: Path | None, as_json: bool, workers: int, model: Model) -> int:
    """The names or other entities in each TEXT, or a tag for each of its words, as the model was fine-tuned to (`xlmr finetune tag`).

    Texts are the arguments, or those of a file, or the lines of standard input.
    With --json there is one object for each text, in their order: {"text", "words", "tags", "entities": [{"label", "text", "start", "end",
    "score"}]}; one that cannot be answered has {"line", "error": {"kind", "message"}} in its place, and the exit status is 1.

    \b
    Examples:
      xlmr tag --model my-tagger 'Angela Merkel wohnt in Berlin.' 'Μένω στην Αθήνα.'
      xlmr tag --model my-tagger --json --input news.txt.gz > tags.jsonl
    """
    source = texts_in(texts, file)
    from xlmr.cli import printing
    from xlmr.tasks.tagging import tagger

    return run(source, Job(model, tagger, {}, printing.tagging_json if as_json else printing.tagging), workers, as_json)


@click.command()
@click.option("--question", "-q", metavar="TEXT", help="What is asked.")
@click.option("--context", "-c", metavar="TEXT", help="Where the answer is looked for; it may be long.")
@click.option("--input", "-i", "file", type=click.Path(path_type=Path), metavar="FILE",
              help="Read questions from a file, or `-`: .jsonl, .csv, .tsv, .parquet with `question`, `context`; also packed.")  # fmt: skip
@click.option("--top", type=click.IntRange(1, TOP), metavar="N", help="How many answers; without it, the best.")
@click.option("--threshold", type=float, metavar="T",
              help="Say that there is no answer where the score of that is above the best one's by more than T; `inf`: never. "
              "Without it, as the model has it.")  # fmt: skip
@json_option
@workers_option
@model_options
def answer(
    question: str | None,
    context: str | None,
    file: Path | None,
    top: int | None,
    threshold: float | None,
    as_json: bool,
    workers: int,
    model: Model,
) -> int:
    """The answer to a question, found in a context, or that there is none there, with a model fine-tuned for it (`xlmr finetune answer`).

    Questions are the one given, or those of a file, or of standard input, which has {"question", "context"} on each line.
    With --json there is one object for each question, in their order: {"answer", "start", "end", "score"}, null where there is none, and
    with --top "answers", a list of such objects; a line that cannot be answered has {"line", "error": {"kind", "message"}} in its place,
    and the exit status is 1.

    \b
    Examples:
      xlmr answer --model my-reader --question 'Where does she live?' --context 'Sie wohnt seit 1990 in Berlin.'
      xlmr answer --model my-reader --input questions.jsonl --json > answers.jsonl
      xlmr answer --model my-reader --question 'Who wrote it?' --context "$(cat article.txt)" --top 3 --threshold inf
    """
    source = questions_in(question, context, file)
    from xlmr.cli import printing
    from xlmr.tasks.answering import extractor

    show = (printing.answer_json if top is None else printing.answers_json) if as_json else printing.answer
    return run(source, Job(model, extractor, {"top": top or 1, "threshold": threshold}, show), workers, as_json)
