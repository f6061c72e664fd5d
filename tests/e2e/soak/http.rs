//! A stand-in for an API over HTTP between the collector and the truth, which spoils its answers by a schedule.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use outcome_core::clock::{Clock as _, ManualClock};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::faults::{Fault, Schedule};
use super::net::{Net, lock};

/// A request, as far as anybody looks at it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) path: String,
    /// Of the address, and of a form in the body.
    pub(super) values: BTreeMap<String, String>,
    pub(super) body: String,
    credentials: String,
}

/// What a request is truly answered with.
pub(super) type Good = Box<dyn Fn(&Request) -> Value + Send + Sync>;
/// The same with this in place of its numbers, or with nothing or one arm in it.
pub(super) type Spoil = fn(Fault, Value) -> Value;

/// The stand-in.
pub(super) struct Api {
    pub(super) url: String,
    pub(super) schedule: Schedule,
    clock: ManualClock,
    net: Arc<Net>,
    good: Good,
    spoil: Spoil,
    /// So many bytes are too many.
    too_large: usize,
    /// Where redirects lead, which nobody may follow.
    elsewhere: String,
    pub(super) n_elsewhere: Arc<AtomicUsize>,
    pub(super) met: Mutex<BTreeSet<Fault>>,
    asked: Mutex<Asked>,
}

/// When it was asked, and until when it wants to be left alone.
#[derive(Debug, Default)]
struct Asked {
    rests: Option<(Timestamp, Timestamp)>,
    too_soon: Vec<String>,
}

impl Api {
    pub(super) async fn start(
        clock: ManualClock,
        net: Arc<Net>,
        schedule: Schedule,
        (good, spoil, too_large): (Good, Spoil, usize),
    ) -> Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let other = TcpListener::bind("127.0.0.1:0").await?;
        let n_elsewhere = Arc::new(AtomicUsize::new(0));
        let api = Arc::new(Self {
            url: format!("http://{}", listener.local_addr()?),
            elsewhere: format!("http://{}/there", other.local_addr()?),
            n_elsewhere: Arc::clone(&n_elsewhere),
            schedule,
            clock,
            net,
            good,
            spoil,
            too_large,
            met: Mutex::default(),
            asked: Mutex::default(),
        });
        tokio::spawn(async move {
            while other.accept().await.is_ok() {
                n_elsewhere.fetch_add(1, Ordering::SeqCst);
            }
        });
        let served = Arc::clone(&api);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let api = Arc::clone(&served);
                tokio::spawn(async move { api.serve(stream).await });
            }
        });
        Ok(api)
    }

    /// The requests that came although it had asked to be left alone.
    pub(super) fn too_soon(&self) -> Vec<String> {
        lock(&self.asked).too_soon.clone()
    }

    async fn serve(&self, mut stream: TcpStream) {
        self.net.answering(1);
        let Some(request) = read(&mut stream).await else { return self.net.answering(-1) };
        let now = self.clock.now();
        let fault = self.schedule.at(now);
        self.note(now, fault, &request);
        let answer = self.answer(fault, &request);
        if fault.is_some_and(Fault::is_failure) {
            self.net.fails();
        }
        let _ = stream.write_all(&answer.bytes).await;
        self.net.answering(-1);
        if answer.is_held {
            self.net.held(1);
            let mut rest = [0; 64];
            // Until whoever asked gives up.
            while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {}
            self.net.held(-1);
            self.net.fails();
        }
    }

    fn note(&self, now: Timestamp, fault: Option<Fault>, request: &Request) {
        let mut asked = lock(&self.asked);
        if let Some((from, to)) = asked.rests.filter(|(from, to)| *from < now && now < *to) {
            asked.too_soon.push(format!("{} at {now}, which rests from {from} to {to}", request.path));
        }
        if let Some(fault) = fault {
            lock(&self.met).insert(fault);
            if let Some(seconds) = fault.asks_to_wait() {
                // An hour at most.
                asked.rests = Some((now, now + SignedDuration::from_secs(seconds.min(3600))));
            }
        }
    }

    fn answer(&self, fault: Option<Fault>, request: &Request) -> Answer {
        let good = (self.good)(request);
        let Some(fault) = fault else { return Answer::json(200, "", &good) };
        let said = |what: &str| json!({ "error": format!("{what} ({})", request.credentials) });
        match fault {
            Fault::WrongCredentials => Answer::json(403, "", &said("no right to read this")),
            Fault::ExpiredToken => Answer::json(401, "", &said("the token has expired")),
            Fault::TooMany => Answer::json(429, "", &said("slow down")),
            Fault::TooManyFor(seconds) => Answer::json(429, &format!("retry-after: {seconds}\r\n"), &said("slow down")),
            Fault::Broken500 => Answer::json(500, "", &said("broken")),
            Fault::Gateway502 => Answer::page(502),
            Fault::Away503 => Answer::page(503),
            Fault::Away503For(seconds) => Answer::json(503, &format!("retry-after: {seconds}\r\n"), &said("away")),
            Fault::Gateway504 => Answer::page(504),
            Fault::SilentHeader => Answer { bytes: Vec::new(), is_held: true },
            Fault::SilentBody => {
                let mut answer = Answer::json(200, "", &good);
                answer.bytes.truncate(answer.bytes.len() - 3);
                Answer { is_held: true, ..answer }
            }
            Fault::Truncated => {
                let mut answer = Answer::json(200, "", &good);
                answer.bytes.truncate(answer.bytes.len() - 3);
                answer
            }
            Fault::HalfJson => {
                let text = good.to_string();
                Answer::with(200, "application/json", "", &text.as_bytes()[..text.len() / 2])
            }
            Fault::Huge => Answer::with(200, "application/json", "", &vec![b' '; self.too_large]),
            Fault::Page => Answer::page(200),
            Fault::Redirect => Answer::json(307, &format!("location: {}\r\n", self.elsewhere), &Value::Null),
            fault => Answer::json(200, "", &(self.spoil)(fault, good)),
        }
    }
}

struct Answer {
    bytes: Vec<u8>,
    is_held: bool,
}

impl Answer {
    fn with(status: u16, kind: &str, headers: &str, body: &[u8]) -> Self {
        let n = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {n}\r\nconnection: close\r\n{headers}\r\n"
        );
        Self { bytes: [head.as_bytes(), body].concat(), is_held: false }
    }

    fn json(status: u16, headers: &str, value: &Value) -> Self {
        Self::with(status, "application/json", headers, value.to_string().as_bytes())
    }

    fn page(status: u16) -> Self {
        Self::with(status, "text/html", "", b"<html>Sign in</html>")
    }
}

/// A request to its end; `None` where there is none.
async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut part = [0; 8192];
    let (head, mut body) = loop {
        let n = stream.read(&mut part).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&part[..n]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes[end + 4..].to_vec());
        }
    };
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while body.len() < length {
        let n = stream.read(&mut part).await.ok().filter(|n| *n > 0)?;
        body.extend_from_slice(&part[..n]);
    }
    let target = head.split_whitespace().nth(1)?.to_owned();
    let url = Url::parse(&format!("http://stand-in{target}")).ok()?;
    let mut values: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let body = String::from_utf8_lossy(&body).into_owned();
    if header("content-type").is_some_and(|kind| kind.contains("form")) {
        let form = Url::parse(&format!("http://stand-in/?{body}")).ok()?;
        values.extend(form.query_pairs().into_owned());
    }
    let credentials = header("authorization").or_else(|| header("x-clickhouse-key")).unwrap_or_default();
    Some(Request { path: url.path().to_owned(), values, body, credentials })
}
