//! `doctor --client`: does this client reach the server?

use outcome_core::Result;
use outcome_core::usecases::Finding;

use crate::clients::{Client, Places, Scope, probe};
use crate::cx::Cx;

/// What was found.
pub async fn look(cx: &Cx, client: Client, scope: Option<Scope>) -> Result<Vec<Finding>> {
    let root = match cx.settings() {
        Ok(settings) => settings.root.value,
        // The server will say that there is no workspace.
        Err(_) => cx.root_of_new(),
    };
    Ok(probe(client, scope, &Places::here(&root)?).await)
}
