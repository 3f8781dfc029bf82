"""The tarball: one folder, to be unpacked anywhere."""

import gzip
import os
import tarfile

import tree


def make(prefix, dist, version):
    name = f"rivet-{version}-x86_64-linux-gnu"
    file = dist / f"{name}.tar.gz"
    when = int(os.environ["SOURCE_DATE_EPOCH"])
    # Neither this file's name nor the time goes into the header of gzip.
    with file.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=when) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in [prefix, *tree.entries(prefix)]:
                entry = archive.gettarinfo(path, f"{name}/{path.relative_to(prefix)}".removesuffix("/."))
                entry.mode, entry.mtime = tree.mode(path), when
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = "root"
                if path.is_dir():
                    archive.addfile(entry)
                else:
                    with path.open("rb") as content:
                        archive.addfile(entry, content)
    return file
