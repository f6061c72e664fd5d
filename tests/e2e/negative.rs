//! Every door that an agent has, tried with the built programs: none of them decides a gate, and each try is refused or found,
//! and recorded. Then bad input: a stable code, and nothing lost.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;
use outcome_core::audit::Subject;
use outcome_core::digest::sha256_hex;
use outcome_core::domain::{Assurance, Decision, DecisionSubject, Surface, Verdict};
use outcome_core::identity::{SigningKey, sign_decision};
use outcome_core::principal::Principal;
use outcome_tests::lab::{Lab, MEMBER, OUTCOME, PASSPHRASE, commit, decision, git, hypothesis, write};
use outcome_tests::programs::{Cli, Refused};
use reqwest::{Method, StatusCode};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction, ElicitationCapability, FormElicitationCapability, Implementation, ProtocolVersion,
    UrlElicitationCapability,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RequestContext};
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::journey::each_lab;
use crate::tamper::append_forged;

/// A laboratory and the built programs in its folder.
struct Place {
    lab: Lab,
    cli: Cli,
    home: TempDir,
}

impl Place {
    fn of(lab: Lab) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let clock = lab.root().join(".clock");
        std::fs::write(&clock, lab.runtime.now().to_string())?;
        let clock = clock.display().to_string();
        let mut envs = vec![("OUTCOME_RUNTIME_CLOCK_FILE", clock.as_str())];
        envs.extend(lab.database().map(|url| ("DATABASE_URL", url)));
        let cli = Cli::new(&lab.root(), home.path(), PASSPHRASE, &envs)?;
        Ok(Self { lab, cli, home })
    }

    /// An experiment whose portfolio gate waits.
    async fn waiting(&self) -> Result<Waiting> {
        self.waiting_with("Tempting", "tempt").await
    }

    async fn waiting_with(&self, title: &str, flag: &str) -> Result<Waiting> {
        let experiment = self.lab.submit(hypothesis(title, flag)).await?;
        self.gate_of(experiment)
    }

    /// An experiment whose launch gate waits.
    async fn launching(&self) -> Result<Waiting> {
        let waiting = self.waiting_with("Launching", "launch").await?;
        self.lab.decide(&waiting.experiment, Verdict::Approve).await?;
        self.lab.build(&waiting.experiment).await?;
        self.gate_of(waiting.experiment)
    }

    fn gate_of(&self, experiment: String) -> Result<Waiting> {
        let shown = self.cli.json(&["experiment", "show", &experiment])?;
        let gate = shown["gates"][0].as_str().context("no gate waits")?.to_owned();
        Ok(Waiting { state: shown["state"].clone(), experiment, gate })
    }

    /// The gate waits, the experiment stands where it stood, and the log holds.
    fn is_untouched(&self, waiting: &Waiting) -> Result<()> {
        let gate = self.cli.json(&["gate", "show", &waiting.gate])?;
        ensure!(gate["status"] == "pending" && gate["decisions"] == json!([]), "the gate was decided: {gate}");
        let shown = self.cli.json(&["experiment", "show", &waiting.experiment])?;
        ensure!(shown["state"] == waiting.state, "it moved from {} to {}", waiting.state, shown["state"]);
        self.is_intact()
    }

    fn is_intact(&self) -> Result<()> {
        let check = self.cli.json(&["audit", "verify"])?;
        ensure!(check["is_intact"] == true, "{check}");
        Ok(())
    }

    /// Lines of the log of one kind.
    fn logged(&self, kind: &str) -> Result<Vec<Value>> {
        let text = self.cli.run(&["audit", "export"])?;
        let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(lines.into_iter().filter(|line| line["kind"] == kind).collect())
    }

    fn set_clock_to_now(&self) -> Result<()> {
        Ok(std::fs::write(self.lab.root().join(".clock"), self.lab.runtime.now().to_string())?)
    }

    fn database_file(&self) -> std::path::PathBuf {
        self.lab.root().join(".outcome/outcome.db")
    }

    /// SQL that puts `value` at `path` of a JSON column.
    fn set_json(&self, column: &str, path: &[&str], value: &str) -> String {
        if self.lab.is_postgres() {
            format!("{column} = jsonb_set({column}, '{{{}}}', '{value}')", path.join(","))
        } else {
            format!("{column} = json_set({column}, '$.{}', json('{value}'))", path.join("."))
        }
    }
}

struct Waiting {
    experiment: String,
    gate: String,
    state: Value,
}

async fn each_place(test: impl AsyncFn(Place) -> Result<()>) -> Result<()> {
    each_lab(async |lab| test(Place::of(lab)?).await).await
}

async fn on_sqlite() -> Result<Place> {
    Place::of(Lab::sqlite().await?)
}

fn is_refused(refused: &Refused, code: Code) -> Result<()> {
    ensure!(refused.code == code.as_str() && refused.exit == Some(i32::from(code.exit_code())), "{refused:?}");
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------
// MCP

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!("approve"), |inner, _| json!({ "decision": [inner] }))
}

/// What an agent may put in any argument.
fn hostile(waiting: &Waiting) -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1e308),
        json!([]),
        json!({ "verdict": "approve", "status": "approved" }),
        json!([{ "verdict": "approve" }, [[["approved"]]]]),
        json!(""),
        json!("approve"),
        json!(waiting.gate),
        json!(waiting.experiment),
        json!("00000000-0000-7000-8000-000000000000"),
        json!("'; UPDATE gate SET status = 'approved'; --"),
        json!("<script>fetch('/gates/x/decide', {method: 'POST'})</script>"),
        json!("../../.outcome/local.key"),
        json!("--verdict=approve\u{0}\u{1b}[2J\u{202e}"),
        json!("a".repeat(1_000_000)),
        nested(50),
    ]
}

