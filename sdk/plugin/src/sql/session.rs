//! Sessions: under what limits statements run, in what form they read a relation, and what stops them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    BoundsRequest, Description, Error, ErrorKind, ExportRequest, Interrupt, Relation, Result, SessionPolicy,
    SplitRequest,
};

/// A connection, and the only ways anything runs on it. A driver says how ([`Session::transaction`] and
/// [`Session::query`]); what the methods of [`crate::Source`] need besides follows from that.
pub trait Session {
    /// What statements are sent over.
    type Wire;

    /// The limits of statements whose caller brings none: [`SessionPolicy::PLANNING`], or what
    /// [`crate::Source::limit`] said.
    fn limits(&self) -> SessionPolicy;

    /// Runs `work` under these limits, in a transaction that only reads. It is over when this returns, however it
    /// returns.
    ///
    /// # Errors
    ///
    /// Those of `work`, and those of the transaction around it; `Cancelled` where another thread stopped it.
    fn transaction<T>(&mut self, policy: &SessionPolicy, work: impl FnOnce(&mut Self::Wire) -> Result<T>) -> Result<T>;

    /// The same over a user's query. `work` is given the one statement in `sql`, as it may stand in brackets (see
    /// [`crate::lexer::single`]), once the server has understood `sql` as it was written; and the query's own texts
    /// are read as they are read in any other session of the login.
    ///
    /// # Errors
    ///
    /// `InvalidQuery` where `sql` is not one statement; then those of `transaction`.
    fn query<T>(
        &mut self,
        policy: &SessionPolicy,
        sql: &str,
        work: impl FnOnce(&mut Self::Wire, &str) -> Result<T>,
    ) -> Result<T>;

    /// A transaction under the limits of statements whose caller brings none.
    ///
    /// # Errors
    ///
    /// Those of `transaction`.
    fn planning<T>(&mut self, work: impl FnOnce(&mut Self::Wire) -> Result<T>) -> Result<T> {
        self.transaction(&self.limits(), work)
    }

    /// Runs `work` over a table in a transaction, or over a query as in `query`; `work` is given the relation as it can
    /// stand after FROM.
    ///
    /// # Errors
    ///
    /// Those of `transaction` and `query`; where time ran out, with the table that was waited for.
    fn reading<T>(
        &mut self,
        policy: &SessionPolicy,
        relation: &Relation,
        work: impl FnOnce(&mut Self::Wire, Relation) -> Result<T>,
    ) -> Result<T> {
        let Relation::Query(sql) = relation else {
            let outcome = self.transaction(policy, |wire| work(wire, relation.clone()));
            return outcome.map_err(|error| error.late_for(relation));
        };
        self.query(policy, sql, |wire, sql| work(wire, Relation::Query(sql.to_owned())))
    }

    /// The same for an export's rows, under the export's own limits.
    ///
    /// # Errors
    ///
    /// Those of `reading`.
    fn reading_rows<T>(
        &mut self,
        request: &ExportRequest,
        work: impl FnOnce(&mut Self::Wire, &ExportRequest) -> Result<T>,
    ) -> Result<T> {
        self.reading(&request.session, &request.relation, |wire, relation| {
            let mut request = request.clone();
            request.relation = relation;
            work(wire, &request)
        })
    }

    /// The same for an export's columns: a statement may take as long as one of the export, or as a question of ours
    /// if that is longer.
    ///
    /// # Errors
    ///
    /// Those of `reading`.
    fn reading_columns<T>(
        &mut self,
        request: &ExportRequest,
        work: impl FnOnce(&mut Self::Wire, &ExportRequest) -> Result<T>,
    ) -> Result<T> {
        let mut request = request.clone();
        request.session = self.limits().for_columns(&request.session);
        self.reading_rows(&request, work)
    }

    /// The same for [`crate::Source::split`].
    ///
    /// # Errors
    ///
    /// Those of `reading`.
    fn splitting<T>(
        &mut self,
        request: &SplitRequest,
        work: impl FnOnce(&mut Self::Wire, &SplitRequest) -> Result<T>,
    ) -> Result<T> {
        self.reading_rows(&request.of, |wire, of| {
            work(wire, &SplitRequest::new(of.clone(), request.by.clone(), request.into))
        })
    }

    /// The same for [`crate::Source::bounds`].
    ///
    /// # Errors
    ///
    /// Those of `reading`.
    fn bounding<T>(
        &mut self,
        request: &BoundsRequest,
        work: impl FnOnce(&mut Self::Wire, &BoundsRequest) -> Result<T>,
    ) -> Result<T> {
        self.reading_rows(&request.of, |wire, of| {
            let mut request = request.clone();
            request.of = of.clone();
            work(wire, &request)
        })
    }

    /// The same for [`crate::Source::describe`]: the description names a query as the user wrote it.
    ///
    /// # Errors
    ///
    /// Those of `reading`.
    fn describing(
        &mut self,
        relation: &Relation,
        work: impl FnOnce(&mut Self::Wire, &Relation) -> Result<Description>,
    ) -> Result<Description> {
        let mut description = self.reading(&self.limits(), relation, |wire, relation| work(wire, &relation))?;
        if relation.table().is_none() {
            description.relation = relation.clone();
        }
        Ok(description)
    }
}

/// What stops a statement of a session that another thread uses.
pub trait Stoppable: Send + Sync + 'static {
    /// Asks the server to stop the session's statement.
    ///
    /// # Errors
    ///
    /// The server could not be asked.
    fn stop(&self) -> Result<()>;

    /// Ends the session's connection instead, and says so and why: see `network::Closer::give_up`.
    fn give_up(&self, why: &Error) -> Error;
}

