//! What a test asks of the plugin: the environment variable `RIVET_HOSTILE`.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use rivet_sdk::serde::{Deserialize, de::value::Error as WordError, de::value::StrDeserializer};
use rivet_sdk::{Error, ErrorKind, Result};

/// The ways to misbehave, by the word in `RIVET_HOSTILE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(crate = "rivet_sdk::serde", rename_all = "kebab-case")]
pub enum Misbehaviour {
    /// Panics while its options are read.
    PanicInOptions,
    /// Panics in `open`.
    PanicInOpen,
    /// Panics in `type_mappings`.
    PanicInTypeMappings,
    /// Panics in `export`, after a batch.
    PanicInExport,
    /// Panics in `export` with a payload that panics when dropped, as does the payload of that.
    PanicWithPayload,
    /// Panics when an instance is dropped.
    PanicInDrop,
    /// A thread of the plugin's own panics; the export goes on.
    PanicInThread,
    /// Panics in `interrupt`, and when the handle is dropped; hangs until then.
    PanicInInterrupt,
    /// Never returns from `export`.
    Hang,
    /// Does not return from `export` before it is interrupted.
    HangUntilInterrupted,
    /// Never returns from `describe`.
    HangInDescribe,
    /// Takes its time over every batch.
    Slow,
    /// Takes its time over every batch, and reports more pressure at each reading.
    Pressure,
    /// Cannot read the pressure, like a login without the right.
    PressureUnread,
    /// Ends without a schema.
    NoSchema,
    /// Sends the schema twice.
    SchemaTwice,
    /// Sends a batch before the schema.
    BatchBeforeSchema,
    /// Sends another schema than `type_mappings` told.
    OtherSchema,
    /// Sends a batch with a column of another type.
    OtherTypes,
    /// Sends a batch with a column more.
    OtherColumns,
    /// Sends NULL in a column that has none.
    NullInRequired,
    /// Sends text offsets that go backwards.
    BadOffsets,
    /// Sends text offsets that leave the buffer and come back.
    FarOffsets,
    /// Sends text that is not UTF-8.
    BadUtf8,
    /// Counts more rows than it sent.
    WrongCount,
    /// Fails, after a batch, with an error of kind number `kind`.
    Fail,
    /// Writes its password into the log, and goes on.
    LeakInLog,
    /// As a library in it would: writes its password into the log, in pieces of 16 bytes and under the library's name.
    LeakInPieces,
    /// Fails with its password in the message, the hint and the context.
    LeakInError,
    /// Panics with its password.
    LeakInPanic,
    /// Warns with its password.
    LeakInWarning,
    /// Logs what is not UTF-8, when it begins.
    LogNotUtf8,
    /// Answers with what is not UTF-8.
    AnswerNotUtf8,
    /// Fails with what is not UTF-8.
    ErrorNotUtf8,
    /// Tells a type that Arrow cannot have.
    MalformedType,
    /// Sends NULL for its schema.
    SchemaNull,
    /// Sends a schema that is released already.
    SchemaReleased,
    /// Sends a schema whose second column has no format.
    SchemaWithoutFormat,
    /// Its format is not UTF-8.
    SchemaFormatNotUtf8,
    /// Its name is not UTF-8.
    SchemaNameNotUtf8,
    /// Its format is none of Arrow's.
    SchemaFormatUnknown,
    /// It is a list without a type of its elements.
    SchemaListOfNothing,
    /// There is none, though there are said to be two.
    SchemaColumnMissing,
    /// There are said to be two columns, and none is there.
    SchemaColumnsNowhere,
    /// It is a list of itself.
    SchemaOfACircle,
}

/// `RIVET_HOSTILE=fail,kind=12,at=500,times=2`: how, and when.
#[derive(Debug, Clone)]
pub struct Order {
    how: Misbehaviour,
    kind: ErrorKind,
    /// Only in an export of a range that holds this id.
    at: Option<i64>,
    /// Only the first times in this process.
    times: Option<u32>,
}

static DONE: AtomicU32 = AtomicU32::new(0);

impl Order {
    /// What this process was told; None for a plugin that behaves.
    pub fn given() -> Result<Option<Self>> {
        match std::env::var("RIVET_HOSTILE") {
            Ok(text) => Self::parse(&text).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let wrong = |what: String| Error::config(format!("RIVET_HOSTILE: {what}"));
        let mut words = text.split(',');
        let how = Misbehaviour::deserialize(StrDeserializer::<WordError>::new(words.next().unwrap_or_default()))
            .map_err(|error| wrong(error.to_string()))?;
        let mut order = Self { how, kind: ErrorKind::Data, at: None, times: None };
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(|| wrong(format!("`{word}`")))?;
            let number: u32 = value.parse().map_err(|error| wrong(format!("`{word}`: {error}")))?;
            match name {
                "kind" => order.kind = ErrorKind::from_code(number),
                "at" => order.at = Some(number.into()),
                "times" => order.times = Some(number),
                other => return Err(wrong(format!("`{other}`"))),
            }
        }
        Ok(order)
    }

    /// Whether it is this, at any place and time.
    pub fn is(&self, how: Misbehaviour) -> bool {
        self.how == how
    }

    /// What it is.
    pub fn how(&self) -> Misbehaviour {
        self.how
    }

    /// What to do in the export of these ids, if it is due.
    pub fn due(&self, ids: &Range<i64>) -> Option<Misbehaviour> {
        let here = self.at.is_none_or(|at| ids.contains(&at));
        let now = here && self.times.is_none_or(|times| DONE.fetch_add(1, Ordering::SeqCst) < times);
        now.then_some(self.how)
    }

    /// The kind of error that [`Misbehaviour::Fail`] fails with.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
