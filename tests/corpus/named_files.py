"""Names that tools stumble over, and things that are no files."""

import os

from tests.corpus.cases import Case
from tests.corpus.packed_files import gz

CONTENT = "a,b\n1,x\n"
ROW = {2: ("1", "x")}
NAMES = {
    "line\nbreak.csv": "a line break", "quo\"te's`.csv": "quotes",
    " two  blanks .csv": "blanks", "100%25 %zz.csv": "percent signs",
    "-rf.csv": "a leading dash", "a" * 251 + ".csv": "255 bytes", "[x]{y}*?\\.csv": "characters of patterns",
    "$(id);&|<>.csv": "characters of shells",
    "u\u0308.csv": "a letter of two characters", "#+=,!~.csv": "characters of URLs",
    "\u202egnp.csv": "text from right to left", "tab\t.csv": "a tab",
}  # fmt: skip

CASES = (
    *(Case(name, f"a name with {what}", CONTENT, ROW) for name, what in NAMES.items()),
    Case("12:30.csv", "a name with a colon", CONTENT, refused="Spark cannot read a local file with ':'"),
    Case("12:30.csv.gz", "a name with a colon, packed", gz(CONTENT), ROW),
    Case(b"not \xff utf8.csv", "a name that is not UTF-8", CONTENT, left_alone=True),
    Case("folder.csv", "a folder by the name of a file", lambda path: path.mkdir(), left_alone=True),
    Case("dangling.csv", "a link to nothing", lambda path: path.symlink_to("nowhere.csv"), left_alone=True),
    Case("loop.csv", "a link to itself", lambda path: path.symlink_to("loop.csv"), left_alone=True),
    Case("circle", "a link to its own folder", lambda path: path.symlink_to("."), left_alone=True),
    Case("pipe.csv", "a pipe that nobody writes to", os.mkfifo, left_alone=True),
    Case("device.csv", "a link to a device without an end", lambda path: path.symlink_to("/dev/zero"), left_alone=True),
    Case("outside.log", "a link to a file outside the folder",
         lambda path, around: path.symlink_to(around.canary), refused="a link that leads out of the folder"),
)  # fmt: skip
