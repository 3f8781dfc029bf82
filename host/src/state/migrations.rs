//! How the tables came to be. Each step takes the store from its position to the next.
//!
//! The text is SQLite's; for PostgreSQL it is the same with wider words, see `postgres.rs`.

/// A column that was added without a step. Tables of a greater version are refused by every older rivet; a column that
/// may be NULL and that it does not know of does it no harm, and it goes on using the store beside this one.
pub(super) struct Added {
    pub table: &'static str,
    pub column: &'static str,
}

/// All of them are TEXT.
pub(super) const ADDED: &[Added] = &[
    Added { table: "rivet_watermark", column: "fingerprint_v2" },
    Added { table: "rivet_watermark", column: "seal" },
    Added { table: "rivet_watermark", column: "ties_json" },
    Added { table: "rivet_advance", column: "seal" },
    Added { table: "rivet_run", column: "place_json" },
];

/// Never change a step; append.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE rivet_lease (
        export     TEXT PRIMARY KEY,
        token      INTEGER NOT NULL,
        holder     TEXT NOT NULL,
        expires_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE rivet_run (
        run_id      TEXT PRIMARY KEY,
        export      TEXT NOT NULL,
        plan_id     TEXT NOT NULL,
        started_at  TEXT NOT NULL,
        finished_at TEXT,
        status      TEXT NOT NULL,
        rows        INTEGER,
        bytes       INTEGER,
        error       TEXT
    ) STRICT;
    CREATE INDEX rivet_run_export ON rivet_run (export, run_id);
",
    "
    CREATE TABLE rivet_watermark (
        export      TEXT PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        cursor_json TEXT NOT NULL,
        values_json TEXT NOT NULL,
        run_id      TEXT NOT NULL,
        updated_at  TEXT NOT NULL
    ) STRICT;
    CREATE TABLE rivet_advance (
        export      TEXT NOT NULL,
        step        INTEGER NOT NULL,
        run_id      TEXT,
        fingerprint TEXT NOT NULL,
        cursor_json TEXT NOT NULL,
        from_json   TEXT,
        to_json     TEXT,
        moved_at    TEXT NOT NULL,
        PRIMARY KEY (export, step)
    ) STRICT;
    CREATE TABLE rivet_schema (
        export      TEXT PRIMARY KEY,
        run_id      TEXT NOT NULL,
        schema_json TEXT NOT NULL,
        seen_at     TEXT NOT NULL
    ) STRICT;
    ALTER TABLE rivet_lease ADD COLUMN claim TEXT;
    ALTER TABLE rivet_run ADD COLUMN parts INTEGER;
    ALTER TABLE rivet_run ADD COLUMN retries INTEGER;
    ALTER TABLE rivet_run ADD COLUMN elapsed_ms INTEGER;
    ALTER TABLE rivet_run ADD COLUMN longest_statement_ms INTEGER;
    ALTER TABLE rivet_run ADD COLUMN peak_memory_bytes INTEGER;
",
    "
    ALTER TABLE rivet_run ADD COLUMN at_risk TEXT;
",
];
