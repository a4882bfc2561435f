"""A stand-in for an S3-compatible service, in memory: objects are put, read, listed and deleted by path, as rclone asks for them.
Signatures are not checked, only that there is one of the right key."""

import hashlib
import http.server
import threading
import urllib.parse
from xml.sax.saxutils import escape

KEY = "AKIATEST"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1"}


class Bucket:
    """`objects`: {bucket/key: bytes}; `puts`: how many came."""

    def __init__(self):
        self.objects, self.puts, self.refuse_puts = {}, 0, False
        bucket = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def _answer(self, status, body=b"", **headers):
                self.send_response(status)
                headers.setdefault("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def _key(self):
                if f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
                    self._answer(403)
                    return None
                return urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")

            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                key = self._key()
                if key is None:
                    return
                if bucket.refuse_puts:
                    self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
                    return
                bucket.puts += 1
                bucket.objects[key] = body
                self._answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

            def do_GET(self):
                key, query = self._key(), urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                if key is None:
                    return
                if "/" not in key.rstrip("/") or "prefix" in query:
                    self._list(key.split("/")[0], query.get("prefix", [""])[0], query.get("delimiter", [None])[0])
                elif key in bucket.objects:
                    body = bucket.objects[key]
                    self._answer(200, body, ETag=f'"{hashlib.md5(body).hexdigest()}"', Last_Modified="Tue, 22 Jul 2025 16:16:12 GMT")
                else:
                    self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            do_HEAD = do_GET

            def _list(self, name, prefix, delimiter):
                found = sorted((key.split("/", 1)[1], body) for key, body in bucket.objects.items() if key.startswith(f"{name}/{prefix}"))
                folders = {key[:key.index(delimiter, len(prefix)) + 1] for key, _ in found if delimiter and delimiter in key[len(prefix):]}
                found = [(key, body) for key, body in found if not delimiter or delimiter not in key[len(prefix):]]
                items = "".join(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in sorted(folders))
                items += "".join(f"<Contents><Key>{escape(key)}</Key><Size>{len(body)}</Size><ETag>{hashlib.md5(body).hexdigest()}</ETag>"
                                "<LastModified>2025-07-22T16:16:12.000Z</LastModified></Contents>" for key, body in found)
                self._answer(200, f"<ListBucketResult><Name>{name}</Name><IsTruncated>false</IsTruncated>{items}</ListBucketResult>".encode(),
                             Content_Type="application/xml")

            def do_DELETE(self):
                key = self._key()
                if key is not None:
                    bucket.objects.pop(key, None)
                    self._answer(204)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
