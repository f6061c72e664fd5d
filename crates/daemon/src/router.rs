//! The one table of routes: method, path, who may call it, its time limit, its handler. It builds the router, and a test
//! walks it.

use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use crate::http::guard::{Access, guard, unknown, wrong_method};
use crate::http::outer::outer;
use crate::{App, api, assets, health, mcp, metrics, pages};

/// A route.
pub struct Route {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Its pattern.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// How long an answer may take.
    pub limit: Duration,
    /// True when it can end a gate.
    pub decides: bool,
    handler: MethodRouter<App>,
}

const QUICK: Duration = Duration::from_secs(10);
/// A decision unlocks a key, asks git, and may set a flag at another service.
const SLOW: Duration = Duration::from_secs(30);
/// A tool call has a limit of its own, which ends in an answer that a model understands.
const CALL: Duration = Duration::from_secs(55);

impl Route {
    fn get(path: &'static str, access: Access, handler: MethodRouter<App>) -> Self {
        Self { method: "GET", path, access, limit: QUICK, decides: false, handler }
    }

    fn post(path: &'static str, access: Access, handler: MethodRouter<App>) -> Self {
        Self { method: "POST", path, access, limit: QUICK, decides: false, handler }
    }

    fn slow(self) -> Self {
        Self { limit: SLOW, ..self }
    }

    fn waits(self) -> Self {
        Self { limit: CALL, ..self }
    }

    fn decides(self) -> Self {
        Self { decides: true, ..self.slow() }
    }
}

/// Every route.
#[must_use]
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    use Access::{Agent, Api, ApiHuman, Page, Public, SignIn, Signed};
    vec![
        Route::get("/livez", Public, get(health::alive)),
        Route::get("/healthz", Public, get(health::show)),
        Route::get("/metrics", Public, get(metrics::show)),
        Route::get("/assets/{file}", Public, get(assets::show)),

        Route::post("/api/v1/signals/ingest", Signed, post(api::signals::ingest)),
        Route::get("/api/v1/signals/connectors", Api, get(api::signals::connectors)),
        Route::post("/api/v1/signals/connectors/{name}/test", Api, post(api::signals::test)).slow(),

        Route::get("/api/v1/workspace", Api, get(api::workspace::show)),
        Route::get("/api/v1/session", ApiHuman, get(api::workspace::session)),
        Route::get("/api/v1/outcomes", Api, get(api::outcomes::list)),
        Route::get("/api/v1/outcomes/{id}", Api, get(api::outcomes::show)),
        Route::get("/api/v1/outcomes/{id}/signals", Api, get(api::outcomes::signals)),
        Route::get("/api/v1/outcomes/{id}/work-order", Api, get(api::outcomes::work_order)),
        Route::post("/api/v1/outcomes/{id}/experiments", Api, post(api::outcomes::submit)),

        Route::get("/api/v1/experiments/{id}", Api, get(api::experiments::show)),
        Route::get("/api/v1/experiments/{id}/brief", Api, get(api::brief::show)),
        Route::get("/api/v1/experiments/{id}/result", Api, get(api::experiments::result)),
        Route::get("/api/v1/experiments/{id}/signals", Api, get(api::experiments::signals)),
        Route::post("/api/v1/experiments/{id}/built", Api, post(api::experiments::built)).slow(),
        Route::post("/api/v1/experiments/{id}/fail", Api, post(api::experiments::fail)),
        Route::post("/api/v1/experiments/{id}/gates", Api, post(api::experiments::open_gate)),

        Route::get("/api/v1/gates/pending", Api, get(api::gates::pending)),
        Route::get("/api/v1/gates/{id}", Api, get(api::gates::show)),
        Route::post("/api/v1/gates/{id}/respond", ApiHuman, post(api::gates::respond)).decides(),

        Route::get("/api/v1/learnings", Api, get(api::learnings::search)),
        Route::get("/api/v1/audit", Api, get(api::audit::page)),

        Route::post("/mcp", Agent, post(mcp::serve)).waits(),

        Route::get("/", Page, get(pages::inbox::show)),
        Route::get("/sign-in", SignIn, get(pages::sign_in::show)),
        Route::post("/sign-in", SignIn, post(pages::sign_in::submit)),
        Route::post("/sign-out", Page, post(pages::sign_in::out)),
        Route::get("/gates/{slug}", Page, get(pages::gate::show)),
        Route::post("/gates/{slug}/decide", Page, post(pages::decide::submit)).decides(),
        Route::get("/gates/{slug}/decided", Page, get(pages::decide::done)),
        Route::get("/outcomes/{slug}", Page, get(pages::outcome::show)),
    ]
}

/// The router of an app.
pub fn build(app: &App) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let layer = from_fn_with_state((app.clone(), route.access, route.limit), guard);
        router = router.route(route.path, route.handler.layer(layer));
    }
    router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), outer))
        .with_state(app.clone())
}
