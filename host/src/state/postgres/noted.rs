//! Whether a connection speaks TLS: the server decides, where the URL leaves it open, and the client does not tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postgres::tls::{MakeTlsConnect, TlsConnect};

/// Makes TLS connections as `inner` does, and notes that one was made.
pub(super) struct Noted<T> {
    pub inner: T,
    pub spoken: Arc<AtomicBool>,
}

impl<S, T: MakeTlsConnect<S>> MakeTlsConnect<S> for Noted<T> {
    type Stream = T::Stream;
    type TlsConnect = Noted<T::TlsConnect>;
    type Error = T::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, Self::Error> {
        Ok(Noted { inner: self.inner.make_tls_connect(domain)?, spoken: Arc::clone(&self.spoken) })
    }
}

impl<S, T: TlsConnect<S>> TlsConnect<S> for Noted<T> {
    type Stream = T::Stream;
    type Error = T::Error;
    type Future = T::Future;

    fn connect(self, stream: S) -> Self::Future {
        self.spoken.store(true, Ordering::Relaxed);
        self.inner.connect(stream)
    }
}
