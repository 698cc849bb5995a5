//! The page about credentials: its commands run in order, as an operator would run them.
//!
//! Knows which variables the page expects the reader to set.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::document;
use super::markdown::Block;
use super::shell::without_settings;
use crate::cli::Hub;
use crate::support::{Wire, until};

/// The address of the hub on the page.
const ADDRESS: &str = "localhost:7333";

/// The commands of the page, without comments.
fn commands(blocks: &[Block]) -> Vec<String> {
    let shell = blocks.iter().filter(|block| block.info == "sh");
    let lines = shell.flat_map(|block| block.text.lines());
    let lines = lines.map(|line| {
        line.split(" #")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    });
    lines.filter(|line| !line.is_empty()).collect()
}

struct Page {
    folder: PathBuf,
}

impl Page {
    /// Runs a line in the folder of the page with these variables. Returns its output.
    fn run(&self, line: &str, variables: &[(&str, &str)]) -> String {
        let bin = Path::new(env!("CARGO_BIN_EXE_triway")).parent().unwrap();
        let path = format!(
            "{}:{}",
            bin.display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let mut command = Command::new("sh");
        let output = without_settings(&mut command)
            .args(["-ec", line])
            .current_dir(&self.folder)
            .env("PATH", path)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // An event stream ends by its time limit.
        let is_expected = output.status.success() || line.contains("--max-time");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            is_expected && !text.contains("\"hint\""),
            "{line}\n{text}{errors}"
        );
        text.trim_end().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn every_command_of_the_credentials_page_runs() {
    let blocks = document("docs/auth.md").blocks();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("docs-auth");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let page = Page { folder };
    let rules = blocks
        .iter()
        .find(|block| block.info == "toml run")
        .unwrap();
    std::fs::write(page.path("triway.toml"), &rules.text).unwrap();
    let commands = commands(&blocks);
    let (setup, rest): (Vec<_>, Vec<_>) = commands
        .into_iter()
        .partition(|line| line.starts_with("triway key new") || line.starts_with("openssl"));
    let (serves, asks): (Vec<_>, Vec<_>) = rest
        .into_iter()
        .partition(|line| line.starts_with("triway serve"));
    assert!(
        setup.len() >= 2 && serves.len() >= 4 && asks.len() >= 8,
        "{setup:?} {serves:?} {asks:?}"
    );
    let keys: Vec<String> = setup.iter().map(|line| page.run(line, &[])).collect();
    for line in serves {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_triway"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        without_settings(&mut command)
            .args(words)
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(&page.folder);
        drop(Hub::of(&mut command));
    }
    let admin = page.run("triway key new ops --scope admin --api-keys keys.toml", &[]);
    let token = page.run("triway token mint --sub ann --read 'room/*' --publish room/42 --jwt-secret-file jwt-secret", &[]);
    let [keys_file, secret, config] =
        ["keys.toml", "jwt-secret", "triway.toml"].map(|name| page.path(name));
    let hub = Hub::start(&[
        "--listen",
        "127.0.0.1:0",
        "--api-keys",
        &keys_file,
        "--jwt-secret-file",
        &secret,
        "--config",
        &config,
    ]);
    let mut session = String::new();
    for line in asks {
        let line = line
            .replace(ADDRESS, hub.authority())
            .replace("curl -N", "curl -N --max-time 1");
        let variables = [
            ("KEY", keys[0].as_str()),
            ("ADMIN", &admin),
            ("TOKEN", &token),
            ("SESSION", &session),
        ];
        let output = page.run(&line, &variables);
        assert!(
            !output.is_empty() || line.contains("DELETE") || line.contains("revoke"),
            "{line}: nothing came"
        );
        if line.contains("POST") && line.contains("/session") {
            let answer: serde_json::Value = serde_json::from_str(&output).unwrap();
            session = answer["key"].as_str().unwrap().to_owned();
        }
    }
}

/// Ends the app of the page.
struct App(Child);

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_python_app_of_the_page_decides_by_its_cookies() {
    let blocks = document("docs/auth.md").blocks();
    let program = blocks.iter().find(|block| block.info == "python").unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let program = program.text.replace("3000", &port.to_string());
    let mut python = Command::new("python3");
    let _app = App(python
        .args(["-c", &program])
        .stderr(Stdio::null())
        .spawn()
        .unwrap());
    let address = format!("127.0.0.1:{port}");
    until("the app listens", async || {
        std::net::TcpStream::connect(&address).is_ok()
    })
    .await;
    let url = format!("http://{address}/hub");
    let hub = Hub::start(&[
        "--listen",
        "127.0.0.1:0",
        "--authorize-url",
        &url,
        "--authorize-cookie",
        "session",
    ]);
    let wire = Wire::at(hub.authority().parse().unwrap());
    let ask = |path: &str, cookie: &str| {
        wire.ask(
            wire.request("GET", path)
                .header("cookie", cookie.to_owned()),
        )
    };
    let answer = ask("/poll/room/42?wait=0", "theme=dark; session=k7").await;
    assert_eq!(
        answer.json()["frames"][0]["session"]["user"],
        "ann",
        "{}",
        answer.text()
    );
    assert_eq!(ask("/poll/lobby?wait=0", "session=k7").await.status, 403);
    let answer = ask("/poll/room/42?wait=0", "session=other").await;
    assert_eq!(
        (answer.status, answer.json()["detail"].as_str()),
        (401, Some("Please log in."))
    );
}
