//! Instances that are asked in JSON, as the boundary carries it: for checks of the boundary itself.

use rivet_sdk::{BatchSink, ExportStats, Result};
use serde_json::Value;

use super::{RemoteDestination, RemoteSource};

/// A source.
pub struct RawSource(pub(crate) RemoteSource);

impl RawSource {
    /// The answer to a method.
    pub fn call(&mut self, method: &str, arguments: &Value) -> Result<Value> {
        self.0.call(method, arguments)
    }

    /// An export of this request.
    pub fn export(&mut self, request: &Value, sink: &mut dyn BatchSink) -> Result<ExportStats> {
        self.0.export_json(request, sink)
    }
}

/// A destination.
pub struct RawDestination(pub(crate) RemoteDestination);

impl RawDestination {
    /// The answer to a method.
    pub fn call(&mut self, method: &str, arguments: &Value) -> Result<Value> {
        self.0.call(method, arguments)
    }

    /// Writes an object with these options.
    pub fn write(&mut self, key: &str, options: &Value, body: &[u8]) -> Result<()> {
        let mut writer = self.0.create_json(key, options)?;
        writer.write(body)?;
        writer.finish().map(drop)
    }
}
