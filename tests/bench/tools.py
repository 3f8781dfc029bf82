"""What the databases' benches share: where things are, and the command that exports a table with rivet."""

import glob
import os

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def rivet(binary, scratch, source, url, table, workers, ours=True, destination="{{type: local, path: {folder}}}"):
    """make(folder): the command, or a text saying why there is none.

    Plain `full` for one worker; range chunks over the key for more. rivet-cli (not `ours`) is told the same."""

    def make(folder):
        if not os.path.exists(binary):
            return f"{os.path.relpath(binary, ROOT)} is not there"
        lines = [
            "source:",
            f"  type: {source}",
            f"  url: {url}",
            "  tls: {mode: disable}",
            "  tuning: {profile: fast}",
            "exports:",
            f"  - name: {table}",
            f"    table: {table}" if ours else f'    query: "SELECT * FROM {table}"',
            "    format: parquet",
            "    compression: zstd",
            "    compression_level: 3",
            f"    destination: {destination.format(folder=folder)}",
        ]
        if workers == 1:
            lines.append("    mode: full")
        else:
            key = "id" if table == "wide" else "l_orderkey"
            lines += ["    mode: chunked", f"    chunk_column: {key}", f"    parallel: {workers}"]
            lines.append(f"    chunk_count: {workers * 4}")
        config = os.path.join(scratch, "rivet.yaml")
        with open(config, "w") as file:
            file.write("\n".join(lines) + "\n")
        # The state is kept beside the configuration: none is left from the round before.
        for state in glob.glob(os.path.join(scratch, ".rivet_state*")):
            os.remove(state)
        return [binary, "run", "-c", config]

    return make
