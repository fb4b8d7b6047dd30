"""The command that draws texts in the plane: `map`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xlmr import texts as texts_of
from xlmr.cli.embedding import text_vector_options
from xlmr.cli.options import LANGUAGE, Model, among_in, model_options, named
from xlmr.cli.terminal import say, visible
from xlmr.errors import BadInput, BadLine
from xlmr.languages import find
from xlmr.limits import POINTS

if TYPE_CHECKING:
    from xlmr.maps import Row
    from xlmr.maps.sampling import Sample

# As `xlmr.maps` and `xlmr.tasks.recognition` have them.
FORMATS = (".svg", ".html")
METHODS = ("tsne", "pca")
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
@text_vector_options
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
    model: Model,
    **options: Any,
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
        options["layers"] = options["layers"] or None
        dots, vectors = points.gather(loaded, chosen.rows, among=among_in(among), options=options, watch=_counted)
        if sys.stderr.isatty():  # minutes, where there are many
            click.echo(f"placing {len(dots):,} texts in the plane", err=True)
        places = place(vectors, seed)
        shares = points.measured(dots, vectors, places)
        made = _made(model["source"] or "small", **options)
        drawn = points.described(dots, places, shares, total=chosen.total, model=made, method=method, lines=lines)
        maps.write(file, output.suffix.lower(), drawn)
    say(str(output))
    for said, of in points.told(shares).items():
        say(f"  {said}: {', '.join(f'{share:.3f} {where}' for where, share in of.items())}")
    return int(chosen.failed > 0)


def _rows(sources: Sequence[str], column: str | None, parallel: bool) -> Iterator[Row]:
    """The rows of all files. Raises BadInput where one cannot be read at all."""
    for language, path in [*map(named, sources)]:
        yield from _of(path, language, column, parallel)


def _of(path: Path, language: str | None, column: str | None, parallel: bool) -> Iterator[Row]:
    from xlmr.maps import Row

    held = texts_of.fields(path)
    if held is None and column:
        raise BadInput(f"{path}: has lines of text, and --id names a column; wanted one of {', '.join(texts_of.KINDS)}")
    held = held or frozenset()
    codes = texts_of.read(path, LANGUAGE) if language is None and LANGUAGE in held else repeat(None)
    shared = column or "id"
    names = texts_of.read(path, shared) if not parallel and (column or shared in held) else repeat(None)
    for number, (line, code, name) in enumerate(zip(texts_of.read(path), codes, names, strict=False), start=1):
        wrong = next((part.text for part in (line, code, name) if part and isinstance(part.text, BadLine)), None)
        place = f"{path}: line {line.number}"
        if wrong:
            yield Row(place, wrong)
            continue
        try:
            known = _code(str(code.text)) if code and code.text else language  # an empty cell says nothing
            yield Row(place, line.text, known, str(number) if parallel else (str(name.text) or None) if name else None)
        except BadInput as error:
            yield Row(place, error)


def _code(name: str) -> str:
    return UNKNOWN if name == UNKNOWN else find(name).code


def _made(source: str, *, raw: bool, layers: Sequence[int] | None, layer_mean: bool, pooling: str | None, prompt: str | None) -> str:
    """Which vectors, in words."""
    from_layers = [*(f"layer {layer}" for layer in layers or ()), "their mean" if layer_mean else None]
    said = [source, "raw" if raw else None, *from_layers, pooling, None if prompt is None else f"prompt {prompt!r}"]
    return ", ".join(filter(None, said))


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
