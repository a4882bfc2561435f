#!/usr/bin/env python3
"""Sends the events of a file to adtrack, in batches, each once: what `scripts/import.sh` runs. NDJSON (an event a line, as
POST /api/v1/ads/events takes them) or CSV (a header line with the fields' names; an empty cell is a field that is not there), either
also packed with gzip; `-` is standard input.

How far it came stands in FILE.imported, so that a run that was broken off goes on where it was, and one that is done does nothing.
Events are known by their event_id: what is sent twice counts once. Lines that adtrack rejects are listed in FILE.rejected.
Busy answers (429, 503) and lost connections are tried again. Exit code 0: all are in; 1: some were rejected; 2: it could not go on."""

import csv
import gzip
import hashlib
import io
import json
import os
import re
import sys

from adtrack_client import Bar, Client, Stop, arguments, end_of, key_of

BATCH_BYTES = 4 << 20
INTEGERS = {"ad_id", "play_time_secs", "watched_percent", "timestamp"}


# ------------------------------------------------------------------ reading

class Counted(io.RawIOBase):
    """A file that knows how many of its bytes were read, packed or not."""

    def __init__(self, raw):
        self.raw, self.done = raw, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        count = self.raw.readinto(buffer)
        self.done += count or 0
        return count


def records_of(stream, form):
    """(line number, the event as one line of JSON) of each record."""
    if form == "csv":
        table = csv.reader(io.TextIOWrapper(stream, "utf-8-sig", newline=""))
        names = next(table, None)
        if not names or len(set(names)) != len(names) or "event_id" not in names and "type" not in names:
            raise Stop(f"the first line of a CSV file names its fields, such as type,event_id,ad_id,timestamp; this one says {names}")
        try:
            for cells in table:
                if cells:
                    yield table.line_num, json.dumps(event_of(names, cells), ensure_ascii=False).encode()
        except csv.Error as why:
            raise Stop(f"line {table.line_num} is no CSV: {why}") from why
        return
    for number, line in enumerate(stream, 1):
        line = line.strip()
        if line:
            yield number, line


def event_of(names, cells):
    """Cells beyond the names, or lacking, make an event that adtrack rejects by name, not one that is guessed."""
    event = {name: int(cell) if name in INTEGERS and re.fullmatch(r"0|-?[1-9][0-9]{0,17}", cell) else cell
             for name, cell in zip(names, cells) if cell != ""}
    if len(cells) != len(names):
        event["event_id"] = None
    return event


def form_of(path, head):
    name = path[:-3] if path.endswith(".gz") else path
    if name.endswith(".csv"):
        return "csv"
    if name.endswith((".ndjson", ".jsonl", ".json")):
        return "ndjson"
    return "ndjson" if head.lstrip()[:1] == b"{" else "csv"


def with_made_id(line, seen):
    """The line with an event_id made of its own bytes and of how often they came before: the same in every run."""
    try:
        event = json.loads(line)
    except ValueError:
        return line  # adtrack says what is wrong with it
    if not isinstance(event, dict) or "event_id" in event:
        return line
    digest = hashlib.sha256(line).digest()
    seen[digest] = seen.get(digest, 0) + 1
    event["event_id"] = hashlib.sha256(digest + str(seen[digest]).encode()).hexdigest()[:32]
    return json.dumps(event, ensure_ascii=False).encode()


# ------------------------------------------------------------------ how far it came

