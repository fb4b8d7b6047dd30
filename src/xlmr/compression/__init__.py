"""A checkpoint made smaller or faster: quantized, pruned, trimmed to some languages, distilled. The result is a checkpoint again."""
