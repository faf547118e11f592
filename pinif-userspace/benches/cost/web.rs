//! As much of HTTP/1.1 as this needs: a message to a server, each on a connection of its own as `pinif serve` sends them, and a server that
//! keeps what it is sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// How long a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A request that was taken.
pub struct Request {
    pub path: String,
    pub body: Vec<u8>,
}

/// Takes whatever is sent to it, as long as the receiver is there.
pub fn listen() -> Result<(SocketAddr, Receiver<Request>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let (sender, requests) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Ok(request) = take(&stream)
                && sender.send(request).is_err()
            {
                return;
            }
        }
    });
    Ok((address, requests))
}

fn take(stream: &TcpStream) -> Result<Request> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let mut stream = stream;
    stream.write_all(answer.as_bytes())?;
    let path = first.split(' ').nth(1).context("no path")?.to_owned();
    Ok(Request { path, body })
}

/// Sends a body, and waits until it is taken.
///
/// # Errors
/// Where it is not.
pub fn post(to: SocketAddr, path: &str, content: &str, body: &[u8]) -> Result<()> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {to}\r\nContent-Type: {content}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    exchange(to, &head, body).map(drop)
}

/// The body of an answer.
///
/// # Errors
/// Where there is none.
pub fn get(from: SocketAddr, path: &str) -> Result<String> {
    // An answer to 1.0 has no chunks.
    let head = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    exchange(from, &head, &[])
}

fn exchange(with: SocketAddr, head: &str, body: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(with)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    ensure!(status.starts_with('2'), "{head}: {answer}");
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .context("an answer has no end")?;
    Ok(body.to_owned())
}