/// Stops a session's statement from another thread, and remembers that somebody did: servers have one code for a
/// statement that was stopped and for one that took too long.
pub struct Stopper<T> {
    /// Of the connection in use now: it changes when a broken one is opened anew.
    session: Mutex<Arc<T>>,
    used: AtomicBool,
}

impl<T: Stoppable> Stopper<T> {
    /// For a session over this connection.
    pub fn of(session: impl Into<Arc<T>>) -> Arc<Self> {
        Arc::new(Self { session: Mutex::new(session.into()), used: AtomicBool::new(false) })
    }

    /// The session has another connection now.
    pub fn moves_to(&self, session: impl Into<Arc<T>>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session.into();
    }

    /// Whether somebody stopped a statement.
    pub fn was_used(&self) -> bool {
        self.used.load(Ordering::SeqCst)
    }

    /// An error of the session's, which is `Cancelled` where it is our own doing. `told` is given the server's code: it
    /// says by which one to tell it, if it is that of a statement that was stopped.
    pub fn tell(&self, error: Error, told: impl FnOnce(&str) -> Option<&'static str>) -> Error {
        if !self.was_used() || error.kind() == ErrorKind::Cancelled {
            return error;
        }
        match error.code() {
            Some(code) => match told(code) {
                Some(code) => Error::cancelled("the statement was stopped").with_code(code),
                None => error,
            },
            // The connection went where the statement could not be stopped otherwise.
            None if error.kind() == ErrorKind::Connection => Error::cancelled("the statement was left behind"),
            None => error,
        }
    }

    /// Without the lock: asking may take seconds, in which the session may get another connection.
    fn session(&self) -> Arc<T> {
        Arc::clone(&self.session.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Stoppable> Interrupt for Arc<Stopper<T>> {
    /// Where the server cannot be asked, ends the session's connection.
    fn interrupt(&self) -> Result<()> {
        self.used.store(true, Ordering::SeqCst);
        self.session().stop().map_err(|error| self.session().give_up(&error))
    }
}

/// The value, and its column, of an answer that must have one column, and one row at most; None where it has no row.
///
/// # Errors
///
/// `InvalidQuery` where it has more.
pub fn one_value<C, V>(
    columns: &[C],
    rows: impl IntoIterator<Item = impl IntoIterator<Item = V>>,
) -> Result<Option<(&C, V)>> {
    let [column] = columns else { return Err(not_one_value(&format!("{} columns", columns.len()))) };
    let mut rows = rows.into_iter();
    match (rows.next(), rows.next()) {
        (_, Some(_)) => Err(several_rows()),
        (row, None) => Ok(row.and_then(|row| row.into_iter().next()).map(|value| (column, value))),
    }
}

/// What a driver says that finds a second row before it has the whole answer.
pub fn several_rows() -> Error {
    not_one_value("more than one row")
}

fn not_one_value(what: &str) -> Error {
    Error::new(ErrorKind::InvalidQuery, format!("the query returned {what} where one value was expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cannot be asked where it is `deaf`.
    struct Statement {
        deaf: bool,
    }

    impl Stoppable for Statement {
        fn stop(&self) -> Result<()> {
            if self.deaf { Err(Error::connection("no answer")) } else { Ok(()) }
        }

        fn give_up(&self, why: &Error) -> Error {
            Error::connection("closed instead").with_source(why)
        }
    }

    fn told(stopper: &Stopper<Statement>, error: Error) -> Error {
        stopper.tell(error, |code| (code == "57014").then_some("57014"))
    }

    #[test]
    fn only_what_somebody_stopped_is_cancelled() {
        let timeout = || Error::new(ErrorKind::Timeout, "late").with_code("57014");
        let other = || Error::new(ErrorKind::Timeout, "locked").with_code("55P03");
        let stopper = Stopper::of(Statement { deaf: false });
        assert_eq!(told(&stopper, timeout()).kind(), ErrorKind::Timeout);
        stopper.interrupt().unwrap();
        let error = told(&stopper, timeout());
        assert_eq!((error.kind(), error.code()), (ErrorKind::Cancelled, Some("57014")));
        assert_eq!(told(&stopper, other()).kind(), ErrorKind::Timeout);
        assert_eq!(told(&stopper, Error::connection("lost")).kind(), ErrorKind::Cancelled);
        assert_eq!(told(&stopper, Error::data("odd")).kind(), ErrorKind::Data);
    }

    #[test]
    fn a_server_that_cannot_be_asked_loses_the_connection_in_use_now() {
        let stopper = Stopper::of(Statement { deaf: true });
        assert_eq!(stopper.interrupt().unwrap_err().message(), "closed instead");
        stopper.moves_to(Statement { deaf: false });
        assert!(stopper.interrupt().is_ok() && stopper.was_used());
    }

    #[test]
    fn one_value_is_one_row_of_one_column_or_none() {
        assert_eq!(one_value(&["a"], [[7]]).unwrap(), Some((&"a", 7)));
        assert_eq!(one_value(&["a"], [[0_u8; 1]; 0]).unwrap(), None);
        for (columns, rows, what) in
            [(&["a", "b"][..], vec![[1, 2]], "2 columns"), (&["a"], vec![[1, 0], [2, 0]], "more than one row")]
        {
            let error = one_value(columns, rows).unwrap_err();
            assert!(error.message().contains(what) && error.kind() == ErrorKind::InvalidQuery, "{error}");
        }
    }
}
