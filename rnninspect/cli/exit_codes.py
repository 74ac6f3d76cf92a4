"""What the process says when it ends, and the variable by which a shell asks for completions."""

UNJUDGED = 2
INTERRUPTED = 130
CLOSED_PIPE = 141  # what a shell reports of a command that a closed pipe ended
COMPLETION_VARIABLE = "_RNNINSPECT_COMPLETE"
