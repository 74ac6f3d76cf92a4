"""What several rules work out together: searches over weights, fits, single steps. Names no finding of its own."""
