//! A laboratory workspace with the real daemon in front of it.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use outcome_core::usecases::LearningView;
use outcome_tests::lab::{Lab, MEMBER, PASSPHRASE, hypothesis};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Method, RequestBuilder, Response};
use secrecy::ExposeSecret as _;

/// The running daemon and its workspace.
pub struct Daemon {
    pub lab: Lab,
    pub address: SocketAddr,
    child: Child,
}

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outcome-runtimed"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("RUST_LOG", "error")
        .stderr(Stdio::piped());
    command
}

impl Daemon {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(args: &[&str]) -> Self {
        Self::start_in(args, &[]).await
    }

    pub async fn start_in(args: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::on(Lab::sqlite().await.unwrap(), args, environment).await
    }

    /// In a laboratory that the test has prepared.
    pub async fn on(lab: Lab, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let root = lab.root();
        std::fs::write(root.join(".clock"), lab.runtime.now().to_string()).unwrap();
        let file = root.join(".outcome/address");
        let child = program()
            .env("OUTCOME_RUNTIME_CLOCK_FILE", root.join(".clock"))
            .args(["--listen", "127.0.0.1:0", "--tick", "1", "--workspace"])
            .arg(&root)
            .arg("--address-file")
            .arg(&file)
            .args(args)
            .envs(environment.iter().copied())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let address = loop {
            if let Ok(text) = std::fs::read_to_string(&file) {
                break text.trim().parse().unwrap();
            }
            assert!(Instant::now() < deadline, "the daemon did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        Self { lab, address, child }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        client().request(method, self.url(path))
    }

    /// A request with an agent's token.
    pub async fn agent(&self) -> Agent<'_> {
        let human = outcome_tests::lab::local();
        let token = self.lab.runtime.sessions().agent_token_create("ci-agent", &human).await.unwrap();
        Agent { daemon: self, token: token.expose_secret().to_owned() }
    }

    pub fn stranger(&self) -> Browser<'_> {
        Browser { daemon: self, cookie: None }
    }

    /// A browser in which the member has signed in.
    pub async fn member(&self) -> Browser<'_> {
        let mut browser = self.stranger();
        let done = browser.sign_in(MEMBER, PASSPHRASE, "/").await;
        assert_eq!(done.status(), 303);
        browser
    }

    /// An experiment at its portfolio gate: its slug and that of the gate.
    pub async fn proposed(&self, title: &str, flag: &str) -> (String, String) {
        let experiment = self.lab.submit(hypothesis(title, flag)).await.unwrap();
        let gate = self.lab.runtime.experiments().show(&experiment).await.unwrap().gates.first().cloned().unwrap();
        (experiment, gate)
    }

    /// Kinds of the log's lines.
    pub async fn log_kinds(&self) -> Vec<String> {
        let lines = self.lab.runtime.audit_log().page(0, 1000).await.unwrap();
        lines.into_iter().map(|line| line.kind).collect()
    }

    pub fn terminate(&self) {
        let done = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(done.success());
    }

    /// Waits for the end; the exit code and how long it took.
    pub fn wait(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let status = self.child.wait().unwrap();
        (status.code(), began.elapsed())
    }

    pub async fn learnings(&self) -> Vec<LearningView> {
        self.lab.runtime.learnings().search("", None, 10, 0).await.unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(40))
        .build()
        .unwrap()
}

/// A coding agent with a token.
pub struct Agent<'a> {
    daemon: &'a Daemon,
    pub token: String,
}

impl Agent<'_> {
    pub async fn get(&self, path: &str) -> Response {
        self.daemon.request(Method::GET, path).bearer_auth(&self.token).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &serde_json::Value) -> Response {
        self.daemon.request(Method::POST, path).bearer_auth(&self.token).json(body).send().await.unwrap()
    }
}

/// A browser: it keeps the cookie and sends what browsers send.
pub struct Browser<'a> {
    daemon: &'a Daemon,
    pub cookie: Option<String>,
}

impl Browser<'_> {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.daemon.request(method, path);
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn text(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }

    /// A form of our own page, as a browser sends it under `Referrer-Policy: no-referrer`.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let request = self.request(Method::POST, path).header("origin", "null").header("sec-fetch-site", "same-origin");
        request.form(fields).send().await.unwrap()
    }

    pub async fn sign_in(&mut self, email: &str, passphrase: &str, next: &str) -> Response {
        let fields = [("email", email), ("passphrase", passphrase), ("next", next)];
        let response = self.post("/sign-in", &fields).await;
        if let Some(cookie) = response.headers().get(SET_COOKIE) {
            self.cookie = cookie.to_str().unwrap().split(';').next().map(ToOwned::to_owned);
        }
        response
    }

    /// The decision form's hidden fields.
    pub async fn form(&self, gate: &str) -> Form {
        let page = self.text(&format!("/gates/{gate}")).await;
        Form { csrf: hidden(&page, "csrf"), context_hash: hidden(&page, "context_hash") }
    }

    pub async fn decide(&self, gate: &str, form: &Form, verdict: &str, passphrase: &str) -> Response {
        let fields = [
            ("csrf", form.csrf.as_str()),
            ("context_hash", &form.context_hash),
            ("verdict", verdict),
            ("passphrase", passphrase),
        ];
        self.post(&format!("/gates/{gate}/decide"), &fields).await
    }
}

/// What a decision form carries.
pub struct Form {
    pub csrf: String,
    pub context_hash: String,
}

/// The value of a hidden field; the first with this name.
pub fn hidden(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("no field {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}
