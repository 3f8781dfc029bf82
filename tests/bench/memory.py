"""The bench of memory: one and four workers over lineitem, and over a lineitem ten times as large."""

import data
import postgres
import tools
from postgres import FOLDER, SERVER, warm

BARS = [("rss_mb", "rivet 1", None, 150), ("rss_mb", "rivet 4", None, 300)]


def big(scale):
    return f"lineitem_sf{scale:g}".replace(".", "_")


def load(options):
    rows = {}
    for table, scale in (("lineitem", options.scale), (big(options.big_scale), options.big_scale)):
        data.TYPES[table] = data.TYPES["lineitem"]
        rows[table] = postgres.load_lineitem(postgres.url(), table, scale)
    return rows


def expected(path, table):
    """Types and row counts must do: checksums are the other benches' business."""
    return None


def contestants(options, table, rows, scratch):
    def rivet(workers):
        return tools.rivet(options.rivet, scratch, "postgres", postgres.url(), table, workers)

    return [("rivet 1", rivet(1)), ("rivet 4", rivet(4))]


def after(options, results, scratch):
    print(f"\nRSS MB{'scale ' + format(options.scale, 'g'):>16}{'scale ' + format(options.big_scale, 'g'):>16}")
    for tool in ("rivet 1", "rivet 4"):
        found = {row["table"]: row.get("rss_mb") for row in results if row["tool"] == tool}
        both = [found.get("lineitem"), found.get(big(options.big_scale))]
        print(f"{tool:<6}" + "".join(f"{rss:>16.0f}" if rss else f"{'–':>16}" for rss in both))
