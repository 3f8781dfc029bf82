//! `rivet-tds --folder DIR [--certificate FILE --key FILE] --password TEXT --ready FILE
//! --listen ADDRESS=optional|required|none … [--also IP]`
//!
//! Serves until it is killed. Port 0 takes a free one; the ready file then has one address a line,
//! in the order of `--listen`; `--also` is another address with the first one's port.

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use rivet_tds::{Config, Encryption, Server};

fn main() -> ExitCode {
    match run() {
        Ok(server) => loop {
            let _ = &server;
            std::thread::park();
        },
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Server, String> {
    let mut arguments = std::env::args().skip(1);
    let (mut folder, mut certificate, mut key, mut ready) = (None, None, None, None);
    let mut password = None;
    let (mut listen, mut also) = (Vec::new(), Vec::new());
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--folder" => folder = Some(PathBuf::from(value)),
            "--certificate" => certificate = Some(PathBuf::from(value)),
            "--key" => key = Some(PathBuf::from(value)),
            "--ready" => ready = Some(PathBuf::from(value)),
            "--password" => password = Some(value),
            "--also" => also.push(value.parse().map_err(|error| format!("--also {value}: {error}"))?),
            "--listen" => listen.push(listener(&value)?),
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    let config = Config {
        folder: folder.ok_or("--folder is missing")?,
        certificate: certificate.zip(key),
        password: password.ok_or("--password is missing")?,
        listen,
        also,
    };
    let server = Server::start(config).map_err(|error| error.to_string())?;
    if let Some(ready) = ready {
        let lines: String = server.addresses().iter().map(|address| format!("{address}\n")).collect();
        // Renamed, so that whoever waits for it never sees half of it.
        let fresh = ready.with_extension("new");
        std::fs::write(&fresh, lines)
            .and_then(|()| std::fs::rename(&fresh, &ready))
            .map_err(|error| error.to_string())?;
    }
    Ok(server)
}

fn listener(text: &str) -> Result<(SocketAddr, Encryption), String> {
    let (address, encryption) = text.split_once('=').ok_or("--listen ADDRESS=optional|required|none")?;
    let encryption = match encryption {
        "optional" => Encryption::Optional,
        "required" => Encryption::Required,
        "none" => Encryption::NotSupported,
        other => return Err(format!("--listen: `{other}` is not optional, required or none")),
    };
    Ok((address.parse().map_err(|error| format!("--listen {address}: {error}"))?, encryption))
}
