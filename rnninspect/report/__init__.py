"""Findings -> a Report -> text. Renderers see plain values alone."""
