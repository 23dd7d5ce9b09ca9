//! What a test can make a registry with a personality do to one request.

use local_registry::digest::Digest;
use local_registry::{Fault, FaultEffect, HoldPoint, Kind, Personality, When};
use reqwest::Method;

use crate::bench::{AT_MOST, IMAGE};
use crate::distribution_bench::Site;

const BOTH: [Personality; 2] = [Personality::Distribution2, Personality::Distribution3];

async fn site() -> Site {
    Site::new(Personality::Distribution3).await
}

#[tokio::test]
async fn answers_as_told_and_so_often_as_told() {
    let site = site().await;
    let to = format!("/v2/{IMAGE}/tags/list");
    let fault = Fault::too_many(Some(7)).method("GET").kind(Kind::Tags).skip(1).times(2);
    let id = site.registry.faults().add(fault);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = site.get(&to).await;
        if answer.status == 429 {
            assert_eq!(answer.header("retry-after"), "7");
            assert_eq!(answer.code(), "TOOMANYREQUESTS");
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [200, 429, 429, 200]);
    assert_eq!(site.registry.faults().met(id), 2);
}

#[tokio::test]
async fn meets_only_what_the_fault_names() {
    let site = site().await;
    site.registry.faults().add(Fault::answer(403, "DENIED").repository("another"));
    site.registry.faults().add(Fault::answer(404, "MANIFEST_UNKNOWN").reference("latest"));
    site.get(&format!("/v2/{IMAGE}/manifests/v1")).await.is(200);
    site.get(&format!("/v2/{IMAGE}/manifests/latest")).await.is_error(404, "MANIFEST_UNKNOWN");
    site.get("/v2/another/tags/list").await.is_error(403, "DENIED");
}

#[tokio::test]
async fn chooses_the_same_requests_from_the_same_seed() {
    let mut chosen = Vec::new();
    for _ in 0..2 {
        let site = site().await;
        let fault = Fault::answer(404, "BLOB_UPLOAD_UNKNOWN").kind(Kind::UploadBegin).chance(40, 11);
        site.registry.faults().add(fault);
        let mut statuses = Vec::new();
        for _ in 0..20 {
            let to = format!("/v2/{IMAGE}/blobs/uploads/");
            statuses.push(site.send(site.call(Method::POST, &to)).await.status);
        }
        chosen.push(statuses);
    }
    assert_eq!(chosen[0], chosen[1]);
    let met = chosen[0].iter().filter(|status| **status == 404).count();
    assert!((3..15).contains(&met), "{met} of 20");
}

#[tokio::test]
async fn does_the_work_whose_answer_it_loses() {
    for personality in BOTH {
        let site = Site::new(personality).await;
        let first = site.begin(IMAGE).await;
        site.registry.faults().add(Fault::lost_answer().method("PATCH").times(1));
        let part = site.call(Method::PATCH, &first).body("0123456789");
        assert!(site.try_send(part).await.is_err());
        let record = site.record(|record| record.method == "PATCH").await;
        assert_eq!((record.status, record.upload, record.received), (None, Some((0, 10)), 10));
        let asked = site.get(&first).await;
        match personality {
            Personality::Distribution2 => asked.is_error(404, "BLOB_UPLOAD_INVALID"),
            Personality::Distribution3 => assert_eq!(asked.header("range"), "0-9"),
        }
        let open: Vec<u64> = site.registry.open_uploads().iter().map(|upload| upload.bytes).collect();
        assert_eq!(open, [10]);
    }
}

#[tokio::test]
async fn cuts_a_part_where_it_is_told_to() {
    for personality in BOTH {
        let site = Site::new(personality).await;
        let first = site.begin(IMAGE).await;
        site.registry.faults().add(Fault::new(FaultEffect::CutRequest { after: 300_000 }).method("PATCH"));
        let part = site.call(Method::PATCH, &first).body(vec![7; 1_000_000]);
        assert!(site.try_send(part).await.is_err());
        let record = site.record(|record| record.method == "PATCH").await;
        assert_eq!((record.status, record.upload), (None, Some((0, 300_000))));
        let asked = site.get(&first).await;
        match personality {
            Personality::Distribution2 => asked.is_error(404, "BLOB_UPLOAD_INVALID"),
            Personality::Distribution3 => assert_eq!(asked.header("range"), "0-299999"),
        }
    }
}

