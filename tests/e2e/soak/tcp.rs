//! A proxy before a real PostgreSQL server, which spoils connections by a schedule.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use outcome_core::clock::{Clock as _, ManualClock};
use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::faults::{Fault, Schedule};
use super::net::{Net, lock};

/// The proxy.
pub(super) struct Proxy {
    pub(super) port: u16,
    pub(super) schedule: Schedule,
    server: String,
    clock: ManualClock,
    net: Arc<Net>,
    pub(super) met: Mutex<BTreeSet<Fault>>,
}

impl Proxy {
    pub(super) async fn start(
        clock: ManualClock,
        net: Arc<Net>,
        schedule: Schedule,
        server: &str,
    ) -> Result<Arc<Self>> {
        let url = Url::parse(server)?;
        let host = url.host_str().context("no host")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Arc::new(Self {
            port: listener.local_addr()?.port(),
            server: format!("{host}:{}", url.port().unwrap_or(5432)),
            schedule,
            clock,
            net,
            met: Mutex::default(),
        });
        let served = Arc::clone(&proxy);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = Arc::clone(&served);
                tokio::spawn(async move { proxy.serve(stream).await });
            }
        });
        Ok(proxy)
    }

    /// What is wrong now, which somebody met.
    fn meets(&self) -> Option<Fault> {
        let fault = self.schedule.at(self.clock.now())?;
        lock(&self.met).insert(fault);
        self.net.fails();
        Some(fault)
    }

    async fn serve(&self, client: TcpStream) {
        self.net.moves();
        match self.meets() {
            Some(fault) if fault.is_at_start() => self.refuse(client, fault).await,
            Some(_) | None => drop(self.pass(client).await),
        }
        self.net.moves();
    }

    async fn refuse(&self, mut client: TcpStream, fault: Fault) {
        if fault == Fault::Refused {
            return;
        }
        let mut asked = [0; 1024];
        if fault == Fault::SilentStart {
            self.net.held(1);
            while client.read(&mut asked).await.is_ok_and(|n| n > 0) {}
            self.net.held(-1);
            return;
        }
        // The client asks whether there is TLS, in eight bytes.
        let _ = client.read(&mut asked[..8]).await;
        if fault == Fault::BadTls {
            let _ = client.write_all(b"S").await;
            let _ = client.read(&mut asked).await;
            let _ = client.write_all(b"this is no handshake").await;
            return;
        }
        let _ = client.write_all(b"N").await;
        let _ = client.read(&mut asked).await;
        let (code, words) = match fault {
            Fault::WrongPassword => ("28P01", "password authentication failed for user \"reader\""),
            _ => ("53300", "sorry, too many clients already"),
        };
        let _ = client.write_all(&error(code, words)).await;
    }

    /// Hands everything on, unless something goes wrong on the way.
    async fn pass(&self, mut client: TcpStream) -> std::io::Result<()> {
        self.net.answering(1);
        let server = TcpStream::connect(&self.server).await;
        self.net.answering(-1);
        let mut server = server?;
        let (mut asked, mut said) = (vec![0; 16_384], vec![0; 16_384]);
        // Whether the server owes an answer.
        let mut is_owed = false;
        let owes = |is_owed: &mut bool, owes: bool| {
            self.net.moves();
            if *is_owed != owes {
                self.net.answering(if owes { 1 } else { -1 });
                *is_owed = owes;
            }
        };
        let done = loop {
            tokio::select! {
                n = client.read(&mut asked) => {
                    let Ok(n @ 1..) = n else { break Ok(()) };
                    if self.meets().is_some_and(Fault::is_at_start) {
                        break Ok(());
                    }
                    owes(&mut is_owed, true);
                    if let Err(error) = server.write_all(&asked[..n]).await { break Err(error) }
                }
                n = server.read(&mut said) => {
                    let Ok(n @ 1..) = n else { break Ok(()) };
                    owes(&mut is_owed, false);
                    match self.meets() {
                        Some(Fault::SilentAnswer) => {
                            self.net.held(1);
                            while client.read(&mut asked).await.is_ok_and(|n| n > 0) {}
                            self.net.held(-1);
                            break Ok(());
                        }
                        Some(Fault::Cut) => {
                            let _ = client.write_all(&said[..n / 2]).await;
                            break Ok(());
                        }
                        Some(_) | None => if let Err(error) = client.write_all(&said[..n]).await { break Err(error) },
                    }
                }
            }
        };
        owes(&mut is_owed, false);
        done
    }
}

/// An error as the server says it, before anybody is let in.
fn error(code: &str, words: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{words}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap_or_default();
    [b"E".as_slice(), &length.to_be_bytes(), fields.as_bytes()].concat()
}