class Progress:
    """The file's own note of how many records are in. A note of another file, or of one that has changed, counts nothing."""

    def __init__(self, path, fresh):
        self.path = f"{path}.imported" if path != "-" else None
        self.of = None if path == "-" else self._identity(path)
        self.records = self.rejected = 0
        self.finished = False
        if self.path and not fresh and os.path.exists(self.path):
            try:
                with open(self.path, encoding="utf-8") as file:
                    note = json.load(file)
                if note["of"] == self.of:
                    self.records, self.rejected, self.finished = int(note["records"]), int(note["rejected"]), bool(note["finished"])
            except (ValueError, KeyError, TypeError) as error:
                raise Stop(f"{self.path} cannot be read ({error}); remove it to begin again, which counts nothing twice") from error

    @staticmethod
    def _identity(path):
        with open(path, "rb") as file:
            head = file.read(1 << 16)
        return {"size": os.path.getsize(path), "head": hashlib.sha256(head).hexdigest()}

    def save(self):
        if not self.path:
            return
        with open(f"{self.path}.new", "w", encoding="utf-8") as file:
            json.dump({"of": self.of, "records": self.records, "rejected": self.rejected, "finished": self.finished}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{self.path}.new", self.path)


# ------------------------------------------------------------------ sending

class Sender:
    def __init__(self, url, key, patience):
        self.adtrack = Client(url, key, patience)

    def send(self, lines):
        """The rejected of these lines, as [(place, errors)]; the others are durable."""
        status, _, text = self.adtrack.ask("POST", "/api/v1/ads/events", b"\n".join(lines) + b"\n", {"Content-Type": "application/x-ndjson"})
        if status == 202:
            answer = json.loads(text)
            rejected = answer["rejected"]
            listed = [(item["index"], item["errors"]) for item in rejected]
            if len(listed) == answer["rejected_count"]:
                return listed
            settled = listed[-1][0] + 1  # an answer lists so many; what stands before the last of them is accepted
            return listed + self._from(lines, settled)
        if status == 400:  # none of them is valid
            listed = self._errors(text)
            return listed + (self._from(lines, listed[-1][0] + 1) if listed[-1][0] + 1 < len(lines) else [])
        if status == 413 and len(lines) > 1:
            middle = len(lines) // 2
            return self.send(lines[:middle]) + self._from(lines, middle)
        raise Stop(f"adtrack answered {status}: {text[:300].decode(errors='replace')}")

    @staticmethod
    def _errors(text):
        """[(place, errors)] of a batch of which nothing is valid; its errors name the place: `[3].ad_id`."""
        problem, by_place = json.loads(text), {}
        for error in problem["errors"]:
            found = re.fullmatch(r"\[(\d+)\](?:\.(.*))?", error["field"])
            if found:
                by_place.setdefault(int(found[1]), []).append({"field": found[2] or "", "message": error["message"]})
        if not by_place:
            raise Stop(f"adtrack answered 400: {problem['detail']}")
        return sorted(by_place.items())

    def _from(self, lines, first):
        return [(first + place, errors) for place, errors in self.send(lines[first:])]


# ------------------------------------------------------------------ all of it

def run(options):
    progress = Progress(options.file, options.again)
    if progress.finished:
        print(f"{options.file} is in already: {progress.records - progress.rejected:,} events, {progress.rejected:,} rejected "
              f"(its note is {progress.path}; --again sends it again, which counts nothing twice within the dedupe window)")
        return 1 if progress.rejected else 0
    sender = Sender(options.url, key_of(options.key_file), options.patience)
    raw = Counted(sys.stdin.buffer.raw if options.file == "-" else open(options.file, "rb", buffering=0))
    stream = io.BufferedReader(raw, 1 << 20)
    if stream.peek(2)[:2] == b"\x1f\x8b":
        stream = io.BufferedReader(gzip.GzipFile(fileobj=stream), 1 << 20)
    form = options.format or form_of(options.file, stream.peek(64))
    bar = Bar(0 if options.file == "-" else os.path.getsize(options.file))
    skip, seen, sent = progress.records, {}, 0
    if skip:
        print(f"going on after {skip:,} records", file=sys.stderr)
    list_path = f"{options.file}.rejected" if options.file != "-" else os.devnull
    with open(list_path, "a" if skip else "w", encoding="utf-8") as rejected_list:
        lines, numbers, size = [], [], 0

        def flush():
            nonlocal lines, numbers, size, sent
            if not lines:
                return
            rejected = sender.send(lines)
            for place, errors in rejected:
                rejected_list.write(json.dumps({"line": numbers[place], "errors": errors}) + "\n")
            rejected_list.flush()
            sent += len(lines)
            progress.records += len(lines)
            progress.rejected += len(rejected)
            progress.save()
            bar.show(raw.done, sent)
            lines, numbers, size = [], [], 0

        for place, (number, line) in enumerate(records_of(stream, form)):
            if options.make_ids:
                line = with_made_id(line, seen)
            if place < skip:
                continue
            if lines and (len(lines) >= options.batch or size + len(line) > BATCH_BYTES):
                flush()
            lines.append(line)
            numbers.append(number)
            size += len(line) + 1
        flush()
    progress.finished = True
    progress.save()
    bar.show(raw.done, sent, last=True)
    if not progress.rejected and os.path.exists(list_path) and list_path != os.devnull:
        os.remove(list_path)
    print(f"{progress.records - progress.rejected:,} events are in, {progress.rejected:,} were rejected"
          + (f": see {list_path}" if progress.rejected and list_path != os.devnull else ""))
    return 1 if progress.rejected else 0


def main():
    parser = arguments("import.sh", __doc__, "ingest", (300, "for which a refused batch is tried again"))
    parser.add_argument("file", help="NDJSON or CSV, also packed with gzip; - is standard input")
    parser.add_argument("--format", choices=["ndjson", "csv"], help="by the file's name or its first byte when it is left out")
    parser.add_argument("--batch", type=int, default=1_000, help="events a request, 1 to 10000 (%(default)s)")
    parser.add_argument("--make-ids", action="store_true", help="events without an event_id get one, made of the line's bytes")
    parser.add_argument("--again", action="store_true", help="begin at the first line, whatever the note says")
    options = parser.parse_args()
    if not 1 <= options.batch <= 10_000:
        parser.error("--batch is 1 to 10000")
    return end_of(run, options, "broken off; the same command goes on where it was")


if __name__ == "__main__":
    sys.exit(main())
