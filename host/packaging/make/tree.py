"""The installed files, as they lie under one prefix: `bin`, `lib/rivet/plugins`, `share`."""

import shutil
import subprocess
import tarfile
from pathlib import Path

from crates import SDK

COMPLETIONS = {
    "bash": "share/bash-completion/completions/rivet",
    "zsh": "share/zsh/site-functions/_rivet",
    "fish": "share/fish/vendor_completions.d/rivet.fish",
}


def stage(prefix, built, workspace, texts, work):
    """Lays them out under `prefix`, all of them, with the modes that they are installed with."""
    program = copied(built / "rivet", prefix / "bin/rivet")
    program.chmod(0o755)
    plugins = [package["name"] for package in workspace.product if package["name"] != "rivet"]
    for name in plugins:
        library = f"lib{name.replace('-', '_')}.so"
        copied(built / library, prefix / "lib/rivet/plugins" / library)
    for shell, place in COMPLETIONS.items():
        written(prefix / place, said(program, "completions", shell))
    pages = prefix / "share/man/man1"
    pages.mkdir(parents=True)
    said(program, "man", pages)
    if not (pages / "rivet.1").exists():
        raise SystemExit("error: `rivet man` wrote no rivet.1")
    for name in ("README.md", "CHANGELOG.md", "LICENSE"):
        copied(workspace.root / name, prefix / "share/doc/rivet" / name)
    written(prefix / "share/doc/rivet/THIRD-PARTY.txt", texts)
    sdk(workspace, prefix / "share/rivet/sdk", work / "crates")
    return prefix


def sdk(workspace, folder, target):
    """The crates for authors, each as crates.io would have it."""
    shutil.rmtree(target / "package", ignore_errors=True)
    # Not built here: whoever installs them builds them.
    command = ["cargo", "package", "--quiet", "--no-verify", "--allow-dirty", "--locked", "--target-dir", target]
    command += [word for name in SDK for word in ("-p", name)]
    subprocess.run(command, cwd=workspace.root, check=True)
    folder.mkdir(parents=True)
    for name in SDK:
        [crate] = (target / "package").glob(f"{name}-[0-9]*.crate")
        with tarfile.open(crate) as archive:
            archive.extractall(folder, filter="data")
        # Without the version: the crates name each other's folders.
        (folder / crate.name.removesuffix(".crate")).rename(folder / name)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def copied(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)
    return target


def written(target, text):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(0o644)


def said(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


def entries(folder):
    """Every path below `folder` in one fixed order, folders before what is in them."""
    return sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts)


def mode(path: Path):
    """What a package says of it, whatever this machine's umask made of it."""
    return 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644
