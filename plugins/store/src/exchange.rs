//! One request and its whole response, given up once nothing moves for too long.

use std::convert::Infallible;
use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, request};
use opendal_core::Buffer;
use rivet_sdk::tls;

use crate::genuine::place;
use crate::response::{Broken, StoreError};

/// How much of a body is handed over at once: the watch sees each such piece move.
const PIECE: usize = 64 << 10;
/// A store may take its time to join the parts of an upload.
const JOINING: u32 = 5;
/// Fewer bytes than these do not count as movement: a server that drips would hold us for ever.
const DRIP: u64 = 1 << 10;
/// The longest response that is no object's content: a listing of a thousand long names is smaller.
const LONGEST: usize = 64 << 20;

/// A response, with its body.
pub(crate) struct HttpResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Buffer,
}

/// Sends `head` with `body` and reads the whole response, which may be of any length where it is an object's content.
pub(crate) async fn exchange(
    client: &reqwest::Client,
    head: &request::Parts,
    body: &Buffer,
    stall: Duration,
    is_content: bool,
) -> Result<HttpResponse, StoreError> {
    let url = reqwest::Url::parse(&head.uri.to_string())
        .map_err(|_| StoreError::broken(Broken::Connect, "the endpoint is not a URL"))?;
    let at = place(&head.uri);
    let watch = Watch::new(at.clone());
    let mut request = client.request(head.method.clone(), url).headers(head.headers.clone());
    if !body.is_empty() {
        request = request.body(reqwest::Body::wrap(Sent { rest: body.clone(), watch: watch.clone() }));
    }
    let limit = if head.method == http::Method::POST { stall * JOINING } else { stall };
    let failed = |error: reqwest::Error| store_error(&at, &error);
    let mut response = watch.over(limit, request.send()).await?.map_err(failed)?;
    watch.begin();
    let (status, headers) = (response.status(), response.headers().clone());
    let (mut chunks, mut length): (Vec<Bytes>, usize) = (Vec::new(), 0);
    while let Some(chunk) = watch.over(stall, response.chunk()).await?.map_err(failed)? {
        watch.moved(chunk.len());
        length = length.saturating_add(chunk.len());
        if length > LONGEST && !is_content {
            let text = format!("{at} answers {} with more than {} MiB", head.method, LONGEST >> 20);
            return Err(StoreError::broken(Broken::Foreign, text));
        }
        chunks.push(chunk);
    }
    Ok(HttpResponse { status, headers, body: Buffer::from(chunks) })
}

fn store_error(at: &str, error: &reqwest::Error) -> StoreError {
    let mut tls = None;
    let mut last = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        tls = tls.or_else(|| rustls_error(error));
        last = error.to_string();
        cause = error.source();
    }
    let fault = tls.map(tls::fault);
    let text = match &fault {
        Some(fault) if error.is_connect() => format!("no TLS connection to {at}: {}", fault.text),
        _ if error.is_connect() => format!("no connection to {at}: {last}"),
        _ => format!("the connection to {at} broke: {last}"),
    };
    let why = match () {
        () if fault.is_some() && error.is_connect() => Broken::Tls,
        () if error.is_timeout() && error.is_connect() => Broken::Connect,
        () if error.is_connect() => Broken::Connect,
        () if error.is_timeout() => Broken::Stalled,
        () => Broken::Reset,
    };
    StoreError { tls: fault.map(Box::new), ..StoreError::broken(why, text) }
}

/// The failure of TLS that `error` is, or holds: one of the socket's hides those that it was made of.
fn rustls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<std::io::Error>() {
        Some(of_socket) => rustls_error(of_socket.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// When bytes moved last, between here and the server at `at`.
#[derive(Clone)]
struct Watch {
    at: Arc<str>,
    start: Instant,
    moved_at_ms: Arc<AtomicU64>,
    /// Bytes since then.
    bytes: Arc<AtomicU64>,
}

impl Watch {
    fn new(at: String) -> Self {
        Self { at: at.into(), start: Instant::now(), moved_at_ms: Arc::default(), bytes: Arc::default() }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Begins to wait anew.
    fn begin(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.moved_at_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    fn moved(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) >= DRIP {
            self.begin();
        }
    }

    /// Waits for `work` as long as bytes move.
    async fn over<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let mut work = std::pin::pin!(work);
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        loop {
            let still = self.elapsed_ms().saturating_sub(self.moved_at_ms.load(Ordering::Relaxed));
            let Some(left) = limit_ms.checked_sub(still).filter(|left| *left > 0) else {
                return Err(StoreError::broken(Broken::Stalled, self.stalled(limit)));
            };
            if let Ok(done) = tokio::time::timeout(Duration::from_millis(left), work.as_mut()).await {
                return Ok(done);
            }
        }
    }

    fn stalled(&self, limit: Duration) -> String {
        let moved = match self.bytes.load(Ordering::Relaxed) {
            0 => "nothing".to_owned(),
            bytes => format!("only {bytes} bytes"),
        };
        format!("{moved} moved on the connection to {} in {} s", self.at, limit.as_secs())
    }
}

/// A body that tells the watch what it hands over.
struct Sent {
    rest: Buffer,
    watch: Watch,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let current = self.rest.current().len().min(PIECE);
        let piece = self.rest.split_to(current).to_bytes();
        self.watch.moved(current);
        Poll::Ready(Some(Ok(http_body::Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}
