"""The bill of materials, in CycloneDX 1.6."""

import json
import os
import uuid
from datetime import datetime, timezone

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.validation.json import JsonStrictValidator
from cyclonedx.schema import SchemaVersion
from packageurl import PackageURL

import tomllib
from crates import is_ours


def make(workspace, dist):
    with (workspace.root / "Cargo.lock").open("rb") as file:
        locked = tomllib.load(file)["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in locked}
    licence = LicenseFactory()
    components = {}
    for package in workspace.linked:
        name, version = package["name"], package["version"]
        checksum = None if is_ours(package) else checksums[name, version]
        components[package["id"]] = Component(
            type=ComponentType.APPLICATION if name == "rivet" else ComponentType.LIBRARY,
            name=name,
            version=version,
            bom_ref=f"{name}@{version}",
            purl=None if is_ours(package) else PackageURL("cargo", None, name, version),
            description=package["description"],
            licenses=[licence.make_from_string(package["license"].replace("/", " OR "))],
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
        )
    bom = Bom()
    program = next(package["id"] for package in workspace.linked if package["name"] == "rivet")
    bom.metadata.component = components[program]
    # The same commit makes the same file.
    bom.metadata.timestamp = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    names = " ".join(sorted(str(component.bom_ref) for component in components.values()))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, f"{bom.metadata.timestamp} {names}")
    for id, component in components.items():
        if id != program:
            bom.components.add(component)
    plugins = [package["id"] for package in workspace.product if package["id"] != program]
    for id, component in components.items():
        needs = workspace.needs[id] + (plugins if id == program else [])
        bom.register_dependency(component, [components[need] for need in needs])
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault:
        raise SystemExit(f"error: the SBOM is not valid: {fault}")
    file = dist / f"rivet-{workspace.version}.cdx.json"
    file.write_text(json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n")
    return file
