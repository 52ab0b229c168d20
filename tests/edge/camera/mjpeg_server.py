"""An MJPEG camera over HTTP, as a process of its own: ``mjpeg_server.py PORT FPS MODE``.

Each picture carries ``time.monotonic()`` in milliseconds, as 32 black or white blocks, the lowest
bit first: on one machine all processes share that clock. ``MODE`` is ``steady``, or ``stall:N`` to
fall silent after N pictures of each connection and keep the line open, or ``silent`` for one that
accepts a connection and never answers. Prints ``ready`` once it listens.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

BLOCK = 16
BITS = 32


def picture(moment: float) -> bytes:
    """A JPEG of 32 blocks that tell ``moment``."""
    milliseconds = int(moment * 1000) % 2**BITS
    bits = [(milliseconds >> bit) & 1 for bit in range(BITS)]
    grid = np.array(bits, np.uint8).reshape(4, 8) * 255
    image = np.kron(grid, np.ones((BLOCK, BLOCK), np.uint8))
    return bytes(cv2.imencode(".jpg", image)[1])


class Camera(BaseHTTPRequestHandler):
    fps = 25.0
    mode = "steady"

    def do_GET(self) -> None:
        if self.mode == "silent":
            time.sleep(600)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        limit = int(self.mode.partition(":")[2]) if self.mode.startswith("stall") else sys.maxsize
        try:
            for _ in range(limit):
                jpeg = picture(time.monotonic())
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                time.sleep(1.0 / self.fps)
            time.sleep(600)
        except ConnectionError:
            return

    def log_message(self, *arguments: object) -> None:
        pass


def main() -> None:
    port, Camera.fps, Camera.mode = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    server = ThreadingHTTPServer(("127.0.0.1", port), Camera)
    server.daemon_threads = True
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
