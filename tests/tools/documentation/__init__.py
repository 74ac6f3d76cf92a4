"""The documentation's recurrent examples, a module a framework: each runs them as they are written there."""
