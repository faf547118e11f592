//! Which file defines what a path names.

use proc_macro2::{TokenStream, TokenTree};

use super::{
    graph::Arrow,
    tree::{Module, ModulePath, Tree},
};

/// How many times a name may be handed on.
const MOST: usize = 16;

/// All arrows between files of a crate.
pub fn arrows(tree: &Tree) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for (path, module) in &tree.modules {
        let mut add = |named: &[String]| {
            if let Some((to, name)) = resolve(tree, path, named, MOST) {
                arrows.push(Arrow {
                    from: module.file.clone(),
                    to: tree.modules[&to].file.clone(),
                    name,
                });
            }
        };
        for import in &module.imports {
            if !(import.is_handed_on && module.is_facade()) {
                add(&import.path);
            }
        }
        if !module.is_facade() {
            for child in &module.declares {
                add(std::slice::from_ref(child));
            }
        }
        for tokens in &module.tokens {
            each_path(tokens.clone(), &mut add);
        }
    }
    arrows.retain(|arrow| arrow.from != arrow.to);
    arrows
}

/// The module that defines what a path names, with the name; the module itself, where it names one. None of other crates.
fn resolve(
    tree: &Tree,
    from: &ModulePath,
    path: &[String],
    most: usize,
) -> Option<(ModulePath, String)> {
    let most = most.checked_sub(1)?;
    let mut at = from.clone();
    let mut is_first = true;
    for (number, step) in path.iter().enumerate() {
        match step.as_str() {
            "crate" if is_first => at.clear(),
            "self" if is_first => {}
            "super" => {
                at.pop()?;
            }
            step => {
                let mut inside = at.clone();
                inside.push(step.to_owned());
                if tree.modules.contains_key(&inside) {
                    at = inside;
                } else if let Some(import) = import_of(&tree.modules[&at], step, path, is_first) {
                    let (module, name) = resolve(tree, &at, import, most)?;
                    if module.last() != Some(&name) || number + 1 == path.len() {
                        return Some((module, name));
                    }
                    at = module;
                } else if is_first && !tree.modules[&at].defines.contains(step) {
                    return None;
                } else {
                    return Some((at, step.to_owned()));
                }
            }
        }
        is_first = false;
    }
    let name = at.last().cloned().unwrap_or_default();
    Some((at, name))
}

/// The path of what a module has from elsewhere under a name. Not of a name that is a crate's, which leads to itself.
fn import_of<'a>(
    module: &'a Module,
    name: &str,
    path: &[String],
    is_first: bool,
) -> Option<&'a [String]> {
    let import = module.imports.iter().find(|import| import.name == name)?;
    let is_itself = is_first && import.path.first() == path.first();
    (!is_itself).then_some(&import.path)
}

/// Gives each path of more than one name that stands in tokens, also in those of a macro.
pub fn each_path(tokens: TokenStream, found: &mut impl FnMut(&[String])) {
    let mut path: Vec<String> = Vec::new();
    // How many colons there are since the last name.
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    give(&mut path, found);
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Group(group) => {
                give(&mut path, found);
                each_path(group.stream(), found);
                colons = 0;
            }
            _ => {
                give(&mut path, found);
                colons = 0;
            }
        }
    }
    give(&mut path, found);
}

fn give(path: &mut Vec<String>, found: &mut impl FnMut(&[String])) {
    if path.len() > 1 {
        found(path);
    }
    path.clear();
}
