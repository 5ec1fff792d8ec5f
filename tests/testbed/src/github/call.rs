//! One request on its way to a route, and the answer on its way back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::auth::Caller;
use super::git::BareRepository;
use super::state::{Permission, Repository, State, User, refusal};

/// GitHub's page size when none is asked for, and the largest.
const DEFAULT_PAGE: usize = 30;
const LARGEST_PAGE: usize = 100;

/// A request that passed every check.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) caller: Caller,
    /// The path as it was sent, for links to other pages.
    pub(crate) path: String,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// What goes back. A `Null` body is none.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn ok(body: Value) -> Self {
        Self::with(200, body)
    }

    pub(crate) fn with(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            headers: Vec::new(),
        }
    }

    pub(crate) fn refused(status: u16, message: &str) -> Self {
        Self::with(status, refusal(message, status))
    }

    pub(crate) fn not_found() -> Self {
        Self::refused(404, "Not Found")
    }

    /// 422 as GitHub writes it, for one field of one resource.
    pub(crate) fn unprocessable(resource: &str, field: &str, message: &str) -> Self {
        let error =
            json!({"resource": resource, "field": field, "code": "custom", "message": message});
        let mut body = refusal("Validation Failed", 422);
        body["errors"] = json!([error]);
        Self::with(422, body)
    }
}

pub(crate) type Outcome = Result<Answer, Answer>;

impl Call<'_> {
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters
            .get(name)
            .map(String::as_str)
            .unwrap_or_default()
    }

    /// A numeric parameter; what is no number names nothing.
    pub(crate) fn number(&self, name: &str) -> Result<u64, Answer> {
        self.parameter(name)
            .parse()
            .map_err(|_| Answer::not_found())
    }

    pub(crate) fn repository_name(&self) -> String {
        format!("{}/{}", self.parameter("owner"), self.parameter("repo"))
    }

    pub(crate) fn repository(&self) -> &Repository {
        self.state.repository(&self.repository_name())
    }

    pub(crate) fn repository_mut(&mut self) -> &mut Repository {
        let name = self.repository_name();
        self.state.repository_mut(&name)
    }

    pub(crate) fn git(&self) -> BareRepository {
        self.repository().git.clone()
    }

    /// The account behind the caller: the App's bot for an installation.
    pub(crate) fn actor(&mut self) -> Result<User, Answer> {
        let login = match &self.caller {
            Caller::Person(login) => login.clone(),
            Caller::Installation { .. } => self.state.app.bot(),
            Caller::App | Caller::Anonymous => {
                return Err(Answer::refused(401, "Requires authentication"));
            }
        };
        Ok(self.state.user(&login))
    }

    pub(crate) fn may_write(&self, login: &str) -> bool {
        self.repository().permission(login) >= Permission::Write
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.body[key].as_str().map(str::to_owned)
    }

    /// The part of a list the query asks for.
    pub(crate) fn page<T>(&self, items: Vec<T>) -> (Vec<T>, Vec<(String, String)>) {
        let size = self
            .query
            .get("per_page")
            .and_then(|text| text.parse().ok())
            .unwrap_or(DEFAULT_PAGE)
            .clamp(1, LARGEST_PAGE);
        let page: usize = self
            .query
            .get("page")
            .and_then(|text| text.parse().ok())
            .unwrap_or(1)
            .max(1);
        let last = items.len().div_ceil(size).max(1);
        let items = items
            .into_iter()
            .skip((page - 1) * size)
            .take(size)
            .collect();
        let link = |number: usize, relation: &str| {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query
                .extend_pairs(self.query.iter().filter(|(name, _)| *name != "page"))
                .append_pair("page", &number.to_string());
            format!(
                "<{}{}?{}>; rel=\"{relation}\"",
                self.state.api_url,
                self.path,
                query.finish()
            )
        };
        let mut links = Vec::new();
        if page > 1 {
            links.extend([link(page - 1, "prev"), link(1, "first")]);
        }
        if page < last {
            links.extend([link(page + 1, "next"), link(last, "last")]);
        }
        let headers = if links.is_empty() {
            Vec::new()
        } else {
            vec![("link".to_owned(), links.join(", "))]
        };
        (items, headers)
    }

    /// A page of a list as the whole answer.
    pub(crate) fn listed(&self, items: Vec<Value>) -> Answer {
        let (items, headers) = self.page(items);
        Answer {
            status: 200,
            body: Value::Array(items),
            headers,
        }
    }
}
