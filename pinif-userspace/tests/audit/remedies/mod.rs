//! Every remedy is carried out, to the letter, as pinif printed it: the finding is gone then, no other comes, and the traffic arrives where
//! it can. Case 30 of docs/developers/scenarios.md.

mod addresses;
mod arrivals;
mod devices;
mod ipv6;
mod kernel;
mod link_local;
mod links;
mod policies;
