"""Languages of the tests, word by word translations of each other."""

import random

WORDS = {
    "en": "the cat dog house water book child city good big small one reads drinks sleeps".split(),
    "fr": "le chat chien maison eau livre enfant ville bon grand petit un lit boit dort".split(),
    "de": "das Katze Hund Haus Wasser Buch Kind Stadt gut groß klein ein liest trinkt schläft".split(),
}


def pairs(count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """Languages with sentences and their English."""
    dice, found = random.Random(seed), []
    for _ in range(count):
        words = [dice.randrange(15) for _ in range(dice.randint(3, 6))]
        english = " ".join(WORDS["en"][word] for word in words)
        found += [(code, " ".join(WORDS[code][word] for word in words), english) for code in ("fr", "de")]
    return found
