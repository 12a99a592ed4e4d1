"""What a client asks: a chat request as raw bytes. No two have the same number."""

from __future__ import annotations

from bench.script import Script


def question(script: Script, number: int, token: str, *, is_streaming: bool) -> bytes:
    """Return the bytes of a request, headers as OpenAI's Python client sends them."""
    body = (
        b'{"model":"%b","messages":[{"role":"system","content":"You are brief."},'
        b'{"role":"user","content":"Question number %d: what is a desk bell for?"}],"temperature":0.5%b}'
        % (script.model.encode(), number, _STREAMING if is_streaming else b"")
    )
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer %b\r\n"
        b"content-type: application/json\r\naccept: application/json\r\nuser-agent: OpenAI/Python\r\n"
        b"x-stainless-lang: python\r\ncontent-length: %d\r\n\r\n%b" % (token.encode(), len(body), body)
    )


_STREAMING = b',"stream":true,"stream_options":{"include_usage":true}'
