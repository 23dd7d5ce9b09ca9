
// How numbers, times and states are written.

const STATES = [
  ["import_done", "Done"],
  ["importing", "Importing"],
  ["pre_import_done", "Pre-imported"],
  ["pre_importing", "Pre-importing"],
  ["default", "Waiting"],
  ["import_aborted", "Failed, tried again"],
  ["import_skipped", "Skipped"],
];
const STATE_NAMES = new Map(STATES);
const IN_PROGRESS = ["pre_importing", "pre_import_done", "importing"];

const SKIP_REASONS = [
  "not_in_plan", "too_many_retries", "too_many_tags", "root_namespace_in_deny_list", "migration_canceled", "not_found",
  "native_import", "migration_forced_canceled", "migration_canceled_by_registry",
];

/** Reasons that somebody chose: what is skipped for them has not failed. */
const CHOSEN_REASONS = ["not_in_plan", "too_many_tags", "root_namespace_in_deny_list", "not_found", "native_import"];

const NUMBERS = new Intl.NumberFormat("en");
const TIMES = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

const count = (number) => NUMBERS.format(number ?? 0);

/** "1 repository", "2 repositories". */
const counted = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

const words = (name) => String(name ?? "").replaceAll("_", " ");

/** A length of time in its two largest units: "2 h 10 min". */
function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(Number(seconds))) return "unknown";
  let left = Math.max(0, Math.round(Number(seconds)));
  const parts = [];
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const number = Math.floor(left / size);
    left -= number * size;
    if (number > 0 || parts.length > 0) parts.push(number > 0 ? `${number} ${unit}` : "");
    if (parts.length === 2) break;
  }
  return parts.filter(Boolean).join(" ") || "0 s";
}

function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = Number(number ?? 0);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

const time = (text) => (text ? TIMES.format(new Date(text)) : "");

/** How many seconds before `now` (milliseconds) a time was. */
const secondsSince = (text, now = Date.now()) => (now - Date.parse(text)) / 1000;

/** What failures that differ only in names and numbers have in common. */
function cause(row) {
  const said = (row.detail ?? "")
    .replaceAll(row.path, "…")
    .replace(/sha256:[0-9a-f]+/g, "sha256:…")
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{12,}/g, "…")
    .replace(/\b\d+\b/g, "#")
    .trim();
  switch (row.trouble) {
    case "failed": return said || `a step ended in ${words(row.aborted_in_state)}, and nothing was said`;
    case "skipped": return words(row.skipped_reason) + (said ? `: ${said}` : "");
    case "stuck": return `stuck in ${words(row.migration_state)}`;
    case "tags_missing": return "tags are missing after the import";
    case "tags_unverified": return "nobody compared the tags";
    default: return words(row.trouble);
  }
}
