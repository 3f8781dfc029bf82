//! What the server tells a client that did something wrong.

use std::fmt;

/// An ERROR token to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    pub number: i32,
    pub state: u8,
    pub class: u8,
    pub message: String,
    pub line: u32,
}

pub type SqlResult<T> = Result<T, SqlError>;

impl SqlError {
    /// Severity 16: the statement is wrong.
    pub fn new(number: i32, message: impl Into<String>) -> Self {
        Self { number, state: 1, class: 16, message: message.into(), line: 1 }
    }

    pub fn class(mut self, class: u8) -> Self {
        self.class = class;
        self
    }

    pub fn state(mut self, state: u8) -> Self {
        self.state = state;
        self
    }

    /// 102: this is not T-SQL, or not T-SQL that this server understands.
    pub fn syntax(near: impl fmt::Display) -> Self {
        Self::new(102, format!("Incorrect syntax near '{near}'.")).class(15)
    }

    /// 102 for what SQL Server knows and this server does not.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(102, format!("The test server does not understand {what}.")).class(15)
    }

    pub fn invalid_object(name: impl fmt::Display) -> Self {
        Self::new(208, format!("Invalid object name '{name}'."))
    }

    pub fn invalid_column(name: impl fmt::Display) -> Self {
        Self::new(207, format!("Invalid column name '{name}'."))
    }

    pub fn conversion(from: impl fmt::Display, to: impl fmt::Display) -> Self {
        Self::new(245, format!("Conversion failed when converting the {from} value to data type {to}."))
    }

    pub fn overflow(to: impl fmt::Display) -> Self {
        Self::new(8115, format!("Arithmetic overflow error converting expression to data type {to}.")).state(2)
    }

    /// A way through SQLite, which carries only text.
    pub fn packed(&self) -> String {
        format!("{PACKED}{}:{}:{}:{}", self.number, self.state, self.class, self.message)
    }

    fn unpacked(text: &str) -> Option<Self> {
        let mut parts = text.split_once(PACKED)?.1.splitn(4, ':');
        let (number, state, class) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            number: number.parse().ok()?,
            state: state.parse().ok()?,
            class: class.parse().ok()?,
            message: parts.next()?.to_owned(),
            line: 1,
        })
    }
}

const PACKED: &str = "\u{1}tds:";

impl fmt::Display for SqlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.packed())
    }
}

impl std::error::Error for SqlError {}

impl From<SqlError> for rusqlite::Error {
    fn from(error: SqlError) -> Self {
        rusqlite::Error::UserFunctionError(Box::new(error))
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        if let Some(error) = Self::unpacked(&text) {
            return error;
        }
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::new(1222, "Lock request time out period exceeded.").state(51)
            }
            Some(ErrorCode::ConstraintViolation) if text.contains("NOT NULL") => Self::new(
                515,
                format!("Cannot insert the value NULL into a column; column does not allow nulls. {text}"),
            )
            .state(2),
            Some(ErrorCode::ConstraintViolation) => {
                Self::new(2627, format!("Violation of a UNIQUE or PRIMARY KEY constraint. {text}")).class(14)
            }
            _ => Self::new(50000, format!("The engine below the test server says: {text}")),
        }
    }
}
