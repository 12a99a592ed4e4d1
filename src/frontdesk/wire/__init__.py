"""The callers' side of the wire: bytes become requests, events become bytes, in OpenAI's shapes."""
