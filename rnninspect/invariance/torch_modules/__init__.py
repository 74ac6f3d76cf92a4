"""What runs torch's modules and watches them: this imports torch, `frameworks.torch` does not."""
