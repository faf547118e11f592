//! The contract between pinif's kernel programs and its userspace, and the decision itself.
#![cfg_attr(not(test), no_std)]
