//! The programs around a hub in the documents: proxies in front of it, and the page that connects to it.
//!
//! Knows nginx, HAProxy and Node as programs. If one is not installed, its test prints that and is skipped.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::document;
use super::markdown::Block;
use super::shell::Group;
use crate::cli::Hub;
use crate::support::{in_time, until};

/// The address of the hub in the documents, as proxies name it.
const ADDRESS: &str = "127.0.0.1:7333";

/// Returns a port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

pub(super) fn is_installed(program: &str) -> bool {
    let found = Command::new(program)
        .arg("-v")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_err() {
        println!("left out: {program} is not installed");
    }
    found.is_ok()
}

fn block(path: &str, info: &str) -> Block {
    let found = document(path)
        .blocks()
        .into_iter()
        .find(|block| block.info == info);
    found.unwrap_or_else(|| panic!("{path}: no `{info}`"))
}

pub(super) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Checks that all three transports reach the hub through this address.
async fn carries_all_three(base: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let health = format!("http://{base}/healthz");
    until("the proxy", async || {
        let answer = client.get(&health).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    let poll = format!("http://{base}/poll/a?nonce=lp");
    let answer = client.get(poll).send().await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["nonce"], "lp");

    let stream = format!("http://{base}/sse/a?format=full&nonce=sse");
    let mut stream = in_time("a stream", client.get(stream).send())
        .await
        .unwrap();
    let mut seen = String::new();
    while !seen.contains("\"nonce\":\"sse\"") {
        let chunk = in_time("hello on a stream", stream.chunk()).await.unwrap();
        seen.push_str(&String::from_utf8_lossy(&chunk.expect("it goes on")));
    }

    use futures_util::StreamExt as _;
    let socket = tokio_tungstenite::connect_async(format!("ws://{base}/ws/a?nonce=ws"));
    let (mut socket, _) = in_time("a WebSocket", socket).await.unwrap();
    let hello = in_time("hello on a WebSocket", socket.next()).await;
    let hello = hello.unwrap().unwrap().into_text().unwrap().to_string();
    assert!(hello.contains("\"nonce\":\"ws\""), "{hello}");
}

#[tokio::test]
async fn the_nginx_lines_let_everything_through() {
    if !is_installed("nginx") {
        return;
    }
    let hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    let (folder, port) = (folder("documents-nginx"), free_port());
    let lines = block("docs/proxies.md", "nginx").text;
    let lines = lines.replace(ADDRESS, hub.authority());
    let own = folder.display();
    let whole = format!(
        "daemon off; pid {own}/pid; error_log {own}/error.log;\nevents {{}}\nhttp {{\n\
         access_log off; client_body_temp_path {own}/body; proxy_temp_path {own}/proxy;\n\
         fastcgi_temp_path {own}/fastcgi; uwsgi_temp_path {own}/uwsgi; scgi_temp_path {own}/scgi;\n\
         server {{ listen 127.0.0.1:{port};\n{lines}}} }}\n"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, whole).unwrap();
    let _nginx = Group::start(Command::new("nginx").arg("-c").arg(&file));
    carries_all_three(&format!("127.0.0.1:{port}/rt")).await;
}

#[tokio::test]
async fn the_haproxy_lines_let_everything_through() {
    if !is_installed("haproxy") {
        return;
    }
    let hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    let (folder, port) = (folder("documents-haproxy"), free_port());
    let lines = block("docs/proxies.md", "haproxy").text;
    let lines = lines
        .replace(ADDRESS, hub.authority())
        .replace("bind :8080", &format!("bind 127.0.0.1:{port}"));
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, lines).unwrap();
    let _haproxy = Group::start(Command::new("haproxy").arg("-db").arg("-f").arg(&file));
    carries_all_three(&format!("127.0.0.1:{port}")).await;
}

/// Runs the script of the README in Node, with the built client.
#[test]
fn the_page_of_the_readme_speaks() {
    if !is_installed("node") {
        return;
    }
    let hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    let page = block("README.md", "html").text;
    let script: Vec<&str> = page
        .lines()
        .filter(|line| !line.contains("script"))
        .collect();
    let client = concat!(
        "file://",
        env!("CARGO_MANIFEST_DIR"),
        "/web/dist/client.mjs"
    );
    let script = script
        .join("\n")
        .replace("http://localhost:7333/client.mjs", client)
        .replace("localhost:7333", hub.authority());
    // The page stays open, so the test ends the script after its own message.
    let script = format!(
        "{script}\nif (!seen) await new Promise(done => lobby.addEventListener('message', done))\nhub.close()\n"
    );
    let script = script.replacen(
        "await lobby.publish",
        "let seen = false\nlobby.addEventListener('message', () => seen = true)\nawait lobby.publish",
        1,
    );
    let ran = Command::new("timeout")
        .args(["20", "node", "--input-type=module", "-e", &script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{script}\n{said}{errors}");
    assert!(said.contains("chat { text: 'hi' } by"), "{said}{errors}");
}

/// Runs `cargo run --example embed`: its own routes, its login, and the hub below its prefix.
#[tokio::test]
async fn the_embed_example_runs() {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["run", "--quiet", "--example", "embed", "--", "127.0.0.1:0"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::piped());
    let (_example, line) = Group::start_and_read(&mut command);
    let base = line.trim().strip_prefix("listening on ").unwrap();
    let client = reqwest::Client::builder().no_proxy();
    let client = client.redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    let login = client.post(format!("{base}/login"));
    let form = "application/x-www-form-urlencoded";
    let login = login
        .header("content-type", form)
        .body("user=ann&password=sesame");
    let answer = login.send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].clone();
    let poll = client.get(format!("{base}/rt/poll/lobby?wait=0"));
    let refused = poll.try_clone().unwrap().send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let read = poll.header("cookie", cookie).send().await.unwrap();
    let read = read.text().await.unwrap();
    assert!(read.contains("\"user\":\"ann\""), "{read}");
}

/// Each other block of the page about proxies is part of the file that is named above it, which `web/test` starts.
#[test]
fn the_lines_for_other_proxies_are_those_of_their_files() {
    let page = document("docs/proxies.md");
    let lines: Vec<&str> = page.text.lines().collect();
    let mut checked = 0;
    for block in page.blocks() {
        if ["nginx", "haproxy"].contains(&block.info.as_str()) {
            continue;
        }
        // The last name in backticks before the block, such as "`apache-ws.conf`:".
        let above = lines[..block.line - 1]
            .iter()
            .rfind(|line| !line.is_empty());
        let file = above.unwrap().rsplit('`').nth(1).unwrap();
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/proxies");
        let text = std::fs::read_to_string(folder.join(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"))
            .replace("127.0.0.1:@PORT@", "rt.example.com")
            .replace("@HUB@", "7333");
        // Caddy requests a certificate unless the name begins with its scheme.
        let known: Vec<&str> = text
            .lines()
            .flat_map(|line| [line.trim(), line.trim().trim_start_matches("http://")])
            .collect();
        for line in block.text.lines().map(str::trim) {
            let is_there = match (block.info.as_str(), line.split_once("{ target: ")) {
                ("js", Some((_, options))) => {
                    let options = options.split(", rewrite").next().unwrap();
                    text.contains(&format!("{{ target: {options}"))
                }
                ("js", None) => true,
                _ => known.contains(&line),
            };
            assert!(is_there, "{file}: {line}");
        }
        checked += 1;
    }
    assert!(checked >= 8, "{checked}");
}
