"""A headless Chromium, driven over a pipe in its DevTools protocol: no driver, no port, no network."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-extensions",
)
FLAGS += ("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe", "--mute-audio")


def find() -> str | None:
    """The browser's path, or None where none is installed."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One browser with one page. Used as a context: it ends its process and removes its profile."""

    def __init__(self, path: str) -> None:
        self.profile = tempfile.mkdtemp(prefix="rnninspect-browser-")
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()

        def as_three_and_four() -> None:  # where --remote-debugging-pipe reads and writes
            high = [os.dup(fd) for fd in (to_browser, from_browser)]
            high = [fd if fd > 4 else os.dup(fd) for fd in high]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._process = subprocess.Popen(
            [path, *FLAGS, f"--user-data-dir={self.profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),
            preexec_fn=as_three_and_four,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer, self._count, self._session = b"", 0, ""
        self.events: deque[dict[str, Any]] = deque()
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._session = ""
        with contextlib.suppress(EOFError, OSError):
            self.send("Browser.close")
        os.close(self._write)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """A command's result; events that arrive before it are kept in `events`. AssertionError on a refusal."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") != self._count:
                self.events.append(answer)
                continue
            assert "error" not in answer, (method, answer["error"])
            result: dict[str, Any] = answer["result"]
            return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 16)
            if not part:
                raise EOFError("the browser ended")
            self._buffer += part
        line, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def open(self, path: Path, size: tuple[int, int] = (1200, 900), anchor: str = "") -> None:
        """Loads a file and waits for its script's last line, and for what it then draws."""
        self.events.clear()
        self.send(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False
        )
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=path.as_uri() + anchor)
        waiting = "new Promise(done => {const look = () => document.documentElement?.dataset.ready"
        self.run(f"{waiting} ? done(1) : setTimeout(look, 5); look()}})")
        self.settle()

    def settle(self) -> None:
        """Until two frames have been drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited. AssertionError where it throws."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def mouse(self, x: float, y: float, click: bool = False) -> None:
        """Moves the mouse there, and clicks where asked."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def press(self, *keys: str, modifiers: int = 0) -> None:
        """Presses keys by their names (`ArrowDown`, `Enter`, `Tab`); modifiers: 2 is Ctrl, 8 is Shift."""
        codes = {"Enter": ("\r", 13), " ": (" ", 32), "Tab": ("", 9), "Escape": ("", 27)}
        for key in keys:
            text, code = codes.get(key, ("", 0))
            event: dict[str, Any] = {"key": key, "code": key, "modifiers": modifiers}
            event |= {"windowsVirtualKeyCode": code} if code else {}
            event |= {"text": text} if text else {}
            self.send("Input.dispatchKeyEvent", type="keyDown", **event)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, modifiers=modifiers)
        self.settle()

    def emulate(self, **features: str) -> None:
        """Media features by their names with underscores: `prefers_color_scheme="dark"`."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.send("Emulation.setEmulatedMedia", features=named)
        self.settle()

    def picture(self, whole: bool = False) -> bytes:
        """A PNG of the window, or of the whole page."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    def complaints(self) -> list[str]:
        """Errors and warnings of the page so far: exceptions, refused sources, messages on its console."""
        config = []
        self.run("1")
        for event in self.events:
            params = event.get("params", {})
            match event.get("method"):
                case "Runtime.exceptionThrown":
                    details = params["exceptionDetails"]
                    config.append(details.get("exception", {}).get("description") or details["text"])
                case "Log.entryAdded":
                    config.append(params["entry"]["text"])
                case "Runtime.consoleAPICalled":
                    config.append(str(params["args"]))
        return config

    def requests(self) -> list[str]:
        """Every address that the page asked for since it was opened."""
        return [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
