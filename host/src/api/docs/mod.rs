//! The API's reference for people: Swagger UI, from the binary.

use std::sync::Arc;

use axum::extract::Path;
use axum::response::Response;
use utoipa_swagger_ui::Config;

use super::asset;
use super::problem::Problem;

const PAGE: &str = include_str!("page.html");
const START: &str = include_str!("start.js");
/// What the page takes of Swagger UI's distribution.
const OF_SWAGGER_UI: [&str; 3] = ["favicon-32x32.png", "swagger-ui-bundle.js", "swagger-ui.css"];

/// Show the API's reference.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "Reference",
    operation_id = "docs",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html",
        example = "<!DOCTYPE html>…")),
)]
pub(super) async fn page() -> Response {
    asset::page(PAGE)
}

/// Give a file that the reference's page loads.
#[utoipa::path(
    get,
    path = "/docs/{file}",
    tag = "Reference",
    operation_id = "docs_file",
    params(("file" = String, Path, description = "The file's name.", example = "start.js")),
    responses(
        (status = 200, description = "The file.", content(
            (String = "text/css", example = "…"), (String = "text/javascript", example = "…"),
            (Vec<u8> = "image/png"),
        )),
        (status = 404, description = "There is no such file."),
    ),
)]
pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    if name == "start.js" {
        return Ok(asset::asset("text/javascript", START));
    }
    if !OF_SWAGGER_UI.contains(&name.as_str()) {
        return Err(Problem::not_found());
    }
    let found = utoipa_swagger_ui::serve(&name, Arc::new(Config::default()));
    let found = found.map_err(|error| Problem::internal(&*error))?.ok_or_else(Problem::not_found)?;
    Ok(asset::asset(&found.content_type, found.bytes.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_file_that_the_page_names_is_there_and_is_ours() {
        let named: Vec<_> = PAGE.split(['"', '\'']).filter(|text| text.starts_with('/') && text.len() > 1).collect();
        let files: Vec<_> = named.iter().filter_map(|path| path.strip_prefix("/docs/")).collect();
        assert_eq!(files.len(), OF_SWAGGER_UI.len() + 1, "{named:?}");
        for name in files {
            assert!(file(Path(name.to_owned())).await.is_ok(), "{name}");
        }
        assert!(!PAGE.contains("://") && !START.contains("://"));
    }

    #[tokio::test]
    async fn nothing_else_of_the_distribution_is_served() {
        for name in ["index.html", "swagger-initializer.js", "oauth2-redirect.html", "", "../mod.rs"] {
            assert!(file(Path(name.to_owned())).await.is_err(), "{name}");
        }
    }
}
