//! Between the daemons and Unleash: nobody there, somebody slow, or one who says that somebody else was faster.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing.
    None = 0,
    /// Connections are closed at once.
    Down = 1,
    /// Each answer takes three seconds longer.
    Slow = 2,
    /// Writes are answered with 409.
    Conflict = 3,
}

const CONFLICT: &str = "HTTP/1.1 409 Conflict\r\ncontent-type: application/json\r\ncontent-length: 60\r\nconnection: close\r\n\r\n\
                        {\"name\":\"ConflictError\",\"message\":\"somebody else was faster\"}";

/// A proxy for one server.
pub(super) struct Proxy {
    pub(super) url: String,
    trouble: Arc<AtomicU8>,
    n_refused: Arc<AtomicUsize>,
}

impl Proxy {
    pub(super) async fn before(url: &str) -> Result<Self> {
        let target = url.strip_prefix("http://").context("no address")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (trouble, n_refused) = (Arc::new(AtomicU8::new(0)), Arc::new(AtomicUsize::new(0)));
        let (now, count) = (Arc::clone(&trouble), Arc::clone(&n_refused));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, now, count) = (target.clone(), Arc::clone(&now), Arc::clone(&count));
                tokio::spawn(async move { one(client, &target, now.load(Ordering::SeqCst), &count).await });
            }
        });
        Ok(Self { url, trouble, n_refused })
    }

    pub(super) fn set(&self, trouble: Trouble) {
        self.trouble.store(trouble as u8, Ordering::SeqCst);
    }

    /// How often trouble was made.
    pub(super) fn n_refused(&self) -> usize {
        self.n_refused.load(Ordering::SeqCst)
    }
}

/// One request on its own connection, so that each meets the trouble of its time.
async fn one(mut client: TcpStream, target: &str, trouble: u8, count: &AtomicUsize) -> Result<()> {
    let is = |other: Trouble| trouble == other as u8;
    if is(Trouble::Down) {
        count.fetch_add(1, Ordering::SeqCst);
        return Ok(());
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    if is(Trouble::Conflict) && !head.starts_with(b"GET") {
        count.fetch_add(1, Ordering::SeqCst);
        client.write_all(CONFLICT.as_bytes()).await?;
        return Ok(client.shutdown().await?);
    }
    if is(Trouble::Slow) {
        count.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let mut server = TcpStream::connect(target).await?;
    head.truncate(head.len() - 2);
    head.extend_from_slice(b"connection: close\r\n\r\n");
    server.write_all(&head).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
