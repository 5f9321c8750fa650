//! Key files of each form, and what is wrong with wrong ones.

use super::*;

fn keys(text: &str) -> Vec<(String, Algorithm, Vec<u8>)> {
    match read(text) {
        Ok(Found::Keys(keys)) => {
            keys.into_iter().map(|key| (key.name.to_string(), key.algorithm, key.secret.to_vec())).collect()
        }
        other => panic!("{text}: {other:?}"),
    }
}

fn one(algorithm: Algorithm) -> Vec<(String, Algorithm, Vec<u8>)> {
    vec![("k1.".to_owned(), algorithm, b"secret octets".to_vec())]
}

const SECRET: &str = "c2VjcmV0IG9jdGV0cw==";

#[test]
fn a_clause_is_found_alone_and_among_others() {
    let alone = format!("key \"k1\" {{\n\talgorithm hmac-sha512;\n\tsecret \"{SECRET}\";\n}};\n");
    assert_eq!(keys(&alone), one(Algorithm::HmacSha512));
    let config = format!(
        "// a server {{\noptions {{ directory \"/var; }}\"; allow-transfer {{ key k1; }}; }};\n/* key \"no\" {{ }} */\n\
         # key x {{\nview \"all\" {{ key k1. {{ secret {SECRET}; algorithm HMAC-SHA256.; }}; }};\n\
         server 127.0.0.1 {{ keys {{ k1; }}; }};\nzone \"a//b\" {{ type primary; }};"
    );
    assert_eq!(keys(&config), one(Algorithm::HmacSha256));
}

#[test]
fn a_list_is_found_alone_and_among_others() {
    let list =
        format!("# hmac-sha256:k1:{SECRET}\nkey:\n  - id: k1\n    algorithm: hmac-sha256\n    secret: {SECRET}\n");
    assert_eq!(keys(&list), one(Algorithm::HmacSha256));
    let config = format!(
        "server:\n    listen: 127.0.0.1@53 # here\nkey:\n- id: \"k1\"\n  secret: '{SECRET}'\n  algorithm: hmac-sha384\n\
         remote:\n  - id: a\n    key: k1\n"
    );
    assert_eq!(keys(&config), one(Algorithm::HmacSha384));
}

#[test]
fn one_line_is_a_key() {
    assert_eq!(keys(&format!("hmac-sha384:k1:{SECRET}\n")), one(Algorithm::HmacSha384));
    assert_eq!(keys(&format!("k1:{SECRET}")), one(Algorithm::HmacSha256));
}

#[test]
fn a_secret_may_be_alone_and_folded() {
    for text in [SECRET.to_owned(), format!("# for k1\n{}\n{}\n", &SECRET[..5], &SECRET[5..]), SECRET.replace('=', "")]
    {
        match read(&text) {
            Ok(Found::Secret(octets)) => assert_eq!(*octets, *b"secret octets", "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_public_key_is_a_record() {
    let record =
        format!("host.dyn.test. 3600 IN KEY 512 3 15 {} {}", "AAECAwQFBgcICQoLDA0O", "DxAREhMUFRYXGBkaGxwdHh8=");
    let expected: Vec<u8> = [2, 0, 3, 15].into_iter().chain(0..32).collect();
    assert_eq!(keys(&record), [("host.dyn.test.".to_owned(), Algorithm::Sig0, expected)]);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let syntax = |expected, found: &str| Reason::Syntax { expected, found: found.to_owned() };
    let cases = [
        ("", 1, Reason::NoKey),
        ("\n# nothing\n", 1, Reason::NoKey),
        ("options { };\n", 1, Reason::NoKey),
        ("key k {\n algorithm hmac-md5;\n};", 2, Reason::Algorithm("hmac-md5".into())),
        ("key k {\n secret \"*\";\n};", 2, Reason::Base64),
        ("key k {\n secret \"\";\n};", 2, Reason::Empty),
        ("\nkey k { secret \"AAAA\"; };", 2, Reason::Missing("algorithm")),
        ("\nkey k { algorithm hmac-sha256; };", 2, Reason::Missing("secret")),
        ("key k { secret \"AAAA\";\n secret \"AAAA\"; };", 2, Reason::Twice("secret")),
        ("key k {\n secret \"AAAA\" };", 2, syntax("`;`", "}")),
        ("key k {\n colour red; };", 2, syntax("`algorithm` or `secret`", "colour")),
        ("key k {\n secret \"AAAA\";", 1, Reason::Open("brace")),
        ("\n{ \"abc", 2, Reason::Open("string")),
        ("{ }\n/* abc", 2, Reason::Open("comment")),
        ("{ }\n}", 2, syntax("a clause", "}")),
        ("key a..b { };", 1, Reason::Name("a..b".into(), NameError::EmptyLabel)),
        ("key:\n  id: k\n", 2, syntax("`- id:`", "id: k")),
        ("key:\n  - id: k\n    secret: AAAA\n", 2, Reason::Missing("algorithm")),
        ("key:\n  - id: k\n    id: k\n", 3, Reason::Twice("id")),
        ("key:\n  - id: k\n    colour: red\n", 3, syntax("`id`, `algorithm` or `secret`", "colour")),
        ("a:b:c:d", 1, syntax("[algorithm:]name:secret", "a:b:c:d")),
        ("\nhmac-md5:k:AAAA", 2, Reason::Algorithm("hmac-md5".into())),
        ("a b c!", 1, Reason::Base64),
        ("x. IN KEY 512 3", 1, syntax("the algorithm as a number", "the end of the line")),
        ("x. IN KEY 512 3 5 AAAA", 1, Reason::Public(PublicKeyError::Algorithm(5))),
        ("Private-key-format: v1.3\nAlgorithm: 13", 1, Reason::Private),
    ];
    for (text, line, reason) in cases {
        match read(text) {
            Err(error) => assert_eq!(error, reason.at(line), "{text:?}"),
            Ok(found) => panic!("{text:?}: {found:?}"),
        }
    }
}

#[test]
fn what_is_written_is_read_again() {
    for algorithm in [Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512] {
        let secret: Box<[u8]> = vec![0xa5; secret_len(algorithm)].into();
        let key = Key { name: "Key.Example".parse().expect("a name"), algorithm, secret };
        for text in [to_clause(&key), to_line(&key)].map(|text| text.expect("a shared key")) {
            assert_eq!(keys(&text), [("Key.Example.".to_owned(), algorithm, key.secret.to_vec())], "{text}");
        }
    }
}

#[test]
fn no_text_is_a_panic() {
    // Every beginning of a file with everything in it, and every such file with one character gone.
    let text = format!(
        "key \"k1\" {{ algorithm hmac-sha256; /* ü */ secret \"{SECRET}\"; }}; // x\nkey:\n - id: k1\n# y\na:b:{SECRET}\n\
         z. IN KEY 512 3 15 AAAA"
    );
    for (at, letter) in text.char_indices() {
        let (front, back) = (&text[..at], &text[at + letter.len_utf8()..]);
        let _ = (read(front).is_ok(), read(back).is_ok(), read(&[front, back].concat()).is_ok());
    }
}
