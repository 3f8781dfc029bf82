//! Carries opendal's requests: time limits, retries, checksums, and refusals that stay typed.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, Uri, request};
use opendal_core::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, HttpTransporter};
use rivet_sdk::{Context, Error as PluginError, Result as PluginResult};

use crate::LOG;
use crate::digest::{Dialect, Digests};
use crate::exchange::{HttpResponse, exchange};
use crate::genuine;
use crate::options::TransferOptions;
use crate::pending::SignRequest;
use crate::response::{Broken, StoreError};

/// The wait before the first repetition; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait of our own choice.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// The longest wait a store may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// The same where credentials are asked of addresses that exist in clouds only.
const CONNECT_ELSEWHERE: Duration = Duration::from_secs(2);

/// A signature's life is a quarter of an hour: a request is not repeated for longer than this.
const LONGEST_IN_ALL: Duration = Duration::from_secs(10 * 60);

tokio::task_local! {
    /// Set once a request of this task may have been carried out although its response was lost.
    static AMBIGUOUS: Arc<AtomicBool>;
}

/// The HTTP transport of one instance. Clones share its connections.
#[derive(Clone)]
pub struct Wire(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    elsewhere: reqwest::Client,
    store: Option<Authority>,
    digests: Digests,
    stall: Duration,
    retries: u32,
    context: Context,
    parts_under_way: AtomicUsize,
    signer: Option<Box<dyn SignRequest>>,
}

