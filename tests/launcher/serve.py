#!/usr/bin/env python3
"""serve.py FOLDER PORT_FILE: a web server with faults, for the tests of downloads.

The first part of a path chooses how FOLDER/<last part> is served:
  good      with ranges        norange  always whole
  cut       half of what was asked for, then the connection is closed
  wrong     other bytes of the same length
  endless   zeros without a length, for ever
  stall     half of it, then silence
  slow      16 bytes, then a byte every 10 ms
  moved     a redirect to /good
  fail      status 500
Everything else is not found. LOG is FOLDER/requests: one line "path range" a request.
"""
import http.server
import os
import re
import sys
import time

folder, port_file = sys.argv[1:3]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        way, _, name = self.path.strip("/").partition("/")
        wanted = self.headers.get("Range", "-")
        with open(os.path.join(folder, "requests"), "a") as log:
            log.write(f"{self.path} {wanted}\n")
        path = os.path.join(folder, os.path.basename(name))
        if way == "moved":
            self.send_response(302)
            self.send_header("Location", f"/good/{name}")
            self.end_headers()
            return
        if way == "fail":
            return self.send_error(500)
        known = ("good", "norange", "cut", "wrong", "endless", "stall", "slow")
        if way not in known or not os.path.isfile(path):
            return self.send_error(404)
        with open(path, "rb") as file:
            body = file.read()
        if way == "wrong":
            body = bytes(b ^ 0x55 for b in body)
        size = len(body)
        begin = 0
        match = re.fullmatch(r"bytes=(\d+)-", wanted)
        if match and way != "norange":
            begin = int(match[1])
            if begin >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        else:
            self.send_response(200)
        body = body[begin:]
        if way != "endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if way == "endless":
            while True:
                self.wfile.write(bytes(1 << 16))
        elif way in ("cut", "stall"):
            self.wfile.write(body[: (len(body) + 1) // 2])
            self.wfile.flush()
            if way == "stall":
                time.sleep(600)
        elif way == "slow":
            self.wfile.write(body[:16])
            for byte in body[16:]:
                self.wfile.flush()
                time.sleep(0.01)
                self.wfile.write(bytes([byte]))
        else:
            self.wfile.write(body)

    def handle(self):
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Handler)
with open(port_file + ".tmp", "w") as file:
    file.write(str(server.server_port))
os.rename(port_file + ".tmp", port_file)
server.serve_forever()
