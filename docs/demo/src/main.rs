//! What `make demo` needs beside `rivet`: `rivet-demo make FILE` writes the sample shop, `rivet-demo show PATH...`
//! prints what landed.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "printing is what `show` does")]

mod shop;
mod show;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let done = match arguments.split_first() {
        Some((verb, [file])) if verb == "make" => shop::make(Path::new(file)).map_err(Box::<dyn Error>::from),
        Some((verb, paths)) if verb == "show" && !paths.is_empty() => {
            paths.iter().try_for_each(|path| show::show(Path::new(path)))
        }
        _ => Err("usage: rivet-demo make FILE | rivet-demo show PATH...".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
