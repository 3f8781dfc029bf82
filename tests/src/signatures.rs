//! What stores ask of a request before they serve it, for a [`crate::cloud`] front: S3's signature
//! with its session token, the others' bearer token. What passes goes on to the real store, as the
//! account that the runner gave.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::cloud::{Answer, Request, answer, body, decoded, head};
use crate::stores::{self, Kind};

/// What an S3 front knows of whoever may pass.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The access key's id.
    pub access: String,
    /// The secret key.
    pub secret: String,
    /// The session token that belongs to them.
    pub token: Option<String>,
    /// The region that the bucket is in.
    pub region: String,
}

/// Temporary keys in us-east-1.
pub fn temporary() -> Keys {
    let text = str::to_owned;
    Keys {
        access: text("ASIAPLAYED"),
        secret: text("hush-secret-key"),
        token: Some(text("hush/session+token==")),
        region: text("us-east-1"),
    }
}

/// Serves an S3 request by SeaweedFS if it is signed as `keys` say, and refuses it as S3 does if not.
pub fn s3(request: &Request, keys: &Keys) -> Answer {
    refused(request, keys).unwrap_or_else(|| seaweedfs(request))
}

fn refused(request: &Request, keys: &Keys) -> Option<Answer> {
    let refuse = |status, code: &str, more: &str| {
        let text =
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>played: {code}</Message>{more}</Error>");
        Some(answer(status, text).with("x-amz-bucket-region", &keys.region))
    };
    let Some(given) = Authorization::read(request.header("authorization")) else {
        return refuse(403, "AccessDenied", "");
    };
    if given.access != keys.access {
        return refuse(403, "InvalidAccessKeyId", "");
    }
    if given.scope.split('/').nth(1) != Some(&keys.region) {
        return refuse(400, "AuthorizationHeaderMalformed", &format!("<Region>{}</Region>", keys.region));
    }
    if request.header("x-amz-security-token") != keys.token.as_deref().unwrap_or_default() {
        return refuse(400, "InvalidToken", "");
    }
    if keys.token.is_some() && !given.names.contains(&"x-amz-security-token") {
        return refuse(403, "AccessDenied", "");
    }
    // What changes an object must be signed, or another could change it on the way.
    let unsigned =
        request.headers.keys().find(|name| name.starts_with("x-amz-") && !given.names.contains(&name.as_str()));
    if let Some(name) = unsigned {
        return refuse(403, "AccessDenied", &format!("<HeadersNotSigned>{name}</HeadersNotSigned>"));
    }
    // An upload's encryption is settled when it begins.
    if !request.header("x-amz-server-side-encryption").is_empty()
        && (request.has("uploadId") || request.method == "GET")
    {
        return refuse(400, "InvalidArgument", "");
    }
    let mut headers = request.headers.clone();
    headers.insert("host".to_owned(), request.host.clone());
    let expected = signature(&keys.secret, request, &request.path, &headers, &given.names, given.scope);
    if expected != given.signature { refuse(403, "SignatureDoesNotMatch", "") } else { None }
}

struct Authorization<'a> {
    access: &'a str,
    /// Day, region, service, and the end.
    scope: &'a str,
    names: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| rest.split(',').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
        let (access, scope) = field("Credential")?.split_once('/')?;
        Some(Self {
            access,
            scope,
            names: field("SignedHeaders")?.split(';').collect(),
            signature: field("Signature")?,
        })
    }
}

/// Amazon's published algorithm, version 4.
fn signature(
    secret: &str,
    request: &Request,
    path: &str,
    headers: &BTreeMap<String, String>,
    names: &[&str],
    scope: &str,
) -> String {
    let pairs = request.query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{}={}", encoded(&decoded(name)), encoded(&decoded(value)))).collect();
    pairs.sort();
    let header = |name: &str| headers.get(name).map_or("", String::as_str);
    let lines: String = names.iter().map(|name| format!("{name}:{}\n", header(name))).collect();
    let canonical =
        [&request.method, path, &pairs.join("&"), &lines, &names.join(";"), header("x-amz-content-sha256")].join("\n");
    let text = ["AWS4-HMAC-SHA256", header("x-amz-date"), scope, &hex(&Sha256::digest(canonical))].join("\n");
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, step| hmac(&key, step.as_bytes()));
    hex(&hmac(&key, text.as_bytes()))
}

fn encoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    bytes.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let keyed = |with: u8, text: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(block.map(|byte| byte ^ with));
        hash.update(text);
        hash.finalize().to_vec()
    };
    keyed(0x5c, &keyed(0x36, text))
}

