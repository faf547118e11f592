//! The modules of a crate, read from its sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::TokenStream;
use quote::ToTokens as _;
use syn::{Attribute, Item, UseTree, Visibility};

/// The path of a module from the crate's root.
pub type ModulePath = Vec<String>;

/// A name that a module has from elsewhere.
#[derive(Debug)]
pub struct Import {
    /// What it is called here; `*` for all that the other module has.
    pub name: String,
    /// Where it is, as it is written.
    pub path: Vec<String>,
    /// Others can take it from here.
    pub is_handed_on: bool,
}

/// A module.
#[derive(Debug, Default)]
pub struct Module {
    /// Its file, from the directory of the crate's root on.
    pub file: PathBuf,
    /// The modules that it declares in files of their own.
    pub declares: Vec<String>,
    /// Those of them that other crates can name.
    pub shows: Vec<String>,
    /// What it takes by `use`.
    pub imports: Vec<Import>,
    /// What it defines.
    pub defines: BTreeSet<String>,
    /// What else it says.
    pub tokens: Vec<TokenStream>,
}

impl Module {
    /// Whether it only hands on what others define.
    pub fn is_facade(&self) -> bool {
        self.defines.is_empty()
    }
}

/// All modules of a crate.
#[derive(Debug)]
pub struct Tree {
    pub modules: BTreeMap<ModulePath, Module>,
    root: PathBuf,
}

impl Tree {
    /// Reads a crate, from the file of its root.
    pub fn read(root: &Path) -> Self {
        let mut tree = Self {
            modules: BTreeMap::new(),
            root: root.with_file_name(""),
        };
        tree.read_file(Vec::new(), root);
        tree
    }

    fn read_file(&mut self, path: ModulePath, file: &Path) {
        let text =
            fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.read_items(path, file, parsed.items);
    }

    fn read_items(&mut self, path: ModulePath, file: &Path, items: Vec<Item>) {
        let mut module = Module {
            file: file
                .strip_prefix(&self.root)
                .expect("below the root")
                .to_owned(),
            ..Module::default()
        };
        let below = match file.file_name().and_then(|name| name.to_str()) {
            Some("lib.rs" | "mod.rs") => file.with_file_name(""),
            _ => file.with_extension(""),
        };
        for item in items {
            if is_for_tests(attributes(&item)) {
                continue;
            }
            if let Some(name) = name_of(&item) {
                module.defines.insert(name);
            }
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let mut inside = path.clone();
                    inside.push(name.clone());
                    match child.content {
                        // In the same file: it takes part in what the file does.
                        Some((_, items)) => self.read_items(inside, file, items),
                        None => {
                            let own = below.join(&name).with_extension("rs");
                            let folder = below.join(&name).join("mod.rs");
                            self.read_file(inside, if own.exists() { &own } else { &folder });
                            if matches!(child.vis, Visibility::Public(_)) {
                                module.shows.push(name.clone());
                            }
                            module.declares.push(name);
                        }
                    }
                }
                Item::Use(item) => {
                    let is_handed_on = !matches!(item.vis, Visibility::Inherited);
                    collect(&item.tree, &mut Vec::new(), &mut |name, path| {
                        module.imports.push(Import {
                            name,
                            path,
                            is_handed_on,
                        });
                    });
                }
                item => module.tokens.push(item.to_token_stream()),
            }
        }
        self.modules.insert(path, module);
    }

    /// The folder of the crate that a file is in, or its own name where it is in none.
    pub fn part_of<'a>(&self, file: &'a Path) -> &'a str {
        let first = file.iter().next().and_then(|part| part.to_str());
        first.map_or("", |part| part.trim_end_matches(".rs"))
    }

    /// All of these, but the crate's root.
    pub fn parts(&self) -> BTreeSet<String> {
        let files = self
            .modules
            .values()
            .map(|module| self.part_of(&module.file));
        files
            .filter(|part| *part != "lib")
            .map(str::to_owned)
            .collect()
    }
}

/// What a `use` names, each with its path.
pub fn collect(
    tree: &UseTree,
    path: &mut Vec<String>,
    found: &mut impl FnMut(String, Vec<String>),
) {
    match tree {
        UseTree::Path(step) => {
            path.push(step.ident.to_string());
            collect(&step.tree, path, found);
            path.pop();
        }
        UseTree::Group(group) => group
            .items
            .iter()
            .for_each(|tree| collect(tree, path, found)),
        UseTree::Glob(_) => found("*".to_owned(), path.clone()),
        UseTree::Name(name) => found_as(name.ident.to_string(), None, path, found),
        UseTree::Rename(name) => {
            found_as(
                name.ident.to_string(),
                Some(name.rename.to_string()),
                path,
                found,
            );
        }
    }
}

fn found_as(
    name: String,
    alias: Option<String>,
    path: &[String],
    found: &mut impl FnMut(String, Vec<String>),
) {
    let mut path = path.to_vec();
    if name != "self" {
        path.push(name);
    }
    let last = path.last().cloned().unwrap_or_default();
    found(alias.unwrap_or(last), path);
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        _ => return None,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .to_token_stream()
                .to_string()
                .replace(' ', "")
                == "cfg(test)"
    })
}