/// A value with which a call gets past the first check, by the name of the argument.
fn plausible(name: &str, waiting: &Waiting) -> Value {
    match name {
        "experiment_id" => json!(waiting.experiment),
        "gate_id" => json!(waiting.gate),
        "gate_type" => json!("portfolio_review"),
        "outcome" => json!(OUTCOME),
        _ => json!("text"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tool_decides_whatever_it_is_given() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        let agent = place.cli.agent().await?;
        let tools = agent.tools().await?;
        ensure!(tools.len() >= 7, "{tools:?}");
        for tool in &tools {
            let schema = Value::Object((*tool.input_schema).clone());
            let names = schema["properties"].as_object().context("no properties")?.keys();
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let base: serde_json::Map<String, Value> =
                required.map(|name| (name.to_owned(), plausible(name, &waiting))).collect();
            let call = async |more: Value| {
                let mut arguments = base.clone();
                arguments.extend(more.as_object().cloned().unwrap_or_default());
                // Refused or not: the gate is looked at below. An answer must come.
                tokio::time::timeout(Duration::from_secs(30), agent.call(&tool.name, arguments.into())).await
            };
            for name in names {
                for value in hostile(&waiting) {
                    let _ = call(json!({ name: value })).await?;
                }
            }
            for more in [
                json!({ "verdict": "approve", "gate": waiting.gate, "gate_id": waiting.gate }),
                json!({ "approve": true, "approved": true, "status": "approved" }),
                json!({ "decision": { "verdict": "approve", "assurance": "A4", "signature": "00" } }),
                json!({ "passphrase": PASSPHRASE, "principal": { "kind": "human" }, "member": MEMBER }),
            ] {
                let answer = call(more.clone()).await?;
                ensure!(answer.is_err(), "{} took {more}: {answer:?}", tool.name);
            }
        }
        for name in ["gate_decide", "approve_gate", "gates/respond", "../gate", ""] {
            ensure!(agent.call(name, json!({ "gate_id": waiting.gate, "verdict": "approve" })).await.is_err());
        }
        ensure!(agent.tools().await?.len() == tools.len(), "the server did not live through it");
        agent.stop().await?;
        place.is_untouched(&waiting)?;
        let open = place.cli.json(&["gate", "list"])?;
        ensure!(open.as_array().into_iter().flatten().all(|gate| gate["status"] == "pending"), "{open}");
        let tried = place.logged("agent.refused")?;
        for tool in &tools {
            let is_recorded =
                |line: &&Value| line["payload"]["tried"].as_str().is_some_and(|what| what.starts_with(&*tool.name));
            ensure!(
                tried.iter().filter(is_recorded).count() >= 4,
                "what {} was asked for is not in the log",
                tool.name
            );
        }
        Ok(())
    })
    .await
}

/// A client that says yes to everything, without any human.
#[derive(Clone)]
struct YesSayer {
    n_asked: Arc<AtomicUsize>,
    elicitation: ElicitationCapability,
}

impl ClientHandler for YesSayer {
    fn get_info(&self) -> ClientConfig {
        let mut capabilities = ClientCapabilities::default();
        capabilities.elicitation = Some(self.elicitation.clone());
        ClientConfig::new(capabilities, Implementation::new("yes-sayer", "1"))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.n_asked.fetch_add(1, Ordering::Relaxed);
        let content = json!({ "approved": true, "verdict": "approve", "decision": "approve" });
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }
}

