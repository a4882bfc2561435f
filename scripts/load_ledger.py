"""A load's ledger: a text file whose first line is the plan, of which every event follows, and whose other lines say what became of the
requests. Lines are only ever added; a last one that was cut off is passed over.

    {"ledger": 1, "run": ...}     the plan
    LANE NUMBER ACKED UNKNOWN     a request's outcome: 202 answers (0 or 1), and times that it was sent and nobody can say what came of it
    LANE NUMBER ACKED UNKNOWN I,J the same, without the events I and J of it, which were refused
    p SHARD OFFSET                an acknowledged position
    end                           all is said: a request without a line was never sent"""

import json
import os

from adtrack_client import Stop


class Writer:
    def __init__(self, path, plan):
        try:
            self._file = open(path, "x", encoding="ascii")
        except FileExistsError as error:
            raise Stop(f"{path} exists; give the ledger another name, or ask `load.sh verify {path} URL` about the one that is there") from error
        self.write(json.dumps({"ledger": 1, **plan}) + "\n")

    def write(self, text):
        self._file.write(text)
        self._file.flush()

    def end(self):
        self._file.write("end\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


class Ledger:
    def __init__(self, path):
        self.outcomes, self.positions, self.ended = {}, {}, False  # by (lane, number): (acked, unknown, refused places)
        with open(path, encoding="ascii") as file:
            try:
                self.plan = json.loads(file.readline())
                if self.plan.pop("ledger") != 1:
                    raise ValueError("it is of another version")
                for line in file:
                    if line.endswith("\n"):
                        self._read(line.split())
            except (ValueError, KeyError, IndexError, AttributeError) as error:
                raise Stop(f"{path} is no ledger of load.sh ({error})") from error

    def _read(self, words):
        if words[0] == "p":
            self.positions[words[1]] = max(int(words[2]), self.positions.get(words[1], -1))
        elif words[0] == "end":
            self.ended = True
        else:
            lane, number, acked, unknown = map(int, words[:4])
            self.outcomes[lane, number] = (acked, unknown, frozenset(map(int, words[4].split(","))) if len(words) > 4 else ())

    def outcome(self, lane, number):
        """Nobody knows of a request that a ledger without an end does not tell of."""
        return self.outcomes.get((lane, number), (0, 0, ()) if self.ended else (0, 1, ()))
