"""The command line: `xlmr`. A command parses, calls one function and prints; what is slow to import is imported in it.

Results go to standard output, everything else to standard error. Exits with 0, 1 where something failed, 2 where it was called
wrongly, 130 where it was interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

import xlmr
from xlmr.cli import compressing, embedding, evaluation, exporting, finetuning, fitting, heads, language, mapping, masked, models, training
from xlmr.cli.options import SETTINGS
from xlmr.cli.terminal import prepare, visible
from xlmr.errors import XlmrError


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit."""
    prepare()
    if sys.stdout is None:
        fail("standard output: closed, and results go there")
    try:
        sys.exit(commands.main(arguments, prog_name="xlmr", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except XlmrError as error:
        fail(str(error))
    except OSError as error:
        fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))


def fail(message: str) -> NoReturn:
    """Say in one line why, and exit with 1."""
    click.echo(f"xlmr: {visible(message)}", err=True)
    sys.exit(1)


@click.group(context_settings=SETTINGS)
@click.version_option(xlmr.__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """XLM-RoBERTa at work: masked words in about 100 languages, how likely texts are, their vectors, which language they are in, and with a
    model fine-tuned for it their labels, the tags of their words, and answers.

    \b
    Examples:
      xlmr fill-mask 'Paris est la <mask> de la France.'
      xlmr score 'Paris est la capitale de la France.'
      xlmr embed 'good morning' 'guten Morgen'
      xlmr align 'The cat sleeps.' 'Die Katze schläft.'
      xlmr language 'Kje je knjižnica?'
      xlmr map comments.txt --output comments.html
      xlmr tag --model my-tagger 'Angela Merkel wohnt in Berlin.'
      xlmr finetune classify --train en=topics.tsv --output topics
      xlmr classify --model topics 'Das Spiel endete unentschieden.'
      xlmr export onnx --model topics --output topics-onnx
      xlmr compress quantize --model topics --mode fp16 --output topics-fp16
      xlmr info
    """


COMMANDS = (
    masked.fill_mask, masked.score, embedding.embed, embedding.align, language.language, mapping.draw,
    heads.classify, heads.tag, heads.answer, evaluation.evaluate, fitting.fit, finetuning.finetune,
    training.pretrain, exporting.export, compressing.compress, models.import_model, models.info,
)  # fmt: skip
for command in COMMANDS:
    commands.add_command(command)
