"""A real RTSP camera (GStreamer), as a process of its own: ``rtsp_server.py PORT``.

Serves ``rtsp://user:secret@127.0.0.1:PORT/line``, over UDP or TCP, 25 pictures a second.
Runs on the system's Python, where Debian puts the bindings; see test_camera_rtsp.py for packages.
"""

from __future__ import annotations

import importlib
import sys

LAUNCH = (
    "( videotestsrc is-live=true pattern=ball"
    " ! video/x-raw,format=I420,width=160,height=120,framerate=25/1"
    " ! jpegenc ! rtpjpegpay name=pay0 )"
)


def main() -> None:
    gi = importlib.import_module("gi")
    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    gst, rtsp, server_library, glib = (
        importlib.import_module(f"gi.repository.{name}")
        for name in ("Gst", "GstRtsp", "GstRtspServer", "GLib")
    )
    gst.init(None)
    server = server_library.RTSPServer(address="127.0.0.1", service=sys.argv[1])
    factory = server_library.RTSPMediaFactory()
    factory.set_launch(LAUNCH)
    factory.set_shared(True)
    factory.set_protocols(rtsp.RTSPLowerTrans.UDP | rtsp.RTSPLowerTrans.TCP)
    factory.add_role_from_structure(
        gst.Structure.new_from_string(
            "viewer,media.factory.access=true,media.factory.construct=true"
        )
    )
    auth = server_library.RTSPAuth()
    token = server_library.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(server_library.RTSPAuth.make_basic("user", "secret"), token)
    server.set_auth(auth)
    server.get_mount_points().add_factory("/line", factory)
    server.attach(None)
    print("ready", flush=True)
    glib.MainLoop().run()


if __name__ == "__main__":
    main()
