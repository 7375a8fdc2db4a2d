use super::*;
use std::io::Write;
use tempfile::NamedTempFile;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// The arguments after `ppdenoise serve`, completed.
fn completed(args: &[&str], environment: &[(&str, &str)]) -> Result<Vec<String>, Failure> {
    let args = ["ppdenoise", "serve"].iter().chain(args).map(OsString::from).collect();
    let environment = environment.iter().map(|(name, text)| (name.into(), text.into()));
    let completed = complete(args, environment)?;
    Ok(completed.args[2..].iter().map(|arg| arg.to_str().unwrap().to_string()).collect())
}

fn with_file(text: &str, args: &[&str], environment: &[(&str, &str)]) -> Vec<String> {
    let file = file(text);
    let config = format!("--config={}", file.path().display());
    let mut found = completed(&[&[config.as_str()], args].concat(), environment).unwrap();
    found.retain(|arg| *arg != config);
    found.sort();
    found
}

#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_file() {
    let text = "threads = 1\nwait = 1\ntimeout = 1\n";
    let environment = [("PPDENOISE_WAIT", "2"), ("PPDENOISE_TIMEOUT", "2"), ("HOME", "/")];
    let found = with_file(text, &["--timeout=3"], &environment);
    assert_eq!(found, ["--threads=1", "--timeout=3", "--wait=2"]);
}

#[test]
fn switches_lists_numbers_and_texts_are_written_as_flags() {
    let text = "insecure = true\nforce = false\nimage = ['a b.s0', 'c.s0']\nout = 'x'\nparty = 0";
    let expected = ["--image=a b.s0", "--image=c.s0", "--insecure", "--out=x", "--party=0"];
    assert_eq!(with_file(text, &[], &[]), expected);
    let environment = [("PPDENOISE_ERASE_SPENT", "true"), ("PPDENOISE_JSON", "false")];
    assert_eq!(with_file("", &[], &environment), ["--erase-spent"]);
    // Not set is what an empty variable means.
    assert_eq!(with_file("wait = 1", &[], &[("PPDENOISE_WAIT", "")]), ["--wait=1"]);
}

/// Of flags that exclude one another the stronger place decides.
#[test]
fn an_address_to_connect_to_replaces_one_to_listen_at() {
    let text = "listen = '127.0.0.1:0'\nwait = 1";
    let found = with_file(text, &["--connect=127.0.0.1:9"], &[]);
    assert_eq!(found, ["--connect=127.0.0.1:9", "--wait=1"]);
    let found = with_file(text, &[], &[("PPDENOISE_CONNECT", "127.0.0.1:9")]);
    assert_eq!(found, ["--connect=127.0.0.1:9", "--wait=1"]);
    // Both in one place is for the parser to refuse.
    assert_eq!(with_file("listen = 'a:1'\nconnect = 'b:1'", &[], &[]).len(), 2);
}

#[test]
fn unknown_names_are_refused_with_the_nearest_known_one() {
    let refused = |text: &str, environment: &[(&str, &str)]| {
        let file = file(text);
        let config = format!("--config={}", file.path().display());
        completed(&[&config], environment).unwrap_err().to_string()
    };
    for (text, key, nearest) in [
        ("thread = 2", "'thread'", "'threads'"),
        ("erase_spent = true", "'erase_spent'", "'erase-spent'"),
        ("triples = 'x'", "'triples'", "'triplets'"),
        ("config = 'x'", "'config'", "'connect'"),
        ("[serve]\nwait = 1", "'serve'", "in no section"),
    ] {
        let text = refused(text, &[]);
        assert!(text.contains(key) && text.contains(nearest), "{text}");
    }
    let text = refused("", &[("PPDENOISE_STAT", "x")]);
    assert!(text.contains("PPDENOISE_STAT") && text.contains("'PPDENOISE_STATE'"), "{text}");
    assert!(refused("", &[("PPDENOISE_Wait", "1")]).contains("'PPDENOISE_WAIT'"));
}

#[test]
fn wrong_types_and_what_is_no_toml_are_refused() {
    for (text, expected) in [
        ("threads = true", "'threads' is not text or a number"),
        ("insecure = 1", "'insecure' is not true or false"),
        ("wait = [1]", "'wait' is not text or a number"),
        ("image = [['a']]", "'image' is not text or a number"),
        ("wait = 1\nwait", "line 2 is no TOML"),
    ] {
        let file = file(text);
        let config = format!("--config={}", file.path().display());
        let error = completed(&[&config], &[]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = completed(&[], &[("PPDENOISE_INSECURE", "1")]).unwrap_err().to_string();
    assert!(error.contains("PPDENOISE_INSECURE") && error.contains("true or false"), "{error}");
}

#[test]
fn other_commands_and_broken_command_lines_stay_as_they_are() {
    let environment = || [("PPDENOISE_WAIT".into(), "2".into())].into_iter();
    for line in ["inspect x --json", "erase --party 0", "serve --wat 1", "serve --help", ""] {
        let args: Vec<OsString> =
            ["ppdenoise"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect();
        let completed = complete(args.clone(), environment()).unwrap();
        assert_eq!(completed.args, args);
    }
    // Settings of `serve` that `prepare` has not are passed over.
    let file = file("image = 'a'\nthreads = 2");
    let config = format!("--config={}", file.path().display());
    let args = ["ppdenoise", "--quiet", "prepare", &config].map(OsString::from).to_vec();
    let completed = complete(args, std::iter::empty()).unwrap();
    assert_eq!(completed.args[2..], ["prepare", "--threads=2", &config].map(OsString::from));
    assert_eq!(completed.origins.keys().collect::<Vec<_>>(), ["--threads"]);
}
