//! The table of routes, walked: every door is closed to strangers, and every door that decides to agents.

use outcome_runtimed::http::guard::Access;
use outcome_runtimed::http::outer::CONTENT_SECURITY_POLICY;
use outcome_runtimed::router::routes;
use reqwest::Method;

use crate::support::Daemon;

fn path(pattern: &str, gate: &str, experiment: &str) -> String {
    let id = if pattern.contains("/gates/") { gate } else { experiment };
    pattern.replace("{id}", id).replace("{slug}", id).replace("{name}", "game").replace("{file}", "none.css")
}

#[tokio::test]
async fn every_route_refuses_a_stranger_and_every_deciding_one_an_agent() {
    let daemon = Daemon::start().await;
    let (experiment, gate) = daemon.proposed("A", "flag-a").await;
    let agent = daemon.agent().await;
    let before = daemon.log_kinds().await.len();
    let mut n_closed = 0;
    for route in routes() {
        let method: Method = route.method.parse().unwrap();
        let path = path(route.path, &gate, &experiment);
        let name = format!("{method} {path}");
        let stranger = daemon.request(method.clone(), &path).send().await.unwrap();
        assert_eq!(stranger.headers()["content-security-policy"], CONTENT_SECURITY_POLICY, "{name}");
        let status = stranger.status().as_u16();
        match route.access {
            Access::Public | Access::SignIn => assert!(matches!(status, 200 | 401 | 404), "{name}: {status}"),
            Access::Signed => assert!(matches!(status, 401 | 422), "{name}: {status}"),
            Access::Page if method == Method::GET => {
                assert_eq!(status, 303, "{name}");
                assert!(stranger.headers()["location"].to_str().unwrap().starts_with("/sign-in"), "{name}");
                n_closed += 1;
            }
            Access::Agent | Access::Api | Access::ApiHuman | Access::Page => {
                assert_eq!(status, 401, "{name}");
                n_closed += 1;
            }
        }
        let wrong = daemon.request(method.clone(), &path).bearer_auth("oragent_wrong").send().await.unwrap();
        if !matches!(route.access, Access::Public | Access::SignIn) {
            assert!(matches!(wrong.status().as_u16(), 303 | 401 | 422), "{name}: {}", wrong.status());
        }
        if route.decides || route.access == Access::ApiHuman {
            let refused = daemon.request(method, &path).bearer_auth(&agent.token).send().await.unwrap();
            assert_eq!(refused.status(), 403, "{name}");
        }
        assert!(!route.decides || matches!(route.access, Access::ApiHuman | Access::Page), "{name}");
    }
    assert!(n_closed >= 25, "{n_closed}");
    let lines = daemon.lab.runtime.audit_log().page(before as i64, 100).await.unwrap();
    let tried: Vec<_> = lines
        .iter()
        .filter(|line| line.kind == "agent.refused")
        .map(|line| line.payload["tried"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(tried, [format!("POST /api/v1/gates/{gate}/respond"), format!("POST /gates/{gate}/decide")]);
    let view = daemon.lab.runtime.gates().show(&gate).await.unwrap();
    assert_eq!(view.status.as_str(), "pending");
}

#[tokio::test]
async fn a_foreign_host_name_is_refused_and_an_unknown_path_is_a_problem() {
    let daemon = Daemon::start_with(&["--allow-host", "daemon.internal"]).await;
    let status = async |host: &str| {
        let request = daemon.request(Method::GET, "/healthz").header("host", host);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("rebound.example").await, 421);
    assert_eq!(status("localhost").await, 200);
    assert_eq!(status("daemon.internal:8787").await, 200);
    let unknown = daemon.request(Method::GET, "/api/v1/nothing").send().await.unwrap();
    assert_eq!(unknown.headers()["content-type"], "application/problem+json");
    assert_eq!(unknown.json::<serde_json::Value>().await.unwrap()["code"], "not_found");
    let page = daemon.request(Method::GET, "/nothing").send().await.unwrap();
    assert_eq!(page.status(), 404);
    assert!(page.text().await.unwrap().contains("<h1>Not found</h1>"));
}
