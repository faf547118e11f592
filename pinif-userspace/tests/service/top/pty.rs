//! A program on a pseudo-terminal, and what a person would see there.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::{Pid, setsid};
use pinif_lab::patience;

/// How long what is waited for may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// `TIOCVHANGUP` of asm-generic/ioctls.h.
const TIOCVHANGUP: libc::Ioctl = 0x5437;

/// A program on a terminal of its own; killed when dropped.
pub struct Pty {
    child: Child,
    master: File,
    /// Kept, so that the terminal's settings can be looked at once the program has ended.
    slave: Option<OwnedFd>,
    before: Termios,
    output: Receiver<Vec<u8>>,
    /// All that was written so far.
    written: Vec<u8>,
    parser: vt100::Parser,
}

/// How the program is on its terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// It leads a session of its own, whose terminal it is: it is sent SIGHUP when that goes.
    Own,
    /// It is in the session of the tests: the terminal is only where it writes to.
    Ours,
}

fn size((columns, lines): (u16, u16)) -> Winsize {
    Winsize {
        ws_row: lines,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn non_zero((columns, lines): (u16, u16)) -> (NonZeroU16, NonZeroU16) {
    let one = |number| NonZeroU16::new(number).expect("no terminal has none");
    (one(lines), one(columns))
}

impl Pty {
    /// Starts a command on a terminal of this size.
    pub fn start(mut command: Command, columns_and_lines: (u16, u16), session: Session) -> Self {
        let pty = openpty(&size(columns_and_lines), None).expect("a pseudo-terminal");
        let before = tcgetattr(&pty.slave).expect("a terminal");
        let stream = || pty.slave.try_clone().expect("a descriptor");
        command.stdin(stream()).stdout(stream()).stderr(stream());
        if session == Session::Own {
            // SAFETY: both are system calls alone, and allocate nothing.
            unsafe {
                command.pre_exec(|| {
                    setsid()?;
                    if libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                    Ok(())
                });
            }
        }
        let child = command.spawn().expect("cannot start pinif");
        drop(command);
        let master = File::from(pty.master);
        let (sender, output) = channel();
        let mut reader = master.try_clone().expect("a descriptor");
        std::thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            // EIO says that nobody has the terminal open any more.
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let (lines, columns) = non_zero(columns_and_lines);
        Self {
            child,
            master,
            slave: Some(pty.slave),
            before,
            output,
            written: Vec::new(),
            parser: vt100::Parser::new(lines, columns, 0),
        }
    }

    /// What is seen.
    pub fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// The lines that are seen.
    pub fn lines(&self) -> Vec<String> {
        let (_, columns) = self.screen().size();
        let lines = self.screen().rows(0, columns.get());
        lines.map(|line| line.trim_end().to_owned()).collect()
    }

    /// Waits until something is seen.
    #[track_caller]
    pub fn wait(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + patience(PATIENCE);
        while !holds(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("waited too long until {what}:\n{}", self.lines().join("\n"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended before {what}:\n{}", self.lines().join("\n"))
                }
            }
        }
    }

    /// Waits until these words are seen.
    #[track_caller]
    pub fn wait_for(&mut self, words: &str) {
        self.wait(&format!("`{words}` is seen"), |pty| {
            pty.screen().contents().contains(words)
        });
    }

    fn take(&mut self, bytes: &[u8]) {
        self.written.extend_from_slice(bytes);
        self.parser.process(bytes);
    }

    /// All that was written so far.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// Presses keys.
    pub fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, columns_and_lines: (u16, u16)) {
        let size = size(columns_and_lines);
        // SAFETY: the descriptor is a terminal's, and the size is what is read.
        let done =
            unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(done, 0, "the terminal can have another size");
        let (lines, columns) = non_zero(columns_and_lines);
        self.parser.screen_mut().set_size(lines, columns);
    }

    /// The process's number.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a small number"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it runs");
    }

    /// The terminal hangs up: whoever showed it has gone.
    pub fn hang_up(&mut self) {
        let slave = self.slave.take().expect("the terminal is there");
        // What the kernel does to it when the last descriptor of its other end is closed (`pty_close`). The thread that reads has one.
        // SAFETY: the descriptor is a terminal's, and nothing is passed.
        let done = unsafe { libc::ioctl(slave.as_raw_fd(), TIOCVHANGUP) };
        assert_eq!(done, 0, "root may hang up any terminal");
    }

    /// Waits until it has ended, with all that it wrote; how, and after what time.
    #[track_caller]
    pub fn end(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        let deadline = start + patience(PATIENCE);
        let status = loop {
            // A pidfd would be an event; what it writes until then is one as well, and it ends at once.
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "it goes on:\n{}",
                self.lines().join("\n")
            );
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(10)) {
                self.take(&bytes);
            }
        };
        let took = start.elapsed();
        self.take_rest();
        (status, took)
    }

    /// Takes what was written before the end.
    fn take_rest(&mut self) {
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(100)) {
            self.take(&bytes);
        }
    }

    /// The terminal is as it was before the program: no screen of its own, a cursor, the settings.
    #[track_caller]
    pub fn is_given_back(&self) {
        assert!(!self.screen().alternate_screen(), "it has the screen");
        assert!(!self.screen().hide_cursor(), "it has the cursor");
        let slave = self.slave.as_ref().expect("the terminal is there");
        let after = tcgetattr(slave).expect("a terminal");
        assert_eq!(after, self.before, "it has the settings");
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
