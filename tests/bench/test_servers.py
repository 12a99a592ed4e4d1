"""The benchmark's servers start and answer as it expects."""

from __future__ import annotations

import pytest

from bench.__main__ import servers
from bench.load import Load, send


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_both_servers_give_whole_answers(is_streaming: bool) -> None:
    with servers() as (frontdesk, passthrough, token):
        for server in (frontdesk, passthrough):
            await send(Load(server.port, token, is_streaming, requests=8, at_once=4))
            assert server.memory_mb() > 10
