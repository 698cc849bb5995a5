//! Bodies of responses from other servers, up to a limit.

use reqwest::Response;

/// The outcome of reading a body.
pub(super) enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// It has more bytes than the limit.
    TooLarge,
    /// It did not arrive whole, and why.
    CutOff(String),
}

/// Reads a body of at most `most` bytes.
pub(super) async fn body_of(mut response: Response, most: usize) -> Body {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > most => return Body::TooLarge,
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Body::Whole(body),
            Err(error) => return Body::CutOff(error.without_url().to_string()),
        }
    }
}
