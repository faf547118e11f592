//! What answers the card's programs, elsewhere.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;

use pinif_lab::Namespace;

use super::lines::{Lines, Next};

/// A program that serves in a namespace; ended when dropped.
pub struct Server {
    child: Child,
    stdout: Lines,
}

impl Server {
    /// Starts it, and waits until it says on standard output that it serves.
    pub fn start(namespace: &Namespace, program: &str, arguments: &str, serves: &str) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let child = namespace
            .run(|| command.spawn())
            .expect("the namespace is there");
        let mut child = child.expect("the program is installed");
        let server = Self {
            stdout: Lines::of(child.stdout.take().expect("piped")),
            child,
        };
        loop {
            match server.stdout.next() {
                Next::Line(line) if line.contains(serves) => return server,
                Next::Line(_) => (),
                Next::End => panic!("{program} ended before it said {serves:?}"),
                Next::Silence => panic!("{program} never said {serves:?}"),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Answers one request of HTTP.
pub fn serve(namespace: &Namespace, address: &str) -> thread::JoinHandle<()> {
    serve_after(namespace, address, || ())
}

/// Answers one request of HTTP, once something has returned.
pub fn serve_after(
    namespace: &Namespace,
    address: &str,
    wait: impl FnOnce() + Send + 'static,
) -> thread::JoinHandle<()> {
    let listener = namespace
        .run(|| TcpListener::bind(address))
        .expect("the namespace")
        .expect("a free port");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            let length = stream.read(&mut buffer).expect("a request");
            assert_ne!(length, 0, "the request ended early");
            request.extend(&buffer[..length]);
        }
        wait();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).expect("curl reads");
    })
}
