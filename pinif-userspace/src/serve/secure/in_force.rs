//! What new connections and requests are held to, until something else is in force.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use super::{files::Files, material::Material};

/// Why a connection or a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not encrypted.
    Plain,
    /// The handshake failed or took too long: also where a certificate is missing, has expired, or is another issuer's.
    Handshake,
    /// It has no token, or a wrong one.
    Token,
    /// It had to make room for others before anybody was known.
    Crowded,
    /// There are too many readers already.
    TooMany,
}

impl Refused {
    const ALL: [Self; 5] = [
        Self::Plain,
        Self::Handshake,
        Self::Token,
        Self::Crowded,
        Self::TooMany,
    ];

    /// The label's value in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Handshake => "handshake",
            Self::Token => "token",
            Self::Crowded => "crowded",
            Self::TooMany => "too-many",
        }
    }
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Since when it is in force what is so.
    pub loaded: SystemTime,
    /// What is wrong with what is in the files now; nothing where that is in force.
    pub failure: Option<String>,
    /// How many connections and requests were not answered, by why.
    pub refused: Vec<(&'static str, u64)>,
}

/// What is in force.
#[derive(Debug)]
pub struct InForce {
    files: Files,
    material: RwLock<Arc<Material>>,
    state: Mutex<(SystemTime, Option<String>)>,
    refused: [AtomicU64; Refused::ALL.len()],
}

impl InForce {
    /// What is in the files.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn read(files: Files) -> Result<Self, String> {
        Ok(Self {
            material: RwLock::new(Arc::new(Material::read(&files)?)),
            files,
            state: Mutex::new((SystemTime::now(), None)),
            refused: Default::default(),
        })
    }

    /// What is in the files from now on. Where something is wrong with them, what is in force stays so. Connections that there are stay, and
    /// each of their requests is held to it.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn reload(&self) -> Result<(), String> {
        let read = Material::read(&self.files);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(material) => {
                let mut in_force = self
                    .material
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                *in_force = Arc::new(material);
                *state = (SystemTime::now(), None);
                Ok(())
            }
            Err(error) => {
                state.1 = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Where it is read from.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What is in force now.
    pub fn now(&self) -> Arc<Material> {
        let in_force = self.material.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&in_force)
    }

    /// One more is not answered.
    pub fn refuse(&self, why: Refused) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (loaded, failure) = state.clone();
        let number = |why: Refused| self.refused[why as usize].load(Ordering::Relaxed);
        Standing {
            loaded,
            failure,
            refused: Refused::ALL.map(|why| (why.name(), number(why))).into(),
        }
    }
}
