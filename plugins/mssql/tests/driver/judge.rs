//! The judge: the same cells through the crate `tiberius`, written as [`rivet_testkit::text`] writes an Arrow value.
//!
//! No line of the driver's decoder is in their way; what is done here is arithmetic on days and fractions of a second.

use rivet_sdk::arrow_schema::{DataType, TimeUnit};
use tiberius::ColumnData;
use tiberius::numeric::Numeric;
use tiberius::time::time::Date;
use tiberius::time::{DateTime2, Time};

use crate::support::Database;

/// From 0001-01-01 and from 1900-01-01 to 1970-01-01.
const DAYS_FROM_YEAR_1: i64 = 719_162;
const DAYS_FROM_1900: i64 = 25_567;
/// 0001-01-01.
const JULIAN_YEAR_1: i32 = 1_721_426;
const DAY_NANOS: i64 = 86_400_000_000_000;
/// How the names of UTF-8 collations end.
pub const UTF8: &str = "_UTF8";
/// `tiberius` makes a 64-bit float of money: below this, its four decimals are certain.
const EXACT_MONEY: f64 = 99_999_999_999.0;

/// What the column `v`, of the type `of`, is in each row of `table`, in the order of its column `n`, where the export
/// makes `arrow` of it. None is not judged: an amount of money that a float has no digits for.
pub fn cells(database: &Database, table: &str, of: &str, arrow: &DataType) -> Vec<Option<String>> {
    let value = match of {
        // `tiberius` gives the serialized object of the CLR; what the driver is asked for is its standard form.
        "hierarchyid" => "v.ToString() AS v",
        "geometry" | "geography" => "v.STAsBinary() AS v",
        // It reads the bytes of a UTF-8 collation in the code page of the collation's language.
        _ if of.ends_with(UTF8) => "CAST(v AS nvarchar(4000)) AS v",
        _ => "v",
    };
    let rows = database.rows(&format!("SELECT {value} FROM {table} ORDER BY n"));
    let form = Form { money: of.ends_with("money"), text: *arrow == DataType::Utf8, nanos: is_nanos(arrow) };
    rows.iter().map(|row| form.cell(row.cells().next().unwrap().1)).collect()
}

fn is_nanos(arrow: &DataType) -> bool {
    matches!(arrow, DataType::Time64(TimeUnit::Nanosecond) | DataType::Timestamp(TimeUnit::Nanosecond, _))
}

struct Form {
    money: bool,
    /// A variant's, whose values are all texts.
    text: bool,
    nanos: bool,
}

impl Form {
    fn cell(&self, data: &ColumnData<'_>) -> Option<String> {
        use ColumnData as C;
        let text = match data {
            C::U8(value) => value.map(|value| value.to_string()),
            C::I16(value) => value.map(|value| value.to_string()),
            C::I32(value) => value.map(|value| value.to_string()),
            C::I64(value) => value.map(|value| value.to_string()),
            C::F32(value) => value.map(|value| value.to_string()),
            C::F64(Some(value)) if self.money => {
                return (value.abs() < EXACT_MONEY).then(|| format!("{value:.4}"));
            }
            C::F64(value) => value.map(|value| value.to_string()),
            C::Bit(value) => value.map(|value| if self.text { u8::from(value).to_string() } else { value.to_string() }),
            C::String(value) => value.as_ref().map(|value| value.to_string()),
            C::Xml(value) => value.as_ref().map(|value| value.as_ref().as_ref().to_owned()),
            C::Guid(value) => value.map(|value| value.simple().to_string()),
            C::Binary(value) => value.as_ref().map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            C::Numeric(value) => value.map(digits),
            C::Date(value) => value.map(|date| (i64::from(date.days()) - DAYS_FROM_YEAR_1).to_string()),
            C::Time(value) => value.map(|time| self.fraction(nanos(time))),
            // Days since 1900, and three-hundredths of a second, which the server prints as milliseconds.
            C::DateTime(value) => value.map(|value| {
                let millis = (i64::from(value.seconds_fragments()) * 10 + 1) / 3;
                self.moment(i64::from(value.days()) - DAYS_FROM_1900, millis * 1_000_000)
            }),
            C::SmallDateTime(value) => value.map(|value| {
                let minutes = i64::from(value.seconds_fragments());
                self.moment(i64::from(value.days()) - DAYS_FROM_1900, minutes * 60_000_000_000)
            }),
            C::DateTime2(Some(value)) if self.text => Some(printed(*value)),
            C::DateTime2(value) => value.map(|value| self.both(value)),
            C::DateTimeOffset(value) => value.map(|value| self.both(value.datetime2())),
        };
        Some(text.unwrap_or_else(|| "∅".to_owned()))
    }

    fn both(&self, value: DateTime2) -> String {
        self.moment(i64::from(value.date().days()) - DAYS_FROM_YEAR_1, nanos(value.time()))
    }

    fn moment(&self, days: i64, nanos: i64) -> String {
        let [days, nanos, day] = [days, nanos, DAY_NANOS].map(i128::from);
        let since = days * day + nanos;
        (if self.nanos { since } else { since.div_euclid(1000) }).to_string()
    }

    fn fraction(&self, nanos: i64) -> String {
        (if self.nanos { nanos } else { nanos / 1000 }).to_string()
    }
}

fn nanos(time: Time) -> i64 {
    i64::try_from(time.increments()).unwrap() * 10_i64.pow(9 - u32::from(time.scale()))
}

fn digits(value: Numeric) -> String {
    let scale = usize::from(value.scale());
    let sign = if value.value() < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", value.value().unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// As the server prints a datetime2.
fn printed(value: DateTime2) -> String {
    let date = Date::from_julian_day(i32::try_from(value.date().days()).unwrap() + JULIAN_YEAR_1).unwrap();
    let (time, scale) = (value.time(), usize::from(value.time().scale()));
    let unit = 10_u64.pow(u32::from(time.scale()));
    let (seconds, fraction) = (time.increments() / unit, time.increments() % unit);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{date} {hour:02}:{minute:02}:{second:02}.{fraction:0scale$}")
}
