"""The Debian packages: `rivet`, and `rivet-dev` for authors of plugins."""

import gzip
import hashlib
import os
import shutil
import subprocess
from email.utils import formatdate

from elftools.elf.elffile import ELFFile

import check
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
Recommends: rivet (= {version})
Suggests: cargo (>= 1.95)
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
Copyright: 2026 The rivet authors
License: Apache-2.0
 On Debian systems, the text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
"""
THIRD_PARTY = """\
Comment:
 The crates and C libraries that are linked in, and the licences of each, are
 in /usr/share/doc/rivet/THIRD-PARTY.txt.gz.
"""


def make(prefix, dist, version, glibc, texts, stage):
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
        packed(program, dist / f"rivet_{version}_amd64.deb", PROGRAM, version, depends(program, glibc)),
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


def depends(root, glibc):
    """The Debian packages whose libraries the program and the plugins need.

    Not what dpkg-shlibdeps says: it reads the builder's glibc, where what was libpthread's until 2.33 is libc's own, and
    asks for that one.
    """
    needed = set()
    for file in [root / "usr/bin/rivet", *(root / "usr/lib/rivet/plugins").iterdir()]:
        with file.open("rb") as content:
            needed |= set(check.libraries(ELFFile(content)))
    # Its name until Debian 10 is the second.
    gcc = ["libgcc-s1 | libgcc1"] if needed & {"libgcc_s.so.1"} else []
    return ", ".join([f"libc6 (>= {glibc})", *gcc])


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
