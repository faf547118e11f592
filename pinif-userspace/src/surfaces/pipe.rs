//! A pipe that is written to without waiting for its reader.

use std::{
    fs::{File, metadata},
    io::Write as _,
    os::{
        fd::{AsFd, AsRawFd as _},
        unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    },
};

/// The writing end of a pipe, as an open file description of its own: that it does not block holds for nobody else who writes to the pipe.
#[derive(Debug)]
pub struct Pipe(File);

impl Pipe {
    /// Opens what a descriptor is once more (proc_pid_fd(5)). Nothing, where that is no pipe, or may not be opened again.
    pub fn again(descriptor: &impl AsFd) -> Option<Self> {
        let path = format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd());
        // Before it is opened: a device may do something by being opened.
        if !metadata(&path).ok()?.file_type().is_fifo() {
            return None;
        }
        let mut options = File::options();
        let nonblocking = options.write(true).custom_flags(libc::O_NONBLOCK);
        nonblocking.open(path).ok().map(Self)
    }

    /// Writes all of it, or nothing: as much as `PIPE_BUF` bytes is written as one (pipe(7)).
    pub fn takes(&self, bytes: &[u8]) -> bool {
        bytes.len() <= libc::PIPE_BUF && (&self.0).write(bytes).is_ok_and(|n| n == bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, pipe};

    use super::*;

    #[test]
    fn a_line_is_written_whole_or_not_and_nobody_waits() -> std::io::Result<()> {
        let (mut reader, writer) = pipe()?;
        let pipe = Pipe::again(&writer).expect("a pipe can be opened again");
        let line = [b'.'; 1000];
        let taken = (0..1000).take_while(|_| pipe.takes(&line)).count();
        assert!((16..1000).contains(&taken), "{taken} lines have room");
        assert!(!pipe.takes(&vec![b'.'; libc::PIPE_BUF + 1]));
        drop((pipe, writer));
        let mut all = Vec::new();
        reader.read_to_end(&mut all)?;
        assert_eq!(all.len(), taken * line.len());
        Ok(())
    }

    #[test]
    fn whoever_else_writes_still_waits() -> std::io::Result<()> {
        let (_reader, writer) = pipe()?;
        let _again = Pipe::again(&writer).expect("a pipe can be opened again");
        let flags = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETFL)?;
        assert_eq!(flags & libc::O_NONBLOCK, 0);
        Ok(())
    }

    #[test]
    fn what_is_no_pipe_is_not_opened() -> std::io::Result<()> {
        assert!(Pipe::again(&File::open("/dev/null")?).is_none());
        assert!(Pipe::again(&File::open("/proc/self/exe")?).is_none());
        Ok(())
    }

    #[test]
    fn what_nobody_reads_takes_nothing() -> std::io::Result<()> {
        let (reader, writer) = pipe()?;
        let pipe = Pipe::again(&writer).expect("a pipe can be opened again");
        drop(reader);
        assert!(!pipe.takes(b"a line\n"));
        Ok(())
    }
}
