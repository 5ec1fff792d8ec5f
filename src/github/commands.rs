//! What people ask of the bot in comments.
//!
//! A comment is Markdown, and only a plain line of it may command: what is quoted, listed, in code, in a table or in
//! an HTML comment is talk about a command. Pure: who may command is not decided here.

use pulldown_cmark::{Event, Options, Parser, Tag};
use std::fmt;
use std::str::FromStr;

/// The first word of every command.
pub const COMMAND_WORD: &str = "/layersmith";
/// How many commands of one comment are looked at.
const LIMIT: usize = 5;

/// Something a person may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Work out the plan again.
    Plan,
    /// Try again what failed.
    Retry,
    /// Stop what is going on.
    Cancel,
    /// Approve this head commit for planning.
    Ok,
    /// Say how far things are.
    Status,
    /// Say what can be asked for.
    Help,
}

impl Command {
    /// Every command, in the order in which help lists them.
    pub const ALL: [Self; 6] = [
        Self::Plan,
        Self::Retry,
        Self::Cancel,
        Self::Ok,
        Self::Status,
        Self::Help,
    ];

    /// The word after [`COMMAND_WORD`].
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Ok => "ok",
            Self::Status => "status",
            Self::Help => "help",
        }
    }
}

/// As it is written in a comment: `/layersmith plan`.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COMMAND_WORD} {}", self.word())
    }
}

/// A line that is meant for the bot and that it does not understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCommand {
    /// What follows [`COMMAND_WORD`], at most 60 characters, as the person wrote it (Markdown included).
    pub text: String,
    /// The command that was probably meant.
    pub suggestion: Option<Command>,
}

impl FromStr for Command {
    type Err = UnknownCommand;

    /// Reads what follows [`COMMAND_WORD`]: exactly one word (`ok not yet` is not `ok`), in any case. Nothing is `help`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.to_lowercase();
        let mut words = words.split_whitespace();
        let word = words.next().unwrap_or(Self::Help.word());
        let exact = Self::ALL.into_iter().find(|known| known.word() == word);
        match exact {
            Some(command) if words.next().is_none() => Ok(command),
            _ => Err(UnknownCommand {
                text: text.trim().chars().take(60).collect(),
                suggestion: exact.or_else(|| nearest(word)),
            }),
        }
    }
}

fn nearest(word: &str) -> Option<Command> {
    let word: String = word.chars().take(20).collect();
    Command::ALL
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(known.word(), &word), known))
        .filter(|&(distance, known)| distance <= if known.word().len() > 3 { 2 } else { 1 })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, known)| known)
}

/// The commands of a comment in their order, at most five; lines that start with [`COMMAND_WORD`] and are no command
/// come back as [`UnknownCommand`], so that the person can be answered.
#[must_use]
pub fn parse_commands(body: &str) -> Vec<Result<Command, UnknownCommand>> {
    let mut commands = Vec::new();
    let mut reader = Reader::default();
    for (event, range) in Parser::new_ext(body, github_flavoured()).into_offset_iter() {
        if reader.starts_plain_line(&event)
            && let Some(line) = whole_line(body, range.start)
            && let Some(text) = command_text(line)
        {
            commands.push(text.parse());
            if commands.len() == LIMIT {
                break;
            }
        }
    }
    commands
}

fn github_flavoured() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM
}

/// Follows the parser and knows where plain lines of text begin.
#[derive(Default)]
struct Reader {
    /// How many elements are open.
    depth: usize,
    /// Whether the next event is the first of a line in a paragraph (or heading) of the comment itself.
    at_line_start: bool,
    /// How many `<blockquote>` and `<details>` are open: a blank line in them lets Markdown in again.
    html_depth: usize,
}

impl Reader {
    fn starts_plain_line(&mut self, event: &Event<'_>) -> bool {
        let was_at_start = std::mem::take(&mut self.at_line_start);
        match event {
            Event::Start(tag) => {
                self.depth += 1;
                self.at_line_start = self.depth == 1
                    && self.html_depth == 0
                    && matches!(tag, Tag::Paragraph | Tag::Heading { .. });
            }
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            Event::SoftBreak | Event::HardBreak => {
                self.at_line_start = self.depth == 1 && self.html_depth == 0;
            }
            Event::Html(html) => self.follow_html(html),
            Event::Text(_) => return was_at_start,
            _ => {}
        }
        false
    }

    fn follow_html(&mut self, html: &str) {
        let html = html.to_lowercase();
        for tag in ["blockquote", "details"] {
            self.html_depth += html.matches(&format!("<{tag}")).count();
            let closed = html.matches(&format!("</{tag}")).count();
            self.html_depth = self.html_depth.saturating_sub(closed);
        }
    }
}

/// The line of the source around `start`, should `start` be its first character other than space.
fn whole_line(body: &str, start: usize) -> Option<&str> {
    let before = body.get(..start)?;
    let begin = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let line = body.get(begin..)?.lines().next()?;
    before.get(begin..)?.trim().is_empty().then(|| line.trim())
}

/// What follows [`COMMAND_WORD`] on a line that starts with it.
fn command_text(line: &str) -> Option<&str> {
    let (word, rest) = line.split_at_checked(COMMAND_WORD.len())?;
    let is_command = word.eq_ignore_ascii_case(COMMAND_WORD)
        && (rest.is_empty() || rest.starts_with(char::is_whitespace));
    is_command.then_some(rest)
}
