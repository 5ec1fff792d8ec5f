//! Trouble on demand.

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer (code, headers, body) and nothing done.
    Status(u16, Vec<(String, String)>, String),
    /// 403 with `retry-after`, as at the secondary rate limit; nothing done.
    RetryAfter(u64),
    /// No answer, ever; nothing done.
    Hang,
    /// The connection is reset; nothing done.
    Reset,
    /// The request is carried out, but the connection is reset before the answer.
    LostAnswer,
}

/// Which requests: both parts must match; an empty part matches all.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    pub method: String,
    pub path_contains: String,
}

impl Matcher {
    /// Requests of this method whose path contains this text.
    pub fn new(method: &str, path_contains: &str) -> Self {
        Self {
            method: method.to_owned(),
            path_contains: path_contains.to_owned(),
        }
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        (self.method.is_empty() || self.method.eq_ignore_ascii_case(method))
            && path.contains(&self.path_contains)
    }
}

pub(crate) struct PlannedFault {
    pub(crate) matcher: Matcher,
    pub(crate) fault: Fault,
    pub(crate) times: u32,
}

/// The fault this request meets, if any; each is used up by so many requests.
pub(crate) fn take_fault(
    planned: &mut Vec<PlannedFault>,
    method: &str,
    path: &str,
) -> Option<Fault> {
    let position = planned
        .iter()
        .position(|entry| entry.matcher.matches(method, path))?;
    let entry = &mut planned[position];
    entry.times -= 1;
    let fault = entry.fault.clone();
    if entry.times == 0 {
        planned.remove(position);
    }
    Some(fault)
}
