//! The broker of a single node. It appends each publish at once.

use super::Published;
use crate::hub::Hub;
use crate::protocol::{Draft, Refusal};

pub(super) fn append(hub: &Hub, draft: Draft) -> Result<Published, Refusal> {
    let (id, reached) = hub.append(draft)?;
    Ok(Published { id, reached })
}
