//! The broker of a single node. It appends each publish at once.

use super::Published;
use crate::hub::HubState;
use crate::protocol::{Draft, Refusal};

pub(super) fn append(hub: &HubState, draft: Draft) -> Result<Published, Refusal> {
    let (id, reached) = hub.append(draft)?;
    Ok(Published { id, reached })
}
