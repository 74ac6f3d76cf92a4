"""Rules that run the weights: they need outputs, inputs and weights. A new file with a RULE is a new rule."""
