//! A hub inside an axum app with its own logins: a form, a cookie, and the permissions of each user.
//!
//! Run `cargo run --example embed`, then open http://localhost:3000 in two browsers. Log in as `ann` with the password
//! `sesame`, or as `bob` with `abracadabra`. Only `ann` may use the channel `staff`.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::net::TcpListener;
use triway::{Access, Action, Code, Credentials, Data, Grants, Hub, Message, Refusal, server};

/// The users who may log in. A real app stores hashes of passwords.
const PASSWORDS: [(&str, &str); 2] = [("ann", "sesame"), ("bob", "abracadabra")];
/// The cookie that holds the token of a login.
const COOKIE_NAME: &str = "login";

/// Tokens of logins, with the user of each.
type Logins = Arc<Mutex<HashMap<String, String>>>;

#[derive(Clone)]
struct App {
    hub: Hub,
    logins: Logins,
}

#[derive(Deserialize)]
struct Login {
    user: String,
    password: String,
}

#[derive(Deserialize)]
struct Saying {
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:3000");
    let listener = server::listen(address.parse()?)?;
    println!("listening on http://{}", listener.local_addr()?);
    let shutdown = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    serve(listener, shutdown).await?;
    Ok(())
}

/// Serves the app until `shutdown` is ready.
pub async fn serve(
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let logins = Logins::default();
    let known = logins.clone();
    let hub = Hub::builder()
        // The hub finds the token in the cookie, on every transport.
        .with(|builder| builder.http.cookie = Some(COOKIE_NAME.into()))
        .authorize(move |credentials| {
            let grants = grants(&known, &credentials);
            async move { grants }
        })
        .on_access(may)
        .build();
    let app = Router::new()
        .route("/", get(page))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/say", post(say))
        .nest("/rt", hub.router())
        .with_state(App {
            hub: hub.clone(),
            logins,
        });
    // An accept loop with limits and a drain. `axum::serve` works too.
    let on_drain = move || hub.drain();
    server::serve(
        listener,
        app,
        server::Options::default(),
        shutdown,
        on_drain,
    )
    .await?;
    Ok(())
}

/// Returns the user of this request as grants, which state the user's general permissions.
fn grants(logins: &Logins, credentials: &Credentials) -> Result<Option<Grants>, Refusal> {
    let Some(token) = &credentials.token else {
        return Ok(None);
    };
    match logins.lock().get(token) {
        Some(user) => Grants::everything().with_user(user).map(Some),
        None => Err(Refusal::new(Code::Unauthorized, "this login has ended")),
    }
}

/// Decides the permissions of a user in one channel.
fn may(access: &Access<'_>) -> Result<(), Refusal> {
    let refuse = |detail: &'static str| Err(Refusal::new(Code::Forbidden, detail));
    match (access.action, access.channel.as_str()) {
        (Action::Publish, _) => refuse("publish by `POST /say`"),
        (_, "staff") if access.user != Some("ann") => refuse("`staff` is for ann"),
        _ => Ok(()),
    }
}

async fn log_in(State(app): State<App>, Form(login): Form<Login>) -> Response {
    let is_right =
        |(user, password): &(&str, &str)| *user == login.user && *password == login.password;
    if !PASSWORDS.iter().any(is_right) {
        return (StatusCode::UNAUTHORIZED, "wrong user or password\n").into_response();
    }
    let mut random = [0; 16];
    if getrandom::fill(&mut random).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let token = format!("{:032x}", u128::from_ne_bytes(random));
    let cookie = format!("{COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Lax");
    app.logins.lock().insert(token, login.user);
    ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

/// Ends all logins of this user, and the readers that are still open.
async fn log_out(State(app): State<App>, headers: HeaderMap) -> Redirect {
    if let Some(user) = user_of(&app, &headers) {
        app.logins.lock().retain(|_, known| *known != user);
        app.hub.close_user(&user);
    }
    Redirect::to("/")
}

/// Publishes in the name of the user.
async fn say(
    State(app): State<App>,
    headers: HeaderMap,
    Form(saying): Form<Saying>,
) -> Result<Redirect, (StatusCode, String)> {
    let user = user_of(&app, &headers);
    let user = user.ok_or((StatusCode::UNAUTHORIZED, "log in first\n".to_owned()))?;
    let data = Data::text(&format!("{user}: {}", saying.text));
    let published = app
        .hub
        .publish_message(Message::new("lobby", data).from(&user));
    match published.await {
        Ok(_) => Ok(Redirect::to("/")),
        Err(refusal) => Err((StatusCode::BAD_REQUEST, format!("{refusal}\n"))),
    }
}

fn user_of(app: &App, headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    let mut pairs = cookies
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, token) = pairs.find(|(name, _)| *name == COOKIE_NAME)?;
    app.logins.lock().get(token).cloned()
}

async fn page(State(app): State<App>, headers: HeaderMap) -> Html<&'static str> {
    Html(match user_of(&app, &headers) {
        Some(_) => ROOM,
        None => LOGIN,
    })
}

const LOGIN: &str = r#"<!doctype html><title>Log in</title>
<form method="post" action="/login">
<input name="user" placeholder="user"> <input name="password" type="password"> <button>Log in</button>
</form>"#;

const ROOM: &str = r#"<!doctype html><title>Lobby</title>
<form method="post" action="/say"><input name="text" autofocus> <button>Say</button></form>
<form method="post" action="/logout"><button>Log out</button></form>
<ul id="said"></ul>
<script>
new EventSource('/rt/sse/lobby?since=last:20').onmessage = (event) => {
  const line = document.createElement('li')
  line.textContent = event.data
  document.querySelector('#said').prepend(line)
}
</script>"#;
