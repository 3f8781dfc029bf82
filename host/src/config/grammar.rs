//! The table of keys: what the parser accepts, the JSON Schema and the reference are all made
//! from it.

use super::keys::{Block, Kind, key};

const COUNT: Kind = Kind::Integer(1, i64::MAX);
const SECONDS: Kind = Kind::Integer(0, 31_536_000);
const MEBIBYTES: Kind = Kind::Integer(1, 1 << 30);
const COMPRESSIONS: &[&str] = &["zstd", "snappy", "gzip", "lz4", "none"];
const EVENTS: &[&str] = &["failure", "schema_change", "degraded"];

/// The document.
pub static ROOT: Block = Block {
    path: "",
    doc: "One source, and what is exported from it.",
    open: false,
    keys: &[
        key("source", Kind::Block(&SOURCE), "", "The database rows come from.").required(),
        key("exports", Kind::Blocks(&EXPORT), "", "What is exported; at least one.").required(),
        key("notifications", Kind::Block(&NOTIFICATIONS), "", "Who is told how a run ended."),
        key(
            "parallel_exports",
            Kind::FlagOrInteger(1, 1024),
            "false",
            "How many exports run at the same time, as threads; they begin in the file's order. `true`: as many as \
             the machine has cores, 2 to 8.",
        ),
        key(
            "parallel_export_processes",
            Kind::Bool,
            "false",
            "Accepted for rivet-cli's sake: the same as `parallel_exports`.",
        ),
        key("plugins", Kind::Block(&PLUGINS), "", "Where plugins are found."),
        key(
            "memory_limit_mb",
            Kind::Integer(16, 1 << 30),
            "512",
            "The budget, in MiB, that batches, queues and encoders share.",
        ),
        key("state", Kind::Block(&STATE), "", "Where watermarks, schemas and the history of runs are kept."),
    ],
};

static PLUGINS: Block = Block {
    path: "plugins",
    doc: "Where plugins are found.",
    open: false,
    keys: &[
        key("dirs", Kind::Texts, "", "Folders searched after `--plugin-dir` and `RIVET_PLUGIN_PATH`."),
        key("lock", Kind::Text, "rivet.lock", "The lock file that `--locked` checks against."),
    ],
};

static STATE: Block = Block {
    path: "state",
    doc: "One of `path` and `url`.",
    open: false,
    keys: &[
        key("path", Kind::Text, ".rivet_state.db", "A SQLite file, relative to this file."),
        key("url", Kind::Secret, "", "A PostgreSQL database: `postgresql://…`."),
    ],
};

static NOTIFICATIONS: Block = Block {
    path: "notifications",
    doc: "Who is told how a run ended: after the commit or the failure, whose exit code it never changes. \
          [What is told when](../guides/notifications.md).",
    open: false,
    keys: &[
        key("slack", Kind::Block(&SLACK), "", "A message to a Slack channel."),
        key("webhook", Kind::Block(&WEBHOOK), "", "The run's JSON summary to a URL."),
    ],
};

static SLACK: Block = Block {
    path: "notifications.slack",
    doc: "A message to a Slack channel.",
    open: false,
    keys: &[
        key("webhook_url", Kind::Secret, "", "The incoming webhook: `webhook_url_env` keeps it out of this file."),
        key("on", Kind::Choices(EVENTS), "failure", "What is told."),
    ],
};

static WEBHOOK: Block = Block {
    path: "notifications.webhook",
    doc: "The run's JSON summary to a URL.",
    open: false,
    keys: &[
        key("url", Kind::Secret, "", "Where it is sent by POST; `url_env` keeps it out of this file."),
        key("on", Kind::Choices(EVENTS), "failure", "What is told."),
    ],
};

/// `source`.
pub static SOURCE: Block = Block {
    path: "source",
    doc: "All further keys belong to the plugin, which publishes a JSON Schema of them \
          (`rivet plugin info NAME`). Plugins for servers share `url`, or `host`, `port`, `user`, `password` and \
          `database`; and `tls: {mode, ca_file, client_cert_file, client_key_file, accept_invalid_certs, \
          accept_invalid_hostnames}`.",
    open: true,
    keys: &[
        key("type", Kind::Text, "the URL's scheme", "The plugin's name."),
        key(
            "environment",
            Kind::Choice(&["local", "replica", "production"]),
            "",
            "What is at stake: picks the profile fast, balanced or safe; `production` demands TLS.",
        ),
        key(
            "max_connections",
            Kind::Integer(1, 65_535),
            "",
            "Most connections to the source at once. An export begins when what it needs is free: one with \
             `parallel: 1`, otherwise `parallel` + 1, one more with `adaptive`, one more to reconcile. One that needs \
             more on its own is refused.",
        ),
        key("tuning", Kind::Block(&TUNING), "", "How hard the source may be worked."),
    ],
};

