"""A page in a real Chromium, spoken to over its debugging pipe: no driver and no package is needed."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
MISSING = "there is no Chromium: apt-get install chromium"
_KEYS = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, "ArrowUp": 38, "ArrowDown": 40, " ": 32}


class Browser:
    """A Chromium without a window. What is not on this machine it cannot reach."""

    def __init__(self) -> None:
        self._home = tempfile.mkdtemp(prefix="chromium-")
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += ["--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={self._home}"]
        command += [
            "--disable-extensions",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
        ]

        def wire() -> None:  # Chromium reads from 3 and writes to 4
            one, other = os.dup(in_read), os.dup(out_write)
            os.dup2(one, 3)
            os.dup2(other, 4)

        self._process = subprocess.Popen(
            [*command, "about:blank"],
            preexec_fn=wire,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(in_read)
        os.close(out_write)
        self._in, self._out = os.fdopen(in_write, "wb"), os.fdopen(out_read, "rb")
        self._rest, self.numbers = b"", itertools.count(1)

    def send(self, message: dict[str, Any]) -> None:
        self._in.write(json.dumps(message).encode() + b"\0")
        self._in.flush()

    def read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = os.read(self._out.fileno(), 1 << 16)
            assert data, "Chromium has ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        self._in.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(30)
        self._out.close()
        shutil.rmtree(self._home, ignore_errors=True)


class Page:
    """One page of a browser; `with Page(browser, url) as page`.

    Args:
        browser: The browser.
        url: What is opened.
        size: Width and height of the window.
        dark: The user prefers dark pages.
    """

    def __init__(self, browser: Browser, url: str, size: tuple[int, int] = (1200, 760), dark: bool = False) -> None:
        self._browser = browser
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        self._session: str | None = None
        self._target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._ask(f"{domain}.enable")
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._ask("Emulation.setEmulatedMedia", features=scheme)
        self.go(url)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self._session = None
        self._ask("Target.closeTarget", targetId=self._target)

    def go(self, url: str) -> None:
        self._ask("Page.navigate", url=url)
        self.until("document.documentElement.dataset.ready === 'yes'")

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        got = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    def until(self, expression: str, tries: int = 2_400) -> None:
        """Wait until something is true in the page."""
        look = f"(() => {{ try {{ return !!({expression}); }} catch {{ return false; }} }})()"
        for _ in range(tries):
            # while another page is opened the one that was asked may be gone
            with contextlib.suppress(AssertionError):
                if self.js(look):
                    return
            time.sleep(0.025)
        raise AssertionError(f"never true: {expression}; errors of the page: {self.errors}")

    def click(self, selector: str, at: str = "") -> None:
        """Click into the middle of an element, with a real mouse. `at`: text that the element has."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})]"
        pick = f"{found}.find((e) => e.textContent.includes({json.dumps(at)})).getBoundingClientRect()"
        box = self.js(f"(() => {{ const b = {pick}; return [b.x + b.width / 2, b.y + b.height / 2]; }})()")
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def key(self, key: str) -> None:
        """Press a key."""
        text = {} if key in _KEYS and key != " " else {"text": key}
        code = {"windowsVirtualKeyCode": _KEYS[key]} if key in _KEYS else {}
        self._ask("Input.dispatchKeyEvent", type="keyDown", key=key, **text, **code)
        self._ask("Input.dispatchKeyEvent", type="keyUp", key=key, **code)

    def type(self, text: str) -> None:
        self._ask("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"]))

    def _ask(self, method: str, **parameters: Any) -> Any:
        number = self._tell(method, parameters)
        while True:
            got = self._browser.read()
            if got.get("id") == number:
                assert "error" not in got, got
                return got["result"]
            self._note(got)

    def _tell(self, method: str, parameters: dict[str, Any]) -> int:
        number = next(self._browser.numbers)
        session = {"sessionId": self._session} if self._session is not None else {}
        self._browser.send({"id": number, "method": method, "params": parameters, **session})
        return number

    def _note(self, got: dict[str, Any]) -> None:
        name, given = got.get("method"), got.get("params", {})
        if got.get("sessionId") != self._session:
            return
        if name == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif name == "Runtime.exceptionThrown":
            self.errors.append(str(given["exceptionDetails"].get("exception", given["exceptionDetails"])))
        elif name == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.errors.append(given["entry"]["text"])
        elif name == "Page.javascriptDialogOpening":
            self.dialogs.append(given["message"])
            self._tell("Page.handleJavaScriptDialog", {"accept": True})
