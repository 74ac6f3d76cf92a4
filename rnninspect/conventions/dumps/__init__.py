"""Named arrays -> roles, axes, readings, a Batch; and a Trace -> named arrays. Knows no single framework."""
