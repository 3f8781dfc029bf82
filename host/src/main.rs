//! The `rivet` command: parse, run, map the outcome to an exit code.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    rivet::cli::main()
}