#[tokio::test]
async fn cuts_an_answer_where_it_is_told_to() {
    let site = site().await;
    let digest = site.push(IMAGE, &[5; 500_000]).await;
    let blob = format!("/v2/{IMAGE}/blobs/{digest}");
    site.registry
        .faults()
        .add(Fault::new(FaultEffect::CutAnswer { after: 200_000 }).kind(Kind::Blob).times(1));
    let mut response = site.call(Method::GET, &blob).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let (mut bytes, mut whole) = (0, false);
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => bytes += piece.len(),
            Ok(None) => break whole = true,
            Err(_) => break,
        }
    }
    assert_eq!((bytes, whole), (200_000, false));
    assert_eq!(site.record(|record| record.kind == Kind::Blob).await.sent, 200_000);
    let rest = site.send(site.call(Method::GET, &blob).header("range", "bytes=200000-")).await;
    rest.is(206);
    assert_eq!(rest.header("content-range"), "bytes 200000-499999/500000");
}

#[tokio::test]
async fn holds_a_request_until_the_fault_is_removed() {
    let site = site().await;
    let content = vec![3; 400_000];
    for at in [HoldPoint::Before, HoldPoint::Body(100_000), HoldPoint::After] {
        let held = site.registry.faults().add(Fault::new(FaultEffect::Hold { at }).method("PATCH"));
        let to = site.begin(IMAGE).await;
        let sending = tokio::spawn(site.call(Method::PATCH, &to).body(content.clone()).send());
        let expected = match at {
            HoldPoint::Before => 0,
            HoldPoint::Body(at) => at,
            HoldPoint::After => 400_000,
        };
        let traffic = site.registry.traffic();
        let arrived = traffic
            .wait_until(AT_MOST, |traffic| {
                traffic
                    .count(|record| record.method == "PATCH" && !record.ended && record.received == expected)
                    == 1
            })
            .await;
        assert!(arrived && !sending.is_finished(), "{at:?}: {:?}", traffic.records());
        site.registry.faults().remove(held);
        assert_eq!(sending.await.unwrap().unwrap().status(), 202, "{at:?}");
    }
}

#[tokio::test]
async fn cuts_a_request_off_where_it_was_held() {
    for (at, received, stored) in
        [(HoldPoint::Before, 0, 0), (HoldPoint::Body(5), 5, 5), (HoldPoint::After, 10, 10)]
    {
        let site = site().await;
        let held = site.registry.faults().add(Fault::new(FaultEffect::Hold { at }).method("PATCH"));
        let to = site.begin(IMAGE).await;
        // All of it has left the client: nobody but the registry can end it here.
        let sending = tokio::spawn(site.call(Method::PATCH, &to).body("0123456789").send());
        let traffic = site.registry.traffic();
        let is_held = |record: &local_registry::Record| {
            record.method == "PATCH" && !record.ended && record.received == received
        };
        assert!(traffic.wait_until(AT_MOST, |traffic| traffic.count(is_held) == 1).await, "{at:?}");
        assert!(site.registry.faults().cut(held) && !site.registry.faults().cut(held));
        assert!(sending.await.unwrap().is_err(), "{at:?}");
        let record = site.record(|record| record.method == "PATCH" && record.ended).await;
        assert_eq!((record.status, record.received), (None, received), "{at:?}");
        let open: Vec<u64> = site.registry.open_uploads().iter().map(|upload| upload.bytes).collect();
        assert_eq!(open, [stored], "{at:?}");
    }
}

#[tokio::test]
async fn ignores_a_range_and_tells_a_wrong_one() {
    let site = site().await;
    let (digest, size) = site.layer().await;
    let blob = || site.call(Method::GET, &format!("/v2/{IMAGE}/blobs/{digest}")).header("range", "bytes=10-");
    site.registry.faults().add(Fault::new(FaultEffect::IgnoreRange).times(1));
    let whole = site.send(blob()).await;
    whole.is(200);
    assert_eq!(whole.header("content-length"), size.to_string());
    let value = Some(format!("bytes 0-{}/{size}", size - 1));
    site.registry.faults().add(Fault::new(FaultEffect::Header { name: "content-range".to_owned(), value }));
    let wrong = site.send(blob()).await;
    assert_eq!(
        (wrong.status, wrong.header("content-range")),
        (206, &*format!("bytes 0-{}/{size}", size - 1))
    );
}

