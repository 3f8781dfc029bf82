//! The plugin's one small async runtime; every instance waits on it.

use std::sync::OnceLock;
use std::time::Duration;

use rivet_sdk::{Context, Error, Result};
use tokio::runtime::{Builder, Runtime};

/// Threads that move bytes. They copy and hash; waiting takes none.
const THREADS: usize = 2;
/// How often a waiting call looks at its cancel flag.
const CANCEL_CHECK: Duration = Duration::from_millis(100);

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let built = RUNTIME.get_or_init(|| {
        // The only provider there is; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Builder::new_multi_thread().worker_threads(THREADS).thread_name("rivet-store").enable_all().build()
    });
    built.as_ref().map_err(|error| Error::internal(format!("the plugin's runtime did not start: {error}")))
}

/// Waits for `work`, or until the host asks to stop.
pub fn wait<T>(context: &Context, work: impl Future<Output = T>) -> Result<T> {
    // Where one short work follows another, none of them would look.
    context.check()?;
    runtime()?.block_on(async {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(CANCEL_CHECK, work.as_mut()).await {
                Ok(done) => return Ok(done),
                Err(_) => context.check()?,
            }
        }
    })
}

/// Waits for `work` even where the host asked to stop: what cleans up must not be cut short.
pub(crate) fn finish<T>(work: impl Future<Output = T>) -> Result<T> {
    Ok(runtime()?.block_on(work))
}
