"""An HTTP proxy that lies, by the event's id and, if so wanted, its ad: some events it answers 202 and keeps to itself, some it sends on twice, the second time
under another event_id, some people's clicks it makes a crawler's, and some events it makes up; what it did is in its sets. As many questions as `lags` says it
answers as a server that is far behind does."""

import http.client
import http.server
import json
import threading
import zlib

ONE_IN = 4
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


class Liar:
    def __init__(self, host, port, by_ad):
        """`by_ad`: of one ad all lies are of one kind, so that none makes up for another."""
        self.kept, self.twice, self.turned, self.made_up = set(), set(), set(), set()
        self._by_ad, self.lags = by_ad, 0
        self._lock, self._upstream, self._local = threading.Lock(), (host, port), threading.local()
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _pass(self, method):
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                status, answer = liar.lie(self.path, body) if method == "POST" else liar.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_POST(self):
                self._pass("POST")

            def do_GET(self):
                self._pass("GET")

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def ask(self, method, path, body):
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(*self._upstream, timeout=30)
        self._local.connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = self._local.connection.getresponse()
        return answer.status, answer.read()

    def answer(self, path):
        status, text = self.ask("GET", path, None)
        if self.lags:
            self.lags -= 1
            text = json.dumps({**json.loads(text), "data": [], "is_real_time": False, "lag_ms": 5000}).encode()
        return status, text

    def lie(self, path, body):
        event = json.loads(body)
        name, number = (event["type"], event["event_id"]), zlib.crc32(event["event_id"].encode())
        kind = None if number % ONE_IN else event["ad_id"] % 4 if self._by_ad else number // ONE_IN % 4
        if kind == 0:
            self._note(self.kept, name)
            return 202, json.dumps({"status": "accepted", "event_id": event["event_id"], "position": None, "durability": "log"}).encode()
        if kind == 1:
            self._note(self.twice, name)
            self.ask("POST", path, json.dumps({**event, "event_id": "again-" + event["event_id"]}).encode())
        elif kind == 2 and path.endswith("/click") and "Mozilla" in event["agent"] and "compatible" not in event["agent"]:
            self._note(self.turned, name)
            body = json.dumps({**event, "agent": CRAWLER}).encode()
        elif kind == 3:
            self._note(self.made_up, name)
            self.ask("POST", path, json.dumps({**event, "event_id": "new-" + event["event_id"], "timestamp": event["timestamp"] - 40 * 86_400}).encode())
        return self.ask("POST", path, body)

    def _note(self, names, name):
        with self._lock:
            names.add(name)
