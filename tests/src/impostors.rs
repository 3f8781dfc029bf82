//! What listens where a database or a store should: another service, one that hangs up, one whose certificate is not
//! to be trusted.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::cloud::openssl;

fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(client));
        }
    });
    place
}

/// `host:port` of a service that says `greeting` at once, and `answer` once it is asked anything; then it hangs up.
pub fn service(greeting: &'static [u8], answer: &'static [u8]) -> String {
    listen(move |mut client| {
        let _ = client.write_all(greeting);
        if !answer.is_empty() {
            let _ = client.read(&mut [0; 4096]);
            let _ = client.write_all(answer);
        }
        // What is unread would turn the end into a reset, which takes the answer with it.
        let _ = client.set_read_timeout(Some(Duration::from_millis(200)));
        while client.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
    })
}

/// `host:port` of a service that hangs up on everybody.
pub fn closed() -> String {
    listen(drop)
}

/// Whose certificate a server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// One that [`authority`] signed for 127.0.0.1.
    Good,
    /// One that it signed for another host.
    OtherName,
    /// One that it signed, and that has expired.
    Expired,
    /// One that signed itself, as an authority.
    SelfSigned,
}

/// `host:port` of a server that speaks TLS, shows this certificate, and answers nothing. With `after`, it first reads
/// so many bytes and answers with some, as a PostgreSQL server does.
pub fn tls(shown: Shown, after: Option<(usize, &'static [u8])>) -> String {
    let config = config(shown);
    listen(move |mut client| {
        if let Some((bytes, answer)) = after {
            let mut asked = vec![0; bytes];
            if client.read_exact(&mut asked).is_err() || client.write_all(answer).is_err() {
                return;
            }
        }
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), client);
        let _ = stream.read(&mut [0; 4096]);
    })
}

/// The authority's certificate, in PEM.
pub fn authority() -> PathBuf {
    folder().join("ca.crt")
}

fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        openssl(path, "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.crt");
        for (name, host, days) in [
            ("Good", "IP:127.0.0.1", "30"),
            ("OtherName", "DNS:other.example", "30"),
            ("Expired", "IP:127.0.0.1", "0"),
        ] {
            std::fs::write(path.join("extensions"), format!("subjectAltName={host}\nbasicConstraints=CA:FALSE\n")).unwrap();
            openssl(path, &format!("req -newkey rsa:2048 -nodes -subj /CN=server -keyout {name}.key -out {name}.csr"));
            openssl(path, &format!("x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days {days} -extfile extensions -out {name}.crt"));
        }
        openssl(path, "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=itself -addext subjectAltName=IP:127.0.0.1 -keyout SelfSigned.key -out SelfSigned.crt");
        // The one of no days is over in the next second.
        thread::sleep(Duration::from_millis(1100));
        folder
    });
    made.path()
}

fn config(shown: Shown) -> Arc<ServerConfig> {
    let file = |ending: &str| folder().join(format!("{shown:?}.{ending}"));
    let certificate = CertificateDer::from_pem_file(file("crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(config.with_single_cert(vec![certificate], key).unwrap())
}
