//! Where a bucket of S3 is, and how its objects are kept: every way to address one, and each header
//! on each request that makes an object.

use rivet_tests::cloud::{self, Answer, Front, Request, answer};
use rivet_tests::rivet::Output;
use rivet_tests::signatures::{self, Keys, temporary};
use rivet_tests::stores::{self, Kind, Place};
use rivet_tests::{rivet, sqlite};

const REGION: &str = "eu-west-3";

/// Amazon S3: one bucket, in eu-west-3.
fn amazon() -> Front {
    let keys = Keys { region: REGION.to_owned(), token: None, ..temporary() };
    let elsewhere = |status| {
        let text = "<Error><Code>PermanentRedirect</Code><Message>use its own endpoint</Message></Error>";
        answer(status, text).with("x-amz-bucket-region", REGION)
    };
    cloud::front(move |request| match (request.host.as_str(), request.path.as_str()) {
        ("s3.amazonaws.com", "/rivet") => elsewhere(301),
        ("s3.amazonaws.com", _) => answer(404, ""),
        ("rivet.s3.eu-west-3.amazonaws.com", _) => signatures::s3(request, &keys),
        ("rivet.s3.us-east-1.amazonaws.com", _) => elsewhere(301),
        (host, path) => panic!("asked for {host}{path}"),
    })
}

fn run(front: &Front, destination: &str) -> Output {
    let Keys { access, secret, .. } = temporary();
    let variables = front.as_proxy();
    let mut variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.extend([("A", &access[..]), ("B", &secret)]);
    stores::export(destination).run(&variables)
}

/// A destination at the place's prefix, with these keys besides.
fn destination(place: &Place, keys: &str) -> String {
    let authority = cloud::authority();
    format!(
        "{{type: s3, bucket: rivet, prefix: '{}', access_key_env: A, secret_key_env: B, transfer: {{ca_file: '{}'}}{keys}}}",
        place.prefix,
        authority.display()
    )
}

#[test]
fn the_region_is_found_and_the_bucket_is_a_host() {
    let (amazon, place) = (amazon(), stores::place(Kind::S3));
    let output = run(&amazon, &destination(&place, ""));
    assert_eq!(output.code, Some(0), "{output}");
    place.assert_holds(3, "a region found");
    let asked: Vec<Request> = amazon.seen().into_iter().filter(|request| request.host == "s3.amazonaws.com").collect();
    assert_eq!(asked.len(), 1, "asked once, and remembered");
    assert!(asked[0].method == "HEAD" && asked[0].header("authorization").is_empty());
}

#[test]
fn a_wrong_region_and_a_missing_bucket_are_told() {
    let (amazon, place) = (amazon(), stores::place(Kind::S3));
    let output = run(&amazon, &destination(&place, ", region: us-east-1"));
    assert_eq!(output.code, Some(2), "{output}");
    output.says(&[
        "PermanentRedirect",
        "s3://rivet/",
        "hint: the bucket is in another region: give `region: eu-west-3`",
    ]);
    let output = run(&amazon, &destination(&place, "").replace("bucket: rivet", "bucket: nobodys"));
    assert_ne!(output.code, Some(0), "{output}");
    output.says(&["there is no bucket `nobodys`", "hint:"]);
}

/// A signature for another region than the store's: what MinIO and Ceph answer.
#[test]
fn a_store_that_wants_another_region_says_which() {
    let keys = Keys { region: REGION.to_owned(), token: None, ..temporary() };
    let front = cloud::front(move |request| signatures::s3(request, &keys));
    let place = stores::place(Kind::S3);
    let at = |region: &str| destination(&place, &format!(", endpoint: '{}'{region}", front.url()));
    let output = run(&front, &at(""));
    assert_eq!(output.code, Some(2), "{output}");
    output.says(&["AuthorizationHeaderMalformed", "give `region: eu-west-3`"]);
    assert_eq!(run(&front, &at(", region: eu-west-3")).code, Some(0));
    place.assert_holds(3, "region given");
}

/// MinIO and Ceph by path, and by host where their DNS has the buckets; R2 by path, in region `auto`.
#[test]
fn other_stores_are_addressed_by_path_or_by_host() {
    for (endpoint, keys, region, host, path) in [
        ("http://minio.test:9000", "", "us-east-1", "minio.test:9000", "/rivet"),
        ("http://ceph.test", ", path_style: false, region: ours", "ours", "rivet.ceph.test", "/"),
        ("http://minio.test:9000/", ", path_style: false", "us-east-1", "rivet.minio.test:9000", "/"),
        ("https://acme.r2.cloudflarestorage.com", "", "auto", "acme.r2.cloudflarestorage.com", "/rivet"),
    ] {
        let known = Keys { region: region.to_owned(), token: None, ..temporary() };
        let front = cloud::front(move |request| signatures::s3(request, &known));
        let place = stores::place(Kind::S3);
        let output = run(&front, &destination(&place, &format!(", endpoint: '{endpoint}'{keys}")));
        assert_eq!(output.code, Some(0), "{endpoint}{keys}: {output}");
        place.assert_holds(3, endpoint);
        for request in front.seen() {
            assert!(request.host == host && request.path.starts_with(path), "{endpoint}{keys}: {request:?}");
        }
    }
}

