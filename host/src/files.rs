//! Running out of file descriptors, which every part of the program may meet first.

use rivet_sdk::Error;

/// The process's limit, and the system's.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// What to do, where an error number says that no file or connection can be opened any more.
pub fn out_of_files(number: Option<i32>) -> Option<&'static str> {
    match number? {
        EMFILE => Some(
            "this process has as many open files and connections as it may: raise the limit (`ulimit -n`), or lower \
             `parallel` or `parallel_exports`",
        ),
        ENFILE => Some("the whole system has as many open files as it may: raise its limit (fs.file-max)"),
        _ => None,
    }
}

/// The error; one that comes of it says so, whoever met it: a driver, a library, the system's loader.
pub fn explained(error: Error) -> Error {
    let texts = error.chain().iter().map(String::as_str).chain([error.message(), error.code().unwrap_or_default()]);
    let number = texts.filter_map(number_in).next();
    match out_of_files(number) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn number_in(text: &str) -> Option<i32> {
    // "… in system" says the first words, too.
    let of_system = text.contains("(os error 23)") || text.contains("Too many open files in system");
    let of_process = text.contains("(os error 24)") || text.contains("Too many open files");
    if of_system { Some(ENFILE) } else { of_process.then_some(EMFILE) }
}
