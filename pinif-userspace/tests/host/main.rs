//! What the laboratory makes, and what pinif knows of the host: real namespaces, interfaces, routes and sockets.

mod card;
mod interpreter;
mod lab;
mod namespaces;
mod network;
mod routing;
mod rules;
mod sockets;
