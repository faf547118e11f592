//! An option of a socket as a hook at `setsockopt()` sees it (`struct bpf_sockopt`).

use aya_ebpf::bindings::{bpf_sock, bpf_sockopt};
use pinif_ebpf::groups::{self, Request, Words};

macro_rules! member {
    ($context:expr, $($member:ident).+) => {
        // SAFETY: the context is valid, and the verifier checks the access.
        unsafe { (&raw const (*$context).$($member).+).read_volatile() }
    };
}

/// The option.
#[derive(Clone, Copy)]
pub struct SockOption(*mut bpf_sockopt);

impl SockOption {
    /// That of a hook's context.
    #[inline(always)]
    pub fn of(context: *mut bpf_sockopt) -> Self {
        Self(context)
    }

    /// The context, as a step takes it.
    #[inline(always)]
    pub fn context(self) -> *mut bpf_sockopt {
        self.0
    }

    /// Its level and its name.
    #[inline(always)]
    pub fn name(self) -> (i32, i32) {
        (member!(self.0, level), member!(self.0, optname))
    }

    /// What it asks of a group; none of another option.
    #[inline(always)]
    pub fn about_group(self) -> Option<Request> {
        let (level, name) = self.name();
        groups::request(level, name)
    }

    /// Whether a program of a cgroup below has done what was asked for, and the kernel is to do nothing.
    #[inline(always)]
    pub fn is_done(self) -> bool {
        member!(self.0, optlen) < 0
    }

    /// The socket; may be null, as far as the verifier knows.
    #[inline(always)]
    pub fn sock(self) -> *mut bpf_sock {
        member!(self.0, __bindgen_anon_1.sk)
    }

    /// Has the kernel take the caller's own buffer, whatever its length: a value of more than a page would fail else
    /// (`__cgroup_bpf_run_filter_setsockopt`).
    #[inline(always)]
    pub fn leave(self) {
        self.set_length(0);
    }

    /// Has the kernel take the value that is here, where all of it is: what another hook has written into it, or judged, while another
    /// thread writes to the caller's buffer. What is longer than a hook sees is left.
    #[inline(always)]
    pub fn keep(self) {
        if member!(self.0, optlen) as usize > self.room() {
            self.leave();
        }
    }

    /// Puts a word into the value, which is then at least so long, and has the kernel take that. False where the value is longer than
    /// what a hook may change, and where another program has hidden how long it is.
    #[inline(always)]
    pub fn put(self, at: usize, word: u32) -> bool {
        let length = member!(self.0, optlen);
        let (start, end) = self.value();
        if length <= 0 || length as usize > self.room() || start as usize + at + 4 > end as usize {
            return false;
        }
        // SAFETY: within the bounds that were just compared, which the verifier follows.
        unsafe { start.add(at).cast::<u32>().write_volatile(word) };
        let least = (at + 4) as i32;
        self.set_length(if length < least { least } else { length });
        true
    }

    /// The first byte of the value, or of the copy that a hook sees of it, and the one behind its last.
    #[inline(always)]
    pub fn value(self) -> (*mut u8, *mut u8) {
        let start: *mut u8 = member!(self.0, __bindgen_anon_2.optval).cast();
        let end: *mut u8 = member!(self.0, __bindgen_anon_3.optval_end).cast();
        (start, end)
    }

    /// Eight bytes of the value, where it has so many.
    #[inline(always)]
    pub fn double_word(self, at: usize) -> Option<u64> {
        let (start, end) = self.value();
        if start as usize + at + 8 > end as usize {
            return None;
        }
        // SAFETY: within the bounds that were just compared, which the verifier follows.
        Some(unsafe { start.add(at).cast::<u64>().read_volatile() })
    }

    #[inline(always)]
    fn room(self) -> usize {
        let (start, end) = self.value();
        (end as usize).wrapping_sub(start as usize)
    }

    #[inline(always)]
    fn set_length(self, length: i32) {
        // SAFETY: the context is writable in this kind of program.
        unsafe { (&raw mut (*self.0).optlen).write_volatile(length) };
    }
}

impl Words for SockOption {
    #[inline(always)]
    fn word(&self, at: usize) -> Option<u32> {
        let (start, end) = self.value();
        if start as usize + at + 4 > end as usize {
            return None;
        }
        // SAFETY: within the bounds that were just compared, which the verifier follows.
        Some(unsafe { start.add(at).cast::<u32>().read_volatile() })
    }
}
