//! The hooks: thin, and none of them changes what happens, but that egress drops, and refuse refuses, what must not leave
//! where it is enforced.

mod bind;
mod bypass;
mod connect;
mod egress;
mod existing;
mod ingress;
mod refuse;
mod setsockopt;
mod socket;
mod task_file;

/// What a cgroup hook answers so that the system call goes on.
const ALLOW: i32 = 1;