/// Passes a request on to SeaweedFS, signed anew. What SeaweedFS has no keys for is left out.
pub fn seaweedfs(request: &Request) -> Answer {
    let (bucket, endpoint) = (Kind::S3.setting("BUCKET"), Kind::S3.setting("ENDPOINT"));
    let host = endpoint.split_once("://").unwrap().1.to_owned();
    let hosted = request.host.starts_with(&format!("{bucket}."));
    let path = if hosted { format!("/{bucket}{}", request.path) } else { request.path.clone() };
    let passed = |name: &str| {
        (name.starts_with("x-amz-") && !name.starts_with("x-amz-server-side") && name != "x-amz-security-token")
            || ["content-type", "content-md5", "content-length", "if-none-match", "if-match", "range"].contains(&name)
    };
    let mut headers = request.headers.clone();
    headers.retain(|name, _| passed(name));
    headers.insert("host".to_owned(), host);
    headers.insert("x-amz-content-sha256".to_owned(), "UNSIGNED-PAYLOAD".to_owned());
    let day = &request.header("x-amz-date")[..8];
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let names: Vec<&str> =
        headers.keys().map(String::as_str).filter(|name| *name == "host" || name.starts_with("x-amz-")).collect();
    let signed = signature(&Kind::S3.setting("SECRET_KEY"), request, &path, &headers, &names, &scope);
    let (access, names) = (Kind::S3.setting("ACCESS_KEY"), names.join(";"));
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signed}");
    headers.insert("authorization".to_owned(), authorization);
    pass(request, &endpoint, &path, &request.query, &headers)
}

/// Serves a request by the fake of Google's store if it bears this token.
pub fn gcs(request: &Request, token: &str) -> Answer {
    if request.header("authorization") != format!("Bearer {token}") && !request.has("upload_id") {
        let text = r#"{"error":{"code":401,"message":"Invalid Credentials","errors":[{"reason":"authError"}]}}"#;
        return answer(401, text);
    }
    let mut headers = request.headers.clone();
    headers.insert("authorization".to_owned(), format!("Bearer {}", Kind::Gcs.setting("TOKEN")));
    pass(request, &Kind::Gcs.setting("ENDPOINT"), &request.path, &request.query, &headers)
}

/// Serves a request by Azurite if it bears this token.
pub fn azure(request: &Request, token: &str) -> Answer {
    if request.header("authorization") != format!("Bearer {token}") {
        let text =
            "<?xml version=\"1.0\"?><Error><Code>InvalidAuthenticationInfo</Code><Message>played</Message></Error>";
        return answer(401, text).with("x-ms-error-code", "InvalidAuthenticationInfo");
    }
    let mut headers = request.headers.clone();
    headers.remove("authorization");
    let mut query = request.query.clone();
    if !query.is_empty() {
        query.push('&');
    }
    static SIGNATURE: OnceLock<String> = OnceLock::new();
    query.push_str(SIGNATURE.get_or_init(|| stores::azure_sas("racwdlt", "2099-01-01T00:00:00Z")));
    pass(request, &Kind::Azure.setting("ENDPOINT"), &request.path, &query, &headers)
}

fn pass(request: &Request, endpoint: &str, path: &str, query: &str, headers: &BTreeMap<String, String>) -> Answer {
    let host = endpoint.split_once("://").unwrap().1.split('/').next().unwrap();
    let question = if query.is_empty() { "" } else { "?" };
    let mut text = format!("{} {path}{question}{query} HTTP/1.1\r\nconnection: close\r\n", request.method);
    for (name, value) in headers.iter().filter(|(name, _)| *name != "connection") {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.contains_key("content-length") && matches!(request.method.as_str(), "PUT" | "POST") {
        text.push_str("content-length: 0\r\n");
    }
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream.write_all(b"\r\n").unwrap();
    stream.write_all(&request.body).unwrap();
    let mut buffer = Vec::new();
    let found = head(&mut stream, &mut buffer).expect("the store answers");
    let status: u16 = found.first.split(' ').nth(1).unwrap().parse().unwrap();
    let bodyless = request.method == "HEAD" || matches!(status, 204 | 304);
    let content = if bodyless { Vec::new() } else { body(&mut stream, &mut buffer, &found.headers).expect("a body") };
    let dropped = ["connection", "transfer-encoding", "keep-alive"];
    let headers = found.headers.into_iter().filter(|(name, _)| !dropped.contains(&name.as_str())).collect();
    Answer { status, headers, body: content }
}
