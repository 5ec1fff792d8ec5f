//! gitrepo
