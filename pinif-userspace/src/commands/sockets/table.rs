//! Sockets as a table for people.

use crate::{
    surfaces::{
        grid::{Grid, Text},
        look::{self, Look},
    },
    survey::{Leaves, SurveyedSocket},
    text::escape::visible,
};

/// The table, a line a socket. Names of processes and interfaces are made safe to show.
pub(super) fn render(sockets: &[SurveyedSocket], look: Look, columns: Option<usize>) -> String {
    let several = sockets
        .windows(2)
        .any(|pair| pair[0].netns != pair[1].netns);
    let mut headings = vec!["risk", "process", "socket", "bound to", "leaves via", "why"];
    if several {
        headings.insert(1, "namespace");
    }
    let grid = Grid {
        headings: headings
            .into_iter()
            .map(|text| Text::left(text).styled(look::strong()))
            .collect(),
        rows: sockets.iter().map(|socket| row(socket, several)).collect(),
    };
    if sockets.is_empty() {
        return String::new();
    }
    grid.render(look, columns, |_| false)
}

fn row(socket: &SurveyedSocket, several: bool) -> Vec<Text> {
    let style = socket
        .risk
        .severity()
        .map_or_else(look::faint, look::of_severity);
    let mut row = vec![
        Text::left(socket.risk.name()).styled(style),
        Text::left(processes(socket)),
        Text::left(ends(socket)),
        Text::left(match &socket.bound_device {
            Some(device) => visible(device).into_owned(),
            None => "·".to_owned(),
        }),
        Text::left(match &socket.leaves {
            Leaves::Via { interface, .. } => visible(interface).into_owned(),
            Leaves::Any {
                default: Some(default),
            } => format!("any ({})", visible(default)),
            Leaves::Any { default: None } => "any".to_owned(),
            Leaves::None { .. } => "none".to_owned(),
        }),
        Text::left(visible(&socket.why)),
    ];
    if several {
        row.insert(1, Text::left(visible(&socket.netns)));
    }
    row
}

fn processes(socket: &SurveyedSocket) -> String {
    let Some(first) = socket.processes.first() else {
        return "unknown".to_owned();
    };
    let more = match socket.processes.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    format!("{} ({}){more}", visible(&first.comm), first.number())
}

fn ends(socket: &SurveyedSocket) -> String {
    let mut text = socket.protocol.clone();
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
