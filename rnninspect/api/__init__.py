"""The verbs: run, inspect, compare, convert. What the commands call, and what a program calls; nothing here prints."""
