//! The page for a browser: files that are part of the program, and no address elsewhere. What is on it comes from `/v1/…` of this server,
//! read by its scripts.
//!
//! Names of processes and interfaces are data there, too: the browser is not allowed to run or to load anything but these files
//! (Content Security Policy Level 3), and the scripts only ever make text of what they read.

use axum::{
    Router,
    body::Body,
    extract::RawQuery,
    http::{HeaderName, HeaderValue, StatusCode, header},
    routing::get,
};

use crate::control::{
    answer::{Answer, Refused, with},
    question::nothing_asked,
};

/// Where the page is.
pub const PATH: &str = "/";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
/// RFC 9239.
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A file of the page.
#[derive(Clone, Copy, Debug)]
struct File {
    /// Where it is asked for.
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

/// The files of a folder beside this one, each at its own name below `/page/`.
macro_rules! files {
    ($($name:literal $content_type:ident),* $(,)?) => {
        [
            File { path: PATH, content_type: HTML, text: include_str!("page/index.html") },
            $(File {
                path: concat!("/page/", $name),
                content_type: $content_type,
                text: include_str!(concat!("page/", $name)),
            }),*
        ]
    };
}

/// All that the page is made of.
const FILES: &[File] = &files![
    "icon.svg" IMAGE,
    "colours.css" STYLE,
    "layout.css" STYLE,
    "parts.css" STYLE,
    "card.js" SCRIPT,
    "dom.js" SCRIPT,
    "finding.js" SCRIPT,
    "findings.js" SCRIPT,
    "foreseen.js" SCRIPT,
    "header.js" SCRIPT,
    "main.js" SCRIPT,
    "matrix.js" SCRIPT,
    "overview.js" SCRIPT,
    "policy.js" SCRIPT,
    "rates.js" SCRIPT,
    "server.js" SCRIPT,
    "sockets.js" SCRIPT,
    "text.js" SCRIPT,
    "timeline.js" SCRIPT,
];

/// What each answer says besides. The browser runs and loads nothing but the files of this server, shows it in no other page's frame, takes no
/// file for another type than it has, and names the page to nobody.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Answers at the path of each file.
pub fn router() -> Router {
    FILES.iter().fold(Router::new(), |router, &file| {
        let answer = async move |RawQuery(query): RawQuery| {
            nothing_asked(query)?;
            Ok::<_, Refused>(file.answer())
        };
        router.route(file.path, get(answer))
    })
}

impl File {
    fn answer(self) -> Answer {
        let body = Body::from(self.text);
        let mut answer = with(StatusCode::OK, self.content_type, body);
        for (name, value) in HEADERS {
            let value = HeaderValue::from_static(value);
            answer.headers_mut().insert(name, value);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Each file of the folder, by its name.
    fn folder() -> Vec<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/serve/page");
        let entries = fs::read_dir(folder).expect("the folder");
        let mut files: Vec<_> = entries
            .map(|entry| {
                let entry = entry.expect("a file");
                let text = fs::read_to_string(entry.path()).expect("text");
                (entry.file_name().to_string_lossy().into_owned(), text)
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn each_file_of_the_folder_is_served() {
        let mut served: Vec<_> = FILES
            .iter()
            .map(|file| (file.path, file.text.to_owned()))
            .collect();
        served.sort();
        let folder = folder();
        let mut there: Vec<_> = folder
            .iter()
            .map(|(name, text)| match &**name {
                "index.html" => (PATH.to_owned(), text.clone()),
                name => (format!("/page/{name}"), text.clone()),
            })
            .collect();
        there.sort();
        let served: Vec<_> = served
            .into_iter()
            .map(|(path, text)| (path.to_owned(), text))
            .collect();
        assert!(served == there, "a file of the folder is not in `FILES`");
    }

    /// The policy of the page stops such a thing where it is forgotten; a page that needs it does not work.
    #[test]
    fn what_is_read_never_becomes_markup_or_code() {
        for (name, text) in folder() {
            for hazard in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "DOMParser",
                "eval(",
                "new Function",
                "style=\"",
                "onclick=",
                "javascript:",
                "https://",
            ] {
                assert!(!text.contains(hazard), "{name} has {hazard}");
            }
            // The name of SVG's elements is no address that is asked.
            let addresses = text.matches("http://").count();
            let names = text.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(addresses, names, "{name} names an address");
            assert!(text.lines().count() <= 400, "{name} is too long");
        }
    }
}
