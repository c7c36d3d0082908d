"""aiohttp alone, as low as it goes: aiohttp_server.py PORT answers every request with the same JSON."""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

BODY = b'{"name":"cardd","version":"0.0.0","api":"v1","state":"ready","bare":"aiohttp"}'


async def _answer(_: web.BaseRequest) -> web.Response:
    return web.Response(body=BODY, headers={"Content-Type": "application/json"})


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(web.Server(_answer, access_log=None), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
