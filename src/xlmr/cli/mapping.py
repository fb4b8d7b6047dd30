"""The command that draws texts in the plane: `map`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xlmr import texts as texts_of
from xlmr.cli.options import Model, among_in, model_options, named
from xlmr.cli.terminal import say, visible
from xlmr.errors import BadInput, BadLine
from xlmr.languages import find
from xlmr.limits import POINTS

if TYPE_CHECKING:
    from xlmr.maps import Row
    from xlmr.maps.sampling import Sample

# As `xlmr.maps` and `xlmr.tasks.embeddings` have them.
FORMATS = (".svg", ".html")
METHODS = ("tsne", "pca")
POOLINGS = ("mean", "cls", "max")
UNKNOWN = "und"


@click.command("map")
@click.argument("sources", nargs=-1, required=True, metavar="FILE...")
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), metavar="FILE",
              help="The picture: F.svg, or F.html in which one reads the texts.")  # fmt: skip
@click.option("--id", "column", metavar="COLUMN", help="Where rows have the same, they are translations of each other.  [default: id]")
@click.option("--parallel", is_flag=True, help="Lines with the same number in the files are translations of each other.")
@click.option("--lines/--no-lines", default=None, help="Lines between translations.  [default: where there are up to 1,000 texts]")
@click.option("--most", type=click.IntRange(1, POINTS), default=5_000, show_default=True, metavar="N",
              help="Texts drawn; of more, so many are taken by chance.")  # fmt: skip
@click.option("--method", type=click.Choice(METHODS), default=METHODS[0], show_default=True,
              help="From vectors to the plane; `tsne` needs the extra `plot`.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, metavar="N", help="Of what is left to chance.")
@click.option("--among", metavar="L,L,…", help="Only these languages, where the model finds them.")
@click.option("--raw", is_flag=True, help="As of `embed`.")
@click.option("--layer", "layers", type=int, multiple=True, metavar="N", help="As of `embed`.")
@click.option("--pooling", type=click.Choice(POOLINGS), help="As of `embed`.")
@model_options
def draw(
    sources: tuple[str, ...],
    output: Path,
    column: str | None,
    parallel: bool,
    lines: bool | None,
    most: int,
    method: str,
    seed: int,
    among: str | None,
    raw: bool,
    layers: tuple[int, ...],
    pooling: str | None,
    model: Model,
) -> int:
    """Draw texts in the plane, coloured by their language: do languages cluster, do translations meet?

    FILE has texts, in lines or as `text` in a table or .jsonl. Their languages are those of a column `lang`, or the one of LANG=FILE,
    or else the model finds them. Prints the picture's name, and what was measured. A line that cannot be read is told and left out, and
    the exit status is 1.

    \b
    Examples:
      xlmr map comments.txt --output comments.html
      xlmr map en=talk.en.txt de=talk.de.txt --parallel --output talk.svg
      xlmr map sentences.tsv --id sentence --most 2000 --output sentences.html
    """
    if output.suffix.lower() not in FORMATS:
        raise click.UsageError(f"--output is {output.name!r}; wanted a name that ends in one of {', '.join(FORMATS)}.")
    if parallel and column:
        raise click.UsageError("--parallel and --id both say what translations are: one of them.")
    import xlmr
    from xlmr import maps
    from xlmr.maps import points, sampling
    from xlmr.writers import appearing

    place = maps.placer(method)
    with appearing(output) as file:
        chosen = sampling.sample(_counted(_rows(sources, column, parallel)), most, seed)
        _tell(chosen)
        loaded = xlmr.load(**model)
        options = {"raw": raw, "layers": layers or None, "pooling": pooling}
        dots, vectors = points.gather(loaded, chosen.rows, among=among_in(among), options=options, watch=_counted)
        if sys.stderr.isatty():  # minutes, where there are many
            click.echo(f"placing {len(dots):,} texts in the plane", err=True)
        places = place(vectors, seed)
        shares = points.measured(dots, vectors, places)
        name = ", ".join(
            [
                str(model["source"] or "small"),
                *(["raw"] if raw else []),
                *(f"layer {layer}" for layer in layers),
                *([pooling] if pooling else []),
            ]
        )
        maps.write(
            file,
            output.suffix.lower(),
            points.described(dots, places, shares, total=chosen.total, model=visible(name), method=method, lines=lines),
        )
    say(str(output))
    for said, of in points.told(shares).items():
        say(f"  {said}: {', '.join(f'{share:.3f} {where}' for where, share in of.items())}")
    return int(chosen.failed > 0)


def _rows(sources: Sequence[str], column: str | None, parallel: bool) -> Iterator[Row]:
    """The rows of all files. Raises BadInput where one cannot be read at all."""
    for source in sources:
        language, path = named(source)
        yield from _of(path, language, column, parallel)


def _of(path: Path, language: str | None, column: str | None, parallel: bool) -> Iterator[Row]:
    from xlmr.maps import Row

    held = texts_of.fields(path)
    if column and not held:
        raise BadInput(f"{path}: has lines of text, and --id names a column; wanted a table, .tsv or .csv, or .jsonl")
    codes = texts_of.read(path, "lang") if language is None and "lang" in held else repeat(None)
    shared = column or "id"
    names = texts_of.read(path, shared) if not parallel and (column or shared in held) else repeat(None)
    for number, (line, code, name) in enumerate(zip(texts_of.read(path), codes, names, strict=False), start=1):
        wrong = next((part.text for part in (line, code, name) if part and isinstance(part.text, BadLine)), None)
        place = f"{path}: line {line.number}"
        if wrong:
            yield Row(place, wrong)
            continue
        try:
            known = str(code.text) if code else language
            yield Row(place, line.text, known and _code(known), str(number) if parallel else (str(name.text) or None) if name else None)
        except BadInput as error:
            yield Row(place, error)


def _code(name: str) -> str:
    return UNKNOWN if name == UNKNOWN else find(name).code


def _tell(chosen: Sample) -> None:
    """What is not in the picture, on standard error."""
    for told in chosen.told:
        click.echo(f"xlmr: {visible(told)}", err=True)
    if chosen.failed > len(chosen.told):
        click.echo(f"xlmr: … and {chosen.failed - len(chosen.told):,} lines more that cannot be drawn", err=True)
    if chosen.total > len(chosen.rows):
        click.echo(f"xlmr: {len(chosen.rows):,} of {chosen.total:,} texts are drawn, by chance; --most takes more", err=True)


def _counted(items: Iterator[Any]) -> Iterator[Any]:
    from xlmr.cli.printing import progress

    return progress(items, elsewhere=True)