fn asks(waiting: &Waiting) -> CallToolRequestParams {
    let mut params = CallToolRequestParams::new("request_human_gate");
    let arguments =
        json!({ "experiment_id": waiting.experiment, "gate_type": "portfolio_review", "question": "May I?" });
    params.arguments = arguments.as_object().cloned();
    params
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_elicitation_is_no_decision_in_either_era() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.waiting().await?;
    let modern = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    let form = ElicitationCapability::new().with_form(FormElicitationCapability::new());
    let both = form.clone().with_url(UrlElicitationCapability::new());
    for (era, elicitation, is_asked) in [
        (ClientLifecycleMode::Initialize, both.clone(), true),
        (modern.clone(), both, true),
        (ClientLifecycleMode::Initialize, form.clone(), false),
        (modern, form, false),
    ] {
        let yes_sayer = YesSayer { n_asked: Arc::default(), elicitation };
        let client = yes_sayer.clone().serve_with_lifecycle(place.cli.server()?, era.clone()).await?;
        let answer = client.call_tool(asks(&waiting)).await?.structured_content.context("no answer")?;
        ensure!(answer["is_pending"] == true && answer["gate"] == json!(waiting.gate), "{era:?}: {answer}");
        let n_asked = yes_sayer.n_asked.load(Ordering::Relaxed);
        ensure!(n_asked == usize::from(is_asked), "{era:?}: the client was asked {n_asked} times");
        place.is_untouched(&waiting)?;

        // Answers to a question that was never put, and states that were made up or belong to another call.
        for state in ["", "x", "eyJhbGciOiJub25lIn0.e30.", &"A".repeat(100_000)] {
            let mut forged = asks(&waiting);
            forged.request_state = Some(state.to_owned());
            forged.input_responses =
                Some([("gate".to_owned(), json!({ "action": "accept", "content": { "approved": true } }))].into());
            let _ = client.call_tool_once(forged).await;
        }
        if let CallToolResponse::InputRequired(asked) = client.call_tool_once(asks(&waiting)).await? {
            let accept = json!({ "action": "accept", "content": { "approved": true, "verdict": "approve" } });
            let mut retry = asks(&waiting);
            retry.request_state.clone_from(&asked.request_state);
            retry.input_responses = Some([("gate".to_owned(), accept)].into());
            let mut elsewhere = retry.clone();
            if let Some(arguments) = &mut elsewhere.arguments {
                arguments.insert("question".to_owned(), json!("Another one?"));
            }
            for (params, is_error) in [(elsewhere, true), (retry.clone(), false), (retry, true)] {
                let CallToolResponse::Complete(done) = client.call_tool_once(params).await? else {
                    anyhow::bail!("it asked again");
                };
                ensure!(done.is_error.unwrap_or_default() == is_error, "{done:?}");
            }
        }
        client.cancel().await?;
        place.is_untouched(&waiting)?;
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------
// The daemon

struct Request<'a> {
    client: &'a reqwest::Client,
    base: &'a str,
}

impl Request<'_> {
    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(StatusCode, String)> {
        let mut request = self.client.request(method.parse::<Method>()?, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body.to_owned()).send().await?;
        Ok((answer.status(), answer.text().await?))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_decides_for_an_agents_token_a_forged_cookie_or_a_foreign_page() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        let daemon = place.cli.daemon().await?;
        let base = format!("http://{}", daemon.address);
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let http = Request { client: &client, base: &base };
        let token = place.cli.json(&["agent", "token", "ci-bot"])?["token"].as_str().context("no token")?.to_owned();
        let bearer = format!("Bearer {token}");
        let shown = place.cli.json(&["gate", "show", &waiting.gate])?;
        let hash = shown["context_hash"].as_str().context("no hash")?;
        let respond = format!("/api/v1/gates/{}/respond", waiting.gate);
        let respond_by_id = format!("/api/v1/gates/{}/respond", shown["id"].as_str().context("no id")?);
        let page = format!("/gates/{}/decide", waiting.gate);
        // With the right passphrase: not even that turns an agent into a human.
        let body = json!({ "verdict": "approve", "context_hash": hash, "passphrase": PASSPHRASE }).to_string();
        let form = format!("verdict=approve&context_hash={hash}&passphrase=correct+horse+battery+staple&csrf=x");
        const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
        const JSON: (&str, &str) = ("content-type", "application/json");

        // An agent's token: refused everywhere that decides, and recorded.
        let agent = ("authorization", bearer.as_str());
        let mut n_recorded = 0;
        for (path, kind, body) in
            [(&respond, JSON, &body), (&respond_by_id, JSON, &body), (&page, FORM, &form), (&"/sign-out".to_owned(), FORM, &form)]
        {
            let forged_cookie = ("cookie", "outcome_session=0000");
            for headers in [vec![agent, kind], vec![agent, kind, forged_cookie], vec![("authorization", "bearer  ")]] {
                let (status, text) = http.send("POST", path, &headers, body).await?;
                let expected = if headers.len() == 1 { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
                ensure!(status == expected, "{path} {headers:?}: {status} {text}");
                n_recorded += usize::from(status == StatusCode::FORBIDDEN);
            }
        }
        ensure!(place.logged("agent.refused")?.len() == n_recorded, "{:?}", place.logged("agent.refused")?);
        // What an agent may call, with a decision in it.
        for (path, body) in [
            (format!("/api/v1/experiments/{}/gates", waiting.experiment), json!({ "question": "May I?", "verdict": "approve" })),
            (format!("/api/v1/experiments/{}/built", waiting.experiment), json!({ "summary": "x", "status": "running" })),
            (format!("/api/v1/experiments/{}/fail", waiting.experiment), json!({ "reason": "x" })),
            (format!("/api/v1/outcomes/{OUTCOME}/experiments"), json!({ "hypotheses": [], "verdict": "approve" })),
            ("/api/v1/signals/ingest".to_owned(), json!({ "gate": waiting.gate, "verdict": "approve" })),
        ] {
            let (status, text) = http.send("POST", &path, &[agent, JSON], &body.to_string()).await?;
            ensure!(!status.is_success(), "{path}: {status} {text}");
        }
        for method in ["PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS", "TRACE"] {
            for path in [&respond, &page] {
                let override_ = ("x-http-method-override", "POST");
                let (status, text) = http.send(method, path, &[agent, JSON, override_], &body).await?;
                ensure!(!status.is_success(), "{method} {path}: {status} {text}");
            }
        }
        for path in ["/", &format!("/gates/{}", waiting.gate)] {
            ensure!(http.send("GET", path, &[agent], "").await?.0 == StatusCode::FORBIDDEN, "{path} is for humans");
        }

        // Strangers, made-up cookies, and a session that an attacker chose before the sign-in.
        for cookie in ["outcome_session=", "outcome_session=0000", &format!("outcome_session={}", "a".repeat(64)), "x"] {
            for (path, kind, body) in [(&respond, JSON, &body), (&page, FORM, &form)] {
                let (status, text) = http.send("POST", path, &[("cookie", cookie), kind], body).await?;
                ensure!(status == StatusCode::UNAUTHORIZED, "{path} {cookie}: {status} {text}");
            }
        }
        let fixed = format!("outcome_session={}", "f".repeat(64));
        let sign_in = format!("email={MEMBER}&passphrase=correct+horse+battery+staple");
        let foreign = [FORM, ("origin", "http://evil.example")];
        ensure!(http.send("POST", "/sign-in", &foreign, &sign_in).await?.0 == StatusCode::FORBIDDEN);
        let answer = client.post(format!("{base}/sign-in")).header("cookie", &fixed).header(FORM.0, FORM.1).body(sign_in).send().await?;
        let set = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok()).context("no cookie")?;
        let cookie = set.split(';').next().context("an empty cookie")?.to_owned();
        ensure!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && cookie != fixed, "{set}");
        ensure!(http.send("POST", &respond, &[("cookie", &fixed), JSON], &body).await?.0 == StatusCode::UNAUTHORIZED);

        // A real session, misused: no CSRF token, another one's, another origin, another host, both credentials.
        let human = ("cookie", cookie.as_str());
        let (_, session) = http.send("GET", &format!("/gates/{}", waiting.gate), &[human], "").await?;
        let csrf = session.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let csrf = csrf.context("the page has no CSRF token")?.to_owned();
        let good = form.replace("csrf=x", &format!("csrf={csrf}"));
        let token = ("x-csrf-token", csrf.as_str());
        for headers in [
            vec![human, JSON],
            vec![human, JSON, ("x-csrf-token", "0000")],
            vec![human, JSON, token, ("origin", "http://evil.example")],
            vec![human, JSON, token, ("origin", "null")],
            vec![human, JSON, token, ("sec-fetch-site", "cross-site")],
            vec![human, JSON, token, agent],
        ] {
            let (status, text) = http.send("POST", &respond, &headers, &body).await?;
            ensure!(status == StatusCode::FORBIDDEN, "{headers:?}: {status} {text}");
        }
        for (headers, form) in [
            (vec![human, FORM], &form),
            (vec![human, FORM, ("origin", "http://evil.example")], &good),
            (vec![human, FORM, ("sec-fetch-site", "same-site")], &good),
        ] {
            let (status, text) = http.send("POST", &page, &headers, form).await?;
            ensure!(status == StatusCode::FORBIDDEN, "{headers:?}: {status} {text}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example"] {
            let (status, text) = http.send("POST", &respond, &[human, JSON, token, ("host", host)], &body).await?;
            ensure!(status == StatusCode::MISDIRECTED_REQUEST || status == StatusCode::BAD_REQUEST, "{host}: {status} {text}");
        }
        // A session is not a decision: without the passphrase it refuses, and that is recorded.
        for wrong in ["", "wrong passphrase entirely"] {
            let body = json!({ "verdict": "approve", "context_hash": hash, "passphrase": wrong }).to_string();
            let (status, text) = http.send("POST", &respond, &[human, JSON, token], &body).await?;
            ensure!(status == StatusCode::UNAUTHORIZED && text.contains("passphrase_wrong"), "{status} {text}");
        }
        ensure!(place.logged("gate.refused")?.len() == 2);

        // A session written into the table is a session, and no passphrase.
        let id = shown_member(&place).await?;
        let forged = "e".repeat(64);
        place
            .lab
            .raw(&format!(
                "INSERT INTO session (workspace_id, token_hash, member_id, csrf, created_at, expires_at)
                 SELECT workspace_id, '{}', id, 'forged', created_at, '2099-01-01T00:00:00.000000Z' FROM member WHERE email = '{id}'",
                sha256_hex(&forged)
            ))
            .await?;
        let body = json!({ "verdict": "approve", "context_hash": hash, "passphrase": "guess guess guess" }).to_string();
        let forged = format!("outcome_session={forged}");
        let headers = [("cookie", forged.as_str()), JSON, ("x-csrf-token", "forged")];
        let (status, text) = http.send("POST", &respond, &headers, &body).await?;
        ensure!(status == StatusCode::UNAUTHORIZED, "{status} {text}");
        place.is_untouched(&waiting)
    })
    .await
}