/// Whether a request makes an object, in one piece or as the start of an upload.
fn makes_object(request: &Request) -> bool {
    match request.method.as_str() {
        "PUT" => !request.has("partNumber"),
        "POST" => request.has("uploads"),
        _ => false,
    }
}

/// Runs an export of some small objects and one of several parts, and gives back what was asked.
fn seen(keys: &str) -> Vec<Request> {
    let known = Keys { token: None, ..temporary() };
    let front = cloud::front(move |request| -> Answer { signatures::s3(request, &known) });
    let place = stores::place(Kind::S3);
    let mut database = sqlite::database();
    database.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT);
         WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 700)
         INSERT INTO t SELECT i, hex(randomblob(5000)) FROM i",
    );
    let project = rivet::project();
    let (url, prefix, endpoint) = (database.url(), &place.prefix, front.url());
    project.config(&format!("source: {{url: '{url}'}}\nexports:\n  - {{name: e, table: t, format: csv, compression: none, destination: {{type: s3, bucket: rivet, prefix: '{prefix}', endpoint: '{endpoint}', access_key_env: A, secret_key_env: B, transfer: {{part_size_mb: 5}}{keys}}}}}\n"));
    project.rivet("run").env("A", temporary().access).env("B", temporary().secret).ok();
    assert_eq!(place.parts().len(), 1);
    front.seen()
}

#[test]
fn each_object_is_made_with_what_was_asked_and_signed() {
    for (keys, expected) in [
        ("", vec![("x-amz-server-side-encryption", ""), ("x-amz-storage-class", ""), ("x-amz-tagging", "")]),
        (
            ", encryption: {mode: sse-s3}, storage_class: STANDARD_IA",
            vec![
                ("x-amz-server-side-encryption", "AES256"),
                ("x-amz-server-side-encryption-aws-kms-key-id", ""),
                ("x-amz-storage-class", "STANDARD_IA"),
            ],
        ),
        (
            ", encryption: {mode: sse-kms}",
            vec![("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", "")],
        ),
        (
            ", encryption: {mode: sse-kms, kms_key_id: 'arn:aws:kms:eu-west-3:1:key/k'}, tags: {team: 'data lake'}",
            vec![
                ("x-amz-server-side-encryption", "aws:kms"),
                ("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:eu-west-3:1:key/k"),
                ("x-amz-tagging", "team=data%20lake"),
            ],
        ),
    ] {
        let seen = seen(keys);
        let made: Vec<&Request> = seen.iter().filter(|request| makes_object(request)).collect();
        assert!(made.iter().any(|request| request.has("uploads")), "no upload of several parts");
        assert!(made.iter().any(|request| request.method == "PUT" && request.header("if-none-match") == "*"));
        assert!(made.iter().any(|request| request.path.ends_with("_SUCCESS")));
        for request in made {
            let Request { method, path, .. } = request;
            for (name, value) in &expected {
                assert_eq!(request.header(name), *value, "{keys}: {name} of {method} {path}");
            }
            let media = match path {
                path if path.ends_with(".csv") => "text/csv",
                path if path.ends_with(".json") || path.ends_with("_SUCCESS") => "application/json",
                _ => "application/octet-stream",
            };
            assert!(request.header("content-type").starts_with(media), "{keys}: {method} {path}: {request:?}");
        }
        // S3 refuses an upload's settings on its parts, and on anything that is read.
        for request in seen.iter().filter(|request| !makes_object(request)) {
            let settings = ["x-amz-server-side-encryption", "x-amz-storage-class", "x-amz-tagging"];
            for name in settings {
                assert_eq!(request.header(name), "", "{keys}: {name} of {} {}", request.method, request.path);
            }
        }
    }
}

#[test]
fn a_kms_key_that_may_not_be_used_is_told() {
    let text = "<Error><Code>AccessDenied</Code><Message>User is not authorized to perform: kms:GenerateDataKey</Message></Error>";
    let known = Keys { token: None, ..temporary() };
    let front = cloud::front(
        move |request| if makes_object(request) { answer(403, text) } else { signatures::s3(request, &known) },
    );
    let place = stores::place(Kind::S3);
    let keys = format!(", endpoint: '{}', encryption: {{mode: sse-kms, kms_key_id: k}}", front.url());
    let output = run(&front, &destination(&place, &keys));
    assert_ne!(output.code, Some(0), "{output}");
    output.says(&[
        "not authorized to perform: kms:GenerateDataKey",
        "s3://rivet/",
        "hint:",
        "kms:GenerateDataKey for a KMS key",
    ]);
}
