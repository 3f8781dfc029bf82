//! One read point for several connections, and what is said once it is gone.

use crate::support::{export, servers};
use rivet_sdk::arrow_array::RecordBatch;
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::{BatchSink, Error, ErrorKind, Result, SNAPSHOT_LOST, Source};

/// What makes the host start the run again.
fn is_lost(error: &Error) -> bool {
    error.kind() == ErrorKind::Conflict && error.code() == Some(SNAPSHOT_LOST) && !error.is_transient()
}

/// A sink that has enough at the first batch.
struct Enough;

impl BatchSink for Enough {
    fn on_schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn on_batch(&mut self, _: RecordBatch) -> Result<()> {
        Err(Error::cancelled("enough"))
    }
}

#[test]
fn a_snapshot_is_one_read_point_for_holder_and_others() {
    for server in servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int PRIMARY KEY) ENGINE = InnoDB; INSERT INTO t VALUES (1)");
        let (mut holder, mut one, mut two) = (server.open(), server.open(), server.open());
        let request = database.request("t");
        let snapshot = holder.snapshot(2).unwrap().unwrap();
        assert!(!snapshot.rejoinable && snapshot.read_point.contains(" UTC"), "{snapshot:?}");
        one.join(&snapshot).unwrap();
        two.join(&snapshot).unwrap();
        holder.release().unwrap();
        database.run("INSERT INTO t VALUES (2)");
        for source in [&mut one, &mut two] {
            assert_eq!(export(source, &request).unwrap().1.rows, 1);
            assert!(source.query_scalar("SELECT nothing").is_err());
            assert_eq!(source.count(&request).unwrap(), 1, "an error in between does not end the read point");
            // Nor does a sink that stops.
            assert!(source.export(&request, &mut Enough).is_err());
            assert_eq!(source.count(&request).unwrap(), 1);
        }
        assert_eq!(holder.count(&request).unwrap(), 2);
        let error = server.open().join(&snapshot).unwrap_err();
        assert!(is_lost(&error) && error.hint().is_some(), "{error:?}");
        one.release().unwrap();
        assert_eq!(one.count(&request).unwrap(), 2);
        // The snapshot lives in its connection.
        let thread = two.query_scalar("SELECT CONNECTION_ID()").unwrap().unwrap();
        server.run(&format!("KILL {thread}"));
        assert!(two.count(&request).is_err());
        assert!(is_lost(&two.count(&request).unwrap_err()));
    }
}

#[test]
fn a_snapshot_whose_lock_was_lost_is_no_snapshot() {
    for server in servers() {
        let mut holder = server.open();
        let thread = holder.query_scalar("SELECT CONNECTION_ID()").unwrap().unwrap();
        let snapshot = holder.snapshot(1).unwrap().unwrap();
        server.run(&format!("KILL {thread}"));
        let mut member = server.open();
        // The member cannot know; the holder does, and says so before anything is read.
        member.join(&snapshot).unwrap();
        let error = holder.release().unwrap_err();
        assert!(is_lost(&error) && error.hint().is_some(), "{error:?}");
        assert!(is_lost(&server.open().join(&snapshot).unwrap_err()));
    }
}