#[tokio::test]
async fn sends_other_bytes_and_fewer() {
    let site = site().await;
    let content = vec![9; 10_000];
    let digest = site.push(IMAGE, &content).await;
    let read = async || {
        let answer = site.call(Method::GET, &format!("/v2/{IMAGE}/blobs/{digest}")).send().await.unwrap();
        answer.bytes().await.unwrap().to_vec()
    };
    site.registry.faults().add(Fault::new(FaultEffect::FlipByte { at: 7_777 }).kind(Kind::Blob).times(1));
    let flipped = read().await;
    let differing: Vec<usize> = (0..10_000).filter(|at| flipped[*at] != content[*at]).collect();
    assert_eq!(differing, [7_777]);
    site.registry.faults().add(Fault::new(FaultEffect::Shorten { to: 400 }).kind(Kind::Blob).times(1));
    assert_eq!(read().await, content[..400]);
    assert_eq!(read().await, content);
}

#[tokio::test]
async fn says_by_head_that_what_is_absent_is_there() {
    let site = site().await;
    let absent = Digest::of(b"absent");
    let to = format!("/v2/{IMAGE}/manifests/{absent}");
    site.registry.faults().add(Fault::new(FaultEffect::Pretend { size: 12 }).reference(&absent));
    let head = site.send(site.call(Method::HEAD, &to)).await;
    assert_eq!((head.status, head.header("content-length")), (200, "12"));
    assert_eq!(head.header("docker-content-digest"), absent.to_string());
    assert_eq!(head.header("content-type"), "application/vnd.oci.image.manifest.v1+json");
    site.get(&to).await.is(404);
}

#[tokio::test]
async fn changes_and_removes_headers_of_an_answer() {
    let site = site().await;
    let header = |name: &str, value: Option<&str>| {
        Fault::new(FaultEffect::Header { name: name.to_owned(), value: value.map(str::to_owned) })
    };
    site.registry.faults().add(header("ratelimit-remaining", Some("3;w=21600")));
    site.registry.faults().add(header("docker-content-digest", None));
    let answer = site.get(&format!("/v2/{IMAGE}/manifests/v1")).await;
    assert_eq!(answer.header("ratelimit-remaining"), "3;w=21600");
    assert!(!answer.headers.contains_key("docker-content-digest"));
}

#[tokio::test]
async fn refuses_after_the_work_too_and_redirects_anywhere() {
    let site = site().await;
    let headers = vec![("retry-after".to_owned(), "1".to_owned())];
    let after = FaultEffect::Answer { status: 503, code: None, headers, when: When::After };
    site.registry.faults().add(Fault::new(after).method("POST").times(1));
    let begun = site.send(site.call(Method::POST, &format!("/v2/{IMAGE}/blobs/uploads/"))).await;
    assert_eq!((begun.status, begun.text.as_str()), (503, ""));
    assert_eq!(site.registry.open_uploads().len(), 1);
    let to = "http://192.0.2.1/private".to_owned();
    site.registry.faults().add(Fault::new(FaultEffect::Redirect { to: to.clone() }).kind(Kind::Blob));
    let (digest, _) = site.layer().await;
    let moved = site.get(&format!("/v2/{IMAGE}/blobs/{digest}")).await;
    assert_eq!((moved.status, moved.header("location")), (307, to.as_str()));
}

#[tokio::test]
async fn mounts_are_refused_on_request() {
    let site = site().await;
    let (digest, _) = site.layer().await;
    let mount = format!("/v2/other/blobs/uploads/?mount={digest}&from={IMAGE}");
    site.registry.faults().add(Fault::answer(401, "UNAUTHORIZED").kind(Kind::Mount).times(1));
    site.send(site.call(Method::POST, &mount)).await.is(401);
    site.send(site.call(Method::POST, &mount)).await.is(201);
}
