//! A destination instance, and its writers, as the ABI's trait objects.

use rivet_abi::stable::{RNone, ROption, RSlice, RSome, RStr, RString, RVec, TD_Opaque};
use rivet_abi::{
    AbiResult, ContextRef, DestinationAbi, DestinationAbi_TO, DestinationBox, WriterAbi, WriterAbi_TO, WriterBox,
};

use super::guard::{Guarded, catch, clean};
use super::json::read as from_json;
use super::{host, parse_options, to_abi, to_json, unknown};
use crate::{Destination, DestinationDriver, ObjectWriter, secret};

/// The module's `open_destination` for driver `D`.
pub extern "C" fn open_destination<D: DestinationDriver>(
    options: RStr<'_>,
    context: ContextRef,
) -> AbiResult<DestinationBox> {
    let context = host::context(context);
    let (options, secrets) = secret::collect(|| catch("options", || parse_options::<D::Options>(options.as_str())));
    let opened = options.and_then(|options| catch("open", || D::open(options, &context)));
    to_abi(match opened {
        Ok(destination) => Ok(DestinationAbi_TO::from_value(Instance(Guarded::new(destination, secrets)), TD_Opaque)),
        Err(error) => Err(clean(error, &secrets)),
    })
}

struct Instance<D: Destination>(Guarded<D>);

impl<D: Destination> DestinationAbi for Instance<D> {
    fn create(&mut self, key: RStr<'_>, options: RStr<'_>) -> AbiResult<WriterBox> {
        let secrets = self.0.secrets().to_vec();
        to_abi(self.0.with_mut("create", |destination| {
            let writer = destination.create(key.as_str(), &from_json(options.as_str())?)?;
            Ok(WriterAbi_TO::from_value(Writer(Guarded::new(writer, secrets)), TD_Opaque))
        }))
    }

    fn put(&mut self, method: RStr<'_>, key: RStr<'_>, body: RSlice<'_, u8>) -> AbiResult<RString> {
        let (key, body) = (key.as_str(), body.as_slice());
        to_abi(self.0.with_mut(method.as_str(), |destination| match method.as_str() {
            "put" => to_json(&destination.put(key, body)?),
            "put_if_absent" => to_json(&destination.put_if_absent(key, body)?),
            other => Err(unknown(other)),
        }))
    }

    fn get(&mut self, key: RStr<'_>, offset: u64, length: u64) -> AbiResult<ROption<RVec<u8>>> {
        to_abi(self.0.with_mut("get", |destination| {
            let bytes = match (offset, length) {
                (0, u64::MAX) => destination.get(key.as_str())?,
                (offset, length) => destination.read_at(key.as_str(), offset, length)?,
            };
            Ok(match bytes {
                Some(bytes) => RSome(RVec::from(bytes)),
                None => RNone,
            })
        }))
    }

    fn call(&mut self, method: RStr<'_>, arguments: RStr<'_>) -> AbiResult<RString> {
        let (method, arguments) = (method.as_str(), arguments.as_str());
        to_abi(self.0.with_mut(method, |destination| match method {
            "location" => to_json(&destination.location()),
            "head" => to_json(&destination.head(&from_json::<String>(arguments)?)?),
            "list" => to_json(&destination.list(&from_json::<String>(arguments)?)?),
            "delete" => to_json(&destination.delete(&from_json::<String>(arguments)?)?),
            "tidy" => to_json(&destination.tidy()?),
            other => Err(unknown(other)),
        }))
    }
}

struct Writer(Guarded<Box<dyn ObjectWriter>>);

impl WriterAbi for Writer {
    fn write(&mut self, bytes: RSlice<'_, u8>) -> AbiResult<()> {
        to_abi(self.0.with_mut("write", |writer| writer.write(bytes.as_slice())))
    }

    fn finish(&mut self) -> AbiResult<RString> {
        to_abi(self.0.with_mut("finish", |writer| to_json(&writer.finish()?)))
    }

    fn abort(&mut self) -> AbiResult<()> {
        to_abi(self.0.with_mut("abort", |writer| writer.abort()))
    }
}
