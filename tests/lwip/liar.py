"""A broker that lies: TLS with any certificate, one connection at a time, and bytes by a script.

    with Liar(cert, key, Say(early=..., late=...)) as liar: ... liar.port, liar.hellos; liar.last: kind of the last
    packet
"""
import contextlib
import socket
import ssl
import threading

from mosquitto import packet


class Say:
    """`early` instead of CONNACK; `late` after SUBACK. `piece`: bytes in a TLS record, 0: all in one. `close`: ends the
    connection after that, else it waits for the client to. Applies to the first connection; afterwards it is good, and
    says "fine"."""

    def __init__(self, early=None, late=b"", piece=0, close=False):
        self.early, self.late, self.piece, self.close = early, late, piece, close


def publish(topic, data, kind=0x30):
    return packet(kind, len(topic).to_bytes(2, "big") + topic.encode() + data)


class Liar:
    def __init__(self, cert, key, say=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(str(cert), str(key))
        self.say, self.hellos, self.last = say, 0, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.2)
        self.port = self.listener.getsockname()[1]
        self.stopping = False
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join(20)
        self.listener.close()

    def _serve(self):
        while not self.stopping:
            try:
                raw, _ = self.listener.accept()
            except (TimeoutError, socket.timeout):
                continue
            with contextlib.suppress(OSError), raw:
                raw.settimeout(8)
                self._one(self.context.wrap_socket(raw, server_side=True))

    def _read(self, sock):
        """A packet of a client: (kind, body); None: it has closed."""
        data = b""
        while True:
            if len(data) >= 2:
                head, n = (2, data[1]) if data[1] < 128 else (3, data[1] % 128 + sum(data[2:3]) * 128)
                if len(data) >= head + n:
                    self.last = data[0]
                    return data[0], data[head:head + n]
            more = sock.recv(1)
            if not more:
                return None
            data += more

    @staticmethod
    def _send(sock, data, piece):
        for at in range(0, len(data), piece or len(data) or 1):
            sock.sendall(data[at:at + (piece or len(data))])

    def _one(self, sock):
        say, self.say = self.say, None
        piece = say.piece if say else 0
        hello = self._read(sock)
        if hello is None or hello[0] != 0x10:
            return
        self.hellos += 1
        late = say.late if say else publish("godwit/dev1/notify", b"fine")
        if say and say.early is not None:
            self._send(sock, say.early, piece)
        else:
            self._send(sock, b"\x20\x02\x00\x00", piece)
            kind, body = self._read(sock)
            if kind == 0x82:
                self._send(sock, b"\x90\x03" + body[:2] + b"\x00" + late, piece)
        if say and say.close:
            sock.unwrap()
            return
        while self._read(sock) is not None:
            pass
