//! SET options.

/// A session's options, as a client's login leaves them.
#[derive(Debug, Clone)]
pub struct Settings {
    pub isolation: i64,
    pub lock_timeout: i64,
    pub deadlock_priority: i64,
    pub text_size: i64,
    pub language: String,
    pub date_format: String,
    pub date_first: i64,
    pub row_count: i64,
    pub no_count: bool,
    /// Options that are on, by their names.
    pub on: Vec<String>,
}

/// Those with a bit in @@OPTIONS.
pub const OPTIONS: [(&str, i64); 12] = [
    ("IMPLICIT_TRANSACTIONS", 2),
    ("CURSOR_CLOSE_ON_COMMIT", 4),
    ("ANSI_WARNINGS", 8),
    ("ANSI_PADDING", 16),
    ("ANSI_NULLS", 32),
    ("ARITHABORT", 64),
    ("ARITHIGNORE", 128),
    ("QUOTED_IDENTIFIER", 256),
    ("NOCOUNT", 512),
    ("ANSI_NULL_DFLT_ON", 1024),
    ("CONCAT_NULL_YIELDS_NULL", 4096),
    ("XACT_ABORT", 16384),
];

/// Those without.
pub const OTHERS: [&str; 10] = [
    "NUMERIC_ROUNDABORT",
    "ANSI_NULL_DFLT_OFF",
    "ANSI_DEFAULTS",
    "FMTONLY",
    "NOEXEC",
    "PARSEONLY",
    "STATISTICS",
    "SHOWPLAN_ALL",
    "REMOTE_PROC_TRANSACTIONS",
    "FORCEPLAN",
];

impl Default for Settings {
    fn default() -> Self {
        let on = ["ANSI_WARNINGS", "ANSI_PADDING", "ANSI_NULLS", "QUOTED_IDENTIFIER", "CONCAT_NULL_YIELDS_NULL"];
        Self {
            isolation: 2,
            lock_timeout: -1,
            deadlock_priority: 0,
            text_size: 4096,
            language: "us_english".to_owned(),
            date_format: "mdy".to_owned(),
            date_first: 7,
            row_count: 0,
            no_count: false,
            on: on.map(str::to_owned).to_vec(),
        }
    }
}

impl Settings {
    pub fn is_on(&self, name: &str) -> bool {
        self.on.iter().any(|on| on.eq_ignore_ascii_case(name))
    }

    pub fn switch(&mut self, name: &str, on: bool) {
        self.on.retain(|known| !known.eq_ignore_ascii_case(name));
        if on {
            self.on.push(name.to_ascii_uppercase());
        }
        if name.eq_ignore_ascii_case("NOCOUNT") {
            self.no_count = on;
        }
    }

    /// @@OPTIONS.
    pub fn bits(&self) -> i64 {
        OPTIONS.iter().filter(|(name, _)| self.is_on(name)).map(|(_, bit)| bit).sum()
    }
}
