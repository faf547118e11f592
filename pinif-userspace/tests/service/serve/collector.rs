//! A collector of OpenTelemetry that takes what it is sent, or misbehaves in the ways that a test wants; and keeps what it was sent.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use nix::sys::socket::{Shutdown, shutdown};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse},
        metrics::v1::ExportMetricsServiceRequest,
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
    metrics::v1::{metric::Data, number_data_point},
};
use prost::Message as _;

/// What it answers to records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It takes them.
    Take,
    /// It takes them, and the connection breaks before it says so.
    Lose,
    /// It takes none of them, and wants to be asked again after so many seconds.
    Later(u64),
    /// They are wrong.
    Refuse,
    /// It takes all but so many.
    Partly(i64),
}

/// Records that came together.
#[derive(Clone, Debug)]
pub struct Sent {
    pub records: Vec<Record>,
    pub answer: Answer,
    pub at: Instant,
}

/// A record, and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub resource: BTreeMap<String, String>,
    pub record: LogRecord,
}

/// It listens as long as this is there.
pub struct Collector {
    address: SocketAddr,
    listener: TcpListener,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    answers: VecDeque<Answer>,
    logs: Vec<Sent>,
    metrics: Vec<ExportMetricsServiceRequest>,
    ends: bool,
}

impl Collector {
    /// At a port of its own.
    pub fn new() -> Self {
        Self::of(TcpListener::bind(("127.0.0.1", 0)).expect("a port"))
    }

    /// At an address.
    pub fn of(listener: TcpListener) -> Self {
        let shared = Arc::<Shared>::default();
        let address = listener.local_addr().expect("an address");
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            let listener = listener.try_clone().expect("a descriptor");
            move || shared.answer_all(&listener)
        });
        Self {
            address,
            listener,
            shared,
            thread: Some(thread),
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What `--otlp` wants.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers so from now on, one after the other, and takes all else.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.lock().answers.extend(answers);
    }

    /// All records that were sent.
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.lock().logs.clone()
    }

    /// Waits until this is so of the records that were sent.
    pub fn wait_for<T>(&self, what: &str, is: impl Fn(&[Sent]) -> Option<T>) -> T {
        self.shared.wait(what, |state| is(&state.logs))
    }

    /// Waits until a metric with these labels has this value, and returns whose it is.
    pub fn wait_for_metric(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        value: i64,
    ) -> BTreeMap<String, String> {
        let labels: BTreeMap<_, _> = labels.iter().map(|(name, value)| (*name, *value)).collect();
        self.shared
            .wait(&format!("{name} {labels:?} {value}"), |state| {
                let all = state
                    .metrics
                    .iter()
                    .flat_map(|request| &request.resource_metrics);
                let mut found = all.filter(|metrics| {
                    let all = metrics
                        .scope_metrics
                        .iter()
                        .flat_map(|scope| &scope.metrics);
                    all.filter(|metric| metric.name == name)
                        .filter_map(|metric| match metric.data.as_ref()? {
                            Data::Sum(sum) => Some(&sum.data_points),
                            Data::Gauge(gauge) => Some(&gauge.data_points),
                            _ => None,
                        })
                        .flatten()
                        .any(|point| {
                            let attributes = texts(&point.attributes);
                            let is = attributes.iter().map(|(name, value)| (&**name, &**value));
                            point.value == Some(number_data_point::Value::AsInt(value))
                                && is.eq(labels.iter().map(|(name, value)| (*name, *value)))
                        })
                });
                let resource = found.next_back()?.resource.as_ref()?;
                Some(texts(&resource.attributes))
            })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.lock().ends = true;
        // It waits for a connection, from whichever namespace.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<T>(&self, what: &str, is: impl Fn(&State) -> Option<T>) -> T {
        let end = Instant::now() + pinif_lab::patience(Duration::from_secs(60));
        let mut state = self.lock();
        loop {
            if let Some(found) = is(&state) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} does not come: {:#?}", state.logs);
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn answer_all(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.lock().ends {
                return;
            }
            // What breaks is tried again by whoever sends it.
            if let Ok(stream) = stream {
                let _ = self.one(stream);
            }
        }
    }

    /// Answers the one request of a connection.
    fn one(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(pinif_lab::patience(Duration::from_secs(60))))?;
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        let Head {
            path,
            start,
            length,
            is_gzip,
        } = loop {
            if let Some(head) = head(&bytes) {
                break head;
            }
            match stream.read(&mut part)? {
                0 => return Ok(()),
                read => bytes.extend_from_slice(&part[..read]),
            }
        };
        let mut body = bytes.split_off(start);
        let missing = length - body.len();
        (&mut stream).take(missing as u64).read_to_end(&mut body)?;
        if is_gzip {
            let mut plain = Vec::new();
            GzDecoder::new(&*body).read_to_end(&mut plain)?;
            body = plain;
        }
        let answer = match &*path {
            "/v1/metrics" => {
                let metrics = ExportMetricsServiceRequest::decode(&*body).expect("metrics");
                self.lock().metrics.push(metrics);
                Answer::Take
            }
            "/v1/logs" => self.take(&body),
            other => panic!("there is nothing at {other}"),
        };
        let (status, headers, body) = match answer {
            Answer::Lose => {
                self.changed.notify_all();
                return Ok(());
            }
            Answer::Take => (200, String::new(), Vec::new()),
            Answer::Later(seconds) => (503, format!("Retry-After: {seconds}\r\n"), Vec::new()),
            // The `message` of a google.rpc.Status.
            Answer::Refuse => (400, String::new(), b"\x12\x09bad\nfield".to_vec()),
            Answer::Partly(rejected) => {
                let partial_success = Some(ExportLogsPartialSuccess {
                    rejected_log_records: rejected,
                    error_message: "too\nold".to_owned(),
                });
                let body = ExportLogsServiceResponse { partial_success };
                (200, String::new(), body.encode_to_vec())
            }
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
        self.changed.notify_all();
        Ok(())
    }

    fn take(&self, body: &[u8]) -> Answer {
        let logs = ExportLogsServiceRequest::decode(body).expect("records");
        let records = logs.resource_logs.into_iter().flat_map(|logs| {
            let resource = texts(&logs.resource.expect("a resource").attributes);
            let records = logs
                .scope_logs
                .into_iter()
                .flat_map(|scope| scope.log_records);
            records.map(move |record| Record {
                resource: resource.clone(),
                record,
            })
        });
        let mut state = self.lock();
        let answer = state.answers.pop_front().unwrap_or(Answer::Take);
        state.logs.push(Sent {
            records: records.collect(),
            answer,
            at: Instant::now(),
        });
        answer
    }
}

