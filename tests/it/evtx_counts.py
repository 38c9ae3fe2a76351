#!/usr/bin/env python3
"""Counts the events of .evtx files by channel and id with a reader that shares nothing with rdpwhy's own code.

    evtx_counts.py evtx FILE...           PyPI `evtx` (0.14.0 made evtx_counts.tsv)
    evtx_counts.py python-evtx FILE...    PyPI `python-evtx` (0.8.1)

Prints lines of file name, channel, event id, count, separated by tabs and sorted. Records and chunks that the reader
cannot read are counted in a line with channel `-` and id 0.
"""

import collections
import os
import re
import sys

CHANNEL = re.compile(r"<Channel>(.*?)</Channel>", re.S)
EVENT_ID = re.compile(r"<EventID[^>]*>\s*(\d+)")


def texts_of_evtx(path):
    import evtx

    records = evtx.PyEvtxParser(path).records()
    while True:
        try:
            yield next(records)["data"]
        except StopIteration:
            return
        except RuntimeError:
            yield None


def texts_of_python_evtx(path):
    import Evtx.BinaryParser
    import Evtx.Evtx

    with Evtx.Evtx.Evtx(path) as log:
        for record in log.records():
            try:
                yield record.xml()
            except (Evtx.BinaryParser.BinaryParserException, AttributeError):
                yield None


READERS = {"evtx": texts_of_evtx, "python-evtx": texts_of_python_evtx}


def counts(reader, path):
    found = collections.Counter()
    try:
        for text in READERS[reader](path):
            channel, event_id = (text and CHANNEL.search(text)), (text and EVENT_ID.search(text))
            known = channel and event_id
            found[(channel.group(1).strip(), int(event_id.group(1))) if known else ("-", 0)] += 1
    except (RuntimeError, OSError):
        found[("-", 0)] += 1
    return found


def main(reader, *paths):
    for path in sorted(paths, key=os.path.basename):
        for (channel, event_id), count in sorted(counts(reader, path).items()):
            print(os.path.basename(path), channel, event_id, count, sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
