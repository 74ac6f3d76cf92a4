"""Weights and a Batch -> a Trace: the only place that computes cells. Imports torch."""