/// Counts a part as being sent, as long as it lives.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Wire {
    /// A transport to the store at `endpoint`. With a `signer`, requests to it come unsigned and
    /// are signed here, after their checksum was added.
    pub fn new(
        endpoint: &str,
        dialect: Dialect,
        options: &TransferOptions,
        context: &Context,
        signer: Option<Box<dyn SignRequest>>,
    ) -> PluginResult<Self> {
        let endpoint: Uri = endpoint.parse().map_err(|_| not_a_url(endpoint))?;
        if endpoint.authority().is_none() || !matches!(endpoint.scheme_str(), Some("http" | "https")) {
            return Err(not_a_url(&endpoint.to_string()));
        }
        // Chosen before the first client is built.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |connect| -> PluginResult<reqwest::Client> {
            let mut builder = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(connect)
                .user_agent(concat!("rivet/", env!("CARGO_PKG_VERSION")));
            for authority in options.authorities()? {
                builder = builder.add_root_certificate(authority);
            }
            builder.build().map_err(|error| PluginError::internal("no HTTP client could be made").with_source(&error))
        };
        Ok(Self(Arc::new(Inner {
            client: client(CONNECT)?,
            elsewhere: client(CONNECT_ELSEWHERE)?,
            store: endpoint.into_parts().authority,
            digests: Digests::new(dialect),
            stall: options.stall(),
            retries: options.retries,
            context: context.clone(),
            parts_under_way: AtomicUsize::new(0),
            signer,
        })))
    }

    /// For opendal.
    pub fn transporter(&self) -> HttpTransporter {
        HttpTransporter::new(self.clone())
    }

    /// Sends one request as it is, and the response whatever it says: for questions that come
    /// before there is a store, such as a bucket's region.
    pub async fn ask(&self, request: Request<Buffer>) -> Result<Response<Buffer>, StoreError> {
        let (head, body) = request.into_parts();
        let received = exchange(&self.0.client, &head, &body, self.0.stall, false).await?;
        let mut response = Response::new(received.body);
        *response.status_mut() = received.status;
        *response.headers_mut() = received.headers;
        Ok(response)
    }

    /// Parts of uploads that are being sent.
    pub(crate) fn parts_under_way(&self) -> usize {
        self.0.parts_under_way.load(Ordering::SeqCst)
    }

    /// Whether `uri` is the store's: its endpoint, or a bucket's host under it.
    fn is_store(&self, uri: &Uri) -> bool {
        match (uri.authority(), &self.0.store) {
            (Some(host), Some(store)) => {
                host == store || host.as_str().strip_suffix(store.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            _ => false,
        }
    }

    async fn carry(&self, mut head: request::Parts, body: Buffer) -> opendal_core::Result<HttpResponse> {
        let inner = &*self.0;
        if !self.is_store(&head.uri) {
            let received = exchange(&inner.elsewhere, &head, &body, CONNECT, false).await;
            return received.map_err(|store_error| typed(&store_error));
        }
        let part = head.method == Method::PUT && head.uri.query().is_some_and(|query| query.contains("uploadId="));
        let _under_way = part.then(|| UnderWay::new(&inner.parts_under_way));
        inner.digests.add(&head.method, &mut head.headers, &body);
        let is_content = genuine::is_content(inner.digests.dialect, &head);
        let (start, mut ambiguous) = (Instant::now(), false);
        for attempt in 0.. {
            let outcome = match &inner.signer {
                None => exchange(&inner.client, &head, &body, inner.stall, is_content).await,
                Some(signer) => {
                    let mut signed = head.clone();
                    signer.sign(&mut signed, self.transporter()).await?;
                    signed.headers.remove(http::header::HOST);
                    exchange(&inner.client, &signed, &body, inner.stall, is_content).await
                }
            };
            let mut store_error = match outcome.map(|received| self.judge(&head, &body, received)) {
                Ok(Ok(received)) => return Ok(received),
                Ok(Err(store_error)) | Err(store_error) => store_error,
            };
            let transient = store_error.is_transient();
            let spent = attempt >= inner.retries || start.elapsed() > LONGEST_IN_ALL;
            if !transient || spent || inner.context.is_cancelled() {
                store_error.ambiguous = ambiguous || (transient && store_error.may_have_happened());
                if store_error.ambiguous {
                    let _ = AMBIGUOUS.try_with(|flag| flag.store(true, Ordering::Relaxed));
                }
                return Err(typed(&store_error));
            }
            ambiguous |= store_error.may_have_happened();
            let wait = wait_before(attempt, store_error.retry_after);
            log::debug!(target: LOG, "{} {}: {store_error}; again in {} ms", head.method, head.uri.path(), wait.as_millis());
            tokio::time::sleep(wait).await;
        }
        Err(typed(&StoreError::broken(Broken::Reset, "no attempt was made")))
    }

    /// A response that is good, or why it is not.
    fn judge(&self, head: &request::Parts, sent: &Buffer, received: HttpResponse) -> Result<HttpResponse, StoreError> {
        let HttpResponse { status, headers, body } = &received;
        let dialect = self.0.digests.dialect;
        // 308 is Google's "go on" within an upload.
        if !status.is_success() && *status != StatusCode::PERMANENT_REDIRECT {
            let body = body.to_bytes();
            let foreign = genuine::contradiction(dialect, head, *status, headers, &body);
            return Err(foreign.unwrap_or_else(|| StoreError::read(*status, headers, &body)));
        }
        // An object's content is not looked at.
        let text = if genuine::is_content(dialect, head) { bytes::Bytes::new() } else { body.to_bytes() };
        if let Some(store_error) =
            StoreError::hidden(&text).or_else(|| genuine::contradiction(dialect, head, *status, headers, &text))
        {
            return Err(store_error);
        }
        match self.0.digests.contradiction(head, *status, headers, sent, body) {
            Some(text) => Err(StoreError::broken(Broken::Damaged, format!("bytes were damaged on the way: {text}"))),
            None => Ok(received),
        }
    }
}

impl HttpTransport for Wire {
    async fn fetch(&self, request: Request<Buffer>) -> opendal_core::Result<Response<HttpBody>> {
        let (head, body) = request.into_parts();
        let (method, uri) = (head.method.clone(), head.uri.clone());
        let received = self.carry(head, body).await?;
        let length = received.body.len();
        let size = if method == Method::HEAD { None } else { u64::try_from(length).ok() };
        let whole = futures::stream::iter(Some(received.body).filter(|body| !body.is_empty()).map(Ok));
        let mut response = Response::new(HttpBody::new(whole, size));
        *response.status_mut() = received.status;
        *response.headers_mut() = received.headers;
        response.extensions_mut().insert(uri);
        Ok(response)
    }
}

/// The store's error as opendal's, with itself as the source. The kinds that opendal acts on are
/// set; everything else is for [`crate::error`].
pub(crate) fn typed(store_error: &StoreError) -> Error {
    let kind = match (store_error.status, store_error.code.as_str()) {
        (_, "NoSuchBucket" | "ContainerNotFound") => ErrorKind::ConfigInvalid,
        (404, _) => ErrorKind::NotFound,
        (412, _) | (409, "BlobAlreadyExists") => ErrorKind::ConditionNotMatch,
        (416, _) => ErrorKind::RangeNotSatisfied,
        (401 | 403, _) => ErrorKind::PermissionDenied,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, store_error.to_string()).set_source(store_error.clone())
}

/// Runs `work` and says whether a request of it may have been carried out unseen.
pub(crate) async fn noting_ambiguity<T>(work: impl Future<Output = T>) -> (T, bool) {
    let flag = Arc::new(AtomicBool::new(false));
    let done = AMBIGUOUS.scope(Arc::clone(&flag), work).await;
    (done, flag.load(Ordering::Relaxed))
}

/// Doubling, with a random part so that many writers do not come back at once; or what the
/// store asks for.
fn wait_before(attempt: u32, asked: Option<Duration>) -> Duration {
    let whole = (FIRST_WAIT * 2u32.saturating_pow(attempt.min(10))).min(LONGEST_WAIT);
    let random = RandomState::new().build_hasher().finish() % 1000;
    let part = u32::try_from(random).unwrap_or_default();
    let own = whole / 2 + whole / 2 * part / 1000;
    asked.map_or(own, |asked| asked.min(LONGEST_ASKED).max(own))
}

fn not_a_url(text: &str) -> PluginError {
    // It may hold a password or a signature.
    let shown = text.split(['?', '@']).next_back().filter(|_| !text.contains(['?', '@'])).unwrap_or("the text given");
    PluginError::config(format!("`endpoint`: {shown} is not an address"))
        .with_hint("write a URL, such as https://minio.example.com:9000")
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("store", &self.0.store).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_follow_the_store() {
        for attempt in 0..20 {
            let wait = wait_before(attempt, None);
            assert!(wait >= FIRST_WAIT / 2 && wait <= LONGEST_WAIT, "{attempt}: {wait:?}");
        }
        assert!(wait_before(0, Some(Duration::from_secs(3))) >= Duration::from_secs(3));
        assert!(wait_before(0, Some(Duration::from_secs(3600))) <= LONGEST_ASKED);
    }
}
