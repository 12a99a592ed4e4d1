"""The line: what carries one request from the caller to a model and back."""
