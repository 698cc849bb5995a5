//! The commands about credentials: `key`, `token`, `access`, and the flags of `serve`.

use std::path::{Path, PathBuf};

use super::*;
use crate::cli::{run, triway};
use crate::support::{Program, until};

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("access-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a command that must succeed. Returns its output without the last line end.
fn output(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// Runs a command that must fail. Returns what it says.
fn complaint(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn an_api_key_works_from_its_making_to_its_revocation_while_the_hub_runs() {
    let folder = Folder::new("keys");
    let file = folder.path("keys.toml");
    let key = output(&["key", "new", "shop", "--api-keys", &file]);
    assert!(key.starts_with("twk_"), "{key}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&key), "the file holds no key");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap()) & 0o777,
        0o600
    );
    let hub = Program::start(&["--api-keys", &file]).await;
    let publish = async |key: &str| {
        ask_as(&hub.wire, key, "POST", "/pub/orders/1", "x")
            .await
            .status
    };
    assert_eq!(publish(&key).await, 201);
    let second = output(&[
        "key",
        "new",
        "limited",
        "--scope",
        "publish,read",
        "--channels",
        "orders/*",
        "--api-keys",
        &file,
    ]);
    until("the hub knows the second key", async || {
        publish(&second).await == 201
    })
    .await;
    assert_eq!(
        ask_as(&hub.wire, &second, "POST", "/pub/lobby", "x")
            .await
            .status,
        403
    );
    let list = output(&["key", "list", "--api-keys", &file]);
    assert!(
        list.contains("shop") && list.contains("orders/*") && !list.contains(&key),
        "{list}"
    );
    let session = session_key(&hub.wire, &key).await;
    output(&["key", "revoke", "shop", "--api-keys", &file]);
    until("the hub refuses the revoked key", async || {
        publish(&key).await == 401
    })
    .await;
    let of_session = format!("/pub/orders/1?{}", query("session", &session));
    until("the session key ends with its API key", async || {
        hub.wire.post(&of_session, "text/plain", "x").await.status == 401
    })
    .await;
    assert_eq!(publish(&second).await, 201);
    // A file that is broken while it is edited leaves the keys as they are.
    std::fs::write(&file, "nonsense").unwrap();
    let again = std::time::Instant::now() + std::time::Duration::from_millis(1_500);
    while std::time::Instant::now() < again {
        assert_eq!(publish(&second).await, 201);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[test]
fn mistakes_about_keys_are_named() {
    let folder = Folder::new("mistakes");
    let file = folder.path("keys.toml");
    output(&["key", "new", "a", "--api-keys", &file]);
    for (arguments, named) in [
        (&["key", "new", "a"][..], "already"),
        (&["key", "new", ""], "empty"),
        (
            &["key", "new", "b", "--scope", "owner"],
            "publish, read or admin",
        ),
        (&["key", "new", "b", "--channels", "a*b"], "before its end"),
        (&["key", "revoke", "b"], "no key has the name"),
    ] {
        let complaint = complaint(&[arguments, &["--api-keys", &file]].concat());
        assert!(complaint.contains(named), "{arguments:?}: {complaint}");
    }
    for (text, named) in [
        ("nonsense", "keys.toml"),
        (
            "[[key]]\nname = 'a'\nscopes = []\nsha256 = 'x'",
            "64 hexadecimal digits",
        ),
        (
            "[[key]]\nname = 'a'\nscopes = ['owner']\nsha256 = ''",
            "publish, read or admin",
        ),
        ("[[keys]]\n", "keys"),
    ] {
        let file = folder.file("keys.toml", text);
        let complaint = complaint(&["serve", "--listen", "127.0.0.1:0", "--api-keys", &file]);
        assert!(
            complaint.contains(named) && complaint.contains(&file),
            "{text}: {complaint}"
        );
    }
    let missing = folder.path("missing");
    for flag in ["--api-keys", "--jwt-secret-file", "--jwt-key"] {
        let complaint = complaint(&["serve", "--listen", "127.0.0.1:0", flag, &missing]);
        assert!(complaint.contains(&missing), "{flag}: {complaint}");
    }
}

/// The arguments that mint the token of these tests.
const MINT: [&str; 10] = [
    "token",
    "mint",
    "--sub",
    "ann",
    "--read",
    "room/*",
    "--publish",
    "room/42",
    "--info",
    "{\"a\":1}",
];

#[tokio::test]
async fn a_token_that_is_minted_here_is_accepted_and_shown() {
    let folder = Folder::new("tokens");
    let secret = folder.file("secret", &format!("{}\n", String::from_utf8_lossy(SECRET)));
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    let file = |name: &str| keys.join(name).to_str().unwrap().to_owned();
    let public = ["rsa", "p256", "p384", "ed25519"]
        .map(|name| file(&format!("{name}.pub.pem")))
        .join(",");
    let hub = Program::start(&["--jwt-secret-file", &secret, "--jwt-key", &public]).await;
    let mut signers = vec![vec!["--jwt-secret-file", secret.as_str()]];
    let private = ["rsa", "p256", "p384", "ed25519"].map(|name| file(&format!("{name}.pem")));
    signers.extend(
        private
            .iter()
            .map(|path| vec!["--private-key", path.as_str()]),
    );
    for signer in signers {
        let token = output(&[&MINT[..], &signer].concat());
        let answer = ask_as(&hub.wire, &token, "GET", "/history/room/1", "").await;
        assert_eq!(answer.status, 200, "{signer:?}: {}", answer.text());
        let shown = output(&[
            "token",
            "inspect",
            &token,
            "--jwt-secret-file",
            &secret,
            "--jwt-key",
            &public,
        ]);
        assert!(
            shown.contains("\"sub\": \"ann\"") && shown.contains("accepted"),
            "{shown}"
        );
    }
    let token = output(&[&MINT[..], &["--jwt-secret-file", &secret]].concat());
    assert!(output(&["token", "inspect", &token]).contains("not verified"));
    let other = folder.file("other", &"x".repeat(32));
    assert!(
        output(&["token", "inspect", &token, "--jwt-secret-file", &other]).contains("signature")
    );
    complaint(&["token", "inspect", "nonsense"]);
    complaint(&MINT);
}

#[test]
fn access_explains_which_rule_and_claim_decide() {
    let folder = Folder::new("explain");
    let secret = folder.file("secret", &String::from_utf8_lossy(SECRET));
    let token = output(&[&MINT[..], &["--jwt-secret-file", &secret]].concat());
    let config = folder.file(
        "triway.toml",
        "[[channel]]\nmatch = 'user/{user}/*'\nread = 'owner'\npublish = 'server'\n",
    );
    let explain = |action: &str, channel: &str| {
        output(&[
            "access",
            "explain",
            action,
            channel,
            "--token",
            &token,
            "--config",
            &config,
            "--jwt-secret-file",
            &secret,
        ])
    };
    for (action, channel, verdict, reason) in [
        ("read", "room/1", "allowed", "no rule matches"),
        ("publish", "room/1", "refused", "room/42"),
        ("read", "user/ann/mail", "allowed", "number 1"),
        ("read", "user/bob/mail", "refused", "owner"),
        ("publish", "user/ann/mail", "refused", "API keys"),
        ("read", "@bob", "refused", "inbox"),
    ] {
        let text = explain(action, channel);
        assert!(
            text.starts_with(verdict) && text.contains(reason),
            "{action} {channel}: {text}"
        );
    }
    // The keys of the file count, too.
    let whole = std::fs::read_to_string(&config).unwrap();
    let whole = folder.file(
        "whole.toml",
        &format!("jwt-secret-file = {secret:?}\n{whole}"),
    );
    let text = output(&[
        "access", "explain", "read", "room/1", "--token", &token, "--config", &whole,
    ]);
    assert!(text.starts_with("allowed"), "{text}");
    for (mistake, named) in [
        (["--read", "a*b"], "before its end"),
        (["--jwt-secret-file", &config], "32 bytes"),
    ] {
        let mint = [
            "token",
            "mint",
            "--sub",
            "ann",
            "--jwt-secret-file",
            &secret,
        ];
        let mint = if named == "32 bytes" {
            &mint[..4]
        } else {
            &mint[..]
        };
        if named == "32 bytes" {
            std::fs::write(&config, "short").unwrap();
        }
        let said = complaint(&[mint, &mistake].concat());
        assert!(said.contains(named), "{said}");
    }
}

#[test]
fn rules_without_a_meaning_are_named_with_their_line() {
    let folder = Folder::new("rules");
    for (text, line, named) in [
        ("[[channel]]\nmatch = 'a*b'", 1, "before its end"),
        (
            "drain = '1s'\n\n[[channel]]\nmatch = 'a'\nread = 'all'",
            3,
            "anyone, user, owner",
        ),
        ("[[channel]]\nmatch = 'a'\nread = 'owner'", 1, "{user}"),
        ("[[channel]]\nmatch = 'a'\nreads = 'user'", 3, "reads"),
        ("[[channel]]\nread = 'user'", 1, "match"),
        ("[[channel]]\nmatch = '{user}x'", 1, "{user}"),
    ] {
        let file = folder.file("triway.toml", text);
        let complaint = complaint(&["serve", "--listen", "127.0.0.1:0", "--config", &file]);
        assert!(
            complaint.contains(named) && complaint.contains(&format!("triway.toml:{line}")),
            "{text}: {complaint}"
        );
    }
}

#[tokio::test]
async fn a_hub_with_credentials_may_listen_everywhere_and_the_environment_configures_it() {
    let folder = Folder::new("listen");
    let secret = folder.file("secret", &String::from_utf8_lossy(SECRET));
    let complaint_of_open = complaint(&["serve", "--listen", "0.0.0.0:0"]);
    assert!(complaint_of_open.contains("--open"), "{complaint_of_open}");
    let hub = Program::start_at(
        "0.0.0.0:0".parse().unwrap(),
        &["--jwt-secret-file", &secret],
    )
    .await;
    let wire = Wire::at(([127, 0, 0, 1], hub.wire.address.port()).into());
    assert_eq!(wire.get("/history/a").await.status, 401);
    let answer = ask_as(&wire, &token_of("ann", &["a"]), "GET", "/history/a", "").await;
    assert_eq!(answer.status, 200);
    for (flag, value, named) in [
        ("--jwt-audience", "x", "--jwt-secret-file"),
        ("--jwks-url", "http://example.com/keys", "https"),
        ("--authorize-url", "ftp://127.0.0.1/", "https"),
        ("--token-max-age", "0", "time"),
    ] {
        let complaint = complaint(&["serve", "--listen", "127.0.0.1:0", flag, value]);
        assert!(complaint.contains(named), "{flag}: {complaint}");
    }
    let short = folder.file("short", "too short");
    assert!(complaint(&["serve", "--jwt-secret-file", &short]).contains("32 bytes"));
    let public = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/rsa.pub.pem"),
    )
    .unwrap();
    let public = folder.file("public", &public);
    assert!(complaint(&["serve", "--jwt-secret-file", &public]).contains("PEM"));
}

#[tokio::test]
async fn a_user_is_revoked_from_the_command_line() {
    let folder = Folder::new("revoke");
    let keys = folder.path("keys.toml");
    let secret = folder.file("secret", &String::from_utf8_lossy(SECRET));
    let admin = output(&["key", "new", "ops", "--scope", "admin", "--api-keys", &keys]);
    let admin = folder.file("ops.key", &format!("{admin}\n"));
    let hub = Program::start(&["--api-keys", &keys, "--jwt-secret-file", &secret]).await;
    let url = hub.wire.url("");
    let ann =
        token(&serde_json::json!({"iat": now_s() - 1, "jti": "j1", "triway": {"read": ["*"]}}));
    let status = async || {
        ask_as(&hub.wire, &ann, "GET", "/history/a", "")
            .await
            .status
    };
    assert_eq!(status().await, 200);
    let revoke = |subject: [&str; 2]| {
        output(&[
            "revoke",
            subject[0],
            subject[1],
            "--url",
            &url,
            "--token-file",
            &admin,
        ])
    };
    assert!(revoke(["--jti", "other"]).starts_with("ended 0"));
    assert_eq!(status().await, 200);
    let said = revoke(["--user", "ann"]);
    assert!(said.contains("remembered until 20"), "{said}");
    assert_eq!(status().await, 401);
    assert!(complaint(&["revoke", "--url", &url]).contains("--user"));
    assert!(complaint(&["revoke", "--user", "ann", "--url", &url]).contains("admin"));
}

#[test]
fn tokens_on_the_command_line_and_unknown_variables_are_warned_about() {
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = triway()
            .args(arguments)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let inspect = ["token", "inspect", "a.b.c"];
    let known = [
        ("TRIWAY_SECRET_FILE", "x"),
        ("TRIWAY_SERVICE_HOST", "10.0.0.1"),
        ("TRIWAY_PORT_80_TCP", "x"),
        ("TRIWAY_URL", "http://x"),
    ];
    assert!(!run(&inspect, &known).contains("warning"));
    let said = run(&inspect, &[("TRIWAY_SECRET_FIEL", "x")]);
    assert!(
        said.contains("TRIWAY_SECRET_FIEL") && said.contains("did you mean TRIWAY_SECRET_FILE?"),
        "{said}"
    );
    let revoke = ["revoke", "--user", "ann", "--url", "http://127.0.0.1:1"];
    assert!(run(&[&revoke[..], &["--token", "secret"]].concat(), &[]).contains("process lists"));
    assert!(!run(&revoke, &[("TRIWAY_TOKEN", "secret")]).contains("process lists"));
}

#[test]
fn a_new_settings_file_is_valid_with_and_without_its_lines() {
    let folder = Folder::new("config");
    let file = folder.path("triway.toml");
    output(&["config", "init", &file]);
    assert!(complaint(&["config", "init", &file]).contains("exists already"));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(output(&["config", "check", "--config", &file]).contains("valid"));
    // Every line that has a value, and the rules.
    let is_setting =
        |line: &str| line.contains(" = ") && !line.ends_with("\"\"") && !line.contains('.');
    let is_rule = |line: &str| line.starts_with("# [[") || line.starts_with("# match");
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if is_setting(rest) || is_rule(line) => rest,
        _ => line,
    });
    let all = folder.file("all.toml", &lines.collect::<Vec<_>>().join("\n"));
    let said = output(&["config", "check", "--config", &all]);
    assert!(
        said.contains(
            "rule 2: news/* may be read by anyone, published to by server; members are hidden"
        ),
        "{said}"
    );
    assert!(
        text.lines().filter(|line| line.contains(" = ")).count() > 40,
        "{text}"
    );
}

#[test]
fn the_settings_in_force_are_shown_with_their_source_and_without_secrets() {
    let folder = Folder::new("show");
    let file = folder.file(
        "triway.toml",
        "heartbeat = '20s'\norigin = ['https://a.example', 'https://b.example']\n",
    );
    let arguments = [
        "config",
        "show",
        "--config",
        &file,
        "--listen",
        "127.0.0.1:8000",
        "--secret",
        "0123456789abcdef",
    ];
    let shown = triway()
        .args(arguments)
        .env("TRIWAY_DRAIN", "3s")
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for line in [
        "listen = \"127.0.0.1:8000\"  # command line",
        "drain = \"3s\"  # environment",
        "heartbeat = \"20s\"  # file",
        "origin = [\"https://a.example\", \"https://b.example\"]  # file",
        "history-events = 1000  # default",
        "open = false  # default",
        "secret = \"…\"  # command line",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(!shown.contains("0123456789abcdef"));
    let bad = folder.file("bad.toml", "heartbeat = '20'\n");
    for action in ["check", "show"] {
        let complaint = complaint(&["config", action, "--config", &bad]);
        assert!(complaint.contains("bad.toml:1"), "{complaint}");
    }
}
