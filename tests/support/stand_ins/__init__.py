"""Small stand-ins, on numpy, of frameworks that are not installed: the names that their fixes call, and no more."""
