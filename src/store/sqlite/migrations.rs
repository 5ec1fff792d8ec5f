//! The file's layout and how an older one becomes the newest.
//!
//! `PRAGMA user_version` counts the steps that were taken. A step that was released never changes; the next change
//! is the next step.

use crate::store::Result;
use anyhow::{Context as _, ensure};
use rusqlite::{Connection, TransactionBehavior};

/// Every step, oldest first; step `n` leads to version `n`, counted from 1.
pub(super) const STEPS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
];

/// Written into the file's header, so that a file of another program is not taken for a store: `LyrS`.
const APPLICATION_ID: i64 = 0x4c79_7253;

/// Takes the steps that are missing, all of them in one transaction.
///
/// # Errors
/// When the file belongs to another program, was written by a newer version of this one, or a step fails; the file
/// is as it was then.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    ensure!(
        tables == 0 || number("PRAGMA application_id")? == APPLICATION_ID,
        "the file is a database of another program"
    );
    let version = usize::try_from(number("PRAGMA user_version")?)
        .context("the version of the file's layout is negative")?;
    ensure!(
        version <= steps.len(),
        "its layout has version {version}, and this program knows versions up to {}: use the newer program that wrote it",
        steps.len()
    );
    for (index, step) in steps.iter().enumerate().skip(version) {
        transaction
            .execute_batch(step)
            .with_context(|| format!("step {} of the layout failed", index + 1))?;
    }
    if version < steps.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", i64::try_from(steps.len())?)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE_UP: &str = "ALTER TABLE conversations ADD COLUMN muted INTEGER NOT NULL DEFAULT 0;";

    fn version_one() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &STEPS[..1]).unwrap();
        connection
            .execute("INSERT INTO conversations VALUES (7, 99, 'abc')", [])
            .unwrap();
        connection
    }

    fn version(connection: &Connection) -> i64 {
        connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn version_one_becomes_the_newest_and_keeps_its_rows() {
        let mut connection = version_one();
        let steps = [STEPS, &[MADE_UP]].concat();
        migrate(&mut connection, &steps).unwrap();
        assert_eq!(version(&connection), i64::try_from(steps.len()).unwrap());
        let row: (i64, i64, i64) = connection
            .query_row(
                "SELECT pull_request, comment_id, muted FROM conversations",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!(row, (7, 99, 0));
        migrate(&mut connection, &steps).unwrap();
    }

    #[test]
    fn builds_move_to_the_table_that_has_one_for_each_zip() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &STEPS[..3]).unwrap();
        let put = |connection: &Connection, fingerprint: &str, digest: &str| {
            let sql = "INSERT INTO builds (layer, target, fingerprint, digest, built_at, record)
                       VALUES ('pandas', 'p3.13', ?1, ?2, 5, '{}')";
            connection.execute(sql, [fingerprint, digest])
        };
        put(&connection, "f1", "zip 1").unwrap();
        put(&connection, "f2", "zip 2").unwrap();
        assert!(put(&connection, "f2", "zip 3").is_err());
        migrate(&mut connection, STEPS).unwrap();
        put(&connection, "f2", "zip 3").unwrap();
        assert!(put(&connection, "f2", "zip 3").is_err(), "it is there");
        let mut rows = connection
            .prepare("SELECT sequence, fingerprint || ': ' || digest FROM builds ORDER BY sequence")
            .unwrap();
        let rows: Vec<(i64, String)> = rows
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(|row| row.unwrap())
            .collect();
        let expected = [(1, "f1: zip 1"), (2, "f2: zip 2"), (3, "f2: zip 3")];
        assert_eq!(rows, expected.map(|(n, text)| (n, text.to_owned())));
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let mut connection = version_one();
        let steps = [STEPS, &[MADE_UP, "CREATE TABLE nonsense"]].concat();
        let error = migrate(&mut connection, &steps).unwrap_err();
        assert!(error.to_string().contains(&format!("step {}", steps.len())));
        assert_eq!(version(&connection), 1);
        migrate(&mut connection, &[STEPS, &[MADE_UP]].concat()).unwrap();
    }

    #[test]
    fn a_newer_layout_is_refused() {
        let mut connection = version_one();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut connection, STEPS).unwrap_err();
        let newest = STEPS.len();
        assert_eq!(
            error.to_string(),
            format!(
                "its layout has version 99, and this program knows versions up to {newest}: use the newer program that wrote it"
            )
        );
    }

    #[test]
    fn another_programs_database_is_refused_and_untouched() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE notes (text TEXT)")
            .unwrap();
        assert!(migrate(&mut connection, STEPS).is_err());
        assert_eq!(version(&connection), 0);
    }
}
