"""What is linked into the packages: crates and their versions, as cargo resolved them for the target."""

import json
import subprocess
from pathlib import Path

# What the packages of authors hold, each under its name.
SDK = ("rivet-abi", "rivet-sdk", "rivet-testkit", "rivet-loader")


class Workspace:
    def __init__(self, triple):
        command = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={triple}"]
        metadata = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        packages = {package["id"]: package for package in metadata["packages"]}
        nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
        product = metadata["workspace_default_members"]
        self.root = Path(metadata["workspace_root"])
        self.version = next(packages[id]["version"] for id in product if packages[id]["name"] == "rivet")
        # Normal dependencies only; a macro runs in the compiler, and so do those that it needs.
        self.needs = {}
        waiting = list(product)
        while waiting:
            id = waiting.pop()
            if id not in self.needs:
                normal = [need["pkg"] for need in nodes[id]["deps"] if any(k["kind"] is None for k in need["dep_kinds"])]
                self.needs[id] = sorted(need for need in normal if not is_macro(packages[need]))
                waiting += self.needs[id]
        linked = (packages[id] for id in self.needs)
        self.linked = sorted(linked, key=lambda package: (package["name"], package["version"]))
        self.product = [packages[id] for id in product]


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def is_ours(package):
    return package["source"] is None


def title(package):
    return f"{package['name']} {package['version']}"
