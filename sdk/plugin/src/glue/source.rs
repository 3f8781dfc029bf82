//! A source instance as the ABI's trait object.

use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::SchemaRef;
use rivet_abi::stable::{RErr, RNone, ROk, ROption, RSome, RStr, RString, TD_Opaque};
use rivet_abi::{
    AbiResult, ContextRef, InterruptAbi, InterruptAbi_TO, InterruptBox, SinkRef, SourceAbi, SourceAbi_TO, SourceBox,
};

use super::guard::{Guarded, catch, clean};
use super::json::read as from_json;
use super::{host, parse_options, to_abi, to_json, unknown};
use crate::{BatchSink, Error, Interrupt, Result, Source, SourceDriver, ffi, secret};

/// The module's `open_source` for driver `D`.
pub extern "C" fn open_source<D: SourceDriver>(options: RStr<'_>, context: ContextRef) -> AbiResult<SourceBox> {
    let context = host::context(context);
    let (options, secrets) = secret::collect(|| catch("options", || parse_options::<D::Options>(options.as_str())));
    let opened = options.and_then(|options| catch("open", || D::open(options, &context)));
    to_abi(match opened {
        Ok(source) => Ok(SourceAbi_TO::from_value(Instance(Guarded::new(source, secrets)), TD_Opaque)),
        Err(error) => Err(clean(error, &secrets)),
    })
}

struct Instance<S: Source>(Guarded<S>);

impl<S: Source> SourceAbi for Instance<S> {
    fn export(&mut self, request: RStr<'_>, sink: SinkRef<'_>) -> AbiResult<RString> {
        to_abi(self.0.with_mut("export", |source| {
            let request = from_json(request.as_str())?;
            to_json(&source.export(&request, &mut RemoteSink { sink, schema: None })?)
        }))
    }

    fn call(&mut self, method: RStr<'_>, arguments: RStr<'_>) -> AbiResult<RString> {
        let (method, arguments) = (method.as_str(), arguments.as_str());
        to_abi(self.0.with_mut(method, |source| match method {
            "identity" => to_json(&source.identity()?),
            "limit" => to_json(&source.limit(&from_json(arguments)?)?),
            "query_scalar" => to_json(&source.query_scalar(&from_json::<String>(arguments)?)?),
            "type_mappings" => to_json(&source.type_mappings(&from_json(arguments)?)?),
            "tables" => to_json(&source.tables(&from_json(arguments)?)?),
            "describe" => to_json(&source.describe(&from_json(arguments)?)?),
            "split" => to_json(&source.split(&from_json(arguments)?)?),
            "snapshot" => to_json(&source.snapshot(from_json(arguments)?)?),
            "join" => to_json(&source.join(&from_json(arguments)?)?),
            "release" => to_json(&source.release()?),
            "count" => to_json(&source.count(&from_json(arguments)?)?),
            "bounds" => to_json(&source.bounds(&from_json(arguments)?)?),
            "clock" => to_json(&source.clock()?),
            "pressure" => to_json(&source.pressure()?),
            other => Err(unknown(other)),
        }))
    }

    fn interrupt(&self) -> ROption<InterruptBox> {
        let secrets = self.0.secrets().to_vec();
        match self.0.with("interrupt", |source| Ok(source.interrupt())) {
            Ok(Some(interrupt)) => {
                RSome(InterruptAbi_TO::from_value(GuardedInterrupt(Guarded::new(interrupt, secrets)), TD_Opaque))
            }
            Ok(None) => RNone,
            Err(error) => {
                log::error!("{error}");
                RNone
            }
        }
    }
}

struct GuardedInterrupt(Guarded<Box<dyn Interrupt>>);

impl InterruptAbi for GuardedInterrupt {
    fn interrupt(&self) -> AbiResult<()> {
        to_abi(self.0.with("interrupt", |interrupt| interrupt.interrupt()))
    }
}

/// The host's sink as the SDK's.
struct RemoteSink<'a> {
    sink: SinkRef<'a>,
    schema: Option<SchemaRef>,
}

impl BatchSink for RemoteSink<'_> {
    fn on_schema(&mut self, schema: SchemaRef) -> Result<()> {
        let mut exported = ffi::export_schema(&schema)?;
        answer(self.sink.on_schema(ffi::schema_pointer(&mut exported)))?;
        self.schema = Some(schema);
        Ok(())
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        match &self.schema {
            None => return Err(Error::protocol("a batch came before the schema")),
            Some(schema) if !same_types(schema, &batch.schema()) => {
                return Err(Error::protocol("a batch has another schema than the one announced"));
            }
            Some(_) => {}
        }
        let mut exported = ffi::export_array(&StructArray::from(batch).to_data());
        answer(self.sink.on_batch(ffi::array_pointer(&mut exported)))
    }
}

fn same_types(announced: &SchemaRef, found: &SchemaRef) -> bool {
    std::sync::Arc::ptr_eq(announced, found)
        || announced.fields().len() == found.fields().len()
            && announced.fields().iter().zip(found.fields()).all(|(a, b)| a.data_type() == b.data_type())
}

fn answer(result: AbiResult<()>) -> Result<()> {
    match result {
        ROk(()) => Ok(()),
        RErr(error) => Err(Error::from_json(&error)),
    }
}
