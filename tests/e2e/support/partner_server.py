"""A partner's server, outside the meshes: answers whoever has a certificate of its client CA with that one's names.

Arguments: address, port, certificate, key, client CA (paths of PEM files).
"""

import http.server
import ssl
import sys
from typing import Any


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every GET with the URI names of the client's certificate."""

    def do_GET(self) -> None:
        connection = self.connection
        assert isinstance(connection, ssl.SSLSocket)
        names: Any = (connection.getpeercert() or {}).get("subjectAltName", ())
        body = " ".join(f"{kind}:{value}" for kind, value in names).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until killed."""
    address, port, certificate, key, authority = sys.argv[1:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
