"""validate.py SCHEMA FILE...: every FILE against the JSON Schema in SCHEMA, by a validator that is not ours.

A key that the schema does not describe is an error here, although readers shall ignore it: the schema is
to say all that rivet writes.
"""

import json
import sys

from jsonschema import Draft202012Validator


def with_siblings(node, found):
    """Names of definitions that are referred to beside other keywords: their objects hold more keys."""
    if isinstance(node, dict):
        if "$ref" in node and "properties" in node:
            found.add(node["$ref"].rsplit("/", 1)[-1])
        for value in node.values():
            with_siblings(value, found)
    elif isinstance(node, list):
        for value in node:
            with_siblings(value, found)
    return found


def close(schema):
    """Lets no object hold other keys than the schema's."""
    shared = with_siblings(schema, set())

    def walk(node):
        if isinstance(node, dict):
            if "properties" in node and "additionalProperties" not in node:
                node["unevaluatedProperties"] = False
            for value in list(node.values()):
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    for name, definition in schema.get("$defs", {}).items():
        if name in shared:
            for value in definition.get("properties", {}).values():
                walk(value)
        else:
            walk(definition)
    walk({key: value for key, value in schema.items() if key != "$defs"})
    if "properties" in schema:
        schema["unevaluatedProperties"] = False


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    Draft202012Validator.check_schema(schema)
    close(schema)
    validator = Draft202012Validator(schema)
    wrong = 0
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        for error in validator.iter_errors(document):
            wrong += 1
            print(f"{path}: {error.json_path}: {error.message}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


main()
