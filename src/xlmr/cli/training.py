"""Commands that train: `pretrain`."""

from __future__ import annotations

from pathlib import Path

import click

from xlmr.cli.terminal import say


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--from", "start", metavar="MODEL", help="A folder or a hub id to go on from, instead of a model from nothing.")
@click.option("--resume", is_flag=True, help="Go on, exactly, where an earlier run of this recipe was stopped.")
def pretrain(recipe: Path, start: str | None, resume: bool) -> None:
    """Pretrain a model as RECIPE says, and print its folder. Needs the extra `train`.

    \b
    Examples:
      xlmr pretrain recipes/small.toml
      xlmr pretrain recipes/small.toml --resume
      accelerate launch --num_processes 2 -m xlmr pretrain recipes/small.toml
    """
    from xlmr.training import pretraining

    say(str(pretraining.pretrain(recipe, start=start, resume=resume)))
