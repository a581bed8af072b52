"""The faults of server.py: one function each. It gets the connection and the answer that would be sent, sends what it
likes, and returns False when the connection is to be closed properly afterwards.

Options that faults take (`server.set(name, option=...)`): seconds, after (bytes of the body before it strikes; half
of it if not given), to (target of a redirect: a base URL, "self"), size. `only`: a pattern that the path must have.
"""
import gzip

CHUNK = 1000
LONG = 20  # seconds that a stalled connection is kept at most


def half(answer, after):
    return len(answer.body) // 2 if after is None else min(after, len(answer.body))


def fault_delay(conn, answer, seconds=0.3, **_):
    """Says nothing for a while."""
    conn.sleep(seconds)
    conn.send_answer(answer)


def fault_silent(conn, answer, seconds=LONG, **_):
    """No answer at all, the connection stays open."""
    conn.until_closed(seconds)
    return False


def fault_stall(conn, answer, seconds=LONG, after=None, **_):
    """Part of the body, then nothing more; the connection stays open."""
    conn.send(answer.head() + answer.body[:half(answer, after)])
    conn.until_closed(seconds)
    return False


def fault_reset(conn, answer, after=None, **_):
    """Part of the body, then RST."""
    conn.send(answer.head() + answer.body[:half(answer, after)])
    conn.sleep(0.05)  # an RST overtakes what was not read yet
    conn.hang_up(reset=True)


def fault_truncate(conn, answer, after=None, **_):
    """Part of the body, then a proper end of TLS and TCP."""
    conn.send(answer.head() + answer.body[:half(answer, after)])
    return False


def fault_corrupt(conn, answer, after=None, **_):
    """One bit of the body is another."""
    at = min(half(answer, after), len(answer.body) - 1)
    answer.body = answer.body[:at] + bytes([answer.body[at] ^ 0x10]) + answer.body[at + 1:] if answer.body else b""
    conn.send_answer(answer)


def fault_duplicate(conn, answer, size=64, **_):
    """A piece of the body comes twice; the length is the one of the right body."""
    at = len(answer.body) // 2
    answer.body = answer.body[:at] + answer.body[max(0, at - size):]
    conn.send_answer(answer)


def fault_whole(conn, answer, **_):
    """200 and all of the file, whatever range was asked for."""
    answer.status, answer.body = 200, answer.file
    answer.headers.pop("Content-Range", None)
    answer.headers["Content-Length"] = str(len(answer.body))
    conn.send_answer(answer)


def content_range(answer, first=0, count=0, size=0):
    """Content-Range with some number off by so much."""
    last = answer.first + len(answer.body) - 1
    answer.headers["Content-Range"] = f"bytes {answer.first + first}-{last + first + count}/{len(answer.file) + size}"


def fault_wrong_range(conn, answer, **_):
    """The right number of bytes, said to be from elsewhere."""
    content_range(answer, first=1)
    conn.send_answer(answer)


def fault_wrong_size(conn, answer, **_):
    """The right range of a larger file."""
    content_range(answer, size=1)
    conn.send_answer(answer)


def fault_no_range(conn, answer, **_):
    """206 without Content-Range."""
    answer.headers.pop("Content-Range", None)
    conn.send_answer(answer)


def resize(answer, count):
    answer.body = (answer.file[answer.first:] + bytes(count))[:count]
    answer.headers["Content-Length"] = str(count)


