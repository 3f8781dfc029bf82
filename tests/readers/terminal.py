"""Runs a command on a terminal of its own, and tells what a person would have seen there.

usage: terminal.py CALL, which is JSON: {"command", "columns", "rows", "environment", "folder", "stdout": file or null,
"interrupt": text or null, "resize": [columns, rows] or null}. `interrupt`: Ctrl-C is typed once the text is seen.
`resize` happens once the first line is seen. The answer is JSON: {"code", "frames", "end", "cursor", "bytes"}: every
screen that differed from the one before it, all lines at the end with those that scrolled away, whether the cursor is
shown, and what was sent."""

import fcntl
import json
import os
import pty
import struct
import sys
import termios

import pyte

call = json.loads(sys.argv[1])


def resize(columns, rows):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


# The size is there before the command looks at it.
master, slave = pty.openpty()
resize(call["columns"], call["rows"])
child = os.fork()
if child == 0:
    os.close(master)
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)
    if call["stdout"]:
        os.dup2(os.open(call["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 1)
    os.chdir(call["folder"])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RIVET_")}
    for name in ("NO_COLOR", "CI"):
        environment.pop(name, None)
    environment["TERM"] = "xterm-256color"
    environment.update(call["environment"])
    os.execve(call["command"][0], call["command"], environment)
os.close(slave)

screen = pyte.HistoryScreen(call["columns"], call["rows"], history=100_000, ratio=0.5)
stream = pyte.ByteStream(screen)
sent, frames = b"", []
while True:
    try:
        piece = os.read(master, 65536)
    except OSError:
        break
    if not piece:
        break
    sent += piece
    stream.feed(piece)
    frame = [line.rstrip() for line in screen.display]
    if not frames or frames[-1] != frame:
        frames.append(frame)
    text = "\n".join(frame)
    if call["interrupt"] and call["interrupt"] in text:
        call["interrupt"] = None
        os.write(master, b"\x03")
    if call["resize"] and text.strip():
        columns, rows = call["resize"]
        call["resize"] = None
        screen.resize(rows, columns)
        resize(columns, rows)
_, status = os.waitpid(child, 0)
above = ["".join(line[column].data for column in range(call["columns"])).rstrip() for line in screen.history.top]
end = above + [line.rstrip() for line in screen.display]
while end and not end[-1]:
    end.pop()
print(json.dumps({
    "code": os.waitstatus_to_exitcode(status), "frames": frames, "end": end, "cursor": not screen.cursor.hidden,
    "bytes": sent.decode(errors="replace"),
}))
