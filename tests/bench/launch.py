"""launch.py REPORT COMMAND...: runs COMMAND and writes its wall time and use of the machine to REPORT.

A process of its own because a child's peak memory counts its parent's at the fork: this one is small.
"""

import os
import sys
import time

report, *command = sys.argv[1:]
start = time.monotonic()
pid = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.monotonic() - start
with open(report, "w") as file:
    file.write(f"{status} {wall} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss / 1024}")