async fn shown_member(place: &Place) -> Result<String> {
    match place.lab.runtime.sessions().terminal_human().await? {
        Principal::Human { name, .. } => Ok(name),
        other => anyhow::bail!("{other} is no human"),
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The command line

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_decides_nothing_without_the_passphrase() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        let decide = ["gate", "decide", waiting.gate.as_str(), "--verdict", "approve"];
        let with = |more: &[&'static str]| [decide.to_vec(), more.to_vec()].concat();
        is_refused(&place.cli.refused(&decide)?, Code::PassphraseNeeded)?;
        is_refused(&place.cli.refused(&with(&["--unverified"]))?, Code::PassphraseNeeded)?;
        is_refused(&place.cli.refused_with(&decide, "")?, Code::PassphraseNeeded)?;
        is_refused(&place.cli.refused_with(&decide, "wrong horse battery staple")?, Code::PassphraseWrong)?;
        is_refused(&place.cli.refused_with(&decide, &"a".repeat(100_000))?, Code::PassphraseWrong)?;
        is_refused(&place.cli.refused(&with(&["--passphrase-fd", "99"]))?, Code::PassphraseNeeded)?;
        // Neither variables nor piped stdin nor an argument are looked at.
        let piped = r#"printf '%s\n%s\n' "$OUTCOME_RUNTIME_PASSPHRASE" "$OUTCOME_RUNTIME_PASSPHRASE" | exec setsid --wait "$0" "$@""#;
        let names = ["OUTCOME_RUNTIME_PASSPHRASE", "OUTCOME_PASSPHRASE", "PASSPHRASE", "OR_PASSPHRASE"];
        let envs = names.map(|name| (name, PASSPHRASE));
        is_refused(&place.cli.refusal(piped, &decide, &envs)?, Code::PassphraseNeeded)?;
        is_refused(&place.cli.refused(&with(&["--passphrase", PASSPHRASE]))?, Code::InvalidInput)?;
        let recorded = place.logged("gate.refused")?;
        let codes: Vec<_> = recorded.iter().map(|line| line["payload"]["code"].as_str().unwrap_or_default()).collect();
        let (needed, wrong) = ("passphrase_needed", "passphrase_wrong");
        ensure!(codes == [needed, needed, needed, wrong, wrong, needed, needed], "{codes:?}");

        // Another member, another hash, another verdict: refused with the right passphrase too.
        let other = with(&["--member", "mallory@example.com"]);
        is_refused(&place.cli.refused_with(&other, PASSPHRASE)?, Code::NotFound)?;
        is_refused(&place.cli.refused_with(&with(&["--context-hash", "0000000000000000"]), PASSPHRASE)?, Code::ContextChanged)?;
        let ship = ["gate", "decide", &waiting.gate, "--verdict", "ship"];
        is_refused(&place.cli.refused_with(&ship, PASSPHRASE)?, Code::InvalidInput)?;
        is_refused(&place.cli.refused(&["experiment", "kill", &waiting.experiment])?, Code::PassphraseNeeded)?;
        is_refused(&place.cli.refused(&["experiment", "kill", &waiting.experiment, "--unverified"])?, Code::PassphraseNeeded)?;
        place.is_untouched(&waiting)?;

        // A file that asks for less is not applied without the passphrase, for a known outcome and for a new one.
        let path = place.lab.root().join("outcome.yaml");
        let file = std::fs::read_to_string(&path)?;
        let lowered = file.replace("    horizon: 8w\n", "    horizon: 8w\n    gates: { portfolio_review: { assurance: A2 } }\n");
        ensure!(lowered != file);
        for text in [lowered.clone(), lowered.replace("id: retention", "id: another")] {
            std::fs::write(&path, text)?;
            is_refused(&place.cli.refused(&["apply"])?, Code::PassphraseNeeded)?;
            is_refused(&place.cli.refused_with(&["apply"], "wrong horse battery staple")?, Code::PassphraseWrong)?;
        }
        std::fs::write(&path, file.replace("    horizon: 8w\n", "    horizon: 8w\n    gates: { launch_approval: { assurance: A2 } }\n"))?;
        is_refused(&place.cli.refused_with(&["apply"], PASSPHRASE)?, Code::ConfigInvalid)?;
        std::fs::write(&path, file)?;
        place.is_untouched(&waiting)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_without_a_passphrase_a_launch_can_be_rejected_but_never_approved() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.launching().await?;
    let decide = |verdict: &'static str| {
        let args = ["gate", "decide", &waiting.gate, "--verdict", verdict, "--confirm-checklist", "--unverified"];
        place.cli.on_terminal(&args, &[("Type `", &waiting.gate)])
    };
    let Some((exit, seen)) = decide("approve")? else { return Ok(()) };
    ensure!(exit == Some(5) && seen.contains("assurance_too_low"), "{exit:?} {seen}");
    let recorded = place.logged("gate.refused")?;
    ensure!(recorded.len() == 1 && recorded[0]["payload"]["code"] == "assurance_too_low", "{recorded:?}");
    place.is_untouched(&waiting)?;
    let args = ["gate", "decide", &waiting.gate, "--verdict", "approve", "--confirm-checklist"];
    let (exit, seen) = place.cli.on_terminal(&args, &[("Passphrase to", "wrong horse")])?.context("no terminal")?;
    ensure!(exit == Some(5) && seen.contains("passphrase_wrong"), "{exit:?} {seen}");
    place.is_untouched(&waiting)?;
    let (exit, seen) = decide("reject")?.context("no terminal")?;
    ensure!(exit == Some(0), "{exit:?} {seen}");
    let shown = place.cli.json(&["gate", "show", &waiting.gate])?;
    ensure!(shown["status"] == "rejected" && shown["decisions"][0]["assurance"] == "A2", "{shown}");
    place.is_intact()
}

// ---------------------------------------------------------------------------------------------------------------------
// Rows

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_while_the_programs_run_decide_nothing_and_are_named() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        let agent = place.cli.agent().await?;
        let _daemon = place.cli.daemon().await?;
        agent.call("get_active_outcomes", json!({})).await?;
        let gate_state = place.set_json("state", &["status"], "\"approved\"");
        place.lab.raw(&format!("UPDATE gate SET status = 'approved', {gate_state}")).await?;
        let state = place.set_json("state", &["status"], "\"building\"");
        place.lab.raw(&format!("UPDATE experiment SET status = 'building', {state}")).await?;
        let head = git(&place.lab.root(), &["rev-parse", "HEAD"])?;
        place.lab.raw(&format!("UPDATE experiment SET base_commit = '{head}'")).await?;

        let experiment = &waiting.experiment;
        for (tool, arguments) in [
            ("get_experiment_brief", json!({ "experiment_id": experiment })),
            (
                "report_experiment_built",
                json!({ "experiment_id": experiment, "implementation_summary": "built", "head": head }),
            ),
            (
                "report_experiment_built",
                json!({ "experiment_id": experiment, "implementation_summary": "x", "outcome": "failed" }),
            ),
        ] {
            let error = agent.call(tool, arguments).await.unwrap_err().to_string();
            ensure!(error.contains("state_tampered"), "{tool}: {error}");
        }
        let checked = place.cli.refused(&["audit", "verify"])?;
        ensure!(checked.exit == Some(6) && checked.json["is_intact"] == false, "{checked:?}");
        let problems = checked.json["problems"].to_string();
        let gate_id = place.cli.json(&["gate", "show", &waiting.gate])?["id"].as_str().context("no id")?.to_owned();
        ensure!(problems.contains(experiment) && problems.contains(&gate_id), "{problems}");
        let decide = ["gate", "decide", &waiting.gate, "--verdict", "approve"];
        is_refused(&place.cli.refused_with(&decide, PASSPHRASE)?, Code::GateNotPending)?;

        // Pending again, and still not what the log says: the decision itself is refused, and recorded.
        let back = place.set_json("state", &["holder"], "7");
        let pending = place.set_json("state", &["status"], "\"pending\"");
        place.lab.raw(&format!("UPDATE gate SET status = 'pending', {pending}")).await?;
        place.lab.raw(&format!("UPDATE gate SET {back}")).await?;
        is_refused(&place.cli.refused_with(&decide, PASSPHRASE)?, Code::StateTampered)?;
        let recorded = place.logged("gate.refused")?;
        ensure!(recorded.last().is_some_and(|line| line["payload"]["code"] == "state_tampered"), "{recorded:?}");
        agent.stop().await?;
        Ok(())
    })
    .await
}

