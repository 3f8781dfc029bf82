"""Whether what lies in the packages runs where they say: `check.py GLIBC PACKAGE...` names what does not."""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from elftools.elf.elffile import ELFFile

# What a program or a library may need at run time. All else is linked in.
LIBRARIES = {
    "ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "librt.so.1",
}
OWN = {"RIVET_PLUGIN_DESCRIPTOR", "RIVET_PLUGIN_META", "RIVET_PLUGIN_ROOT"}


def faults(packages, glibc, programs=()):
    """What is wrong, a line each; none in packages that are right. Each but those for all architectures has `programs`."""
    found = []
    for package in packages:
        with tempfile.TemporaryDirectory() as folder:
            unpack(package, folder)
            missing = set(() if package.name.endswith("_all.deb") else programs)
            for file in sorted(Path(folder).rglob("*")):
                name = f"{package.name}: {file.relative_to(folder)}"
                if file.is_symlink() or file.is_file() and file.stat().st_mode & 0o022:
                    found.append(f"{name} is a link, or others than its owner may write to it")
                if file.is_file() and file.read_bytes()[:4] == b"\x7fELF":
                    missing.discard(file.name)
                    found += [f"{name} {fault}" for fault in of_file(file, glibc)]
            found += [f"{package.name} lacks {name}" for name in sorted(missing)]
    return found


def unpack(package, folder):
    """With the modes that the package says."""
    if package.suffix == ".deb":
        subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    elif package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            for entry in archive.infolist():
                Path(archive.extract(entry, folder)).chmod(entry.external_attr >> 16 & 0o777)
    elif package.name.endswith(".tar.gz"):
        with tarfile.open(package) as archive:
            archive.extractall(folder, filter="tar")
    else:
        # A program or a library by itself.
        (Path(folder) / package.name).write_bytes(package.read_bytes())


def of_file(file, glibc):
    with file.open("rb") as content:
        elf = ELFFile(content)
        limit = numbers(glibc)
        for version in versions(elf):
            if version.startswith("GLIBC_") and numbers(version[6:]) > limit:
                yield f"needs {version}, which is newer than {glibc}"
        for library in libraries(elf):
            if library not in LIBRARIES:
                yield f"needs {library}"
        for tag in elf.get_section_by_name(".dynamic").iter_tags():
            if tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                yield "searches libraries in a folder of its own"
        if elf.get_section_by_name(".symtab") or elf.get_section_by_name(".debug_info"):
            yield "is not stripped"
        # A program has an interpreter.
        if not elf.get_section_by_name(".interp"):
            symbols = elf.get_section_by_name(".dynsym").iter_symbols()
            shown = {symbol.name for symbol in symbols if symbol.name and symbol.entry.st_shndx != "SHN_UNDEF"}
            if shown != OWN:
                yield f"shows {', '.join(sorted(shown ^ OWN))}, where a plugin's own symbols are {', '.join(sorted(OWN))}"


def versions(elf):
    """The symbol versions that it needs, such as GLIBC_2.28."""
    needed = elf.get_section_by_name(".gnu.version_r")
    return [version.name for _, found in needed.iter_versions() for version in found] if needed else []


def libraries(elf):
    """The libraries that the dynamic linker loads with it."""
    return [tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags() if tag.entry.d_tag == "DT_NEEDED"]


def numbers(version):
    """`2.28` to compare with; what is no number, as in GLIBC_PRIVATE, is newer than everything."""
    return [int(part) if part.isdigit() else sys.maxsize for part in version.split(".")]


if __name__ == "__main__":
    told = faults([Path(argument) for argument in sys.argv[2:]], sys.argv[1])
    sys.exit("\n".join(f"error: {fault}" for fault in told) or None)
