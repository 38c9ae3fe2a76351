"""Reads a timeline with Timesketch's own importer, sending nothing: prints the events as it would upload them."""

import json
import logging
import sys
from types import SimpleNamespace

from timesketch_import_client import importer


class Collecting(importer.ImportStreamer):
    """Keeps what would go to the server."""

    def __init__(self):
        super().__init__()
        self.events = []

    def _upload_data_buffer(self, end_stream, data_lines=None, retry_count=0):
        self.events.extend(dict(line) for line in (data_lines or self._data_lines))


complaints = []


class Heard(logging.Handler):
    def emit(self, record):
        complaints.append(record.getMessage())


logging.getLogger("timesketch_importer").addHandler(Heard())
streamer = Collecting()
api = SimpleNamespace(api_root="http://nowhere.test/api/v1")
streamer.set_sketch(SimpleNamespace(api=api, id=1))
streamer.add_file(sys.argv[1])
streamer.flush()
json.dump({"events": streamer.events, "complaints": complaints}, sys.stdout)
