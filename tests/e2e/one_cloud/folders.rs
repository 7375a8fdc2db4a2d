//! The cloud's folder of users: names that are its own, and who may change what is in it.

use super::SIZE;
use crate::common::noisy_crop;
use crate::common::one_cloud::OneCloud;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

fn chmod(one: &OneCloud, name: &str, mode: u32) {
    fs::set_permissions(one.lab.path(name), Permissions::from_mode(mode)).unwrap();
}

/// A user called as a file of the cloud's would end it for everybody.
#[test]
fn a_user_has_no_name_of_the_clouds_own() {
    let one = OneCloud::new(&[("anna", &[])]);
    one.user("in-use");
    one.add("in-use", &[]).refused_once(2, &["'in-use' is the name of a file of the cloud's own"]);
    assert_eq!(one.lab.names("clients"), ["anna", "counts"], "nothing was left");
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    let (_cloud, address) = one.start();
    one.client("anna", &address, &["noisy.png", "--out", "out.png"]).report();
    one.add("in-use", &[]).refused_once(2, &["'in-use' is the name of a file of the cloud's own"]);
}

/// Who may change the folder, or put another one in its place, adds users and sets limits.
#[test]
fn a_folder_of_users_that_others_may_change_is_refused() {
    let one = OneCloud::new(&[("anna", &[])]);
    one.user("ben");
    let cloud = ["cloud", "--clients", "clients", "--keys", "cloud", "--listen", "127.0.0.1:0"];
    // Everybody, a group; and of the folder that it lies in.
    for (name, mode, kept) in [
        ("clients", 0o777, 0o700),
        ("clients", 0o770, 0o755),
        ("clients", 0o702, 0o700),
        (".", 0o777, 0o700),
        (".", 0o720, 0o700),
    ] {
        chmod(&one, name, mode);
        let words = ["for its owner alone to change", &format!("{mode:03o}"), "chmod go-w"];
        one.lab.run(&cloud).refused_once(3, &words);
        one.add("ben", &[]).refused_once(3, &words);
        chmod(&one, name, kept);
    }
    // Names are taken away by their owners alone there.
    chmod(&one, ".", 0o1777);
    one.add("ben", &[]).done();
    let files = ["model.pub", "model.s0", "settings.toml", "user.pub"];
    assert_eq!(one.lab.names("clients/ben"), [&files[..3], &["state"], &files[3..]].concat());
    for name in files {
        assert_eq!(one.lab.mode(&format!("clients/ben/{name}")), 0o600, "{name}");
    }
    chmod(&one, ".", 0o700);
}

/// A user's folder that others may change is passed over, and told; the other users are served.
#[test]
fn a_users_folder_that_others_may_change_is_passed_over() {
    let one = OneCloud::new(&[("anna", &[]), ("ben", &[])]);
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    for (name, open, kept, code) in [
        ("clients/ben/settings.toml", 0o666, 0o644, "others may write to it: its mode is 666"),
        ("clients/ben/user.pub", 0o620, 0o600, "others may write to it: its mode is 620"),
        ("clients/ben/model.s0", 0o640, 0o600, "others have access to it: its mode is 640"),
        ("clients/ben", 0o777, 0o700, "others may write to it: its mode is 777"),
    ] {
        chmod(&one, name, open);
        let (mut cloud, address) = one.start();
        let line = cloud.line_with("for its owner alone");
        assert!(line.contains(name) && line.contains(code), "{line}");
        let ben = one.client("ben", &address, &["noisy.png", "--out", "ben.png"]);
        ben.refused_once(4, &["does not accept this server's key"]);
        one.client("anna", &address, &["noisy.png", "--out", "anna.png", "--force"]).report();
        drop(cloud);
        chmod(&one, name, kept);
    }
    let (_cloud, address) = one.start();
    one.client("ben", &address, &["noisy.png", "--out", "ben.png"]).report();
}
