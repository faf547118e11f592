//! The hooks: thin, and none of them changes what happens, but that egress drops, and refuse and join refuse, what must not leave
//! where it is enforced.

mod attachments;
mod bind;
mod bypass;
mod connect;
mod egress;
mod entry;
mod existing;
mod heard;
mod ingress;
mod join;
mod refuse;
mod setsockopt;
mod socket;
mod task_file;

/// What a cgroup hook answers so that the system call goes on.
const ALLOW: i32 = 1;
/// What it answers to end it: the caller gets `EPERM`.
const REFUSE: i32 = 0;
