//! Runs the shell lines of a document against a separate hub, as a reader would from the top of the page.
//!
//! Knows the program and `sh`. The parent module knows the contents of the documents.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::markdown::{Block, Document, after, without_chance};
use crate::cli::Hub;

/// The address of the hub in the documents.
const ADDRESS: &str = "localhost:7333";
/// No block needs longer unless a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process and all its children. They end with the test.
pub(super) struct Group(Child);

impl Group {
    pub(super) fn start(command: &mut Command) -> Self {
        let started = command.process_group(0).stdin(Stdio::null()).spawn();
        Self(started.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Starts it, and returns its first line of output. Its standard output must be a pipe.
    pub(super) fn start_and_read(command: &mut Command) -> (Self, String) {
        let mut group = Self::start(command);
        let mut line = String::new();
        let out = group.0.stdout.as_mut().expect("a pipe");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("a line of text");
        (group, line)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Ends its own process group, which includes the background processes of the block.
        let _ = Command::new("kill")
            .args(["-KILL", "--", &format!("-{}", self.0.id())])
            .stderr(Stdio::null())
            .status();
        let _ = self.0.wait();
    }
}

pub(super) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRIWAY_")) {
        command.env_remove(name);
    }
    command
}

/// Runs all blocks that are marked `run`. Compares the output if a block marked `output` follows.
pub(super) fn run(document: &Document) -> usize {
    let hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(document.name().replace('/', "-"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for the run");
    let blocks = document.blocks();
    let mut running = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let place = format!("{}:{}", document.name(), block.line);
        match block.info.as_str() {
            "sh run" => {
                let expected = blocks
                    .get(index + 1)
                    .filter(|next| next.info == "text output");
                let out = folder.join(format!("{index}.out"));
                running.push((
                    run_block(block, &hub, &folder, &out, &place),
                    out.clone(),
                    place.clone(),
                ));
                if let Some(expected) = expected {
                    compare(&expected.text, &text_of(&out), &place);
                }
            }
            "toml run" => {
                let file = folder.join("triway.toml");
                std::fs::write(&file, &block.text).expect("a file for the run");
                drop(Hub::start(&["--config", &file.display().to_string()]));
            }
            _ => {}
        }
    }
    let ran = running.len();
    for (group, out, place) in running {
        drop(group);
        let said = text_of(&out);
        assert!(!said.is_empty(), "{place}: nothing came");
        let is_meant = document.text.contains("key_reused") || document.text.contains("yesterday");
        assert!(
            is_meant || !said.contains("\"hint\":"),
            "{place}: something was refused: {said}"
        );
    }
    ran
}

fn run_block(block: &Block, hub: &Hub, folder: &Path, out: &Path, place: &str) -> Group {
    let script: String = block
        .text
        .lines()
        .filter(|line| is_possible(line))
        .map(|line| line.replace(ADDRESS, hub.authority()) + "\n")
        .collect();
    let bin = Path::new(env!("CARGO_BIN_EXE_triway"))
        .parent()
        .expect("it lies in a folder");
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut command = Command::new("sh");
    without_settings(&mut command)
        .args(["-ec", &script])
        .current_dir(folder)
        .env("PATH", path)
        .env("TRIWAY_URL", format!("http://{}", hub.authority()))
        .stdout(File::create(out).expect("a file for the output"))
        .stderr(File::create(out.with_extension("err")).expect("a file for the errors"));
    let mut group = Group::start(&mut command);
    let began = Instant::now();
    let status = loop {
        if let Some(status) = group.0.try_wait().expect("a child of ours") {
            break status;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{place}: still running: {script}"
        );
        std::thread::sleep(Duration::from_millis(5));
    };
    let errors = text_of(&out.with_extension("err"));
    assert!(
        status.success(),
        "{place}: {status}: {script}{}{errors}",
        text_of(out)
    );
    group
}

/// Returns whether this machine has the programs that a line needs: `websocat` is optional.
fn is_possible(line: &str) -> bool {
    if !line.starts_with("websocat ") {
        return true;
    }
    let found = Command::new("websocat").arg("--version").output().is_ok();
    if !found {
        println!("left out, websocat is not installed: {line}");
    }
    found
}

/// Checks that the real output contains each line of the document in order. It does not compare whole lines, because a
/// response of the hub has no line end after it.
fn compare(documented: &str, real: &str, place: &str) {
    let whole = without_chance(real);
    let mut rest = whole.as_str();
    for expected in documented.lines().filter(|line| !line.is_empty()) {
        match after(expected, rest) {
            Some((_, behind)) => rest = behind,
            None => panic!("{place}: nothing says\n{expected}\nin\n{real}"),
        }
    }
}

fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
