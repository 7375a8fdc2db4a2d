//! One cloud with users, each in folders of a lab of its own.

use super::service::within_a_day;
use super::{Ended, Lab, Running, TINY};
use std::fs;

/// A cloud in the folders `cloud` and `clients`, users in folders of their names.
pub struct OneCloud {
    pub lab: Lab,
}

impl OneCloud {
    /// The model owner, the cloud, and users with these flags of `add-client`.
    pub fn new(users: &[(&str, &[&str])]) -> OneCloud {
        let one = OneCloud::of(Lab::new());
        for (user, flags) in users {
            one.user(user);
            one.add(user, flags).done();
        }
        one
    }

    /// The model owner and the cloud, in a lab that has files already.
    pub fn of(lab: Lab) -> OneCloud {
        within_a_day();
        let one = OneCloud { lab };
        for (folder, role) in [("cloud", "server0"), ("owner", "model-owner")] {
            one.lab.run(&["keygen", "--out", folder, "--role", role]).done();
        }
        one.copy("cloud/server0.pub", "owner/server0.pub");
        one.copy("owner/model-owner.pub", "cloud/model-owner.pub");
        one
    }

    pub fn copy(&self, from: &str, to: &str) {
        fs::copy(self.lab.path(from), self.lab.path(to)).unwrap();
    }

    /// A user with keys and a model, whom the cloud does not know.
    pub fn user(&self, user: &str) {
        self.user_of(user, TINY, &[]);
    }

    /// The same, with a model of a file, shared with these flags.
    pub fn user_of(&self, user: &str, model: &str, flags: &[&str]) {
        self.lab.run(&["keygen", "--out", user, "--role", "server1"]).done();
        self.copy("cloud/server0.pub", &format!("{user}/server0.pub"));
        self.copy("owner/model-owner.pub", &format!("{user}/model-owner.pub"));
        self.share(user, (model, flags), user);
    }

    /// Shares the model for a user once more.
    pub fn share_again(&self, user: &str, share: &str) {
        self.share(user, (TINY, &[]), share);
    }

    fn share(&self, user: &str, (model, flags): (&str, &[&str]), share: &str) {
        let key = format!("{user}/server1.pub");
        let args = ["share-model", model, "--keys", "owner", "--for", &key, "--out", share];
        self.lab.run(&[&args[..], flags].concat()).done();
    }

    /// Adds a user at the cloud.
    pub fn add(&self, user: &str, flags: &[&str]) -> Ended {
        self.add_as(user, (user, user), flags)
    }

    /// Adds a user under any name, with the key of a folder and a share.
    pub fn add_as(&self, name: &str, (keys, share): (&str, &str), flags: &[&str]) -> Ended {
        let (key, model) = (format!("{keys}/server1.pub"), format!("{share}.s0"));
        let args = ["add-client", name, "--clients", "clients", "--keys", "cloud"];
        let more = ["--key", &key, "--model", &model, "--json"];
        self.lab.run(&[&args[..], &more, flags].concat())
    }

    /// Starts the cloud; its address.
    pub fn start(&self) -> (Running, String) {
        self.start_with(&["--timeout", "20"])
    }

    /// Starts the cloud with these flags.
    pub fn start_with(&self, flags: &[&str]) -> (Running, String) {
        let args = ["cloud", "--clients", "clients", "--keys", "cloud", "--listen", "127.0.0.1:0"];
        let more = ["--json", "--threads", "1"];
        let mut cloud = Running::start(self.lab.command(&[&args[..], &more, flags].concat()));
        let address = cloud.address();
        (cloud, address)
    }

    /// The command line of a user.
    pub fn args(&self, user: &str, address: &str, more: &[&str]) -> Vec<String> {
        let (model, state) = (format!("{user}.s1"), format!("{user}-state"));
        let args = ["client", "--cloud", address, "--keys", user, "--model", &model];
        let common = ["--state", &state, "--json", "--wait", "5", "--threads", "1"];
        let all = [&args[..], &common, more].concat();
        all.into_iter().map(String::from).collect()
    }

    /// Runs a user to its end.
    pub fn client(&self, user: &str, address: &str, more: &[&str]) -> Ended {
        self.lab.run(&self.args(user, address, more))
    }

    /// Starts a user.
    pub fn begin(&self, user: &str, address: &str, more: &[&str]) -> Running {
        Running::start(self.lab.command(&self.args(user, address, more)))
    }

    /// The slots that a ledger marks, in order; none twice.
    pub fn marks(&self, ledger: &str) -> Vec<String> {
        let text = String::from_utf8(self.lab.read(ledger)).unwrap();
        let slots = text.lines().filter_map(|line| line.strip_prefix("slot "));
        let slot = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let marks: Vec<String> = slots.map(slot).collect();
        let mut sorted = marks.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), marks.len(), "a slot was marked twice: {text}");
        marks
    }

    /// Copies a folder as a backup does.
    pub fn copy_folder(&self, from: &str, to: &str) {
        let made = fs::create_dir(self.lab.path(to));
        made.unwrap_or_else(|e| panic!("{to}: {e}"));
        let mode = fs::metadata(self.lab.path(from)).unwrap().permissions();
        fs::set_permissions(self.lab.path(to), mode).unwrap();
        for name in self.lab.names(from) {
            let (from, to) = (format!("{from}/{name}"), format!("{to}/{name}"));
            if self.lab.path(&from).is_dir() {
                self.copy_folder(&from, &to)
            } else {
                self.copy(&from, &to)
            }
        }
    }

    /// Puts a backup back in the place of a folder.
    pub fn put_back(&self, backup: &str, folder: &str) {
        self.remove(folder);
        self.copy_folder(backup, folder);
    }

    /// Removes a folder.
    pub fn remove(&self, folder: &str) {
        fs::remove_dir_all(self.lab.path(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    }

    /// What is counted last: slots in all, and what they tell.
    pub fn counted(&self) -> Option<(u64, u64)> {
        let text = String::from_utf8(self.lab.read("clients/counts/ledger")).unwrap();
        let line = text.lines().rfind(|line| line.starts_with("count "))?;
        let words: Vec<u64> = line.split(' ').skip(5).take(2).map(|n| n.parse().unwrap()).collect();
        Some((words[0], words[1]))
    }

    /// Every file below a folder with its content.
    pub fn files(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let (mut files, mut folders) = (Vec::new(), vec![self.lab.path(folder)]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path)
                } else {
                    files.push((path.display().to_string(), fs::read(&path).unwrap()))
                }
            }
        }
        files
    }
}
