//! Standard output as a destination: one part, streamed; control objects stay in memory.
//!
//! The same commit runs as everywhere, over objects that end with the process: plan, report,
//! manifest and `_SUCCESS` are kept in memory, and the streamed part is listed with its size.
//! What went out cannot be taken back, so after the first byte no second attempt may start.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rivet_sdk::{Destination, Error, ErrorKind, Object, ObjectWriter, Result, Retry, WriteOptions};

/// Standard output. Clones share it.
#[derive(Clone)]
pub struct Stdout {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    out: Box<dyn Write + Send>,
    control: BTreeMap<String, Vec<u8>>,
    streamed: Option<Object>,
    begun: bool,
}

impl Stdout {
    /// The process's own standard output; every call gives the same.
    pub fn of_process() -> Self {
        static PROCESS: OnceLock<Stdout> = OnceLock::new();
        PROCESS.get_or_init(|| Self::over(Box::new(io::stdout()))).clone()
    }

    /// Any stream in its place.
    pub fn over(out: Box<dyn Write + Send>) -> Self {
        let shared = Shared { out, control: BTreeMap::new(), streamed: None, begun: false };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Destination for Stdout {
    fn location(&self) -> String {
        "stdout".to_owned()
    }

    fn create(&mut self, key: &str, _: &WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        if self.shared().begun {
            return Err(Error::unsupported("standard output takes one file, and one has been written to it")
                .with_code("stdout_used")
                .with_hint("write to a folder instead if the export has several files or may need a retry"));
        }
        Ok(Box::new(StdoutWriter { to: self.clone(), key: key.to_owned(), written: 0 }))
    }

    fn put_if_absent(&mut self, key: &str, body: &[u8]) -> Result<bool> {
        let mut shared = self.shared();
        let absent = !shared.control.contains_key(key);
        if absent {
            shared.control.insert(key.to_owned(), body.to_owned());
        }
        Ok(absent)
    }

    fn put(&mut self, key: &str, body: &[u8]) -> Result<Object> {
        self.shared().control.insert(key.to_owned(), body.to_owned());
        Ok(object(key, body))
    }

    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.shared().control.get(key).cloned())
    }

    fn read_at(&mut self, key: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>> {
        let shared = self.shared();
        if shared.streamed.as_ref().is_some_and(|streamed| streamed.key == key) {
            return Err(Error::unsupported("standard output cannot be read back").with_hint("use `verify: size`"));
        }
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let take = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(shared.control.get(key).map(|body| body.iter().skip(skip).take(take).copied().collect()))
    }

    fn head(&mut self, key: &str) -> Result<Option<Object>> {
        let shared = self.shared();
        let streamed = shared.streamed.clone().filter(|streamed| streamed.key == key);
        Ok(streamed.or_else(|| shared.control.get(key).map(|body| object(key, body))))
    }

    fn list(&mut self, prefix: &str) -> Result<Vec<Object>> {
        let shared = self.shared();
        let control = shared.control.iter().map(|(key, body)| object(key, body));
        let mut objects: Vec<Object> =
            control.chain(shared.streamed.clone()).filter(|object| object.key.starts_with(prefix)).collect();
        objects.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(objects)
    }

    fn delete(&mut self, key: &str) -> Result<()> {
        let mut shared = self.shared();
        if shared.streamed.as_ref().is_some_and(|streamed| streamed.key == key) {
            return Err(Error::unsupported("what went to standard output cannot be taken back"));
        }
        shared.control.remove(key);
        Ok(())
    }
}

fn object(key: &str, body: &[u8]) -> Object {
    Object::new(key, body.len() as u64)
}

struct StdoutWriter {
    to: Stdout,
    key: String,
    written: u64,
}

impl ObjectWriter for StdoutWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut shared = self.to.shared();
        shared.begun |= !bytes.is_empty();
        shared.out.write_all(bytes).map_err(|error| stream_error(&error))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<Object> {
        let mut shared = self.to.shared();
        shared.out.flush().map_err(|error| stream_error(&error))?;
        let object = Object::new(self.key.clone(), self.written);
        shared.begun = true;
        shared.streamed = Some(object.clone());
        Ok(object)
    }

    fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}

fn stream_error(error: &io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::BrokenPipe => (ErrorKind::Connection, "the program reading from the pipe ended first"),
        io::ErrorKind::StorageFull => (ErrorKind::ResourceExhausted, "the disk behind standard output is full"),
        _ => (ErrorKind::Other, "standard output cannot be written"),
    };
    Error::new(kind, format!("write to standard output: {error}")).with_retry(Retry::Permanent).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_and_then_no_other() {
        let mut stdout = Stdout::over(Box::new(io::sink()));
        let mut writer = stdout.create("part", &WriteOptions::default()).unwrap();
        writer.write(b"abc").unwrap();
        writer.finish().unwrap();
        assert_eq!(stdout.list("").unwrap()[0].size_bytes, 3);
        assert_eq!(stdout.create("part", &WriteOptions::default()).err().unwrap().code(), Some("stdout_used"));
    }

    #[test]
    fn a_retry_is_possible_until_the_first_byte() {
        let mut stdout = Stdout::over(Box::new(io::sink()));
        stdout.create("a", &WriteOptions::default()).unwrap().abort().unwrap();
        assert!(stdout.create("b", &WriteOptions::default()).is_ok());
    }
}
