"""Makes the packages of what is built: host/packaging/dist calls this."""

import argparse
import hashlib
import shutil
from pathlib import Path

import check
import crates
import debian
import licences
import sbom
import tarball
import tree
import wheel

parser = argparse.ArgumentParser()
parser.add_argument("--built", type=Path, required=True, help="where cargo left the program and the plugins")
parser.add_argument("--triple", required=True, help="what they are built for")
parser.add_argument("--glibc", required=True, help="the newest glibc that they may need")
parser.add_argument("--work", type=Path, required=True, help="for what is needed on the way")
parser.add_argument("--dist", type=Path, required=True, help="where the packages go")
options = parser.parse_args()

# The kinds of files that are made here; older ones are taken away, and nothing else that lies there.
MADE = ("rivet-*.tar.gz", "rivet_exporter-*.whl", "rivet_*.deb", "rivet-dev_*.deb", "rivet-*.cdx.json", "SHA256SUMS")

work, dist = options.work.resolve(), options.dist.resolve()
dist.mkdir(parents=True, exist_ok=True)
for pattern in MADE:
    for old in dist.glob(pattern):
        old.unlink()

workspace = crates.Workspace(options.triple)
texts = licences.collect(workspace.linked)
stage = work / "stage"
shutil.rmtree(stage, ignore_errors=True)
prefix = tree.stage(stage / "prefix", options.built, workspace, texts, work)

packages = [
    tarball.make(prefix, dist, workspace.version),
    wheel.make(prefix, dist, workspace.version, options.glibc, stage / "wheel"),
    *debian.make(prefix, dist, workspace.version, options.glibc, texts, stage),
]
bill = sbom.make(workspace, dist)
programs = [file.name for place in ("bin", "lib/rivet/plugins") for file in (prefix / place).iterdir()]
faults = check.faults(packages, options.glibc, programs)
if faults:
    raise SystemExit("\n".join(f"error: {fault}" for fault in faults))

sums = [(hashlib.sha256(file.read_bytes()).hexdigest(), file) for file in sorted([*packages, bill])]
(dist / "SHA256SUMS").write_text("".join(f"{digest}  {file.name}\n" for digest, file in sums))
for digest, file in sums:
    print(f"{file.stat().st_size:>12,} {file}")
