//! One timer for all that is done on time: it wakes the process once, when the first of it is due.
//!
//! A timer of tokio's for some seconds wakes it several times, to sort it anew each time that it is nearer.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::{
    io::Errno,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};
use tokio::io::{Interest, unix::AsyncFd};

/// How long before its time something is done with what is due now: pinif wakes once for both.
pub(super) const TOGETHER: Duration = Duration::from_millis(100);

/// What wakes it (timerfd_create(2)).
pub(super) struct Timer {
    descriptor: AsyncFd<OwnedFd>,
    /// What it is set to.
    set: Option<Instant>,
}

impl Timer {
    /// One that is not set. Within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(super) fn new() -> Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)
            .context("the kernel gives no timer (timerfd_create)")?;
        Ok(Self {
            // SAFETY: the descriptor owns itself, and neither closes nor changes before it is dropped.
            descriptor: unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE)? },
            set: None,
        })
    }

    /// Ready at this time; never, if there is none. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(super) async fn at(&mut self, time: Option<Instant>) -> io::Result<()> {
        while let Some(rest) = rest(time) {
            if self.set != time {
                self.set(rest)?;
                self.set = time;
            }
            let mut guard = self.descriptor.readable().await?;
            match rustix::io::read(guard.get_inner(), &mut [0; 8]) {
                // It is over, and perhaps not this one.
                Ok(_) => self.set = None,
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sets it to go off after so long; a rest of nothing would be never, and so it is not given.
    fn set(&self, rest: Option<Duration>) -> io::Result<()> {
        let mut value = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::default(),
        };
        if let Some(rest) = rest {
            let seconds = i64::try_from(rest.as_secs()).unwrap_or(i64::MAX);
            value.it_value.tv_sec = seconds;
            value.it_value.tv_nsec = rest.subsec_nanos().into();
        }
        let none = TimerfdTimerFlags::empty();
        timerfd_settime(self.descriptor.get_ref(), none, &value)?;
        Ok(())
    }
}

/// What is left until a time, where that is to be waited for: for ever, where there is no time. Nothing, where it is over.
fn rest(time: Option<Instant>) -> Option<Option<Duration>> {
    let Some(time) = time else { return Some(None) };
    let rest = time.saturating_duration_since(Instant::now());
    (!rest.is_zero()).then_some(Some(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_ready_at_its_time_whatever_it_was_set_to_before() -> Result<()> {
        let mut timer = Timer::new()?;
        let start = Instant::now();
        let after = |millis| Some(start + Duration::from_millis(millis));
        for time in [None, after(60_000), after(1)] {
            tokio::select! {
                biased;
                outcome = timer.at(time) => outcome?,
                () = std::future::ready(()) => {}
            }
        }
        timer.at(after(20)).await?;
        assert!(start.elapsed() >= Duration::from_millis(20));
        // What is over is not waited for.
        timer.at(after(10)).await?;
        timer.at(after(30)).await?;
        assert!(start.elapsed() >= Duration::from_millis(30));
        Ok(())
    }
}
