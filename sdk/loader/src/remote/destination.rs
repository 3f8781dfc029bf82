//! A plugin's destination instance, and its writers.

use rivet_abi::stable::{ROption, RSlice, RStr};
use rivet_abi::{DestinationBox, WriterBox};
use rivet_sdk::{Destination, Object, ObjectWriter, Result, WriteOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{answer, or_default, parse, to_json};

pub(crate) struct RemoteDestination {
    plugin: String,
    instance: DestinationBox,
    location: String,
}

impl RemoteDestination {
    pub fn new(plugin: String, instance: DestinationBox) -> Result<Self> {
        let mut remote = Self { plugin, instance, location: String::new() };
        remote.location = remote.call("location", &())?;
        Ok(remote)
    }

    pub(super) fn call<T: DeserializeOwned>(&mut self, method: &str, arguments: &impl Serialize) -> Result<T> {
        let arguments = to_json(arguments)?;
        let text = answer(&self.plugin, self.instance.call(method.into(), RStr::from(arguments.as_str())))?;
        parse(&self.plugin, method, &text)
    }

    pub(super) fn create_json(&mut self, key: &str, options: &impl Serialize) -> Result<Box<dyn ObjectWriter>> {
        let options = to_json(options)?;
        let writer = answer(&self.plugin, self.instance.create(key.into(), RStr::from(options.as_str())))?;
        Ok(Box::new(RemoteWriter { plugin: self.plugin.clone(), writer }))
    }

    fn put_with<T: DeserializeOwned>(&mut self, method: &str, key: &str, body: &[u8]) -> Result<T> {
        let text = answer(&self.plugin, self.instance.put(method.into(), key.into(), RSlice::from_slice(body)))?;
        parse(&self.plugin, method, &text)
    }

    fn read(&mut self, key: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>> {
        match answer(&self.plugin, self.instance.get(key.into(), offset, length))? {
            ROption::RSome(bytes) => Ok(Some(bytes.into_vec())),
            ROption::RNone => Ok(None),
        }
    }
}

impl Destination for RemoteDestination {
    fn location(&self) -> String {
        self.location.clone()
    }

    fn create(&mut self, key: &str, options: &WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        self.create_json(key, options)
    }

    fn put_if_absent(&mut self, key: &str, body: &[u8]) -> Result<bool> {
        self.put_with("put_if_absent", key, body)
    }

    fn put(&mut self, key: &str, body: &[u8]) -> Result<Object> {
        self.put_with("put", key, body)
    }

    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        self.read(key, 0, u64::MAX)
    }

    fn read_at(&mut self, key: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>> {
        self.read(key, offset, length.min(u64::MAX - 1))
    }

    fn head(&mut self, key: &str) -> Result<Option<Object>> {
        self.call("head", &key)
    }

    fn list(&mut self, prefix: &str) -> Result<Vec<Object>> {
        self.call("list", &prefix)
    }

    fn delete(&mut self, key: &str) -> Result<()> {
        self.call("delete", &key)
    }

    fn tidy(&mut self) -> Result<u64> {
        or_default(self.call("tidy", &()))
    }
}

struct RemoteWriter {
    plugin: String,
    writer: WriterBox,
}

impl ObjectWriter for RemoteWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        answer(&self.plugin, self.writer.write(RSlice::from_slice(bytes)))
    }

    fn finish(&mut self) -> Result<Object> {
        let text = answer(&self.plugin, self.writer.finish())?;
        parse(&self.plugin, "finish", &text)
    }

    fn abort(&mut self) -> Result<()> {
        answer(&self.plugin, self.writer.abort())
    }
}
