"""A Trace -> facts: which step each final state equals, what padding holds, where two runs differ. Names no cause."""
