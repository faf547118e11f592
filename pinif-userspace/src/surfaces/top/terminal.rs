//! The terminal: taken as a whole, and given back whatever happens.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Read as _, Stdout, Write as _, stdout};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd as _;
use std::sync::Once;
use std::thread;

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::Pid;
use ratatui_core::layout::{Position, Rect, Size};
use ratatui_core::terminal::{Frame, TerminalOptions, Viewport};
use ratatui_crossterm::CrosstermBackend;
use terminal_size::{Height, Width, terminal_size_of};
use tokio::sync::mpsc;

/// How many bytes are gathered before they are written: most frames have fewer.
const BUFFER: usize = 1 << 16;

/// The terminal of standard output, of which this has the whole screen. It is as it was before once this is dropped, and before a
/// panic is reported.
#[derive(Debug)]
pub struct Terminal {
    /// Never dropped: where the terminal has gone, that would print so, and panic since it cannot be printed.
    screen: ManuallyDrop<Screen>,
}

type Screen = ratatui_core::terminal::Terminal<CrosstermBackend<BufWriter<Stdout>>>;

impl Terminal {
    /// Takes the screen.
    ///
    /// # Errors
    ///
    /// When the terminal does not let itself be set, or written to.
    pub fn take() -> io::Result<Self> {
        give_back_before_panics();
        let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER, stdout()));
        let taken = enter();
        let area = Rect::from((Position::ORIGIN, size()));
        // What is drawn on is measured here: crossterm measures the session's terminal, which may be another.
        let viewport = Viewport::Fixed(area);
        let screen =
            taken.and_then(|()| Screen::with_options(backend, TerminalOptions { viewport }));
        match screen {
            Ok(screen) => Ok(Self {
                screen: ManuallyDrop::new(screen),
            }),
            Err(error) => {
                leave();
                Err(error)
            }
        }
    }

    /// Draws what has changed.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be written to.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if self.screen.get_frame().area().as_size() != size() {
            self.clear()?;
        }
        self.screen.draw(draw).map(drop)
    }

    /// Has all of it drawn anew by the next `draw`.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be written to.
    pub fn clear(&mut self) -> io::Result<()> {
        // Not `clear`, which asks the terminal where its cursor is: not each answers.
        self.screen.resize(Rect::from((Position::ORIGIN, size())))
    }

    /// Gives the terminal back and stops with all of its job, as a program does that knows nothing of Ctrl-Z; takes it again once
    /// the shell has it go on.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be taken again.
    pub fn suspend(&mut self) -> io::Result<()> {
        leave();
        stop()?;
        self.resume()
    }

    /// Takes the terminal again after others had it.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be taken again.
    pub fn resume(&mut self) -> io::Result<()> {
        // Whoever had it has set it as it was before, which is not known here.
        disable_raw_mode()?;
        enter()?;
        self.clear()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        leave();
    }
}

/// What is typed from now on, until the terminal goes. It is read by a thread of its own: a terminal is shared with others, so that it
/// cannot be set to be read without waiting.
///
/// # Errors
///
/// When there is no terminal to be typed on.
pub fn read() -> io::Result<mpsc::Receiver<Vec<u8>>> {
    let mut keyboard: File = if io::stdin().is_terminal() {
        io::stdin().as_fd().try_clone_to_owned()?.into()
    } else {
        File::open("/dev/tty")?
    };
    let (typed, reader) = mpsc::channel(16);
    thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || {
            let mut bytes = [0; 1024];
            loop {
                match keyboard.read(&mut bytes) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(read @ 1..) if typed.blocking_send(bytes[..read].to_vec()).is_ok() => {}
                    // It has gone, or nobody waits for keys any more.
                    Ok(_) | Err(_) => return,
                }
            }
        })?;
    Ok(reader)
}

/// How many columns and lines the terminal of standard output has. One that no longer says
/// (`TIOCGWINSZ`: ioctl_tty(2)) is taken for what most terminals have been since the VT100.
pub fn size() -> Size {
    let (Width(width), Height(height)) =
        terminal_size_of(stdout()).unwrap_or((Width(80), Height(24)));
    Size { width, height }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, Hide)
}

/// A terminal that has gone needs nothing.
fn leave() {
    let _ = execute!(stdout(), Show, LeaveAlternateScreen);
    let _ = stdout().flush();
    let _ = disable_raw_mode();
}

/// What is written of a panic is to be read.
fn give_back_before_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            report(panic);
        }));
    });
}

/// Stops all processes of the job by `SIGTSTP`, which stops none that no shell would have go on again (POSIX, orphaned process
/// groups).
fn stop() -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: it is the kernel's own action: no code of ours runs.
    let before = unsafe { sigaction(Signal::SIGTSTP, &default) }?;
    let stopped = kill(Pid::from_raw(0), Signal::SIGTSTP);
    // SAFETY: the action that there was.
    unsafe { sigaction(Signal::SIGTSTP, &before) }?;
    Ok(stopped?)
}