/// The rules of a gate come from its outcome's declaration: an agent who writes there asks for less proof.
#[tokio::test(flavor = "multi_thread")]
async fn a_lowered_assurance_in_a_row_opens_no_gate_and_counts_in_none() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        // In the rules of a gate that waits.
        let lower = place.set_json("rules", &["policy", "assurance"], "\"A2\"");
        let higher = place.set_json("rules", &["policy", "assurance"], "\"A3\"");
        place.lab.raw(&format!("UPDATE gate SET {lower}")).await?;
        let mut local = decision(&waiting.gate, Verdict::Approve);
        local.unlock = outcome_core::usecases::Unlock::Local;
        let refused = place.lab.runtime.gates().decide(local).await.unwrap_err();
        ensure!(refused.code() == Code::StateTampered, "{refused}");
        let answers = [("Type `", waiting.gate.as_str())];
        let args = ["gate", "decide", &waiting.gate, "--verdict", "approve", "--unverified"];
        if let Some((exit, seen)) = place.cli.on_terminal(&args, &answers)? {
            ensure!(exit == Some(6) && seen.contains("state_tampered"), "{exit:?} {seen}");
        }
        place.lab.raw(&format!("UPDATE gate SET {higher}")).await?;
        place.is_untouched(&waiting)?;

        // In the declaration, before the gate is opened; put back afterwards, so that nothing is left to find.
        let agent = place.cli.agent().await?;
        let policy = json!({ "assigned_to": null, "sla": "1d", "channel": null, "escalation": [], "assurance": "A2", "quorum": 1 });
        let spec = place.set_json("spec", &["gates"], &json!({ "portfolio_review": policy }).to_string());
        let before = place.set_json("spec", &["gates"], "{}");
        ensure!(place.lab.raw(&format!("UPDATE outcome SET {spec}")).await? == 1);
        let mut second = serde_json::to_value(hypothesis("Second", "second"))?;
        second["measurement"]["minimum_detectable_effect"] = json!(0.02);
        let submitted = agent.call("submit_hypotheses", json!({ "outcome": OUTCOME, "hypotheses": [second] })).await;
        let question = json!({ "experiment_id": waiting.experiment, "gate_type": "escalation", "question": "May I?" });
        let asked = agent.call("request_human_gate", question).await;
        for refused in [submitted, asked] {
            let error = refused.unwrap_err().to_string();
            ensure!(error.contains("state_tampered"), "{error}");
        }
        place.lab.raw(&format!("UPDATE outcome SET {before}")).await?;
        agent.stop().await?;
        place.is_untouched(&waiting)
    })
    .await
}

