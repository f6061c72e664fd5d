//! Files of the pages, served from memory under a name that carries their hash, so that browsers keep them for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use outcome_core::digest::sha256_hex;
use outcome_core::{Code, Error};

use crate::http::problem::Problem;

const STYLE: &str = include_str!("../assets/style.css");
const ICON: &str = include_str!("../assets/icon.svg");

static STYLE_NAME: LazyLock<String> = LazyLock::new(|| name("style", STYLE, "css"));
static ICON_NAME: LazyLock<String> = LazyLock::new(|| name("icon", ICON, "svg"));

fn name(stem: &str, text: &str, extension: &str) -> String {
    let hash: String = sha256_hex(text).chars().take(12).collect();
    format!("{stem}-{hash}.{extension}")
}

/// Path of the style sheet.
#[must_use]
pub fn style_path() -> String {
    format!("/assets/{}", *STYLE_NAME)
}

/// Path of the icon.
#[must_use]
pub fn icon_path() -> String {
    format!("/assets/{}", *ICON_NAME)
}

/// GET /assets/{file}
pub(crate) async fn show(Path(file): Path<String>) -> Response {
    let (kind, text) = if file == *STYLE_NAME {
        ("text/css; charset=utf-8", STYLE)
    } else if file == *ICON_NAME {
        ("image/svg+xml", ICON)
    } else {
        let error = Error::new(Code::NotFound, "there is no such file");
        return Problem::with_status(error, StatusCode::NOT_FOUND).into_response();
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, text).into_response()
}
