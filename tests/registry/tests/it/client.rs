//! The client `oci` on registries that keep real blobs: Debian's docker-registry, and the personalities. A wire between
//! them cuts what a test wants to be cut.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use local_registry::{Distribution, DistributionConfig, Personality};
use oci::{
    Access, Algorithm, Cause, Client, ClientConfig, Digest, Hasher, MANIFEST_LIMIT, Manifest, Mount, Name,
    OCI_IMAGE, Profile, Reference, Standing, Tag, Upload,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::Instant,
};

use crate::debian::Debian;

/// What the wire does to the next request of a verb.
#[derive(Clone, Copy)]
enum Cut {
    /// Lets so many bytes of the body through.
    Request(usize),
    /// Lets the request through, and not the answer.
    Answer,
}

/// Carries bytes between the client and a registry.
struct Wire {
    url: String,
    cut: Arc<Mutex<Option<(&'static str, Cut)>>>,
    task: JoinHandle<()>,
}

impl Wire {
    async fn to(registry: &str) -> Self {
        let address = registry.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let cut = Arc::default();
        let cuts: Arc<Mutex<_>> = Arc::clone(&cut);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&address).await.unwrap();
                tokio::spawn(carry(near, far, Arc::clone(&cuts)));
            }
        });
        Self { url, cut, task }
    }

    fn cut(&self, verb: &'static str, cut: Cut) {
        *self.cut.lock().unwrap() = Some((verb, cut));
    }

    /// Whether what was to be cut has been cut.
    fn has_cut(&self) -> bool {
        self.cut.lock().unwrap().is_none()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(near: TcpStream, far: TcpStream, cuts: Arc<Mutex<Option<(&'static str, Cut)>>>) {
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let is_mute = Arc::new(AtomicBool::new(false));
    let mute = Arc::clone(&is_mute);
    let answers = tokio::spawn(async move {
        let mut chunk = vec![0; 65536];
        while let Ok(size @ 1..) = from_far.read(&mut chunk).await {
            if mute.load(Ordering::SeqCst) || to_near.write_all(&chunk[..size]).await.is_err() {
                break;
            }
        }
    });
    let mut buffer: Vec<u8> = Vec::new();
    'requests: loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let mut chunk = vec![0; 65536];
            match from_near.read(&mut chunk).await {
                Ok(size @ 1..) => buffer.extend_from_slice(&chunk[..size]),
                _ => break 'requests,
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |length| length.trim().parse().unwrap());
        let cut = {
            let mut cut = cuts.lock().unwrap();
            let is_meant = cut.is_some_and(|(verb, _)| head.starts_with(&verb.to_lowercase()));
            if is_meant { cut.take().map(|(_, cut)| cut) } else { None }
        };
        if matches!(cut, Some(Cut::Answer)) {
            is_mute.store(true, Ordering::SeqCst);
        }
        let mut left = match cut {
            Some(Cut::Request(bytes)) => end + bytes.min(length),
            _ => end + length,
        };
        while left > 0 {
            let size = left.min(buffer.len());
            if to_far.write_all(&buffer[..size]).await.is_err() {
                break 'requests;
            }
            buffer.drain(..size);
            left -= size;
            let mut chunk = vec![0; 65536];
            if left > 0 {
                match from_near.read(&mut chunk).await {
                    Ok(size @ 1..) => buffer.extend_from_slice(&chunk[..size]),
                    _ => break 'requests,
                }
            }
        }
        if matches!(cut, Some(Cut::Request(_))) {
            answers.abort();
            return;
        }
    }
    let _ = tokio::time::timeout(Duration::from_secs(5), answers).await;
}

/// A registry that ends when it is dropped.
enum Kept {
    Debian { _registry: Debian },
    Ours { registry: Distribution, _folder: TempDir },
}

/// A registry behind a wire.
struct Bench {
    wire: Wire,
    profile: Profile,
    registry: Kept,
}

impl Bench {
    async fn debian() -> Self {
        let registry = Debian::start();
        let wire = Wire::to(&registry.url).await;
        Self { wire, profile: Profile::Distribution2, registry: Kept::Debian { _registry: registry } }
    }

    async fn personality(personality: Personality, profile: Profile) -> Self {
        let folder = TempDir::new().unwrap();
        let registry =
            Distribution::start(DistributionConfig::new(personality, folder.path())).await.unwrap();
        let wire = Wire::to(&registry.url()).await;
        Self { wire, profile, registry: Kept::Ours { registry, _folder: folder } }
    }

    async fn all() -> Vec<Self> {
        vec![
            Self::debian().await,
            Self::personality(Personality::Distribution2, Profile::Distribution2).await,
            Self::personality(Personality::Distribution3, Profile::Distribution3).await,
        ]
    }

    /// A client of its own, as another process has one.
    fn client(&self) -> Client {
        let mut config = ClientConfig::new(self.wire.url.parse().unwrap());
        config.profile = self.profile;
        config.access = Access::Push;
        Client::new(config).unwrap()
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn name() -> Name {
    Name::parse("group/image").unwrap()
}

/// A blob of `size` bytes that differ.
fn blob(seed: u8, size: usize) -> (Bytes, Digest) {
    let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8 ^ (at / 251 % 256) as u8 ^ seed).collect();
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    (bytes.into(), digest)
}

async fn is_there(client: &Client, digest: &Digest) -> bool {
    client.head_blob(&name(), digest, soon()).await.unwrap().is_some()
}

async fn read(client: &Client, digest: &Digest, size: usize, from: u64) -> Vec<u8> {
    let mut reader = client.read_blob(&name(), digest, size as u64, from);
    let mut whole = Vec::new();
    while let Some(part) = reader.part(300_000, soon()).await.unwrap() {
        whole.extend_from_slice(&part);
    }
    whole
}

#[tokio::test]
async fn client_recognises_a_registry_by_its_uploads() {
    for bench in Bench::all().await {
        let client = bench.client();
        assert_eq!(client.recognise(&name(), soon()).await.unwrap(), bench.profile);
        if let Kept::Ours { registry, .. } = &bench.registry {
            assert_eq!(registry.open_uploads().len(), 0);
        }
    }
}

#[tokio::test]
async fn client_continues_an_upload_in_another_process() {
    for bench in Bench::all().await {
        let (bytes, digest) = blob(1, 2_500_000);
        let client = bench.client();
        let mut upload = client.begin_upload(&name(), soon()).await.unwrap();
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let first = bytes.slice(..1_000_000);
        hasher.update(&first);
        client.upload_part(&mut upload, first, soon()).await.unwrap();
        let (location, offset, saved) = (upload.location().to_owned(), upload.offset(), hasher.save());

        let other = bench.client();
        let mut upload = Upload::resume(&other, name(), &location, offset).unwrap();
        assert_eq!(other.upload_status(&mut upload, soon()).await.unwrap(), Standing::At(1_000_000));
        let mut hasher = Hasher::resume(&saved).unwrap();
        let second = bytes.slice(1_000_000..2_000_000);
        hasher.update(&second);
        other.upload_part(&mut upload, second, soon()).await.unwrap();
        let last = bytes.slice(2_000_000..);
        hasher.update(&last);
        assert_eq!(hasher.finish(), digest);
        other.finish_upload(upload, &digest, last, soon()).await.unwrap();

        assert_eq!(read(&client, &digest, bytes.len(), 0).await, bytes);
        assert_eq!(read(&client, &digest, bytes.len(), 2_400_000).await, bytes.slice(2_400_000..));
    }
}

#[tokio::test]
async fn client_heals_a_cut_part_where_the_registry_can() {
    for bench in Bench::all().await {
        for (at, cut) in [(2, Cut::Request(150_000)), (3, Cut::Answer)] {
            let (bytes, digest) = blob(at, 1_400_000);
            let client = bench.client();
            let mut upload = client.begin_upload(&name(), soon()).await.unwrap();
            client.upload_part(&mut upload, bytes.slice(..1_000_000), soon()).await.unwrap();
            bench.wire.cut("PATCH", cut);
            let sent = client.upload_part(&mut upload, bytes.slice(1_000_000..), soon()).await;
            assert!(bench.wire.has_cut());
            match bench.profile {
                Profile::Distribution3 => {
                    sent.unwrap();
                    client.finish_upload(upload, &digest, Bytes::new(), soon()).await.unwrap();
                    assert_eq!(read(&client, &digest, bytes.len(), 0).await, bytes);
                }
                _ => {
                    assert_eq!(sent.unwrap_err().cause, Cause::UploadLost);
                    assert_eq!(client.upload_status(&mut upload, soon()).await.unwrap(), Standing::Lost);
                    client.cancel_upload(upload, soon()).await.unwrap();
                    assert!(!is_there(&client, &digest).await);
                }
            }
        }
    }
}

#[tokio::test]
async fn client_sends_a_whole_blob_through_every_cut() {
    for bench in Bench::all().await {
        let begun_anew = u32::from(bench.profile == Profile::Distribution2);
        let cuts =
            [("PUT", Cut::Answer, 0), ("PUT", Cut::Request(150_000), begun_anew), ("POST", Cut::Answer, 0)];
        for (seed, (verb, cut, lost)) in cuts.into_iter().enumerate() {
            let (bytes, digest) = blob(10 + u8::try_from(seed).unwrap(), 400_000);
            let client = bench.client();
            bench.wire.cut(verb, cut);
            let put = client.put_blob(&name(), &digest, &bytes, None, soon()).await.unwrap();
            assert!(bench.wire.has_cut());
            assert_eq!(put.lost, lost, "{verb} {:?}", bench.profile);
            assert_eq!(read(&client, &digest, bytes.len(), 0).await, bytes);
        }
    }
}

#[tokio::test]
async fn client_drops_an_upload_whose_bytes_are_others() {
    for bench in Bench::all().await {
        let client = bench.client();
        let (bytes, _) = blob(20, 1000);
        let (_, other) = blob(21, 1000);
        let session = client.begin_upload(&name(), soon()).await.unwrap();
        let mut kept = session.clone();
        let refused = client.put_blob(&name(), &other, &bytes, Some(session), soon()).await.unwrap_err();
        assert_eq!(refused.cause, Cause::DigestMismatch);
        assert_eq!(client.upload_status(&mut kept, soon()).await.unwrap(), Standing::Lost);
    }
}

#[tokio::test]
async fn client_mounts_what_another_repository_has() {
    for bench in Bench::all().await {
        let client = bench.client();
        let (bytes, digest) = blob(30, 1000);
        let (_, missing) = blob(31, 1000);
        client.put_blob(&name(), &digest, &bytes, None, soon()).await.unwrap();
        let other = Name::parse("group/other").unwrap();
        let mounted = client.mount(&other, &digest, Some(&name()), soon()).await.unwrap();
        assert_eq!(mounted, Mount::Mounted);
        let Mount::Session(session) = client.mount(&other, &missing, Some(&name()), soon()).await.unwrap()
        else {
            panic!("there is nothing to mount");
        };
        client.cancel_upload(session, soon()).await.unwrap();
    }
}

#[tokio::test]
async fn client_sends_and_reads_a_blob_named_by_sha512() {
    for bench in Bench::all().await {
        let client = bench.client();
        let (bytes, _) = blob(40, 1000);
        let digest = Digest::of(Algorithm::Sha512, &bytes);
        client.put_blob(&name(), &digest, &bytes, None, soon()).await.unwrap();
        assert_eq!(client.head_blob(&name(), &digest, soon()).await.unwrap().unwrap().size, Some(1000));
        assert_eq!(read(&client, &digest, 1000, 0).await, bytes);
    }
}

#[tokio::test]
async fn client_sends_blobs_of_no_byte_and_of_one() {
    for bench in Bench::all().await {
        let client = bench.client();
        for size in [0, 1] {
            let (bytes, digest) = blob(50, size);
            client.put_blob(&name(), &digest, &bytes, None, soon()).await.unwrap();
            assert_eq!(read(&client, &digest, size, 0).await, bytes);
        }
        let (bytes, digest) = blob(51, 2);
        let mut upload = client.begin_upload(&name(), soon()).await.unwrap();
        assert_eq!(client.upload_status(&mut upload, soon()).await.unwrap(), Standing::At(0));
        client.upload_part(&mut upload, bytes.slice(..1), soon()).await.unwrap();
        client.upload_part(&mut upload, bytes.slice(1..), soon()).await.unwrap();
        client.finish_upload(upload, &digest, Bytes::new(), soon()).await.unwrap();
        assert!(is_there(&client, &digest).await);
    }
}

#[tokio::test]
async fn client_is_not_held_up_beyond_a_blobs_end() {
    for bench in Bench::all().await {
        let client = bench.client();
        let (bytes, digest) = blob(60, 5000);
        client.put_blob(&name(), &digest, &bytes, None, soon()).await.unwrap();
        let began = Instant::now();
        let refused = client.get_blob(&name(), &digest, 5000, soon()).await.err().unwrap();
        assert_eq!(refused.cause, Cause::SizeMismatch);
        assert!(is_there(&client, &digest).await);
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn client_writes_manifests_byte_for_byte() {
    for bench in Bench::all().await {
        let client = bench.client();
        let (config, digest) = blob(70, 100);
        client.put_blob(&name(), &digest, &config, None, soon()).await.unwrap();
        let of = |size: usize| {
            let space = " ".repeat(size);
            let text = format!(
                "{{ \"schemaVersion\":2,\r\n\"mediaType\":\"{OCI_IMAGE}\",{space}\"config\":{{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"{digest}\",\"size\":100}},\"layers\":[]}}\n"
            );
            Manifest::new(text.into(), OCI_IMAGE.to_owned())
        };
        for (size, tag) in [(0, "small"), (3_900_000, "large")] {
            let (manifest, tag) = (of(size), Reference::from(Tag::parse(tag).unwrap()));
            let by_digest = Reference::from(manifest.digest().clone());
            client.put_manifest(&name(), &by_digest, &manifest, soon()).await.unwrap();
            client.put_manifest(&name(), &tag, &manifest, soon()).await.unwrap();
            for reference in [&tag, &by_digest] {
                let head = client.head_manifest(&name(), reference, soon()).await.unwrap().unwrap();
                assert_eq!(
                    (head.digest, head.size as usize),
                    (manifest.digest().clone(), manifest.bytes().len())
                );
                let read = client.get_manifest(&name(), reference, soon()).await.unwrap().unwrap();
                assert_eq!(read, manifest);
            }
        }
        let too_large = of(MANIFEST_LIMIT);
        let refused =
            client.put_manifest(&name(), &Tag::parse("x").unwrap().into(), &too_large, soon()).await;
        assert_eq!(refused.unwrap_err().cause, Cause::TooLarge);

        // A layer that is not there.
        let lacking =
            String::from_utf8(of(0).bytes().to_vec()).unwrap().replace(digest.hex(), &"0".repeat(64));
        let lacking = Manifest::new(lacking.into(), OCI_IMAGE.to_owned());
        let refused = client.put_manifest(&name(), &Tag::parse("x").unwrap().into(), &lacking, soon()).await;
        assert_eq!(refused.unwrap_err().cause, Cause::BlobUnknown);

        let mut tags: Vec<String> =
            client.tags(&name(), soon()).await.unwrap().items.into_iter().map(String::from).collect();
        tags.sort();
        assert_eq!(tags, ["large", "small"]);
        assert_eq!(client.catalogue(soon()).await.unwrap().items, [name()]);
        let absent = Name::parse("group/absent").unwrap();
        assert_eq!(client.tags(&absent, soon()).await.unwrap_err().cause, Cause::NotFound);
        assert_eq!(
            client.head_manifest(&absent, &Tag::parse("x").unwrap().into(), soon()).await.unwrap(),
            None
        );
        assert!(client.fallback_index(&name(), of(0).digest(), soon()).await.unwrap().is_none());
    }
}
