//! The one thing of GitHub's GraphQL that there is here: the texts of many files of a repository with one request.
//!
//! Source: GitHub's GraphQL API reference, `Query.repository`, `Repository.object`, `Blob`.

use serde_json::{Map, Value, json};

use super::auth::{Access, Caller, Level, admit};
use super::call::Answer;
use super::state::State;

/// The most files that one request may ask for; GitHub has no such number, but gives up on what takes long.
const MOST: usize = 100;

/// What a query asks for of each file, less blanks.
const FIELDS: &str = "...onBlob{isBinaryisTruncatedtext}";

/// The answer, or what the double has against the request.
pub(crate) fn answer(state: &mut State, caller: &Caller, body: &Value) -> Result<Answer, String> {
    let query = body["query"].as_str().ok_or("a query is missing")?;
    let variable = |name: &str| {
        let value = body["variables"][name].as_str();
        value.ok_or_else(|| format!("the variable `{name}` is missing"))
    };
    let repository = format!("{}/{}", variable("owner")?, variable("name")?);
    if let Err(refused) = admit(
        state,
        caller,
        Access::Repository(&["contents"], Level::Read),
        Some(&repository),
    ) {
        // What may not be seen is no error of the request.
        if refused.status == 401 {
            return Ok(refused);
        }
        let error = json!({"type": "NOT_FOUND", "path": ["repository"], "message": format!("Could not resolve to a Repository with the name '{repository}'.")});
        return Ok(Answer::ok(
            json!({"data": {"repository": null}, "errors": [error]}),
        ));
    }
    let git = state.repository(&repository).git.clone();
    let mut files = Map::new();
    for (alias, id) in asked_for(query)? {
        let file = git
            .blob(&id)
            .map(|content| match String::from_utf8(content) {
                Ok(text) if !text.contains('\0') => {
                    json!({"isBinary": false, "isTruncated": false, "text": text})
                }
                _ => json!({"isBinary": true, "isTruncated": false, "text": null}),
            });
        files.insert(alias, file.unwrap_or_default());
    }
    Ok(Answer::ok(json!({"data": {"repository": files}})))
}

/// The files that a query asks for, by their aliases.
fn asked_for(query: &str) -> Result<Vec<(String, String)>, String> {
    let plain: String = query.split_whitespace().collect();
    let head = "query($owner:String!,$name:String!){repository(owner:$owner,name:$name){";
    let files = plain
        .strip_prefix(head)
        .and_then(|rest| rest.strip_suffix("}}"))
        .ok_or_else(|| format!("no such query is known here: {query}"))?;
    let mut found = Vec::new();
    let mut rest = files;
    while !rest.is_empty() {
        let unknown = || format!("no such field is known here: {rest}");
        let (alias, after) = rest.split_once(":object(oid:\"").ok_or_else(unknown)?;
        let (id, after) = after.split_once("\"){").ok_or_else(unknown)?;
        let after = after.strip_prefix(FIELDS).ok_or_else(unknown)?;
        let after = after.strip_prefix('}').ok_or_else(unknown)?;
        let is_name = alias.starts_with(|first: char| first.is_ascii_alphabetic())
            && alias.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_id = id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_name || !is_id {
            return Err(unknown());
        }
        found.push((alias.to_owned(), id.to_owned()));
        rest = after;
    }
    if found.len() > MOST {
        return Err(format!("{} files in one request", found.len()));
    }
    Ok(found)
}
