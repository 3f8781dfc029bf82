//! Between the good glue of the SDK and the host: what a plugin in another language can do wrong.

use std::ffi::{c_char, c_void};
use std::ptr;

use rivet_sdk::Error;
use rivet_sdk::glue;
use rivet_sdk::glue::abi::stable::{RErr, ROk, ROption, RStr, RString, RVec, TD_Opaque};
use rivet_sdk::glue::abi::{
    AbiResult, ArrowSchemaPointer, ContextRef, HostRef, InterruptBox, SinkRef, SourceAbi, SourceAbi_TO, SourceBox,
};

use crate::{HostileDriver, Misbehaviour, Order};

/// Bytes that no text has, as a text.
fn no_text() -> RString {
    // SAFETY: it is not sound, which is the point: the host must find out before it reads it as a text.
    unsafe { RString::from_utf8_unchecked(RVec::from(b"\xff\xfe is no text".to_vec())) }
}

fn told(how: Misbehaviour) -> bool {
    Order::given().is_ok_and(|order| order.is_some_and(|order| order.is(how)))
}

/// The module's `init`.
pub extern "C" fn init(host: HostRef, settings: RStr<'_>) -> AbiResult<()> {
    if told(Misbehaviour::LogNotUtf8) {
        host.log(2, RStr::from_str("rivet_plugin_hostile"), no_text().as_rstr());
    }
    glue::init(host, settings)
}

/// The module's `open_source`.
pub extern "C" fn open_source(options: RStr<'_>, context: ContextRef) -> AbiResult<SourceBox> {
    match glue::open_source::<HostileDriver>(options, context) {
        ROk(source) => ROk(SourceAbi_TO::from_value(Layer(source), TD_Opaque)),
        RErr(error) => RErr(error),
    }
}

struct Layer(SourceBox);

impl SourceAbi for Layer {
    fn export(&mut self, request: RStr<'_>, mut sink: SinkRef<'_>) -> AbiResult<RString> {
        let Some(mut schema) = malformed() else { return self.0.export(request, sink) };
        let pointer = match told(Misbehaviour::SchemaNull) {
            true => ptr::null_mut(),
            false => ptr::from_mut(&mut schema).cast(),
        };
        match sink.on_schema(ArrowSchemaPointer::new(pointer)) {
            ROk(()) => ROk("{\"rows\":0}".into()),
            RErr(error) => RErr(error),
        }
    }

    fn call(&mut self, method: RStr<'_>, arguments: RStr<'_>) -> AbiResult<RString> {
        let forgotten = std::env::var("RIVET_HOSTILE_FORGETS").unwrap_or_default();
        if forgotten.split(',').any(|forgotten| forgotten == method.as_str()) {
            return RErr(Error::unsupported(format!("this plugin does not know `{method}`")).to_json().into());
        }
        match method.as_str() {
            "identity" if told(Misbehaviour::AnswerNotUtf8) => ROk(no_text()),
            "identity" if told(Misbehaviour::ErrorNotUtf8) => RErr(no_text()),
            "type_mappings" if told(Misbehaviour::MalformedType) => ROk(
                r#"[{"name":"id","source_type":"list","fidelity":"exact","field":{"name":"id","format":"+l","nullable":true}}]"#
                    .into(),
            ),
            _ => self.0.call(method, arguments),
        }
    }

    fn interrupt(&self) -> ROption<InterruptBox> {
        self.0.interrupt()
    }
}

/// An `ArrowSchema` of the C data interface.
#[repr(C)]
struct Schema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut Schema,
    dictionary: *mut Schema,
    release: Option<unsafe extern "C" fn(*mut Schema)>,
    private_data: *mut c_void,
}

/// Nothing of it is ever given back: it is a test.
unsafe extern "C" fn release(schema: *mut Schema) {
    // SAFETY: whoever releases a schema has one.
    unsafe { (*schema).release = None };
}

impl Schema {
    fn new(format: *const c_char, name: *const c_char, children: Vec<*mut Self>) -> Self {
        Self {
            format,
            name,
            metadata: ptr::null(),
            flags: 0,
            n_children: i64::try_from(children.len()).unwrap_or_default(),
            children: children.leak().as_mut_ptr(),
            dictionary: ptr::null_mut(),
            release: Some(release),
            private_data: ptr::null_mut(),
        }
    }

    fn boxed(self) -> *mut Self {
        Box::into_raw(Box::new(self))
    }
}

/// The schema that is asked for, if one is.
fn malformed() -> Option<Schema> {
    let (id, word, long, text) = (c"id".as_ptr(), c"word".as_ptr(), c"l".as_ptr(), c"u".as_ptr());
    let (bad, list, missing) = (c"\xff\xfe".as_ptr(), c"+l".as_ptr(), ptr::null_mut());
    let good = || Schema::new(long, id, Vec::new()).boxed();
    let table = |second: *mut Schema| Schema::new(c"+s".as_ptr(), ptr::null(), vec![good(), second]);
    let column = |format, name| table(Schema::new(format, name, Vec::new()).boxed());
    Some(match Order::given().ok()??.how() {
        Misbehaviour::SchemaNull => column(text, word),
        Misbehaviour::SchemaReleased => Schema { release: None, ..column(text, word) },
        Misbehaviour::SchemaWithoutFormat => column(ptr::null(), word),
        Misbehaviour::SchemaFormatNotUtf8 => column(bad, word),
        Misbehaviour::SchemaNameNotUtf8 => column(text, bad),
        Misbehaviour::SchemaFormatUnknown => column(c"of tomorrow".as_ptr(), word),
        Misbehaviour::SchemaListOfNothing => column(list, word),
        Misbehaviour::SchemaColumnMissing => table(missing),
        Misbehaviour::SchemaColumnsNowhere => Schema { children: ptr::null_mut(), ..column(text, word) },
        Misbehaviour::SchemaOfACircle => {
            let circle = Schema::new(list, word, vec![missing]).boxed();
            // SAFETY: both were just made.
            unsafe { *(*circle).children = circle };
            table(circle)
        }
        _ => return None,
    })
}
