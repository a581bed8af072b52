"""An S3-compatible service on loopback, as small as tests need it: PUT, GET, HEAD, ListObjectsV2, in memory.

It verifies what the real ones verify: the SigV4 signature over method, path, sorted query and every signed header, with
the secret, as Amazon's own botocore computes it, not as we read the standard; the date; x-amz-content-sha256 against
the body. What is wrong is answered with their XML errors.

    with S3Stub(buckets=["b"], keys={"id": "secret"}) as s3:       cert=(chain, key): over TLS
        s3.url, s3.objects["b/key"] -> Object(data, headers), s3.requests -> [(method, path, status)]
        s3.faults.append((method, substring of the path, "503" | "reset" | "half"))   one each, in order
        s3.ahead = seconds that its clock is ahead of ours; s3.expired = True: no session token is good any more
        s3.stuck = True         every page of a listing is the first
A bucket is found in the path; one of `hosts` in the host, BUCKET.localhost. It does not do multipart, versions or ACLs.
"""
import datetime
import hashlib
import hmac
import http.server
import re
import socket
import ssl
import struct
import threading
import urllib.parse
from collections import namedtuple
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

Object = namedtuple("Object", "data headers")
AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
                           r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$")


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def signature(secret, region, date, method, path, query, headers):
    """SigV4 by botocore, of a request that is taken apart: it does all encoding and sorting itself."""
    auth = S3SigV4Auth(Credentials("any", secret), "s3", region)
    request = AWSRequest(method, f"http://{headers['host']}{urllib.parse.quote(urllib.parse.unquote(path))}", headers,
                         params=dict(urllib.parse.parse_qsl(query, keep_blank_values=True)))
    request.context["timestamp"] = date  # YYYYMMDDTHHMMSSZ
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def verify(self, body):
        """As the service does; the bytes of the canonical request come from the wire, not from a parsed form."""
        stub, headers = self.server.stub, {k.lower(): " ".join(v.split()) for k, v in self.headers.items()}
        match = AUTHORIZATION.match(headers.get("authorization", ""))
        if not match:
            raise Refused(403, "AccessDenied", "Access Denied.")
        identity, day, region, signed, given = match.groups()
        if identity not in stub.keys:
            raise Refused(403, "InvalidAccessKeyId", "The access key id is not known.")
        if region != stub.region:
            raise Refused(400, "AuthorizationHeaderMalformed", f"the region is wrong; expecting '{stub.region}'")
        date, names = headers.get("x-amz-date", ""), signed.split(";")
        when = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ")
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        if abs((now - when).total_seconds() + stub.ahead) > 900 or date[:8] != day:
            raise Refused(403, "RequestTimeTooSkewed", "The difference between the clocks is too large.")
        wanted = {h for h in headers if h.startswith("x-amz-")} | {"host"}
        digest = headers.get("x-amz-content-sha256")
        if digest is None:
            raise Refused(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        path, _, query = self.path.partition("?")
        if query != "&".join(sorted(query.split("&"))) or any("=" not in p for p in query.split("&") if p):
            raise Refused(403, "SignatureDoesNotMatch", "The query is not canonical.")
        if not wanted <= set(names) or names != sorted(names):
            raise Refused(403, "AccessDenied", "There were headers present in the request which were not signed")
        right = signature(stub.keys[identity], region, date, self.command, path, query,
                          {n: headers.get(n, "") for n in names})
        if not hmac.compare_digest(right, given):
            raise Refused(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
        if stub.token is not None and headers.get("x-amz-security-token") != stub.token:
            raise Refused(400, "InvalidToken", "The provided token is malformed.")
        if stub.expired and "x-amz-security-token" in headers:
            raise Refused(400, "ExpiredToken", "The provided token has expired.")
        if digest != "UNSIGNED-PAYLOAD" and digest != hashlib.sha256(body).hexdigest():
            raise Refused(400, "XAmzContentSHA256Mismatch", "The provided header does not match what was computed.")

    def answer(self, status, body=b"", headers=()):
        self.server.stub.requests.append((self.command, self.path, status))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if "Content-Length" not in dict(headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, refused):
        text = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{refused.code}</Code>'
                f"<Message>{escape(refused.message)}</Message><RequestId>1</RequestId></Error>")
        self.answer(refused.status, text.encode(), [("Content-Type", "application/xml")])

    def fault(self):
        """The fault that is due for this request, if there is one."""
        faults = self.server.stub.faults
        for i, (method, path, kind) in enumerate(faults):
            if method == self.command and path in self.path:
                del faults[i]
                return kind
        return None

    def drop(self):
        self.server.stub.requests.append((self.command, self.path, 0))
        self.close_connection = True
        self.connection.setsockopt(*self.server.stub.hard_close)
        self.connection.close()
        self.rfile.close()

    def handle_one(self):
        kind = self.fault()
        length = int(self.headers.get("Content-Length") or 0)
        if kind == "half":
            self.rfile.read(length // 2)
        if kind in ("half", "reset"):
            self.drop()
            return
        body = self.rfile.read(length)
        if kind is not None:
            self.refuse(Refused(int(kind), "SlowDown" if kind == "503" else "InternalError", "Please try again."))
            return
        try:
            self.verify(body)
            self.serve(body)
        except Refused as refused:
            self.refuse(refused)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one

    def serve(self, body):
        stub = self.server.stub
        path, _, query = self.path.partition("?")
        bucket, dot, _ = self.headers.get("Host", "").partition(".")
        path = f"/{bucket}{path}" if dot and bucket in stub.hosts else path
        bucket, _, key = urllib.parse.unquote(path).lstrip("/").partition("/")
        if bucket not in stub.buckets:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist.")
        if self.command == "GET" and not key:
            self.list(bucket, dict(urllib.parse.parse_qsl(query, keep_blank_values=True)))
        elif self.command == "PUT" and key:
            if bucket in stub.read_only:
                raise Refused(403, "AccessDenied", "Access Denied.")
            stub.objects[f"{bucket}/{key}"] = Object(body, {k.lower(): v for k, v in self.headers.items()})
            self.answer(200, b"", [("ETag", f'"{hashlib.md5(body).hexdigest()}"')])
        elif self.command in ("GET", "HEAD") and key:
            found = stub.objects.get(f"{bucket}/{key}")
            if found is None:
                raise Refused(404, "NoSuchKey", "The specified key does not exist.")
            kept = [(k, v) for k, v in found.headers.items() if k.startswith("x-amz-meta-") or k == "content-type"]
            self.answer(200, found.data, [*kept, ("Content-Length", str(len(found.data)))])
        else:
            raise Refused(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")

    def list(self, bucket, query):
        stub, prefix = self.server.stub, query.get("prefix", "")
        if query.get("list-type") != "2":
            raise Refused(400, "InvalidArgument", "Only version 2 of listing is here.")
        keys = sorted(k[len(bucket) + 1:] for k in stub.objects if k.startswith(f"{bucket}/{prefix}"))
        if "continuation-token" in query:
            raise Refused(400, "InvalidArgument", "Nobody was given such a token.")
        keys = [k for k in keys if k > query.get("start-after", "") or stub.stuck]
        page, rest = keys[:stub.page], keys[stub.page:]
        entries = "".join(f"<Contents><Key>{escape(k)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                          f"<Size>{len(stub.objects[f'{bucket}/{k}'].data)}</Size></Contents>" for k in page)
        more = f"<NextContinuationToken>T+/={escape(page[-1])}</NextContinuationToken>" if rest else ""
        text = (f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult><Name>{bucket}</Name>'
                f"<IsTruncated>{str(bool(rest)).lower()}</IsTruncated>{entries}{more}</ListBucketResult>")
        self.answer(200, text.encode(), [("Content-Type", "application/xml")])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client that went away, or one that was dropped on purpose


class S3Stub:
    def __init__(self, buckets, keys, region="us-east-1", page=1000, token=None, cert=None):
        self.buckets, self.keys, self.region, self.page, self.token = set(buckets), keys, region, page, token
        self.read_only, self.stuck = set(), False
        self.ahead, self.expired, self.hosts = 0, False, set()
        self.objects, self.requests, self.faults = {}, [], []
        self.hard_close = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.stub = self
        self.url = f"http{'s' if cert else ''}://127.0.0.1:{self.server.server_address[1]}"
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*cert)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
