//! The hooks: thin, and none of them changes what happens, but that egress drops what must not leave where it is enforced.

mod bind;
mod bypass;
mod connect;
mod egress;
mod existing;
mod ingress;
mod setsockopt;
mod socket;

/// What a cgroup hook answers so that the system call goes on.
const ALLOW: i32 = 1;
