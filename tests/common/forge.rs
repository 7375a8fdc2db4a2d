//! Files as somebody makes them who has some of the keys, and means no good.

use super::Lab;
use ppdenoise::internals::files::container::envelope::{
    ChunkKey, Content, EnvelopeWriter, open_file,
};
use ppdenoise::internals::files::container::header::{Body, PublicModel};
use ppdenoise::internals::files::container::no_passphrase;
use ppdenoise::internals::files::container::{OpenFrom, SealTo};
use ppdenoise::internals::files::keys::KeyFolder;
use ppdenoise::internals::files::keys::{PublicKey, SecretKey};
use ppdenoise_base::ids::{Fingerprint, Role};

/// Keys of a folder.
pub struct Keys(KeyFolder);

impl Keys {
    pub fn of(lab: &Lab, folder: &str) -> Keys {
        Keys(KeyFolder::open(&lab.path(folder)).unwrap())
    }

    pub fn secret(&self, role: Role) -> SecretKey {
        self.0.secret(role, &no_passphrase).unwrap()
    }

    pub fn public(&self, role: Role) -> PublicKey {
        self.0.public(role).unwrap()
    }

    pub fn fingerprint(&self, role: Role) -> Fingerprint {
        self.public(role).fingerprint()
    }

    /// The model owner and both servers, as a description names them.
    pub fn named(&self) -> (Fingerprint, [Fingerprint; 2]) {
        let servers = [Role::Server0, Role::Server1].map(|role| self.fingerprint(role));
        (self.fingerprint(Role::ModelOwner), servers)
    }
}

/// A public description: its maker, header and JSON.
pub struct Described {
    pub owner: Fingerprint,
    pub header: PublicModel,
    pub json: Vec<u8>,
}

impl Described {
    pub fn read(lab: &Lab, name: &str) -> Described {
        let file = open_file(lab.path(name)).unwrap();
        let (owner, length) = (file.header().sender, file.header().payload_len as usize);
        let header = *file.expect::<PublicModel>().unwrap();
        let json = file.in_clear().unwrap().chunk(ChunkKey::ONLY, length).unwrap();
        Described { owner, header, json }
    }

    /// Anybody can write one.
    pub fn write(&self, lab: &Lab, name: &str) {
        let payload_len = self.json.len() as u64;
        let content = Content { payload_len, chunks: 1, body: self.header.into() };
        let mut file = EnvelopeWriter::in_clear(Vec::new(), self.owner, content).unwrap();
        file.chunk(ChunkKey::ONLY, &mut self.json.clone()).unwrap();
        lab.write(name, &file.finish().unwrap());
    }
}

/// A sealed file: its header's fields and its chunks.
pub struct Sealed {
    pub body: Body,
    pub chunks: Vec<(ChunkKey, Vec<u8>)>,
}

fn server(party: usize) -> Role {
    [Role::Server0, Role::Server1][party]
}

impl Sealed {
    /// What a maker's file for a server holds; keys and lengths of the chunks are known.
    pub fn read(
        lab: &Lab,
        name: &str,
        keys: &Keys,
        (maker, party): (Role, usize),
        chunks: &[(ChunkKey, usize)],
    ) -> Sealed {
        let file = open_file(lab.path(name)).unwrap();
        let body = file.header().body.clone();
        let (recipient, sender) = (keys.secret(server(party)), keys.public(maker));
        let from = OpenFrom { recipient: &recipient, sender: &sender, role: maker };
        let mut file = file.unseal(from).unwrap();
        let read = |&(key, length): &(ChunkKey, usize)| (key, file.chunk(key, length).unwrap());
        let chunks = chunks.iter().map(read).collect();
        file.finish().unwrap();
        Sealed { body, chunks }
    }

    /// Seals it, which takes the maker's secret key.
    pub fn write(&self, lab: &Lab, name: &str, keys: &Keys, (maker, party): (Role, usize)) {
        let (sender, recipient) = (keys.secret(maker), keys.public(server(party)));
        let payload_len = self.chunks.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let (chunks, body) = (self.chunks.len() as u64, self.body.clone());
        let to = SealTo { sender: &sender, recipient: &recipient };
        let content = Content { payload_len, chunks, body };
        let mut file = EnvelopeWriter::sealed(Vec::new(), to, content).unwrap();
        for (key, bytes) in &self.chunks {
            file.chunk(*key, &mut bytes.clone()).unwrap();
        }
        lab.write(name, &file.finish().unwrap());
    }
}

/// The only chunk of a file that holds so many seeds.
pub fn seeds(count: usize) -> Vec<(ChunkKey, usize)> {
    vec![(ChunkKey::op(u32::MAX), 32 * count)]
}
