"""Labelled examples: texts with labels, words with tags, questions with answers. What fine-tuning learns from and evaluation asks.

A source is `FILE` or `LANG=FILE`. Files are read line by line, and `where` says of each example in which file and line it stands.
A line that cannot be read ends the reading: half a set of examples is none.
"""

from __future__ import annotations

from xlmr.examples.asked import Asked as Asked
from xlmr.examples.asked import read_asked as read_asked
from xlmr.examples.classified import Classified as Classified
from xlmr.examples.classified import read_classified as read_classified
from xlmr.examples.sources import UNDETERMINED as UNDETERMINED
from xlmr.examples.tagged import Tagged as Tagged
from xlmr.examples.tagged import read_tagged as read_tagged
from xlmr.examples.unlabelled import Unlabelled as Unlabelled
from xlmr.examples.unlabelled import read_unlabelled as read_unlabelled

Example = Classified | Tagged | Asked
