//! Plans what becomes of rows that share a cursor with the watermark, or with the run's own end.

use rivet_sdk::{Bound, Condition, Error, ErrorKind, ExportRequest, Relation, Result, Scalar, Source, capability};

use super::inputs::{Inputs, whole_request};
use crate::config::{Incremental, OnCursorTies};
use crate::plan::ties::{Boundary, MOST, Remembered, Ties, TiesEnd, TiesSpec, ordered_by_value};
use crate::plan::{Chunk, PlannedColumn};

/// The rows at the watermark and at the run's end, as far as they are read apart from the others.
#[derive(Debug, Default)]
pub(super) struct BoundaryRows {
    /// Those at the watermark, where they are read again.
    from: Option<Condition>,
    /// All of the run's rows with them, where one statement may read both.
    with_from: Option<Condition>,
    /// Those at the end, where only the database tells them.
    to: Option<Condition>,
    /// Both are the same rows.
    is_same: bool,
}

impl BoundaryRows {
    /// The chunks that they need, beside those that the plan's conditions are cut into.
    pub fn chunks(&self, own: &[Chunk]) -> impl Iterator<Item = (Boundary, &Condition)> {
        let is_whole = matches!(own, [only] if only.condition.is_none());
        let boundary = if self.is_same { Boundary::Both } else { Boundary::From };
        let from = self.from.as_ref().filter(|_| !is_whole || self.with_from.is_none()).map(|from| (boundary, from));
        let to = self.to.as_ref().filter(|_| !self.is_same).map(|to| (Boundary::To, to));
        from.into_iter().chain(to)
    }

    /// The plan's condition where its only chunk reads the rows at the watermark, too.
    pub fn condition(&self, chunks: &[Chunk]) -> Option<Condition> {
        let apart = chunks.iter().any(|chunk| matches!(chunk.boundary, Some(Boundary::From | Boundary::Both)));
        self.with_from.clone().filter(|_| self.from.is_some() && !apart)
    }
}

/// Where a run begins.
pub(super) enum Begin {
    /// Behind the watermark.
    After,
    /// At the watermark, but for rows that were delivered; None: with all of them again.
    At(Option<Remembered>),
}

/// What planning ties needs to know.
pub(super) struct TiesOf<'a> {
    pub inputs: &'a Inputs<'a>,
    pub relation: &'a Relation,
    pub incremental: &'a Incremental,
    pub columns: &'a [PlannedColumn],
    /// The cursor's condition from one position to another.
    pub range: &'a dyn Fn(Option<Bound>, Option<Bound>) -> Condition,
}

