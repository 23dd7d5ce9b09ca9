//! A server of HTTP/1.1 that answers by a script.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::{crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::auth::lock;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Verb, path and query.
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which connection it came on.
    pub connection: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What the server does.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It answers.
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// It takes the request and cuts the connection.
    Cut,
    /// It says a length and sends less, then cuts.
    CutBody { status: u16, headers: Vec<(String, String)>, length: usize, body: Vec<u8> },
    /// It says a length and sends less, then says nothing any more.
    Stall { status: u16, headers: Vec<(String, String)>, length: usize, body: Vec<u8> },
    /// It reads so many bytes of the body, then cuts.
    CutRequest(usize),
    /// It takes the request and says nothing.
    Silent,
}

/// An answer without headers and body.
pub fn answer(status: u16) -> Reply {
    Reply::Answer { status, headers: Vec::new(), body: Vec::new() }
}

/// A registry's error.
pub fn refusal(status: u16, code: &str) -> Reply {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"said"}}]}}"#);
    answer(status).header("content-type", "application/json").body(body)
}

impl Reply {
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        match &mut self {
            Self::Answer { headers, .. } | Self::CutBody { headers, .. } | Self::Stall { headers, .. } => {
                headers.push((name.to_owned(), value.into()));
            }
            Self::Cut | Self::CutRequest(_) | Self::Silent => unreachable!(),
        }
        self
    }

    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        match &mut self {
            Self::Answer { body, .. } => *body = bytes.into(),
            _ => unreachable!(),
        }
        self
    }
}

/// The server. It ends when it is dropped.
pub struct Server {
    url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

impl Server {
    /// Answers each request by `script`.
    pub async fn by(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (script, all): (Script, _) = (Arc::new(script), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connection += 1;
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&all), connection));
            }
        });
        Self { url, seen, task }
    }

    /// The same over TLS, with a certificate for 127.0.0.1 that signs itself. It is given as PEM, too.
    pub async fn by_tls(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Self, String) {
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let tls = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (script, all): (Script, _) = (Arc::new(script), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&all), 0));
                }
            }
        });
        (Self { url, seen, task }, signed.cert.pem())
    }

    /// Answers the first request by the first reply, and so on. After the last one each is a 500.
    pub async fn with(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
        Self::by(move |_| lock(&replies).pop_front().unwrap_or_else(|| answer(500))).await
    }

    pub fn url(&self) -> Url {
        self.url.clone()
    }

    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// Verb, path and query of each request.
    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    pub fn verbs(&self) -> Vec<String> {
        self.lines().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Script,
    all: Arc<Mutex<Vec<Seen>>>,
    connection: usize,
) {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
            }
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk).await {
                Ok(size @ 1..) => buffer.extend_from_slice(&chunk[..size]),
                _ => return,
            }
        };
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut seen = Seen { line, headers, body: Vec::new(), connection };
        let length: usize = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
        let reply = script(&seen);
        let wanted = if let Reply::CutRequest(at) = reply { at.min(length) } else { length };
        while buffer.len() < wanted {
            let mut chunk = [0; 65536];
            match stream.read(&mut chunk).await {
                Ok(size @ 1..) => buffer.extend_from_slice(&chunk[..size]),
                _ => return,
            }
        }
        seen.body = buffer.drain(..wanted.min(buffer.len())).collect();
        let is_head = seen.line.starts_with("HEAD ");
        lock(&all).push(seen);
        let (status, headers, length, body, rest) = match reply {
            Reply::Answer { status, headers, body } => (status, headers, body.len(), body, Rest::Next),
            Reply::CutBody { status, headers, length, body } => (status, headers, length, body, Rest::Cut),
            Reply::Stall { status, headers, length, body } => (status, headers, length, body, Rest::Wait),
            Reply::Cut | Reply::CutRequest(_) => return,
            Reply::Silent => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
        };
        let mut text = format!("HTTP/1.1 {status} X\r\n");
        if !headers.iter().any(|(name, _)| name == "content-length") && status != 204 {
            text += &format!("content-length: {length}\r\n");
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut bytes = (text + "\r\n").into_bytes();
        if !is_head {
            bytes.extend_from_slice(&body);
        }
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
        match rest {
            Rest::Next => {}
            Rest::Cut => return,
            Rest::Wait => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
        }
    }
}

enum Rest {
    Next,
    Cut,
    Wait,
}
