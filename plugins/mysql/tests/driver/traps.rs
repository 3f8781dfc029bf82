//! What a server, an account or a proxy may do to a session: values stay what they are, or the
//! export is refused.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{Server, export, open_url, servers};
use rivet_sdk::{ErrorKind, Source, SplitBy, SplitInto, SplitRequest};

/// Global settings changed for a while. No other test of this file may run beside it.
struct Trap<'a> {
    server: &'a Server,
    before: Vec<(String, String)>,
}

impl<'a> Trap<'a> {
    fn set(server: &'a Server, settings: &[(&str, &str)]) -> Self {
        let mut before = Vec::new();
        for (name, value) in settings {
            before.push(((*name).to_owned(), server.run(&format!("SELECT QUOTE(@@GLOBAL.{name})"))));
            server.run(&format!("SET GLOBAL {name} = {value}"));
        }
        Self { server, before }
    }
}

impl Drop for Trap<'_> {
    fn drop(&mut self) {
        for (name, value) in &self.before {
            let value = if value.trim_matches('\'').bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
                && value != "''"
            {
                value.trim_matches('\'')
            } else {
                value
            };
            self.server.run(&format!("SET GLOBAL {name} = {value}"));
        }
    }
}

#[test]
fn no_server_default_changes_a_value_and_no_proxy_may_lose_a_setting() {
    defaults_of_the_server();
    proxies();
}

fn defaults_of_the_server() {
    for server in servers() {
        let database = server.database();
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, ts timestamp(6) NULL, dt datetime, d date, c char(5), l varchar(20) CHARACTER SET latin1, u varchar(20), n decimal(10,2)); \
             INSERT INTO t VALUES (1, '2024-02-29 23:30:00.5', '2024-02-29 23:30:00', '0000-00-00', 'ab', 'é€', 'it''s \\\\ \"x\" 😀', 1.5), \
             (2, NULL, NULL, NULL, '', '', 'back\\\\slash', -1.5), (3, '1970-01-01 00:00:01', NULL, NULL, NULL, NULL, 'Z', 0)",
        );
        database.run("CREATE TABLE k (a varchar(20) COLLATE utf8mb4_bin PRIMARY KEY); INSERT INTO k VALUES ('it''s'), ('back\\\\slash'), ('\"q\"'), ('a'), ('b\\\\''')");
        let mut request = database.request("t");
        request.order_by = vec!["id".into()];
        request.on_unrepresentable = rivet_sdk::OnUnrepresentable::Null;
        let read = |url: &str| {
            let mut source = open_url(url).unwrap();
            let rows = export(&mut source, &request).unwrap().0.rows();
            // Literals survive, whatever quotes and backslashes mean by default.
            let by = SplitBy::Keyset { key: vec!["a".into()] };
            let of = database.request("k");
            let split = source.split(&SplitRequest::new(of.clone(), by, SplitInto::Count(4))).unwrap();
            let mut keys = Vec::new();
            for slice in &split.slices {
                let mut part = of.clone();
                part.conditions.extend(slice.condition.clone());
                keys.extend(export(&mut source, &part).unwrap().0.column("a"));
            }
            assert!(split.slices.len() > 1);
            keys.sort();
            (rows, keys, source.query_scalar("SELECT 'te''xt'").unwrap())
        };
        let expected = read(&database.url());
        assert_eq!(expected.0[0][1], "1709249400500000");
        assert_eq!(expected.1, ["\"q\"", "a", "b\\'", "back\\slash", "it's"]);
        let trap = Trap::set(
            &server,
            &[
                ("time_zone", "'+05:30'"),
                (
                    "sql_mode",
                    "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE,NO_ZERO_DATE,STRICT_ALL_TABLES'",
                ),
                ("sql_select_limit", "1"),
                ("character_set_results", "'latin1'"),
                ("character_set_client", "'latin1'"),
                ("character_set_connection", "'latin1'"),
                ("sql_auto_is_null", "1"),
                ("autocommit", "0"),
                (if server.is_mariadb() { "max_statement_time" } else { "max_execution_time" }, "1"),
            ],
        );
        let found = read(&database.url());
        drop(trap);
        assert_eq!(found, expected, "{}", server.name);
    }
}

fn proxies() {
    for server in servers() {
        let swallowed = Arc::new(AtomicU32::new(0));
        let port = proxy(&server, Arc::clone(&swallowed));
        let login = server.parts().0;
        let url = format!("mysql://{login}@127.0.0.1:{port}/mysql?ssl-mode=disabled");
        let trap = Trap::set(&server, &[("time_zone", "'+05:30'")]);
        let error = open_url(&url).map(|_| ()).unwrap_err();
        drop(trap);
        assert!(swallowed.load(Ordering::SeqCst) > 0, "the proxy swallowed nothing");
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connection, false), "{error:?}");
        assert!(error.to_string().contains("the setting") && error.hint().unwrap().contains("proxy"), "{error:?}");
    }
}

/// A proxy that answers OK to every `SET SESSION` by itself.
fn proxy(server: &Server, swallowed: Arc<AtomicU32>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let place = server.parts().1;
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let upstream = TcpStream::connect(&place).unwrap();
            let (mut from, mut to) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let swallowed = Arc::clone(&swallowed);
            std::thread::spawn(move || forward(client, upstream, &swallowed));
        }
    });
    port
}

fn forward(mut client: TcpStream, mut upstream: TcpStream, swallowed: &AtomicU32) {
    loop {
        let mut header = [0; 4];
        if client.read_exact(&mut header).is_err() {
            break;
        }
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let mut body = vec![0; usize::try_from(length).unwrap()];
        if client.read_exact(&mut body).is_err() {
            break;
        }
        if body.starts_with(b"\x03SET SESSION time_zone") {
            swallowed.fetch_add(1, Ordering::SeqCst);
            client.write_all(&[7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]).unwrap();
        } else if upstream.write_all(&[&header[..], &body].concat()).is_err() {
            break;
        }
    }
    let _ = upstream.shutdown(std::net::Shutdown::Both);
}
