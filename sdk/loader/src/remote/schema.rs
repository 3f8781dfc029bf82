//! Takes a schema over from a plugin. Arrow follows its pointers without a look, and panics over a text
//! that is not UTF-8: so each is looked at here first, and what is wrong is told as the plugin's fault.

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rivet_abi::ArrowSchemaPointer;
use rivet_sdk::Result;
use rivet_sdk::arrow_schema::ffi::FFI_ArrowSchema;
use rivet_sdk::arrow_schema::{Schema, SchemaRef};

use super::broken;

/// An `ArrowSchema` of the C data interface, with its fields to look at.
#[repr(C)]
struct Raw {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *const *const Raw,
    dictionary: *const Raw,
    release: Option<unsafe extern "C" fn(*mut Raw)>,
    private_data: *mut c_void,
}

const _: () = assert!(
    size_of::<Raw>() == size_of::<FFI_ArrowSchema>() && align_of::<Raw>() == align_of::<FFI_ArrowSchema>(),
    "both are the structure of the C data interface"
);

/// Columns within columns; nobody's are deeper, and a circle of pointers ends here.
const DEEPEST: usize = 64;
/// More columns than any database has in a table.
const MOST_COLUMNS: i64 = 1 << 20;

/// Moves the schema out, if it is one.
pub(super) fn import(pointer: ArrowSchemaPointer) -> Result<SchemaRef> {
    let pointer = pointer.as_ptr();
    if pointer.is_null() {
        return Err(broken("sent no schema"));
    }
    if !pointer.cast::<Raw>().is_aligned() {
        return Err(broken("sent a schema at an address that none can have"));
    }
    // SAFETY: the boundary's contract: the pointer leads to an ArrowSchema of the C data interface,
    // which stays where it is during this call. It is aligned and not NULL, as just seen.
    let raw = unsafe { &*pointer.cast::<Raw>() };
    if raw.release.is_none() {
        return Err(broken("sent a schema that is released already"));
    }
    let checked = check(raw, "", 0).map_err(|what| broken(&format!("sent a malformed schema: {what}")));
    // SAFETY: as above; nothing refers to it any more. Whatever is wrong with it, its release callback
    // is the plugin's own, and is called once.
    let schema = unsafe { FFI_ArrowSchema::from_raw(pointer.cast()) };
    checked?;
    // Arrow asserts that formats have the children they need.
    let schema = catch_unwind(AssertUnwindSafe(|| Schema::try_from(&schema)))
        .map_err(|_| broken("sent a malformed schema: its nested columns contradict their formats"))?;
    let schema = schema.map_err(|error| broken(&format!("sent a malformed schema: {error}")))?;
    Ok(schema.into())
}

/// What is wrong with this part of a schema, and where.
fn check(raw: &Raw, place: &str, depth: usize) -> std::result::Result<(), String> {
    let wrong = |what: &str| if place.is_empty() { what.to_owned() } else { format!("{place}: {what}") };
    if depth > DEEPEST {
        return Err(wrong("it is nested too deep"));
    }
    if raw.format.is_null() {
        return Err(wrong("it has no format"));
    }
    // SAFETY: not NULL; the interface's contract is that it is a text that ends with a NUL.
    let format = unsafe { CStr::from_ptr(raw.format) }.to_str().map_err(|_| wrong("its format is not UTF-8"))?;
    if name(raw).is_none() {
        return Err(wrong("its name is not UTF-8"));
    }
    if !(0..=MOST_COLUMNS).contains(&raw.n_children) {
        return Err(wrong(&format!("it has {} columns", raw.n_children)));
    }
    let count = usize::try_from(raw.n_children).unwrap_or_default();
    if let Some(fault) = rivet_sdk::glue::format_fault(format, count) {
        return Err(wrong(&fault));
    }
    if count > 0 && (raw.children.is_null() || !raw.children.is_aligned()) {
        return Err(wrong(&format!("its {count} columns are nowhere")));
    }
    for index in 0..count {
        // SAFETY: the interface's contract is that so many pointers stand there.
        let child = unsafe { *raw.children.add(index) };
        let number = index + 1;
        // SAFETY: a pointer of the interface leads to an ArrowSchema, or is NULL.
        let child = unsafe { child.as_ref() }.ok_or_else(|| wrong(&format!("column {number} is missing")))?;
        let place = match name(child) {
            Some(name) if !name.is_empty() => format!("column {number} `{name}`"),
            _ => format!("column {number}"),
        };
        check(child, &place, depth + 1)?;
    }
    // SAFETY: as for the children.
    match unsafe { raw.dictionary.as_ref() } {
        Some(values) => check(values, &wrong("its dictionary"), depth + 1),
        None => Ok(()),
    }
}

/// Its name, empty where there is none; None for what is not UTF-8.
fn name(raw: &Raw) -> Option<&str> {
    if raw.name.is_null() {
        return Some("");
    }
    // SAFETY: not NULL; the interface's contract is that it is a text that ends with a NUL.
    unsafe { CStr::from_ptr(raw.name) }.to_str().ok()
}