/// The unsealed key lies on the disk, and lines with right hashes can be appended: together they approve nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_unsealed_key_approves_nothing_even_with_forged_lines_in_the_log() -> Result<()> {
    each_place(async |place| {
        let (lab, waiting) = (&place.lab, place.launching().await?);
        let shown = lab.runtime.gates().show(&waiting.gate).await?;
        let experiment = lab.runtime.experiments().show(&waiting.experiment).await?.experiment;
        let text = std::fs::read_to_string(lab.root().join(".outcome/local.key"))?;
        let bytes: [u8; 32] = hex::decode(text.trim())?.try_into().map_err(|_| anyhow::anyhow!("no key"))?;
        let by = lab.runtime.sessions().terminal_human().await?;
        let Principal::Human { member, .. } = by else { anyhow::bail!("no member") };
        let lines = lab.runtime.audit_log().page(0, 1000).await?;
        let (last, gate) = (lines.last().context("no log")?, Subject::from(shown.id));
        let enrolled: Vec<_> = lines.iter().filter(|line| line.payload["enrolment"]["kind"] == "local").collect();
        let key = enrolled.first().context("no local key")?.payload["enrolment"]["key"].clone();
        let forged = Decision {
            version: 1,
            workspace: last.workspace,
            subject: DecisionSubject::Gate(shown.id),
            context_hash: shown.context_hash.clone(),
            log_seq: last.seq,
            log_head: last.hash.clone(),
            verdict: Verdict::Approve,
            conditions: vec![],
            note: None,
            member,
            key: serde_json::from_value(key)?,
            assurance: Assurance::A2,
            surface: Surface::Terminal,
            decided_at: last.at,
        };
        let signed = sign_decision(forged, &SigningKey::from_bytes(&bytes))?;
        append_forged(lab, "gate.decided", gate, by.clone(), json!({ "event": "decided", "decision": signed })).await?;
        let payload = json!({ "event": "decided", "gate": "launch_approval", "decision": signed });
        append_forged(lab, "experiment.launch_approved", experiment.id.into(), by, payload).await?;
        let voted = json!([member]).to_string();
        for (table, status, more) in [
            ("gate", "approved", place.set_json("state", &["votes"], &voted)),
            ("experiment", "running", "slug = slug".to_owned()),
        ] {
            let state = place.set_json("state", &["status"], &format!("\"{status}\""));
            let key = if table == "gate" { &waiting.gate } else { &waiting.experiment };
            lab.raw(&format!("UPDATE {table} SET status = '{status}', {state} WHERE slug = '{key}'")).await?;
            lab.raw(&format!("UPDATE {table} SET {more} WHERE slug = '{key}'")).await?;
        }
        let check = place.cli.refused(&["audit", "verify"])?;
        ensure!(check.exit == Some(6) && check.json["problems"].to_string().contains("A3"), "{check:?}");
        let agent = place.cli.agent().await?;
        let brief = agent.call("get_experiment_brief", json!({ "experiment_id": waiting.experiment })).await;
        let error = brief.unwrap_err().to_string();
        ensure!(error.contains("state_tampered"), "{error}");
        agent.stop().await?;
        let flags = std::fs::read_to_string(lab.root().join("flags.json")).unwrap_or_default();
        ensure!(!flags.contains("ENABLED"), "{flags}");
        Ok(())
    })
    .await
}

