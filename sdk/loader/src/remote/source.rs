//! A plugin's source instance.

use std::panic::{catch_unwind, resume_unwind};

use rivet_abi::stable::{RMut, ROption, RStr, TD_Opaque};
use rivet_abi::{InterruptBox, SinkAbi_TO, SourceBox};
use rivet_sdk::{
    BatchSink, Bounds, BoundsRequest, Description, ExportRequest, ExportStats, Identity, Interrupt, Relation, Result,
    Scalar, SessionPolicy, Snapshot, Source, Split, SplitRequest, TableFilter, TableSummary, TypeMapping,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::batches::LentSink;
use super::{answer, broken, or_default, parse, to_json};

pub(crate) struct RemoteSource {
    plugin: String,
    instance: SourceBox,
    untrusted: bool,
}

impl RemoteSource {
    pub fn new(plugin: String, instance: SourceBox, untrusted: bool) -> Self {
        Self { plugin, instance, untrusted }
    }

    pub(super) fn call<T: DeserializeOwned>(&mut self, method: &str, arguments: &impl Serialize) -> Result<T> {
        let arguments = to_json(arguments)?;
        let text = answer(&self.plugin, self.instance.call(method.into(), RStr::from(arguments.as_str())))?;
        parse(&self.plugin, method, &text)
    }

    pub(super) fn export_json(&mut self, request: &impl Serialize, sink: &mut dyn BatchSink) -> Result<ExportStats> {
        let request = to_json(request)?;
        let mut lent = LentSink { plugin: &self.plugin, sink, untrusted: self.untrusted, schema: None, panic: None };
        let result = {
            let sink = SinkAbi_TO::from_ptr(RMut::new(&mut lent), TD_Opaque);
            self.instance.export(RStr::from(request.as_str()), sink)
        };
        if let Some(payload) = lent.panic.take() {
            resume_unwind(payload);
        }
        let text = answer(&self.plugin, result)?;
        parse(&self.plugin, "export", &text)
    }
}

impl Source for RemoteSource {
    fn identity(&mut self) -> Result<Identity> {
        self.call("identity", &())
    }

    fn export(&mut self, request: &ExportRequest, sink: &mut dyn BatchSink) -> Result<ExportStats> {
        self.export_json(request, sink)
    }

    fn limit(&mut self, limits: &SessionPolicy) -> Result<()> {
        or_default(self.call("limit", limits))
    }

    fn query_scalar(&mut self, sql: &str) -> Result<Option<Scalar>> {
        self.call("query_scalar", &sql)
    }

    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>> {
        let mappings: Vec<TypeMapping> = self.call("type_mappings", request)?;
        for mapping in &mappings {
            // Arrow asserts what it finds in nested columns.
            let read = catch_unwind(|| mapping.to_field().map(drop).map_err(|error| error.to_string()));
            let what = match read {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(_) => format!("column `{}`: its nested columns contradict its format", mapping.name),
            };
            return Err(broken(&format!("told a malformed type: {what}")).with_context("plugin", &self.plugin));
        }
        Ok(mappings)
    }

    fn tables(&mut self, filter: &TableFilter) -> Result<Vec<TableSummary>> {
        self.call("tables", filter)
    }

    fn describe(&mut self, relation: &Relation) -> Result<Description> {
        self.call("describe", relation)
    }

    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        self.call("split", request)
    }

    fn bounds(&mut self, request: &BoundsRequest) -> Result<Bounds> {
        self.call("bounds", request)
    }

    fn clock(&mut self) -> Result<Option<Scalar>> {
        or_default(self.call("clock", &()))
    }

    fn snapshot(&mut self, workers: u32) -> Result<Option<Snapshot>> {
        or_default(self.call("snapshot", &workers))
    }

    fn join(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.call("join", snapshot)
    }

    fn release(&mut self) -> Result<()> {
        or_default(self.call("release", &()))
    }

    fn count(&mut self, request: &ExportRequest) -> Result<u64> {
        self.call("count", request)
    }

    fn pressure(&mut self) -> Result<Option<u64>> {
        or_default(self.call("pressure", &()))
    }

    fn interrupt(&self) -> Option<Box<dyn Interrupt>> {
        match self.instance.interrupt() {
            ROption::RSome(interrupt) => Some(Box::new(RemoteInterrupt { plugin: self.plugin.clone(), interrupt })),
            ROption::RNone => None,
        }
    }
}

struct RemoteInterrupt {
    plugin: String,
    interrupt: InterruptBox,
}

impl Interrupt for RemoteInterrupt {
    fn interrupt(&self) -> Result<()> {
        answer(&self.plugin, self.interrupt.interrupt())
    }
}
