//! What is told of the most common mistakes with a store: what failed, where, and what to do about it.

use rivet_tests::impostors::{self, Shown};
use rivet_tests::stores::{self, Kind, Place};

/// Where the mistake is: in the endpoint, the bucket, the secret or further keys.
#[derive(Default)]
struct Mistake {
    what: &'static str,
    endpoint: Option<String>,
    bucket: Option<&'static str>,
    secret: Option<&'static str>,
    more: String,
    code: i32,
    says: Vec<String>,
}

fn mistake<const N: usize>(what: &'static str, code: i32, says: [&str; N]) -> Mistake {
    Mistake { what, code, says: says.map(str::to_owned).into(), ..Mistake::default() }
}

#[track_caller]
fn told(kind: Kind, mistake: Mistake) {
    let Mistake { what, endpoint, bucket, secret, more, code, says } = mistake;
    let own = stores::place(kind);
    let place = Place { endpoint: endpoint.unwrap_or_else(|| own.endpoint.clone()), ..own };
    let mut yaml = place.yaml(&format!("transfer: {{retries: 0{more}}}"));
    if let Some(bucket) = bucket {
        yaml = yaml.replace(&format!("bucket: {},", kind.setting("BUCKET")), &format!("bucket: {bucket},"));
    }
    let export = stores::export(&yaml);
    let mut command = place.credentials(export.project.rivet("run"));
    if let Some(secret) = secret {
        command = command.env("STORE_SECRET", secret);
    }
    let output = command.run();
    assert_eq!(output.code, Some(code), "{kind:?}, {what}: {output}");
    let bucket = format!("://{}/", bucket.map_or_else(|| kind.setting("BUCKET"), str::to_owned));
    for text in says.iter().map(String::as_str).chain(["hint: "]).chain((code != 2).then_some(&*bucket)) {
        assert!(output.stderr.contains(text), "{kind:?}, {what}: {text:?} was not said\n{output}");
    }
    // Whoever is not let in, or is not there, is not asked for unfinished uploads.
    output.never_says("unfinished uploads");
}

#[test]
fn of_every_store() {
    let ca = format!(", ca_file: '{}'", impostors::authority().display());
    let plain = impostors::service(b"", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let at = |shown| Some(format!("https://{}", impostors::tls(shown, None)));
    let of = &|kind: Kind| {
        let key = match kind {
            Kind::S3 => "the secret key does not belong to the access key",
            Kind::Gcs => "the credentials are wrong or have expired",
            Kind::Azure => "key may be another account's",
        };
        for mistake in [
            Mistake { secret: Some("d3Jvbmc="), ..mistake("a wrong key", 1, [key]) },
            Mistake {
                bucket: Some("nosuchbucket"),
                ..mistake("no such bucket", 1, ["there is no", "`nosuchbucket`; check its name"])
            },
            Mistake {
                endpoint: Some("http://127.0.0.1:9".into()),
                ..mistake("nobody listens", 75, ["no connection to http://127.0.0.1:9", "check `endpoint`"])
            },
            Mistake {
                endpoint: Some("http://no.such.host.invalid".into()),
                ..mistake("no such host", 75, ["no connection to http://no.such.host.invalid", "check `endpoint`"])
            },
            Mistake {
                endpoint: Some(format!("https://{plain}")),
                ..mistake("no TLS there", 1, ["no TLS connection to https://", "the answer is not TLS", "http://"])
            },
            Mistake {
                endpoint: at(Shown::Good),
                ..mistake(
                    "another authority",
                    1,
                    [
                        "no TLS connection to https://",
                        "is signed by nobody who is trusted",
                        "`transfer: { ca_file: … }`",
                    ],
                )
            },
            Mistake {
                endpoint: at(Shown::SelfSigned),
                ..mistake("a certificate of its own", 1, ["self-signed", "`transfer: { ca_file: … }`"])
            },
            Mistake {
                endpoint: at(Shown::OtherName),
                more: ca.clone(),
                ..mistake(
                    "another host's certificate",
                    1,
                    ["is not for 127.0.0.1 but for other.example", "connect to a host that the certificate names"],
                )
            },
            Mistake {
                endpoint: at(Shown::Expired),
                more: ca.clone(),
                ..mistake("an old certificate", 1, ["has expired, 20", "renew the server's certificate"])
            },
            Mistake {
                more: ", ca_file: /no/such/file".into(),
                ..mistake("no authority's file", 2, ["transfer.ca_file /no/such/file", "PEM file"])
            },
        ] {
            told(kind, mistake);
        }
    };
    std::thread::scope(|scope| {
        for kind in stores::ALL {
            scope.spawn(move || of(kind));
        }
    });
}
