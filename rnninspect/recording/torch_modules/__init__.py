"""What records the calls of torch's recurrent modules: this imports torch, `recording.torch` does not."""
