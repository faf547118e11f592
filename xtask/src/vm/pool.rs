//! The machines as one pool of work: as many at a time as there are processors, the longest first.

use std::{
    panic::resume_unwind,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// More shares of a kernel's tests than this spend more time on booting than they save.
const MAX_SHARES: usize = 8;

/// A part of the tests on one kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The kernel's place among those that run.
    pub kernel: usize,
    /// Which share, from 1.
    pub number: usize,
    /// Of how many.
    pub of: usize,
}

/// Divides the tests on each kernel among the processors, so that each has as much of every kernel to do. The older a
/// kernel is, the longer it takes to verify programs: with the oldest first, the last shares to end are short ones.
pub fn shares(kernels: usize, processors: usize) -> Vec<Share> {
    let of = processors.clamp(1, MAX_SHARES);
    (0..kernels)
        .flat_map(|kernel| (1..=of).map(move |number| Share { kernel, number, of }))
        .collect()
}

/// How many machines run at a time.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Does all jobs, so many at a time, begun in their order; the results are in the same.
pub fn in_parallel<J: Sync, R: Send>(
    workers: usize,
    jobs: &[J],
    job: impl Fn(&J) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(current) = jobs.get(index) else {
                return done;
            };
            done.push((index, job(current)));
        }
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers.clamp(1, jobs.len().max(1)))
            .map(|_| scope.spawn(work))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn each_processor_has_a_share_of_each_kernel_the_oldest_first() {
        let share = |kernel, number| Share {
            kernel,
            number,
            of: 2,
        };
        assert_eq!(
            shares(2, 2),
            [share(0, 1), share(0, 2), share(1, 1), share(1, 2)]
        );
        assert_eq!(shares(1, 0).len(), 1);
        assert_eq!(shares(3, 1).len(), 3);
        assert_eq!(shares(1, 1000).len(), MAX_SHARES);
        assert_eq!(shares(0, 2), []);
    }

    #[test]
    fn all_jobs_are_done_once_and_their_results_are_in_order() {
        for workers in [0, 1, 2, 7, 100] {
            let jobs: Vec<_> = (0..20).collect();
            let results = in_parallel(workers, &jobs, |job| job * 2);
            assert_eq!(results, jobs.iter().map(|job| job * 2).collect::<Vec<_>>());
        }
        assert!(in_parallel(2, &[0; 0], |job| *job).is_empty());
    }

    #[test]
    fn so_many_run_at_a_time() {
        // Neither of two ends before the other has begun.
        let both = Barrier::new(2);
        in_parallel(2, &[(), (), (), ()], |()| both.wait());
    }
}
