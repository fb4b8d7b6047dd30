"""Text to ids and back (being written)."""

from xlmr.tokenizer.sentencepiece import from_sentencepiece as from_sentencepiece
