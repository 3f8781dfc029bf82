//! One request and its whole answer, given up once nothing moves for too long.

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

use crate::answer::{Broken, Refusal};

/// How much of a body is handed over at once: the watch sees each such piece move.
const PIECE: usize = 64 << 10;
/// A store may take its time to join the parts of an upload.
const JOINING: u32 = 5;

/// An answer, with its body.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Buffer,
}

/// Sends `head` with `body` and reads the whole answer.
pub(crate) async fn exchange(
    client: &reqwest::Client,
    head: &request::Parts,
    body: &Buffer,
    stall: Duration,
) -> Result<Answer, Refusal> {
    let url = reqwest::Url::parse(&head.uri.to_string())
        .map_err(|_| Refusal::broken(Broken::Connect, "the endpoint is not a URL"))?;
    let mut request = client.request(head.method.clone(), url).headers(head.headers.clone());
    let watch = Watch::new();
    if !body.is_empty() {
        request = request.body(reqwest::Body::wrap(Sent { rest: body.clone(), watch: watch.clone() }));
    }
    let limit = if head.method == http::Method::POST { stall * JOINING } else { stall };
    let mut answer = watch.over(limit, request.send()).await?.map_err(|error| refusal(&error))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut chunks: Vec<Bytes> = Vec::new();
    while let Some(chunk) = watch.over(stall, answer.chunk()).await?.map_err(|error| refusal(&error))? {
        watch.moved();
        chunks.push(chunk);
    }
    Ok(Answer { status, headers, body: Buffer::from(chunks) })
}

fn refusal(error: &reqwest::Error) -> Refusal {
    let mut text =
        if error.is_connect() { "no connection to the store".to_owned() } else { "the connection broke".to_owned() };
    let mut certificate = false;
    let mut cause = error.source();
    while let Some(one) = cause {
        let inner = one.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        certificate |= one.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>());
        if one.source().is_none() {
            text = format!("{text}: {one}");
        }
        cause = one.source();
    }
    let why = match () {
        () if certificate => Broken::Certificate,
        () if error.is_timeout() && error.is_connect() => Broken::Connect,
        () if error.is_connect() => Broken::Connect,
        () if error.is_timeout() => Broken::Stalled,
        () => Broken::Reset,
    };
    Refusal::broken(why, text)
}

/// When bytes moved last.
#[derive(Clone)]
struct Watch {
    start: Instant,
    moved_at_ms: Arc<AtomicU64>,
}

impl Watch {
    fn new() -> Self {
        Self { start: Instant::now(), moved_at_ms: Arc::default() }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn moved(&self) {
        self.moved_at_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    /// Waits for `work` as long as bytes move.
    async fn over<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, Refusal> {
        self.moved();
        let mut work = std::pin::pin!(work);
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        loop {
            let still = self.elapsed_ms().saturating_sub(self.moved_at_ms.load(Ordering::Relaxed));
            let Some(left) = limit_ms.checked_sub(still).filter(|left| *left > 0) else {
                let text = format!("nothing moved on the connection for {} s", limit.as_secs());
                return Err(Refusal::broken(Broken::Stalled, text));
            };
            if let Ok(done) = tokio::time::timeout(Duration::from_millis(left), work.as_mut()).await {
                return Ok(done);
            }
        }
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
        self.watch.moved();
        Poll::Ready(Some(Ok(http_body::Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}
