//! Lines as `ssh-keygen` and `ssh-keyscan` write them.

use super::super::address::Address;
use super::*;

const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

fn host(url: &str) -> SshAddress {
    match Address::parse(url) {
        Ok(Address::Ssh(address)) => address,
        other => panic!("{url} was read as {other:?}"),
    }
}

fn wire(line: &str) -> Vec<u8> {
    STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap()
}

fn trusts(lines: &str, url: &str) -> bool {
    let known = KnownHosts::parse(Some(lines)).unwrap();
    known.judge(&host(url), &wire(ED25519)).is_ok()
}

#[test]
fn githubs_keys_have_the_fingerprints_that_github_publishes() {
    let known = KnownHosts::parse(None).unwrap();
    let fingerprints: Vec<String> = known.0.iter().map(|line| describe(&line.key)).collect();
    assert_eq!(
        fingerprints,
        [
            "ssh-ed25519 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
            "ecdsa-sha2-nistp256 SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
            "ssh-rsa SHA256:uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s",
        ]
    );
    for line in &known.0 {
        assert!(
            known
                .judge(&host("git@github.com:o/r.git"), &line.key)
                .is_ok()
        );
        assert!(
            known
                .judge(&host("ssh://git@ssh.github.com:443/o/r.git"), &line.key)
                .is_ok()
        );
        assert!(
            known
                .judge(&host("git@example.com:o/r.git"), &line.key)
                .is_err()
        );
    }
}

#[test]
fn a_setting_takes_the_place_of_githubs_keys() {
    let known = KnownHosts::parse(Some(&format!("example.com {ED25519}"))).unwrap();
    assert!(
        known
            .judge(&host("git@github.com:o/r.git"), &wire(ED25519))
            .is_err()
    );
}

#[test]
fn hosts_are_matched_as_openssh_does() {
    let plain = "git@git.example.com:o/r.git";
    let port = "ssh://git@git.example.com:2222/o/r.git";
    for (hosts, url, trusted) in [
        ("git.example.com", plain, true),
        ("GIT.example.com", plain, true),
        ("git.example.com", port, false),
        ("[git.example.com]:2222", port, true),
        ("[git.example.com]:2222", plain, false),
        ("other,git.example.com,192.0.2.1", plain, true),
        ("*.example.com", plain, true),
        ("*", plain, true),
        ("*.com,!git.example.com", plain, false),
        ("!other.example.com", plain, false),
        ("g?t.example.com", plain, true),
        ("g?.example.com", plain, false),
        ("git.*.org", plain, false),
        ("*git*com*", plain, true),
        ("git.example", plain, false),
    ] {
        assert_eq!(
            trusts(&format!("{hosts} {ED25519} a comment"), url),
            trusted,
            "{hosts}"
        );
    }
}

#[test]
fn hashed_hosts_are_found() {
    // What `ssh-keygen -H` does: a random salt, HMAC-SHA1 of the name (RFC 2202, test case 2, has this pair).
    let (salt, name) = (STANDARD.encode("Jefe"), "what do ya want for nothing?");
    let hash = STANDARD.encode([
        0xef, 0xfc, 0xdf, 0x6a, 0xe5, 0xeb, 0x2f, 0xa2, 0xd2, 0x74, 0x16, 0xd5, 0xf1, 0x84, 0xdf,
        0x9c, 0x25, 0x9a, 0x7c, 0x79,
    ]);
    let hosts = Hosts::parse(&format!("|1|{salt}|{hash}")).unwrap();
    assert!(hosts.include(name));
    assert!(!hosts.include("git.example.com"));
}

#[test]
fn revoked_keys_win_and_certificate_authorities_trust_nothing() {
    let url = "git@git.example.com:o/r.git";
    assert!(!trusts(
        &format!("git.example.com {ED25519}\n@revoked * {ED25519}"),
        url
    ));
    assert!(trusts(
        &format!("git.example.com {ED25519}\n@revoked other {ED25519}"),
        url
    ));
    assert!(!trusts(&format!("@cert-authority * {ED25519}"), url));
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let with_type = |kind: &str| ED25519.replace("ssh-ed25519", kind);
    for bad in [
        "git.example.com".to_owned(),
        "git.example.com ssh-ed25519 ???".to_owned(),
        format!("git.example.com {}", with_type("ssh-rsa")),
        format!("@unknown git.example.com {ED25519}"),
        format!("|2|a|b {ED25519}"),
        format!("|1|a {ED25519}"),
        "git.example.com ssh-ed25519 AAAA".to_owned(),
    ] {
        let error = KnownHosts::parse(Some(&format!("# a comment\n{bad}\n"))).unwrap_err();
        assert!(
            error.to_string().starts_with("line 2 of the known hosts"),
            "{error}"
        );
    }
}
