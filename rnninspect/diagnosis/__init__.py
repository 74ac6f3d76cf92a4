"""Facts -> findings: the smallest set of rules that explains what was measured."""
