//! The view on a terminal: the one place where keys, the auditor's answers, signals and time come together.

use std::collections::VecDeque;
use std::io::stdout;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::data::Fetched;
use super::decode::Decoder;
use super::fetch::fetch;
use super::state::{Effect, Input, Top};
use super::terminal::{self, Terminal};
use super::wanted::Wanted;
use crate::control::{Client, ClientError};
use crate::surfaces::look::Look;
use crate::text::streams;

/// How often the auditor is asked. It makes no new state more often.
pub const PERIOD: Duration = Duration::from_secs(1);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer, or why there is none.
pub type Answer = Result<Box<Fetched>, String>;

/// Asks an auditor whenever it is to, in a task of its own, so that nobody waits for it. An auditor that is lost is looked for anew.
#[derive(Debug)]
pub struct Asker {
    asks: mpsc::Sender<Wanted>,
    answers: mpsc::Receiver<Answer>,
    is_waiting: bool,
}

impl Asker {
    /// Within a tokio runtime. `find` looks for the auditor.
    pub fn new(
        client: Client,
        find: impl Fn() -> Result<Client, ClientError> + Send + 'static,
    ) -> Self {
        let (asks, mut asked) = mpsc::channel::<Wanted>(1);
        let (answer, answers) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut client = Some(client);
            while let Some(wanted) = asked.recv().await {
                let answered = match client.take().map_or_else(&find, Ok) {
                    Ok(mut found) => {
                        let answered = timeout(PATIENCE, fetch(&mut found, &wanted)).await;
                        match answered {
                            Ok(Ok(fetched)) => {
                                client = Some(found);
                                Ok(Box::new(fetched))
                            }
                            Ok(Err(error)) => Err(error.to_string()),
                            Err(_) => Err("the auditor does not answer".to_owned()),
                        }
                    }
                    Err(error) => Err(error.to_string()),
                };
                if answer.send(answered).await.is_err() {
                    break;
                }
            }
        });
        Self {
            asks,
            answers,
            is_waiting: false,
        }
    }

    /// Asks, unless an answer is waited for; says whether it has.
    pub fn ask(&mut self, wanted: Wanted) -> bool {
        let asks = !self.is_waiting && self.asks.try_send(wanted).is_ok();
        self.is_waiting |= asks;
        asks
    }

    /// The next answer.
    ///
    /// # Errors
    ///
    /// That there will be none any more, since the task has ended by a mistake of ours.
    pub async fn answer(&mut self) -> Result<Answer> {
        let answer = self.answers.recv().await;
        self.is_waiting = false;
        answer.context("the auditor cannot be asked any more")
    }
}

/// Signals that end a view, stop it, have it go on, and say that the terminal has another size.
struct Signals {
    ends: [Signal; 4],
    stop: Signal,
    goes_on: Signal,
    resize: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let catch = |kind| signal(kind).context("a signal cannot be handled");
        Ok(Self {
            ends: [
                catch(SignalKind::hangup())?,
                catch(SignalKind::interrupt())?,
                catch(SignalKind::quit())?,
                catch(SignalKind::terminate())?,
            ],
            stop: catch(SignalKind::from_raw(libc::SIGTSTP))?,
            goes_on: catch(SignalKind::from_raw(libc::SIGCONT))?,
            resize: catch(SignalKind::window_change())?,
        })
    }

    async fn end(ends: &mut [Signal; 4]) {
        let ends = ends.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(ends).await;
    }
}

/// Shows an auditor until the user has seen enough, or the terminal has gone.
///
/// # Errors
///
/// When the auditor gives no first answer, or the terminal cannot be had.
pub async fn watch(
    find: impl Fn() -> Result<Client, ClientError> + Send + 'static,
    look: Look,
) -> Result<()> {
    match show(find, look).await {
        // It may be drawn on before it is known to be gone.
        Err(_) if streams::has_hung_up(stdout()) => Ok(()),
        outcome => outcome,
    }
}

async fn show(
    find: impl Fn() -> Result<Client, ClientError> + Send + 'static,
    look: Look,
) -> Result<()> {
    let mut client = find()?;
    let first = fetch(&mut client, &Wanted::default()).await?;
    let mut asker = Asker::new(client, find);
    let mut signals = Signals::new()?;
    let mut terminal = Terminal::take().context("the terminal cannot be used")?;
    let start = Instant::now();
    let mut top = Top::new(look, columns_and_lines());
    let mut typed = terminal::read()?;
    let mut decoder = Decoder::default();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_due = false;
    let mut effect = top.on(Input::Fetched(Box::new(first)), start.elapsed());
    let mut keys = VecDeque::new();
    loop {
        match effect {
            Effect::Quit => return Ok(()),
            Effect::Suspend => terminal.suspend()?,
            Effect::Redraw => terminal.clear()?,
            Effect::Ask => is_due = true,
            Effect::Draw | Effect::Nothing => {}
        }
        if effect == Effect::Suspend {
            top.on(resized(), start.elapsed());
        }
        if effect != Effect::Nothing {
            terminal.draw(|frame| top.draw(frame))?;
        }
        if is_due {
            is_due = top.wanted().is_some_and(|wanted| !asker.ask(wanted));
        }
        if let Some(key) = keys.pop_front() {
            effect = top.on(Input::Key(key), start.elapsed());
            continue;
        }
        let input = tokio::select! {
            biased;
            () = Signals::end(&mut signals.ends) => return Ok(()),
            () = streams::closed() => return Ok(()),
            _ = signals.stop.recv() => {
                terminal.suspend()?;
                resized()
            }
            _ = signals.goes_on.recv() => {
                terminal.resume()?;
                resized()
            }
            _ = signals.resize.recv() => resized(),
            bytes = typed.recv() => match bytes {
                Some(bytes) => {
                    keys.extend(decoder.keys(&bytes));
                    effect = Effect::Nothing;
                    continue;
                }
                // The terminal has gone.
                None => return Ok(()),
            },
            answer = asker.answer() => match answer? {
                Ok(fetched) => Input::Fetched(fetched),
                Err(why) => Input::Lost(why),
            },
            _ = ticks.tick() => {
                is_due = true;
                Input::Tick
            }
        };
        effect = top.on(input, start.elapsed());
    }
}

fn resized() -> Input {
    let (columns, lines) = columns_and_lines();
    Input::Resize(columns, lines)
}

fn columns_and_lines() -> (u16, u16) {
    let size = terminal::size();
    (size.width, size.height)
}
