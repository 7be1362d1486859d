//! Files in a bucket: the same stories, told with an S3 server in the test's process.

use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use gavel_tests::{Form, GavelServer, Setup, Upstream, gavel_command_in};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::files::{empty, objects};

const ACCESS_KEY: &str = "AKGAVEL";
const SECRET_KEY: &str = "a-secret-of-the-bucket";

/// An S3 server with one bucket, whose objects are files in a directory.
struct Bucket {
    root: TempDir,
    addr: SocketAddr,
}

impl Bucket {
    async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("uploads")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let router = Router::new().fallback(move |request| answer(service.clone(), request));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { root, addr }
    }

    fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.addr)),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    /// Everything that the server keeps, unfinished uploads too.
    fn root(&self) -> &Path {
        self.root.path()
    }
}

async fn answer(service: S3Service, request: Request) -> Response {
    match service.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(response) => response.map(Body::new),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from((at / 7 + at * 13) % 251).unwrap() | 0x80).collect()
}

#[tokio::test]
async fn files_live_in_a_bucket_as_they_do_in_a_directory() {
    let (bucket, upstream) = (Bucket::start().await, Upstream::start().await);
    let setup = Setup::with(&upstream).toml("[files]\nurl = \"s3://uploads/gavel\"\n");
    let setup = bucket.environment().iter().fold(setup, |setup, (name, value)| setup.env(name, value));
    let server = GavelServer::start(setup).await;
    let alice = server.admin();
    let agent = alice.create_agent(json!({})).await;

    // One that is one request to the bucket, and one that has several parts.
    for size in [70_000, (17 << 20) + 5] {
        let sent = bytes(size);
        let file = alice.uploads(&agent, "film.bin", "video/x-film", &sent).await;
        let path = agent.path(&format!("/files/{}", file["file_id"].as_str().unwrap()));
        let kept = objects(&bucket.root().join("uploads"));
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!(kept[0].starts_with(bucket.root().join("uploads/gavel").join(&agent.id)), "{kept:?}");
        assert!(alice.get(&path).await.bytes == sent, "the bytes are others");
        let last = format!("bytes={}-", size - 70_000);
        let part = alice.get_with(&path, &[("range", last.as_str())]).await;
        assert_eq!(part.status, 206);
        assert!(part.bytes == sent[size - 70_000..], "the bytes are others");
        assert_eq!(alice.delete(&path).await.status, 204);
        assert_eq!(objects(&bucket.root().join("uploads")).len(), 0);
    }

    // Several parts have reached the bucket when the form turns out to be wrong.
    let form = Form::new().file("film.bin", "video/x-film", &bytes(20 << 20)).part("form-data; name=\"x\"", b"x");
    alice.upload(&agent, form).await.refused(400, "invalid_request");
    assert_eq!(alice.get(&agent.path("/files")).await.expect(200)["files"], json!([]));
    empty(&bucket.root().join("uploads")).await;
    let unfinished = objects(bucket.root()).into_iter().filter(|path| path.to_string_lossy().contains("part"));
    assert_eq!(unfinished.count(), 0, "an aborted upload leaves parts");
}

#[tokio::test]
async fn a_server_does_not_start_on_a_bucket_that_it_cannot_use() {
    let bucket = Bucket::start().await;
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("gavel.toml");
    let data = directory.path().join("data");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let rest = ["--data-dir", data.to_str().unwrap(), "--config", config.to_str().unwrap()];
    let args: Vec<&str> = serve.into_iter().chain(rest).collect();
    let environment = bucket.environment();
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let cache = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("gavel-tests-code");
    let toml = |url: &str| format!("[plugins]\ncache_dir = \"{}\"\n[files]\nurl = \"{url}\"\n", cache.display());

    std::fs::write(&config, toml("s3://uploads/gavel")).unwrap();
    let key = ("GAVEL_VAULT_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let with_key: Vec<(&str, &str)> = environment.iter().copied().chain([key]).collect();
    let refused = ("AWS_SECRET_ACCESS_KEY", "another-secret");
    let with_another: Vec<(&str, &str)> = with_key.iter().copied().chain([refused]).collect();
    let ran = gavel_command_in(&with_another, &args).await;
    assert_eq!(ran.status, Some(3), "{}", ran.err);
    assert!(ran.err.contains("s3://uploads/gavel cannot be used for files"), "{}", ran.err);
    assert!(!ran.err.contains("another-secret"));

    std::fs::write(&config, toml("https://example.org/bucket")).unwrap();
    let ran = gavel_command_in(&with_key, &args).await;
    assert_eq!(ran.status, Some(3), "{}", ran.err);
    assert!(ran.err.contains("files.url: is not of the form s3://bucket"), "{}", ran.err);
}