def fault_short_range(conn, answer, **_):
    """Half of what was asked for, and says so: this is allowed."""
    resize(answer, max(1, len(answer.body) // 2))
    content_range(answer)
    conn.send_answer(answer)


def fault_more_range(conn, answer, size=100, **_):
    """More than was asked for, and says so."""
    content_range(answer, count=size)
    resize(answer, len(answer.body) + size)
    conn.send_answer(answer)


def fault_long_range(conn, answer, size=100, **_):
    """The range that was asked for, in a body that is longer."""
    content_range(answer)
    resize(answer, len(answer.body) + size)
    conn.send_answer(answer)


def fault_less_range(conn, answer, **_):
    """The range that was asked for, in a body that is shorter, and says so."""
    content_range(answer)
    resize(answer, len(answer.body) // 2)
    conn.send_answer(answer)


def fault_no_length(conn, answer, **_):
    """No Content-Length: the end of the connection is the end of the body."""
    answer.headers.pop("Content-Length", None)
    answer.headers["Connection"] = "close"
    conn.send_answer(answer)
    return False


def fault_early_end(conn, answer, after=None, **_):
    """No Content-Length, and the connection ends in the middle, properly."""
    answer.headers.pop("Content-Length", None)
    conn.send(answer.head() + answer.body[:half(answer, after)])
    return False


def fault_two_lengths(conn, answer, **_):
    """Two lengths that differ."""
    conn.send(answer.head()[:-2] + b"Content-Length: 1\r\n\r\n" + answer.body)
    return False


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def send_chunked(conn, answer):
    answer.headers.pop("Content-Length", None)
    answer.headers["Transfer-Encoding"] = "chunked"
    conn.send(answer.head())
    for at in range(0, len(answer.body), CHUNK):
        conn.send(chunk(answer.body[at:at + CHUNK]))


def fault_chunked(conn, answer, **_):
    """Chunked: this is allowed."""
    send_chunked(conn, answer)
    conn.send(b"0\r\nX-Trailer: 1\r\n\r\n")


def fault_bad_chunk(conn, answer, **_):
    """A chunk whose length is no number."""
    send_chunked(conn, answer)
    conn.send(b"zz\r\n\r\n")
    return False


def fault_endless(conn, answer, size=64 << 20, **_):
    """Chunked, and never ends."""
    send_chunked(conn, answer)
    for _ in range(size // 16000):
        conn.send(chunk(bytes(16000)))
    return False


def fault_endless_plain(conn, answer, size=64 << 20, **_):
    """No length, and never ends."""
    answer.headers.pop("Content-Length", None)
    conn.send_answer(answer)
    for _ in range(size // 16000):
        conn.send(bytes(16000))
    return False


def fault_drip(conn, answer, seconds=0.5, size=8, **_):
    """A few bytes at a time for a while, then the rest."""
    data, pause = answer.head() + answer.body, 0.02
    steps = min(int(seconds / pause), len(data) // size)
    for step in range(steps):
        conn.send(data[step * size:(step + 1) * size])
        conn.sleep(pause)
    conn.send(data[steps * size:])


def fault_redirect(conn, answer, path="", url="", to="self", status=302, query="", **_):
    """Elsewhere: `to` is a base URL that the path is added to, "self", or "path" for a Location without a host."""
    base = {"self": url, "path": ""}.get(to, to)
    answer.status, answer.body = status, b"<html>moved</html>\n"
    answer.headers = {"Location": base + path + query, "Content-Length": str(len(answer.body))}
    conn.send_answer(answer)


def fault_garbage(conn, answer, **_):
    """Bytes that are not HTTP."""
    conn.send(b"SSH-2.0-nothing\r\n" + bytes(range(256)) * 4)
    return False


def fault_header_flood(conn, answer, size=1 << 20, **_):
    """Headers without end."""
    conn.send(answer.head()[:-2])
    for number in range(size // 40):
        conn.send(b"X-Flood-%08d: aaaaaaaaaaaaaaaaaa\r\n" % number)
    return False


def fault_etag_change(conn, answer, **_):
    """Another entity tag."""
    answer.headers["ETag"] = '"other"'
    conn.send_answer(answer)


def fault_etag_gone(conn, answer, **_):
    """No entity tag, where there was one."""
    answer.headers.pop("ETag", None)
    conn.send_answer(answer)


def fault_gzip(conn, answer, **_):
    """A content coding that nobody asked for."""
    answer.body = gzip.compress(answer.body)
    answer.headers["Content-Encoding"] = "gzip"
    answer.headers["Content-Length"] = str(len(answer.body))
    conn.send_answer(answer)


def fault_interim(conn, answer, **_):
    """1xx before the answer: this is allowed."""
    conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    conn.send_answer(answer)


def fault_close(conn, answer, **_):
    """The right answer; then the connection ends, though nothing said so."""
    conn.send_answer(answer)
    return False


def fault_tls_reset(conn, answer, **_):
    """RST in the handshake. Counts connections, not requests; server.py does it."""


def status_fault(status):
    def strike(conn, answer, **_):
        body = b"" if status in (204, 304) else b"no\n"
        answer.status, answer.body = status, body
        answer.headers.pop("Content-Range", None)
        answer.headers.pop("Content-Length", None)
        if body:
            answer.headers["Content-Length"] = str(len(body))
        conn.send_answer(answer)
    return strike


FAULTS = {name[len("fault_"):]: function for name, function in sorted(globals().items()) if name.startswith("fault_")}
FAULTS.update({str(status): status_fault(status) for status in (201, 204, 304, 400, 403, 404, 408, 416, 429, 500, 503)})


def names():
    return list(FAULTS)


def find(name):
    if name not in FAULTS:
        raise ValueError(f"there is no fault {name}; there are: " + ", ".join(FAULTS))
    return FAULTS[name]
