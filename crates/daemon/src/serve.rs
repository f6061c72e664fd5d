//! Accepts connections and hands their requests to the router.
//!
//! `axum::serve` waits for the head of a request for as long as the sender likes, so a thousand half-open connections use up the
//! process's file descriptors. Here a head has a time limit, and connections a number.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The other side of a connection, in the extensions of its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From the connection, or the answer before, to the end of a request's head. It also ends idle connections.
    pub(crate) head: Duration,
    /// At the same time; further ones wait to be accepted. Below the 1,024 file descriptors that a process usually has, of which
    /// the database and the sources need some.
    pub(crate) connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: Duration::from_secs(10), connections: 512 }
    }
}

/// After a failed `accept` (no file descriptor is left, say), before the next.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop`, and then finishes what is under way.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = async {
            // The semaphore is never closed, so a failure cannot occur; without a permit nothing is accepted.
            let permit = Arc::clone(&free).acquire_owned().await.ok()?;
            Some((permit, listener.accept().await))
        };
        let (permit, stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => match accepted {
                Some((permit, Ok((stream, peer)))) => (permit, stream, peer.ip()),
                Some((_, Err(error))) => {
                    tracing::warn!("A connection could not be accepted: {error}");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                None => break,
            },
        };
        let connection = graceful.watch(connection(stream, peer, &router, limits));
        tokio::spawn(async move {
            // A connection that breaks or is too slow concerns nobody but its sender.
            if let Err(error) = connection.await {
                tracing::debug!("A connection ended early: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

fn connection(
    stream: TcpStream,
    peer: IpAddr,
    router: &Router,
    limits: Limits,
) -> http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    let router = router.clone().layer(axum::Extension(Peer(peer)));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::{Instant, timeout};

    use super::*;

    const ENOUGH: Duration = Duration::from_secs(10);

    async fn started(limits: Limits) -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route(
            "/",
            get(|peer: axum::Extension<Peer>| async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                peer.0.0.to_string()
            }),
        );
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, router, limits, stop.clone()));
        (address, stop, task)
    }

    /// The answer to a request on a connection of its own.
    async fn asked(address: std::net::SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        timeout(ENOUGH, stream.read_to_string(&mut answer)).await.expect("it is not answered").unwrap();
        answer
    }

    #[tokio::test]
    async fn half_open_connections_end_and_keep_nobody_out() {
        let limits = Limits { head: Duration::from_millis(300), connections: 30 };
        let (address, _stop, _task) = started(limits).await;
        let began = Instant::now();
        let mut half_open = Vec::new();
        // More than there may be; each sends something, in pieces, and never the end of its head.
        for i in 0..60 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let piece: &[u8] = if i % 2 == 0 { b"" } else { b"GET / HTTP/1.1\r\nx-a: " };
            stream.write_all(piece).await.unwrap();
            half_open.push(stream);
        }
        assert!(asked(address).await.ends_with("127.0.0.1"), "one that asks is answered, after those before it");
        for mut stream in half_open {
            // It is closed, with 408 or without a word.
            let mut rest = Vec::new();
            let _ = timeout(ENOUGH, stream.read_to_end(&mut rest)).await.expect("it is kept open");
        }
        assert!(began.elapsed() < ENOUGH);
    }

    #[tokio::test]
    async fn what_is_under_way_is_finished_and_an_idle_connection_holds_nothing_up() {
        let (address, stop, task) = started(Limits::default()).await;
        let idle = TcpStream::connect(address).await.unwrap();
        let answer = tokio::spawn(asked(address));
        tokio::time::sleep(Duration::from_millis(20)).await;
        stop.cancel();
        assert!(answer.await.unwrap().ends_with("127.0.0.1"));
        timeout(ENOUGH, task).await.expect("it does not stop").unwrap();
        drop(idle);
    }
}
