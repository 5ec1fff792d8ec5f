//! Which lines of a comment command, and which only talk about commands.

use crate::github::{Command, parse_commands};

/// `plan`, `ok`; `?text` for an unknown one, `?text=word` with a suggestion.
fn said(body: &str) -> String {
    let words: Vec<String> = parse_commands(body)
        .into_iter()
        .map(|command| match command {
            Ok(command) => command.word().to_owned(),
            Err(unknown) => match unknown.suggestion {
                Some(meant) => format!("?{}={}", unknown.text, meant.word()),
                None => format!("?{}", unknown.text),
            },
        })
        .collect();
    words.join(" ")
}

#[test]
fn a_plain_line_commands() {
    for command in Command::ALL {
        assert_eq!(said(&command.to_string()), command.word());
    }
    for (body, expected) in [
        ("/layersmith", "help"),
        ("Thanks!\r\n\r\n/layersmith retry\r\n", "retry"),
        ("please\n/layersmith plan\nnow", "plan"),
        ("text  \n  /layersmith   status  ", "status"),
        ("/Layersmith Plan", "plan"),
        ("/layersmith plan\n---\nmy signature", "plan"),
        ("<b>x</b>\n\n/layersmith plan", "plan"),
        ("/layersmith cancel\n/layersmith plan", "cancel plan"),
        ("> /layersmith ok\n\n/layersmith plan", "plan"),
        ("<details>\n\nx\n\n</details>\n\n/layersmith plan", "plan"),
    ] {
        assert_eq!(said(body), expected, "{body:?}");
    }
}

#[test]
fn talk_about_a_command_does_nothing() {
    for body in [
        "",
        "say /layersmith plan",
        "/layersmithy plan",
        "/layer",
        "> /layersmith ok",
        "> quoted\n/layersmith ok",
        "> [!NOTE]\n> /layersmith ok",
        "`/layersmith ok`",
        "`a\n/layersmith ok`",
        "```\n/layersmith ok\n```",
        "~~~\n/layersmith ok",
        "    /layersmith ok",
        "\t/layersmith ok",
        "<!-- /layersmith ok -->",
        "<!--\n\n/layersmith ok\n\n-->",
        "text <!-- a\n/layersmith ok\n-->",
        "<pre>\n\n/layersmith ok\n\n</pre>",
        "<blockquote>\n\n/layersmith ok\n\n</blockquote>",
        "<details><summary>x</summary>\n\n/layersmith ok\n\n</details>",
        "- /layersmith ok",
        "1. x\n   /layersmith ok",
        "- [ ] /layersmith ok",
        "**/layersmith ok**",
        "**a\n/layersmith ok**",
        "[a\n/layersmith ok](https://example.com)",
        "~~/layersmith ok~~",
        "~~a\n/layersmith ok~~",
        "\\/layersmith ok",
        "# /layersmith ok",
        "| a |\n|---|\n| /layersmith ok |",
        "[^1]\n\n[^1]: /layersmith ok",
    ] {
        assert_eq!(said(body), "", "{body:?}");
    }
}

#[test]
fn what_is_not_understood_is_said_with_a_suggestion() {
    for (body, expected) in [
        ("/layersmith plna", "?plna=plan"),
        ("/layersmith retyr", "?retyr=retry"),
        ("/layersmith k", "?k=ok"),
        ("/layersmith deploy", "?deploy"),
        ("/layersmith ok not yet", "?ok not yet=ok"),
        ("/layersmith ok, fine", "?ok, fine=ok"),
        ("/layersmith **plan**", "?**plan**"),
    ] {
        assert_eq!(said(body), expected, "{body:?}");
    }
    assert_eq!(
        said("/layersmith plan\n".repeat(9).as_str()),
        "plan plan plan plan plan"
    );
    let long = parse_commands(&format!("/layersmith {}", "x".repeat(60_000)));
    assert_eq!(long[0].as_ref().unwrap_err().text.len(), 60);
}
