"""`make.py` needs frameworks that the tests do not: it is run by hand."""

collect_ignore = ["make.py"]