/// `tuning`, of the source and of each export.
pub static TUNING: Block = Block {
    path: "tuning",
    doc: "Stands in `source` and in each export, where it is merged over the source's key by key.",
    open: false,
    keys: &[
        key(
            "profile",
            Kind::Choice(&["fast", "balanced", "safe"]),
            "by source.environment, else balanced",
            "The defaults of the keys below.",
        ),
        key("batch_size", Kind::Integer(1, 1 << 24), "16384", "Most rows of a batch. Its bytes are bounded too."),
        key("batch_size_memory_mb", Kind::Integer(1, 4096), "8", "Most MiB of a batch, instead of `batch_size`."),
        key(
            "throttle_ms",
            Kind::Integer(0, 3_600_000),
            "fast 0, balanced 0, safe 500",
            "Pause after every 10 000 rows, taken between statements.",
        ),
        key(
            "statement_timeout_s",
            SECONDS,
            "fast none, balanced 300, safe 120",
            "Longest a statement may run; 0 is no limit.",
        ),
        key(
            "chunk_deadline_s",
            SECONDS,
            "four times statement_timeout_s, at least 600",
            "Longest a try of a chunk may take before its worker is given up as hanging; 0 is no limit.",
        ),
        key("lock_timeout_s", SECONDS, "fast none, balanced 30, safe 10", "Longest wait for a lock; 0 is no limit."),
        key("max_retries", Kind::Integer(0, 1000), "fast 1, balanced 3, safe 5", "Tries of a chunk after the first."),
        key(
            "retry_backoff_ms",
            Kind::Integer(0, 3_600_000),
            "fast 1000, balanced 2000, safe 5000",
            "The first pause before a retry; it doubles.",
        ),
        key("memory_threshold_mb", Kind::Integer(0, 1 << 30), "", "Memory never exceeds `memory_limit_mb`.").accepted(),
        key("max_batch_memory_mb", Kind::Integer(1, 1 << 20), "", "An upper limit of a batch's MiB."),
        key(
            "on_batch_memory_exceeded",
            Kind::Choice(&["warn", "fail", "auto_shrink"]),
            "",
            "Batches are cut before they exceed it.",
        )
        .accepted(),
        key(
            "adaptive",
            Kind::Bool,
            "false",
            "Let the source's pressure decide how many of `parallel` workers may take a chunk; one connection more.",
        ),
        key("min_parallel", Kind::Integer(1, 1024), "1", "Fewest workers under `adaptive`; at most `parallel` count."),
        key(
            "max_value_mb",
            Kind::Integer(1, 2047),
            "64",
            "A larger single value is refused by name. Three times it must fit `memory_limit_mb`.",
        ),
    ],
};

