"""GET /openapi.json against the server that it describes: schemathesis makes requests from the document, good and bad, and holds every
answer against it."""

import json
import os
import re
import shutil
import subprocess

from harness import ADMIN_KEY, Server, Skip, Suite, check, equal, fresh_dir

suite = Suite("openapi", "the OpenAPI document is true: generated requests and their answers, checked by schemathesis")

# Not positive_data_acceptance: a schema cannot say that `since` stands before `until`, or what a url is. Not ignored_auth: this
# server asks nobody for a key; the suite doors has those that do.
CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,"
          "negative_data_rejection,unsupported_method,allow_header_conformance")
SETTINGS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "openapi")
SEED = os.environ.get("OPENAPI_SEED", "1033046933")  # the short form makes the same requests each time; other seeds search on
EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "30"))


def _tool():
    tool = os.environ.get("SCHEMATHESIS", "")
    if not os.access(tool, os.X_OK):
        raise Skip("schemathesis is not there (SCHEMATHESIS names none)")
    return tool


@suite.case("the document is served, and is what clients get with any spelling of the path")
def _(t):
    reply = t.server.get("/openapi.json").expect(200)
    equal(reply.json()["openapi"], "3.1.0", "openapi")
    equal(t.server.get("/openapi.json/").expect(200).body, reply.body, "the document")


@suite.case("every example of the document is accepted as it stands")
def _(t):
    document = t.server.get("/openapi.json").expect(200).json()
    tried = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "post":
                continue
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                for name, example in content.get("examples", {}).items():
                    value = example["value"]
                    body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
                    reply = t.server.admin("POST", path, body, {"Content-Type": kind})
                    check(str(reply.status) in operation["responses"], f"{path} {name}: {reply}")
                    check(reply.status < 300, f"the example {name} of {path} is refused: {reply}")
                    tried += 1
    check(tried >= 9, f"only {tried} examples")


@suite.case("generated requests, good and bad: every answer is one that the document names, in its shape")
def _(t):
    tool = _tool()
    # A position or an offset that nobody reached is waited for: not for long here.
    server = Server(flags={"http.max_connections": "1000", "analytics.timeout_ms": "200"}).start()
    made = server.admin("POST", "/api/v1/ads", {"title": "T", "url": "http://example.com/"}).expect(201).json()["id"]
    # The tool keeps what it found where it runs; a run starts without what earlier ones left.
    directory = shutil.copytree(SETTINGS, os.path.join(fresh_dir("openapi"), "run"))
    run = subprocess.run(
        [tool, "--config-file", "schemathesis.toml", "run", f"http://127.0.0.1:{server.port}/openapi.json", "--checks", CHECKS,
         "--max-examples", str(EXAMPLES), "--seed", SEED, "--phases", "examples,coverage,fuzzing", "--workers", "1", "--header", f"Authorization: Bearer {ADMIN_KEY}", "--max-redirects", "0",
         "--continue-on-failure", "--no-color", "--generation-database", "none"],
        cwd=directory, capture_output=True, text=True, timeout=600, check=False)
    check(server.alive(), "the server ended")
    server.get(f"/api/v1/ads/{made}")
    tail = run.stdout[-6000:]
    check(run.returncode == 0, f"schemathesis found something:\n{tail}\n{run.stderr[-500:]}")
    cases = re.findall(r"([\d,]+) generated", run.stdout)
    t.note(f"{cases[-1] if cases else '?'} requests")
    equal(server.stop(), 0, "exit code")
