"""A headless Chromium that is driven through chromedriver by the plain WebDriver protocol (W3C), with the standard library only:
pages, scripts, keys, screenshots, what the console said and which requests were made. Each browser has an empty profile and ends
with its suite."""

import base64
import http.client
import json
import os
import re
import shutil
import subprocess
import time

from harness import Failure, Skip, at_end, check, fresh_dir

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--force-device-scale-factor=1", "--hide-scrollbars"]
START_SECONDS = 60
TAB, ENTER, LEFT, RIGHT = "\ue004", "\ue007", "\ue012", "\ue014"


class Browser:
    def __init__(self, width=1280, height=900):
        self.process = None
        self.session = None
        driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
        if driver is None or browser is None:
            raise Skip("chromium and chromedriver are not there (Debian: chromium, chromium-driver)")
        profile = fresh_dir("browser")
        self.log_path = os.path.join(profile, "chromedriver.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([driver, "--port=0"], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            env={**os.environ, "HOME": profile, "TZ": "Europe/Paris"})
        at_end.append(self.close)
        self.port = self._port()
        self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"binary": browser, "args": [*ARGUMENTS, f"--user-data-dir={profile}/profile"]}}}})["sessionId"]
        self.size(width, height)

    def _port(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                text = log.read()
            found = re.search(r"started successfully on port (\d+)", text)
            if found:
                return int(found.group(1))
            check(self.process.poll() is None, f"chromedriver ended: {text[-500:]}")
            time.sleep(0.02)
        raise Failure(f"chromedriver named no port within {START_SECONDS} s")

    def _call(self, method, path, value=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        body = None if value is None else json.dumps(value)
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = json.loads(connection.getresponse().read())["value"]
        connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise Failure(f"{method} {path}: {answer['error']}: {answer.get('message', '')[:600]}")
        return answer

    def call(self, method, path, value=None):
        return self._call(method, f"/session/{self.session}{path}", value)

    def close(self):
        if self.session is not None:
            session, self.session = self.session, None
            self._call("DELETE", f"/session/{session}")
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    # -- what a person does

    def go(self, url):
        self.call("POST", "/url", {"url": url})

    def back(self):
        self.call("POST", "/back", {})

    def keys(self, *keys):
        """Each pressed and let go, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def click(self, selector):
        element = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{next(iter(element.values()))}/click", {})

    def type(self, selector, text):
        element = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{next(iter(element.values()))}/value", {"text": text})

    # -- how it is set up

    def cdp(self, command, parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def size(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def scheme(self, name):
        self.cdp("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]})

    # -- what is seen

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def wait(self, script, seconds=20, what=None):
        """Until the script's value is true; that value."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.run(script)
            if value:
                return value
            if time.monotonic() > deadline:
                raise Failure(f"not within {seconds} s: {what or script}; the page says {self.run('return document.body.innerText')[:1500]!r}")
            time.sleep(0.05)

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def console(self):
        """What was said since the last time, as "LEVEL text"."""
        return [f"{entry['level']} {entry['message']}" for entry in self.call("POST", "/se/log", {"type": "browser"})]

    def requests(self):
        """(address, headers) of all requests since the last time."""
        found = []
        for entry in self.call("POST", "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append((message["params"]["request"]["url"], message["params"]["request"]["headers"]))
        return found
