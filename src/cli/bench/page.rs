//! The report as one page that needs no other file: the figures as JSON, and a script that draws them.

use super::report::Report;

const PAGE: &str = include_str!("page.html");
/// Where the figures go.
const PLACE: &str = "REPORT</script>";

pub(super) fn page(report: &Report<'_>) -> anyhow::Result<String> {
    // Inside a script element only `<` could end it, and JSON has another way to write that.
    let figures = serde_json::to_string(report)?.replace('<', "\\u003c");
    Ok(PAGE.replacen(PLACE, &format!("{figures}</script>"), 1))
}
