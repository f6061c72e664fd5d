//! The routes and pages of the daemon: for an agent's token, a made-up cookie, a foreign page, a session that is misused.

use anyhow::{Context as _, Result, ensure};
use outcome_core::digest::sha256_hex;
use outcome_core::principal::Principal;
use outcome_tests::lab::{MEMBER, OUTCOME, PASSPHRASE};
use outcome_tests::programs::Daemon;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::place::{Place, Waiting, each_place};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");
const FOREIGN: (&str, &str) = ("origin", "http://evil.example");

/// A gate that waits, a daemon, and what is sent to it.
struct Door {
    place: Place,
    waiting: Waiting,
    client: reqwest::Client,
    daemon: Daemon,
    /// Two names of the route that decides.
    respond: [String; 2],
    /// Where the page's form goes.
    page: String,
    context_hash: String,
}

impl Door {
    async fn of(place: Place) -> Result<Self> {
        let waiting = place.waiting().await?;
        let daemon = place.cli.daemon().await?;
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let shown = place.cli.json(&["gate", "show", &waiting.gate])?;
        let id = shown["id"].as_str().context("no id")?;
        let respond = [&waiting.gate, id].map(|gate| format!("/api/v1/gates/{gate}/respond"));
        let page = format!("/gates/{}/decide", waiting.gate);
        let context_hash = shown["context_hash"].as_str().context("no hash")?.to_owned();
        Ok(Self { place, waiting, client, daemon, respond, page, context_hash })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(StatusCode, String)> {
        let address = &self.daemon.address;
        let mut request = self.client.request(method.parse::<Method>()?, format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body.to_owned()).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// A session cookie of this daemon with a value of an attacker's choice. That its name is the one that is set is asserted
    /// where somebody signs in.
    fn cookie(&self, value: &str) -> String {
        format!("outcome_session_{}={value}", self.port())
    }

    fn port(&self) -> &str {
        self.daemon.address.rsplit(':').next().unwrap_or_default()
    }

    /// An approval with this passphrase, as JSON.
    fn approval(&self, passphrase: &str) -> String {
        json!({ "verdict": "approve", "context_hash": self.context_hash, "passphrase": passphrase }).to_string()
    }

    /// An approval with the right passphrase, as the page's form sends it.
    fn form(&self, csrf: &str) -> String {
        let passphrase = PASSPHRASE.replace(' ', "+");
        format!("verdict=approve&context_hash={}&passphrase={passphrase}&csrf={csrf}", self.context_hash)
    }

    fn agent(&self) -> Result<String> {
        let token = self.place.cli.json(&["agent", "token", "ci-bot"])?;
        Ok(format!("Bearer {}", token["token"].as_str().context("no token")?))
    }

    /// Signs the member in, with a cookie that was there before: the `Set-Cookie` of the answer.
    async fn sign_in(&self, before: &str) -> Result<String> {
        let form = format!("email={MEMBER}&passphrase={}", PASSPHRASE.replace(' ', "+"));
        let request = self.client.post(format!("http://{}/sign-in", self.daemon.address)).header("cookie", before);
        let answer = request.header(FORM.0, FORM.1).body(form).send().await?;
        let set = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        Ok(set.context("no cookie")?.to_owned())
    }

    /// A cookie of a real session, and the CSRF token of its page.
    async fn session(&self) -> Result<(String, String)> {
        let set = self.sign_in("x=1").await?;
        let cookie = set.split(';').next().context("an empty cookie")?.to_owned();
        let (_, page) = self.send("GET", &format!("/gates/{}", self.waiting.gate), &[("cookie", &cookie)], "").await?;
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        Ok((cookie, csrf.context("the page has no CSRF token")?.to_owned()))
    }
}

async fn each_door(test: impl AsyncFn(&Door) -> Result<()>) -> Result<()> {
    each_place(async |place| {
        let door = Door::of(place).await?;
        test(&door).await?;
        door.place.is_untouched(&door.waiting)
    })
    .await
}

/// With the right passphrase: not even that turns an agent into a human.
#[tokio::test(flavor = "multi_thread")]
async fn an_agents_token_decides_nothing_and_each_try_is_recorded() -> Result<()> {
    each_door(async |door| {
        let bearer = door.agent()?;
        let agent = ("authorization", bearer.as_str());
        let (body, form) = (door.approval(PASSPHRASE), door.form("x"));
        let mut n_recorded = 0;
        for (path, kind, body) in [
            (door.respond[0].as_str(), JSON, &body),
            (&door.respond[1], JSON, &body),
            (&door.page, FORM, &form),
            ("/sign-out", FORM, &form),
        ] {
            for headers in [vec![agent, kind], vec![agent, kind, ("cookie", &door.cookie("0000"))]] {
                let (status, text) = door.send("POST", path, &headers, body).await?;
                ensure!(status == StatusCode::FORBIDDEN, "{path} {headers:?}: {status} {text}");
                n_recorded += 1;
            }
            let (status, text) = door.send("POST", path, &[("authorization", "bearer  ")], body).await?;
            ensure!(status == StatusCode::UNAUTHORIZED, "{path}: {status} {text}");
        }
        let recorded = door.place.logged("agent.refused")?;
        ensure!(recorded.len() == n_recorded, "{recorded:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_inside_what_an_agent_may_call_is_refused() -> Result<()> {
    each_door(async |door| {
        let bearer = door.agent()?;
        let agent = ("authorization", bearer.as_str());
        let experiment = &door.waiting.experiment;
        for (path, body) in [
            (format!("/api/v1/experiments/{experiment}/gates"), json!({ "question": "May I?", "verdict": "approve" })),
            (format!("/api/v1/experiments/{experiment}/built"), json!({ "summary": "x", "status": "running" })),
            (format!("/api/v1/experiments/{experiment}/fail"), json!({ "reason": "x" })),
            (format!("/api/v1/outcomes/{OUTCOME}/experiments"), json!({ "hypotheses": [], "verdict": "approve" })),
            ("/api/v1/signals/ingest".to_owned(), json!({ "gate": door.waiting.gate, "verdict": "approve" })),
        ] {
            let (status, text) = door.send("POST", &path, &[agent, JSON], &body.to_string()).await?;
            ensure!(!status.is_success(), "{path}: {status} {text}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_method_decides_and_no_page_opens_for_an_agent() -> Result<()> {
    each_door(async |door| {
        let bearer = door.agent()?;
        let agent = ("authorization", bearer.as_str());
        let body = door.approval(PASSPHRASE);
        for method in ["PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS", "TRACE"] {
            for path in [&door.respond[0], &door.page] {
                let headers = [agent, JSON, ("x-http-method-override", "POST")];
                let (status, text) = door.send(method, path, &headers, &body).await?;
                ensure!(!status.is_success(), "{method} {path}: {status} {text}");
            }
        }
        for path in ["/", &format!("/gates/{}", door.waiting.gate)] {
            let (status, text) = door.send("GET", path, &[agent], "").await?;
            ensure!(status == StatusCode::FORBIDDEN, "{path} is for humans: {status} {text}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_cookie_is_no_session() -> Result<()> {
    each_door(async |door| {
        let (body, form) = (door.approval(PASSPHRASE), door.form("x"));
        for cookie in [&door.cookie(""), &door.cookie("0000"), &door.cookie(&"a".repeat(64)), "x"] {
            for (path, kind, body) in [(&door.respond[0], JSON, &body), (&door.page, FORM, &form)] {
                let (status, text) = door.send("POST", path, &[("cookie", cookie), kind], body).await?;
                ensure!(status == StatusCode::UNAUTHORIZED, "{path} {cookie}: {status} {text}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_an_attacker_chose_before_the_sign_in_is_replaced() -> Result<()> {
    each_door(async |door| {
        let fixed = door.cookie(&"f".repeat(64));
        let (status, _) = door.send("POST", "/sign-in", &[FORM, FOREIGN], "email=x&passphrase=y").await?;
        ensure!(status == StatusCode::FORBIDDEN, "a foreign page signed in: {status}");
        let set = door.sign_in(&fixed).await?;
        ensure!(set.starts_with(&door.cookie("")), "{set}");
        ensure!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.starts_with(&fixed), "{set}");
        let body = door.approval(PASSPHRASE);
        let (status, text) = door.send("POST", &door.respond[0], &[("cookie", &fixed), JSON], &body).await?;
        ensure!(status == StatusCode::UNAUTHORIZED, "{status} {text}");
        Ok(())
    })
    .await
}

/// No CSRF token, another one's, another origin, another host, both credentials.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_misused_decides_nothing() -> Result<()> {
    each_door(async |door| {
        let (bearer, (cookie, csrf)) = (door.agent()?, door.session().await?);
        let (human, token) = (("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str()));
        let body = door.approval(PASSPHRASE);
        for headers in [
            vec![human, JSON],
            vec![human, JSON, ("x-csrf-token", "0000")],
            vec![human, JSON, token, FOREIGN],
            vec![human, JSON, token, ("origin", "null")],
            vec![human, JSON, token, ("sec-fetch-site", "cross-site")],
            vec![human, JSON, token, ("authorization", &bearer)],
        ] {
            let (status, text) = door.send("POST", &door.respond[0], &headers, &body).await?;
            ensure!(status == StatusCode::FORBIDDEN, "{headers:?}: {status} {text}");
        }
        for (headers, form) in [
            (vec![human, FORM], door.form("x")),
            (vec![human, FORM, FOREIGN], door.form(&csrf)),
            (vec![human, FORM, ("sec-fetch-site", "same-site")], door.form(&csrf)),
        ] {
            let (status, text) = door.send("POST", &door.page, &headers, &form).await?;
            ensure!(status == StatusCode::FORBIDDEN, "{headers:?}: {status} {text}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example"] {
            let headers = [human, JSON, token, ("host", host)];
            let (status, text) = door.send("POST", &door.respond[0], &headers, &body).await?;
            ensure!(
                [StatusCode::MISDIRECTED_REQUEST, StatusCode::BAD_REQUEST].contains(&status),
                "{host}: {status} {text}"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_no_decision_without_the_passphrase() -> Result<()> {
    each_door(async |door| {
        let (cookie, csrf) = door.session().await?;
        let headers = [("cookie", cookie.as_str()), JSON, ("x-csrf-token", csrf.as_str())];
        for wrong in ["", "wrong passphrase entirely"] {
            let (status, text) = door.send("POST", &door.respond[0], &headers, &door.approval(wrong)).await?;
            ensure!(status == StatusCode::UNAUTHORIZED && text.contains("passphrase_wrong"), "{status} {text}");
        }
        let recorded = door.place.logged("gate.refused")?;
        ensure!(recorded.len() == 2, "{recorded:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_written_into_the_table_is_no_passphrase() -> Result<()> {
    each_door(async |door| {
        let lab = &door.place.lab;
        let by = outcome_tests::lab::member(&lab.runtime).await?;
        let Principal::Human { member, .. } = by else { anyhow::bail!("{by} is no human") };
        let forged = "e".repeat(64);
        let member = if lab.is_postgres() { format!("'{member}'") } else { format!("x'{}'", member.0.simple()) };
        lab.raw(&format!(
            "INSERT INTO session (workspace_id, token_hash, member_id, csrf, created_at, expires_at)
             SELECT workspace_id, '{}', id, 'forged', created_at, '2099-01-01T00:00:00.000000Z' FROM member WHERE id = {member}",
            sha256_hex(&forged)
        ))
        .await?;
        let cookie = door.cookie(&forged);
        let headers = [("cookie", cookie.as_str()), JSON, ("x-csrf-token", "forged")];
        let body = door.approval("guess guess guess");
        let (status, text) = door.send("POST", &door.respond[0], &headers, &body).await?;
        ensure!(status == StatusCode::UNAUTHORIZED, "{status} {text}");
        Ok(())
    })
    .await
}
