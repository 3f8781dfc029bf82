//! Rows that were committed too late: after the run that passed their cursor.
//!
//! Each run with a `settle` counts the rows of the last such span before its bound, and the next run counts
//! the same span again. Where it finds more, a transaction took longer than `settle` says.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rivet_sdk::{Bound, Condition, ExportRequest, Result, Scalar, Source, TypeMapping};

use super::moment::temporal;
use crate::plan::Recount;

/// The rows of an export, and the cursor in them.
pub(super) struct Rows<'a> {
    /// All of them.
    pub whole: ExportRequest,
    /// The first column of the cursor.
    pub first: &'a TypeMapping,
    /// Its condition from one position to another.
    pub range: &'a dyn Fn(Option<Bound>, Option<Bound>) -> Condition,
    /// The cursor is a COALESCE, which has one value only.
    pub coalesced: bool,
}

impl Rows<'_> {
    /// What the next run is to count again; None where the greatest row has no time.
    pub fn count(&self, source: &mut dyn Source, to: &[Scalar], settle_ms: u64) -> Result<Option<Recount>> {
        let settle = SignedDuration::from_millis(i64::try_from(settle_ms).unwrap_or(i64::MAX));
        let begin = to.first().and_then(moment).and_then(|moment| moment.checked_sub(settle).ok());
        let Some(begin) = begin else { return Ok(None) };
        let Some(after) = temporal(self.first, begin)? else { return Ok(None) };
        let rows = source.count(&self.between(&after, to))?;
        Ok(Some(Recount { after, rows }))
    }

    /// Why rows are missing, if more are there now than the last run counted up to its end, `from`.
    pub fn late(&self, source: &mut dyn Source, before: &Recount, from: &[Scalar]) -> Result<Option<String>> {
        let now = source.count(&self.between(&before.after, from))?;
        let more = now.saturating_sub(before.rows);
        let rows = if more == 1 { "row" } else { "rows" };
        Ok((more > 0).then(|| {
            format!(
                "late commits: {more} {rows} up to the watermark, or more, were not there when the last run counted: a \
                 transaction took longer than `settle`; `rivet state reset` has the next run take every row again, a \
                 longer `settle` keeps it from happening"
            )
        }))
    }

    fn between(&self, after: &Scalar, to: &[Scalar]) -> ExportRequest {
        let mut of = self.whole.clone();
        let after = Some(Bound::exclusive(vec![after.clone()]));
        of.conditions.push(if self.coalesced {
            (self.range)(after, None)
        } else {
            Condition::Range { key: vec![self.first.name.clone()], from: after, to: None }
        });
        of.conditions.push((self.range)(None, Some(Bound::inclusive(to.to_vec()))));
        of
    }
}

/// The instant that a cursor's value stands for; without a zone it is taken for UTC. SQLite has texts.
fn moment(value: &Scalar) -> Option<Timestamp> {
    let (Scalar::Instant(text) | Scalar::Timestamp(text) | Scalar::Date(text) | Scalar::Text(text)) = value else {
        return None;
    };
    let utc = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_any_temporal_type_is_a_moment() {
        let noon = "2024-01-02T12:00:00.25Z".parse::<Timestamp>().unwrap();
        for value in [
            Scalar::Instant("2024-01-02 12:00:00.25+00".into()),
            Scalar::Instant("2024-01-02T21:00:00.25+09:00".into()),
            Scalar::Timestamp("2024-01-02 12:00:00.250000".into()),
            Scalar::Text("2024-01-02 12:00:00.250".into()),
        ] {
            assert_eq!(moment(&value), Some(noon), "{value:?}");
        }
        assert_eq!(moment(&Scalar::Date("1970-01-01".into())), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(moment(&Scalar::Integer(5)), None);
    }
}
