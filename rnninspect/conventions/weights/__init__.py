"""Named arrays <-> Weights: scopes, stacks, gate blocks, configs. Knows no single framework."""
