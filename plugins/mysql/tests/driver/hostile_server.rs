//! A server that answers anything at all: every outcome is an error, none a panic or a hang.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use proptest::prelude::*;
use rivet_plugin_mysql::{MysqlDriver, MysqlOptions};
use rivet_sdk::{Context, Secret, SourceDriver};

/// What MySQL 8 greets with, without TLS.
const GREETING: &[u8] = b"\x0a8.0.36\0\x01\0\0\0abcdefgh\0\xff\xf7\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0mysql_native_password\0";
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&[a, b, c, sequence], body].concat()
}

/// Greets, lets anybody in unless `login` says otherwise, and answers each command with the next
/// of `answers`; then hangs up.
fn serve(listener: &TcpListener, greeting: &[u8], login: &[u8], answers: &[Vec<u8>]) {
    let (mut client, _) = listener.accept().unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut run = || -> std::io::Result<()> {
        client.write_all(&packet(0, greeting))?;
        hear(&mut client)?;
        client.write_all(&packet(2, login))?;
        for answer in answers {
            hear(&mut client)?;
            client.write_all(answer)?;
        }
        Ok(())
    };
    // The driver may hang up first, which is its right.
    let _ = run();
}

fn hear(client: &mut TcpStream) -> std::io::Result<()> {
    let mut header = [0; 4];
    client.read_exact(&mut header)?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
    client.read_exact(&mut vec![0; usize::try_from(length).unwrap()])
}

fn open(greeting: &[u8], login: &[u8], answers: &[Vec<u8>]) -> rivet_sdk::Error {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::scope(|scope| {
        scope.spawn(|| serve(&listener, greeting, login, answers));
        let options = MysqlOptions {
            url: Some(Secret::new(format!("mysql://u:pass-word@127.0.0.1:{port}/d"))),
            connect_timeout_s: Some(2),
            ..MysqlOptions::default()
        };
        MysqlDriver::open(options, &Context::detached()).map(|_| ()).unwrap_err()
    })
}

#[test]
fn an_honest_greeting_and_nothing_more_is_a_lost_connection() {
    let error = open(GREETING, OK, &[]);
    assert!(error.is_transient(), "{error:?}");
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_demanded() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| serve(&listener, GREETING, OK, &[]));
        let url = Some(Secret::new(format!("mysql://u:pass-word@127.0.0.1:{port}/d?ssl-mode=required")));
        MysqlDriver::open(MysqlOptions { url, ..MysqlOptions::default() }, &Context::detached())
            .map(|_| ())
            .unwrap_err()
    });
    assert_eq!((error.kind(), error.is_transient()), (rivet_sdk::ErrorKind::Connection, false), "{error:?}");
    assert!(error.message().contains("does not offer TLS") && error.hint().is_some(), "{error:?}");
}

#[test]
fn a_request_for_the_password_in_clear_text_is_refused_without_tls() {
    let error = open(GREETING, b"\xfemysql_clear_password\0", &[]);
    assert_eq!(error.kind(), rivet_sdk::ErrorKind::Auth, "{error:?}");
    let error = open(GREETING, b"\xfecaching_sha2_password\0short\0", &[]);
    assert!(!format!("{error:?}").contains("pass-word"));
    // A server that wants a file of ours gets none.
    let file = packet(1, b"\xfb/etc/passwd");
    let error = open(GREETING, OK, &[file]);
    assert!(error.to_string().contains("asks for a file"), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_any_step_are_an_error(
        step in 0..4,
        at in 0_usize..90,
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        sequence in 0_u8..3,
    ) {
        let mut greeting = GREETING.to_vec();
        let mut login = OK.to_vec();
        let mut answers = Vec::new();
        match step {
            0 => greeting.iter_mut().skip(at).zip(&bytes).for_each(|(old, new)| *old = *new),
            1 => login = bytes,
            2 => answers.push(packet(sequence, &bytes)),
            _ => answers.extend([packet(1, OK), bytes]),
        }
        let error = format!("{:?}", open(&greeting, &login, &answers));
        prop_assert!(!error.contains("pass-word"), "{}", error);
    }
}
