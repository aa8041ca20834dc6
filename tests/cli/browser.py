"""A headless browser and one page in it, driven as a user would, over the DevTools protocol's pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.waiting import WAIT_LIMIT

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE = WAIT_LIMIT  # seconds that one answer may take
_FLAGS = (
    "--headless",
    "--no-sandbox",  # as root, in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-pipe",
)
# The browser speaks on its descriptors 3 and 4, whatever the numbers of the pipes' ends are here.
_LAUNCH = """
import fcntl, os, sys
for end, fd in zip([fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]], (3, 4)):
    os.dup2(end, fd)
    os.close(end)
os.execv(sys.argv[3], sys.argv[3:])
"""
_CODES = {" ": 32, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, "Escape": 27}


def browser_command(home: Path) -> list[str]:
    """Return what starts the browser that there is, or skip the test."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip(f"there is no browser: none of {', '.join(_NAMES)} is installed")
    return [found, *_FLAGS, f"--user-data-dir={home}"]


class Page:
    """The one page of a browser of its own. `troubles` are the errors that the page has shown so far."""

    def __init__(self, home: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), *browser_command(home)],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._heard = 0, b""
        self._session: str | None = None
        self.troubles: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._out)  # the browser ends with its pipe
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)

    # --- what a user does -------------------------------------------------------------------------------------

    def open(self, url: str) -> None:
        """Load a page and wait until it has drawn itself."""
        self.call("Page.navigate", url=url)
        self.run("document.readyState === 'complete' || new Promise(done => addEventListener('load', done))")
        self.settle()

    def move(self, x: float, y: float) -> None:
        """Move the pointer."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.settle()

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def click_on(self, selector: str) -> None:
        """Click on an element, in its middle."""
        box = self.run(
            f"(e => {{ e.scrollIntoView({{block: 'nearest'}}); return e.getBoundingClientRect().toJSON(); }})"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        self.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def press(self, key: str, *, shift: bool = False) -> None:
        text = {"text": key} if len(key) == 1 else {}
        common = {
            "key": key,
            "windowsVirtualKeyCode": _CODES.get(key, ord(key[0].upper())),
            "modifiers": 8 if shift else 0,
        }
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)
        self.settle()

    # --- what a user sees -------------------------------------------------------------------------------------

    def text(self, selector: str) -> str:
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def state(self) -> dict[str, str]:
        """The player's data- attributes."""
        found: dict[str, str] = self.run("({...document.body.dataset})")
        return found

    def screen(self, width: int, height: int, *, dark: bool, density: float = 1.0, phone: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=density, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.settle()

    def picture(self, *, whole: bool = False) -> bytes:
        """A PNG of what is on the screen, or of the whole page."""
        self.settle()
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    # --- the protocol -----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Return when what has been asked for is drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))).then(() => null)")

    def run(self, script: str) -> Any:
        """Evaluate an expression in the page, wait for it if it is a promise, and return its value."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def call(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            self._hear(answer)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: Mapping[str, Any] = answer["result"]
                return result
        raise AssertionError("the browser has ended")

    def _hear(self, message: Mapping[str, Any]) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                self.troubles.append(details.get("exception", {}).get("description", details["text"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                self.troubles.append(json.dumps(parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                self.troubles.append(parameters["entry"]["text"])

    def _messages(self) -> Iterator[Mapping[str, Any]]:
        """Yield what the browser says, until it ends. What is not taken is there for the next."""
        while True:
            while b"\0" in self._heard:
                message, self._heard = self._heard.split(b"\0", 1)
                yield json.loads(message)
            assert select.select([self._in], [], [], _PATIENCE)[0], "the browser does not answer"
            if not (more := os.read(self._in, 1 << 20)):
                return
            self._heard += more
