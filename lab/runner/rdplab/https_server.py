"""An ordinary web server with TLS, for captures of what is no gateway: pages, uploads, and answers that never seem to end.

    https_server.py --cert C --key K [--tls 1.2|1.3]

GET /page/SIZE is a page of so many bytes; GET /events/COUNT a stream of COUNT short messages in chunks, as pages that follow
something get it; PUT and POST take what comes, in chunks or not.
"""
import argparse
import http.server
import ssl
import time


class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        kind, _, count = self.path.strip("/").partition("/")
        if kind == "events":
            self._events(int(count))
            return
        body = b"a" * int(count or 100)
        self._answer(body)

    def do_POST(self):
        size = self._taken()
        self._answer(f"{size} bytes".encode())

    do_PUT = do_POST

    def _taken(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        total = 0
        while size := int(self.rfile.readline(), 16):
            total += len(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return total

    def _answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _events(self, count):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(count):
            message = f"data: {'x' * (number % 24)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(message), message))
            time.sleep(0.03)
        self.wfile.write(b"0\r\n\r\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--tls", choices=("1.2", "1.3"), default="1.3")
    options = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    context.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[options.tls]
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 443), Pages)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
