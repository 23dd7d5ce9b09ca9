
// Repositories by the beginning of their paths and by state, a page at a time.

const PAGE = 200;
const listing = { prefix: "", state: "", rows: [], next: null, pages: 1 };

byId("listing-state").append(
  element("option", { value: "" }, "any state"),
  ...STATES.map(([state, label]) => element("option", { value: state }, `${label} (${state})`)),
);

function listingRow(row) {
  const cells = Array.from({ length: 5 }, (_, index) => element("td", { className: ["", "", "count", "count", "wide"][index] }));
  const line = element("tr", {},
    element("th", { scope: "row" }, element("button", { type: "button", className: "link", onclick: () => openRepository(row.path) }, row.path)), cells);
  line.cells_ = cells;
  return line;
}

function updateListingRow(line, row) {
  const [state, since, tags, failures, said] = line.cells_;
  if (line.state !== row.migration_state) {
    line.state = row.migration_state;
    state.replaceChildren(stateLabel(row.migration_state));
  }
  say(since, duration(secondsSince(row.state_since)));
  say(tags, row.tags_count === null ? "" : count(row.tags_count));
  say(failures, row.retries_count ? count(row.retries_count) : "");
  say(said, [row.skipped_reason ? words(row.skipped_reason) : "", row.detail ?? ""].filter(Boolean).join(": "));
}

function drawListing() {
  const rows = listing.rows.map(newest).filter((row) => listing.state === "" || row.migration_state === listing.state);
  keyed(byId("listing").tBodies[0], rows, (row) => row.path, listingRow, updateListingRow);
  byId("listing-empty").hidden = rows.length > 0;
  say(byId("listing-empty"), listing.prefix || listing.state ? "No repository fits." : "No repository is registered yet.");
  byId("listing-more").hidden = listing.next === null;
}

const page = (after, signal) =>
  get("migrations", { prefix: listing.prefix, state: listing.state, after, limit: PAGE }, signal);

/** From the first page on, as many as are shown. */
async function refreshListing(signal) {
  const { prefix, state, pages: wanted } = listing;
  const rows = [];
  let next;
  for (let number = 0; number < wanted; number += 1) {
    const answer = await page(next, signal);
    rows.push(...answer.repositories);
    next = answer.next;
    if (!next) break;
  }
  if (prefix !== listing.prefix || state !== listing.state || wanted !== listing.pages) return;
  listing.rows = rows;
  listing.next = next ?? null;
  drawListing();
}

async function search() {
  listing.prefix = byId("listing-prefix").value.trim().toLowerCase();
  listing.state = byId("listing-state").value;
  listing.pages = 1;
  await attempt(refreshListing);
  announce(`${listing.next ? "More than " : ""}${counted(listing.rows.length, "repository", "repositories")} found.`);
}

function showState(state) {
  byId("listing-state").value = state;
  byId("listing-title").scrollIntoView({ block: "start" });
  byId("listing-state").focus({ preventScroll: true });
  search();
}

byId("listing-form").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
byId("listing-state").addEventListener("change", search);
byId("listing-more").addEventListener("click", () => attempt(async (signal) => {
  const answer = await page(listing.next, signal);
  listing.rows.push(...answer.repositories);
  listing.next = answer.next ?? null;
  listing.pages += 1;
  drawListing();
}));
