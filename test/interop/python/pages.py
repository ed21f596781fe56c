"""The pages that every server of the interop tests serves: as WSGI, as ASGI, and as plain data."""

import hashlib

LARGE = b"".join(hashlib.sha256(bytes([i % 256])).digest() for i in range(9600))
PARTS = [b"part %d\n" % i * 50 for i in range(5)]
TEXT = [("Content-Type", "text/plain"), ("X-Page", "plain")]


def page(method, path):
    """Status, header fields and body of a page; a body of None is streamed in PARTS, without a length."""
    if path == "/plain":
        return 200, TEXT, b"hello"
    if path == "/large":
        return 200, TEXT, LARGE
    if path == "/stream":
        return 200, TEXT, None
    if path == "/empty":
        return 204, [("X-Page", "empty")], b""
    if path == "/not-modified":
        return 304, [("ETag", '"1"')], b""
    if path in ("/cookies", "/few-cookies"):
        return 200, TEXT + [("Set-Cookie", "c%d=v" % i) for i in range(90)], b"cookies"
    if path == "/redirect":
        return 302, [("Location", "/plain"), ("Content-Type", "text/plain")], b"over there"
    if path == "/broken":
        return 500, TEXT, b"broken"
    return 404, TEXT, b"nothing here"


REFUSED = (413, [("Content-Type", "text/plain")], b"too large")
REASONS = {200: "OK", 204: "No Content", 302: "Found", 304: "Not Modified", 404: "Not Found", 413: "Content Too Large", 500: "Internal Server Error"}


def with_length(fields, body, status):
    if status in (204, 304):
        return list(fields)
    return fields + [("Content-Length", str(len(body)))]


def wsgi(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if method == "POST" and path == "/echo":
        length = environ.get("CONTENT_LENGTH")
        stream = environ["wsgi.input"]
        body = stream.read(int(length)) if length else stream.read()
        status, fields = 200, TEXT
    elif method == "POST" and path == "/refuse":
        # Not read on purpose.
        status, fields, body = REFUSED
    else:
        status, fields, body = page(method, path)
    line = "%d %s" % (status, REASONS[status])
    if body is None:
        # A copy: wsgiref adds its own fields to the list.
        start_response(line, list(fields))
        return iter([] if method == "HEAD" else PARTS)
    start_response(line, with_length(fields, body, status))
    return [b"" if method == "HEAD" else body]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    method, path = scope["method"], scope["path"]
    if method == "POST" and path == "/echo":
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, fields = 200, TEXT
    elif method == "POST" and path == "/refuse":
        status, fields, body = REFUSED
    else:
        status, fields, body = page(method, path)
    if body is not None:
        fields = with_length(fields, body, status)
    headers = [(name.lower().encode(), value.encode()) for name, value in fields]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if body is None:
        for part in [] if method == "HEAD" else PARTS:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
