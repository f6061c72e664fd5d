//! Standard input and output, with an end of input that is noticed at once: the SDK drains handlers for five seconds before it
//! cancels them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use outcome_core::config::Vendors;
use rmcp::ServiceExt;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::server::Server;

/// How long handlers may take to notice the end of input before the process leaves anyway.
const WATCHDOG: Duration = Duration::from_millis(300);

/// Serves standard input and output until the input ends or a signal arrives; returns the exit code. `vendors`: what an
/// outcome file may name.
///
/// # Errors
/// When signals cannot be handled.
pub async fn serve_stdio(vendors: &'static Vendors) -> std::io::Result<i32> {
    // Before anything else: without handlers a signal would kill the process with an error.
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let eof = CancellationToken::new();
    let (input, output) = rmcp::transport::stdio_pipes();
    let transport = (EofSignal::new(input, eof.clone()), output);
    let work = async {
        match Server::new(vendors, eof.clone()).serve(transport).await {
            Ok(running) => {
                if let Err(error) = running.waiting().await {
                    tracing::warn!("The session ended abnormally: {error}");
                }
                0
            }
            // The client left before its first request, for example to see whether the program starts.
            Err(_) if eof.is_cancelled() => 0,
            Err(error) => {
                tracing::error!("The session could not begin: {error}");
                1
            }
        }
    };
    let watchdog = async {
        eof.cancelled().await;
        tokio::time::sleep(WATCHDOG).await;
    };
    Ok(tokio::select! {
        code = work => code,
        _ = terminated.recv() => 0,
        _ = interrupted.recv() => 0,
        () = watchdog => 0,
    })
}

/// A reader that cancels a token when its input ends or fails.
struct EofSignal<R> {
    inner: R,
    eof: CancellationToken,
}

impl<R> EofSignal<R> {
    fn new(inner: R, eof: CancellationToken) -> Self {
        Self { inner, eof }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for EofSignal<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let (before, has_room) = (buf.filled().len(), buf.remaining() > 0);
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Poll::Ready(result) = &polled
            && (result.is_err() || (has_room && buf.filled().len() == before))
        {
            self.eof.cancel();
        }
        polled
    }
}
