//! What answers at a store's endpoint and is no store is told so, by every store; a listing that never ends is given
//! up; and whoever wants to stop need not wait for either.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rivet_tests::cloud::{self, Answer, Request, answer};
use rivet_tests::rivet;
use rivet_tests::stores::{self, Export, Kind};
use rustix::process::Signal;

/// Generous: what is tested is that it ends.
const ENDS: Duration = Duration::from_secs(60);

/// An export to what answers at `endpoint`, which is to be a store of this kind.
fn export(kind: Kind, endpoint: &str) -> (Export, stores::Place) {
    let place = stores::Place { endpoint: endpoint.to_owned(), ..stores::place(kind) };
    (stores::export(&place.yaml("transfer: {stall_timeout_s: 2, retries: 0}")), place)
}

fn command(export: &Export, place: &stores::Place, name: &str) -> rivet::Command {
    place.credentials(export.project.rivet(name))
}

/// Runs it, and fails if that does not end by itself.
#[track_caller]
fn ended(command: rivet::Command) -> rivet::Output {
    let (mut running, start) = (command.spawn(), Instant::now());
    running.until(|| start.elapsed() > ENDS);
    let late = !running.has_ended();
    let output = running.kill();
    assert!(!late, "it still ran after {ENDS:?}\n{output}");
    output
}

/// One page of a listing, as the store writes it.
fn page(kind: Kind, keys: &[String], next: &str) -> Answer {
    let each = |one: &dyn Fn(&String) -> String| keys.iter().map(one).collect::<String>();
    match kind {
        Kind::S3 => {
            let contents = each(&|key| {
                format!(
                    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;1&quot;</ETag><Size>1</Size></Contents>"
                )
            });
            let next = match next {
                "" => "<IsTruncated>false</IsTruncated>".to_owned(),
                next => format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>"),
            };
            answer(200, format!("<ListBucketResult>{next}{contents}</ListBucketResult>"))
                .with("Content-Type", "application/xml")
        }
        Kind::Azure => {
            let blobs = each(&|key| {
                format!(
                    "<Blob><Name>{key}</Name><Properties><Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Etag>1</Etag><Content-Length>1</Content-Length><Content-MD5/><Content-Type/></Properties></Blob>"
                )
            });
            answer(
                200,
                format!(
                    "<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
                ),
            )
            .with("Content-Type", "application/xml")
            .with("x-ms-version", "2022-11-02")
        }
        Kind::Gcs => {
            let items: Vec<_> = keys
                .iter()
                .map(|key| serde_json::json!({"kind": "storage#object", "name": key, "size": "1", "updated": "2026-01-01T00:00:00Z", "etag": "1", "md5Hash": ""}))
                .collect();
            let mut page = serde_json::json!({"kind": "storage#objects", "items": items});
            if !next.is_empty() {
                page["nextPageToken"] = next.into();
            }
            answer(200, page.to_string()).with("Content-Type", "application/json")
        }
    }
}

/// The page of no unfinished uploads, where it is asked for.
fn no_uploads(request: &Request) -> Option<Answer> {
    let body = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
    request.has("uploads").then(|| answer(200, body).with("Content-Type", "application/xml"))
}

fn prefix_of(request: &Request) -> String {
    let prefix = request.query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
    prefix.replace("%20", " ").replace("%2F", "/")
}

fn each_store(test: impl Fn(Kind) + Sync) {
    std::thread::scope(|scope| {
        for kind in stores::ALL {
            let test = &test;
            scope.spawn(move || test(kind));
        }
    });
}

