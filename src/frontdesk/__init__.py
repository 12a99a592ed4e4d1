"""The OpenAI API, made safe to call from a browser or a phone."""

__version__ = "0.1.0"
