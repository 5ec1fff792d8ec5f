//! The grammar of environment markers (PEP 508, "Environment Markers"): `python_version < "3.13" and …`.
//!
//! Markers are checked, not worked out: that is the resolver's part. The parser of the requirements themselves works
//! them out while it reads, in time and memory that a short marker can drive up, and it can panic on the way.

use super::report::{nearest, one_of, shown};
use pep440_rs::VersionSpecifier;
use std::str::FromStr;

/// What a marker may ask about. `extra` is missing: nobody asks for an extra of a layer.
const VARIABLES: [&str; 11] = [
    "python_version",
    "python_full_version",
    "implementation_version",
    "os_name",
    "sys_platform",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "implementation_name",
];
/// How many of them, from the first, are compared as versions (PEP 440).
const VERSIONS: usize = 3;
/// Comparisons, longer ones before their beginnings.
const OPERATORS: [&str; 8] = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"];

/// Why a marker is not one: how many characters in, and what to write instead.
#[derive(Debug)]
pub(super) struct MarkerError {
    pub(super) offset: usize,
    pub(super) hint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Operator(&'a str),
    Quoted(&'a str),
    Word(&'a str),
}

/// Checks a marker, which is ASCII.
pub(super) fn check(marker: &str) -> Result<(), MarkerError> {
    let mut tokens = Tokens {
        list: tokens(marker)?,
        next: 0,
        end: marker.len(),
    };
    tokens.any()?;
    match tokens.peek() {
        None => Ok(()),
        Some(_) => Err(tokens.wanted("`and` or `or`")),
    }
}

fn tokens(marker: &str) -> Result<Vec<(usize, Token<'_>)>, MarkerError> {
    let mut list = Vec::new();
    let mut offset = 0;
    while let Some(rest) = marker.get(offset..).filter(|rest| !rest.is_empty()) {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let word = rest.split(|c| !is_word(c)).next().unwrap_or_default();
        let operator = OPERATORS.into_iter().find(|text| rest.starts_with(text));
        let (token, length) = if rest.starts_with(' ') {
            offset += 1;
            continue;
        } else if let Some(quote) = rest.chars().next().filter(|c| "'\"".contains(*c)) {
            let Some((text, _)) = rest.get(1..).and_then(|rest| rest.split_once(quote)) else {
                let hint = format!("close the quote {quote}");
                return Err(MarkerError { offset, hint });
            };
            (Token::Quoted(text), text.len() + 2)
        } else if rest.starts_with('(') {
            (Token::Open, 1)
        } else if rest.starts_with(')') {
            (Token::Close, 1)
        } else if let Some(operator) = operator {
            (Token::Operator(operator), operator.len())
        } else if !word.is_empty() {
            (Token::Word(word), word.len())
        } else {
            let hint = "a condition looks like `python_version < \"3.13\"`".to_owned();
            return Err(MarkerError { offset, hint });
        };
        list.push((offset, token));
        offset += length;
    }
    Ok(list)
}

struct Tokens<'a> {
    list: Vec<(usize, Token<'a>)>,
    next: usize,
    end: usize,
}

impl<'a> Tokens<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.list.get(self.next).map(|(_, token)| *token)
    }

    fn offset(&self) -> usize {
        self.list
            .get(self.next)
            .map_or(self.end, |(offset, _)| *offset)
    }

    fn wanted(&self, what: &str) -> MarkerError {
        let place = if self.peek().is_some() {
            "here"
        } else {
            "at the end"
        };
        MarkerError {
            offset: self.offset(),
            hint: format!("{what} is missing {place}"),
        }
    }

    fn eat(&mut self, token: Token<'_>) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    /// Conditions joined by `and` and `or`; which of them binds closer makes no difference to the grammar.
    fn any(&mut self) -> Result<(), MarkerError> {
        loop {
            // The length of a requirement bounds how deep parentheses can go.
            if self.eat(Token::Open) {
                self.any()?;
                if !self.eat(Token::Close) {
                    return Err(self.wanted("a closing `)`"));
                }
            } else {
                self.comparison()?;
            }
            if !self.eat(Token::Word("and")) && !self.eat(Token::Word("or")) {
                return Ok(());
            }
        }
    }

    fn comparison(&mut self) -> Result<(), MarkerError> {
        let start = self.offset();
        let left = self.operand()?;
        let operator = self.operator()?;
        let right_at = self.offset();
        let right = self.operand()?;
        let (variable, value, value_at) = match (left, right) {
            (Token::Word(name), Token::Quoted(value)) => (name, value, right_at),
            (Token::Quoted(value), Token::Word(name)) => (name, value, start),
            _ => {
                let hint = "compare a variable such as `python_version` with a text in quotes";
                return Err(MarkerError {
                    offset: start,
                    hint: hint.to_owned(),
                });
            }
        };
        let compared = VARIABLES
            .iter()
            .take(VERSIONS)
            .any(|name| *name == variable);
        if compared
            && operator != "in"
            && VersionSpecifier::from_str(&format!("{operator}{value}")).is_err()
        {
            return Err(MarkerError {
                offset: value_at,
                hint: format!(
                    "`{operator} {}` is not a comparison of versions (PEP 440)",
                    shown(value)
                ),
            });
        }
        Ok(())
    }

    fn operand(&mut self) -> Result<Token<'a>, MarkerError> {
        let token = match self.peek() {
            Some(Token::Word(name)) if !VARIABLES.contains(&name) => {
                let hint = match nearest(name, VARIABLES) {
                    Some(variable) => format!("did you mean `{variable}`?"),
                    None if name.starts_with(|c: char| c.is_ascii_digit()) => {
                        format!("write it in quotes: `\"{}\"`", shown(name))
                    }
                    None if name == "extra" => "a layer has no extras to ask about".to_owned(),
                    None => format!("`{}` is not one of {}", shown(name), one_of(&VARIABLES)),
                };
                return Err(MarkerError {
                    offset: self.offset(),
                    hint,
                });
            }
            Some(token @ (Token::Word(_) | Token::Quoted(_))) => token,
            _ => return Err(self.wanted("a variable or a text in quotes")),
        };
        self.next += 1;
        Ok(token)
    }

    /// The operator's text; `in` for `not in`, too.
    fn operator(&mut self) -> Result<&'a str, MarkerError> {
        if let Some(Token::Operator(operator)) = self.peek() {
            self.next += 1;
            return Ok(operator);
        }
        self.eat(Token::Word("not"));
        if self.eat(Token::Word("in")) {
            return Ok("in");
        }
        Err(self.wanted("a comparison such as `<` or `==`"))
    }
}
