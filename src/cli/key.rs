//! `triway key`: makes, lists and revokes the API keys of back ends. Works on the file only; a running hub reads it
//! again by itself.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::outlet::print;
use crate::auth::{ApiKey, KeyHash, KeyScope};
use crate::config::{KeyEntry, KeyFile};
use crate::hub::now_ms;

const EXAMPLES: &str = "\
Examples:
  triway key new shop --api-keys keys.toml
  triway key new reports --scope read --channels 'orders/*' --api-keys keys.toml
  triway serve --api-keys keys.toml
  curl -H 'Authorization: Bearer twk_…' -d paid localhost:7333/pub/orders/7";

/// The arguments of `triway key`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeyOptions {
    #[command(subcommand)]
    action: KeyAction,
    /// File of the API keys; `new` creates it
    #[arg(
        long,
        env = "TRIWAY_API_KEYS",
        value_name = "FILE",
        global = true,
        default_value = "api-keys.toml"
    )]
    api_keys: PathBuf,
}

#[derive(Debug, Subcommand)]
enum KeyAction {
    /// Make a key, and print it: this is the only time that it is shown
    New {
        /// A name for lists and logs
        name: String,
        /// What the key is for: publish, read or admin (repeatable)
        #[arg(
            long,
            value_name = "SCOPE",
            value_delimiter = ',',
            default_value = "publish"
        )]
        scope: Vec<KeyScope>,
        /// Limit the key to these channels; a `*` at the end matches any rest (repeatable; default: all)
        #[arg(long, value_name = "CHANNELS", value_delimiter = ',')]
        channels: Vec<String>,
    },
    /// List the keys by name
    List,
    /// Revoke a key
    Revoke {
        /// The name of the key
        name: String,
    },
}

pub(super) fn run(options: KeyOptions) -> anyhow::Result<()> {
    let path = &options.api_keys;
    match options.action {
        KeyAction::New {
            name,
            scope,
            channels,
        } => {
            let mut file = if path.exists() {
                KeyFile::read(path)?
            } else {
                KeyFile::default()
            };
            let key = make(&mut file, name, &scope, channels)?;
            write(path, &file)?;
            print(&format!("{key}\n"))
        }
        KeyAction::List => print(&table(&KeyFile::read(path)?)),
        KeyAction::Revoke { name } => {
            let mut file = KeyFile::read(path)?;
            let before = file.keys.len();
            file.keys.retain(|key| key.name != name);
            if file.keys.len() == before {
                bail!("{}: no key has the name {name:?}", path.display());
            }
            write(path, &file)
        }
    }
}

/// Adds a key to a file, and returns its text.
fn make(
    file: &mut KeyFile,
    name: String,
    scopes: &[KeyScope],
    channels: Vec<String>,
) -> anyhow::Result<String> {
    if name.is_empty() || name.chars().any(char::is_control) {
        bail!("a name must not be empty or contain control characters");
    }
    if file.keys.iter().any(|key| key.name == name) {
        bail!("a key has the name {name:?} already; revoke it, or choose another name");
    }
    let text = ApiKey::generate();
    let hash = KeyHash::of(&text);
    let channels = (!channels.is_empty()).then_some(channels);
    ApiKey::new(&name, hash, scopes, channels.clone())?;
    file.keys.push(KeyEntry {
        name,
        sha256: hash.to_string(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        channels,
        created: timestamp(),
    });
    Ok(text)
}

/// Returns the time, as RFC 3339 without fractions of a second.
fn timestamp() -> Option<String> {
    let seconds = i64::try_from(now_ms() / 1_000).ok()?;
    let now = jiff::Timestamp::from_second(seconds).ok()?;
    Some(now.to_string())
}

/// Replaces a file as a whole: a hub that reads it meanwhile sees the old or the new one.
fn write(path: &Path, file: &KeyFile) -> anyhow::Result<()> {
    let text = format!(
        "# The API keys of a triway hub: `triway key` writes this file. A key itself cannot be read from it.\n\n{}",
        toml::to_string(file)?
    );
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let failed = || format!("cannot write {}", path.display());
    let _ = std::fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut new = options.open(&beside).with_context(failed)?;
    new.write_all(text.as_bytes())
        .and_then(|()| new.sync_all())
        .with_context(failed)?;
    if let Ok(facts) = std::fs::metadata(path) {
        // What the operator allowed for the old file holds for the new one.
        std::fs::set_permissions(&beside, facts.permissions()).with_context(failed)?;
    }
    std::fs::rename(&beside, path).with_context(failed)
}

fn table(file: &KeyFile) -> String {
    let rows = file.keys.iter().map(|key| {
        let channels = key
            .channels
            .as_ref()
            .map_or_else(|| "all channels".to_owned(), |names| names.join(", "));
        let created = key.created.as_deref().unwrap_or("-");
        format!(
            "{:<24} {:<20} {:<20} {channels}\n",
            key.name,
            key.scopes.join(","),
            created
        )
    });
    rows.collect()
}
