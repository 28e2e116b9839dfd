"""One HTTP/2 request over a connection that negotiated h2."""

import ssl

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

from verification.answers import Answer

_STREAM = 1
_PART = 1 << 16


def request(connection: ssl.SSLSocket, method: str, path: str, authority: str) -> Answer:
    """Send a request and return the answer; raise ConnectionError if there is none."""
    state = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    state.initiate_connection()
    pseudo = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
    state.send_headers(_STREAM, pseudo, end_stream=True)
    headers: dict[str, str] = {}
    body = b""
    while True:
        connection.sendall(state.data_to_send())
        received = connection.recv(_PART)
        if not received:
            raise ConnectionError("closed without an answer to HTTP/2")
        try:
            events = state.receive_data(received)
        except ProtocolError as error:
            raise ConnectionError(f"no HTTP/2: {error}") from None
        for event in events:
            match event:
                case ResponseReceived():
                    headers = {str(name): str(value) for name, value in event.headers or ()}
                case DataReceived():
                    body += event.data or b""
                    state.acknowledge_received_data(event.flow_controlled_length or 0, _STREAM)
                case StreamReset() | ConnectionTerminated():
                    raise ConnectionError(f"HTTP/2 ended by {type(event).__name__}, error {event.error_code}")
                case StreamEnded():
                    return Answer(int(headers.pop(":status")), headers, body.decode(errors="replace"))
        if len(body) >= _PART:  # a user's service may send a long or endless body
            return Answer(int(headers.pop(":status")), headers, body.decode(errors="replace"))
