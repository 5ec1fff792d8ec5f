//! Answers that are not plans or outcomes, and replies to commands.

use super::*;

#[test]
fn markers_cannot_be_closed_from_inside() {
    assert_eq!(marker("plan", 7), "<!-- layersmith:plan:7 -->");
    assert_eq!(marker("a-->b", 7), "<!-- layersmith:ab:7 -->");
}

#[test]
fn what_is_said_before_and_instead() {
    let marker = marker("plan", 7);
    let working = render_working(&marker, HEAD, "resolving and building 12 layers…");
    insta::assert_snapshot!(working.comment, @"
    <!-- layersmith:plan:7 -->
    ### Working on it

    Resolving and building 12 layers… for `0123456789ab`. This comment is edited when there is more to say.
    ");
    let waiting = render_waiting_for_approval(&marker, HEAD, "octocat");
    is_sound(&waiting);
    assert_eq!(waiting.check.conclusion, Conclusion::ActionRequired);
    insta::assert_snapshot!(waiting.comment, @"
    <!-- layersmith:plan:7 -->
    ### Waiting for approval

    `octocat` has no write permission here, and the policy asks for a look first (`plan_pull_requests_from: collaborators`).

    Somebody with write permission starts the plan of `0123456789ab` by commenting `/layersmith ok`. A push asks again.
    ");
    let superseded = render_superseded(&marker, HEAD, "fedcba9876543210");
    is_sound(&superseded);
    insta::assert_snapshot!(superseded.comment, @"
    <!-- layersmith:plan:7 -->
    ### Superseded by a newer commit

    `0123456789ab` is not looked at any further: `fedcba987654` took its place.
    ");
    let cancelled = render_cancelled(&marker, HEAD, Some("octocat"));
    is_sound(&cancelled);
    assert_eq!(cancelled.check.conclusion, Conclusion::Cancelled);
    insta::assert_snapshot!(cancelled.comment, @"
    <!-- layersmith:plan:7 -->
    ### Cancelled

    Stopped by `octocat` at `0123456789ab`. What was published before stays published. `/layersmith plan` plans anew, `/layersmith retry` carries on after a merge.
    ");
    let failed = render_failed(
        &marker,
        HEAD,
        "reading the request files",
        "GitHub answered 500: <html>@octocat</html>",
    );
    is_sound(&failed);
    assert_eq!(failed.check.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(failed.comment, @"
    <!-- layersmith:plan:7 -->
    ### Something went wrong on the bot's side

    While reading the request files for `0123456789ab`: GitHub answered 500: `<html>@octocat</html>`

    Nothing about the request files has to be wrong. `/layersmith plan` or, after a merge, `/layersmith retry` tries again; should it stay, whoever runs the bot finds more in its log.
    ");
}

#[test]
fn replies() {
    insta::assert_snapshot!(render_help(), @"
    Write one of these as the first words of a line in a new comment; quotes, code and edited comments are not read.

    | Command | What it does | Who |
    |---|---|---|
    | `/layersmith plan` | Plan this pull request anew | everybody |
    | `/layersmith ok` | Plan the current commit of somebody whose pull requests wait for a look | write permission |
    | `/layersmith retry` | Carry on with what is missing after a merge | write permission |
    | `/layersmith cancel` | Stop what is being done for this pull request | everybody |
    | `/layersmith status` | Say what was and is being done for this pull request | everybody |
    | `/layersmith help` | Say this | everybody |
    ");
    insta::assert_snapshot!(render_unknown_command("paln`@x", Some("plan")), @"``/layersmith paln`@x`` is not something that can be asked for. Did you mean `/layersmith plan`? `/layersmith help` lists what is.");
    insta::assert_snapshot!(render_unknown_command("", None), @"`/layersmith` is not something that can be asked for. `/layersmith help` lists what is.");
    insta::assert_snapshot!(render_not_allowed("octocat", "write"), @"`octocat` may not ask for this: it takes `write` permission on this repository.");
    insta::assert_snapshot!(render_status(&[]), @"Nothing was done for this pull request yet. `/layersmith plan` starts.");
}

#[test]
fn the_status_lists_the_newest_runs_first() {
    let run = |number: i64, state| Run {
        id: format!("plan-7-0123456789ab-{number}"),
        kind: RunKind::Plan,
        pull_request: Some(7),
        head_sha: HEAD.into(),
        base_sha: None,
        state,
        detail: (state == RunState::Failed).then(|| "GitHub did not answer @x".into()),
        created_at: Timestamp::from_unix(number * 60),
    };
    let mut runs = vec![
        run(1, RunState::Superseded),
        run(2, RunState::Failed),
        run(3, RunState::Open),
    ];
    insta::assert_snapshot!(render_status(&runs), @"
    | Started | What | Commit | State | Run |
    |---|---|---|---|---|
    | 1970-01-01T00:03:00Z | plan | `0123456789ab` | at work | `plan-7-0123456789ab-3` |
    | 1970-01-01T00:02:00Z | plan | `0123456789ab` | failed: GitHub did not answer `@x` | `plan-7-0123456789ab-2` |
    | 1970-01-01T00:01:00Z | plan | `0123456789ab` | a newer commit took its place | `plan-7-0123456789ab-1` |
    ");
    runs = (0..12).map(|number| run(number, RunState::Done)).collect();
    let text = render_status(&runs);
    assert!(text.contains("plan-7-0123456789ab-11") && !text.contains("ab-1`"));
    assert!(text.ends_with("2 older ones are not listed."));
}