/// The head of a request.
struct Head {
    path: String,
    /// Where its body begins.
    start: usize,
    /// How long that is.
    length: usize,
    is_gzip: bool,
}

/// Of a request, once its head is there.
fn head(bytes: &[u8]) -> Option<Head> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    let length = headers.get("content-length");
    Some(Head {
        path,
        start: end + 4,
        length: length.map_or(0, |length| length.parse().expect("a length")),
        is_gzip: headers.get("content-encoding") == Some(&"gzip"),
    })
}

/// The attributes that are texts or numbers.
fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let texts = attributes.iter().filter_map(|attribute| {
        let text = match attribute.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => number.to_string(),
            _ => return None,
        };
        Some((attribute.key.clone(), text))
    });
    texts.collect()
}

impl Record {
    /// An attribute of it.
    pub fn of(&self, key: &str) -> String {
        let all = texts(&self.record.attributes);
        all.get(key).cloned().unwrap_or_default()
    }

    pub fn number(&self, key: &str) -> u64 {
        self.of(key).parse().expect(key)
    }
}

/// The newest record of each finding, by its uid, of all that was taken. What was sent more than once was the same.
pub fn newest<'a>(sent: impl IntoIterator<Item = &'a Sent>) -> BTreeMap<String, Record> {
    let mut all: BTreeMap<String, Record> = BTreeMap::new();
    let mut newest: BTreeMap<String, Record> = BTreeMap::new();
    for sent in sent {
        for record in &sent.records {
            let before = all.insert(record.of("log.record.uid"), record.clone());
            assert!(
                before.is_none_or(|before| before == *record),
                "it has changed: {record:#?}"
            );
            if matches!(sent.answer, Answer::Later(_) | Answer::Refuse) {
                continue;
            }
            let (uid, revision) = (record.of("pinif.finding.uid"), "pinif.finding.revision");
            let is_newer = |known: &Record| known.number(revision) <= record.number(revision);
            if newest.get(&uid).is_none_or(is_newer) {
                newest.insert(uid, record.clone());
            }
        }
    }
    newest
}

/// The uids of these.
pub fn uids(records: &BTreeMap<String, Record>) -> BTreeSet<&str> {
    records.keys().map(String::as_str).collect()
}
