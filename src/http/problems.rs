//! `/problems/CODE`: what a refusal code means, its causes and its remedy, from the documentation.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use hyper::Uri;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::assets;

const PAGE: &str = include_str!("../../docs/troubleshooting.md");
/// What begins the section of a code.
const HEADING: &str = "\n## ";

/// Returns the section of a code.
pub(super) async fn explain(uri: Uri, Path(code): Path<String>) -> Response {
    let Some(section) = section(&code) else {
        return assets::missing(&uri);
    };
    let text = format!("{code}\n\n{}\n", section.trim());
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(CONTENT_TYPE, plain)], text).into_response()
}

fn section(code: &str) -> Option<&'static str> {
    let mut sections = PAGE.split(HEADING).skip(1);
    sections.find_map(|section| section.strip_prefix(code)?.strip_prefix('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Code;

    #[test]
    fn every_code_has_a_section_with_cause_and_remedy() {
        for code in Code::ALL {
            let text = section(code.as_str()).unwrap_or_else(|| panic!("{}", code.as_str()));
            assert!(
                text.contains("- Cause: ") && text.contains("- Remedy: "),
                "{}",
                code.as_str()
            );
        }
        let sections = PAGE.split(HEADING).count() - 1;
        assert_eq!(sections, Code::ALL.len(), "a section without a code");
        assert!(section("unknown").is_none() && section("").is_none() && section("bad").is_none());
    }
}
