"""Many dumps, or one large one, over several processes or a cluster."""
