//! The report as one self-contained page: the figures as JSON, and a script that draws them.
//!
//! This file does not know what the figures mean.

use super::report::Report;

const PAGE: &str = include_str!("page.html");
/// The text that the figures replace.
const PLACE: &str = "REPORT</script>";

pub(super) fn page(report: &Report<'_>) -> anyhow::Result<String> {
    // Only `<` could end a script element, and JSON can escape it.
    let figures = serde_json::to_string(report)?.replace('<', "\\u003c");
    Ok(PAGE.replacen(PLACE, &format!("{figures}</script>"), 1))
}
