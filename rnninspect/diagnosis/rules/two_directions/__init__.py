"""Rules of two directions: they need the outputs of both. A new file with a RULE is a new rule."""