/// `exports[]`.
pub static EXPORT: Block = Block {
    path: "exports[]",
    doc: "One table or query, its format and its destination.",
    open: false,
    keys: &[
        key(
            "name",
            Kind::Text,
            "",
            "Unique; names the export's files and its state. With `tables` it holds `{table}`.",
        )
        .required(),
        key(
            "table",
            Kind::Text,
            "",
            "`orders`, `public.orders`, `public.\"Order-Items\"`. One of table, query, query_file.",
        ),
        key("query", Kind::Text, "", "One SELECT statement."),
        key("query_file", Kind::Text, "", "A file with one SELECT statement, relative to this file."),
        key(
            "tables",
            Kind::Texts,
            "",
            "Globs over `table` and `schema.table`: an export for each match. A glob that begins with `!` leaves \
             matches out; a view is taken only where it is named in full; of MySQL's databases those beside the one \
             that the source names, only where the glob names them. A partition or child of another match is left out, \
             for its rows come with that one, unless it is named in full. `columns`, `exclude` and `rename` hold for \
             the tables that have the column. `name` and the destination's path hold `{table}`.",
        ),
        key("mode", Kind::Choice(&["full", "incremental", "chunked", "time_window"]), "full", "Which rows."),
        key("format", Kind::Choice(&["parquet", "csv"]), "", "The file format.").required(),
        key("destination", Kind::Block(&DESTINATION), "", "Where the files go.").required(),
        key(
            "cursor_column",
            Kind::TextOrTexts,
            "",
            "incremental: the column, or columns, that grow: `[updated_at, id]`.",
        ),
        key("cursor_fallback_column", Kind::Text, "", "incremental: used where the cursor is NULL."),
        key(
            "incremental_cursor_mode",
            Kind::Choice(&["single_column", "coalesce"]),
            "single_column",
            "incremental: coalesce is implied by `cursor_fallback_column`.",
        ),
        key("settle", Kind::Duration, "", "incremental: how far the upper bound stays behind now."),
        key(
            "on_null_cursor",
            Kind::Choice(&["fail", "include", "skip"]),
            "fail",
            "incremental: rows without a cursor; `include` takes them with the first run.",
        ),
        key(
            "on_cursor_ties",
            Kind::Choice(&["fail", "again", "leave"]),
            "fail",
            "incremental: later rows with the watermark's own value, where they cannot be told from those delivered.",
        ),
        key(
            "chunk_by",
            Kind::Choice(&["auto", "range", "keyset", "days", "native", "none"]),
            "auto",
            "How the table is cut into chunks.",
        ),
        key("chunk_column", Kind::Text, "found", "The column ranges are cut by."),
        key("chunk_size", COUNT, "100000", "Rows of a chunk, about."),
        key("chunk_count", Kind::Integer(1, 1_000_000), "", "Number of chunks, about; wins over `chunk_size`."),
        key("chunk_size_memory_mb", MEBIBYTES, "", "MiB of a chunk, about; instead of `chunk_size`."),
        key("chunk_by_days", COUNT, "", "Days of a chunk."),
        key("chunk_by_key", Kind::TextOrTexts, "", "The unique key chunks are cut by."),
        key("chunk_dense", Kind::Bool, "false", "Chunks are balanced by rows, with or without it.").accepted(),
        key("chunk_checkpoint", Kind::Bool, "false", "Every chunk is checkpointed, with or without it.").accepted(),
        key("chunk_max_attempts", Kind::Integer(1, 1000), "max_retries + 1", "Tries of a chunk, the first included."),
        key("parallel", Kind::Integer(1, 1024), "1", "Workers, each with its own connection."),
        key("time_column", Kind::Text, "", "time_window: the column."),
        key(
            "time_column_type",
            Kind::Choice(&["timestamp", "unix"]),
            "timestamp",
            "time_window: unix is seconds since 1970.",
        ),
        key("days_window", COUNT, "", "time_window: from midnight UTC this many days back."),
        key(
            "partition_by",
            Kind::Text,
            "",
            "The column of Hive folders; what a path or a reader misreads in a value is `%XX`, blanks at its ends too.",
        ),
        key("partition_granularity", Kind::Choice(&["day", "month", "year"]), "day", "With `partition_by`."),
        key("compression", Kind::Choice(COMPRESSIONS), "zstd", "The codec. CSV takes gzip, zstd or none."),
        key("compression_level", Kind::Integer(0, 22), "zstd 3, gzip 6", "gzip 0 to 9, zstd 1 to 22."),
        key(
            "compression_profile",
            Kind::Choice(&["none", "fast", "balanced", "compact"]),
            "",
            "none, snappy, zstd 3 or zstd 9; wins over the two above. `fast` CSV is gzip 1.",
        ),
        key("parquet", Kind::Block(&PARQUET), "", "Parquet options."),
        key("csv", Kind::Block(&CSV), "RFC 4180", "CSV options."),
        key("max_file_size", Kind::Size, "", "`256MB`, `1GB`: a chunk may write several files. MB is a million bytes."),
        key("skip_empty", Kind::Bool, "false", "Write no file for an export without rows."),
        key(
            "columns",
            Kind::TextByName,
            "",
            "`name: type`, where the type is bool, int2, int4, int8, float4, float8, decimal(p,s), date, time, \
             timestamp, timestamp_ns, timestamp_tz, timestamp_tz_ns, duration, text, binary, json, uuid or a usual \
             synonym.",
        ),
        key("exclude", Kind::Texts, "", "Columns to leave out."),
        key("rename", Kind::TextByName, "", "`name: new name` in the file."),
        key("meta_columns", Kind::Block(&META_COLUMNS), "", "Columns rivet adds."),
        key("quality", Kind::Block(&QUALITY), "", "Checks before the commit."),
        key(
            "on_schema_drift",
            Kind::Choice(&["warn", "continue", "fail"]),
            "warn",
            "Columns that are not those of the last run; `fail` refuses before a row is read (exit 4).",
        ),
        key(
            "shape_drift_warn_factor",
            Kind::Number(0.0),
            "2.0",
            "Warns where a text or binary column's longest value is more than so many times that of earlier runs; 0: \
             never.",
        ),
        key("verify", Kind::Choice(&["size", "content"]), "size", "content: every file is read back and compared."),
        key("tuning", Kind::Block(&TUNING), "", "Merged over the source's, key by key."),
        key(
            "source_group",
            Kind::Text,
            "",
            "Exports of one group share a server that shall not serve two at once: with `parallel_exports` they run \
             one after the other, in the file's order, beside the others.",
        ),
        key("reconcile_required", Kind::Bool, "false", "Every run as with `--reconcile`: counts are compared."),
        key(
            "target",
            Kind::Choice(&["bigquery", "snowflake", "duckdb", "clickhouse"]),
            "",
            "Advice on types and names.",
        ),
        key("write_mode", Kind::Choice(&["append", "replace"]), "append", "replace: earlier runs' files are removed."),
        key("consistency", Kind::Choice(&["snapshot", "per_chunk", "auto"]), "auto", "What the chunks share."),
        key(
            "on_unrepresentable",
            Kind::Choice(&["fail", "null"]),
            "fail",
            "A value that the column's type cannot hold: stop, or write NULL and count it.",
        ),
        key("order_by", Kind::TextOrTexts, "", "Columns the rows of a chunk are sorted by."),
    ],
};