#[test]
fn what_answers_and_is_no_store_is_told() {
    each_store(|kind| {
        let other = if kind == Kind::Azure { Kind::S3 } else { Kind::Azure };
        let xml = |body: &str| answer(200, body).with("Content-Type", "application/xml");
        for (what, answer) in [
            (
                "a page",
                answer(200, "<!DOCTYPE html><html><body><p>Welcome</body></html>").with("Content-Type", "text/html"),
            ),
            ("a page without a type", answer(200, "<html><head><title>x</title></head><body></body></html>")),
            ("nothing", answer(200, "")),
            ("another service's XML", xml("<?xml version=\"1.0\"?><rss version=\"2.0\"><channel></channel></rss>")),
            ("JSON", answer(200, "{\"status\": \"ok\"}").with("Content-Type", "application/json")),
            ("another store's listing", page(other, &[], "")),
            (
                "a page that is not there",
                answer(404, "<html><body>404 Not Found</body></html>").with("Content-Type", "text/html"),
            ),
        ] {
            let front = cloud::front(move |_| answer.clone());
            let (export, place) = export(kind, &front.url());
            let output = ended(command(&export, &place, "run"));
            assert_eq!(output.code, Some(1), "{kind:?}: {what}\n{output}");
            output.says(&["is not", &front.url(), "hint: check `endpoint`"]);
            if what == "nothing" {
                let doctor = ended(command(&export, &place, "doctor"));
                let told = doctor.stdout.contains("[FAIL]") && doctor.stdout.contains(&front.url());
                assert!(told, "{kind:?}: {what}\n{doctor}");
            }
        }
    });
}

#[test]
fn a_listing_that_never_ends_is_given_up() {
    each_store(|kind| {
        let asked = AtomicU64::new(0);
        let again = cloud::front(move |request| no_uploads(request).unwrap_or_else(|| page(kind, &[], "the same")));
        let on = cloud::front(move |request| {
            let next = asked.fetch_add(1, Ordering::SeqCst).to_string();
            no_uploads(request).unwrap_or_else(|| page(kind, &[format!("{}x", prefix_of(request))], &next))
        });
        for front in [again, on] {
            let (export, place) = export(kind, &front.url());
            let output = ended(command(&export, &place, "run"));
            assert_eq!(output.code, Some(1), "{kind:?} {output}");
            output.says(&["the listing does not end", "hint:"]);
        }
    });
    // Of unfinished uploads, too.
    for kind in [Kind::S3, Kind::Gcs] {
        let asked = AtomicU64::new(0);
        let front = cloud::front(move |_| {
            let next = asked.fetch_add(1, Ordering::SeqCst) / 2;
            answer(
                200,
                format!(
                    "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>{next}</NextKeyMarker><NextUploadIdMarker>1</NextUploadIdMarker></ListMultipartUploadsResult>"
                ),
            )
        });
        let (export, place) = export(kind, &front.url());
        let output = ended(command(&export, &place, "run"));
        assert_eq!(output.code, Some(1), "{kind:?} {output}");
        output.says(&["the listing does not end", "hint:"]);
    }
}

/// A server that lists ever more objects, which is as good as a very large bucket: a signal ends it.
#[test]
fn a_signal_ends_an_endless_listing() {
    for kind in stores::ALL {
        let asked = AtomicU64::new(0);
        let front = cloud::front(move |request| {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            let keys: Vec<String> = (0..10).map(|key| format!("{}{number:09}-{key}", prefix_of(request))).collect();
            no_uploads(request).unwrap_or_else(|| page(kind, &keys, &number.to_string()))
        });
        let (export, place) = export(kind, &front.url());
        let mut running = command(&export, &place, "run").spawn();
        assert!(running.until(|| front.seen().len() > 20), "{kind:?}: it ended by itself\n{}", running.kill());
        running.signal(Signal::TERM);
        let start = Instant::now();
        running.until(|| start.elapsed() > ENDS);
        let output = running.kill();
        assert_eq!(output.code, Some(143), "{kind:?} {output}");
    }
}

/// One byte in a second, for ever.
fn drip() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = client.read(&mut [0; 4096]);
                let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n\r\n<");
                while client.write_all(b"a").is_ok() {
                    thread::sleep(Duration::from_secs(1));
                }
            });
        }
    });
    url
}

#[test]
fn a_server_that_drips_counts_as_one_that_stalls() {
    let url = drip();
    for kind in stores::ALL {
        let (export, place) = export(kind, &url);
        let output = ended(command(&export, &place, "run"));
        // It may only be slow.
        assert_eq!(output.code, Some(75), "{kind:?} {output}");
        output.says(&[&url, "bytes moved", "in 2 s", "hint:", "stall_timeout_s"]);
    }
}