impl TiesOf<'_> {
    /// Whether rows at the run's ends are remembered. An export that has come somewhere without goes on so until the
    /// user says what he wants.
    pub fn are_kept(&self) -> bool {
        let stands_at = self.inputs.stands_at.as_ref().filter(|known| known.values.is_some());
        self.incremental.on_ties.is_some() || stands_at.is_none_or(|known| known.ties.is_some())
    }

    /// Where the run begins, by what the last one knew of the rows at its end.
    pub fn begin(&self, warnings: &mut Vec<String>) -> Result<Begin> {
        let why = match self.inputs.stands_at.as_ref().and_then(|known| known.ties.clone()) {
            None | Some(Ties::Settled) => return Ok(Begin::After),
            Some(Ties::TooMany) => format!("there were more than {MOST}, or their columns had changed"),
            Some(Ties::Remembered(before)) => match before.unusable(self.columns) {
                None => return Ok(Begin::At(Some(before))),
                Some(why) => why,
            },
        };
        let what = "which rows with the watermark's own cursor were delivered cannot be told";
        match self.policy() {
            OnCursorTies::Fail => Err(refused(&format!("{what}: {why}"))),
            OnCursorTies::Again => {
                warnings.push(format!("{what} ({why}): all of them are delivered again"));
                Ok(Begin::At(None))
            }
            OnCursorTies::Leave => {
                warnings.push(format!("at risk: {what} ({why}): those that came later are left behind"));
                Ok(Begin::After)
            }
        }
    }

    /// How the rows at the run's end `to` will be told, before the first is read; None where it is not known which of
    /// them were delivered, and none is read. `is_new`: the run comes further than the one before.
    pub fn end(
        &self,
        source: &mut dyn Source,
        begin: &Begin,
        to: &[Scalar],
        is_new: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Option<TiesEnd>> {
        if matches!(begin, Begin::After) && !is_new {
            // Not a row is read: what is known of those at the watermark stays what it was.
            let known = self.inputs.stands_at.as_ref().and_then(|known| known.ties.as_ref());
            return Ok(known.map(|known| match known {
                Ties::Settled => TiesEnd::Settled,
                Ties::TooMany | Ties::Remembered(_) => TiesEnd::TooMany,
            }));
        }
        // An end of before may be later than `settle` would have it.
        if self.incremental.settle_ms.is_some() && is_new {
            return Ok(Some(TiesEnd::Settled));
        }
        self.counted_end(source, to, warnings).map(Some)
    }

    fn counted_end(&self, source: &mut dyn Source, to: &[Scalar], warnings: &mut Vec<String>) -> Result<TiesEnd> {
        let Incremental { cursor, coalesced, .. } = self.incremental;
        let policy = self.inputs.export.on_unrepresentable;
        let ordered = ordered_by_value(cursor, *coalesced, self.columns, policy);
        let greatest = TiesEnd::Greatest { columns: u32::try_from(ordered).unwrap_or(u32::MAX) };
        let all_ordered = ordered > 0 && (*coalesced || ordered == cursor.len());
        if !self.inputs.capabilities.iter().any(|known| known == capability::COUNT) {
            return Ok(if ordered > 0 { greatest } else { TiesEnd::Chunk });
        }
        let mut count = |condition: Condition| -> Result<u64> {
            let mut of = self.whole();
            of.conditions.push(condition);
            source.count(&of)
        };
        let rows = count(self.at(to))?;
        if rows > MOST {
            let what = format!("{rows} rows have the greatest cursor: more than {MOST} are not remembered");
            match self.policy() {
                OnCursorTies::Fail => return Err(refused(&what)),
                OnCursorTies::Again => warnings.push(format!("{what}, and the next run delivers them again")),
                OnCursorTies::Leave => warnings.push(format!("at risk: {what}, and later ones will be left behind")),
            }
            return Ok(TiesEnd::TooMany);
        }
        if all_ordered {
            return Ok(greatest);
        }
        // Rows that only share the leading columns are remembered with them, unless they are many.
        let leading = match (cursor.get(..ordered), to.get(..ordered)) {
            (Some(key), Some(values)) if ordered > 0 => count(Condition::Range {
                key: key.to_vec(),
                from: Some(Bound::inclusive(values.to_vec())),
                to: Some(Bound::inclusive(values.to_vec())),
            })?,
            _ => return Ok(TiesEnd::Chunk),
        };
        Ok(if leading > MOST { TiesEnd::Chunk } else { greatest })
    }

    /// The plan's conditions for a run that begins so and ends at `to`, None meaning that no row is behind the
    /// watermark; the rows at both ends; and what the plan says of them.
    pub fn plan(
        &self,
        begin: Begin,
        from: Option<&[Scalar]>,
        to: Option<&[Scalar]>,
        end: TiesEnd,
    ) -> (Condition, BoundaryRows, TiesSpec) {
        let apart = end == TiesEnd::Chunk;
        let after = from.map(|from| Bound::exclusive(from.to_vec()));
        let upper = |to: &[Scalar]| {
            let to = to.to_vec();
            Some(if apart { Bound::exclusive(to) } else { Bound::inclusive(to) })
        };
        let condition = match to {
            Some(to) => (self.range)(after, upper(to)),
            None => Condition::Nothing,
        };
        let mut rows = BoundaryRows { is_same: to.is_none(), ..BoundaryRows::default() };
        if let (true, Some(to)) = (apart, to) {
            rows.to = Some(self.at(to));
        }
        let mut before = None;
        if let (Begin::At(remembered), Some(from)) = (begin, from) {
            rows.from = Some(self.at(from));
            // One statement reads both where the rows at the watermark are told by their values, or need not be.
            let by_value = remembered.as_ref().is_none_or(|found| found.rows.is_empty() || found.at.is_some());
            if by_value && !(apart && to.is_none()) {
                let at = Some(Bound::inclusive(from.to_vec()));
                rows.with_from = Some(match to {
                    Some(to) => (self.range)(at, upper(to)),
                    None => self.at(from),
                });
            }
            before = remembered;
        }
        (condition, rows, TiesSpec { before, end })
    }

    fn policy(&self) -> OnCursorTies {
        self.incremental.on_ties.unwrap_or(OnCursorTies::Fail)
    }

    fn at(&self, values: &[Scalar]) -> Condition {
        let bound = || Some(Bound::inclusive(values.to_vec()));
        (self.range)(bound(), bound())
    }

    fn whole(&self) -> ExportRequest {
        whole_request(self.inputs.export, self.relation)
    }
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{what}, and later rows with that cursor would be lost or come twice"))
        .with_code("cursor_ties")
        .with_hint(
            "with `settle` the cursor's last value is never the watermark; a second column, as in `cursor_column: \
             [updated_at, id]`, tells its rows apart; else `on_cursor_ties: again` delivers them again, `leave` leaves \
             later ones behind",
        )
}
