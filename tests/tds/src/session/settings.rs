//! SET options.

use rusqlite::types::Value;

use super::run::{Frame, Outcome};
use super::state::Session;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Setting;
use crate::tokens;

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
    /// The table that takes explicit identities.
    pub identity_insert: Option<i32>,
    /// Options that are on, by their names.
    pub on: Vec<String>,
}

/// Languages: DATEFORMAT, DATEFIRST. A login of a language's name speaks it by default.
pub const LANGUAGES: [(&str, &str, i64); 4] =
    [("us_english", "mdy", 7), ("Deutsch", "dmy", 1), ("British", "dmy", 1), ("Svenska", "ymd", 1)];

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
            identity_insert: None,
            on: on.map(str::to_owned).to_vec(),
        }
    }
}

impl Settings {
    /// Takes a language with its own DATEFORMAT and DATEFIRST; one that is not known changes nothing.
    pub fn speak(&mut self, language: &str) {
        if let Some((name, format, first)) = LANGUAGES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(language)) {
            self.language = (*name).to_owned();
            self.date_format = (*format).to_owned();
            self.date_first = *first;
        }
    }

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

/// A SET statement.
pub fn set(session: &mut Session, names: &[String], setting: &Setting, frame: &Frame) -> Outcome {
    let swallowed = session.login.eq_ignore_ascii_case("swallow")
        || session.shared.faults.strike(crate::faults::Kind::Swallow, &session.database.name, session.spid).is_some();
    let first = names.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
    if first == "IDENTITY_INSERT" {
        let env = session.env(&frame.variables)?;
        let (table, before) = names[1..].split_last().ok_or_else(|| SqlError::syntax("IDENTITY_INSERT"))?;
        let found = env
            .meta
            .object(before.last().map(String::as_str), table)
            .ok_or_else(|| SqlError::new(1088, format!("Cannot find the object \"{table}\".")))?;
        session.settings.identity_insert = matches!(setting, Setting::On).then(|| found.id());
        session.done(0, 0, 0);
        return Ok(());
    }
    let value = match setting {
        Setting::Value(expr) => Some(super::value::evaluate(session, expr, frame)?.1),
        Setting::Word(word) => Some(Value::Text(word.clone())),
        _ => None,
    };
    let mut changed = session.settings.clone();
    for name in names {
        change(&mut changed, &name.to_ascii_uppercase(), setting, value.as_ref())?;
    }
    if !swallowed {
        let language = changed.language != session.settings.language;
        let old = std::mem::replace(&mut session.settings, changed);
        let timeout = session.settings.lock_timeout;
        session.engine.set_lock_timeout(timeout)?;
        if language {
            let new = session.settings.language.clone();
            tokens::environment(session.tokens(), 2, &new, &old.language);
            tokens::info(session.tokens(), 5703, 0, &format!("Changed language setting to {new}."));
        }
        session.publish();
    }
    session.done(0, 0, 0);
    Ok(())
}

fn change(settings: &mut Settings, name: &str, setting: &Setting, value: Option<&Value>) -> SqlResult<()> {
    let on = match setting {
        Setting::On => Some(true),
        Setting::Off => Some(false),
        _ => None,
    };
    let known = OPTIONS.iter().any(|(known, _)| *known == name) || OTHERS.contains(&name);
    if let Some(on) = on {
        if !known {
            return Err(SqlError::new(195, format!("'{name}' is not a recognized SET option.")).class(15));
        }
        settings.switch(name, on);
        return Ok(());
    }
    let wrong = || SqlError::new(1087, format!("SET {name} does not take this value."));
    let number = match value {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    };
    let word = match value {
        Some(Value::Text(word)) => Some(word.to_ascii_uppercase()),
        _ => None,
    };
    match name {
        "ISOLATION" => {
            settings.isolation = match word.as_deref() {
                Some("READ UNCOMMITTED") => 1,
                Some("READ COMMITTED") => 2,
                Some("REPEATABLE READ") => 3,
                Some("SERIALIZABLE") => 4,
                Some("SNAPSHOT") => 5,
                _ => return Err(wrong()),
            };
        }
        "LOCK_TIMEOUT" => settings.lock_timeout = number.ok_or_else(wrong)?,
        "TEXTSIZE" => {
            let size = number.ok_or_else(wrong)?;
            settings.text_size = if size == 0 { 4096 } else { size };
        }
        "ROWCOUNT" => settings.row_count = number.ok_or_else(wrong)?,
        "DATEFIRST" => settings.date_first = number.filter(|number| (1..=7).contains(number)).ok_or_else(wrong)?,
        "DEADLOCK_PRIORITY" => {
            settings.deadlock_priority = match (word.as_deref(), number) {
                (Some("LOW"), _) => -5,
                (Some("NORMAL"), _) => 0,
                (Some("HIGH"), _) => 5,
                (_, Some(number)) if (-10..=10).contains(&number) => number,
                _ => return Err(wrong()),
            };
        }
        "LANGUAGE" => match word.as_deref() {
            Some("ENGLISH") => settings.speak("us_english"),
            Some(word) if LANGUAGES.iter().any(|(name, ..)| name.eq_ignore_ascii_case(word)) => settings.speak(word),
            _ => return Err(SqlError::unsupported("a language that is not among those of the tests")),
        },
        "DATEFORMAT" => match word.as_deref() {
            Some("MDY" | "YMD" | "DMY") => settings.date_format = word.unwrap_or_default().to_ascii_lowercase(),
            _ => return Err(SqlError::unsupported("any date format but mdy, ymd and dmy")),
        },
        "CONTEXT_INFO" | "QUERY_GOVERNOR_COST_LIMIT" => {}
        _ => return Err(SqlError::new(195, format!("'{name}' is not a recognized SET option.")).class(15)),
    }
    Ok(())
}
