"""`serve.py SERVER HOST PORT`: serves pages.py with one of many servers until it is ended."""

import os
import sys

import pages
import web_sockets

NAME, HOST, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
HERE = os.path.dirname(os.path.abspath(__file__))


def run(*words):
    os.chdir(HERE)
    program = os.path.join(os.path.dirname(sys.executable), words[0])
    os.execv(program, [program, *words[1:]])


def stdlib():
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            if self.path == "/refuse" and self.command == "POST":
                status, fields, body = pages.REFUSED
                self.close_connection = True
            elif self.path == "/echo" and self.command == "POST":
                length = self.headers.get("Content-Length")
                status, fields, body = 200, pages.TEXT, self.rfile.read(int(length)) if length else self.chunks()
            else:
                status, fields, body = pages.page(self.command, self.path)
            self.send_response(status)
            for name, value in fields:
                self.send_header(name, value)
            if body is None:
                self.send_header("Transfer-Encoding", "chunked")
            elif status not in (204, 304):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if body is not None:
                self.wfile.write(body)
                return
            for part in pages.PARTS:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")

        def chunks(self):
            body = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return body

        do_GET = do_POST = do_HEAD = answer

        def log_message(self, *args):
            pass

    ThreadingHTTPServer((HOST, PORT), Handler).serve_forever()


def wsgiref():
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args):
            pass

    make_server(HOST, PORT, pages.wsgi, handler_class=Quiet).serve_forever()


def waitress():
    from waitress import serve

    serve(pages.wsgi, host=HOST, port=PORT, threads=8, _quiet=True)


def cheroot():
    from cheroot.wsgi import Server

    Server((HOST, PORT), pages.wsgi, numthreads=8).start()


def werkzeug():
    import logging

    from werkzeug.serving import WSGIRequestHandler, run_simple

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    run_simple(HOST, PORT, pages.wsgi, threaded=True)


def tornado():
    import asyncio

    from tornado.web import Application, RequestHandler

    class Handler(RequestHandler):
        def compute_etag(self):
            return None

        async def answer(self):
            if self.request.path == "/refuse" and self.request.method == "POST":
                status, fields, body = pages.REFUSED
            elif self.request.path == "/echo" and self.request.method == "POST":
                status, fields, body = 200, pages.TEXT, self.request.body
            else:
                status, fields, body = pages.page(self.request.method, self.request.path)
            self.set_status(status)
            self.clear_header("Content-Type")
            for name, value in fields:
                self.add_header(name, value)
            if body is None:
                for part in pages.PARTS:
                    self.write(part)
                    await self.flush()
            elif body and self.request.method != "HEAD":
                self.write(body)

        get = post = head = answer

    async def main():
        Application([(r"/.*", Handler)]).listen(PORT, HOST)
        await asyncio.Event().wait()

    asyncio.run(main())


def aiohttp():
    from aiohttp import web

    async def answer(request):
        if request.path == "/refuse" and request.method == "POST":
            status, fields, body = pages.REFUSED
        elif request.path == "/echo" and request.method == "POST":
            status, fields, body = 200, pages.TEXT, await request.read()
        else:
            status, fields, body = pages.page(request.method, request.path)
        if body is not None:
            return web.Response(status=status, headers=fields, body=body)
        response = web.StreamResponse(status=status, headers=fields)
        response.enable_chunked_encoding()
        await response.prepare(request)
        if request.method != "HEAD":
            for part in pages.PARTS:
                await response.write(part)
        await response.write_eof()
        return response

    app = web.Application(client_max_size=10_000_000)
    app.router.add_route("*", "/{rest:.*}", answer)
    web.run_app(app, host=HOST, port=PORT, print=None, access_log=None)


BIND = "%s:%d" % (HOST, PORT)
SERVERS = {
    "stdlib": stdlib,
    "wsgiref": wsgiref,
    "waitress": waitress,
    "cheroot": cheroot,
    "werkzeug": werkzeug,
    "tornado": tornado,
    "aiohttp": aiohttp,
    "gunicorn-sync": lambda: run("gunicorn", "-b", BIND, "-w", "2", "--log-level", "critical", "pages:wsgi"),
    "gunicorn-gthread": lambda: run("gunicorn", "-b", BIND, "-k", "gthread", "--threads", "4", "--log-level", "critical", "pages:wsgi"),
    "uvicorn-h11": lambda: run("uvicorn", "--host", HOST, "--port", str(PORT), "--http", "h11", "--log-level", "critical", "pages:asgi"),
    "uvicorn-httptools": lambda: run("uvicorn", "--host", HOST, "--port", str(PORT), "--http", "httptools", "--log-level", "critical", "pages:asgi"),
    "hypercorn": lambda: run("hypercorn", "-b", BIND, "--log-level", "critical", "pages:asgi"),
    "websockets": lambda: web_sockets.serve(HOST, PORT),
    "daphne": lambda: run("daphne", "-b", HOST, "-p", str(PORT), "-v", "0", "pages:asgi"),
    "granian": lambda: run("granian", "--interface", "asgi", "--host", HOST, "--port", str(PORT), "--no-log", "pages:asgi"),
}

SERVERS[NAME]()
