"""What a masked language model is worth: prediction, retrieval, probes, transfer; `scores.measure` does all and writes one JSON."""
