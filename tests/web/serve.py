"""Serves the gallery of components: ``python -m tests.web.serve [PORT]``; prints its address when ready."""

from __future__ import annotations

import os
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """One address is all there is to say."""


def main(port: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.web.settings"
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.core.wsgi import get_wsgi_application

    get_wsgi_application()
    from django.contrib.staticfiles.views import serve
    from django.core.handlers.wsgi import WSGIHandler

    class Handler(StaticFilesHandler):
        def serve(self, request):  # type: ignore[no-untyped-def] # as in Django, but without DEBUG
            return serve(request, self.file_path(request.path), insecure=True)

    server = make_server(
        "127.0.0.1", port, Handler(WSGIHandler()), server_class=_Threads, handler_class=_Quiet
    )
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}/\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
