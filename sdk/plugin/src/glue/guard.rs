//! Keeps a panic of the author's code inside its instance.

use std::any::Any;
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, ErrorKind, Result, redact};

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Installs a panic hook that remembers text and place instead of printing them.
pub(super) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let text = format!(
            "{} ({})",
            payload_text(panic.payload()),
            panic.location().map(ToString::to_string).unwrap_or_else(|| "unknown place".into())
        );
        log::error!("panic: {text}");
        LAST_PANIC.set(Some(text));
    }));
}

fn payload_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}

/// Runs `work`; a panic in it becomes an error of kind `Panic`.
pub(super) fn catch<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) => {
            let text = LAST_PANIC.take().unwrap_or_else(|| payload_text(&*payload));
            // A payload may panic in its own drop, and so may the payload of that panic: the
            // second is left alone for ever.
            if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
                std::mem::forget(second);
                LAST_PANIC.take();
            }
            Err(Error::new(ErrorKind::Panic, format!("the plugin panicked in {what}: {text}"))
                .with_hint("this is a defect of the plugin; report it to its author"))
        }
    }
}

/// An author's value that is not touched again once a method of it panicked, and whose
/// messages are cleared of its secrets.
pub(super) struct Guarded<T> {
    value: ManuallyDrop<T>,
    poisoned: AtomicBool,
    secrets: Vec<String>,
}

impl<T> Guarded<T> {
    pub fn new(value: T, secrets: Vec<String>) -> Self {
        Self { value: ManuallyDrop::new(value), poisoned: AtomicBool::new(false), secrets }
    }

    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    pub fn with_mut<R>(&mut self, what: &str, work: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        self.refuse_poisoned(what)?;
        let value = &mut *self.value;
        let result = catch(what, || work(value));
        self.settle(result)
    }

    pub fn with<R>(&self, what: &str, work: impl FnOnce(&T) -> Result<R>) -> Result<R> {
        self.refuse_poisoned(what)?;
        let result = catch(what, || work(&self.value));
        self.settle(result)
    }

    fn refuse_poisoned(&self, what: &str) -> Result<()> {
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Panic, format!("{what}: this instance panicked earlier")));
        }
        Ok(())
    }

    fn settle<R>(&self, result: Result<R>) -> Result<R> {
        result.map_err(|error| {
            if error.kind() == ErrorKind::Panic {
                self.poisoned.store(true, Ordering::Relaxed);
            }
            clean(error, &self.secrets)
        })
    }
}

/// `error` without any of `secrets`.
pub(super) fn clean(error: Error, secrets: &[String]) -> Error {
    error.map_texts(|text| secrets.iter().fold(text.to_owned(), |text, secret| redact(&text, secret).into_owned()))
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        let value = &mut self.value;
        // SAFETY: the value is dropped once, here, and never touched again.
        let dropped = catch("drop", || {
            unsafe { ManuallyDrop::drop(value) };
            Ok(())
        });
        if let Err(error) = dropped {
            log::error!("{error}");
        }
    }
}
