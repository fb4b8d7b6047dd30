"""How good models are: a masked language model in prediction, retrieval, probes and transfer; a fine-tuned one in each language.

Of the first `scores.measure` does all and writes one JSON; of the second `examination` asks, `scoring` counts, and `reports` says how far a
score may be chance.
"""
