"""The worked examples: the packaged files, and correct runs in which rules inject their mistakes."""
