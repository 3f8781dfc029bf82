"""The licences of everything linked: whether each is allowed (deny.toml), and their texts."""

import re
import subprocess
import tomllib
from pathlib import Path

from boolean import boolean
from license_expression import get_spdx_licensing

from crates import is_ours, title

ROOT = Path(__file__).resolve().parents[3]
# Crates that have a licence and bring no text of it, and which of ours stands for it.
WITHOUT_TEXT = {"flatbuffers": "Apache-2.0", "repr_offset": "Zlib"}
TEXTS = {"Apache-2.0": ROOT / "LICENSE", "Zlib": ROOT / "host/packaging/Zlib.txt"}
NAME = re.compile(r"licen[cs]e|copying|copyright|notice", re.IGNORECASE)
# What else a file with such a name may be.
CODE = {".c", ".h", ".html", ".json", ".png", ".py", ".rs", ".sh", ".tmpl", ".toml", ".yaml", ".yml"}


def collect(linked):
    """One text with all licences of `linked`, each distinct one once; ends the program if one is missing or not allowed."""
    allowed = set(tomllib.loads((ROOT / "deny.toml").read_text())["licenses"]["allow"])
    faults, table, owners = [], [], {}
    for package in linked:
        if is_ours(package):
            continue
        stated = package["license"]
        if not stated:
            faults.append(f"{title(package)} states no licence")
        elif not fits(stated, allowed):
            faults.append(f"{title(package)}: its licence, {stated}, is none that deny.toml allows")
        found = texts(package)
        if not found:
            faults.append(f"{title(package)} brings no text of its licence, {stated}: see WITHOUT_TEXT in {__file__}")
        table.append(f"{title(package)}: {stated}; {', '.join(package['authors']) or 'authors as stated below'}")
        for text in found:
            owners.setdefault(" ".join(text.split()), (text, []))[1].append(title(package))
    if faults:
        raise SystemExit("\n".join(f"error: {fault}" for fault in faults))
    for text in rust_itself():
        owners.setdefault(" ".join(text.split()), (text, []))[1].append("Rust's standard library")
    line = "-" * 100
    parts = ["Licences of what is linked into rivet and its plugins.\n", *table, "Rust's standard library: MIT OR Apache-2.0"]
    parts.append("zig's libunwind and compiler runtime: Apache-2.0 WITH LLVM-exception, MIT")
    for text, names in owners.values():
        parts += [f"\n{line}\n{', '.join(dict.fromkeys(names))}\n{line}\n", text.strip()]
    return "\n".join(parts) + "\n"


def texts(package):
    """Every licence text in a crate's sources, those of C libraries within them too."""
    folder = Path(package["manifest_path"]).parent
    files = sorted(file for file in folder.rglob("*") if file.is_file() and NAME.search(file.name) and file.suffix.lower() not in CODE)
    found = [file.read_text(errors="replace") for file in files]
    if not found and package["name"] in WITHOUT_TEXT and WITHOUT_TEXT[package["name"]] == package["license"]:
        found = [TEXTS[package["license"]].read_text()]
    return found


def rust_itself():
    """The licences of Rust's own library, from the toolchain."""
    command = ["rustc", "--print", "sysroot"]
    root = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    for place in ("share/doc/rust", "share/doc/rustfmt", "share/doc/cargo"):
        files = sorted((root / place).glob("LICENSE-*"))
        if files:
            return [file.read_text() for file in files]
    raise SystemExit(f"error: {root} has no licence texts of Rust")


def fits(stated, allowed):
    """Whether an SPDX expression can be met with `allowed` licences alone."""
    licensing = get_spdx_licensing()
    # What crates.io took before SPDX.
    expression = licensing.parse(stated.replace("/", " OR "), validate=True)

    def met(term):
        if isinstance(term, boolean.OR):
            return any(map(met, term.args))
        if isinstance(term, boolean.AND):
            return all(map(met, term.args))
        return str(term) in allowed

    return met(expression)
