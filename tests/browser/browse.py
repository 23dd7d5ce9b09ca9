"""Uses the operators' page as an operator does, and checks what it shows and what it asks for. See tests/browser.sh."""

import argparse
import gzip
import importlib.util
import json
import pathlib
import re
import shutil
import sys
import time
import traceback
import urllib.error
import urllib.request

from playwright.sync_api import expect, sync_playwright

from stand import Stand, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PICTURES = ROOT / "target/browser"
SHOWN = ROOT / "functions/migration-status/pictures"
MOST_BYTES = 60 * 1024
MOST_MILLISECONDS = 200
PATIENCE = 15_000

expect.set_options(timeout=PATIENCE)

AXE = (pathlib.Path(importlib.util.find_spec("axe_playwright_python").origin).parent / "axe.min.js").read_text()


class Tab:
    """A tab with the page: what it asked for, and what it complained of."""

    def __init__(self, browser, stand, **options):
        self.stand = stand
        self.context = browser.new_context(locale="en-GB", timezone_id="UTC", **options)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.requests = []
        self.complaints = []
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._console)
        self.page.add_init_script("""
            document.addEventListener('securitypolicyviolation', (event) => console.error('policy: ' + event.violatedDirective));
        """)

    def _console(self, message):
        # The browser itself reports each answer that is no success, and each that does not come.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def open(self, fragment=""):
        self.page.goto(self.stand.base + "/" + fragment)

    def sign_in(self, token=None):
        self.page.get_by_label("Operators' token").fill(token or self.stand.token)
        self.page.get_by_role("button", name="Sign in").click()

    def asked(self, method, path):
        """The requests for paths that begin so."""
        begin = self.stand.base + path
        return [request for request in self.requests if request.method == method and request.url.startswith(begin)]

    def number(self, name):
        """One of the first numbers, as it is written."""
        return self.page.locator("#numbers > div", has_text=name).locator(".figure").inner_text()

    def left(self):
        text = self.number("Repositories left").replace(",", "")
        return int(text) if text.isdigit() else None

    def note(self, text):
        return self.page.locator("#notes li", has_text=text)

    def row(self, path):
        return self.page.locator("#listing tbody tr", has=self.page.get_by_role("button", name=path, exact=True))

    def search(self, prefix, state=""):
        self.page.locator("#listing-prefix").fill(prefix)
        self.page.locator("#listing-state").select_option(state)
        self.page.locator("#listing-form").get_by_role("button", name="Search").click()

    def answer(self, button, **fields):
        """Answers the open question."""
        question = self.page.locator("#question")
        for name, value in fields.items():
            field = question.locator(f"#question-{name}")
            if isinstance(value, bool):
                field.set_checked(value)
            elif field.evaluate("node => node.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)
        question.get_by_role("button", name=button, exact=True).click()

    def accessible(self, what):
        """axe-core has no finding that it calls serious or critical."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("async () => (await axe.run()).violations.map(v => [v.impact, v.id, v.nodes.map(n => n.html).slice(0, 3)])")
        serious = [finding for finding in found if finding[0] in ("serious", "critical")]
        assert not serious, f"{what}: {serious}"

    def picture(self, name):
        self.page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


def size(stand):
    """The document is small, and needs nothing from elsewhere."""
    with urllib.request.urlopen(stand.base + "/", timeout=30) as answer:
        text, headers = answer.read(), answer.headers
    compressed = len(gzip.compress(text))
    assert compressed < MOST_BYTES, f"{compressed} bytes compressed"
    assert headers["content-type"] == "text/html; charset=utf-8"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy, policy
    assert headers["cache-control"] == "no-cache" and headers["x-content-type-options"] == "nosniff"
    request = urllib.request.Request(stand.base + "/", headers={"If-None-Match": headers["etag"]})
    try:
        urllib.request.urlopen(request, timeout=30)
        raise AssertionError("a page that is known is sent again")
    except urllib.error.HTTPError as answer:
        assert answer.code == 304 and answer.headers["etag"] == headers["etag"]
    print(f"  {len(text)} bytes, {compressed} compressed")


def signs_in(tab):
    tab.open()
    expect(tab.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not tab.asked("GET", "/migrations"), "nothing is asked for without a token"
    tab.accessible("signing in")
    tab.sign_in("wrong-token")
    expect(tab.page.locator("#sign-in-error")).to_have_text("The token was refused.")
    tab.sign_in()
    expect(tab.page.locator("#board")).to_be_visible()
    assert tab.page.evaluate("Object.keys(sessionStorage).join() + localStorage.length + document.cookie") == "token0"
    assert all(request.header_value("authorization") == f"Bearer {tab.stand.token}" for request in tab.asked("GET", "/migrations")[-2:])


def shows_a_live_migration(tab, repositories):
    first = until("the first number", tab.left)
    assert first <= repositories
    until("fewer are left", lambda: tab.left() < first)
    expect(tab.note("slots in use")).to_be_visible()
    expect(tab.note("served by the reader")).to_be_visible()
    expect(tab.note("behind the writer")).to_be_visible()
    until("a bar of the throughput", lambda: tab.page.locator("#plot rect").count() > 0)
    assert " done, " in tab.page.locator("#plot-text").inner_text()
    assert tab.page.locator("#bar rect").count() == 7
    assert "tags left" in tab.page.locator("#numbers").inner_text()


def flips_the_kill_switch(tab):
    tab.page.locator("#operator").fill("Ada")
    tab.page.locator("#operator").press("Tab")
    expect(tab.page.locator("#switch-state")).to_have_text("Migrations are on")
    tab.page.get_by_role("button", name="Switch off …").click()
    tab.answer("Not now")
    assert not tab.asked("PATCH", "/settings"), "nothing is changed before it is confirmed"
    tab.page.get_by_role("button", name="Switch off …").click()
    tab.accessible("a question")
    tab.answer("Switch off")
    expect(tab.page.locator("#switch-state")).to_have_text("Migrations are off")
    [request] = tab.asked("PATCH", "/settings")
    assert request.post_data_json["enabled"] is False and request.post_data_json["version"] >= 1
    assert request.header_value("x-operator") == "Ada"
    assert tab.stand.ask("GET", "/settings")["enabled"] is False
    expect(tab.page.locator("#spoken")).to_have_text("Migrations are off.")


def filters(tab):
    paths = [row["path"] for row in tab.stand.ask("GET", "/migrations?limit=500")["repositories"]]
    prefix = paths[0].split("/")[0] + "/"
    fits = [path for path in paths if path.startswith(prefix)]
    tab.search(prefix)
    expect(tab.page.locator("#listing tbody tr")).to_have_count(min(len(fits), 200))
    assert tab.page.locator("#listing tbody th").all_inner_texts() == fits[:200]
    tab.search("no-such-team/")
    expect(tab.page.locator("#listing-empty")).to_have_text("No repository fits.")
    tab.search("", "import_done")
    expect(tab.page.locator("#listing tbody tr .state").first).to_have_text("Done")
    texts = set(tab.page.locator("#listing tbody tr .state").all_inner_texts())
    assert texts == {"Done"}, texts
    # By prefix: the first one, then what is below it.
    button = tab.page.locator("#prefixes").get_by_role("button", name=prefix, exact=True)
    button.click()
    expect(tab.page.locator("#crumbs")).to_contain_text(prefix)
    until("the prefix' own parts", lambda: all(
        text.startswith(prefix) for text in tab.page.locator("#prefixes tbody th").all_inner_texts()))
    tab.page.locator("#crumbs").get_by_role("button", name="all").click()


def opens_a_history(tab):
    tab.search("", "import_done")
    path = tab.page.locator("#listing tbody th").first.inner_text()
    tab.row(path).get_by_role("button").click()
    panel = tab.page.locator("#repository")
    expect(panel.get_by_role("heading", name=path)).to_be_visible()
    timeline = panel.locator(".timeline li")
    expect(timeline.last).to_contain_text("→ Done")
    assert timeline.count() >= 4, timeline.all_inner_texts()
    expect(panel.locator(".explained")).to_contain_text("What happens next: done")
    assert tab.page.url.endswith("#" + path)
    tab.accessible("a repository")
    tab.picture("repository")
    tab.page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(tab.page).not_to_have_url(re.compile("#"))
    return path


def retries(tab):
    """A repository of the registry's whose step has failed is started from the page."""
    stand = tab.stand
    [path] = stand.waiting(1)
    stand.abort([path], "blob sha256:0a1b2c is unknown")
    stand.failed("broken", 3, "manifest unknown")
    group = tab.page.locator("#attention details", has_text="blob sha256:… is unknown")
    expect(group.locator("summary .figure")).to_have_text("1")
    groups = tab.page.locator("#attention details summary").all_inner_texts()
    assert groups[0].startswith("3") and "manifest unknown" in groups[0], groups
    assert "3 × manifest unknown" in tab.page.locator("#numbers").inner_text()
    group.locator("summary").click()
    retry = group.get_by_role("button", name=f"Retry {path}")
    # Migrations are off: the refusal is shown in the question, in the driver's words.
    retry.click()
    tab.answer("Retry")
    expect(tab.page.locator("#question-error")).to_contain_text("migrations are switched off")
    tab.answer("Not now")
    # The schedule would take each slot at once: it finds nothing that is due.
    stand.sql("UPDATE migration_settings SET created_before = '2000-01-01'")
    tab.page.get_by_role("button", name="Switch on …").click()
    tab.answer("Switch on")
    expect(tab.page.locator("#switch-state")).to_have_text("Migrations are on")

    def started():
        retry.click()
        tab.answer("Retry")
        until("an answer", lambda: tab.page.locator("#question").is_hidden() or tab.page.locator("#question-error").inner_text())
        if tab.page.locator("#question").is_hidden():
            return True
        tab.answer("Not now")
        return False

    until("a free slot", started, 60)
    stand.sql("UPDATE migration_settings SET created_before = NULL")
    expect(group).to_have_count(0)
    until("it goes on", lambda: stand.ask("GET", f"/migrations/status/{path}")["migration_state"] != "import_aborted")


def hides_no_change_behind_the_lag(tab):
    """While the reader stands still, an operator sees what he did."""
    stand = tab.stand
    stand.failed("slow", 1, "who knows")
    path = "slow/image-00001"
    tab.search("slow/")
    expect(tab.row(path)).to_contain_text("Failed, tried again")
    stand.lag("pause")
    try:
        tab.row(path).get_by_role("button").click()
        tab.page.locator("#repository").get_by_role("button", name="Skip …").click()
        tab.answer("Skip", reason="not_in_plan")
        panel = tab.page.locator("#repository")
        expect(panel.locator(".timeline li").last).to_contain_text("→ Skipped")
        expect(panel.locator("#repository-body > p").first).to_contain_text("Skipped")
        version = stand.sql(f"SELECT version FROM container_repositories WHERE path = '{path}'")
        assert any(f"min_version={version}" in request.url for request in tab.asked("GET", "/migrations/status/" + path))
        assert any(f"min_version={version}" in request.url for request in tab.asked("GET", "/migrations/history/" + path))
        assert stand.ask("GET", "/migrations/status/" + path)["migration_state"] == "import_aborted", "the reader lags"
        panel.get_by_role("button", name="Close").click()
        expect(tab.row(path)).to_contain_text("Skipped")
    finally:
        stand.lag("resume")


def loses_and_regains_the_connection(tab):
    tab.context.set_offline(True)
    banner = tab.page.locator("#banner")
    expect(banner).to_contain_text("The driver does not answer. What is shown is as of")
    expect(tab.page.locator("#board")).to_be_visible()
    tab.accessible("without a connection")
    tab.context.set_offline(False)
    expect(banner).to_be_hidden()
    before = len(tab.asked("GET", "/migrations/summary"))
    until("it goes on by itself", lambda: tab.page.wait_for_timeout(100) or len(tab.asked("GET", "/migrations/summary")) > before)


def pauses_while_it_is_hidden(tab):
    hide = "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });" \
           " document.dispatchEvent(new Event('visibilitychange')); }"
    tab.page.evaluate(hide, True)
    tab.page.wait_for_timeout(1500)
    before = len(tab.requests)
    tab.page.wait_for_timeout(5500)
    assert len(tab.requests) == before, [request.url for request in tab.requests[before:]]
    tab.page.evaluate(hide, False)
    until("it asks again at once", lambda: tab.page.wait_for_timeout(50) or len(tab.requests) > before, 3)


def works_by_keyboard(tab):
    tab.page.reload()
    expect(tab.page.locator("#board")).to_be_visible()
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.className") == "skip-link"
    tab.page.keyboard.press("Enter")
    until("a listed repository", lambda: tab.page.locator("#listing tbody button").count() > 0)
    for _ in range(400):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("document.activeElement.closest('#listing tbody') !== null"):
            break
    else:
        raise AssertionError("the list is not reached by Tab")
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#repository")).to_be_visible()
    assert tab.page.evaluate("document.activeElement.id") == "repository-title"
    tab.page.keyboard.press("Escape")
    assert tab.page.evaluate("document.activeElement.closest('#listing tbody') !== null"), "the focus comes back"


def stays_quick_with_ten_thousand_rows(tab):
    tab.stand.failed("huge", 10_000, "storage unavailable")
    browser = tab.context.browser
    browser.start_tracing(page=tab.page, categories=["toplevel", "disabled-by-default-devtools.timeline"])
    try:
        goes_through_ten_thousand_rows(tab)
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
    threads = {(event["pid"], event["tid"]) for event in events
               if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"}
    # The processor's time: what else the machine does makes a task no longer.
    tasks = [event["tdur"] / 1000 for event in events
             if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in threads and "tdur" in event]
    assert len(tasks) > 100, f"only {len(tasks)} tasks were traced"
    print(f"  longest task of the main thread: {max(tasks):.0f} ms")
    assert max(tasks) < MOST_MILLISECONDS, f"{max(tasks)} ms"
    tab.stand.sql("DELETE FROM container_repositories WHERE path LIKE 'huge/%'")


def goes_through_ten_thousand_rows(tab):
    tab.page.reload()
    group = tab.page.locator("#attention details", has_text="storage unavailable")
    figure = group.locator("summary .figure")
    expect(figure).to_have_text(re.compile(r"^(9,\d+|10,000)$"), timeout=30_000)
    group.locator("summary").click()
    expect(group.locator("tbody tr")).to_have_count(100)
    group.get_by_role("button", name="Show more").click()
    expect(group.locator("tbody tr")).to_have_count(200)
    tab.page.locator("#attention-filter").press_sequentially("image-0500", delay=10)
    until("the filtered rows", lambda: figure.inner_text() == "10")
    tab.page.locator("#attention-filter").fill("")
    expect(figure).to_have_text(re.compile(r"^(9,\d+|10,000)$"))


def fits(tab, name, width=1280, height=900, colours="light"):
    """Another look at the same: colours and widths."""
    tab.page.emulate_media(color_scheme=colours)
    tab.page.set_viewport_size({"width": width, "height": height})
    tab.page.evaluate("scrollTo(0, 0)")
    until("all of it", lambda: tab.page.locator("#plot rect").count() > 0 and tab.page.locator("#prefixes tbody tr").count() > 0)
    wide = tab.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], f"{name}: {wide}"
    tab.accessible(name)
    tab.picture(name)


def holds(tab):
    """A prefix is held and released, and its final steps wait meanwhile."""
    page, stand = tab.page, tab.stand
    page.locator("#holds-add").click()
    tab.answer("Hold", prefix="no such prefix", until=True)
    expect(page.locator("#question-error")).not_to_be_empty()
    tab.answer("Hold", prefix="team-11/", until=True, reason="they are in a release")
    row = page.locator("#holds li", has_text="team-11/")
    expect(row).to_contain_text("held until somebody releases it")
    expect(row).to_contain_text("they are in a release")
    request = tab.asked("PUT", "/holds")[-1]
    assert request.post_data_json["prefix"] == "team-11/" and request.post_data_json["until_released"] is True
    [hold] = stand.ask("GET", "/holds")["holds"]
    assert (hold["prefix"], hold["operator"], hold["holding"]) == ("team-11", "Ada", True), hold
    tab.accessible("a hold")
    row.get_by_role("button", name="Release team-11/").click()
    tab.answer("Release")
    expect(row).to_have_count(0)
    assert stand.ask("GET", "/holds")["holds"] == []


def open_one(tab, path):
    """Finds a repository in the list and opens its life."""
    tab.search(path)
    tab.row(path).get_by_role("button").click()
    panel = tab.page.locator("#repository")
    expect(panel.get_by_role("heading", name=path, exact=True)).to_be_visible()
    return panel


def cancels_and_reopens(tab):
    """A step that runs is canceled at the registry, and its repository let in again with a reason."""
    stand = tab.stand
    path = stand.waiting(1)[0]
    stand.rule({"repository": path, "step": "pre", "times": 1, "effect": {"kind": "slow", "milliseconds": 120_000}})
    # The schedule would take each slot at once: it finds nothing that is due.
    stand.sql("UPDATE migration_settings SET created_before = '2000-01-01'")
    until("a free slot", lambda: stand.starts(path), 60)
    panel = open_one(tab, path)
    expect(panel.locator(".timeline li").last).to_contain_text("→ Pre-importing")
    panel.get_by_role("button", name="Cancel …").click()
    tab.answer("Cancel", force=False)
    # The registry's own word of the cancelation may come after it, and changes nothing.
    expect(panel.locator(".timeline li", has_text="→ Skipped").first).to_be_visible()
    expect(panel.locator("#repository-body > p").first).to_contain_text("migration canceled")
    request = tab.asked("POST", "/migrations/cancel/" + path)[-1]
    assert request.post_data_json == {"force": False} and request.header_value("x-operator") == "Ada"
    panel.get_by_role("button", name="Reopen …").click()
    tab.answer("Reopen", reason="at night")
    # A start that the registry refused leads to the same state.
    reopened = panel.locator(".timeline li", has_text="reopen")
    expect(reopened).to_contain_text("at night")
    expect(reopened).to_contain_text("(Ada)")
    panel.get_by_role("button", name="Close").click()
    assert stand.ask("GET", f"/migrations/status/{path}")["migration_state"] == "default"


def accepts_missing_tags(tab):
    """Tags are missing, somebody has looked, and says why that is right."""
    stand, path = tab.stand, "lost/tags"
    stand.sql(f"""
        INSERT INTO container_repositories (path, migration_state, version, import_done_at, tags_count, tags_check, missing_tags)
        VALUES ('{path}', 'import_done', 2, now(), 3, 'tags_missing', '{{"count": 1, "names": ["v1"]}}')""")
    group = tab.page.locator("#attention details", has_text="tags missing")
    expect(group.locator("summary .figure")).to_have_text("1")
    panel = open_one(tab, path)
    expect(panel).to_contain_text("1: v1")
    panel.get_by_role("button", name="Accept its tags …").click()
    tab.answer("Accept its tags", reason="its owner deleted it")
    expect(panel).to_contain_text("tags accepted")
    expect(panel.locator(".timeline li").last).to_contain_text("its owner deleted it")
    request = tab.asked("POST", "/migrations/accept/" + path)[-1]
    assert request.post_data_json == {"reason": "its owner deleted it"}
    panel.get_by_role("button", name="Close").click()
    expect(group).to_have_count(0)
    stand.sql(f"DELETE FROM container_repositories WHERE path = '{path}'")


def retries_all_of_a_cause(tab):
    """All that failed for one cause are started, as long as there are slots."""
    stand = tab.stand
    paths = stand.waiting(2)
    stand.abort(paths, "no space left on device")
    group = tab.page.locator("#attention details", has_text="no space left on device")
    expect(group.locator("summary .figure")).to_have_text("2")
    group.locator("summary").click()
    group.get_by_role("button", name="Retry all of them …").click()
    expect(tab.page.locator("#question-title")).to_have_text("Retry 2 repositories?")
    tab.answer("Retry all")
    expect(tab.page.locator("#spoken")).to_have_text("2 repositories were started.")
    expect(group).to_have_count(0)
    for path in paths:
        until("it goes on", lambda: stand.ask("GET", f"/migrations/status/{path}")["migration_state"] == "import_done")
    stand.sql("UPDATE migration_settings SET created_before = NULL")


def shows_the_importers_proof(tab):
    """Where the importer copies, what is left is counted in bytes, and a repository has its proof."""
    stand = tab.stand
    path = stand.sql("SELECT path FROM container_repositories WHERE migration_state = 'import_done' ORDER BY path LIMIT 1")
    stand.sql(f"""
        INSERT INTO imports (source, target, status, attempt, change, ended_at, bytes_known, bytes_done)
        VALUES ('{path}', 'new/image', 'import_complete', gen_random_uuid(), gen_random_uuid(), now(), 7168, 5120);
        INSERT INTO import_tags (source, tag, source_digest, target_digest, state, attempt, cause) VALUES
            ('{path}', 'a', 'sha256:1', 'sha256:1', 'equal', gen_random_uuid(), NULL),
            ('{path}', 'b', 'sha256:2', NULL, 'failed', gen_random_uuid(), 'blob_gone')""")
    # All is asked anew: the rate is otherwise asked for each half minute.
    tab.page.reload()
    expect(tab.page.locator("#numbers")).to_contain_text("2.0 KiB of the 7.0 KiB that the importer has listed so far are left")
    panel = open_one(tab, path)
    expect(panel.get_by_role("heading", name="The importer's proof")).to_be_visible()
    for text in ("new/image", "import complete", "1 equal, 1 failed", "5.0 KiB of 7.0 KiB"):
        expect(panel).to_contain_text(text)
    # What is not equal comes first.
    tags = panel.get_by_role("region", name="Tags").locator("tbody tr")
    expect(tags).to_have_count(2)
    expect(tags.first).to_contain_text("failed (blob gone)")
    expect(tags.last).to_contain_text("sha256:1")
    tab.accessible("a proof")
    tab.picture("proof")
    panel.get_by_role("button", name="Close").click()
    stand.sql(f"DELETE FROM import_tags WHERE source = '{path}'; DELETE FROM imports WHERE source = '{path}'")
    tab.page.reload()
    expect(tab.page.locator("#numbers")).to_contain_text("tags left")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--chromium", required=True)
    parser.add_argument("--repositories", type=int, default=300)
    parser.add_argument("--screenshots", action="store_true")
    parser.add_argument("--stack", metavar="FILE", help="a running stack's stack.json, with repositories to migrate")
    options = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with Stand(options.bin, options.repositories, 250, options.stack) as stand, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        print(f"{browser.browser_type.name} {browser.version}, {options.repositories} repositories")
        tab = Tab(browser, stand, viewport={"width": 1280, "height": 900}, color_scheme="light")
        steps = [
            ("is small and needs nothing from elsewhere", lambda: size(stand)),
            ("signs in", lambda: signs_in(tab)),
            ("shows a live migration", lambda: shows_a_live_migration(tab, options.repositories)),
            ("flips the kill switch", lambda: flips_the_kill_switch(tab)),
            ("filters", lambda: filters(tab)),
            ("opens a history", lambda: opens_a_history(tab)),
            ("groups failures by cause, and retries", lambda: retries(tab)),
            ("hides no change behind the reader's lag", lambda: hides_no_change_behind_the_lag(tab)),
            ("holds a prefix and releases it", lambda: holds(tab)),
            ("cancels and reopens", lambda: cancels_and_reopens(tab)),
            ("accepts missing tags", lambda: accepts_missing_tags(tab)),
            ("retries all of a cause", lambda: retries_all_of_a_cause(tab)),
            ("shows the importer's proof", lambda: shows_the_importers_proof(tab)),
            ("is accessible in dark colours", lambda: fits(tab, "dark", colours="dark")),
            ("fits 360 pixels", lambda: fits(tab, "narrow", 360, 780)),
            ("is accessible in light colours", lambda: fits(tab, "light")),
            ("works by keyboard", lambda: works_by_keyboard(tab)),
            ("loses and regains the connection", lambda: loses_and_regains_the_connection(tab)),
            ("pauses while it is hidden", lambda: pauses_while_it_is_hidden(tab)),
            ("stays quick with 10,000 rows", lambda: stays_quick_with_ten_thousand_rows(tab)),
        ]
        for name, step in steps:
            start = time.monotonic()
            try:
                step()
            except Exception as error:  # noqa: BLE001: whatever it is, it is told, with a picture
                traceback.print_tb(error.__traceback__, limit=3)
                print(f"{type(error).__name__}: {str(error)[:1500]}")
                tab.picture("failed")
                sys.exit(f"FAILED: the page {name} (picture: target/browser/failed.png)")
            print(f"ok {time.monotonic() - start:5.1f} s  {name}")
        assert not tab.complaints, tab.complaints
        elsewhere = {request.url for request in tab.requests if not request.url.startswith((stand.base, "data:"))}
        assert not elsewhere, elsewhere
        browser.close()
    if options.screenshots:
        SHOWN.mkdir(exist_ok=True)
        for name in ("light", "dark", "narrow", "repository"):
            shutil.copy(PICTURES / f"{name}.png", SHOWN / f"{name}.png")
    print(f"the page passed {len(steps)} checks in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
