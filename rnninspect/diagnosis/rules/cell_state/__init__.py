"""Rules of the cell state: they need outputs and c. A new file with a RULE is a new rule."""
