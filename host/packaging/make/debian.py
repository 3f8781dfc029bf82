"""The Debian packages: `rivet`, and `rivet-dev` for authors of plugins."""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
from email.utils import formatdate

import tree

MAINTAINER = "The rivet authors <rivet@localhost>"

PROGRAM = """\
Package: rivet
Version: {version}
Architecture: amd64
Maintainer: {maintainer}
Installed-Size: {size}
Depends: {depends}
Recommends: ca-certificates
Suggests: rivet-dev
Section: database
Priority: optional
Description: exports database tables to Parquet and CSV
 rivet reads tables and queries of PostgreSQL, MySQL, MariaDB, SQL Server and
 SQLite, and writes Parquet or CSV files to local disk or to object stores.
 Its sources and destinations are plugins, which are loaded at run time.
"""

SOURCES = """\
Package: rivet-dev
Version: {version}
Architecture: all
Maintainer: {maintainer}
Installed-Size: {size}
Recommends: rivet (= {version}), cargo
Section: libdevel
Priority: optional
Description: sources that plugins for rivet are built with
 The Rust crates that a plugin for rivet is written and tested with. A new
 plugin that "rivet plugin new" writes is built with them.
"""

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: rivet

Files: *
Copyright: The rivet authors
License: Apache-2.0
 On Debian systems, the text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
"""
THIRD_PARTY = """\
Comment:
 The crates and C libraries that are linked in, and the licences of each, are
 in /usr/share/doc/rivet/THIRD-PARTY.txt.gz.
"""


def make(prefix, dist, version, texts, stage):
    """Both packages."""
    program = stage / "rivet"
    shutil.copytree(prefix, program / "usr")
    doc = program / "usr/share/doc/rivet"
    # Debian has it once for all.
    (doc / "LICENSE").unlink()
    (doc / "CHANGELOG.md").unlink()
    (doc / "THIRD-PARTY.txt").unlink()
    compressed(doc / "THIRD-PARTY.txt.gz", texts)
    for page in (program / "usr/share/man/man1").iterdir():
        compressed(page.with_name(page.name + ".gz"), page.read_text())
        page.unlink()
    sources = stage / "rivet-dev"
    (sources / "usr/share").mkdir(parents=True)
    (program / "usr/share/rivet").rename(sources / "usr/share/rivet")
    documented(program, "rivet", version, COPYRIGHT + THIRD_PARTY)
    documented(sources, "rivet-dev", version, COPYRIGHT)
    return [
        packed(program, dist / f"rivet_{version}_amd64.deb", PROGRAM, version, depends(program, stage / "shlibdeps")),
        packed(sources, dist / f"rivet-dev_{version}_all.deb", SOURCES, version, ""),
    ]


def documented(root, name, version, copyright):
    doc = root / "usr/share/doc" / name
    tree.written(doc / "copyright", copyright)
    date = formatdate(int(os.environ["SOURCE_DATE_EPOCH"]))
    entry = f"rivet ({version}) unstable; urgency=medium\n\n  * See CHANGELOG.md in the sources.\n\n -- {MAINTAINER}  {date}\n"
    compressed(doc / "changelog.gz", entry)


def compressed(target, text):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def depends(root, folder):
    """What dpkg-shlibdeps finds that the program and the plugins need of other packages."""
    (folder / "debian").mkdir(parents=True)
    tree.written(folder / "debian/control", "Source: rivet\n\nPackage: rivet\nArchitecture: amd64\n")
    files = [root / "usr/bin/rivet", *sorted((root / "usr/lib/rivet/plugins").iterdir())]
    command = ["dpkg-shlibdeps", "-O", "--ignore-missing-info", *files]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: dpkg-shlibdeps: {done.stderr}")
    return re.search(r"^shlibs:Depends=(.+)$", done.stdout, re.MULTILINE)[1]


def packed(root, file, control, version, depends):
    files = [path for path in tree.entries(root) if path.is_file()]
    size = sum(-(-path.stat().st_size // 1024) for path in files)
    stated = control.format(version=version, maintainer=MAINTAINER, size=size, depends=depends)
    tree.written(root / "DEBIAN/control", stated)
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files]
    tree.written(root / "DEBIAN/md5sums", "".join(sums))
    for path in [root, *root.rglob("*")]:
        path.chmod(tree.mode(path))
    # Its archives take their times from SOURCE_DATE_EPOCH, and gzip and xz of the same version write the same.
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, file], check=True, stdout=subprocess.DEVNULL)
    return file
