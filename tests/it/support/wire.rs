//! The address of a hub: sends single requests, publishes, and opens readers.
//!
//! This file knows addresses and JSON. Readers are in `reader`.

use std::net::SocketAddr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Client;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{Ask, End, Reader, Via, in_time};

/// The address of a hub or of something in front of it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    client: Client,
}

/// The response to one request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Returns the body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {text:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Encodes a text as one segment of a path or one value of a query.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Wire {
    pub(crate) fn at(address: SocketAddr) -> Self {
        // One connection per request, so a relay applies its fate to the intended request.
        let client = Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .unwrap();
        Self { address, client }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns a request that can be changed before [`Wire::ask`] sends it.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), self.url(path))
    }

    /// Sends a request and reads its whole response.
    pub(crate) async fn ask(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_ask(request).await.unwrap()
    }

    /// Sends a request that may fail, as while a hub is away.
    pub(crate) async fn try_ask(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<Answer, reqwest::Error> {
        let request = request.build()?;
        let what = format!("{} {}", request.method(), request.url());
        let asked = async {
            let response = self.client.execute(request).await?;
            Ok(Answer {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body: response.bytes().await?.to_vec(),
            })
        };
        in_time(what, asked).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(self.request("GET", path)).await
    }

    /// Sends a GET that must succeed. Returns its JSON.
    pub(crate) async fn get_json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let request = self.request("POST", path).body(body.into());
        let request = match media_type {
            "" => request,
            media_type => request.header("content-type", media_type),
        };
        self.ask(request).await
    }

    /// Publishes by POST. `query` may be empty. Returns the response, which must be 201.
    pub(crate) async fn publish_as(
        &self,
        channel: &str,
        query: &str,
        media_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Value {
        let path = format!("/pub/{}?{query}", encode(channel));
        let answer = self.post(&path, media_type, body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
        answer.json()
    }

    /// Publishes a text and returns its id.
    pub(crate) async fn publish(&self, channel: &str, text: &str) -> String {
        let answer = self.publish_as(channel, "", "text/plain", text).await;
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Publishes JSON and returns its id.
    pub(crate) async fn publish_json(&self, channel: &str, data: &Value) -> String {
        let json = data.to_string();
        let answer = self.publish_as(channel, "", "application/json", json).await;
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Sends commands of a session by `POST /send`. Returns their replies.
    pub(crate) async fn send(&self, session_key: &str, commands: &Value) -> Vec<Value> {
        let path = format!("/send?session={}", encode(session_key));
        let answer = self.post(&path, "text/plain", commands.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json().as_array().unwrap().clone()
    }

    /// Opens a reader. A refusal is an [`End`].
    pub(crate) async fn try_open(&self, via: Via, ask: &Ask) -> Result<Reader, End> {
        Reader::open(self, via, ask).await
    }

    /// Opens a reader that the hub must accept.
    pub(crate) async fn open(&self, via: Via, ask: &Ask) -> Reader {
        self.try_open(via, ask).await.unwrap()
    }
}
