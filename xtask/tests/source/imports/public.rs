//! Public is only what another crate uses, so that the compiler finds what nobody does. A module is looked at as a whole.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;

use super::{
    library,
    resolve::each_path,
    tree::{ModulePath, collect},
};
use crate::files;

const LIBRARY: &str = "pinif_userspace";
/// Where the other crates are: the command, the tests, the benchmarks, the fuzz targets and the tasks.
const OTHERS: [&str; 5] = [
    "pinif-userspace/src/main.rs",
    "pinif-userspace/tests",
    "pinif-userspace/benches",
    "pinif-userspace/fuzz",
    "xtask",
];

#[test]
fn another_crate_uses_what_is_public() {
    let used = used();
    let tree = library();
    let unused: Vec<String> = tree
        .modules
        .iter()
        .flat_map(|(path, module)| {
            let inside = |name: &String| path.iter().chain([name]).cloned().collect();
            module.shows.iter().map(inside).collect::<Vec<ModulePath>>()
        })
        .filter(|path| !used.contains(path))
        .map(|path| path.join("::"))
        .collect();
    assert!(
        unused.is_empty(),
        "no other crate names these modules, so `pub(crate)` is enough:\n{}",
        unused.join("\n")
    );
}

/// What the other crates name of the library, and all that it is in.
fn used() -> BTreeSet<ModulePath> {
    let mut used = BTreeSet::new();
    let mut add = |path: &[String]| {
        if path.first().is_some_and(|first| first == LIBRARY) {
            used.extend((2..=path.len()).map(|end| path[1..end].to_vec()));
        }
    };
    for start in OTHERS {
        for file in files::below(&crate::root().join(start), &["rs"]) {
            let parsed = syn::parse_file(&files::read(&file))
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let tokens = parsed.into_token_stream();
            each_import(tokens.clone(), &mut add);
            each_path(tokens, &mut add);
        }
    }
    used
}

/// Gives each path that a `use` names, also inside of functions.
fn each_import(tokens: TokenStream, found: &mut impl FnMut(&[String])) {
    let mut import: Option<TokenStream> = None;
    for token in tokens {
        if let Some(so_far) = &mut import {
            let is_end = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ';');
            so_far.extend([token]);
            if is_end {
                let item = import.take().and_then(|tokens| syn::parse2(tokens).ok());
                if let Some(syn::ItemUse { tree, .. }) = item {
                    collect(&tree, &mut Vec::new(), &mut |_, path| found(&path));
                }
            }
            continue;
        }
        match token {
            TokenTree::Ident(ident) if ident == "use" => {
                import = Some(TokenTree::Ident(ident).into());
            }
            TokenTree::Group(group) => each_import(group.stream(), found),
            _ => {}
        }
    }
}
