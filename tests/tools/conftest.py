"""What makes the recordings needs frameworks that the tests do not: it is run by hand."""

collect_ignore = ["make_recorded.py", "make_flax_file.py", "make_keras_files.py", "make_stacks.py"]
collect_ignore += ["make_documentation.py", "documentation"]
