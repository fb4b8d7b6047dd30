"""A tiny model, and lines in two languages that are translations of each other."""

import pytest

import xlmr
from xlmr import encoder as encoders
from xlmr.evaluation.benchmarks import Line

ENGLISH = """
the cat drinks water
the dog sleeps in the house
the child reads a big book
the city is small
one good book
"""
GERMAN = """
die Katze trinkt Wasser
der Hund schläft und das Haus ist groß
das Kind liest ein Buch
die Stadt ist klein
ein gut Buch
"""


@pytest.fixture(scope="session")
def encoder(tiny):
    return encoders.load(tiny, threads=1)


@pytest.fixture(scope="session")
def model(tiny):
    return xlmr.load(tiny, threads=1)


@pytest.fixture(scope="session")
def lines():
    """Five texts of one source in English and German, and two German lines of no source that has translations."""
    both = [
        Line(language, "ntrex128", str(i), text)
        for language, texts in (("en", ENGLISH), ("de", GERMAN))
        for i, text in enumerate(texts.strip().splitlines())
    ]
    return [*both, Line("de", "prose", "", "der Hund und die Katze"), Line("de", "prose", "", "das Wasser ist gut")]