// ---------------------------------------------------------------------------------------------------------------------
// Bad input

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_file_is_named_and_changes_nothing() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.waiting().await?;
    let path = place.lab.root().join("outcome.yaml");
    let file = std::fs::read(&path)?;
    let deep = "a: ".to_owned() + &"[".repeat(50_000);
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned()
        + &('b'..='k')
            .map(|c| format!("{c}: &{c} [{}]\n", vec![format!("*{}", (c as u8 - 1) as char); 9].join(", ")))
            .collect::<String>();
    for bad in [
        &b"outcomes: [\n"[..],
        b"",
        b"\xff\xfe\x00",
        b"- just\n- a list\n",
        b"version: 1\noutcomes: {}\n\tx: 1\n",
        deep.as_bytes(),
        bomb.as_bytes(),
    ] {
        std::fs::write(&path, bad)?;
        let checked = place.cli.refused(&["validate"])?;
        ensure!(checked.exit == Some(2), "{checked:?}");
        let is_told = checked.json["is_valid"] == false || checked.code == "config_invalid";
        ensure!(is_told, "{checked:?}");
        is_refused(&place.cli.refused(&["plan"])?, Code::ConfigInvalid)?;
        is_refused(&place.cli.refused(&["apply"])?, Code::ConfigInvalid)?;
    }
    std::fs::write(&path, file)?;
    place.is_untouched(&waiting)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_or_talks_nonsense_is_reported_and_decides_nothing() -> Result<()> {
    let place = on_sqlite().await?;
    let experiment = place.lab.running("Softer level", "soft").await?;
    place.lab.arms("soft", (500, 150, 2), (500, 170, 2)).await?;
    place.lab.poll_after(6).await?;
    place.set_clock_to_now()?;
    let before = place.cli.json(&["experiment", "show", &experiment])?;
    let n_readings = place.lab.runtime.experiments().series(&experiment, 100).await?.len();
    let options = SqliteConnectOptions::new().filename(place.lab.root().join("game.db"));
    let mut game = SqliteConnection::connect_with(&options).await?;
    sqlx::query("ALTER TABLE arms RENAME TO kept").execute(&mut game).await?;
    for view in [
        "SELECT 1 AS something",
        "SELECT flag, variant, n, 'many' AS successes, crashes FROM kept",
        "SELECT flag, variant, n, NULL AS successes, crashes FROM kept",
        "SELECT flag, variant, n, 9e999 AS successes, crashes FROM kept",
        "SELECT flag, variant, -n AS n, successes, crashes FROM kept",
        "SELECT flag, variant, n, -5 AS successes, crashes FROM kept",
        "SELECT flag, variant, n, n + 1 AS successes, crashes FROM kept",
        "SELECT flag, 'someone' AS variant, n, successes, crashes FROM kept",
        "SELECT flag, variant, n, successes, crashes FROM kept UNION ALL SELECT flag, variant, 1, 1, 1 FROM kept",
        "SELECT flag, variant, n, successes, crashes FROM kept WHERE 0",
    ] {
        sqlx::query("DROP VIEW IF EXISTS arms").execute(&mut game).await?;
        sqlx::query(AssertSqlSafe(format!("CREATE VIEW arms AS {view}"))).execute(&mut game).await?;
        place.lab.clock.advance(jiff::SignedDuration::from_mins(10));
        place.set_clock_to_now()?;
        let polled = place.cli.refused(&["poll", "--all"])?;
        let after = place.cli.json(&["experiment", "show", &experiment])?;
        ensure!(after["state"] == before["state"], "{view}: {after}");
        let is_reported = polled.json["failures"].as_array().is_some_and(|failures| !failures.is_empty());
        // No row at all is what a source says before the first unit is exposed: no failure, and no verdict.
        let is_silent = view.ends_with("WHERE 0");
        let verdict = &polled.json["experiments"][0]["verdict"];
        let is_as_expected = if is_silent { verdict.is_null() } else { polled.exit == Some(8) && is_reported };
        ensure!(is_as_expected, "{view}: {polled:?}");
    }
    let n_after = place.lab.runtime.experiments().series(&experiment, 100).await?.len();
    ensure!(n_after == n_readings, "nonsense was stored: {n_readings} became {n_after}");
    sqlx::query("DROP VIEW arms").execute(&mut game).await?;
    // Failing for longer than the outcome allows stops the experiment; it does not judge it.
    place.lab.clock.advance(jiff::SignedDuration::from_hours(24 * 3));
    place.set_clock_to_now()?;
    let polled = place.cli.refused(&["poll", "--all"])?;
    ensure!(polled.exit == Some(8), "{polled:?}");
    let after = place.cli.json(&["experiment", "show", &experiment])?;
    ensure!(after["state"]["status"] == "paused" && after["state"]["pause"]["cause"] == "stale_signal", "{after}");
    place.is_intact()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_waited_for_and_then_named() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        let ask = ["gate", "open", &waiting.experiment, "--question", "May I?"];
        let locked = match place.lab.database() {
            Some(url) => {
                let mut other = PgConnection::connect(url).await?;
                sqlx::raw_sql("BEGIN; SELECT * FROM workspace FOR UPDATE").execute(&mut other).await?;
                let refused = place.cli.refused(&ask)?;
                sqlx::raw_sql("ROLLBACK").execute(&mut other).await?;
                refused
            }
            None => {
                let options = SqliteConnectOptions::new().filename(place.database_file());
                let mut other = SqliteConnection::connect_with(&options).await?;
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await?;
                place.cli.json(&["status"])?;
                let refused = place.cli.refused(&ask)?;
                sqlx::raw_sql("ROLLBACK").execute(&mut other).await?;
                refused
            }
        };
        is_refused(&locked, Code::DatabaseLocked)?;
        place.is_untouched(&waiting)?;
        place.cli.json(&ask)?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_schema_is_not_touched() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        let (success, checksum) = if place.lab.is_postgres() { ("TRUE", "'\\x00'") } else { ("1", "x'00'") };
        place
            .lab
            .raw(&format!(
                "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
                 VALUES (9999, 'of tomorrow', CURRENT_TIMESTAMP, {success}, {checksum}, 0)"
            ))
            .await?;
        is_refused(&place.cli.refused(&["status"])?, Code::DatabaseNewer)?;
        let decide = ["gate", "decide", &waiting.gate, "--verdict", "approve"];
        is_refused(&place.cli.refused_with(&decide, PASSPHRASE)?, Code::DatabaseNewer)?;
        let agent = place.cli.agent().await?;
        let error = agent.call("get_active_outcomes", json!({})).await.unwrap_err().to_string();
        ensure!(error.contains("database_newer"), "{error}");
        agent.stop().await?;
        let (exit, stderr) = place.cli.failing_daemon(&["--listen", "127.0.0.1:0"])?;
        ensure!(exit == Some(8) && stderr.contains("error[database_newer]"), "{exit:?} {stderr}");
        place.lab.raw("DELETE FROM _sqlx_migrations WHERE version = 9999").await?;
        place.is_untouched(&waiting)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_called_damaged_and_its_copy_still_works() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.waiting().await?;
    place.lab.raw("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    place.lab.runtime.db().close().await;
    let path = place.database_file();
    let good = std::fs::read(&path)?;
    let mut header = good.clone();
    header[..100].fill(b'x');
    let mut middle = good.clone();
    let half = good.len() / 2;
    middle[4096..half].fill(0xa5);
    let cut = good[..good.len() / 3].to_vec();
    for (what, bytes) in [("header", header), ("middle", middle), ("cut", cut)] {
        std::fs::write(&path, &bytes)?;
        for args in [&["status"][..], &["audit", "verify"], &["gate", "open", &waiting.experiment, "--question", "x"]] {
            let refused = place.cli.refused(args)?;
            ensure!(refused.code == "database_corrupt" && refused.exit == Some(8), "{what} {args:?}: {refused:?}");
        }
        ensure!(std::fs::read(&path)? == bytes, "{what}: the damaged file was written to");
    }
    for beside in ["outcome.db-wal", "outcome.db-shm"] {
        let _ = std::fs::remove_file(path.with_file_name(beside));
    }
    std::fs::write(&path, good)?;
    place.is_untouched(&waiting)
}

/// A user who may read here and not write: ourselves, or `nobody` where the tests run as root.
fn may_only_read(place: &Place, folder: &Path, is_on: bool) -> Result<&'static str> {
    let (file_mode, dir_mode) = if is_on { (0o444, 0o555) } else { (0o644, 0o755) };
    for entry in std::fs::read_dir(folder)? {
        std::fs::set_permissions(entry?.path(), std::fs::Permissions::from_mode(file_mode))?;
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(dir_mode))?;
    for dir in [place.lab.root().as_path(), place.home.path()] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?;
    }
    let is_root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self")?) == 0;
    Ok(if is_root {
        r#"exec setpriv --reuid=65534 --regid=65534 --clear-groups setsid --wait "$0" "$@""#
    } else {
        r#"exec setsid --wait "$0" "$@""#
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_may_only_be_read_says_so() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.waiting().await?;
    place.lab.runtime.db().close().await;
    let folder = place.lab.root().join(".outcome");
    let script = may_only_read(&place, &folder, true)?;
    let refused = place.cli.refusal(script, &["gate", "open", &waiting.experiment, "--question", "x"], &[]);
    may_only_read(&place, &folder, false)?;
    is_refused(&refused?, Code::DatabaseReadOnly)?;
    place.is_untouched(&waiting)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_nothing_is_half_written() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.waiting().await?;
    place.lab.raw("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    place.lab.runtime.db().close().await;
    // A limit on the size of files: writing fails as it does beyond a quota.
    let ask = ["gate", "open", &waiting.experiment, "--question", "x"];
    let limited = r#"trap '' XFSZ; ulimit -f 1; exec setsid --wait "$0" "$@""#;
    is_refused(&place.cli.refusal(limited, &ask, &[])?, Code::Io)?;
    place.is_untouched(&waiting)?;

    // A file system of its own that is full, where this machine lets us make one.
    let full = r#"exec unshare --user --map-root-user --mount sh -c '
        mount -t tmpfs -o size=4m none "$DISK" || exit 99
        cp .outcome/outcome.db "$DISK/outcome.db"
        head -c 36864 /dev/zero >"$DISK/room"
        dd if=/dev/zero of="$DISK/rest" bs=4096 2>/dev/null
        rm "$DISK/room"
        OUTCOME_RUNTIME_HOME="$DISK" exec setsid --wait "$0" "$@"' "$0" "$@""#;
    let disk = place.home.path().join("disk");
    std::fs::create_dir(&disk)?;
    let disk = disk.display().to_string();
    match place.cli.refusal(full, &ask, &[("DISK", &disk)]) {
        Ok(refused) => is_refused(&refused, Code::DatabaseFull)?,
        Err(error) => eprintln!("SKIPPED: no file system of our own can be mounted here: {error:#}"),
    }
    place.is_untouched(&waiting)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_commits_and_a_head_that_is_not_there_are_named() -> Result<()> {
    let (empty, home) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let root = empty.path().canonicalize()?;
    git(&root, &["init", "-q", "-b", "main"])?;
    let cli = Cli::new(&root, home.path(), PASSPHRASE, &[])?;
    cli.signed(&["init", "--email", MEMBER, "--name", "Dana", "--source", "sqlite:app.db"])?;
    cli.run(&["apply"])?;
    is_refused(&cli.refused(&["scope", "check", "--base", "HEAD"])?, Code::RepoEmpty)?;
    ensure!(cli.json(&["audit", "verify"])?["is_intact"] == true);

    let place = on_sqlite().await?;
    let waiting = place.waiting_with("Built", "built").await?;
    place.lab.decide(&waiting.experiment, Verdict::Approve).await?;
    let agent = place.cli.agent().await?;
    write(&place.lab.root(), "game/level.txt", "two\n")?;
    commit(&place.lab.root(), "A change")?;
    for head in
        ["nowhere", "0123456789abcdef0123456789abcdef01234567", "--output=x", "HEAD~99", "main:game/level.txt", "\n"]
    {
        let arguments = json!({ "experiment_id": waiting.experiment, "implementation_summary": "built", "head": head });
        if !head.trim().is_empty() {
            let error = agent.call("report_experiment_built", arguments).await.unwrap_err().to_string();
            ensure!(error.contains("revision_not_found"), "{head}: {error}");
            let head = format!("--head={head}");
            let report = ["report", &waiting.experiment, "--summary", "built", &head];
            is_refused(&place.cli.refused(&report)?, Code::RevisionNotFound)?;
        }
    }
    agent.stop().await?;
    let shown = place.cli.json(&["experiment", "show", &waiting.experiment])?;
    ensure!(shown["state"]["status"] == "building", "{shown}");
    place.is_intact()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_port_is_taken_says_so_and_ends() -> Result<()> {
    let place = on_sqlite().await?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let (exit, stderr) = place.cli.failing_daemon(&["--listen", &address])?;
    ensure!(
        exit == Some(8) && stderr.contains("error[port_taken]") && stderr.contains("--listen"),
        "{exit:?} {stderr}"
    );
    place.is_intact()
}
