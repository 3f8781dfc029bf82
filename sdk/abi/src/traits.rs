//! The trait objects behind the module. Every method's implementation catches its own panics:
//! an unwind that reaches these calls ends the process.

use abi_stable::sabi_trait;
use abi_stable::std_types::{RArc, RBox, ROption, RResult, RSlice, RStr, RString, RVec};
use abi_stable::{RMut, StableAbi};

/// A result whose error is an `Error` in JSON.
pub type AbiResult<T> = RResult<T, RString>;

/// Points at an `ArrowSchema` of the Arrow C data interface. The callee moves it out and
/// leaves a released one; the caller releases what it finds unreleased after the call.
#[repr(transparent)]
#[derive(StableAbi, Debug, Clone, Copy)]
pub struct ArrowSchemaPointer(*mut u8);

impl ArrowSchemaPointer {
    /// A pointer to an `ArrowSchema`, or NULL. To follow it is unsafe, to have it is not.
    pub const fn new(pointer: *mut u8) -> Self {
        Self(pointer)
    }

    /// The pointer.
    pub const fn as_ptr(self) -> *mut u8 {
        self.0
    }
}

/// Points at an `ArrowArray`, with the same rule of ownership.
#[repr(transparent)]
#[derive(StableAbi, Debug, Clone, Copy)]
pub struct ArrowArrayPointer(*mut u8);

impl ArrowArrayPointer {
    /// A pointer to an `ArrowArray`, or NULL. To follow it is unsafe, to have it is not.
    pub const fn new(pointer: *mut u8) -> Self {
        Self(pointer)
    }

    /// The pointer.
    pub const fn as_ptr(self) -> *mut u8 {
        self.0
    }
}

/// What the host offers to a whole plugin.
#[sabi_trait]
pub trait HostAbi: Send + Sync {
    /// One record: level 1 (error) to 5 (trace), target, text.
    #[sabi(last_prefix_field)]
    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>);
}

/// What the host offers to one instance.
#[sabi_trait]
pub trait ContextAbi: Send + Sync {
    /// True once the instance's work is no longer wanted.
    fn is_cancelled(&self) -> bool;
    /// Takes bytes from the process-wide budget, waiting until they are free.
    fn reserve(&self, bytes: u64) -> AbiResult<()>;
    /// As `reserve`, but never waits: false where they are not free now.
    fn try_reserve(&self, bytes: u64) -> bool;
    /// Gives them back.
    #[sabi(last_prefix_field)]
    fn release(&self, bytes: u64);
}

/// Stops a running statement from another thread.
#[sabi_trait]
pub trait InterruptAbi: Send + Sync {
    /// Asks; does not wait.
    #[sabi(last_prefix_field)]
    fn interrupt(&self) -> AbiResult<()>;
}

/// Where an export's rows go: the host's side.
#[sabi_trait]
pub trait SinkAbi {
    /// Once, before the first batch.
    fn on_schema(&mut self, schema: ArrowSchemaPointer) -> AbiResult<()>;
    /// A struct array of that schema.
    #[sabi(last_prefix_field)]
    fn on_batch(&mut self, batch: ArrowArrayPointer) -> AbiResult<()>;
}

/// A source instance.
#[sabi_trait]
pub trait SourceAbi: Send {
    /// `ExportRequest` in JSON, to `ExportStats` in JSON.
    fn export(&mut self, request: RStr<'_>, sink: SinkRef<'_>) -> AbiResult<RString>;
    /// Every other method: its name, its arguments and its answer in JSON.
    fn call(&mut self, method: RStr<'_>, arguments: RStr<'_>) -> AbiResult<RString>;
    /// A handle for other threads.
    #[sabi(last_prefix_field)]
    fn interrupt(&self) -> ROption<InterruptBox>;
}

/// An object being written.
#[sabi_trait]
pub trait WriterAbi: Send {
    /// Appends.
    fn write(&mut self, bytes: RSlice<'_, u8>) -> AbiResult<()>;
    /// Makes it visible; answers with `Object` in JSON.
    fn finish(&mut self) -> AbiResult<RString>;
    /// Gives up.
    #[sabi(last_prefix_field)]
    fn abort(&mut self) -> AbiResult<()>;
}

/// A destination instance.
#[sabi_trait]
pub trait DestinationAbi: Send {
    /// Starts an object; options in JSON.
    fn create(&mut self, key: RStr<'_>, options: RStr<'_>) -> AbiResult<WriterBox>;
    /// Writes a small object whole: `method` is `put` or `put_if_absent`.
    fn put(&mut self, method: RStr<'_>, key: RStr<'_>, body: RSlice<'_, u8>) -> AbiResult<RString>;
    /// `length` bytes from `offset`; `u64::MAX` for all. None where there is no object.
    fn get(&mut self, key: RStr<'_>, offset: u64, length: u64) -> AbiResult<ROption<RVec<u8>>>;
    /// Every other method: its name, its arguments and its answer in JSON.
    #[sabi(last_prefix_field)]
    fn call(&mut self, method: RStr<'_>, arguments: RStr<'_>) -> AbiResult<RString>;
}

/// Shared by all threads of a plugin.
pub type HostRef = HostAbi_TO<'static, RArc<()>>;
/// Shared by an instance's threads.
pub type ContextRef = ContextAbi_TO<'static, RArc<()>>;
/// Owned by the host.
pub type InterruptBox = InterruptAbi_TO<'static, RBox<()>>;
/// Lent for one export.
pub type SinkRef<'a> = SinkAbi_TO<'a, RMut<'a, ()>>;
/// Owned by one worker of the host.
pub type SourceBox = SourceAbi_TO<'static, RBox<()>>;
/// Owned by one worker of the host.
pub type WriterBox = WriterAbi_TO<'static, RBox<()>>;
/// Owned by one worker of the host.
pub type DestinationBox = DestinationAbi_TO<'static, RBox<()>>;
