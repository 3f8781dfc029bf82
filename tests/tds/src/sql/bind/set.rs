//! Variables of the system, and what an assignment binds.

use rusqlite::types::Value;

use super::{Binder, Bound};
use crate::error::{SqlError, SqlResult};
use crate::types::{Kind, Type};

/// @@VERSION.
pub const VERSION: &str = "Microsoft SQL Server 2019 (RTM-CU30) (KB5049235) - 15.0.4430.1 (X64) \n\tNov  1 2024 00:00:00 \n\t\
    Copyright (C) 2019 Microsoft Corporation\n\tDeveloper Edition (64-bit) on Linux (rivet-tds)";

impl Binder<'_> {
    /// `@@name`
    pub fn system_variable(&mut self, name: &str) -> SqlResult<Bound> {
        let env = self.env.clone();
        let int = |value: i64| (Type::new(Kind::Int), Value::Integer(value));
        let text = |value: String| (Type::of_length(Kind::NVarChar, 128), Value::Text(value));
        if name.eq_ignore_ascii_case("TEXTSIZE") && env.differs(crate::faults::Kind::LacksTextSize) {
            return Err(SqlError::new(137, "Must declare the scalar variable \"@@TEXTSIZE\".").class(15).state(2));
        }
        let (ty, value) = match name.to_ascii_uppercase().as_str() {
            "SPID" => (Type::new(Kind::SmallInt), Value::Integer(i64::from(env.spid))),
            "CONNECTIONS" => int(env.shared.connections()),
            "TRANCOUNT" => int(env.open_transactions),
            "ROWCOUNT" => int(env.last_rows),
            "ERROR" => int(i64::from(env.last_error)),
            "OPTIONS" => int(env.settings.bits()),
            "LOCK_TIMEOUT" => int(env.settings.lock_timeout),
            "TEXTSIZE" => int(if env.settings.text_size < 0 { i64::from(i32::MAX) } else { env.settings.text_size }),
            "DATEFIRST" => (Type::new(Kind::TinyInt), Value::Integer(env.settings.date_first)),
            "MAX_PRECISION" => (Type::new(Kind::TinyInt), Value::Integer(38)),
            "LANGUAGE" => text(env.settings.language.clone()),
            "SERVERNAME" => text("rivet-tds".to_owned()),
            "SERVICENAME" => text("MSSQLSERVER".to_owned()),
            "VERSION" => (Type::of_length(Kind::NVarChar, 300), Value::Text(VERSION.to_owned())),
            "MICROSOFTVERSION" => int(0x0f00_114e),
            _ => {
                return Err(SqlError::new(137, format!("Must declare the scalar variable \"@@{name}\"."))
                    .class(15)
                    .state(2));
            }
        };
        let sql = self.parameter(value);
        Ok(Bound::new(sql, ty))
    }
}
