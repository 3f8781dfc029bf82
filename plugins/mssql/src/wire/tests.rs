//! The client against answers written by hand, many of them the specification's own examples, in
//! packets of every size.

use std::io::{Read, Write};
use std::net::TcpListener;

use proptest::prelude::*;
use rivet_sdk::{ErrorKind, Secret};

use super::*;
use crate::options::MssqlOptions;
use crate::packet::{HEADER_BYTES, LAST};

/// MS-TDS 4.2: a PRELOGIN answer without encryption.
const PRELOGIN: &[u8] = &[1, 0, 6, 0, 1, 0xFF, 2];
/// MS-TDS 4.6: `select 'foo' as 'bar'`.
const FOO: &[u8] = &[
    0x81, 1, 0, 0, 0, 0, 0, 0x20, 0, 0xA7, 3, 0, 9, 4, 0xD0, 0, 0x34, 3, b'b', 0, b'a', 0, b'r', 0, 0xD1, 3, 0, b'f',
    b'o', b'o', 0xFD, 0x10, 0, 0xC1, 0, 1, 0, 0, 0, 0, 0, 0, 0,
];

fn login_answer() -> Vec<u8> {
    let mut answer = vec![0xAD, 10, 0, 1, 0x74, 0, 0, 4, 0, 15, 0, 7, 0xD0];
    answer.extend_from_slice(&done(0));
    answer
}

fn done(status: u16) -> [u8; 13] {
    let [low, high] = status.to_le_bytes();
    [0xFD, low, high, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn server_error(number: i32, class: u8, text: &str) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.extend_from_slice(&[1, class]);
    body.extend_from_slice(&u16::try_from(text.len()).unwrap().to_le_bytes());
    body.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    body.extend_from_slice(&[0, 0, 1, 0, 0, 0]);
    [&[0xAA][..], &u16::try_from(body.len()).unwrap().to_le_bytes(), &body].concat()
}

/// A server that answers each message in turn, cut into packets of `packet_bytes` of payload.
fn serve(answers: Vec<Vec<u8>>, packet_bytes: usize) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        for answer in answers {
            loop {
                let mut header = [0; HEADER_BYTES];
                if socket.read_exact(&mut header).is_err() {
                    return;
                }
                let mut body = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - HEADER_BYTES];
                socket.read_exact(&mut body).unwrap();
                if header[1] & LAST != 0 {
                    break;
                }
            }
            for packet in packet::packets(packet::kind::ANSWER, &answer, packet_bytes + HEADER_BYTES) {
                let _ = socket.write_all(&packet);
            }
        }
    });
    let url = format!("mssql://u:p@127.0.0.1:{port}/d?encrypt=disable");
    Endpoint::new(MssqlOptions { url: Some(Secret::new(url)), ..MssqlOptions::default() }).unwrap()
}

fn ask(answer: Vec<u8>, packet_bytes: usize) -> Result<Rows> {
    let endpoint = serve(vec![PRELOGIN.to_vec(), login_answer(), answer], packet_bytes);
    Wire::open(&endpoint)?.run("select")
}

#[test]
fn the_specifications_answer_reads_in_packets_of_every_size() {
    for packet_bytes in [1, 2, 3, 7, 13, 42, 43, 44, 4096] {
        let rows = ask(FOO.to_vec(), packet_bytes).unwrap();
        assert_eq!(rows.columns[0].name, "bar");
        assert_eq!(rows.rows, [[Scalar::Text("foo".into())]], "{packet_bytes}");
    }
}

#[test]
fn the_servers_errors_outlive_its_closing() {
    let refused = [server_error(18_456, 14, "Login failed for user 'u'."), done(2).to_vec()].concat();
    let error = Wire::open(&serve(vec![PRELOGIN.to_vec(), refused], 100)).map(|_| ()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Auth, Some("18456")));
    // A killed session: an error, and the connection is gone before the answer's end.
    let killed = ask(server_error(596, 21, "Cannot continue the execution"), 100).unwrap_err();
    assert_eq!((killed.kind(), killed.code()), (ErrorKind::Connection, Some("596")));
    assert!(killed.is_transient());
    let refused = ask([server_error(208, 16, "Invalid object name 'x'."), done(2).to_vec()].concat(), 9).unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::NotFound, Some("208")));
}

#[test]
fn sparse_rows_and_values_in_pieces_read() {
    // Two columns: an int, and an nvarchar(max) whose length is not said.
    let mut answer = vec![0x81, 2, 0];
    answer.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0x26, 4, 1, b'a', 0]);
    answer.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0xE7, 0xFF, 0xFF, 9, 4, 0xD0, 0, 0x34, 1, b'b', 0]);
    answer.extend_from_slice(&[0xD2, 0b01]);
    answer.extend_from_slice(&(u64::MAX - 1).to_le_bytes());
    for piece in [&b"h\0i"[..], b"\0!\0"] {
        answer.extend_from_slice(&u32::try_from(piece.len()).unwrap().to_le_bytes());
        answer.extend_from_slice(piece);
    }
    answer.extend_from_slice(&0_u32.to_le_bytes());
    answer.extend_from_slice(&[0xD1, 4, 7, 0, 0, 0]);
    answer.extend_from_slice(&u64::MAX.to_le_bytes());
    answer.extend_from_slice(&done(0x10));
    for packet_bytes in [1, 5, 4096] {
        let rows = ask(answer.clone(), packet_bytes).unwrap();
        let expected = [[Scalar::Null, Scalar::Text("hi!".into())], [Scalar::Integer(7), Scalar::Null]];
        assert_eq!(rows.rows, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_answer_makes_the_client_panic(noise in proptest::collection::vec(any::<u8>(), 0..80), cut in 0..FOO.len(), token in 0x79..=0xFF_u8) {
        // A true answer that turns into noise.
        let mut answer = FOO[..cut].to_vec();
        answer.push(token);
        answer.extend_from_slice(&noise);
        let _ = ask(answer, 64);
    }
}
