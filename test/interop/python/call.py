"""`call.py CLIENT ORIGIN`: makes the calls of the interop tests with one client, and prints what it got as JSON lines."""

import hashlib
import json
import sys

NAME, ORIGIN = sys.argv[1], sys.argv[2]
BODY = bytes(range(256)) * 800
CALLS = [
    ("GET", "/plain"), ("HEAD", "/plain"), ("GET", "/large"), ("GET", "/stream"), ("GET", "/empty"), ("GET", "/not-modified"),
    ("GET", "/few-cookies"), ("GET", "/redirect"), ("GET", "/broken"), ("GET", "/missing"), ("POST", "/echo"), ("GET", "/plain"),
]


def tell(method, path, status, fields, body):
    names = sorted(name.lower() for name, _ in fields if name.lower() in ("content-type", "etag", "location", "set-cookie", "x-page"))
    print(json.dumps({"call": method + " " + path, "status": status, "fields": names, "bytes": len(body), "sha": hashlib.sha256(body).hexdigest()}))


def http_client():
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    at = urlsplit(ORIGIN)
    connection = HTTPConnection(at.hostname, at.port)
    for method, path in CALLS:
        connection.request(method, path, body=BODY if method == "POST" else None)
        response = connection.getresponse()
        tell(method, path, response.status, response.getheaders(), response.read())


def requests():
    import requests

    with requests.Session() as session:
        for method, path in CALLS:
            response = session.request(method, ORIGIN + path, data=BODY if method == "POST" else None, allow_redirects=False)
            tell(method, path, response.status_code, response.raw.headers.items(), response.content)


def urllib3():
    import urllib3

    with urllib3.PoolManager() as pool:
        for method, path in CALLS:
            response = pool.request(method, ORIGIN + path, body=BODY if method == "POST" else None, redirect=False)
            tell(method, path, response.status, response.headers.items(), response.data)


def httpx(http2=False):
    import httpx

    with httpx.Client(http1=not http2, http2=http2) as client:
        for method, path in CALLS:
            # Without a length: chunked.
            content = iter([BODY[:1000], BODY[1000:]]) if method == "POST" else None
            response = client.request(method, ORIGIN + path, content=content)
            tell(method, path, response.status_code, response.headers.multi_items(), response.content)


def aiohttp():
    import asyncio

    import aiohttp

    async def main():
        async with aiohttp.ClientSession() as session:
            for method, path in CALLS:
                data = BODY if method == "POST" else None
                async with session.request(method, ORIGIN + path, data=data, allow_redirects=False) as response:
                    tell(method, path, response.status, response.headers.items(), await response.read())

    asyncio.run(main())


def websockets():
    import web_sockets

    web_sockets.call(ORIGIN, sys.argv[3] if len(sys.argv) > 3 else "")


{"http.client": http_client, "requests": requests, "urllib3": urllib3, "httpx": httpx, "httpx-http2": lambda: httpx(http2=True), "aiohttp": aiohttp, "websockets": websockets}[NAME]()
