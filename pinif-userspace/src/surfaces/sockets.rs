//! A socket in the words of a table. Names of processes and interfaces are as somebody chose them: whoever shows them makes them safe.

use anstyle::Style;

use super::look;
use crate::{
    findings::{flow::protocol_name, names::severity_named},
    survey::{Risk, Socket},
    text::words::listed,
};

/// In which style its risk is shown.
pub fn style(socket: &Socket<'_>) -> Style {
    let severity = socket.severity.as_deref().and_then(severity_named);
    severity.map_or_else(look::faint, look::of_severity)
}

/// The device that it is bound to.
pub fn bound<'s>(socket: &'s Socket<'_>) -> &'s str {
    socket.bound_device.as_deref().unwrap_or("·")
}

/// The interfaces that it would leave via.
pub fn via(socket: &Socket<'_>) -> String {
    if let Some(interface) = &socket.leaves_by {
        return interface.to_string();
    }
    if !socket.leaves_by_any_of.is_empty() {
        return listed(&socket.leaves_by_any_of, "or");
    }
    match &socket.default_interface {
        Some(default) => format!("any ({default})"),
        None if socket.risk == Risk::Stuck.name() => "none".to_owned(),
        None => "any".to_owned(),
    }
}

/// Who has it.
pub fn process(socket: &Socket<'_>) -> String {
    let Some(first) = socket.processes.first() else {
        return "unknown".to_owned();
    };
    let more = match socket.processes.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    format!("{} ({}){more}", first.comm, first.number())
}

/// Its protocol and its ends.
pub fn ends(socket: &Socket<'_>) -> String {
    let mut text = match &*socket.protocol {
        "packet" => "packet".to_owned(),
        protocol => match protocol.strip_prefix("raw ") {
            Some(protocol) => format!("raw {}", protocol_name(protocol)),
            None => protocol_name(protocol),
        },
    };
    if let Some(local) = &socket.local {
        text.push_str(&format!(" {local}"));
    }
    match &socket.remote {
        Some(remote) => text.push_str(&format!(" → {remote}")),
        None if socket.state == "listen" => text.push_str(" listening"),
        None => {}
    }
    text
}
