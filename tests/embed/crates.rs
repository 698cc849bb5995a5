//! The dependencies of the library without the program.

use std::collections::BTreeSet;
use std::process::Command;

/// The most crates that an application gets with `default-features = false`, on Linux.
const CRATES_MAX: usize = 130;

#[test]
fn the_library_alone_brings_few_crates() {
    let arguments = "tree --offline --no-default-features -e normal --prefix none";
    let tree = Command::new(env!("CARGO"))
        .args(arguments.split(' '))
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "{error}");
    let text = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<&str> = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    assert!(
        crates.len() > 50 && crates.len() <= CRATES_MAX,
        "{} crates, at most {CRATES_MAX}: {crates:#?}",
        crates.len()
    );
    for program in ["anyhow", "clap", "indicatif", "reqwest", "rlimit", "toml"] {
        let of_program = |known: &&&str| known.split(' ').next() == Some(program);
        assert_eq!(crates.iter().find(of_program), None);
    }
}
