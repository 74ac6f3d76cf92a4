"""The nouns: traces, batches, weights, cells, findings, evidence. Knows no file, no framework and no torch."""