/// `exports[].destination`.
pub static DESTINATION: Block = Block {
    path: "exports[].destination",
    doc: "All further keys belong to the plugin, which publishes a JSON Schema of them (`rivet plugin info NAME`).",
    open: true,
    keys: &[
        key("type", Kind::Text, "", "`local`, `stdout`, or a plugin's name.").required(),
        key(
            "path",
            Kind::Text,
            "",
            "local: a folder, relative to the working directory; `~` is the user's home. `{date}`, `{export}`, `{table}`, \
             `{run_id}` and `{partition}` expand.",
        ),
        key("prefix", Kind::Text, "", "Object stores: what keys begin with. The same tokens expand."),
    ],
};

/// `exports[].parquet`.
pub static PARQUET: Block = Block {
    path: "exports[].parquet",
    doc: "Parquet options.",
    open: false,
    keys: &[
        key(
            "row_group_strategy",
            Kind::Choice(&["auto", "fixed_rows", "fixed_memory"]),
            "auto",
            "auto and fixed_memory end a row group by its bytes, fixed_rows by `row_group_rows`.",
        ),
        key("row_group_rows", Kind::Integer(1, 1 << 31), "", "Rows of a row group."),
        key("target_row_group_mb", Kind::Integer(1, 4096), "64", "MiB of a row group, about."),
        key("max_row_group_mb", Kind::Integer(1, 4096), "", "An upper limit of it."),
        key("page_size_kb", Kind::Integer(1, 1 << 20), "1024", "KiB of a data page before compression."),
        key("dictionary", Kind::Bool, "by the data", "Force dictionaries on or off for all columns."),
        key("bloom_filters", Kind::Texts, "", "Columns with a bloom filter, by their names in the file."),
        key("statistics", Kind::Choice(&["none", "chunk", "page"]), "page", "How fine statistics are."),
        key("sorting", Kind::Texts, "", "Columns the file is declared to be sorted by."),
    ],
};

/// `exports[].csv`.
pub static CSV: Block = Block {
    path: "exports[].csv",
    doc: "CSV options; RFC 4180 without any. An empty text is quoted, NULL is not.",
    open: false,
    keys: &[
        key("delimiter", Kind::Character, ",", "Between fields; one ASCII character."),
        key("quote", Kind::Character, "\"", "Around fields; one ASCII character."),
        key("quoting", Kind::Choice(&["minimal", "all"]), "minimal", "Which values are quoted."),
        key("null", Kind::Text, "nothing", "What NULL looks like; never quoted."),
        key("header", Kind::Bool, "true", "Whether the first line holds the names."),
        key("line_ending", Kind::Choice(&["crlf", "lf"]), "crlf", "What ends a line."),
    ],
};

/// `exports[].meta_columns`.
pub static META_COLUMNS: Block = Block {
    path: "exports[].meta_columns",
    doc: "Columns rivet adds.",
    open: false,
    keys: &[
        key("exported_at", Kind::Bool, "false", "`_rivet_exported_at`: when the run's plan was made."),
        key("row_hash", Kind::Bool, "false", "`_rivet_row_hash`: xxh3 of the row's values."),
    ],
};

static QUALITY: Block = Block {
    path: "exports[].quality",
    doc: "Checks before the commit; a failure exits 3.",
    open: false,
    keys: &[
        key("row_count_min", Kind::Integer(0, i64::MAX), "", "Fewest rows."),
        key("row_count_max", Kind::Integer(0, i64::MAX), "", "Most rows."),
        key("null_ratio_max", Kind::NumberByName, "", "Largest share of NULLs, by column."),
        key("unique_columns", Kind::Texts, "", "Columns in each of which no value may come twice; NULL may."),
        key("unique_max_entries", COUNT, "1000000", "Most distinct values compared for it."),
    ],
};
